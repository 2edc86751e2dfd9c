// Where pictures and sound come from: switching between sources, losing one, files and addresses.

import test from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { spawnSync } from 'node:child_process';
import { Program } from './support/process.js';
import { Client, Screen } from './support/programs.js';
import { pauses, watchPauses } from './support/pauses.js';
import { RtspCamera } from './support/rtsp-camera.js';
import { Stage } from './support/stage.js';
import { until } from './support/until.js';

const SMALL = ['--width', '640', '--height', '360', '--framerate', '15'];
const RED = [255, 0, 0];
const BLUE = [0, 0, 255];
const GREEN = [0, 255, 0];
/** The ground of a slate. */
const SLATE = [0x20, 0x30, 0x40];

/** Waits until the middle of the picture has a colour; the corner, where nothing is written. */
function shows(page, colour, what) {
  return page.shows(what, [[0.03, 0.05]], [colour]);
}

/** A film of so many seconds: all green, with a tone of 1000 Hz, and its folder goes with the test. */
function film(t, seconds, { sound = true, colour = '0x00ff00' } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'aldis-film-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'a film.webm');
  const tone = sound ? ['-f', 'lavfi', '-i', `sine=frequency=1000:duration=${seconds}`, '-c:a', 'libopus'] : [];
  const made = spawnSync('ffmpeg', [
    '-v', 'error', '-f', 'lavfi', '-i', `color=c=${colour}:s=320x180:r=15:d=${seconds}`, ...tone,
    '-c:v', 'libvpx', '-b:v', '300k', '-deadline', 'realtime', path,
  ], { encoding: 'utf8' });
  assert.equal(made.status, 0, made.stderr);
  return path;
}

test('sources are switched while a call runs, without a freeze', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const client = await stage.client(relay, [
    '--our-id', 'cam', '--commands', ...SMALL, '--video', 'test:red', '--video', 'test:blue', '--video', 'none',
    '--video', 'file:/nowhere/a.webm', '--audio', 'test', '--audio', 'pipeline:audiotestsrc is-live=true freq=1000',
  ]);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=cam');
  await page.sees();
  await shows(page, RED, 'the first source is seen');
  await watchPauses(page);

  const answers = (await page.inbound('video')).decoded;
  client.type('video 2');
  await shows(page, BLUE, 'the second source is seen');
  const switched = await client.report('source-switched');
  assert.deepEqual([switched.kind, switched.number, switched.source], ['video', 2, 'test:blue']);
  client.type('video test:red');
  await shows(page, RED, 'the first is seen again');

  client.type('video 4');
  const refused = await client.report('source-refused');
  assert.match(refused.reason, /nowhere/);
  assert.equal(refused.source, 'file:a.webm', 'the list tells no paths');
  await shows(page, RED, 'what cannot be had changes nothing');

  client.type('video none');
  await shows(page, [0, 0, 0], 'nothing is shown');
  const { frames: before } = await pauses(page);
  await until('frames go on coming', async () => (await pauses(page)).frames > before + 15);
  const { longest, frames } = await pauses(page);
  t.diagnostic(`the longest pause of ${frames} frames is ${longest.toFixed(0)} ms`);
  assert.ok(longest < 1000, `a pause of ${longest} ms`);
  assert.ok((await page.inbound('video')).decoded > answers);

  assert.ok(Math.abs((await page.tone()) - 440) < 10);
  client.type('audio 2');
  await until('the other tone is heard', async () => Math.abs((await page.tone()) - 1000) < 10);

  client.type('list');
  const { sources } = await client.report('sources');
  const sent = sources.filter(({ selected }) => selected).map(({ source }) => source);
  assert.deepEqual(sent, ['none', 'pipeline']);
  client.type('video 9');
  assert.match((await client.report('reply')).text, /no source 9/);
  client.type('quit');
  await until('it ends', () => client.ended);
  assert.equal(client.ended.code, 0);
});

test('a display that goes away turns into a slate and comes back', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const screen = await stage.screen(640, 360);
  spawnSync('xsetroot', ['-display', screen.display, '-solid', '#ff0000']);
  const client = await stage.client(relay, [
    '--our-id', 'cam', ...SMALL, '--video', 'screen', '--display', screen.display, '--no-pointer',
  ]);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=cam');
  await page.sees();
  await watchPauses(page);

  await screen.stop();
  const lost = await client.report('source-lost');
  assert.equal(lost.source, 'screen');
  await shows(page, SLATE, 'a slate is seen');
  const { longest } = await pauses(page);
  t.diagnostic(`until the slate: ${longest.toFixed(0)} ms without a frame`);

  await stage.keep(Screen.start(640, 360, screen.display));
  await client.report('source-back');
  await until('the screen is seen again', async () => {
    const { pixels: [[red, green, blue]] } = await page.picture([[0.03, 0.05]]);
    return Math.hypot(red - SLATE[0], green - SLATE[1], blue - SLATE[2]) > 30;
  });
  assert.ok(!client.reports.some(({ event }) => event === 'ended'), 'the call goes on');
});

test('a window that is closed turns into a slate', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const screen = await stage.screen(800, 600);
  const window = new Program('ffplay', [
    '-v', 'error', '-window_title', 'a window', '-f', 'lavfi', '-i', 'color=c=0x0000ff:s=320x180:r=10',
  ], { env: { DISPLAY: screen.display, SDL_AUDIODRIVER: 'dummy' } });
  await stage.keep(Promise.resolve(window));
  await until('the window is there', () => spawnSync('xwininfo', ['-display', screen.display, '-name', 'a window']).status === 0);
  const client = await stage.client(relay, [
    '--our-id', 'cam', ...SMALL, '--video', 'window:a window', '--display', screen.display,
  ]);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=cam');
  await page.sees();
  await shows(page, BLUE, 'the window is seen');
  await window.stop('SIGKILL');
  await client.report('source-lost');
  await shows(page, SLATE, 'a slate is seen');
});

test('a file is played again and again, with its sound', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const client = await stage.client(relay, [
    '--our-id', 'cam', ...SMALL, '--commands', '--video', `file:${film(t, 2)}`, '--video', 'test:red', '--audio', 'file',
  ]);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=cam');
  await page.sees();
  await shows(page, GREEN, 'the film is seen');
  assert.ok(Math.abs((await page.tone()) - 1000) < 10);
  await watchPauses(page);
  // More than two rounds of two seconds.
  await until('two rounds are over', async () => (await pauses(page)).frames > 75);
  const { longest } = await pauses(page);
  t.diagnostic(`the longest pause is ${longest.toFixed(0)} ms`);
  assert.ok(longest < 1000, `a pause of ${longest} ms`);
  await shows(page, GREEN, 'the film is still seen');
  assert.ok(Math.abs((await page.tone()) - 1000) < 10);
  // That it is sent as it is, and that nothing became of it.
  const told = client.reports.filter(({ event }) => event.startsWith('source-')).map(({ event }) => event);
  assert.deepEqual(told, ['source-passed']);
  client.type('video 2');
  await shows(page, RED, 'the test picture is seen');
});

test('a still picture stays', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'aldis-picture-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'green.png');
  const made = spawnSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', 'color=c=0x00ff00:s=320x180', '-frames:v', '1', path]);
  assert.equal(made.status, 0, String(made.stderr));
  const stage = new Stage(t);
  const relay = await stage.relay();
  const client = await stage.client(relay, ['--our-id', 'cam', ...SMALL, '--video', `file:${path}`]);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=cam');
  await page.sees();
  await watchPauses(page);
  // More than a source that is silent is waited for.
  await until('it is sent for a while', async () => (await pauses(page)).frames > 60);
  await shows(page, GREEN, 'the picture is seen');
  assert.ok(!client.reports.some(({ event }) => event.startsWith('source-')), JSON.stringify(client.reports));
});

test('a file that is played once leaves a slate', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const client = await stage.client(relay, [
    '--our-id', 'cam', ...SMALL, '--no-loop', '--video', `file:${film(t, 4, { sound: false })}`, '--audio', 'none',
  ]);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=cam');
  await page.sees();
  await client.report('source-ended');
  await shows(page, SLATE, 'a slate is seen');
});

test('what a web server has is played', async (t) => {
  const path = film(t, 3);
  const server = createServer((request, response) => {
    const whole = readFileSync(path);
    const range = request.headers.range?.match(/bytes=(\d+)-(\d*)/);
    const from = range ? Number(range[1]) : 0;
    const to = range?.[2] ? Number(range[2]) : whole.length - 1;
    response.writeHead(range ? 206 : 200, {
      'content-type': 'video/webm', 'accept-ranges': 'bytes', 'content-length': to - from + 1,
      ...(range && { 'content-range': `bytes ${from}-${to}/${whole.length}` }),
    });
    response.end(whole.subarray(from, to + 1));
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', () => done(undefined)));
  t.after(() => server.close());
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const stage = new Stage(t);
  const relay = await stage.relay();
  await stage.client(relay, [
    '--our-id', 'cam', ...SMALL, '--video', `uri:http://127.0.0.1:${port}/film.webm`, '--audio', 'uri',
  ]);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=cam');
  await page.sees();
  await shows(page, GREEN, 'the film is seen');
  assert.ok(Math.abs((await page.tone()) - 1000) < 10);
});

test('a camera of the network is shown, and comes back by itself', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const camera = await stage.keep(RtspCamera.start('0x00ff00'));
  const client = await stage.client(relay, ['--our-id', 'cam', ...SMALL, '--video', `uri:${camera.url}`]);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=cam');
  await page.sees();
  await shows(page, GREEN, 'the camera is seen');
  await camera.stop();
  await client.report('source-lost');
  await shows(page, SLATE, 'a slate is seen');
  await stage.keep(RtspCamera.start('0x0000ff', camera.port));
  await client.report('source-back');
  await shows(page, BLUE, 'the camera is seen again');
});

test('a pipeline of the user and what the machine plays are sent', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const sound = await stage.sound();
  await sound.play(700);
  await stage.client(relay, [
    '--our-id', 'cam', ...SMALL, '--audio', 'desktop',
    '--video', 'pipeline:videotestsrc pattern=blue ! video/x-raw,width=200,height=100,framerate=25/1',
  ], sound.env);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=cam');
  await page.sees();
  await until('the pipeline is seen', async () => {
    const { pixels: [[red, green, blue]] } = await page.picture([[0.5, 0.5]]);
    return blue > 180 && red < 60 && green < 60;
  });
  assert.ok(Math.abs((await page.tone()) - 700) < 10);
});

test('a pipeline that GStreamer does not take is told in its words', async () => {
  const nowhere = /** @type {any} */ ({ url: 'ws://127.0.0.1:1' });
  const client = new Client(nowhere, ['--our-id', 'cam', '--video', 'pipeline:videotestsrcc', '--audio', 'none']);
  const failed = await client.report('failed');
  assert.match(failed.reason, /pipeline.*videotestsrcc/);
  await client.exit;
});

test('what is not there of the other sources is said at the start, and does not hinder the first', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const client = await stage.client(relay, [
    '--our-id', 'cam', '--audio', 'test', '--video', 'test', '--video', 'test:blue',
    '--video', 'file:/nowhere/film.webm', '--video', 'camera:/dev/no-such-camera',
  ]);
  const warned = await until('there is a warning of each', () => {
    const found = client.errors.filter((line) => line.includes('cannot be sent as it is'));
    return found.length >= 2 && found.join('\n');
  });
  assert.match(warned, /file:film\.webm.*"\/nowhere\/film\.webm" cannot be read: No such file/);
  assert.match(warned, /no-such-camera/);
  assert.equal(warned.split('\n').length, 2, 'what is there is not warned of');
  await stage.client(relay, ['--peer-id', 'cam']);
  await client.report('first-frame-sent', { where: ({ kind }) => kind === 'video' });
});
