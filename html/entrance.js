// What lets us in at the relay: the token, kept for reloads, and the question whether it does, which is
// also the one for ICE servers. The token is never shown, logged or put into an error.

import { iceServersUrl, takeToken, withToken } from './address.js';
import { readAnswer } from './ice-servers.js';

/** @import { Answer } from './ice-servers.js' */

export class Entrance {
  /** @type {string | null} */
  #token = null;
  #relay;
  /** The question that is under way. @type {Promise<Answer> | null} */
  #asking = null;

  /** @param {string} relay the address of its WebSocket */
  constructor(relay) {
    this.#relay = relay;
    this.#token = recall(relay);
  }

  /**
   * Takes the token out of the address of the page, for good.
   *
   * @returns {boolean} whether there was one that we did not have
   */
  readAddress() {
    const taken = takeToken(location.hash);
    if (taken === null) return false;
    const address = new URL(location.href);
    address.hash = taken.rest;
    history.replaceState(history.state, '', address);
    if (taken.token === null || taken.token === this.#token) return false;
    this.#token = taken.token;
    this.#asking = null;
    remember(this.#relay, taken.token);
    return true;
  }

  /** The way into a WebSocket. */
  get way() {
    return { url: withToken(this.#relay, this.#token), isSecret: this.#token !== null };
  }

  /** Asks the relay for ICE servers; whoever asks meanwhile gets the same answer. @returns {Promise<Answer>} */
  ask() {
    if (this.#asking !== null) return this.#asking;
    const asking = request(this.#relay, this.#token).finally(() => {
      if (this.#asking === asking) this.#asking = null;
    });
    this.#asking = asking;
    return asking;
  }
}

/** How long the relay may take to answer. */
const ASK_MS = 5000;

/** @param {string} relay @param {string | null} token @returns {Promise<Answer>} */
async function request(relay, token) {
  try {
    const answer = await fetch(iceServersUrl(relay), {
      headers: token === null ? {} : { authorization: `Bearer ${token}` },
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      signal: AbortSignal.timeout(ASK_MS),
    });
    return readAnswer(answer.status, await answer.text(), token !== null);
  } catch {
    return { type: 'unreachable' };
  }
}

/** A token is kept for the relay it was given for: another address may name another relay. @param {string} relay */
function key(relay) {
  const { origin, pathname } = new URL(relay);
  return `token for ${origin}${pathname}`;
}

/** @param {string} relay @returns {string | null} */
function recall(relay) {
  try {
    return sessionStorage.getItem(key(relay));
  } catch {
    return null;
  }
}

/** @param {string} relay @param {string} token */
function remember(relay, token) {
  try {
    sessionStorage.setItem(key(relay), token);
  } catch {
    // A browser may be told to let pages keep nothing; then a reload needs the address again.
  }
}
