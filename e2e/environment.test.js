// What a machine may lack: each is told in one sentence, with an exit code of its own.

import test from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Stage } from './support/stage.js';
import { failing } from './support/failing.js';
import { binaries } from './support/programs.js';
import { until } from './support/until.js';

const NOWHERE = { url: 'ws://127.0.0.1:1' };

test('without a relay', async () => {
  const failed = await failing(NOWHERE, []);
  assert.equal(failed.exit_code, 3);
  assert.match(failed.reason, /ws:\/\/127\.0\.0\.1:1\/ cannot be reached .*--server/);
});

test('without a display to capture', async () => {
  const failed = await failing(NOWHERE, ['--video', 'screen', '--display', ':7654', '--audio', 'none']);
  assert.equal(failed.exit_code, 8);
  assert.match(failed.reason, /:7654 cannot be captured; .*--video test/);
});

test('with a region that is not on the screen, which would show all of it', async (t) => {
  const stage = new Stage(t);
  const screen = await stage.screen(1280, 720);
  for (const region of ['1200,700,500x500', '5000,5000,100x100']) {
    const args = ['--video', 'screen', '--display', screen.display, '--region', region];
    const failed = await failing(NOWHERE, args);
    assert.equal(failed.exit_code, 8, failed.reason);
    assert.match(failed.reason, new RegExp(`The region ${region} is not wholly on the screen, which has 1280x720`));
  }
});

test('without a display to show a window on', async () => {
  const failed = await failing(NOWHERE, ['--show', 'window'], { DISPLAY: '', WAYLAND_DISPLAY: '' });
  assert.equal(failed.exit_code, 8);
  assert.match(failed.reason, /--show none/);
});

test('without a sound server', async () => {
  const failed = await failing(NOWHERE, ['--audio', 'mic'], { PULSE_SERVER: 'unix:/nonexistent' });
  assert.equal(failed.exit_code, 9);
  assert.match(failed.reason, /No sound server .*--audio test .*--audio none/);
});

test('without the device that was asked for', async (t) => {
  const stage = new Stage(t);
  const sound = await stage.sound();
  const failed = await failing(NOWHERE, ['--audio', 'mic', '--audio-device', 'cellar'], sound.env);
  assert.equal(failed.exit_code, 10);
  assert.match(failed.reason, /no source "cellar"/);
});

test('without a plugin', async (t) => {
  const found = spawnSync('pkg-config', ['--variable=pluginsdir', 'gstreamer-1.0'], { encoding: 'utf8' });
  const plugins = found.stdout.trim();
  for (const [missing, elements, packages] of [
    [/libgstnice\.so/, /nicesrc, nicesink/, /apt-get install gstreamer1\.0-nice$/],
    [/libgst(x264|openh264)\.so/, /x264enc/, /apt-get install gstreamer1\.0-plugins-ugly$/],
  ]) {
    const fewer = mkdtempSync(join(tmpdir(), 'aldis-plugins-'));
    t.after(() => rmSync(fewer, { recursive: true }));
    for (const file of readdirSync(plugins)) {
      if (!missing.test(file)) symlinkSync(join(plugins, file), join(fewer, file));
    }
    const env = {
      GST_PLUGIN_SYSTEM_PATH_1_0: fewer,
      GST_REGISTRY_1_0: join(fewer, 'registry.bin'),
      GST_REGISTRY_FORK: 'no',
    };
    const failed = await failing(NOWHERE, ['--video-codec', 'h264'], env);
    assert.equal(failed.exit_code, 7);
    assert.match(failed.reason, elements);
    assert.match(failed.reason, packages);
  }
});

test('wrong usage is told before anything is done', () => {
  for (const args of [['--our-id', 'two words'], ['--width', '0'], ['--our-id', 'a', '--peer-id', 'a'], ['--server', 'http://x'], ['--nonsense']]) {
    const { status, stderr } = spawnSync(join(binaries, 'client'), args, { encoding: 'utf8' });
    assert.equal(status, 2, args.join(' '));
    assert.match(stderr, /^error: /);
  }
});

test('what comes in is shown in a window and played, where there are a display and a sound server', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const screen = await stage.screen(1280, 720);
  const sound = await stage.sound();
  const env = { DISPLAY: screen.display, ...sound.env };
  const client = await stage.client(relay, ['--our-id', 'cam', '--show', 'window'], env);
  // A name is a stranger's text: it neither turns the line around nor looks like more than a name.
  await stage.client(relay, ['--peer-id', 'cam', '--our-id', 'ann\u202e"']);
  await client.report('first-frame-received', { where: ({ kind }) => kind === 'video' });
  await until('a window with the name of the other side is there', () => {
    const { stdout } = spawnSync('xwininfo', ['-display', screen.display, '-root', '-tree'], { encoding: 'utf8' });
    return stdout.split('\n').some((line) => line.includes('""ann\\u{202e}\\"" : Aldis"') && line.includes('1280x720'));
  });
  await until('its sound is played', () => {
    const played = spawnSync('pactl', ['list', 'sink-inputs'], { env: { ...process.env, ...sound.env } });
    return played.stdout.toString().includes('Aldis');
  });
  await client.reaches('a picture that moves', ({ received }) => received.fps > 15);
});
