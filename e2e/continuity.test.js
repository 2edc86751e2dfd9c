// What goes on over a connection that takes the place of another: recordings, files, and the control of
// a machine.

import test from 'node:test';
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Machine } from './support/networks.js';
import { Client } from './support/programs.js';
import { complaints, probe } from './support/recording.js';
import { Stage } from './support/stage.js';
import { until } from './support/until.js';

/** More than goes over before the network is changed. */
const FILE_BYTES = 200 << 20;

const sum = (file) => createHash('sha256').update(readFileSync(file)).digest('hex');

/** When the packets of a stream of a file are, in seconds, in their order. */
function times(file, stream) {
  const { stdout } = spawnSync('ffprobe', [
    '-v', 'error', '-select_streams', `${stream}:0`, '-show_entries', 'packet=pts_time', '-of', 'csv=p=0', file,
  ], { encoding: 'utf8', maxBuffer: 1 << 26 });
  return stdout.split(/[\s,]+/).filter(Boolean).map(Number);
}

test('recordings, files and control go on over the connection that takes the place of another', async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'aldis-continuity-'));
  t.after(() => rmSync(home, { recursive: true, force: true, maxRetries: 5 }));
  const inbox = join(home, 'in');
  mkdirSync(inbox);
  const big = join(home, 'big.bin');
  writeFileSync(big, randomBytes(FILE_BYTES));
  const stage = new Stage(t);
  const relay = await stage.openRelay();
  const network = await stage.keep(Machine.start(1));
  network.plug(false);
  const away = async (args) => (await stage.keep(Promise.resolve(new Client(relay, args, {}, { machine: network })))).ready();
  // How soon another connection stands is the matter of other tests.
  const small = ['--audio', 'test', '--width', '320', '--height', '180', '--patience', '30'];

  // On the machine that moves: one that a page controls, and one that records a call and sends a file in it.
  const cam = await away(['--our-id', 'cam', '--video', 'test', '--video', 'test:blue', ...small]);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'id=ann&call=cam');
  await page.sees();
  await page.page.locator('#machine').waitFor();
  const choose = async (list, choice, outcome) => {
    await page.page.locator(list).selectOption(choice);
    await until(`the page says: ${outcome}`, async () => (await page.page.locator('#machine-outcome').textContent()) === outcome);
  };
  const isBlue = async () => {
    const [red, green, blue] = (await page.picture([[0.5, 0.5]])).pixels[0];
    return blue > 150 && red < 90 && green < 90;
  };
  await choose('#machine-video', { index: 1 }, 'It changes over.');
  await until('the other picture is shown', isBlue);
  await choose('#machine-bitrate', '1000', 'It sends no more than 1000 kbit/s.');
  const receiver = await stage.client(relay, ['--our-id', 'in', '--video', 'test:blue', ...small, '--receive-dir', inbox]);
  const sender = await away(['--peer-id', 'in', '--video', 'test:red', ...small, '--send-file', big, '--record', join(home, 'call.mkv')]);
  await until('both files are begun', () => sender.reports.filter(({ event, state }) => event === 'recording' && state === 'began').length === 2);
  const part = () => readdirSync(inbox).find((name) => name.endsWith('.part'));
  await until('a part has arrived', () => part() && statSync(join(inbox, part())).size > 5 << 20);

  network.connect(1);
  network.disconnect(0);
  const clients = [cam, sender, receiver];
  const again = await Promise.all(clients.map((client) => client.report('reconnected')));
  t.diagnostic(`without anything for ${again.map(({ seconds }) => `${seconds} s`).join(', ')}`);

  // The file: the rest of it comes, and it is what was sent.
  const { resumed_at: resumed, problem } = await receiver.report('file');
  t.diagnostic(`the file went on after ${resumed} of ${FILE_BYTES} bytes`);
  assert.equal(problem, null);
  assert.ok(resumed >= 5 << 20 && resumed < FILE_BYTES, `resumed at ${resumed}`);
  assert.equal((await sender.report('file')).problem, null);
  assert.deepEqual(readdirSync(inbox), ['big.bin']);
  assert.equal(sum(join(inbox, 'big.bin')), sum(big));

  // Control: what was chosen is still chosen, and something else can be.
  await page.until('the page has changed over', (state) => state.reconnections > 0 && state.outageMs > 0);
  assert.equal(await page.page.locator('#machine-video').evaluate((list) => list.selectedIndex), 1);
  assert.equal(await page.page.locator('#machine-bitrate').inputValue(), '1000');
  await choose('#machine-video', { index: 0 }, 'It changes over.');
  await until('the first picture is shown', async () => !(await isBlue()));
  // A picture that is all blue takes 10 kbit/s, and one that moves more than 25; figures of the same picture may stay the same.
  await until('there are figures of the picture that moves', async () => {
    const figures = await page.page.locator('#machine-statistics').textContent();
    return Number(/ (\d+) kbit/.exec(figures ?? '')?.[1]) > 15;
  });

  // The recording: one file for each way, from the beginning to the end.
  const rates = await sender.rates(2);
  assert.ok(rates.at(-1).received.fps > 5, 'the picture is back');
  const { setup_ms: setup } = await sender.report('connected');
  await receiver.stop();
  const { seconds } = await sender.report('ended');
  await sender.exit;
  assert.deepEqual(readdirSync(home).sort(), ['big.bin', 'call-received.mkv', 'call-sent.mkv', 'in']);
  const lasted = seconds - setup / 1000;
  for (const side of ['sent', 'received']) {
    const file = join(home, `call-${side}.mkv`);
    const found = probe(file);
    assert.deepEqual(found.streams.map(({ codec_name: name }) => name), ['vp8', 'opus'], side);
    assert.ok(Math.abs(found.seconds - lasted) < 2, `${side}: ${found.seconds} of ${lasted} s`);
    assert.equal(complaints(file), '', side);
    for (const kind of ['v', 'a']) {
      const all = times(file, kind);
      const steps = all.slice(1).map((at, index) => at - all[index]);
      assert.ok(steps.every((step) => step >= 0), `${side} ${kind}: no frame comes before another`);
      assert.ok(lasted - all.at(-1) < 2, `${side} ${kind}: the last of it is after ${all.at(-1)} of ${lasted} s`);
      t.diagnostic(`${side} ${kind}: ${all.length} frames, ${Math.max(...steps).toFixed(2)} s the longest gap`);
    }
  }
  for (const client of [cam, receiver]) assert.equal(client.reports.some(({ event, by }) => event === 'ended' && by === 'network'), false);
  assert.deepEqual(page.errors, []);
});
