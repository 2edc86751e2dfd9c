// How the page stands with the relay: connecting, registering, and both again after every loss.
// Pure, a part of session.js: methods append to the effects they are given.

import { delayMs } from './backoff.js';
import { formatClientMessage, parseServerMessage } from './protocol.js';

/** @import { Effect } from './session.js' */

/**
 * Not asked yet, opening the socket, waiting for the answer to HELLO, free, in a session, waiting for
 * the socket to close before the next one, waiting before the next attempt, our id taken by another.
 *
 * @typedef {{ at: 'connecting' | 'greeting' | 'closing' | 'waiting', until: number }
 *   | { at: 'offline' | 'registered' | 'session' | 'refused' }} State
 */

/**
 * What the end of a connection means for a call: nothing, the relay is lost, it ended our session
 * because the partner left, it refuses our id, it does not let us in.
 *
 * @typedef {'nothing' | 'lost' | 'partner-left' | 'refused' | 'denied'} Meaning
 */

/**
 * Why a relay does not let us in: it asks for a token, does not take ours, or not for this id; lets in
 * no page from where ours is from; has too many connections of ours, or of everybody's; answers, but
 * opens no WebSocket.
 *
 * @typedef {'token-missing' | 'token-refused' | 'id' | 'origin' | 'too-many' | 'full' | 'no-websocket'} Denial
 */

export class Link {
  /** @type {State} */
  #state = { at: 'offline' };
  #id = '';
  /** Connections lost in a row, none of which had lasted. */
  #losses = 0;
  #registeredAt = 0;
  /** When this id was last ours: the relay may take a while to see that the old connection died. */
  #heldAt = -Infinity;
  /** What the relay last said to our wish to come in, until it says something else. @type {Denial | null} */
  #denial = null;
  #random;
  #effects;

  /**
   * @param {() => number} random from 0 to below 1
   * @param {(effect: Effect) => void} effects
   */
  constructor(random, effects) {
    this.#random = random;
    this.#effects = effects;
  }

  get at() {
    return this.#state.at;
  }

  get id() {
    return this.#id;
  }

  /** Why the relay does not let us in; null if it does, or has not said. */
  get denial() {
    return this.#denial;
  }

  /** Whether nothing changes before somebody does something about it. */
  get isDenied() {
    return this.#denial !== null && FINAL.includes(this.#denial);
  }

  /** When a tick is due; Infinity for never. */
  get deadline() {
    return 'until' in this.#state ? this.#state.until : Infinity;
  }

  /** Whether the relay was lost, not reached, or did not let us in, and is being tried again. */
  get isLost() {
    return (this.#losses > 0 || this.#denial !== null) && this.at !== 'registered' && this.at !== 'session';
  }

  /** Registers under a new id, leaving what there was. @param {string} id @param {number} now */
  register(id, now) {
    this.#id = id;
    if (this.#denial === 'id') this.#denial = null;
    this.reconnect(now);
    this.#heldAt = -Infinity;
  }

  /** Comes in with another token, leaving what there was. @param {number} now */
  renew(now) {
    this.#denial = null;
    if (this.at !== 'offline') this.reconnect(now);
  }

  /** Leaves whatever the connection carries and registers anew. @param {number} now */
  reconnect(now) {
    switch (this.at) {
      case 'closing': return;
      case 'offline': case 'waiting': case 'refused': return this.#connect(now);
      default:
        if (this.at === 'registered' || this.at === 'session') this.#heldAt = now;
        // The new HELLO has to wait until the relay knows that the old one is over.
        this.#state = { at: 'closing', until: now + CLOSE_MS };
        this.#effects({ type: 'disconnect' });
    }
  }

  /** Makes the next attempt now. @param {number} now */
  retry(now) {
    if (this.at === 'waiting') this.#connect(now);
  }

  /** @param {number} now */
  onOpened(now) {
    if (this.at !== 'connecting') return;
    this.#state = { at: 'greeting', until: now + CONNECT_MS };
    this.#effects({ type: 'send', line: formatClientMessage({ type: 'hello', id: this.#id }) });
  }

  /**
   * @param {string} line
   * @param {number} now
   * @returns {boolean} whether it was the answer to HELLO
   */
  onGreetingLine(line, now) {
    if (parseServerMessage(line)?.type !== 'hello') return false;
    this.#denial = null;
    this.#state = { at: 'registered' };
    this.#registeredAt = now;
    return true;
  }

  onSession() {
    this.#state = { at: 'session' };
  }

  /**
   * @param {number} code
   * @param {string} reason
   * @param {Denial | null} denial why the connection was not opened, as far as that is known
   * @param {number} now
   * @returns {Meaning}
   */
  onClosed(code, reason, denial, now) {
    switch (this.at) {
      case 'offline': case 'waiting': case 'refused': return 'nothing';
      case 'closing':
        this.#connect(now);
        return 'nothing';
      case 'session':
        if (code !== 1000) return this.#lose(now);
        // The relay ends a session so when the partner left it.
        this.#connect(now);
        return 'partner-left';
      case 'greeting':
        if (code === 1008 && reason === 'not allowed by token') return this.#refuse('id');
        if (code === 1013) return this.#deny('full', now);
        if (code !== 1002 || reason !== 'invalid peer uid' || now - this.#heldAt < GHOST_MS) return this.#lose(now);
        return this.#refuse(null);
      default: return denial === null ? this.#lose(now) : this.#deny(denial, now);
    }
  }

  /** @param {number} now @returns {Meaning} */
  onTick(now) {
    if (this.deadline > now) return 'nothing';
    if (this.at === 'closing' || this.at === 'waiting') {
      this.#connect(now);
      return 'nothing';
    }
    this.#effects({ type: 'disconnect' });
    return this.#lose(now);
  }

  /** @param {number} now */
  #connect(now) {
    this.#state = { at: 'connecting', until: now + CONNECT_MS };
    this.#effects({ type: 'connect' });
  }

  /** Our id is not for us. @param {Denial | null} denial @returns {Meaning} */
  #refuse(denial) {
    this.#losses = 0;
    this.#denial = denial;
    this.#state = { at: 'refused' };
    return 'refused';
  }

  /** The relay is there and does not let us in. @param {Denial} denial @param {number} now @returns {Meaning} */
  #deny(denial, now) {
    this.#denial = denial;
    // Somebody may allow it without coming here to say so; not all who were denied ask at once.
    const longest = this.isDenied ? DENIED_MS : CROWDED_MS;
    this.#state = { at: 'waiting', until: now + longest * (1 - this.#random() / 2) };
    return this.isDenied ? 'denied' : 'lost';
  }

  /** The connection is gone without anybody having meant it. @param {number} now @returns {Meaning} */
  #lose(now) {
    this.#denial = null;
    if (this.at === 'registered' || this.at === 'session') {
      this.#heldAt = now;
      if (now - this.#registeredAt > LASTING_MS) this.#losses = 0;
    }
    this.#state = { at: 'waiting', until: now + delayMs(this.#losses, this.#random()) };
    this.#losses += 1;
    return 'lost';
  }
}

/** How long a connection or the answer to HELLO may take. */
const CONNECT_MS = 10_000;

/** How long the relay may take to close its side. */
const CLOSE_MS = 2000;

/** A registration that lasted so long was a good one: what comes after it starts patiently anew. */
const LASTING_MS = 5000;

/** What does not pass by itself. @type {Denial[]} */
const FINAL = ['token-missing', 'token-refused', 'origin'];

/** The longest wait before a relay is asked again that does not let us in. */
const DENIED_MS = 30_000;

/** The longest wait before a relay is asked again that has too much to do. */
const CROWDED_MS = 5000;

/** How long a relay may hold an id for a connection that is already dead. */
const GHOST_MS = 60_000;
