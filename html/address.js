// What the page's address asks for: `?relay=wss://host/` names the relay,
// `#call=cam&send=camera&id=me` whom to call, what to send and who to be. `token=...` lets us in at a
// relay that asks for one, and is taken out of the address at once; `ice=relay` has the calls go
// through TURN servers only, which shows whether those work.

import { isPeerId } from './protocol.js';

/**
 * @typedef {object} Wishes
 * @property {string | null} id the own id
 * @property {string | null} call whom to call at once
 * @property {boolean} send whether that call sends camera and microphone too
 * @property {boolean} relayOnly whether calls go through TURN servers and no other way
 */

/**
 * Reads the part of the address behind `#`. What is no id is as good as absent.
 *
 * @param {string} hash with or without the leading `#`
 * @returns {Wishes}
 */
export function parseHash(hash) {
  const wishes = parameters(hash);
  return {
    id: peerIdOrNull(wishes.get('id')),
    call: peerIdOrNull(wishes.get('call')),
    send: wishes.get('send') === 'camera',
    relayOnly: wishes.get('ice') === 'relay',
  };
}

/**
 * Takes the token out of the part of the address behind `#`; null when there is nothing to take.
 * What could not be sent as a token is taken out too, but is none.
 *
 * @param {string} hash with or without the leading `#`
 * @returns {{ token: string | null, rest: string } | null} `rest` is to stay in the address
 */
export function takeToken(hash) {
  const parts = hash.replace(/^#/, '').split('&');
  const others = parts.filter((part) => !parameters(part).has('token'));
  if (others.length === parts.length) return null;
  const token = parameters(hash).get('token') ?? '';
  return { token: TOKEN.test(token) ? token : null, rest: others.length === 0 ? '' : `#${others.join('&')}` };
}

/**
 * Who we may be by a token that is a JWT (RFC 7519) and says so; null for anybody. Only the relay can
 * tell whether it is a good one.
 *
 * @param {string} token
 * @returns {string | null}
 */
export function peerOf(token) {
  try {
    const claims = atob((token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/'));
    const { peer } = JSON.parse(new TextDecoder().decode(Uint8Array.from(claims, (byte) => byte.charCodeAt(0))));
    return typeof peer === 'string' ? peerIdOrNull(peer) : null;
  } catch {
    return null;
  }
}

/**
 * The address of the relay's WebSocket: the one that `?relay=` names, else the server the page came
 * from. Null when `?relay=` is no WebSocket address, or the page came from no server.
 *
 * It asks for the notice that says who calls.
 *
 * @param {string} pageUrl
 * @returns {string | null}
 */
export function relayUrl(pageUrl) {
  const page = new URL(pageUrl);
  const relay = parseUrl(page.searchParams.get('relay') ?? sameServer(page));
  if (relay === null || !['ws:', 'wss:'].includes(relay.protocol)) return null;
  relay.hash = '';
  relay.searchParams.set('notices', 'caller');
  return relay.href;
}

/**
 * The address of a relay's WebSocket with a token, never to be shown. A browser lets a page add no
 * header to the opening of a WebSocket.
 *
 * @param {string} relay the address of its WebSocket
 * @param {string | null} token
 * @returns {string}
 */
export function withToken(relay, token) {
  if (token === null) return relay;
  const url = new URL(relay);
  url.searchParams.set('token', token);
  return url.href;
}

/**
 * Where a relay tells which ICE servers it lends, and whether it lets us in.
 *
 * @param {string} relay the address of its WebSocket
 * @returns {string}
 */
export function iceServersUrl(relay) {
  const url = new URL('api/ice-servers', relay.replace(/^ws/, 'http'));
  url.username = url.password = '';
  return url.href;
}

/**
 * A random id: decimal and below 2^32, because some existing clients can only meet such peers.
 *
 * @param {number} random from 0 to below 1
 */
export function randomId(random) {
  return String(Math.floor(random * 2 ** 32));
}

/** Whatever a header may carry; relays refuse longer ones unread. */
const TOKEN = /^[!-~]{1,4096}$/;

/** @param {string} hash */
function parameters(hash) {
  // An id may hold a plus sign, which the query syntax would read as a blank.
  return new URLSearchParams(hash.replace(/^#/, '').replaceAll('+', '%2B'));
}

/** @param {URL} page */
function sameServer(page) {
  if (page.protocol === 'https:') return `wss://${page.host}/`;
  if (page.protocol === 'http:') return `ws://${page.host}/`;
  return '';
}

/** @param {string} text */
function parseUrl(text) {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

/** @param {string | null} text */
function peerIdOrNull(text) {
  return text !== null && isPeerId(text) ? text : null;
}
