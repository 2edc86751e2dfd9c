// The STUN and TURN servers a relay lends for a while: what it says of them, and when to ask again.
// Pure: times are milliseconds of the wall clock, by which TURN servers count too.

/** @import { Denial } from './link.js' */

/** @typedef {{ urls: string[], username?: string, credential?: string }} IceServer */

/**
 * What came of asking: servers for so many milliseconds; nothing, from a relay that lends none; why
 * it does not let us in; no relay.
 *
 * @typedef {{ type: 'lent', servers: IceServer[], lifetimeMs: number }
 *   | { type: 'none' | 'unreachable' }
 *   | { type: 'denied', denial: Denial }} Answer
 */

/**
 * Reads the answer to a request for ICE servers.
 *
 * @param {number} status of HTTP
 * @param {string} body
 * @param {boolean} hadToken whether the request had a token
 * @returns {Answer}
 */
export function readAnswer(status, body, hadToken) {
  switch (status) {
    case 200: return parseIceServers(body) ?? { type: 'none' };
    case 401: return { type: 'denied', denial: hadToken ? 'token-refused' : 'token-missing' };
    case 403: return { type: 'denied', denial: 'origin' };
    case 429: return { type: 'denied', denial: 'too-many' };
    case 503: return { type: 'denied', denial: 'full' };
    // A relay of others knows nothing of this; what failed behind a proxy is no relay.
    default: return { type: status >= 500 ? 'unreachable' : 'none' };
  }
}

/**
 * Reads a list of servers. One that a browser would choke on voids the list: a connection that is
 * given such a one is not made at all.
 *
 * @param {string} text
 * @returns {Extract<Answer, { type: 'lent' }> | null}
 */
export function parseIceServers(text) {
  const answer = parseJson(text);
  if (!isRecord(answer) || !Array.isArray(answer.iceServers)) return null;
  const { iceServers, lifetimeSeconds } = answer;
  if (typeof lifetimeSeconds !== 'number' || !(lifetimeSeconds > 0) || iceServers.length > MAX_SERVERS) return null;
  const servers = iceServers.map(parseServer);
  if (!servers.every((server) => server !== null)) return null;
  return { type: 'lent', servers, lifetimeMs: Math.min(lifetimeSeconds * 1000, MAX_LIFETIME_MS) };
}

/** What is lent at present. */
export class Loan {
  /** @type {IceServer[]} */
  #servers = [];
  #since = -Infinity;
  #end = -Infinity;
  #due = -Infinity;

  /** Whether it is time to ask: nothing is known, or most of its time is over. @param {number} now */
  isDue(now) {
    // A clock that was set back has told nothing of what was meanwhile.
    return now >= this.#due || now < this.#since;
  }

  /** Whether it is known what there is to use. @param {number} now */
  isValid(now) {
    return now >= this.#since && now < this.#end;
  }

  /** What a call that begins now may use. @param {number} now @returns {IceServer[]} */
  servers(now) {
    return this.isValid(now) ? this.#servers : [];
  }

  /** Forgets what there was: it was lent to somebody else. */
  forget() {
    this.#servers = [];
    this.#since = this.#end = this.#due = -Infinity;
  }

  /** @param {Answer} answer @param {number} now */
  onAnswer(answer, now) {
    if (answer.type === 'lent' || answer.type === 'none') {
      const lifetimeMs = answer.type === 'lent' ? answer.lifetimeMs : NONE_MS;
      this.#servers = answer.type === 'lent' ? answer.servers : [];
      this.#since = now;
      this.#end = now + lifetimeMs;
      this.#due = now + lifetimeMs * REFRESH_AFTER;
    } else {
      // What was lent is good until its end, whatever has become of the relay.
      this.#due = now + RETRY_MS;
      if (this.isValid(now)) return;
      this.#since = now;
      this.#end = -Infinity;
    }
  }
}

/** A browser that is given many servers asks all of them, which delays every call. */
const MAX_SERVERS = 16;

/** Addresses of one server. */
const MAX_URLS = 16;

/** The longest text that is passed on to a TURN server; browsers refuse longer names. */
const MAX_CREDENTIAL_LENGTH = 509;

/** What is lent is asked for again when so much of its lifetime is over. */
const REFRESH_AFTER = 3 / 4;

/** A relay may change its mind. */
const MAX_LIFETIME_MS = 24 * 3600 * 1000;

/** How long a relay that lends nothing is believed. */
const NONE_MS = 300_000;

/** The pause after asking in vain. */
const RETRY_MS = 10_000;

/** RFC 7064: `stun:host:port`. */
const STUN = /^stuns?:(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i;

/** RFC 7065: `turn:host:port?transport=udp`. */
const TURN = /^turns?:(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?(?:\?transport=(?:udp|tcp))?$/i;

/** @param {unknown} server @returns {IceServer | null} */
function parseServer(server) {
  if (!isRecord(server)) return null;
  const { username, credential } = server;
  const urls = typeof server.urls === 'string' ? [server.urls] : server.urls;
  if (!Array.isArray(urls) || urls.length === 0 || urls.length > MAX_URLS) return null;
  if (!urls.every((url) => typeof url === 'string' && (STUN.test(url) || TURN.test(url)) && hasPort(url))) return null;
  const hasCredentials = isCredential(username) && isCredential(credential);
  if (hasCredentials) return { urls, username, credential };
  return urls.every((url) => STUN.test(url)) ? { urls } : null;
}

/** Whether the port, if one is named, is one. @param {string} url */
function hasPort(url) {
  const port = /:(\d+)(?:\?|$)/.exec(url)?.[1];
  return port === undefined || (Number(port) > 0 && Number(port) < 65_536);
}

/** @param {unknown} text @returns {text is string} */
function isCredential(text) {
  return typeof text === 'string' && text !== '' && text.length <= MAX_CREDENTIAL_LENGTH;
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
function isRecord(value) {
  return typeof value === 'object' && value !== null;
}

/** @param {string} text @returns {unknown} */
function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
