// Cameras: what is seen in a browser, and what is said of one that cannot be used. There is no camera
// here; support/camera.c answers for the kernel's driver, and everything from v4l2src on is real.

import test from 'node:test';
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { Camera, noCamera } from './support/camera.js';
import { Program } from './support/process.js';
import { binaries } from './support/programs.js';
import { picturesOf, sums } from './support/recording.js';
import { Stage } from './support/stage.js';
import { failing } from './support/failing.js';
import { until } from './support/until.js';

const NOWHERE = { url: 'ws://127.0.0.1:1' };

/** The middle of each quarter, away from the row in which the square moves. */
const QUARTERS = [[0.25, 0.2], [0.75, 0.2], [0.25, 0.8], [0.75, 0.8]];
const COLOURS = [[0xc0, 0, 0], [0, 0xc0, 0], [0, 0, 0xc0], [0xc0, 0xc0, 0xc0]];

function sizeOf(width, height, framerate) {
  return ['--width', String(width), '--height', String(height), '--framerate', String(framerate)];
}

async function showsTheCamera(page) {
  await page.shows('the camera is shown', QUARTERS, COLOURS);
  const first = await page.picture([]);
  await until('the square moves', async () => {
    const later = await page.picture([]);
    return later.square !== null && first.square !== null && Math.abs(later.square - first.square) > 20;
  });
}

for (const [form, width, height, framerate] of [
  ['raw YUY2 640x480 at 30', 640, 480, 30],
  ['MJPEG 1280x720 at 30', 1280, 720, 30],
  ['raw YUY2 1280x720 at 10', 1280, 720, 10],
]) {
  test(`the page shows a camera, which gives ${form}`, { skip: noCamera }, async (t) => {
    const stage = new Stage(t);
    const relay = await stage.relay();
    const camera = await stage.keep(Camera.start());
    const args = ['--our-id', 'cam', '--video', `camera:${camera.node}`, ...sizeOf(width, height, framerate)];
    const client = await stage.client(relay, args, camera.env);
    const browser = await stage.browser();
    const page = await browser.open(relay, 'call=cam');
    await page.sees();
    const taken = await until('it says what it takes of the camera', () => {
      const lines = client.errors.filter((line) => line.includes('taking the camera'));
      return lines.length > 0 && lines;
    });
    assert.ok(taken.every((line) => line.includes(form)), client.errors.join('\n'));
    const video = await until('a picture is decoded', async () => {
      const inbound = await page.inbound('video');
      return inbound?.width && inbound;
    });
    assert.deepEqual([video.width, video.height], [width, height]);
    // Machines that run tests have other things to do now and then: one quiet stretch of three will do.
    let rate = 0;
    for (let stretch = 0; stretch < 3 && rate < 0.8 * framerate; stretch += 1) {
      rate = await page.decodedRate(3);
      t.diagnostic(`${rate.toFixed(1)} of ${framerate} frames a second`);
    }
    assert.ok(rate >= 0.8 * framerate && rate <= 1.2 * framerate, `${rate} frames a second`);
    await showsTheCamera(page);
  });
}

test('the H.264 of a camera is sent as it is, picture by picture', { skip: noCamera }, async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const camera = await stage.keep(Camera.startWithH264());
  const record = join(camera.home, 'call.mkv');
  const client = await stage.client(relay, [
    '--our-id', 'cam', '--video', `camera:${camera.node}`, ...sizeOf(960, 540, 30),
    '--record', record, '--record-what', 'sent',
  ], camera.env);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=cam');
  await page.sees();
  const taken = client.errors.filter((line) => line.includes('taking the camera'));
  assert.ok(taken.length > 0 && taken.every((line) => line.includes('H.264 960x540 at 30')), client.errors.join('\n'));
  const told = await client.report('source-passed');
  assert.deepEqual([told.codec, told.width, told.height], ['H.264', 960, 540]);
  await showsTheCamera(page);
  await client.report('stats', { where: ({ sent }) => sent.video?.passed });
  // Some seconds of it.
  await client.rates(4);
  const { width, height, codec } = await page.inbound('video');
  assert.deepEqual([width, height, codec], [960, 540, 'video/H264']);
  assert.equal((await client.stop()).code, 0);

  // What comes before the camera has proven itself is encoded.
  const sent = sums(record, 'pictures');
  const passed = picturesOf(sent, sums(camera.film, 'pictures'));
  t.diagnostic(`${passed} of ${sent.length} pictures are the camera's`);
  assert.ok(passed > 40, `${passed} of ${sent.length} pictures are the camera's`);
});

test('the H.264 of a camera is encoded for who takes another codec', { skip: noCamera }, async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const camera = await stage.keep(Camera.startWithH264());
  const args = ['--our-id', 'cam', '--video', `camera:${camera.node}`, ...sizeOf(960, 540, 30), '--video-codec', 'vp8,h264'];
  const client = await stage.client(relay, args, camera.env);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=cam');
  await page.sees();
  await client.report('source-passed');
  await showsTheCamera(page);
  const after = client.mark;
  await client.report('stats', { after, where: ({ sent }) => sent.fps > 5 && !sent.video.passed });
  assert.equal((await page.inbound('video')).codec, 'video/VP8');
});

test('the H.264 of a camera that hardly ever makes a key frame is encoded', { skip: noCamera }, async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const camera = await stage.keep(Camera.startWithH264({ distance: 240 }));
  const args = ['--our-id', 'cam', '--video', `camera:${camera.node}`, ...sizeOf(960, 540, 30), '--video-codec', 'h264'];
  const client = await stage.client(relay, args, camera.env);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=cam');
  await page.sees();
  const told = await client.report('source-encoded');
  assert.match(told.reason, /without a key frame for 5\.\d s/);
  await showsTheCamera(page);
});

test('a camera that is unplugged turns into a slate, and comes back by itself', { skip: noCamera }, async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const camera = await stage.keep(Camera.start());
  const args = ['--our-id', 'cam', '--video', `camera:${camera.node}`, ...sizeOf(640, 480, 30)];
  const client = await stage.client(relay, args, camera.env);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=cam');
  await page.sees();
  await showsTheCamera(page);

  const { mark } = client;
  camera.unplug();
  const lost = await client.report('source-lost', { after: mark });
  assert.match(lost.reason, new RegExp(`^There is no camera ${camera.node}; there (are|is)`));
  const isDark = ([red, green, blue]) => red < 80 && green < 90 && blue < 110;
  await until('the page shows the slate', async () => (await page.picture(QUARTERS)).pixels.every(isDark));

  camera.plug();
  const back = await client.report('source-back', { after: mark });
  assert.equal(back.source, lost.source);
  await until('the page shows the camera again', async () => !(await page.picture(QUARTERS)).pixels.some(isDark));
  await showsTheCamera(page);
  assert.equal((await page.state()).state, 'in-call');
});

test('a camera that is not there is told, with those that are', async () => {
  const failed = await failing(NOWHERE, ['--video', 'camera:/dev/video987']);
  assert.equal(failed.exit_code, 10, failed.reason);
  assert.match(failed.reason, /There is no camera \/dev\/video987; there (are: \/dev\/video|are none)/);
  const unnamed = await failing(NOWHERE, ['--video', 'camera:no such name']);
  assert.equal(unnamed.exit_code, 10, unnamed.reason);
  assert.match(unnamed.reason, /No camera has "no such name" in its name; there are/);
});

test('a camera that is in use is told with who holds it', { skip: noCamera }, async (t) => {
  const stage = new Stage(t);
  const camera = await stage.keep(Camera.start());
  camera.occupy();
  const holder = new Program('sh', ['-c', `exec sleep 300 <${camera.node}`], { name: 'a program with the camera' });
  await stage.keep(Promise.resolve({ stop: () => holder.stop('SIGKILL') }));
  await until('the program has the camera', () => spawnSync('readlink', [`/proc/${holder.pid}/fd/0`], { encoding: 'utf8' }).stdout.trim() === camera.node);
  const failed = await failing(NOWHERE, ['--video', `camera:${camera.node}`], camera.env);
  assert.equal(failed.exit_code, 10, failed.reason);
  assert.match(failed.reason, new RegExp(`The camera ${camera.node} is in use by .*sleep \\(process ${holder.pid}\\)`));
});

test('a file that is no camera is told', { skip: noCamera }, async () => {
  const failed = await failing(NOWHERE, ['--video', 'camera:/dev/null']);
  assert.equal(failed.exit_code, 10, failed.reason);
  assert.match(failed.reason, /\/dev\/null is no camera/);
});

test('a camera that this user may not open is told with what to do', { skip: noCamera }, async (t) => {
  const stage = new Stage(t);
  const camera = await stage.keep(Camera.start());
  chmodSync(camera.node, 0o600);
  chmodSync(camera.home, 0o755);
  // Where the program is, another user may not look.
  const program = join(camera.home, 'client');
  copyFileSync(join(binaries, 'client'), program);
  chmodSync(program, 0o755);
  const { status, stderr } = spawnSync('setpriv', [
    '--reuid=65534', '--regid=65534', '--clear-groups', program, '--show', 'none', '--audio', 'none',
    '--video', `camera:${camera.node}`,
  ], { encoding: 'utf8', env: { ...process.env, ...camera.env, HOME: camera.home }, timeout: 90_000 });
  assert.equal(status, 10, stderr);
  assert.match(stderr, /may not be opened by this user; add the user to the group video \(usermod -aG video/);
});
