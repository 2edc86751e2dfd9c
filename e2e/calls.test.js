// Who calls whom, who hangs up, and what is left behind.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Stage } from './support/stage.js';
import { Client } from './support/programs.js';
import { until } from './support/until.js';

/** The fake camera's own rate is 20 frames a second. */
const SANE_CAMERA_RATE = [10, 35];

function assertSaneRates(rates) {
  const { fps, audio_kbps: audio } = rates.at(-1).received;
  assert.ok(fps > SANE_CAMERA_RATE[0] && fps < SANE_CAMERA_RATE[1], `${fps} frames a second`);
  assert.ok(audio > 5, `${audio} kbit/s of sound`);
}

for (const codec of ['vp8', 'h264']) {
  test(`the browser's camera and microphone arrive at the machine it calls, by ${codec}`, async (t) => {
    const stage = new Stage(t);
    const relay = await stage.relay();
    const client = await stage.client(relay, ['--our-id', 'cam', '--video-codec', codec]);
    const browser = await stage.browser({ devices: true });
    const page = await browser.open(relay, 'call=cam&send=camera&id=me');
    await page.sees();
    assert.equal((await client.report('called')).peer, 'me');
    const connected = await client.report('connected');
    assert.equal(connected.transport, 'udp');
    assert.match(`${connected.local} ${connected.remote}`, /^(host|prflx) (host|prflx)$/);
    const video = await client.report('first-frame-received', { where: ({ kind }) => kind === 'video' });
    assert.equal(video.codec, codec === 'vp8' ? 'VP8' : 'H.264');
    assert.ok(video.width >= 320 && video.height >= 180, `${video.width}x${video.height}`);
    await client.report('first-frame-received', { where: ({ kind }) => kind === 'audio' });
    const rates = await client.rates(4);
    assertSaneRates(rates);
    await until('the round trip is known', () => client.reports.some(({ rtt_ms: rtt }) => rtt > 0));
  });
}

test('the machine calls the browser, and both see one another', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const browser = await stage.browser({ devices: true });
  const page = await browser.open(relay, 'id=ann');
  await page.until('the page is registered', (state) => state.id === 'ann' && state.state === 'registered');
  await page.agreeToSend();
  const client = await stage.client(relay, ['--peer-id', 'ann', '--our-id', 'cam']);
  assert.equal((await client.report('calling')).peer, 'ann');
  assert.equal((await client.report('offer')).direction, 'sent');
  assert.equal((await client.report('answer')).direction, 'received');
  const state = await page.sees();
  assert.equal(state.peer, 'cam');
  assertSaneRates(await client.rates(4));
});

test('the machine asks the browser to make the offer', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const browser = await stage.browser();
  const page = await browser.open(relay, 'id=ann');
  await page.until('the page is registered', (state) => state.state === 'registered');
  const client = await stage.client(relay, ['--peer-id', 'ann', '--request-offer']);
  assert.equal((await client.report('offer')).direction, 'received');
  await page.sees();
});

test('two machines see and hear one another', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const waiting = await stage.client(relay, ['--our-id', 'one']);
  for (const extra of [[], ['--request-offer']]) {
    const after = waiting.mark;
    const calling = await Client.start(relay, [
      '--video', 'test', '--audio', 'test', '--peer-id', 'one', '--our-id', 'two', ...extra,
    ]);
    for (const client of [waiting, calling]) {
      const rates = await client.rates(3);
      const { fps, audio_kbps: audio } = rates.at(-1).received;
      assert.ok(fps > 20 && fps < 40, `${client.name}: ${fps} frames a second`);
      assert.ok(audio > 30, `${client.name}: ${audio} kbit/s of sound`);
    }
    assert.equal((await waiting.report('called', { after })).peer, 'two');
    assert.equal((await calling.stop()).code, 0);
    assert.equal((await waiting.report('ended', { after })).by, 'peer');
  }
});

test('either side may send less than everything', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const browser = await stage.browser({ devices: true });
  for (const [number, args] of [['--audio', 'none'], ['--video', 'none'], ['--video', 'none', '--audio', 'none']].entries()) {
    const client = await stage.client(relay, ['--our-id', `cam${number}`, ...args]);
    const viewer = await browser.open(relay, `call=cam${number}`);
    const after = client.mark;
    if (number === 0) await viewer.sees();
    if (number === 1) assert.ok(Math.abs((await viewer.tone()) - 440) < 10);
    if (number !== 2) await viewer.page.close();
    const ended = await client.report('ended', { after });
    if (number === 2) assert.match(ended.reason, /Neither side sends/);
    await client.report('registered', { after: client.reports.indexOf(ended) });

    const sender = await browser.open(relay, `call=cam${number}&send=camera`);
    await client.report('first-frame-received', { after, where: ({ kind }) => kind === 'video' });
    await client.report('first-frame-received', { after, where: ({ kind }) => kind === 'audio' });
    await sender.page.close();
    await client.stop();
  }
});

test('hanging up at either end ends the call at both, and both are ready for the next', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const client = await stage.client(relay, ['--our-id', 'cam']);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=cam&id=ann');
  await page.sees();

  await page.page.getByRole('button', { name: /hang up/i }).click();
  const ended = await client.report('ended');
  assert.equal(ended.by, 'peer');
  assert.match(ended.reason, /hung up/);
  await page.until('the page is registered again', (state) => state.state === 'registered');
  await client.report('registered', { after: client.reports.indexOf(ended) });

  const after = client.mark;
  const caller = await stage.client(relay, ['--peer-id', 'ann', '--our-id', 'desk']);
  await page.sees();
  assert.equal((await caller.stop()).code, 0, 'hanging up is no failure');
  assert.equal((await caller.report('ended')).by, 'us');
  const state = await page.until('the call has ended', (state) => state.state === 'registered');
  assert.equal(state.reason, 'hung-up-by-peer');
  assert.equal(client.reports.slice(after).some(({ event }) => event === 'called'), false);
});

test('ten calls in a row leave nothing behind', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const client = await stage.client(relay, ['--our-id', 'cam']);
  const browser = await stage.browser({ devices: true });
  const seen = [];
  for (let call = 0; call < 13; call += 1) {
    const after = client.mark;
    const page = await browser.open(relay, 'call=cam&send=camera');
    await page.sees();
    await client.report('first-frame-received', { after, where: ({ kind }) => kind === 'video' });
    if (call % 2) await page.page.getByRole('button', { name: /hang up/i }).click();
    else await page.page.close();
    await client.report('ended', { after });
    await client.report('registered', { after });
    if (call % 2) await page.page.close();
    seen.push(await client.settled());
  }
  const [before, last] = [seen[2], seen.at(-1)];
  t.diagnostic(`after 3 calls ${JSON.stringify(before)}, after 13 ${JSON.stringify(last)}`);
  assert.ok(last.threads <= before.threads + 2, `threads: ${seen.map((at) => at.threads)}`);
  assert.ok(last.descriptors <= before.descriptors + 2, `descriptors: ${seen.map((at) => at.descriptors)}`);
  assert.ok(last.memoryKb <= before.memoryKb + 15_000, `memory: ${seen.map((at) => at.memoryKb)}`);
});
