// ../../protocol/safety-words.txt means to the page what it means to the client.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { announced, safetyWords, WORDS } from '../safety-words.js';

const lines = readFileSync(new URL('../../protocol/safety-words.txt', import.meta.url), 'utf8')
  .split('\n').map((line) => line.split('\t'));

/** @param {...string} fingerprints */
function description(...fingerprints) {
  return ['v=0', ...fingerprints.map((text) => `a=fingerprint:sha-256 ${text}`), ''].join('\r\n');
}

test('the list is the agreed one', () => {
  const agreed = lines.filter(([kind]) => kind === 'words').flatMap(([, words = '']) => words.split(' '));
  assert.deepEqual(WORDS, agreed);
});

test('the words are the agreed ones, whichever end is named first', () => {
  const vectors = lines.filter(([kind]) => kind === 'vector');
  assert.ok(vectors.length > 4);
  for (const [, one = '', other = '', words] of vectors) {
    assert.equal(safetyWords(description(one), description(other)), words);
    assert.equal(safetyWords(description(other), description(one)), words);
    assert.equal(safetyWords(description(one, one.toLowerCase()), description(other)), words, 'said for each line of media');
  }
});

test('there are no words for a description that announces no fingerprint, or several', () => {
  const [, one = '', other = ''] = lines.find(([kind]) => kind === 'vector') ?? [];
  assert.equal(announced('v=0\r\na=fingerprint:sha-1 AA:BB\r\n'), '');
  assert.equal(announced(description('AA:BB')), '');
  assert.equal(announced(description(one, other)), '');
  assert.equal(safetyWords(description(one), 'v=0\r\n'), null);
});
