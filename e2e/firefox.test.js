// Firefox at the other end, with the page of the relay.

import test from 'node:test';
import assert from 'node:assert/strict';
import { allowCallsByHand } from './support/by-hand.js';
import { Stage } from './support/stage.js';
import { until } from './support/until.js';

for (const codec of ['vp8', 'vp9', 'h264']) {
  test(`Firefox calls, and both see and hear one another, by ${codec}`, async (t) => {
    const stage = new Stage(t);
    const relay = await stage.relay();
    const firefox = await stage.firefox();
    const idle = await firefox.open(relay);
    if (!await idle.takes(codec)) return t.skip(`this Firefox has no ${codec}`);
    const client = await stage.client(relay, ['--our-id', 'cam', '--video-codec', codec]);
    const page = await firefox.open(relay, 'call=cam&send=camera&id=me');
    await page.sees();
    assert.equal((await client.report('called')).peer, 'me');
    await client.report('first-frame-received', { where: ({ kind }) => kind === 'video' });
    await client.report('first-frame-received', { where: ({ kind }) => kind === 'audio' });
    // Firefox begins its sound anew once it has found the loudspeaker.
    await client.report('stats', { where: ({ received }) => received.fps > 5 && received.audio_kbps > 30 });
    const tone = await page.tone();
    assert.ok(Math.abs(tone - 440) < 10, `a tone of ${tone} Hz`);
    const inbound = await page.inbound('video');
    assert.deepEqual([inbound.width, inbound.height], [1280, 720]);
    await until('the picture goes on', async () => (await page.inbound('video')).decoded > inbound.decoded + 40);
    assert.deepEqual(page.errors, []);
    assert.equal((await page.state()).reconnections, 0);
  });
}

test('Firefox is called, and both see and hear one another', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const firefox = await stage.firefox();
  const page = await firefox.open(relay, 'id=ann');
  await page.until('the page is registered', ({ state }) => state === 'registered');
  await page.agreeToSend();
  const client = await stage.client(relay, ['--peer-id', 'ann']);
  await page.sees();
  await client.report('first-frame-received', { where: ({ kind }) => kind === 'video' });
  await client.report('first-frame-received', { where: ({ kind }) => kind === 'audio' });
  assert.ok(Math.abs(await page.tone() - 440) < 10);
  await until('the round trip is known', () => client.reports.some(({ rtt_ms: rtt }) => rtt > 0));
  assert.equal((await page.state()).reconnections, 0);
  assert.equal((await client.stop()).code, 0);
  const state = await page.until('the call has ended', ({ state }) => state === 'registered');
  assert.equal(state.reason, 'hung-up-by-peer');
  assert.deepEqual(page.errors, []);
});

/** Calls by hand with a data channel in the offer, and says what comes back on it. */
async function askForEchoes({ url, callee, texts, size }) {
  const pc = new RTCPeerConnection();
  const channel = pc.createDataChannel('chat');
  channel.binaryType = 'arraybuffer';
  const echoes = [];
  const all = new Promise((resolve) => {
    channel.onmessage = ({ data }) => {
      echoes.push(typeof data === 'string' ? data : data.byteLength);
      if (echoes.length > texts.length) resolve(echoes);
    };
  });
  channel.onopen = () => {
    for (const text of texts) channel.send(text);
    channel.send(new Uint8Array(size));
  };
  globalThis.callByHand(pc, url, callee);
  return all;
}

test('what Firefox sends on a data channel comes back', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  await stage.client(relay, ['--our-id', 'cam', '--data', 'echo']);
  const firefox = await stage.firefox();
  const page = await firefox.open(relay);
  const texts = ['one', 'zwei', 'три'];
  await allowCallsByHand(page);
  const echoes = await page.page.evaluate(askForEchoes, { url: relay.url, callee: 'cam', texts, size: 16_000 });
  assert.deepEqual(echoes, [...texts, 16_000]);
});
