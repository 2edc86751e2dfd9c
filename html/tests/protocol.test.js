// ../../protocol/vectors.txt means to the page what it means to the Rust crate.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { errorKind, formatClientMessage, formatSignal, isPeerId, parseServerMessage, parseSignal } from '../protocol.js';

/** @import { ClientMessage, ServerMessage, Signal } from '../protocol.js' */

/** @type {{ kind: string, text: string, meaning: any }[]} */
const vectors = readFileSync(new URL('../../protocol/vectors.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => {
    const [kind = '', text = '', meaning = ''] = line.split('\t');
    return { kind, text: JSON.parse(text), meaning: JSON.parse(meaning) };
  });

/**
 * @param {string} kind
 * @param {(text: string, meaning: any) => void} compare
 */
function check(kind, compare) {
  const chosen = vectors.filter((vector) => vector.kind === kind);
  assert.ok(chosen.length > 4, `only ${chosen.length} vectors of kind ${kind}`);
  for (const { text, meaning } of chosen) compare(text, meaning);
}

test('every kind of vector is read here, or is for the relay alone', () => {
  const known = new Set(['id', 'client', 'server', 'error', 'signal', 'room', 'repr']);
  for (const { kind } of vectors) assert.ok(known.has(kind), `nobody reads vectors of kind ${kind}`);
});

test('peer ids', () => {
  check('id', (text, meaning) => assert.equal(isPeerId(text), meaning, JSON.stringify(text)));
});

test('what the page says to the relay', () => {
  let seen = 0;
  check('client', (text, { canonical, ...meaning }) => {
    if (!canonical) return;
    assert.equal(formatClientMessage(clientMessage(meaning)), text);
    seen += 1;
  });
  assert.ok(seen > 4, `only ${seen} canonical client lines`);
});

test('what the relay says', () => {
  check('server', (text, meaning) => {
    const message = parseServerMessage(text);
    assert.deepEqual(message && serverMeaning(message), meaning, text);
  });
});

test('what an error means', () => {
  check('error', (text, meaning) => assert.equal(errorKind(text), meaning));
});

test('what partners say to one another', () => {
  check('signal', (text, meaning) => {
    const signal = parseSignal(text);
    if (signal === null) return assert.equal(meaning, null, text);
    const canonical = formatSignal(signal) === text ? { canonical: true } : {};
    assert.deepEqual({ ...signalMeaning(signal), ...canonical }, meaning, text);
  });
});

test('a message with two meanings has none', () => {
  assert.equal(parseSignal('{"sdp":{"type":"offer","sdp":""},"ice":{"candidate":"","sdpMLineIndex":0}}'), null);
  assert.equal(parseSignal('{"ice":{"candidate":"","sdpMLineIndex":0,"sdpMid":7}}'), null);
  assert.equal(parseSignal('{"ice":{"candidate":"","sdpMLineIndex":4294967296}}'), null);
  assert.equal(parseSignal('{"ice":null}'), null);
});

/** @param {any} meaning @returns {ClientMessage} */
function clientMessage(meaning) {
  if ('hello' in meaning) return { type: 'hello', id: meaning.hello };
  if ('session' in meaning) return { type: 'session', peer: meaning.session };
  if ('room' in meaning) return { type: 'room', room: meaning.room };
  if ('to' in meaning) return { type: 'room-peer-msg', to: meaning.to, payload: meaning.payload };
  assert.deepEqual(meaning, { list: true });
  return { type: 'room-peer-list' };
}

/** @param {ServerMessage} message */
function serverMeaning(message) {
  switch (message.type) {
    case 'hello': return { hello: true };
    case 'session-ok': return { sessionOk: true };
    case 'session-from': return { sessionFrom: message.peer };
    case 'room-ok': return { roomOk: message.peers };
    case 'room-peer-joined': return { joined: message.peer };
    case 'room-peer-left': return { left: message.peer };
    case 'room-peer-msg': return { from: message.from, payload: message.payload };
    case 'room-peer-list': return { list: message.peers };
    case 'error': return { error: message.text };
  }
}

/** @param {Signal} signal */
function signalMeaning(signal) {
  switch (signal.type) {
    case 'offer-request': return { offerRequest: true };
    case 'description': return signal.description;
    case 'candidate': {
      const { candidate, sdpMLineIndex: line, sdpMid: mid } = signal.candidate;
      return mid === undefined ? { candidate, line } : { candidate, line, mid };
    }
  }
}
