// What a call of the page is: how far it is, how long that may last, and why it ends. Pure.

/** @import { Asking } from './asking.js' */
/** @import { Negotiation } from './negotiation.js' */
/** @import { ErrorKind } from './protocol.js' */
/** @import { Survival } from './survival.js' */

/**
 * How far a call is: waiting to be registered, asked for at the relay, exchanging descriptions,
 * looking for a path, flowing, interrupted.
 *
 * @typedef {'waiting' | 'dialling' | 'negotiating' | 'connecting' | 'connected' | 'interrupted'} Phase
 * @typedef {'off' | 'opening' | 'on' | 'refused'} Sending
 */

/**
 * @typedef {object} Call
 * @property {number} number
 * @property {string | null} peer null for a caller whom the relay did not name
 * @property {'caller' | 'callee'} role
 * @property {Phase} phase
 * @property {number} until when this phase has lasted too long; Infinity for never
 * @property {Asking | null} asking while the relay is asked for the peer
 * @property {boolean} send whether sending was agreed when the call began; it decides what is negotiated
 * @property {Sending} sending
 * @property {Negotiation} negotiation
 * @property {number} connection the number of the connection that carries the call
 * @property {Survival | null} survival null before it is connected
 */

/**
 * Why a call ended, or could not begin.
 *
 * @typedef {'hung-up' | 'hung-up-by-peer' | 'not-found' | 'busy' | 'refused-by-relay' | 'relay-unreachable'
 *   | 'declined' | 'relay-silent' | 'relay-lost' | 'no-answer' | 'no-path' | 'connection-lost' | 'media-refused'
 *   | 'replaced' | 'invalid-id' | 'yourself' | 'no-id' | 'not-let-in' | 'not-allowed'} Reason
 */

/** How long each phase may last. @type {Record<Phase, number>} */
export const PHASE_MS = {
  waiting: 15_000,
  dialling: 10_000,
  negotiating: 30_000,
  connecting: 30_000,
  connected: Infinity,
  interrupted: 30_000,
};

/** Why a call ends that the relay answers so. @type {Record<ErrorKind, Reason>} */
export const REASON_OF_ERROR = {
  'not found': 'not-found',
  'busy': 'busy',
  'not allowed': 'not-allowed',
  'room id': 'refused-by-relay',
  'room full': 'refused-by-relay',
  'other': 'refused-by-relay',
};

/** Why a call ends whose phase lasted longer. @type {Record<Phase, Reason>} */
export const REASON_WHEN_TOO_LONG = {
  waiting: 'relay-unreachable',
  dialling: 'relay-silent',
  negotiating: 'no-answer',
  connecting: 'no-path',
  connected: 'connection-lost',
  interrupted: 'connection-lost',
};
