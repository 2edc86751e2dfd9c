// The state machine of the page: being registered at the relay, and one call at a time.
//
// Pure: it has no socket, no RTCPeerConnection, no document and no clock. `handle(event, now)` takes
// what happened and answers with what to do, in order. Times are milliseconds on the caller's clock;
// after `deadline` the caller owes an event of type 'tick'.
//
// Two facts are kept apart, because a call outlives the relay that arranged it: how we stand with the
// relay (link.js), and the call (its exchange of descriptions in negotiation.js). What holds between them:
//   - while the link carries a session there is a call, and a call that ends takes its session along;
//   - a line for the partner is sent only while the link carries the session;
//   - every call has a number, and every connection; what they report late is recognised by it. A call's
//     first connection has the number of the call. How another one takes its place is said in survival.js.

import { Asking } from './asking.js';
import { PHASE_MS, REASON_OF_ERROR, REASON_WHEN_TOO_LONG } from './call.js';
import { Link } from './link.js';
import { Negotiation } from './negotiation.js';
import { errorKind, formatClientMessage, isPeerId, parseServerMessage, parseSignal } from './protocol.js';
import { Survival } from './survival.js';

/** @import { Call, Phase, Reason } from './call.js' */
/** @import { Denial, Meaning } from './link.js' */
/** @import { Candidate, Description } from './protocol.js' */
/** @import { Second } from './survival.js' */

/**
 * What happened.
 *
 * @typedef {{ type: 'start' | 'change-id', id: string }
 *   | { type: 'call', peer: string, send: boolean }
 *   | { type: 'hang-up' | 'retry' | 'new-token' | 'tick' | 'relay-opened' }
 *   | { type: 'agree-to-send', agreed: boolean }
 *   | { type: 'relay-line', line: string }
 *   | { type: 'relay-closed', code: number, reason: string, denial: Denial | null }
 *   | { type: 'local-description', call: number, description: Description }
 *   | { type: 'local-candidate', call: number, candidate: Candidate | null }
 *   | { type: 'connection', call: number, state: string }
 *   | { type: 'partner-closed' | 'negotiation-failed', call: number }
 *   | { type: 'silence', call: number, ms: number }
 *   | { type: 'credentials', call: number }
 *   | { type: 'devices', call: number, opened: boolean }} Event
 */

/**
 * What to do. 'connect' replaces whatever connection there was; 'disconnect' closes it with 1000. Calls
 * and connections go by their numbers; 'replace-peer' shows what comes over another connection from now
 * on, and closes the one before.
 *
 * @typedef {{ type: 'connect' | 'disconnect' }
 *   | { type: 'send', line: string }
 *   | { type: 'open-peer' | 'open-second' | 'replace-peer' | 'close-peer' | 'open-devices' | 'close-devices', call: number }
 *   | { type: 'make-offer', call: number, send: boolean }
 *   | { type: 'make-answer', call: number, description: Description, send: boolean }
 *   | { type: 'accept-answer', call: number, description: Description }
 *   | { type: 'add-candidate', call: number, candidate: Candidate }
 *   | { type: 'ignored', what: string }} Effect
 */

export class Session {
  /** @type {Call | null} */
  #call = null;
  #connections = 0;
  #agreedToSend = false;
  /** @type {{ peer: string | null, reason: Reason } | null} */
  #ended = null;
  /** @type {number | null} */
  #dialledAt = null;
  #now = 0;
  /** @type {Effect[]} */
  #effects = [];
  #link;

  /** @param {() => number} random from 0 to below 1, for the jitter of reconnecting */
  constructor(random) {
    this.#link = new Link(random, (effect) => this.#do(effect));
  }

  /** When a 'tick' is due, if nothing else happens before; Infinity for never. */
  get deadline() {
    const call = this.#call;
    return Math.min(this.#link.deadline, call?.until ?? Infinity, call?.asking?.deadline ?? Infinity, call?.survival?.deadline ?? Infinity);
  }

  /** What there is to see, for the page and for tests. */
  get snapshot() {
    const call = this.#call;
    return {
      id: this.#link.id,
      link: this.#link.at,
      /** Whether the relay was lost, not reached, or did not let us in, and is being tried again. */
      isRelayLost: this.#link.isLost,
      /** Why the relay does not let us in; null if it does, or has not said. */
      denial: this.#link.denial,
      /** Whether that lasts until somebody does something about it. */
      isDenied: this.#link.isDenied,
      call: call && { number: call.number, peer: call.peer, role: call.role, phase: call.phase, sending: call.sending },
      /** How the last call ended; null while there is one and before the first. */
      ended: this.#ended,
      agreedToSend: this.#agreedToSend,
      /** When SESSION was sent for the present or last call; null when we were called. */
      dialledAt: this.#dialledAt,
    };
  }

  /**
   * @param {Event} event
   * @param {number} now
   * @returns {Effect[]} what to do, in this order
   */
  handle(event, now) {
    this.#now = now;
    this.#effects = [];
    switch (event.type) {
      case 'start': this.#start(event.id); break;
      case 'change-id': this.#changeId(event.id); break;
      case 'call': this.#place(event.peer, event.send); break;
      case 'hang-up': this.#end('hung-up'); break;
      case 'agree-to-send': this.#agreeToSend(event.agreed); break;
      case 'retry': this.#link.retry(now); break;
      case 'new-token': this.#onNewToken(); break;
      case 'tick': this.#onTick(); break;
      case 'relay-opened': this.#link.onOpened(now); break;
      case 'relay-line': this.#onLine(event.line); break;
      case 'relay-closed': this.#onLink(this.#link.onClosed(event.code, event.reason, event.denial, now)); break;
      default: this.#onCallEvent(event);
    }
    return this.#effects;
  }

  // ---- The relay ----

  /** @param {string} id */
  #start(id) {
    if (this.#link.at === 'offline') this.#link.register(id, this.#now);
  }

  /** @param {string} id */
  #changeId(id) {
    if (this.#link.at === 'offline' || (id === this.#link.id && this.#link.at !== 'refused')) return;
    if (!isPeerId(id)) return this.#refuse(id, 'invalid-id');
    this.#end('hung-up');
    this.#ended = null;
    this.#link.register(id, this.#now);
  }

  #onNewToken() {
    // A call that stands was let in with the old one.
    if (this.#call === null || this.#call.phase === 'waiting') this.#link.renew(this.#now);
  }

  /** @param {Meaning} meaning of what happened to the connection */
  #onLink(meaning) {
    const call = this.#call;
    if (call === null) return;
    switch (meaning) {
      case 'partner-left':
        if (call.survival !== null) return call.survival.onPartnerLeft(this.#now);
        return this.#finish(call.role === 'caller' && call.phase === 'negotiating' ? 'declined' : 'hung-up-by-peer');
      case 'refused': if (call.phase === 'waiting') this.#finish('no-id'); return;
      case 'denied': if (call.phase === 'waiting') this.#finish('not-let-in'); return;
      case 'lost':
        // What flows, flows on; what was asked for is asked for again; what was half said is void.
        if (call.phase === 'dialling') this.#enter(call, 'waiting');
        if (call.phase === 'negotiating') this.#finish('relay-lost');
        call.survival?.onRelayLost();
    }
  }

  #onTick() {
    this.#onLink(this.#link.onTick(this.#now));
    this.#call?.survival?.onTick(this.#now);
    const call = this.#call;
    if (call === null) return;
    if (call.until <= this.#now) this.#end(REASON_WHEN_TOO_LONG[call.phase]);
    else if (call.asking?.isDue(this.#now)) this.#ask(call.peer);
  }

  /** @param {string} line */
  #onLine(line) {
    switch (this.#link.at) {
      case 'greeting': return this.#onGreetingLine(line);
      case 'registered': return this.#onLobbyLine(line);
      case 'session': return this.#onPartnerLine(line);
      default: this.#ignore('a line after the end of the connection');
    }
  }

  /** @param {string} line */
  #onGreetingLine(line) {
    if (!this.#link.onGreetingLine(line, this.#now)) return this.#ignore('a line before HELLO was answered');
    if (this.#call?.phase === 'waiting') this.#dial(this.#call);
    this.#call?.survival?.onRegistered(this.#now);
  }

  /** @param {string} line */
  #onLobbyLine(line) {
    const message = parseServerMessage(line);
    const dialling = this.#call?.phase === 'dialling' ? this.#call : null;
    const survival = this.#call?.survival ?? null;
    if (survival?.isRedialling && (message?.type === 'session-ok' || message?.type === 'error')) {
      if (message.type === 'error') return survival.onRefused(this.#now);
      this.#link.onSession();
      survival.onPaired(this.#now);
    } else if (message?.type === 'session-ok' && dialling !== null) {
      this.#link.onSession();
      this.#enter(dialling, 'negotiating');
      dialling.negotiation.flush();
    } else if (message?.type === 'error' && dialling !== null) {
      const kind = errorKind(message.text);
      const isForNow = kind === 'not found' || kind === 'busy';
      if (!isForNow || !dialling.asking?.onUnreachable(this.#now)) this.#finish(REASON_OF_ERROR[kind]);
    } else if (message?.type === 'session-from') {
      this.#onCalled(message.peer);
    } else if (survival !== null && this.#isOfPartner(survival, line)) {
      // The same from a relay that does not announce callers.
      this.#link.onSession();
      survival.onPaired(this.#now);
      this.#onPartnerLine(line);
    } else if (parseSignal(line) !== null) {
      // A relay that does not announce callers: the partner's first message is the call.
      this.#onCalled(null);
      if (this.#link.at === 'session') this.#onPartnerLine(line);
    } else {
      this.#ignore('a line of no meaning here');
    }
  }

  // ---- Calls ----

  /** @param {string} peer @param {boolean} send */
  #place(peer, send) {
    if (this.#call !== null && this.#call.peer === peer) return;
    this.#end('hung-up');
    if (!isPeerId(peer)) return this.#refuse(peer, 'invalid-id');
    if (peer === this.#link.id) return this.#refuse(peer, 'yourself');
    if (this.#link.at === 'refused') return this.#refuse(peer, 'no-id');
    if (this.#link.isDenied) return this.#refuse(peer, 'not-let-in');
    const call = this.#begin(peer, 'caller', send);
    if (this.#link.at === 'registered') this.#dial(call);
    this.#open(call);
    // While the relay is asked, so that it leaves the moment the session stands.
    call.negotiation.makeOffer();
  }

  /** @param {string} peer @param {Reason} reason */
  #refuse(peer, reason) {
    this.#ended = { peer, reason };
  }

  /** @param {Call} call */
  #dial(call) {
    this.#enter(call, 'dialling');
    this.#dialledAt = this.#now;
    this.#ask(call.peer);
  }

  /** @param {string | null} peer */
  #ask(peer) {
    this.#do({ type: 'send', line: formatClientMessage({ type: 'session', peer: peer ?? '' }) });
  }

  /**
   * The relay has put us into a session that we did not ask for.
   *
   * @param {string | null} peer
   */
  #onCalled(peer) {
    const call = this.#call;
    const samePeer = call !== null && peer !== null && call.peer === peer;
    if (call !== null && call.phase === 'dialling') {
      if (peer !== null && !samePeer) {
        // Somebody else was faster. Leave that session and ask again for the peer that was meant.
        this.#enter(call, 'waiting');
        this.#link.reconnect(this.#now);
        return;
      }
    } else if (call !== null && call.survival !== null && samePeer) {
      // The partner of the running call, or one that is called like it: its first word will tell.
      this.#link.onSession();
      return call.survival.onPaired(this.#now);
    } else if (call !== null && !samePeer) {
      // Media still flows with somebody else, only the session is lost. One call at a time.
      this.#link.reconnect(this.#now);
      return;
    }
    // Nobody was called, or both called at once and the other was first, or the partner of a call
    // that never stood begins anew. The name is a label, no proof: to send on the strength of
    // it, what was agreed for one call to that peer is not enough.
    if (call !== null) this.#finish('replaced');
    this.#link.onSession();
    const callee = this.#begin(peer, 'callee', this.#agreedToSend);
    this.#enter(callee, 'negotiating');
    this.#open(callee);
  }

  /**
   * @param {string | null} peer
   * @param {'caller' | 'callee'} role
   * @param {boolean} send
   * @returns {Call}
   */
  #begin(peer, role, send) {
    this.#connections += 1;
    this.#ended = null;
    this.#dialledAt = null;
    const number = this.#connections;
    const negotiation = new Negotiation(number, role, send, (effect) => this.#do(effect));
    /** @type {Call} */
    const call = { number, peer, role, phase: 'waiting', until: 0, asking: null, send, sending: send ? 'opening' : 'off', negotiation, connection: number, survival: null };
    this.#call = call;
    this.#enter(call, 'waiting');
    return call;
  }

  /** @param {Call} call */
  #open({ number, send }) {
    this.#do({ type: 'open-peer', call: number });
    if (send) this.#do({ type: 'open-devices', call: number });
  }

  /** @param {Call} call @param {Phase} phase */
  #enter(call, phase) {
    call.phase = phase;
    call.until = this.#now + PHASE_MS[phase];
    call.asking = phase === 'dialling' ? new Asking(this.#now) : null;
  }

  /**
   * Ends the call and its session, which takes a new connection to the relay.
   *
   * @param {Reason} reason
   */
  #end(reason) {
    const call = this.#call;
    if (call === null) return;
    const isKnownToRelay = this.#link.at === 'session' || call.phase === 'dialling';
    this.#finish(reason);
    if (isKnownToRelay) this.#link.reconnect(this.#now);
  }

  /** @param {Reason} reason */
  #finish(reason) {
    const call = this.#call;
    if (call === null) return;
    this.#call = null;
    this.#ended = { peer: call.peer, reason };
    if (call.send) this.#do({ type: 'close-devices', call: call.number });
    call.survival?.close();
    this.#do({ type: 'close-peer', call: call.connection });
  }

  /** @param {boolean} agreed */
  #agreeToSend(agreed) {
    this.#agreedToSend = agreed;
    const call = this.#call;
    // What was not negotiated cannot be sent: then the agreement counts from the next call on.
    if (call === null || !call.send) return;
    if (!agreed && call.sending !== 'off') {
      call.sending = 'off';
      this.#do({ type: 'close-devices', call: call.number });
    } else if (agreed && (call.sending === 'off' || call.sending === 'refused')) {
      call.sending = 'opening';
      this.#do({ type: 'open-devices', call: call.number });
    }
  }

  // ---- The partner ----

  /** @param {string} line */
  #onPartnerLine(line) {
    const call = this.#call;
    const signal = parseSignal(line);
    // Also what was sent before the sender knew it was in a session, as `SESSION` with our own id.
    if (call === null || signal === null) return this.#ignore('a message of the partner');
    const { survival } = call;
    if (survival !== null) {
      if (survival.isUnproven && signal.type === 'description' && signal.description.type === 'offer' && !survival.isOfPartner(signal)) {
        return this.#callAnew(call, line);
      }
      if (survival.onSignal(signal, this.#now)) return;
    }
    call.negotiation.onSignal(signal);
    this.#onNegotiated(call);
  }

  // ---- Our own side of the call ----

  /** @param {Extract<Event, { call: number }>} event */
  #onCallEvent(event) {
    const call = this.#call;
    if (call?.survival?.second?.number === event.call && event.type !== 'devices') return call.survival.onSecond(event, this.#now);
    const number = event.type === 'devices' ? call?.number : call?.connection;
    if (call === null || number !== event.call) return this.#ignore(`${event.type} of what is over`);
    switch (event.type) {
      case 'local-description':
        call.negotiation.onLocalDescription(event.description, this.#link.at === 'session');
        this.#onNegotiated(call);
        break;
      case 'local-candidate':
        call.negotiation.onLocalCandidate(event.candidate, this.#link.at === 'session');
        break;
      case 'connection': this.#onConnection(call, event.state); break;
      case 'partner-closed':
        if (call.survival === null) this.#end('hung-up-by-peer');
        else call.survival.onFirstClosed();
        break;
      case 'negotiation-failed': this.#end('media-refused'); break;
      case 'silence': call.survival?.onSilence(event.ms, this.#now); break;
      case 'credentials': call.survival?.onDoubt('credentials', this.#now); break;
      case 'devices': if (call.sending === 'opening') call.sending = event.opened ? 'on' : 'refused'; break;
    }
  }

  /** @param {Call} call */
  #onNegotiated(call) {
    if (call.phase === 'negotiating' && call.negotiation.isDone) this.#enter(call, 'connecting');
  }

  /** @param {Call} call @param {string} state the W3C's RTCPeerConnectionState */
  #onConnection(call, state) {
    if (state === 'connected' && (call.phase === 'connecting' || call.phase === 'interrupted')) {
      this.#enter(call, 'connected');
    } else if (call.phase === 'connected' && (state === 'disconnected' || state === 'failed')) {
      this.#enter(call, 'interrupted');
    } else if (state === 'failed' && call.phase !== 'interrupted') {
      return this.#end('no-path');
    }
    if (call.phase !== 'connected' && call.phase !== 'interrupted') return;
    call.survival ??= this.#survivalOf(call);
    call.survival.onState(state, this.#now);
  }

  /** @param {Call} call that has just come up */
  #survivalOf(call) {
    const { role, send } = call;
    return new Survival({
      do: (effect) => this.#do(effect),
      number: () => this.#connections += 1,
      reachesPartner: () => this.#link.at === 'session',
      isInLobby: () => this.#link.at === 'registered',
      redial: () => this.#ask(call.peer),
      leave: () => this.#link.reconnect(this.#now),
      replace: (second) => this.#replace(call, second),
      hangUp: () => this.#end('hung-up-by-peer'),
    }, { offers: call.negotiation.isOurs, calls: role === 'caller', send, negotiation: () => call.negotiation });
  }

  /** @param {Call} call @param {Second} second that stands */
  #replace(call, { number, negotiation }) {
    call.connection = number;
    call.negotiation = negotiation;
    this.#enter(call, 'connected');
    this.#do({ type: 'replace-peer', call: number });
  }

  /** Somebody who is called like the partner calls: a new call, and no part of the running one. @param {Call} call @param {string} line */
  #callAnew(call, line) {
    this.#finish('replaced');
    const callee = this.#begin(call.peer, 'callee', this.#agreedToSend);
    this.#enter(callee, 'negotiating');
    this.#open(callee);
    this.#onPartnerLine(line);
  }

  /** @param {Survival} survival @param {string} line */
  #isOfPartner(survival, line) {
    const signal = parseSignal(line);
    return signal !== null && signal.type === 'description' && signal.description.type === 'offer' && survival.isOfPartner(signal);
  }

  /** @param {Effect} effect */
  #do(effect) {
    this.#effects.push(effect);
  }

  /** @param {string} what */
  #ignore(what) {
    this.#do({ type: 'ignored', what });
  }
}
