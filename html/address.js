// What the page's address asks for: `?relay=wss://host/` names the relay,
// `#call=cam&send=camera&id=me` whom to call, what to send and who to be.

import { isPeerId } from './protocol.js';

/**
 * @typedef {object} Wishes
 * @property {string | null} id the own id
 * @property {string | null} call whom to call at once
 * @property {boolean} send whether that call sends camera and microphone too
 */

/**
 * Reads the part of the address behind `#`. What is no id is as good as absent.
 *
 * @param {string} hash with or without the leading `#`
 * @returns {Wishes}
 */
export function parseHash(hash) {
  // An id may hold a plus sign, which the query syntax would read as a blank.
  const wishes = new URLSearchParams(hash.replace(/^#/, '').replaceAll('+', '%2B'));
  return {
    id: peerIdOrNull(wishes.get('id')),
    call: peerIdOrNull(wishes.get('call')),
    send: wishes.get('send') === 'camera',
  };
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
 * A random id: decimal and below 2^32, because some existing clients can only meet such peers.
 *
 * @param {number} random from 0 to below 1
 */
export function randomId(random) {
  return String(Math.floor(random * 2 ** 32));
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
