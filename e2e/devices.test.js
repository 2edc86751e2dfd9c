// What a machine has, as the client lists it.

import test from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { failing } from './support/failing.js';
import { Stage } from './support/stage.js';
import { Window } from './support/window.js';
import { binaries } from './support/programs.js';

/** Runs the client to its end. */
function client(args, env) {
  const { status, stdout, stderr } = spawnSync(join(binaries, 'client'), args, {
    encoding: 'utf8', env: { ...process.env, WAYLAND_DISPLAY: '', ...env }, timeout: 90_000,
  });
  return { status, stdout, stderr };
}

test('what there is is listed, as a table and as JSON', async (t) => {
  const stage = new Stage(t);
  const screen = await stage.screen(1280, 720);
  const sound = await stage.sound();
  const loaded = spawnSync('pactl', ['load-module', 'module-null-source', 'source_name=cellar', 'description=Cellar'], { env: { ...process.env, ...sound.env } });
  assert.equal(loaded.status, 0, String(loaded.stderr));
  const window = await stage.keep(Window.open(screen, 'The "first" window', '300x200+50+60'));

  const env = { ...sound.env, DISPLAY: screen.display };
  const json = client(['--list-devices', '--json'], env);
  assert.equal(json.status, 0, json.stderr);
  const devices = JSON.parse(json.stdout);
  assert.equal(devices.event, 'devices');
  assert.deepEqual(devices.outputs, [{ name: 'speaker', description: 'Null Output', is_default: true }]);
  assert.deepEqual(devices.microphones.map(({ name, description }) => [name, description]), [['cellar', 'Cellar']]);
  assert.deepEqual(devices.monitors.map(({ width, height, x, y }) => [width, height, x, y]), [[1280, 720, 0, 0]]);
  const [listed, ...others] = devices.windows;
  assert.deepEqual(others, []);
  assert.deepEqual([Number(listed.id), listed.title, listed.width, listed.height], [window.id, 'The "first" window', 300, 200]);

  const { status, stdout } = client(['--list-devices'], env);
  assert.equal(status, 0);
  const sections = stdout.split(/^(?=\S)/m).map((section) => section.trimEnd().split('\n'));
  assert.deepEqual(sections.map(([title]) => title.split(' ')[0]), ['Cameras', 'Microphones', 'Outputs', 'Monitors', 'Windows']);
  assert.match(sections[1][1], /^ {2}[ *] cellar {2}Cellar$/);
  assert.match(sections[2][1], /^ {2}\* speaker {2}Null Output$/);
  assert.match(sections[3][1], /^ {2}1 .*1280x720 at 0,0$/);
  assert.match(sections[4][1], new RegExp(`^  0x${window.id.toString(16)}  300x200 at .*  "The \\\\"first\\\\" window"$`));
});

test('what is missing is said in a sentence each', () => {
  const env = { DISPLAY: '', PULSE_SERVER: 'unix:/nonexistent' };
  const { status, stdout, stderr } = client(['--list-devices', '--json'], env);
  assert.equal(status, 0, stderr);
  const notes = new Map(JSON.parse(stdout).notes.map(({ about, sentence }) => [about, sentence]));
  assert.match(notes.get('microphones'), /no sound server; start PulseAudio or PipeWire/);
  assert.match(notes.get('outputs'), /no sound server/);
  assert.match(notes.get('monitors'), /DISPLAY is not set.*--display :N/);
  assert.match(notes.get('windows'), /DISPLAY is not set/);
  const wayland = client(['--list-devices'], { ...env, WAYLAND_DISPLAY: 'wayland-0' });
  assert.equal(wayland.status, 0, wayland.stderr);
  assert.match(wayland.stdout, /Wayland session, of which nothing can be captured/);
  assert.match(client(['--list-devices'], { DISPLAY: ':7654' }).stdout, /The X display :7654 cannot be captured/);
});

const PURPLE = [0xc0, 0, 0xc0];
const GREEN = [0, 0xc0, 0];

test('one window is shown, and nothing that lies over it; so is one monitor', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const screen = await stage.screen(1280, 720);
  const window = await stage.keep(Window.open(screen, 'Slides of today', '300x200+50+60', '#c000c0'));
  await stage.keep(Window.open(screen, 'All over it', '1280x720+0+0', '#00c000'));
  const browser = await stage.browser();
  for (const [name, args, colour] of [
    ['title', ['--window', 'slides', '--width', '300', '--height', '200'], PURPLE],
    ['id', ['--window', `0x${window.id.toString(16)}`, '--width', '300', '--height', '200'], PURPLE],
    ['monitor', ['--monitor', '1', '--width', '640', '--height', '360'], GREEN],
  ]) {
    const all = ['--our-id', name, '--video', 'screen', '--display', screen.display, '--no-pointer', ...args];
    await stage.client(relay, all);
    const page = await browser.open(relay, `call=${name}`);
    await page.sees();
    await page.shows(`${name} is shown`, [[0.6, 0.7], [0.9, 0.9]], [colour, colour]);
    const { width, height } = await page.picture([]);
    assert.deepEqual([String(width), String(height)], [args[3], args[5]], name);
    await page.page.close();
  }
});

test('a window or a monitor that is not there is told, with those that are', async (t) => {
  const stage = new Stage(t);
  const screen = await stage.screen(1280, 720);
  await stage.keep(Window.open(screen, 'Mail', '200x100+0+0'));
  await stage.keep(Window.open(screen, 'Mail (old)', '200x100+0+0'));
  const failed = async (...args) => {
    const nowhere = { url: 'ws://127.0.0.1:1' };
    const { exit_code: code, reason } = await failing(nowhere, ['--video', 'screen', '--display', screen.display, ...args]);
    assert.equal(code, 10, reason);
    return reason;
  };
  assert.match(await failed('--window', 'mail'), /^2 windows have "mail" in their title; name one by its number: 0x\w+ "Mail.*"; 0x\w+ "Mail.*"\.$/);
  assert.match(await failed('--window', 'editor'), /^No window has "editor" in its title; there are: 0x\w+ "Mail/);
  assert.match(await failed('--window', '0x12345'), /^There is no window 0x12345; there are: /);
  assert.match(await failed('--monitor', 'HDMI-7'), /^There is no monitor "HDMI-7"; there are: 1 \S+ 1280x720 at 0,0\.$/);
  assert.match(await failed('--monitor', '2'), /^There is no monitor 2; /);
});
