// What a machine has, as the client lists it.

import test from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { Stage } from './support/stage.js';
import { Window } from './support/window.js';
import { binaries } from './support/programs.js';

/** Runs the client to its end. */
function client(args, env) {
  const { status, stdout, stderr } = spawnSync(join(binaries, 'client'), args, {
    encoding: 'utf8', env: { ...process.env, WAYLAND_DISPLAY: '', ...env }, timeout: 30_000,
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
