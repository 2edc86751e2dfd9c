import assert from 'node:assert/strict';
import { test } from 'node:test';

import { MAX_DELAY_MS, delayMs } from '../backoff.js';

test('the wait doubles up to its bound', () => {
  assert.deepEqual([0, 1, 2, 3, 4, 1000].map((attempt) => delayMs(attempt, 0)), [250, 500, 1000, 2000, 2000, MAX_DELAY_MS]);
});

test('chance shortens it by up to a half', () => {
  assert.equal(delayMs(0, 1), 125);
  assert.equal(delayMs(9, 0.5), MAX_DELAY_MS * 0.75);
});
