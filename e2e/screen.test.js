// A screen and its sound, seen and heard in a browser.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Stage } from './support/stage.js';
import { until } from './support/until.js';

const WIDTH = 1280;
const HEIGHT = 720;
const FRAMERATE = 25;
const TONE_HZ = 1000;

/** The middle of each quarter, away from the row in which the square moves. */
const QUARTERS = [[0.25, 0.2], [0.75, 0.2], [0.25, 0.8], [0.75, 0.8]];
const COLOURS = [[0xc0, 0, 0], [0, 0xc0, 0], [0, 0, 0xc0], [0xc0, 0xc0, 0xc0]];

for (const codec of ['vp8', 'h264']) {
  test(`the page shows the screen and plays the sound, by ${codec}`, async (t) => {
    const stage = new Stage(t);
    const relay = await stage.relay();
    const screen = await stage.screen(WIDTH, HEIGHT);
    const sound = await stage.sound();
    await screen.play(WIDTH, HEIGHT, FRAMERATE);
    await sound.play(TONE_HZ);
    const client = await stage.client(relay, [
      '--our-id', 'cam', '--video', 'screen', '--display', screen.display, '--no-pointer',
      '--audio', 'mic', '--audio-device', 'speaker.monitor', '--video-codec', codec,
      '--width', String(WIDTH), '--height', String(HEIGHT), '--framerate', String(FRAMERATE),
    ], sound.env);
    const browser = await stage.browser();

    const page = await browser.open(relay, 'call=cam');
    await page.sees();
    const video = await until('the first picture is decoded', async () => {
      const inbound = await page.inbound('video');
      return inbound?.width && inbound;
    });
    assert.equal(video.codec, codec === 'vp8' ? 'video/VP8' : 'video/H264');
    assert.deepEqual([video.width, video.height], [WIDTH, HEIGHT]);

    // Machines that run tests have other things to do now and then: one quiet stretch of three will do.
    let rate = 0;
    for (let stretch = 0; stretch < 3 && rate < 0.8 * FRAMERATE; stretch += 1) {
      rate = await page.decodedRate(4);
      t.diagnostic(`${rate.toFixed(1)} of ${FRAMERATE} frames a second`);
    }
    assert.ok(rate >= 0.8 * FRAMERATE, `${rate} frames a second`);
    assert.ok(rate <= 1.2 * FRAMERATE, `${rate} frames a second`);

    await page.shows('the screen is shown', QUARTERS, COLOURS);
    const first = await page.picture([]);
    assert.ok(Math.abs(first.squareWidth - 80) < 30, `the square is ${first.squareWidth} wide`);
    await until('the square moves', async () => {
      const later = await page.picture([]);
      return later.square !== null && Math.abs(later.square - first.square) > 20;
    });

    const tone = await page.tone();
    t.diagnostic(`${tone.toFixed(0)} Hz heard`);
    assert.ok(Math.abs(tone - TONE_HZ) < 10, `${tone} Hz`);

    const sent = await client.report('first-frame-sent', { where: (report) => report.kind === 'video' });
    assert.deepEqual([sent.width, sent.height], [WIDTH, HEIGHT]);
    assert.deepEqual(page.errors, []);
    assert.deepEqual([...page.hosts], [new URL(relay.page).host], 'no other host is asked for anything');
  });
}

test('a region of the screen is what is sent', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const screen = await stage.screen(WIDTH, HEIGHT);
  await screen.play(WIDTH, HEIGHT, FRAMERATE);
  await stage.client(relay, [
    '--our-id', 'cam', '--video', 'screen', '--display', screen.display,
    '--region', '640,0,640x300', '--width', '640', '--height', '300',
  ]);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=cam');
  await page.sees();
  const green = [0, 0xc0, 0];
  await page.shows('the green of that corner is shown', [[0.1, 0.2], [0.9, 0.2], [0.5, 0.8]], [green, green, green]);
  const { width, height } = await page.picture([]);
  assert.deepEqual([width, height], [640, 300]);
});
