// Networks that carry less than was asked for.

import test from 'node:test';
import { Machine, lose } from './support/networks.js';
import { Client } from './support/programs.js';
import { Stage } from './support/stage.js';

/** Noise takes all the bits that an encoder may use; so little of it can do with a tenth of them. */
const NOISE = ['--video', 'test:snow', '--width', '96', '--height', '54', '--audio', 'test', '--video-codec', 'vp8'];

test('a picture takes no more than the network carries, moves on, and takes more when there is more', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.openRelay();
  const machine = await stage.keep(Machine.start());
  const args = [...NOISE, '--our-id', 'cam', '--bitrate-kbps', '1500'];
  const cam = await stage.keep(new Client(relay, args, {}, { machine }).ready());
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=cam');
  await page.sees();
  const fast = await cam.reaches('all that was asked for is sent', ({ sent, available_kbps: available }) => sent.video_kbps > 1000 && available > 1500);
  t.diagnostic(`the network is taken to carry ${fast.available_kbps} kbit/s, and ${fast.sent.video_kbps} are sent`);

  machine.throttle(0, 600);
  const slow = await cam.reaches('the picture fits', ({ sent, available_kbps: available }) => available < 700 && sent.video_kbps < 650);
  t.diagnostic(`then ${slow.available_kbps}, and ${slow.sent.video_kbps}`);
  const { framesPresented } = await page.state();
  await page.until('the picture moves on', (state) => state.framesPresented > framesPresented + 45);

  machine.throttle(0);
  const again = await cam.reaches('it takes more again', ({ sent, available_kbps: available }) => available > 1500 && sent.video_kbps > 900);
  t.diagnostic(`and then ${again.available_kbps}, and ${again.sent.video_kbps}`);
});

test('losses that a peer reports make the picture take less, where it gives no other feedback', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const cam = await stage.client(relay, [...NOISE, '--our-id', 'cam', '--bitrate-kbps', '1500']);
  await stage.aiortc(relay, ['--call', 'cam']);
  await cam.reaches('all that was asked for is sent', ({ sent }) => sent.video_kbps > 1000);
  lose(t, 'meta l4proto udp udp length > 500 numgen random mod 3 != 0');
  const less = await cam.reaches('less is sent', ({ sent, available_kbps: available }) => available === null && sent.loss_percent > 10 && sent.video_kbps < 900);
  t.diagnostic(`${less.sent.video_kbps} kbit/s with ${less.sent.loss_percent} % lost`);
});
