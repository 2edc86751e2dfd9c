// The exchange of descriptions and candidates in one call, after RFC 8829 (offer and answer) and
// RFC 8838 (trickle ICE). Pure, a part of session.js: methods append to the effects they are given.
//
// Candidates that overtake their description wait, on the way in and on the way out.

import { formatSignal } from './protocol.js';
import { announced } from './safety-words.js';

/** @import { Candidate, Description, Signal } from './protocol.js' */
/** @import { Effect } from './session.js' */

export class Negotiation {
  /** @type {'none' | 'making' | 'offered' | 'answering' | 'done'} */
  #exchange = 'none';
  #hasLocalDescription = false;
  #hasRemoteDescription = false;
  #hasAllCandidates = false;
  #isOurs = false;
  #theirs = '';
  #origin = '';
  /** The partner's candidates. @type {Candidate[]} */
  #early = [];
  /** What we have to say, while the session does not stand. @type {Signal[]} */
  #outbox = [];
  #call;
  #role;
  #send;
  #effects;

  /**
   * @param {number} call its number
   * @param {'caller' | 'callee'} role
   * @param {boolean} send whether camera and microphone are negotiated too
   * @param {(effect: Effect) => void} effects
   */
  constructor(call, role, send, effects) {
    this.#call = call;
    this.#role = role;
    this.#send = send;
    this.#effects = effects;
  }

  /** Whether both descriptions are exchanged. */
  get isDone() {
    return this.#exchange === 'done';
  }

  /** Whether the partner has answered our offer, or we are answering, or have answered, its own. */
  get isAgreed() {
    return this.#exchange === 'done' || this.#exchange === 'answering';
  }

  /** Whether the offer was ours. */
  get isOurs() {
    return this.#isOurs;
  }

  /** Which session the partner's description is of. */
  get origin() {
    return this.#origin;
  }

  /** The fingerprint that the partner's description announces; '' for none. */
  get theirs() {
    return this.#theirs;
  }

  makeOffer() {
    this.#exchange = 'making';
    this.#effects({ type: 'make-offer', call: this.#call, send: this.#send });
  }

  /** @param {Signal} signal of the partner */
  onSignal(signal) {
    switch (signal.type) {
      case 'offer-request':
        if (this.#exchange === 'none') this.makeOffer();
        else this.#ignore('a request for an offer that is already on its way');
        break;
      case 'candidate': this.#onCandidate(signal.candidate); break;
      case 'description':
        if (signal.description.type === 'offer') this.#onOffer(signal.description);
        else this.#onAnswer(signal.description);
    }
  }

  /**
   * @param {Description} description
   * @param {boolean} inSession whether the partner can be told now
   */
  onLocalDescription(description, inSession) {
    if (this.#exchange !== (description.type === 'offer' ? 'making' : 'answering')) {
      return this.#ignore('a description of ours that was overtaken');
    }
    // It goes first: candidates mean nothing without it.
    this.#outbox.unshift({ type: 'description', description });
    this.#hasLocalDescription = true;
    this.#exchange = description.type === 'offer' ? 'offered' : 'done';
    if (inSession) this.flush();
  }

  /**
   * @param {Candidate | null} candidate null when there will be no more, which is said once
   * @param {boolean} inSession whether the partner can be told now
   */
  onLocalCandidate(candidate, inSession) {
    if (candidate === null) {
      if (this.#hasAllCandidates) return;
      this.#hasAllCandidates = true;
    }
    if (this.#outbox.length >= MAX_WAITING) return this.#ignore('one candidate of ours too many');
    this.#outbox.push({ type: 'candidate', candidate: candidate ?? END_OF_CANDIDATES });
    if (inSession) this.flush();
  }

  /** Says what had to wait for the session or for our description. */
  flush() {
    if (!this.#hasLocalDescription) return;
    for (const signal of this.#outbox.splice(0)) {
      this.#effects({ type: 'send', line: formatSignal(signal) });
    }
  }

  /** @param {Description} description */
  #onOffer(description) {
    const isCrossing = this.#exchange === 'making' || this.#exchange === 'offered';
    // The callee gives way, its connection rolls its own offer back.
    if (isCrossing && this.#role === 'caller') return this.#ignore('an offer that crossed ours');
    this.#exchange = 'answering';
    this.#isOurs = false;
    this.#theirs = announced(description.sdp);
    this.#origin = originOf(description.sdp);
    this.#effects({ type: 'make-answer', call: this.#call, description, send: this.#send });
    this.#releaseEarly();
  }

  /** @param {Description} description */
  #onAnswer(description) {
    if (this.#exchange !== 'offered') return this.#ignore('an answer to no offer');
    this.#exchange = 'done';
    this.#isOurs = true;
    this.#theirs = announced(description.sdp);
    this.#origin = originOf(description.sdp);
    this.#effects({ type: 'accept-answer', call: this.#call, description });
    this.#releaseEarly();
  }

  /** @param {Candidate} candidate */
  #onCandidate(candidate) {
    if (this.#hasRemoteDescription) {
      this.#effects({ type: 'add-candidate', call: this.#call, candidate });
    } else if (this.#early.length < MAX_WAITING) {
      this.#early.push(candidate);
    } else {
      this.#ignore('one candidate too many');
    }
  }

  #releaseEarly() {
    this.#hasRemoteDescription = true;
    for (const candidate of this.#early.splice(0)) {
      this.#effects({ type: 'add-candidate', call: this.#call, candidate });
    }
  }

  /** @param {string} what */
  #ignore(what) {
    this.#effects({ type: 'ignored', what });
  }
}

/**
 * The session that a description is of: it stays the same when a connection is described anew, and no
 * other connection has it (RFC 4566, section 5.2); '' when it is not said.
 *
 * @param {string} sdp
 * @returns {string}
 */
export function originOf(sdp) {
  return /^o=\S+ (\d+) /m.exec(sdp)?.[1] ?? '';
}

/** Candidates kept, of either side. */
const MAX_WAITING = 256;

/** @type {Candidate} */
const END_OF_CANDIDATES = { candidate: '', sdpMLineIndex: 0 };
