// The examples of the library do what they say.

import test from 'node:test';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Program } from './support/process.js';
import { binaries } from './support/programs.js';
import { Stage } from './support/stage.js';
import { until } from './support/until.js';

/** Where the orange of a custom source is without a bar most of the time, and what it may look like encoded. */
const ORANGE = [255, 128, 0];
const TOLERANCE = 30;

function example(name, ...args) {
  return new Program(join(binaries, 'examples', name), args, { name });
}

test('a program of a dozen lines sends a test picture and a tone', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const sender = await stage.keep(Promise.resolve(example('send_test_source', relay.url)));
  await sender.line(/^registered as "cam"/);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=cam');
  await page.sees();
  assert.ok(Math.abs((await page.tone()) - 440) < 10);
});

test('a program sends pictures that it draws itself, in one call after the other', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const sender = await stage.keep(Promise.resolve(example('custom_source', relay.url)));
  const browser = await stage.browser();
  for (let call = 0; call < 2; call += 1) {
    const registrations = () => sender.lines.filter((line) => line.startsWith('registered as "cam"')).length;
    await until('it can be called', () => registrations() > call);
    const page = await browser.open(relay, 'call=cam');
    await page.sees();
    await until('the picture is orange', async () => {
      const { pixels: [pixel] } = await page.picture([[0.5, 0.25]]);
      return pixel.every((part, index) => Math.abs(part - ORANGE[index]) < TOLERANCE);
    });
    await page.page.close();
  }
});

test('what is said on a data channel comes back', async () => {
  const echo = example('data_channel_echo');
  const { code } = await until('it ends', () => echo.ended);
  assert.equal(code, 0, echo.errors.join('\n'));
  assert.deepEqual(echo.lines, ['Is anybody there? came back']);
});
