// What is played before a microphone, and what of it comes back to whom it came from.

import test from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Stage } from './support/stage.js';
import { RATE, loudness, power, samples } from './support/recording.js';

/** The pitch of the voice that is heard beside the echo, and how many overtones of it are measured. */
const VOICE_HZ = 200;
const OVERTONES = 10;

/** From this level on it is the voice, in decibels: what is played has less at those pitches. */
const VOICE_FROM = -28;

/** By how much the echo has to become quieter, in decibels, in one of how many calls. */
const ERLE_DB = 15;
const CALLS = 3;

/** A tenth of a second: what is looked at at once. */
const WINDOW = RATE / 10;

/** A noise that swells and fades as a voice does, at all pitches a voice has and more, with pauses. */
function farVoice(home) {
  const file = join(home, 'voice.wav');
  const made = spawnSync('sox', [
    '-R', '-n', '-r', '48000', '-c', '2', file, 'synth', '3', 'pinknoise', 'synth', '3', 'sine', 'amod', '3', '10',
    'vol', '0.5', 'pad', '0', '0.5', 'repeat', '19',
  ]);
  assert.equal(made.status, 0, `sox: ${made.stderr}`);
  return file;
}

/** What the far end gets back while the microphone of the near end hears nothing but what is played
 * there, for some seconds, and then a voice beside it, for some more. */
async function call(t, options, alone, together) {
  const stage = new Stage(t);
  const home = mkdtempSync(join(tmpdir(), 'aldis-echo-'));
  t.after(() => rmSync(home, { recursive: true }));
  const relay = await stage.relay();
  const sound = await stage.sound();
  await stage.client(relay, [
    '--our-id', 'near', '--video', 'none', '--audio', 'mic', '--audio-device', 'speaker.monitor', '--play', ...options,
  ], sound.env);
  const file = join(home, 'far.mkv');
  const far = await stage.client(relay, [
    '--peer-id', 'near', '--video', 'none', '--audio', `file:${farVoice(home)}`, '--record', file, '--record-what', 'received',
  ]);
  await far.report('first-frame-received', { where: ({ kind }) => kind === 'audio' });
  await far.rates(alone);
  await sound.play(VOICE_HZ, 0.25, 'sawtooth');
  await far.rates(together);
  await far.stop();
  return samples(file);
}

/** The levels of what comes back before and after the voice begins, in decibels. */
function levels(t, name, sound) {
  const windows = [];
  for (let from = 0; from + WINDOW <= sound.length; from += WINDOW) windows.push(sound.subarray(from, from + WINDOW));
  const voices = windows.map((window) => {
    const tones = Array.from({ length: OVERTONES }, (_, overtone) => loudness(window, (overtone + 1) * VOICE_HZ, 1));
    return 10 * Math.log10(tones.reduce((sum, tone) => sum + 10 ** (tone / 10), 0));
  });
  const begin = voices.findIndex((_, at) => at + 3 < voices.length && voices.slice(at, at + 3).every((level) => level > VOICE_FROM));
  assert.ok(begin > 20, `${name}: the voice gets through, ${voices.map(Math.round).join(' ')}`);
  const share = (part, values) => values.toSorted((one, other) => one - other)[Math.floor(part * values.length)];
  // A loaded machine breaks off what it plays now and then, and the echo is heard until it is found
  // anew: the third that is softest tells what can be done. Silence is only a seventh of it all.
  const before = windows.slice(Math.max(0, begin - 41), begin - 1).map((window) => power(window));
  const [alone, usual] = [share(1 / 3, before), share(1 / 2, before)];
  const voice = share(1 / 2, voices.slice(begin + 3));
  const clearest = Math.max(...voices.slice(begin + 3));
  t.diagnostic(`${name}: the echo has ${alone.toFixed(1)} dB (${usual.toFixed(1)} half of the time), the voice ${voice.toFixed(1)}, at best ${clearest.toFixed(1)}`);
  return { alone, usual, voice, clearest };
}

test('an echo is taken out and a voice is left, unless nothing is done about it', async (t) => {
  const off = levels(t, 'not cancelled', await call(t, ['--echo-cancel', 'off'], 4, 3));
  // Where a busy machine breaks off again and again what it plays there is nothing to learn from it:
  // another call has another chance.
  let on = off;
  for (let count = 1; count <= CALLS && on.alone >= off.alone - ERLE_DB; count += 1) {
    on = levels(t, `cancelled, call ${count}`, await call(t, [], 7, 5));
  }
  assert.ok(off.usual > -35, `what is played is heard: ${off.usual} dB`);
  assert.ok(on.alone < off.alone - ERLE_DB, `${on.alone} dB instead of ${off.alone} dB`);
  assert.ok(on.voice > off.voice - 6, `two speak at once: ${on.voice} dB instead of ${off.voice} dB`);
  assert.ok(on.clearest > off.clearest - 2, `one speaks: ${on.clearest} dB instead of ${off.clearest} dB`);
});
