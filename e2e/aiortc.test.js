// aiortc, the WebRTC of Python, at the other end.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Stage } from './support/stage.js';

/** Enough decoded frames that what comes is no accident. */
const MANY = 40;

/** What aiortc sent on its data channel has come back as it was. */
async function echoes(peer) {
  const came = (where) => peer.report('message', { where: (report) => report.label === 'chat' && where(report) });
  await came(({ text }) => text === 'hello from aiortc');
  await came(({ whole }) => whole);
}

/** Picture and sound have arrived at both ends, by the codec that was asked for. */
async function bothSee(client, peer, codec) {
  const video = await client.report('first-frame-received', { where: ({ kind }) => kind === 'video' });
  assert.equal(video.codec, codec === 'vp8' ? 'VP8' : 'H.264');
  assert.deepEqual([video.width, video.height], [320, 240]);
  await client.report('first-frame-received', { where: ({ kind }) => kind === 'audio' });
  const counted = await peer.decodes(MANY);
  assert.deepEqual([counted.width, counted.height], [1280, 720]);
  assert.ok(Math.abs(counted.tone - 440) <= 50, `a tone of ${counted.tone} Hz`);
  await client.reaches('picture and sound of aiortc', ({ received }) => received.fps > 10 && received.audio_kbps > 5);
}

for (const codec of ['vp8', 'h264']) {
  test(`aiortc calls, and both see and hear one another, by ${codec}`, async (t) => {
    const stage = new Stage(t);
    const relay = await stage.relay();
    const client = await stage.client(relay, ['--our-id', 'cam', '--video-codec', codec]);
    const peer = await stage.aiortc(relay, ['--id', 'aio', '--call', 'cam', '--codec', codec]);
    assert.equal((await client.report('called')).peer, 'aio');
    await bothSee(client, peer, codec);
  });

  test(`aiortc is called, and both see and hear one another, by ${codec}`, async (t) => {
    const stage = new Stage(t);
    const relay = await stage.relay();
    const peer = await stage.aiortc(relay, ['--id', 'aio', '--codec', codec]);
    const client = await stage.client(relay, ['--peer-id', 'aio', '--video-codec', codec]);
    await bothSee(client, peer, codec);
    assert.equal((await client.stop()).code, 0);
    await peer.report('closed');
  });
}

test('what aiortc sends on data channels comes back, whoever calls', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const client = await stage.client(relay, ['--our-id', 'cam', '--data', 'echo']);
  const caller = await stage.aiortc(relay, ['--id', 'aio', '--call', 'cam', '--data', '--no-media']);
  await echoes(caller);
  await caller.stop('SIGTERM');
  await client.report('ended');
  const callee = await stage.aiortc(relay, ['--id', 'other', '--data']);
  await stage.client(relay, ['--peer-id', 'other', '--data', 'echo']);
  await Promise.all([echoes(callee), callee.decodes(MANY)]);
});
