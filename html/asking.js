// How often the relay is asked for a peer. Pure.
//
// A peer has a new connection to the relay after every call, for there is no other way out of a session.
// Whoever calls in that instant, as a page that is reloaded during a call, is told that nobody is there,
// or that it is busy; a moment later it is there.

/** For how long a peer that is not there, or busy, is asked for, in milliseconds. */
const PATIENCE_MS = 2_000;

/** How long after an answer it is asked for again. */
const PAUSE_MS = 250;

export class Asking {
  /** When it is to be asked for again; Infinity while an answer is awaited. */
  deadline = Infinity;
  #until;

  /** @param {number} now when it is asked for the first time */
  constructor(now) {
    this.#until = now + PATIENCE_MS;
  }

  /**
   * The relay could not reach the peer.
   *
   * @param {number} now
   * @returns {boolean} whether it is to be asked for again, at the deadline
   */
  onUnreachable(now) {
    if (now + PAUSE_MS > this.#until) return false;
    this.deadline = now + PAUSE_MS;
    return true;
  }

  /** @param {number} now @returns {boolean} whether to ask now; an answer is awaited then */
  isDue(now) {
    if (now < this.deadline) return false;
    this.deadline = Infinity;
    return true;
  }
}
