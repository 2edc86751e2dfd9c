import assert from 'node:assert/strict';
import { test } from 'node:test';

import { iceServersUrl, parseHash, randomId, relayUrl, peerOf, takeToken, withToken } from '../address.js';
import { isPeerId } from '../protocol.js';

test('an address without wishes', () => {
  const none = { id: null, call: null, send: false, relayOnly: false };
  assert.deepEqual(parseHash(''), none);
  assert.deepEqual(parseHash('#'), none);
  assert.deepEqual(parseHash('#somewhere&x=%'), none);
});

test('an address that asks for everything', () => {
  assert.deepEqual(parseHash('#call=cam&send=camera&id=me&ice=relay'), { id: 'me', call: 'cam', send: true, relayOnly: true });
  assert.deepEqual(parseHash('id=7&call=a%26b&ice=host'), { id: '7', call: 'a&b', send: false, relayOnly: false });
});

test('only `send=camera` sends', () => {
  for (const hash of ['#call=cam&send', '#call=cam&send=', '#call=cam&send=no', '#call=cam&send=Camera']) {
    assert.equal(parseHash(hash).send, false, hash);
  }
});

test('what is no id is as good as absent', () => {
  for (const hash of ['#id=', '#id=a%20b', `#id=${'x'.repeat(257)}`]) assert.equal(parseHash(hash).id, null, hash);
});

test('a plus sign is part of an id', () => {
  assert.equal(parseHash('#call=a+b').call, 'a+b');
});

test('a token is taken out of the address, and nothing else is', () => {
  const token = 'eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.x_y-z';
  assert.deepEqual(takeToken(`#token=${token}`), { token, rest: '' });
  assert.deepEqual(takeToken(`#call=a%26b&token=${token}&id=a+b`), { token, rest: '#call=a%26b&id=a+b' });
  assert.deepEqual(takeToken('#%74oken=secret'), { token: 'secret', rest: '' });
  assert.deepEqual(takeToken('#token=a%2Fb%26c%3D+d'), { token: 'a/b&c=+d', rest: '' });
});

test('without a token there is nothing to take', () => {
  for (const hash of ['', '#', '#call=token', '#call=cam&Token=x', '#tokens=x']) assert.equal(takeToken(hash), null, hash);
});

test('what no header could carry is taken out too, but is no token', () => {
  for (const text of ['', '%20', 'a%0Ab', 'w%C3%B6rt', 'x'.repeat(4097)]) {
    assert.deepEqual(takeToken(`#token=${text}&call=cam`), { token: null, rest: '#call=cam' }, text);
  }
  assert.deepEqual(takeToken('#token'), { token: null, rest: '' });
});

test('of several tokens the first counts and none stays', () => {
  assert.deepEqual(takeToken('#token=one&id=me&token=two'), { token: 'one', rest: '#id=me' });
});

test('a token may say who we are', () => {
  /** @param {unknown} claims */
  const jwt = (claims) => `${btoa('{"alg":"HS256"}')}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;
  assert.equal(peerOf(jwt({ exp: 1, peer: 'ann' })), 'ann');
  assert.equal(peerOf(jwt({ exp: 1, peer: 'zoë?~' })), 'zoë?~');
  for (const token of [jwt({ exp: 1 }), jwt({ peer: 7 }), jwt({ peer: 'two words' }), jwt(null), 'a.b.c', 'a.!.c', 'secret', '']) {
    assert.equal(peerOf(token), null, token);
  }
});

test('a token goes into the address of the WebSocket, whole', () => {
  assert.equal(withToken('ws://a/?notices=caller', null), 'ws://a/?notices=caller');
  assert.equal(withToken('ws://a/?notices=caller', 'a+b&c'), 'ws://a/?notices=caller&token=a%2Bb%26c');
  assert.equal(withToken('ws://a/?token=old&notices=caller', 'new'), 'ws://a/?token=new&notices=caller');
});

test('ICE servers are asked for where the relay is', () => {
  assert.equal(iceServersUrl('ws://127.0.0.1:8443/?notices=caller'), 'http://127.0.0.1:8443/api/ice-servers');
  assert.equal(iceServersUrl('wss://me:pw@aldis.example/call/?token=t'), 'https://aldis.example/call/api/ice-servers');
});

test('the relay is the server of the page', () => {
  assert.equal(relayUrl('http://127.0.0.1:8443/'), 'ws://127.0.0.1:8443/?notices=caller');
  assert.equal(relayUrl('https://aldis.example/call/index.html?x=1#call=cam'), 'wss://aldis.example/?notices=caller');
});

test('or the one that the address names', () => {
  assert.equal(relayUrl('http://a/?relay=wss://b:1/ws?token=t'), 'wss://b:1/ws?token=t&notices=caller');
  assert.equal(relayUrl('file:///index.html?relay=ws://b'), 'ws://b/?notices=caller');
});

test('no relay at all', () => {
  for (const page of ['file:///index.html', 'http://a/?relay=', 'http://a/?relay=http://b', 'http://a/?relay=b']) {
    assert.equal(relayUrl(page), null, page);
  }
});

test('a random id is decimal and below 2^32', () => {
  assert.equal(randomId(0), '0');
  assert.equal(randomId(1 - 2 ** -53), '4294967295');
  assert.ok(isPeerId(randomId(0.5)));
});
