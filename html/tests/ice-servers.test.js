// What a relay lends, and when it is asked again.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Loan, parseIceServers, readAnswer } from '../ice-servers.js';

const STUN = { urls: ['stun:stun.example.org:3478'] };
const TURN = {
  urls: ['turn:turn.example.org:3478?transport=udp', 'turns:[2001:db8::1]:5349?transport=tcp'],
  username: '1790000000:x', credential: 'c2VjcmV0',
};

/** @param {unknown[]} iceServers @param {unknown} [lifetimeSeconds] */
const body = (iceServers, lifetimeSeconds = 3600) => JSON.stringify({ iceServers, lifetimeSeconds });

/** @param {unknown} server */
const lends = (server) => parseIceServers(body([server])) !== null;

test('servers for a while', () => {
  assert.deepEqual(parseIceServers(body([STUN, TURN])), { type: 'lent', servers: [STUN, TURN], lifetimeMs: 3_600_000 });
  assert.deepEqual(parseIceServers(body([], 0.5)), { type: 'lent', servers: [], lifetimeMs: 500 });
  assert.deepEqual(parseIceServers(body([], 1e9))?.lifetimeMs, 86_400_000);
  assert.deepEqual(parseIceServers(body(Array(16).fill(STUN)))?.servers.length, 16);
});

test('one address may stand alone, and what is not known is left out', () => {
  const text = JSON.stringify({ iceServers: [{ urls: 'stuns:a', hint: 1 }], lifetimeSeconds: 1, more: [] });
  assert.deepEqual(parseIceServers(text)?.servers, [{ urls: ['stuns:a'] }]);
});

test('what is no list of servers', () => {
  for (const text of ['', '{', 'null', '[]', '7', '{}', '{"iceServers":{}}', body([STUN]).replace('lifetimeSeconds', 'lifetime')]) {
    assert.equal(parseIceServers(text), null, text);
  }
  for (const lifetime of [0, -1, '3600', null, {}]) assert.equal(parseIceServers(body([STUN], lifetime)), null, String(lifetime));
  assert.equal(parseIceServers(body(Array(17).fill(STUN))), null);
});

test('one server that a browser would choke on voids the list', () => {
  for (const server of [null, 'stun:a', {}, { urls: [] }, { urls: [7] }, { urls: Array(17).fill('stun:a') }]) {
    assert.equal(parseIceServers(body([STUN, server])), null, JSON.stringify(server));
  }
});

test('only addresses of STUN and TURN, to the letter', () => {
  for (const url of ['stun:a', 'stuns:a.b:1', 'stun:192.0.2.1:65535', 'stun:[::1]', 'STUN:a']) assert.ok(lends({ urls: [url] }), url);
  for (const url of ['turn:a', 'turns:a:443?transport=tcp', 'turn:[2001:db8::1]:3478?transport=udp']) {
    assert.ok(lends({ ...TURN, urls: [url] }), url);
  }
  for (const url of ['', 'stun:', 'stun://a', 'http://a', 'javascript:a', 'stun:a b', 'stun:a:0', 'stun:a:65536', 'stun:a:x', 'stun:a?transport=udp',
    'stun:user@a', 'turn:a?transport=sctp', 'turn:a?x', 'turn:a:0?transport=udp', 'turn:a#b', ' stun:a', 'stun:a\n', 'stun:[::1', 'turn:a:123456']) {
    assert.ok(!lends({ ...TURN, urls: [url] }), url);
  }
});

test('TURN takes a name and a password', () => {
  const { urls } = TURN;
  for (const server of [{ urls }, { urls, username: 'u' }, { urls, credential: 'c' }, { urls, username: '', credential: 'c' },
    { urls, username: 'u', credential: 7 }, { urls, username: 'u'.repeat(510), credential: 'c' }]) {
    assert.ok(!lends(server), JSON.stringify(server));
  }
});

test('what the answer means', () => {
  assert.deepEqual(readAnswer(200, body([STUN]), true).type, 'lent');
  assert.deepEqual(readAnswer(200, '<html>', true), { type: 'none' });
  assert.deepEqual(readAnswer(404, 'nothing here', false), { type: 'none' });
  assert.deepEqual(readAnswer(401, '', false), { type: 'denied', denial: 'token-missing' });
  assert.deepEqual(readAnswer(401, '', true), { type: 'denied', denial: 'token-refused' });
  assert.deepEqual(readAnswer(403, '', true), { type: 'denied', denial: 'origin' });
  assert.deepEqual(readAnswer(429, '', true), { type: 'denied', denial: 'too-many' });
  assert.deepEqual(readAnswer(503, '', true), { type: 'denied', denial: 'full' });
  assert.deepEqual(readAnswer(502, '', true), { type: 'unreachable' });
});

test('nothing is known at first, and it is time to ask', () => {
  const loan = new Loan();
  assert.ok(loan.isDue(0));
  assert.ok(!loan.isValid(0));
  assert.deepEqual(loan.servers(0), []);
});

test('what is lent is asked for again after three quarters of its time, and good until its end', () => {
  const loan = new Loan();
  loan.onAnswer({ type: 'lent', servers: [TURN], lifetimeMs: 1000 }, 5000);
  assert.ok(!loan.isDue(5749));
  assert.ok(loan.isDue(5750));
  assert.deepEqual(loan.servers(5999), [TURN]);
  assert.deepEqual(loan.servers(6000), []);
  assert.ok(!loan.isValid(6000));
});

test('a relay that cannot be reached takes nothing back, and is asked again a little later', () => {
  const loan = new Loan();
  loan.onAnswer({ type: 'lent', servers: [TURN], lifetimeMs: 100_000 }, 0);
  loan.onAnswer({ type: 'unreachable' }, 75_000);
  assert.deepEqual(loan.servers(75_000), [TURN]);
  assert.ok(!loan.isDue(84_999));
  assert.ok(loan.isDue(85_000));
  loan.onAnswer({ type: 'denied', denial: 'token-refused' }, 110_000);
  assert.deepEqual(loan.servers(110_000), []);
  assert.ok(!loan.isDue(110_000));
});

test('a relay that lends nothing is believed for a while', () => {
  const loan = new Loan();
  loan.onAnswer({ type: 'none' }, 0);
  assert.ok(loan.isValid(299_999));
  assert.ok(!loan.isDue(200_000));
  assert.ok(loan.isDue(300_000));
});

test('a clock that was set back has it ask again', () => {
  const loan = new Loan();
  loan.onAnswer({ type: 'lent', servers: [TURN], lifetimeMs: 1000 }, 5000);
  assert.ok(loan.isDue(4000));
  assert.deepEqual(loan.servers(4000), []);
  loan.onAnswer({ type: 'unreachable' }, 4000);
  assert.ok(!loan.isDue(4000));
  assert.ok(!loan.isValid(5500));
});

test('what was lent to another token is forgotten', () => {
  const loan = new Loan();
  loan.onAnswer({ type: 'lent', servers: [TURN], lifetimeMs: 1000 }, 0);
  loan.forget();
  assert.deepEqual(loan.servers(1), []);
  assert.ok(loan.isDue(1));
});
