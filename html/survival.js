// How a call outlives its connection: a second one is made with the same partner, which takes the place
// of the first once it stands. Pure, a part of session.js.
//
// Who made the first offer makes all that follow; the other asks for one. Where the two no longer reach
// one another through the relay, each leaves its session there, which frees both ids, and the one who
// called calls again. Whoever answers then is taken for the partner by its certificate alone: it is the
// one of the running call, and DTLS proves that its key is there too.

import { Negotiation, originOf } from './negotiation.js';
import { formatSignal } from './protocol.js';
import { announced } from './safety-words.js';

/** @import { Signal } from './protocol.js' */
/** @import { Effect, Event } from './session.js' */

/**
 * Why the connection is doubted: nothing comes, it says itself that it is in trouble, what we show to
 * the TURN server expires.
 *
 * @typedef {'silence' | 'path' | 'credentials'} Doubt
 */

/**
 * What it needs of the session it belongs to.
 *
 * @typedef {object} Host
 * @property {(effect: Effect) => void} do
 * @property {() => number} number a number for one more connection
 * @property {() => boolean} reachesPartner whether the relay carries a session
 * @property {() => boolean} isInLobby
 * @property {() => void} redial asks the relay for the partner again
 * @property {() => void} leave leaves the session at the relay
 * @property {(second: Second) => void} replace
 * @property {() => void} hangUp the partner has hung up
 */

/** @typedef {{ number: number, negotiation: Negotiation, since: number, isOfferer: boolean }} Second */

export class Survival {
  /** @type {Doubt | null} */
  #doubt = null;
  /** @type {Second | null} */
  #second = null;
  /** When we asked for an offer that has not come. @type {number | null} */
  #asked = null;
  /** How often the partner has not answered in a row. */
  #tries = 0;
  /** Nothing is tried before. */
  #notBefore = 0;
  /** When the last second connection was begun. */
  #begun = -Infinity;
  #isSilent = false;
  /** When the partner left the session at the relay, until it is known whether it has hung up. @type {number | null} */
  #left = null;
  /** The partner has ended the first connection: it may be ahead of us. */
  #firstIsClosed = false;
  /** Since when the relay was asked for the partner, or leads to somebody unproven. @type {number | null} */
  #unproven = null;
  #isRedialling = false;
  #host;
  #call;

  /**
   * @param {Host} host
   * @param {{ offers: boolean, calls: boolean, send: boolean, negotiation: () => Negotiation }} call whether
   *   we made the first offer, whether we called, whether sending is negotiated, and what was negotiated for
   *   the connection that carries it
   */
  constructor(host, call) {
    this.#host = host;
    this.#call = call;
  }

  /** The connection that is being made; null for none. */
  get second() {
    return this.#second;
  }

  /** Whether nobody at the relay has proved to be the partner since we are there. */
  get isUnproven() {
    return this.#unproven !== null;
  }

  /** Whether the relay has been asked for the partner. */
  get isRedialling() {
    return this.#isRedialling;
  }

  /** When a tick is due; Infinity for never. */
  get deadline() {
    const limits = [
      this.#second === null ? Infinity : this.#second.since + this.#secondMs(this.#second),
      this.#asked === null ? Infinity : this.#asked + this.#answerMs(),
      this.#unproven === null ? Infinity : this.#unproven + UNPROVEN_MS,
      this.#left === null ? Infinity : this.#left + LEFT_MS,
      this.#canTry() ? this.#notBefore : Infinity,
    ];
    return Math.min(...limits);
  }

  // ---- The first connection ----

  /** @param {number} ms for how long nothing has come @param {number} now */
  onSilence(ms, now) {
    if (this.#left !== null && now - ms > this.#left + LAST_WORDS_MS) this.#left = null;
    const wasSilent = this.#isSilent;
    this.#isSilent = ms > SILENCE_MS;
    if (!wasSilent && this.#isSilent) this.onDoubt('silence', now);
    if (wasSilent && !this.#isSilent) this.#trust('silence');
  }

  /** @param {string} state the W3C's RTCPeerConnectionState @param {number} now */
  onState(state, now) {
    if (state === 'disconnected' || state === 'failed') {
      this.#isSilent = true;
      this.onDoubt('path', now);
    } else if (state === 'connected') {
      this.#isSilent = false;
      this.#trust('path');
    }
  }

  /** @param {Doubt} doubt @param {number} now */
  onDoubt(doubt, now) {
    if (this.#doubt !== null) return;
    this.#doubt = doubt;
    this.#tries = 0;
    this.#try(now);
  }

  /** The partner ended the first connection. */
  onFirstClosed() {
    if (this.#second === null || !this.#second.negotiation.isAgreed) return this.#host.hangUp();
    this.#firstIsClosed = true;
  }

  /** @param {Doubt} doubt */
  #trust(doubt) {
    if (this.#doubt !== doubt) return;
    this.#doubt = null;
    // What is agreed goes on: the partner may be about to change over.
    if (!this.#second?.negotiation.isAgreed) this.#dropAttempt();
  }

  // ---- The relay ----

  /** The partner left the session: to hang up, or because it did not hear us. @param {number} now */
  onPartnerLeft(now) {
    if (this.#firstIsClosed) return this.#host.hangUp();
    if (this.#unproven === null) this.#left = now;
    this.onRelayLost();
  }

  /** The connection to the relay is gone, or leads to nobody any more. */
  onRelayLost() {
    this.#unproven = null;
    this.#isRedialling = false;
    if (!this.#second?.negotiation.isAgreed) this.#dropAttempt();
  }

  /** @param {number} now */
  onRegistered(now) {
    this.#notBefore = now;
    this.#try(now);
  }

  /** The relay has paired us with whoever has the partner's id now. @param {number} now */
  onPaired(now) {
    const wasRedialling = this.#isRedialling;
    this.#isRedialling = false;
    this.#left = null;
    this.#unproven = now;
    this.#notBefore = now;
    if (wasRedialling) this.#try(now);
  }

  /** The partner is not back yet, or not free. @param {number} now */
  onRefused(now) {
    this.#isRedialling = false;
    this.#unproven = null;
    this.#notBefore = now + PAUSE_MS;
  }

  /**
   * @param {Signal} signal of the partner, or somebody who claims to be
   * @param {number} now
   * @returns {boolean} whether it is for a second connection, or for none
   */
  onSignal(signal, now) {
    switch (signal.type) {
      case 'offer-request':
        if (this.#second === null && now >= this.#notBefore) this.#start(true, now).negotiation.makeOffer();
        return true;
      case 'candidate':
        this.#second?.negotiation.onSignal(signal);
        return this.#second !== null;
      case 'description':
        // A connection that is described anew has the origin it had.
        if (this.#second === null && originOf(signal.description.sdp) === this.#call.negotiation().origin) return false;
        if (signal.description.type === 'offer') this.#onOffer(signal, now);
        else this.#onAnswer(signal, now);
        return true;
    }
  }

  /** Whether a description announces the certificate that the partner of this call has. @param {Signal} signal */
  isOfPartner(signal) {
    const { theirs } = this.#call.negotiation();
    return signal.type === 'description' && theirs !== '' && announced(signal.description.sdp) === theirs;
  }

  /** @param {Signal} signal @param {number} now */
  #onOffer(signal, now) {
    if (!this.isOfPartner(signal)) return this.#ignore('an offer of somebody else');
    if (this.#second !== null && !this.#second.negotiation.isAgreed) return this.#ignore('an offer that crossed ours');
    if (now < this.#begun + PAUSE_MS) return this.#ignore('an offer too soon after another');
    this.#start(false, now).negotiation.onSignal(signal);
  }

  /** @param {Signal} signal @param {number} now */
  #onAnswer(signal, now) {
    const second = this.#second;
    if (second === null || second.negotiation.isAgreed) return this.#ignore('an answer to no offer');
    if (this.isOfPartner(signal)) second.negotiation.onSignal(signal);
    else this.#fail(now);
  }

  // ---- The second connection ----

  /** @param {Extract<Event, { call: number }>} event @param {number} now */
  onSecond(event, now) {
    const second = this.#second;
    if (second === null) return;
    switch (event.type) {
      case 'local-description':
        second.negotiation.onLocalDescription(event.description, this.#host.reachesPartner());
        break;
      case 'local-candidate':
        second.negotiation.onLocalCandidate(event.candidate, this.#host.reachesPartner());
        break;
      case 'connection':
        if (event.state === 'connected' && second.negotiation.isDone) this.#replace(second);
        else if (event.state === 'failed') this.#fail(now);
        break;
      case 'partner-closed': case 'negotiation-failed': this.#fail(now); break;
    }
  }

  /** Ends what is under way. */
  close() {
    this.#dropAttempt();
  }

  /** @param {Second} second */
  #replace(second) {
    this.#second = null;
    this.#asked = this.#doubt = this.#unproven = this.#left = null;
    this.#tries = 0;
    this.#isSilent = this.#firstIsClosed = this.#isRedialling = false;
    this.#host.replace(second);
  }

  /** @param {number} now */
  #fail(now) {
    this.#dropAttempt();
    this.#tries += 1;
    this.#notBefore = now + PAUSE_MS;
    if (this.#firstIsClosed) return this.#host.hangUp();
    if (!this.#isSilent) this.#doubt = null;
  }

  // ---- Tries ----

  /** @param {number} now */
  onTick(now) {
    if (this.#left !== null && this.#left + LEFT_MS <= now) {
      this.#left = null;
      if (this.#doubt === null) return this.#host.hangUp();
    }
    const second = this.#second;
    if (this.#asked !== null && this.#asked + this.#answerMs() <= now) this.#unanswered(now);
    else if (second !== null && second.since + this.#secondMs(second) <= now) {
      if (this.#firstIsClosed) return this.#host.hangUp();
      this.#unanswered(now);
    }
    if (this.#unproven !== null && this.#unproven + UNPROVEN_MS <= now) {
      if (this.#second?.negotiation.isAgreed) this.#unproven = now;
      else this.#leave();
    }
    if (this.#canTry() && this.#notBefore <= now) this.#try(now);
  }

  #canTry() {
    if (this.#doubt === null || this.#second !== null || this.#asked !== null || this.#isRedialling) return false;
    return this.#host.reachesPartner() || (this.#host.isInLobby() && this.#call.calls);
  }

  /** Begins what can be done at this moment about a connection that is doubted. @param {number} now */
  #try(now) {
    if (!this.#canTry() || now < this.#notBefore) return;
    if (!this.#host.reachesPartner()) {
      this.#isRedialling = true;
      this.#unproven = now;
      this.#host.redial();
    } else if (this.#call.offers) {
      this.#start(true, now).negotiation.makeOffer();
    } else {
      this.#asked = now;
      this.#host.do({ type: 'send', line: formatSignal({ type: 'offer-request' }) });
    }
  }

  /** The partner does not answer. It may not be on its connection to the relay any more. @param {number} now */
  #unanswered(now) {
    this.#dropAttempt();
    this.#tries += 1;
    this.#notBefore = now + PAUSE_MS;
    if (!this.#isSilent) this.#doubt = null;
    else if (this.#host.reachesPartner()) this.#leave();
  }

  #leave() {
    this.onRelayLost();
    this.#host.leave();
  }

  #dropAttempt() {
    this.#asked = null;
    if (this.#second !== null) this.#host.do({ type: 'close-peer', call: this.#second.number });
    this.#second = null;
  }

  /** @param {boolean} isOfferer @param {number} now @returns {Second} */
  #start(isOfferer, now) {
    this.#dropAttempt();
    this.#notBefore = now + PAUSE_MS;
    this.#begun = now;
    const number = this.#host.number();
    const negotiation = new Negotiation(number, isOfferer ? 'caller' : 'callee', this.#call.send, (effect) => this.#host.do(effect));
    this.#second = { number, negotiation, since: now, isOfferer };
    this.#host.do({ type: 'open-second', call: number });
    return this.#second;
  }

  /** How long an answer is waited for. */
  #answerMs() {
    return ANSWER_MS * 2 ** Math.min(this.#tries, 2);
  }

  /** How long a second connection may take. @param {Second} second */
  #secondMs({ negotiation }) {
    if (!negotiation.isAgreed) return this.#answerMs();
    // While nothing comes our answer may not have reached the partner.
    return this.#isSilent ? Math.min(SECOND_MS, SILENT_SECOND_MS * 2 ** Math.min(this.#tries, 2)) : SECOND_MS;
  }

  /** @param {string} what */
  #ignore(what) {
    this.#host.do({ type: 'ignored', what });
  }
}

/** From when on nothing coming is a reason for doubts. */
const SILENCE_MS = 2000;

/** How long the partner may take to answer, the first time. */
const ANSWER_MS = 1500;

/** How long a second connection may take, once both descriptions are known. */
const SECOND_MS = 10_000;

/** The same while nothing comes over the first one, the first time. */
const SILENT_SECOND_MS = 2500;

/** How long nothing more is tried after something failed, and the shortest time between two beginnings. */
const PAUSE_MS = 400;

/** How long a partner that has left the session may be heard of no more before it has hung up. */
const LEFT_MS = 1500;

/** What comes so soon after it was on its way before. */
const LAST_WORDS_MS = 400;

/** How long a session with somebody who has not proved to be the partner may last. */
const UNPROVEN_MS = 8000;
