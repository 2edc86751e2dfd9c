// The lines of the signalling protocol: what may be a peer id, what the relay says, what a peer says
// to its partner. Parsed once, here; ../protocol/PROTOCOL.md is the normative text and
// ../protocol/vectors.txt holds lines with their meaning, read by the tests of this file and of the
// Rust crate alike.

/** The longest peer id, in bytes of UTF-8. */
export const MAX_ID_BYTES = 256;

/**
 * What a page says to the relay.
 *
 * @typedef {{ type: 'hello', id: string }
 *   | { type: 'session', peer: string }
 *   | { type: 'room', room: string }
 *   | { type: 'room-peer-msg', to: string, payload: string }
 *   | { type: 'room-peer-list' }} ClientMessage
 */

/**
 * What the relay says to a registered peer that is in no session.
 *
 * @typedef {{ type: 'hello' }
 *   | { type: 'session-ok' }
 *   | { type: 'session-from', peer: string }
 *   | { type: 'room-ok', peers: string[] }
 *   | { type: 'room-peer-joined', peer: string }
 *   | { type: 'room-peer-left', peer: string }
 *   | { type: 'room-peer-msg', from: string, payload: string }
 *   | { type: 'room-peer-list', peers: string[] }
 *   | { type: 'error', text: string }} ServerMessage
 */

/** @typedef {{ type: 'offer' | 'answer', sdp: string }} Description */

/**
 * A trickled ICE candidate; an empty text means that no more will come for this media line.
 *
 * @typedef {{ candidate: string, sdpMLineIndex: number, sdpMid?: string }} Candidate
 */

/**
 * What two peers say to one another.
 *
 * @typedef {{ type: 'description', description: Description }
 *   | { type: 'candidate', candidate: Candidate }
 *   | { type: 'offer-request' }} Signal
 */

/** @typedef {'not found' | 'busy' | 'room id' | 'room full' | 'not allowed' | 'other'} ErrorKind */

/**
 * Whether a text may be a peer id: not empty, not too long, no white space of Unicode's kinds.
 *
 * @param {string} text
 */
export function isPeerId(text) {
  return text !== '' && !BLANK.test(text) && new TextEncoder().encode(text).length <= MAX_ID_BYTES;
}

/**
 * Prints a line for the relay.
 *
 * @param {ClientMessage} message
 * @returns {string}
 */
export function formatClientMessage(message) {
  switch (message.type) {
    case 'hello': return `HELLO ${message.id}`;
    case 'session': return `SESSION ${message.peer}`;
    case 'room': return `ROOM ${message.room}`;
    case 'room-peer-msg': return `ROOM_PEER_MSG ${message.to} ${message.payload}`;
    case 'room-peer-list': return 'ROOM_PEER_LIST';
  }
}

/**
 * Reads a line of the relay; null for one this protocol does not know, which is to be ignored.
 *
 * Only for peers that are in no session: there, every line is the partner's.
 *
 * @param {string} line
 * @returns {ServerMessage | null}
 */
export function parseServerMessage(line) {
  const [word, rest] = splitAtBlank(line);
  switch (word) {
    case 'HELLO': return rest === '' ? { type: 'hello' } : null;
    case 'SESSION_OK': return rest === '' ? { type: 'session-ok' } : null;
    case 'SESSION_FROM': return isPeerId(rest) ? { type: 'session-from', peer: rest } : null;
    case 'ROOM_OK': return withPeers('room-ok', rest);
    case 'ROOM_PEER_JOINED': return isPeerId(rest) ? { type: 'room-peer-joined', peer: rest } : null;
    case 'ROOM_PEER_LEFT': return isPeerId(rest) ? { type: 'room-peer-left', peer: rest } : null;
    case 'ROOM_PEER_MSG': {
      const [from, payload] = splitAtBlank(rest);
      return rest.includes(' ') && isPeerId(from) ? { type: 'room-peer-msg', from, payload } : null;
    }
    case 'ROOM_PEER_LIST': return withPeers('room-peer-list', rest);
    case 'ERROR': return { type: 'error', text: rest };
    default: return null;
  }
}

/**
 * Classifies the text of an ERROR line.
 *
 * @param {string} text
 * @returns {ErrorKind}
 */
export function errorKind(text) {
  if (text.startsWith('peer ') && text.endsWith(' not found')) return 'not found';
  if (text.startsWith('peer ') && text.endsWith(' busy')) return 'busy';
  if (text.startsWith('invalid room id ')) return 'room id';
  if (text.startsWith('room ') && text.endsWith(' is full')) return 'room full';
  if (text === 'not allowed by this token') return 'not allowed';
  return 'other';
}

/**
 * Prints a message for the partner.
 *
 * @param {Signal} signal
 * @returns {string}
 */
export function formatSignal(signal) {
  switch (signal.type) {
    case 'offer-request': return OFFER_REQUEST;
    case 'description': {
      const { type, sdp } = signal.description;
      return JSON.stringify({ sdp: { type, sdp } });
    }
    case 'candidate': {
      const { candidate, sdpMLineIndex, sdpMid } = signal.candidate;
      return JSON.stringify({ ice: { candidate, sdpMLineIndex, sdpMid } });
    }
  }
}

/**
 * Reads a message of the partner; null for one this version does not know, which is to be ignored.
 *
 * @param {string} text
 * @returns {Signal | null}
 */
export function parseSignal(text) {
  if (text.startsWith(OFFER_REQUEST)) return { type: 'offer-request' };
  const message = parseObject(text);
  if (message === null || Object.keys(message).length !== 1) return null;
  if ('sdp' in message) return parseDescription(message.sdp);
  if ('ice' in message) return parseCandidate(message.ice);
  return null;
}

/** @param {unknown} value @returns {Signal | null} */
function parseDescription(value) {
  if (!isObject(value)) return null;
  const { type, sdp } = value;
  if ((type !== 'offer' && type !== 'answer') || typeof sdp !== 'string') return null;
  return { type: 'description', description: { type, sdp } };
}

/** @param {unknown} value @returns {Signal | null} */
function parseCandidate(value) {
  if (!isObject(value)) return null;
  const { candidate, sdpMLineIndex, sdpMid } = value;
  if (typeof candidate !== 'string' || !isLineIndex(sdpMLineIndex)) return null;
  if (typeof sdpMid === 'string') return { type: 'candidate', candidate: { candidate, sdpMLineIndex, sdpMid } };
  if (sdpMid !== undefined && sdpMid !== null) return null;
  return { type: 'candidate', candidate: { candidate, sdpMLineIndex } };
}

/** @param {unknown} value @returns {value is number} */
function isLineIndex(value) {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 32;
}

/** @param {string} text @returns {Record<string, unknown> | null} */
function parseObject(text) {
  try {
    const value = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * @param {'room-ok' | 'room-peer-list'} type
 * @param {string} text
 * @returns {ServerMessage | null}
 */
function withPeers(type, text) {
  const peers = text === '' ? [] : text.split(' ');
  return peers.every(isPeerId) ? { type, peers } : null;
}

/**
 * The word before the first blank and everything behind that blank.
 *
 * @param {string} text
 * @returns {[word: string, rest: string]}
 */
function splitAtBlank(text) {
  const blank = text.indexOf(' ');
  return blank === -1 ? [text, ''] : [text.slice(0, blank), text.slice(blank + 1)];
}

/** The bare text that asks the other side to make the offer. */
const OFFER_REQUEST = 'OFFER_REQUEST';

/** Unicode's White_Space and the four ASCII separators that Python adds; `\s` is not the same set. */
const BLANK = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;
