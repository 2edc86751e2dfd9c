import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Control } from '../control.js';

const HELLO = {
  type: 'hello', version: 1,
  requests: ['ping', 'statistics', 'sources', 'switch', 'key-frame', 'bitrate'],
  sources: { video: ['screen', 'test'], audio: ['mic'] },
  bitrate_kbps: { min: 50, max: 2500 },
};

/** @param {unknown} said */
const text = (said) => JSON.stringify(said);

test('it asks for statistics as soon as somebody says hello', () => {
  const control = new Control();
  assert.equal(control.machine, null);
  const answers = control.hear(text(HELLO)).map((answer) => JSON.parse(answer));
  assert.deepEqual(answers, [{ id: 1, request: 'statistics', interval_ms: 2000 }]);
  assert.deepEqual(/** @type {any} */ (control).machine.sources, { video: ['screen', 'test'], audio: ['mic'] });
  assert.deepEqual(/** @type {any} */ (control).machine.bitrate, { min: 50, max: 2500 });
});

test('what becomes of a wish is said in words', () => {
  const control = new Control();
  control.hear(text(HELLO));
  control.hear(text({ type: 'ok', id: 1 }));
  assert.equal(control.outcome, '');
  const { id } = JSON.parse(control.ask({ request: 'switch', kind: 'video', index: 1 }));
  control.hear(text({ type: 'ok', id: id + 1 }));
  assert.equal(control.outcome, '', 'an answer to nothing');
  control.hear(text({ type: 'ok', id }));
  assert.equal(control.outcome, 'It changes over.');
  const next = JSON.parse(control.ask({ request: 'bitrate', max_kbps: 500 }));
  control.hear(text({ type: 'error', id: next.id, code: 'failed', text: 'the encoder does not take it' }));
  assert.equal(control.outcome, 'That did not work: the encoder does not take it.');
});

test('figures become a sentence', () => {
  const control = new Control();
  control.hear(text({ type: 'statistics', sent: { fps: 29.9, video_kbps: 2100.4, loss_percent: 0.5 }, rtt_ms: 1.6 }));
  assert.equal(control.statistics, 'It sends 30 frames a second, 2100 kbit/s, of which 0.5 % are lost, 2 ms there and back.');
  control.hear(text({ type: 'statistics', sent: {}, rtt_ms: null }));
  assert.equal(control.statistics, 'It sends 0 frames a second, 0 kbit/s, of which 0 % are lost.');
});

test('whoever speaks something else, or another version, is not asked for anything', () => {
  for (const said of ['', 'hi', '[]', 'null', text({ type: 'hello', version: 2 }), text({ type: 'hello' }), new ArrayBuffer(1), null]) {
    const control = new Control();
    assert.deepEqual(control.hear(said), []);
    assert.equal(control.machine, null);
  }
});

test('a hello of the wrong shape upsets nothing', () => {
  const control = new Control();
  assert.deepEqual(control.hear(text({ type: 'hello', version: 1, requests: 7, sources: [], bitrate_kbps: { min: 'x' } })), []);
  assert.deepEqual(control.machine, { requests: [], sources: { video: [], audio: [] }, bitrate: { min: 0, max: 0 } });
  assert.equal(control.knows('switch'), false);
});

test('over another connection to the same client, what was said and chosen goes on', () => {
  const first = new Control();
  first.hear(text(HELLO));
  first.hear(text({ type: 'statistics', sent: { fps: 30, video_kbps: 1000, loss_percent: 0 } }));
  const { id } = JSON.parse(first.ask({ request: 'key-frame' }));
  first.hear(text({ type: 'ok', id }));
  for (const isEarly of [true, false]) {
    const second = new Control();
    if (isEarly) second.hear(text(HELLO));
    second.succeed(first);
    assert.equal(second.machine, first.machine, 'it is the same machine');
    assert.equal(second.statistics, first.statistics);
    assert.equal(second.outcome, first.outcome);
    if (!isEarly) assert.equal(second.hear(text(HELLO)).length, 1, 'statistics are asked for again');
    assert.equal(second.machine, first.machine);
    assert.deepEqual(second.hear(text(HELLO)), [], 'one hello is enough');
  }
  const other = new Control();
  other.hear(text({ ...HELLO, sources: { video: ['camera'], audio: [] } }));
  const { machine } = other;
  other.succeed(first);
  assert.equal(other.machine, machine, 'what it says now is what counts');
});
