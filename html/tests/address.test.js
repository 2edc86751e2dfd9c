import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parseHash, randomId, relayUrl } from '../address.js';
import { isPeerId } from '../protocol.js';

test('an address without wishes', () => {
  const none = { id: null, call: null, send: false };
  assert.deepEqual(parseHash(''), none);
  assert.deepEqual(parseHash('#'), none);
  assert.deepEqual(parseHash('#somewhere&x=%'), none);
});

test('an address that asks for everything', () => {
  assert.deepEqual(parseHash('#call=cam&send=camera&id=me'), { id: 'me', call: 'cam', send: true });
  assert.deepEqual(parseHash('id=7&call=a%26b'), { id: '7', call: 'a&b', send: false });
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
