// What --record leaves behind, as ffmpeg sees it.

import test from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { allowCallsByHand } from './support/by-hand.js';
import { Stage } from './support/stage.js';
import { failing } from './support/failing.js';
import { complaints, loudness, pixels, probe, samples } from './support/recording.js';
import { until } from './support/until.js';

/** The pitch of the test tone. */
const TONE_HZ = 440;

/** Each container with each codec that goes into it. */
const CELLS = [
  ['vp8', 'webm'], ['vp9', 'webm'], ['vp8', 'mkv'], ['h264', 'mkv'], ['h264', 'mp4'], ['vp9', 'mp4'], ['av1', 'mkv'], ['av1', 'mp4'],
];

/** What is not in a file came before its first key frame. */
const MOST = 0.85;

function folder(t) {
  const home = mkdtempSync(join(tmpdir(), 'aldis-recording-'));
  t.after(() => rmSync(home, { recursive: true, force: true, maxRetries: 5 }));
  return home;
}

const notes = (client, state) => client.reports.filter((report) => report.event === 'recording' && report.state === state);

/** Both sides of a call with a client that sends red, and gets blue. */
async function call(stage, relay, codec, options) {
  const red = await stage.client(relay, [
    '--our-id', 'red', '--video', 'test:red', '--video-codec', codec, '--width', '320', '--height', '180', ...options,
  ]);
  const blue = await stage.client(relay, [
    '--peer-id', 'red', '--video', 'test:blue', '--video-codec', codec, '--width', '480', '--height', '270',
  ]);
  return { red, blue };
}

const isRed = ([red, green, blue]) => red > 150 && green < 90 && blue < 90;
const isBlue = ([red, green, blue]) => blue > 150 && green < 90 && red < 90;

for (const [codec, ending] of CELLS) {
  test(`both sides of a call by ${codec} are in .${ending} files`, async (t) => {
    const home = folder(t);
    const stage = new Stage(t);
    const relay = await stage.relay();
    const { red, blue } = await call(stage, relay, codec, ['--record', join(home, `call.${ending}`)]);
    await blue.rates(4);
    await blue.stop();
    const { setup_ms: setup } = await red.report('connected');
    const { seconds } = await red.report('ended');
    // The machine may be too slow for the rate that was asked for; what went over the wire is in the file.
    const counted = red.reports.findLast(({ event }) => event === 'stats');
    await until('both files are complete', () => notes(red, 'ended').length === 2);
    assert.deepEqual(readdirSync(home).sort(), [`call-received.${ending}`, `call-sent.${ending}`]);
    for (const [side, width, height, fits] of [['sent', 320, 180, isRed], ['received', 480, 270, isBlue]]) {
      const file = join(home, `call-${side}.${ending}`);
      const found = probe(file);
      const [video, audio] = found.streams;
      assert.deepEqual([video.codec_name, video.width, video.height], [codec, width, height], side);
      assert.deepEqual([found.streams.length, audio.codec_name], [2, 'opus'], side);
      const lasted = seconds - setup / 1000;
      assert.ok(Math.abs(found.seconds - lasted) < 1.5, `${side}: ${found.seconds} of ${lasted} s`);
      const { frames, audio_buffers: pieces } = counted[side];
      assert.ok(video.frames > MOST * frames, `${side}: ${video.frames} of ${frames} pictures`);
      assert.ok(audio.frames > MOST * pieces, `${side}: ${audio.frames} of ${pieces} pieces of sound`);
      assert.equal(complaints(file), '', side);
      const [pixel] = pixels(file, 2, [[0.5, 0.5]]);
      assert.ok(fits(pixel), `${side}: ${pixel}`);
      assert.ok(loudness(samples(file), TONE_HZ, 2) > -20, `${side}: the tone is heard`);
    }
  });
}

for (const [codec, ending] of [['vp8', 'webm'], ['h264', 'mkv'], ['h264', 'mp4']]) {
  test(`what is killed leaves an .${ending} file that plays to its last second`, async (t) => {
    const home = folder(t);
    const stage = new Stage(t);
    const relay = await stage.relay();
    const { red, blue } = await call(stage, relay, codec, ['--record', join(home, `call.${ending}`)]);
    await blue.report('first-frame-received', { where: ({ kind }) => kind === 'video' });
    const [began] = await until('a file is begun', () => notes(red, 'began').length === 2 && notes(red, 'began'));
    const rates = await red.rates(5);
    await red.stop('SIGKILL');
    for (const { file } of notes(red, 'began')) {
      const found = probe(file);
      assert.equal(found.streams.length, 2, file);
      // Five statistics are four seconds apart, and one or two may be lost.
      const pictures = found.streams[0].frames / 30;
      assert.ok(pictures > rates.length - 1 - 2, `${file}: ${pictures} s of pictures`);
      assert.ok(found.streams[1].frames / 50 > rates.length - 1 - 2, `${file}: ${found.streams[1].frames} pieces of sound`);
      assert.equal(complaints(file), '', file);
    }
    assert.ok(began);
  });
}

test('nothing is overwritten: each call has files of its own', async (t) => {
  const home = folder(t);
  writeFileSync(join(home, 'call.mkv'), 'precious');
  symlinkSync('/nowhere', join(home, 'call-2.mkv'));
  const stage = new Stage(t);
  const relay = await stage.relay();
  const file = join(home, 'call.mkv');
  const waiting = await stage.client(relay, ['--our-id', 'red', '--record', file, '--record-what', 'received']);
  for (const number of [3, 4]) {
    const after = waiting.mark;
    const caller = await stage.client(relay, ['--peer-id', 'red', '--video', 'none']);
    await caller.rates(2);
    await caller.stop();
    const ended = await waiting.report('recording', { after, where: ({ state }) => state === 'ended' });
    assert.equal(ended.file, join(home, `call-${number}.mkv`));
    assert.equal(probe(ended.file).streams[0].codec_name, 'opus');
    await waiting.free({ after });
  }
  assert.equal(readFileSync(file, 'utf8'), 'precious');
  assert.ok(!existsSync('/nowhere'));
  assert.equal(statSync(join(home, 'call-3.mkv')).mode & 0o077, 0, 'nobody else may read it');
});

test('what a container cannot hold is known before anything starts, or goes beside it', async (t) => {
  const home = folder(t);
  const nowhere = { url: 'ws://127.0.0.1:1' };
  for (const [ending, codec, sentence] of [
    ['webm', 'h264', /\.webm file cannot hold H\.264.*\.mkv/],
    ['mp4', 'vp8', /\.mp4 file cannot hold VP8.*--video-codec h264/],
  ]) {
    const failed = await failing(nowhere, ['--video', 'test', '--audio', 'none', '--video-codec', codec, '--record', join(home, `a.${ending}`)]);
    assert.equal(failed.exit_code, 1);
    assert.match(failed.reason, sentence);
  }
  const lost = await failing(nowhere, ['--video', 'test', '--audio', 'none', '--record', join(home, 'no/such/folder/a.mkv')]);
  assert.match(lost.reason, /cannot be written to .*No such file or directory.*--record/);
  const stage = new Stage(t);
  const relay = await stage.relay();
  const { red, blue } = await call(stage, relay, 'vp8', ['--record', join(home, 'b.mp4'), '--record-what', 'received']);
  await blue.rates(3);
  await blue.stop();
  const ended = await red.report('recording', { where: ({ state }) => state === 'ended' });
  const elsewhere = await red.report('recording', { where: ({ state }) => state === 'elsewhere' });
  assert.equal(elsewhere.codec, 'VP8');
  assert.equal(ended.file, join(home, 'b.mkv'));
  assert.equal(probe(ended.file).streams[0].codec_name, 'vp8');
});

test('a disk that is full ends the recording, and not the call', async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'aldis-recording-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', home]);
  t.after(() => {
    spawnSync('umount', ['-l', home]);
    rmSync(home, { recursive: true });
  });
  if (mounted.status !== 0) return t.skip('no file system can be mounted here');
  const stage = new Stage(t);
  const relay = await stage.relay();
  const { red } = await call(stage, relay, 'h264', ['--record', join(home, 'call.mkv'), '--record-what', 'sent']);
  const stopped = await red.report('recording', { where: ({ state }) => state === 'stopped' });
  assert.match(stopped.reason, /call\.mkv.* cannot be written \(No space left on device/);
  await red.reaches('the call goes on', ({ sent }) => sent.fps > 5);
});

test('a browser that changes the size of its picture is recorded in one piece', async (t) => {
  const home = folder(t);
  const stage = new Stage(t);
  const relay = await stage.relay();
  const file = join(home, 'call.mkv');
  const client = await stage.client(relay, ['--our-id', 'cam', '--record', file, '--record-what', 'received']);
  const browser = await stage.browser({ devices: true });
  const page = await browser.open(relay, 'call=cam&send=camera');
  await page.sees();
  await client.report('first-frame-received', { where: ({ kind }) => kind === 'video' });
  await client.rates(2);
  await page.page.evaluate(async () => {
    const sender = globalThis.aldis.pc.getSenders().find(({ track }) => track?.kind === 'video');
    const parameters = sender.getParameters();
    parameters.encodings[0].scaleResolutionDownBy = 2;
    await sender.setParameters(parameters);
  });
  await client.rates(3);
  await page.page.close();
  await client.report('recording', { where: ({ state }) => state === 'ended' });
  assert.deepEqual(readdirSync(home), ['call.mkv']);
  assert.equal(complaints(file), '');
  const sizes = spawnSync('ffprobe', [
    '-v', 'error', '-select_streams', 'v', '-show_entries', 'frame=width', '-of', 'csv=p=0', file,
  ], { encoding: 'utf8' });
  const widths = new Set(sizes.stdout.split(/[\s,]+/).filter(Boolean));
  t.diagnostic(`widths: ${[...widths]}`);
  assert.ok(widths.size >= 2, 'the picture has changed its size');
});

test('two pictures of a browser are both shown and recorded', async (t) => {
  const home = folder(t);
  const stage = new Stage(t);
  const relay = await stage.relay();
  const file = join(home, 'call.mkv');
  const screen = await stage.screen(1280, 720);
  const client = await stage.client(relay, [
    '--our-id', 'cam', '--video', 'none', '--audio', 'none', '--record', file, '--record-what', 'received', '--show', 'window', '--no-play',
  ], { DISPLAY: screen.display });
  const browser = await stage.browser();
  const page = await browser.open(relay);
  await allowCallsByHand(page);
  await page.page.evaluate(async ({ url, colours }) => {
    const pc = new RTCPeerConnection();
    globalThis.raw = pc;
    for (const [index, colour] of colours.entries()) {
      const canvas = Object.assign(document.createElement('canvas'), { width: 320 + 160 * index, height: 240 });
      document.body.append(canvas);
      const context = canvas.getContext('2d');
      setInterval(() => {
        context.fillStyle = colour;
        context.fillRect(0, 0, canvas.width, canvas.height);
      }, 50);
      pc.addTransceiver(canvas.captureStream(20).getVideoTracks()[0], { direction: 'sendonly' });
    }
    globalThis.socket = globalThis.callByHand(pc, url, 'cam', 'canvas');
  }, { url: relay.url, colours: ['red', 'blue'] });
  for (const track of [1, 2]) {
    await client.report('first-frame-received', { where: (report) => report.kind === 'video' && report.track === track });
  }
  await until('each has a window that says which it is', () => {
    const { stdout } = spawnSync('xwininfo', ['-display', screen.display, '-root', '-tree'], { encoding: 'utf8' });
    return ['""canvas" : Aldis"', '""canvas", picture 2 : Aldis"'].every((title) => stdout.includes(title));
  });
  await client.rates(4);
  await page.page.evaluate(() => { globalThis.raw.close(); globalThis.socket.close(); });
  await client.report('recording', { where: ({ state }) => state === 'ended' });
  const found = probe(file);
  assert.deepEqual(found.streams.map(({ codec_name: name }) => name), ['vp8', 'vp8']);
  for (const stream of found.streams) assert.ok(stream.frames > 30, `${stream.frames} pictures`);
  assert.equal(complaints(file), '');
});
