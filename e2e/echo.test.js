// What is played before a microphone, and what of it comes back to whom it came from.

import test from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Stage } from './support/stage.js';
import { loudness, samples } from './support/recording.js';

/** The pitch of the test tone. */
const TONE_HZ = 440;

/** How loud the tone of the far end comes back to it when the near end's microphone hears nothing but
 * the near end's loudspeaker, after the cancellation had some seconds to learn. */
async function echoed(t, options) {
  const stage = new Stage(t);
  const home = mkdtempSync(join(tmpdir(), 'aldis-echo-'));
  t.after(() => rmSync(home, { recursive: true }));
  const relay = await stage.relay();
  const sound = await stage.sound();
  await stage.client(relay, [
    '--our-id', 'near', '--video', 'none', '--audio', 'mic', '--audio-device', 'speaker.monitor', '--play', ...options,
  ], sound.env);
  const file = join(home, 'far.mkv');
  const far = await stage.client(relay, ['--peer-id', 'near', '--video', 'none', '--record', file, '--record-what', 'received']);
  await far.report('first-frame-received', { where: ({ kind }) => kind === 'audio' });
  await far.rates(8);
  await far.stop();
  const level = loudness(samples(file), TONE_HZ, 3);
  t.diagnostic(`${options.join(' ') || 'as it is'}: the echo has ${level.toFixed(1)} dB`);
  return level;
}

test('an echo comes back much quieter, unless nothing is done about it', async (t) => {
  const loud = await echoed(t, ['--echo-cancel', 'off']);
  assert.ok(loud > -30, `what is played is heard: ${loud} dB`);
  const quiet = await echoed(t, []);
  assert.ok(quiet < loud - 10, `${quiet} dB instead of ${loud} dB`);
});
