// Random histories of events, held against what must be true of every one of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { formatSignal, parseSignal } from '../protocol.js';
import { announced } from '../safety-words.js';
import { Session } from '../session.js';
import { describe, describeSending, stateOf } from '../words.js';

/** @import { Denial } from '../link.js' */
/** @import { Effect, Event } from '../session.js' */

const HISTORIES = 3000;
const EVENTS = 120;

const IDS = ['me', 'cam', 'bob'];
/** @param {'offer' | 'answer'} type @param {number} origin @param {string} byte of the certificate */
const description = (type, origin, byte) => formatSignal({ type: 'description', description: {
  type, sdp: `o=- ${origin} 0 IN IP4 0.0.0.0\r\na=fingerprint:sha-256 ${`${byte}:`.repeat(31)}${byte}\r\n`,
} });
const SIGNALS = [
  'OFFER_REQUEST',
  description('offer', 1, '0A'),
  description('answer', 1, '0A'),
  description('offer', 2, '0A'),
  description('answer', 2, '0A'),
  description('offer', 3, '0E'),
  formatSignal({ type: 'description', description: { type: 'offer', sdp: 'o' } }),
  formatSignal({ type: 'description', description: { type: 'answer', sdp: 'a' } }),
  formatSignal({ type: 'candidate', candidate: { candidate: 'c', sdpMLineIndex: 0 } }),
  formatSignal({ type: 'candidate', candidate: { candidate: '', sdpMLineIndex: 0 } }),
];
const NOISE = ['', 'SESSION me', 'WELCOME', '{"chat":"hi"}', '{', 'ROOM_OK ', 'HELLO you'];
const LINES = [...SIGNALS, ...NOISE, 'HELLO', 'SESSION_OK', 'SESSION_FROM cam', 'SESSION_FROM bob', "ERROR peer 'x' busy", 'ERROR'];
const STATES = ['new', 'connecting', 'connected', 'disconnected', 'failed', 'closed'];
const CLOSES = [[1000, ''], [1001, ''], [1006, ''], [1002, 'invalid peer uid'], [1008, 'slow consumer'], [1008, 'not allowed by token'], [1013, 'relay full']];
/** @type {Denial[]} */
const DENIALS = ['token-missing', 'token-refused', 'origin', 'too-many', 'full', 'no-websocket'];

test('no history at all makes it throw, or lose a connection or a camera', () => {
  for (let seed = 1; seed <= HISTORIES; seed += 1) {
    const world = new World(seed);
    for (let step = 0; step < EVENTS; step += 1) world.handle(world.anything());
  }
});

test('a relay that keeps the rules is never told what it should not be told', () => {
  const seen = { sessions: 0, descriptions: 0, candidates: 0 };
  for (let seed = 1; seed <= HISTORIES; seed += 1) {
    const world = new World(seed);
    const relay = new Relay(world, seen);
    world.onEffect = (effect) => relay.watch(effect);
    for (let step = 0; step < EVENTS; step += 1) world.handle(relay.possible() ?? world.besidesTheRelay());
  }
  // A generator that never gets anywhere would prove nothing.
  for (const [what, count] of Object.entries(seen)) assert.ok(count > HISTORIES / 10, `only ${count} ${what}`);
});

test('a call that stands is carried on with the partner alone, and by two connections at the most', () => {
  const seen = { seconds: 0, replacements: 0 };
  for (let seed = 1; seed <= HISTORIES; seed += 1) {
    const world = new World(seed);
    world.onEffect = ({ type }) => {
      if (type === 'open-second') seen.seconds += 1;
      if (type === 'replace-peer') seen.replacements += 1;
    };
    for (const event of BEGINNINGS[seed % 2] ?? []) world.handle(event);
    assert.equal(stateOf(world.session.snapshot), 'in-call');
    for (let step = 0; step < EVENTS / 2; step += 1) {
      const event = world.random() < 0.7 ? world.recovering() : world.anything();
      const isEnd = ['call', 'hang-up', 'change-id', 'new-token', 'negotiation-failed'].includes(event.type);
      if (!isEnd || world.random() < 0.1) world.handle(event);
    }
  }
  for (const [what, count] of Object.entries(seen)) assert.ok(count > HISTORIES / 10, `only ${count} ${what}`);
});

/** A call that we placed, and one that was placed to us. @type {Event[][]} */
const BEGINNINGS = [
  [
    { type: 'relay-opened' },
    { type: 'relay-line', line: 'HELLO' },
    { type: 'call', peer: 'cam', send: false },
    { type: 'local-description', call: 1, description: { type: 'offer', sdp: 'mine' } },
    { type: 'relay-line', line: 'SESSION_OK' },
    { type: 'relay-line', line: description('answer', 1, '0A') },
    { type: 'connection', call: 1, state: 'connected' },
  ],
  [
    { type: 'relay-opened' },
    { type: 'relay-line', line: 'HELLO' },
    { type: 'relay-line', line: 'SESSION_FROM cam' },
    { type: 'relay-line', line: description('offer', 1, '0A') },
    { type: 'local-description', call: 1, description: { type: 'answer', sdp: 'mine' } },
    { type: 'connection', call: 1, state: 'connected' },
  ],
];

/** A session, the things it has opened, and chance. */
class World {
  session = new Session(() => this.random());
  now = 0;
  call = 0;
  /** @type {Set<number>} */
  openDevices = new Set();
  openPeer = 0;
  /** The connection that is to take the place of that one. */
  openSecond = 0;
  /** What the partner's descriptions announced, by the number of the connection. @type {Map<number, string>} */
  certificates = new Map();
  /** @type {string[]} */
  history = [];
  /** @type {(effect: Effect) => void} */
  onEffect = () => {};
  #seed;

  /** @param {number} seed */
  constructor(seed) {
    this.#seed = seed;
    this.handle({ type: 'start', id: 'me' });
  }

  /** @param {Event} event */
  handle(event) {
    this.history.push(JSON.stringify(event));
    try {
      if (event.type === 'tick') this.now = Math.max(this.now, Math.min(this.session.deadline, this.now + 5000));
      for (const effect of this.session.handle(event, this.now)) {
        this.#watch(effect);
        this.onEffect(effect);
      }
      if (event.type === 'tick') assert.ok(this.session.deadline > this.now, 'what was due is done');
      this.#inspect();
    } catch (error) {
      throw new Error(`${error}\nafter ${this.history.join('\n      ')}`, { cause: error });
    }
  }

  random() {
    // mulberry32: small, seeded, good enough to wander about.
    this.#seed = (this.#seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#seed ^ (this.#seed >>> 15), 1 | this.#seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** @template T @param {readonly T[]} choices @returns {T} */
  pick(choices) {
    return /** @type {T} */ (choices[Math.floor(this.random() * choices.length)]);
  }

  /** @returns {Event} */
  anything() {
    const [code, reason] = /** @type {[number, string]} */ (this.pick(CLOSES));
    return this.pick([
      () => this.besidesTheRelay(),
      () => this.besidesTheRelay(),
      () => /** @type {Event} */ ({ type: 'relay-opened' }),
      () => /** @type {Event} */ ({ type: 'relay-line', line: this.pick(LINES) }),
      () => /** @type {Event} */ ({ type: 'relay-line', line: this.pick(LINES) }),
      () => /** @type {Event} */ ({ type: 'relay-closed', code, reason, denial: this.random() < 0.5 ? null : this.pick(DENIALS) }),
    ])();
  }

  /** What happens when a second connection is made. @returns {Event} */
  recovering() {
    const { openPeer, openSecond } = this;
    return this.pick(/** @type {Event[]} */ ([
      { type: 'silence', call: openPeer, ms: 5000 },
      { type: 'tick' },
      { type: 'relay-line', line: description('offer', 2, '0A') },
      { type: 'relay-line', line: description('answer', 2, '0A') },
      { type: 'relay-line', line: description('offer', 3, '0E') },
      { type: 'relay-line', line: 'OFFER_REQUEST' },
      { type: 'local-description', call: openSecond, description: { type: 'offer', sdp: 'mine' } },
      { type: 'local-description', call: openSecond, description: { type: 'answer', sdp: 'mine' } },
      { type: 'connection', call: openSecond, state: 'connected' },
    ]));
  }

  /** Of the person, the clock, the connection (also of a call that is over) and the devices. @returns {Event} */
  besidesTheRelay() {
    const call = this.pick([this.openPeer, this.openPeer, this.openPeer, this.openSecond, this.openSecond, this.call - 1]);
    const number = this.session.snapshot.call?.number ?? 0;
    return this.pick(/** @type {Event[]} */ ([
      { type: 'call', peer: this.pick(['cam', 'bob', 'me', 'no body']), send: this.random() < 0.5 },
      { type: 'call', peer: 'cam', send: false },
      { type: 'hang-up' },
      { type: 'change-id', id: this.pick(IDS) },
      { type: 'agree-to-send', agreed: this.random() < 0.5 },
      { type: 'retry' },
      { type: 'new-token' },
      { type: 'tick' },
      { type: 'tick' },
      { type: 'local-description', call, description: { type: 'offer', sdp: 'mine' } },
      { type: 'local-description', call, description: { type: 'offer', sdp: 'mine' } },
      { type: 'local-description', call, description: { type: 'answer', sdp: 'mine' } },
      { type: 'local-candidate', call, candidate: { candidate: 'mine', sdpMLineIndex: 0 } },
      { type: 'local-candidate', call, candidate: null },
      { type: 'connection', call, state: this.pick(STATES) },
      { type: 'connection', call, state: 'connected' },
      { type: 'silence', call, ms: this.pick([0, 5000]) },
      { type: 'credentials', call },
      { type: 'partner-closed', call },
      { type: 'negotiation-failed', call },
      { type: 'devices', call: number, opened: this.random() < 0.5 },
    ]));
  }

  /** @param {Effect} effect */
  #watch(effect) {
    switch (effect.type) {
      case 'open-peer':
        assert.equal(this.openPeer, 0, 'one call at a time');
        assert.ok(effect.call > this.call, 'connections are numbered in order');
        this.openPeer = this.call = effect.call;
        break;
      case 'open-second':
        assert.ok(this.openPeer !== 0 && this.openSecond === 0, 'two connections at the most');
        assert.ok(effect.call > this.call, 'connections are numbered in order');
        this.openSecond = this.call = effect.call;
        break;
      case 'replace-peer':
        assert.equal(effect.call, this.openSecond, 'only what is there takes the place of the first');
        assert.ok(this.certificates.get(this.openSecond), 'whoever is there has said who it is');
        assert.equal(this.certificates.get(this.openSecond), this.certificates.get(this.openPeer), 'the partner stays the same');
        this.openPeer = this.openSecond;
        this.openSecond = 0;
        break;
      case 'close-peer':
        if (effect.call === this.openSecond) {
          this.openSecond = 0;
          break;
        }
        assert.equal(effect.call, this.openPeer, 'what is closed was open');
        assert.equal(this.openSecond, 0, 'the second goes before the first');
        assert.equal(this.openDevices.size, 0, 'the camera is closed with the call, before its connection');
        this.openPeer = 0;
        break;
      case 'open-devices': this.openDevices.add(effect.call); break;
      case 'close-devices': this.openDevices.delete(effect.call); break;
      case 'make-offer': case 'make-answer': case 'accept-answer': case 'add-candidate':
        if ('description' in effect) this.certificates.set(effect.call, announced(effect.description.sdp));
        assert.ok(effect.call === this.openPeer || effect.call === this.openSecond, `${effect.type} for an open connection`);
    }
  }

  #inspect() {
    const { snapshot, deadline } = this.session;
    assert.equal(snapshot.call !== null, this.openPeer !== 0, 'a call and a connection go together');
    if (snapshot.link === 'session') assert.ok(snapshot.call !== null, 'no session without a call');
    if (snapshot.call?.sending === 'off') assert.equal(this.openDevices.size, 0, 'nothing is open that is not sent');
    if (snapshot.link === 'registered' || snapshot.link === 'session') assert.equal(snapshot.denial, null, 'who is in is not denied');
    if (snapshot.isDenied) assert.notEqual(snapshot.call?.phase, 'waiting', 'no call waits in vain');
    assert.ok(snapshot.ended === null || snapshot.call === null, 'a call that is, has not ended');
    const rests = ['registered', 'refused', 'session'].includes(snapshot.link)
      && (snapshot.call === null || snapshot.call.phase === 'connected');
    assert.ok(rests || deadline < Infinity, `${snapshot.link} and ${snapshot.call?.phase} do not last for ever`);
    for (const text of [stateOf(snapshot), describe(snapshot), describeSending(snapshot)]) {
      assert.equal(typeof text, 'string');
      assert.ok(!/undefined|null|\[object/.test(text), text);
    }
  }
}

/** How one connection looks from the relay's side: what it may say, and what it must not hear. */
class Relay {
  /** @type {'none' | 'opening' | 'new' | 'greeting' | 'lobby' | 'session' | 'closing'} */
  #at = 'none';
  #isAsked = false;
  #hasDescription = false;
  #ends = 0;
  #world;
  #seen;

  /**
   * @param {World} world
   * @param {{ sessions: number, descriptions: number, candidates: number }} seen
   */
  constructor(world, seen) {
    this.#world = world;
    this.#seen = seen;
    this.#at = 'opening';
  }

  /** What the relay might do next; null to leave the word to others. @returns {Event | null} */
  possible() {
    const world = this.#world;
    if (this.#at === 'none' || world.random() < 0.5) return null;
    if (this.#at === 'closing' || world.random() < 0.05) return this.#close();
    switch (this.#at) {
      case 'opening':
        this.#at = 'new';
        return { type: 'relay-opened' };
      case 'greeting':
        if (world.random() < 0.1) return this.#close();
        this.#at = 'lobby';
        return { type: 'relay-line', line: 'HELLO' };
      case 'lobby': return this.#lobbyLine();
      case 'session': return { type: 'relay-line', line: world.pick(LINES) };
      default: return null;
    }
  }

  /** @param {Effect} effect */
  watch(effect) {
    if (effect.type === 'connect') {
      this.#at = 'opening';
      this.#isAsked = false;
    } else if (effect.type === 'disconnect') {
      assert.notEqual(this.#at, 'none', 'only what is connected is disconnected');
      this.#at = 'closing';
    } else if (effect.type === 'send') {
      this.#hear(effect.line);
    }
  }

  /** @param {string} line */
  #hear(line) {
    switch (this.#at) {
      case 'new':
        assert.equal(line, `HELLO ${this.#world.session.snapshot.id}`);
        this.#at = 'greeting';
        break;
      case 'lobby':
        assert.match(line, /^SESSION (cam|bob|me)$/);
        assert.ok(!this.#isAsked, 'one SESSION at a time');
        this.#isAsked = true;
        break;
      case 'session': this.#hearForPartner(line); break;
      default: assert.fail(`"${line}" while ${this.#at}`);
    }
  }

  /** @param {string} line */
  #hearForPartner(line) {
    const signal = parseSignal(line);
    assert.ok(signal !== null, `nobody understands ${line}`);
    if (signal.type === 'offer-request') return;
    if (signal.type === 'description') {
      this.#hasDescription = true;
      this.#ends = 0;
      this.#seen.descriptions += 1;
    } else {
      assert.ok(this.#hasDescription, 'a candidate comes after its description');
      if (signal.candidate.candidate === '') this.#ends += 1;
      assert.ok(this.#ends <= 1, 'the end of candidates is said once');
      this.#seen.candidates += 1;
    }
  }

  /** @returns {Event} */
  #lobbyLine() {
    const line = this.#world.pick([...SIGNALS, ...NOISE, 'SESSION_FROM cam', 'SESSION_FROM bob',
      ...(this.#isAsked ? ['SESSION_OK', 'SESSION_OK', 'SESSION_OK', 'SESSION_OK', "ERROR peer 'cam' not found"] : [])]);
    if (line.startsWith('ERROR')) this.#isAsked = false;
    if (line.startsWith('SESSION_') || SIGNALS.includes(line)) {
      this.#at = 'session';
      this.#hasDescription = false;
      this.#ends = 0;
      this.#seen.sessions += 1;
    }
    return { type: 'relay-line', line };
  }

  /** @returns {Event} */
  #close() {
    const wasGreeting = this.#at === 'greeting';
    const denial = this.#at === 'opening' ? this.#world.pick([null, null, ...DENIALS]) : null;
    this.#at = 'none';
    const [code, reason] = /** @type {[number, string]} */ (this.#world.pick(CLOSES.filter(([, text]) => wasGreeting || text !== 'invalid peer uid')));
    return { type: 'relay-closed', code, reason, denial };
  }
}
