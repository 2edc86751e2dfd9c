// What lets us in at the relay: the token, kept for reloads, and the question whether it does, which is
// also the one for ICE servers. The token is never shown, logged or put into an error.

import { iceServersUrl, peerOf, takeToken, withToken } from './address.js';
import { readAnswer } from './ice-servers.js';

/** @import { Answer } from './ice-servers.js' */
/** @import { Denial } from './link.js' */

export class Entrance {
  /** @type {string | null} */
  #token = null;
  #relay;
  #onAnswer;
  /** The question that is under way. @type {Promise<Answer> | null} */
  #asking = null;

  /**
   * @param {string} relay the address of its WebSocket
   * @param {(answer: Answer) => void} onAnswer told what came of each question for ICE servers
   */
  constructor(relay, onAnswer) {
    this.#relay = relay;
    this.#onAnswer = onAnswer;
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

  /** Who the token says we are; null for anybody. */
  get peer() {
    return this.#token === null ? null : peerOf(this.#token);
  }

  /** The address of the WebSocket, and whether the token is part of it. */
  get way() {
    return { url: withToken(this.#relay, this.#token), isSecret: this.#token !== null };
  }

  /** Asks the relay for ICE servers; whoever asks meanwhile gets the same answer. @returns {Promise<Answer>} */
  ask() {
    if (this.#asking !== null) return this.#asking;
    const asking = requestServers(this.#relay, this.#token).then((answer) => {
      if (this.#asking === asking) {
        this.#asking = null;
        this.#onAnswer(answer);
      }
      return answer;
    });
    this.#asking = asking;
    return asking;
  }

  /** Why no WebSocket is opened, which a browser tells no page; null when it cannot be known. @returns {Promise<Denial | null>} */
  async why() {
    const answer = await this.ask();
    switch (answer.type) {
      case 'denied': return answer.denial;
      case 'lent': return await allowsPage(this.#relay) ? 'no-websocket' : 'origin';
      default: return null;
    }
  }
}

/** How long the relay may take to answer. */
const ASK_MS = 5000;

/** @param {string} relay @param {string | null} token @returns {Promise<Answer>} */
async function requestServers(relay, token) {
  try {
    const answer = await request(relay, 'GET', token === null ? {} : { authorization: `Bearer ${token}` });
    return readAnswer(answer.status, await answer.text(), token !== null);
  } catch {
    return { type: 'unreachable' };
  }
}

/**
 * Whether the relay lets in pages from where this one comes from, as far as it says so. A browser
 * names the page's origin with this question, as it does when it opens a WebSocket, and not when it
 * gets something from where the page is from.
 *
 * @param {string} relay
 */
async function allowsPage(relay) {
  try {
    const answer = await request(relay, 'OPTIONS', {});
    return !answer.ok || answer.headers.has('access-control-allow-origin');
  } catch {
    return true;
  }
}

/** @param {string} relay @param {string} method @param {Record<string, string>} headers */
function request(relay, method, headers) {
  return fetch(iceServersUrl(relay), {
    method,
    headers,
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
    signal: AbortSignal.timeout(ASK_MS),
  });
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
