// Every codec of pictures, in both directions, with a browser and between our own programs; which one is
// chosen, and what is said when there is none.

import test from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { failing } from './support/failing.js';
import { lose } from './support/networks.js';
import { binaries } from './support/programs.js';
import { Stage } from './support/stage.js';
import { until } from './support/until.js';

/** How `--video-codec` names a codec, how our reports do, and how a browser does. */
const CODECS = [
  { option: 'vp8', name: 'VP8', mime: 'video/VP8' },
  { option: 'h264', name: 'H.264', mime: 'video/H264' },
  { option: 'vp9', name: 'VP9', mime: 'video/VP9' },
  { option: 'av1', name: 'AV1', mime: 'video/AV1' },
];

/** Small enough for two encoders and two decoders of AV1 on a busy machine. */
const SMALL = ['--width', '320', '--height', '180', '--framerate', '15'];

/** Pictures arrive at a client in this codec, one after the other. */
async function receives(client, name, { after = 0, peer = undefined } = {}) {
  const ofPeer = (report) => peer === undefined || report.peer === peer;
  const first = await client.report('first-frame-received', {
    after, where: (report) => report.kind === 'video' && ofPeer(report),
  });
  assert.equal(first.codec, name);
  await client.report('stats', {
    after: client.mark, where: (report) => report.received.fps > 5 && ofPeer(report),
  });
}

/** Pictures are decoded by a page in this codec, one after the other. */
async function decodes(page, mime) {
  await page.sees();
  const first = await until('the page decodes', async () => {
    const inbound = await page.inbound('video');
    return inbound?.decoded > 0 && inbound;
  });
  assert.equal(first.codec, mime);
  await until('the page goes on decoding', async () => (await page.inbound('video')).decoded > first.decoded + 10);
}

for (const { option, name, mime } of CODECS) {
  test(`a browser and a machine see one another by ${name}, whoever calls`, async (t) => {
    const stage = new Stage(t);
    const relay = await stage.relay();
    const browser = await stage.browser({ devices: true });
    const args = [...SMALL, '--video-codec', option];

    const waiting = await stage.client(relay, ['--our-id', 'cam', ...args]);
    const caller = await browser.open(relay, 'call=cam&send=camera');
    await decodes(caller, mime);
    await receives(waiting, name);
    await caller.page.close();

    const called = await browser.open(relay, 'id=ann');
    await called.until('the page is registered', ({ id, state }) => id === 'ann' && state === 'registered');
    await called.agreeToSend();
    const calling = await stage.client(relay, ['--peer-id', 'ann', ...args]);
    await decodes(called, mime);
    await receives(calling, name);
  });
}

test('two machines agree on any codec, and the one that answers has its way', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const pairs = [
    ...CODECS.map(({ option, name }) => ({ offers: 'vp8,h264,vp9,av1', answers: option, name })),
    { offers: 'vp9,vp8', answers: 'vp8,vp9', name: 'VP8' },
    { offers: 'vp8,av1,h264', answers: 'vp9,h264,av1', name: 'H.264' },
    { offers: 'h264', answers: 'vp8,vp9,av1,h264', name: 'H.264' },
  ];
  for (const { offers, answers, name } of pairs) {
    const waiting = await stage.client(relay, [...SMALL, '--our-id', 'one', '--video-codec', answers]);
    const calling = await stage.client(relay, [...SMALL, '--peer-id', 'one', '--video-codec', offers]);
    for (const client of [waiting, calling]) {
      const sent = await client.report('first-frame-sent', { where: ({ kind }) => kind === 'video' });
      assert.equal(sent.codec, name, `${offers} offered to ${answers}`);
      await receives(client, name);
    }
    await calling.stop();
    await waiting.stop();
  }
});

test('one who only receives takes any codec', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const sender = await stage.client(relay, [...SMALL, '--our-id', 'cam', '--video-codec', 'vp9']);
  for (const extra of [[], ['--request-offer']]) {
    const args = ['--peer-id', 'cam', '--video', 'none', '--audio', 'none', '--video-codec', 'vp8', ...extra];
    const after = sender.mark;
    const viewer = await stage.client(relay, args);
    await receives(viewer, 'VP9');
    await viewer.stop();
    await sender.free({ after });
  }
  assert.deepEqual(sender.reports.filter(({ event }) => event === 'failed'), []);
});

test('the members of a room get each the codec that they take, out of one source', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const member = (id, codec) => (
    stage.roomClient(relay, [...SMALL, '--room-id', 'demo', '--our-id', id, '--video-codec', codec])
  );
  const ann = await member('ann', 'vp9,vp8,h264');
  const bob = await member('bob', 'h264');
  const cid = await member('cid', 'vp9,h264');
  for (const [here, there, name] of [[ann, bob, 'H.264'], [ann, cid, 'VP9'], [bob, cid, 'H.264']]) {
    await receives(here, name, { peer: there.id });
    await receives(there, name, { peer: here.id });
  }
});

test('where there is no codec in common, both sides say which there are', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const waiting = await stage.client(relay, ['--our-id', 'cam', '--video-codec', 'vp8,vp9']);
  for (const extra of [[], ['--request-offer']]) {
    const after = waiting.mark;
    const failed = await failing(relay, ['--peer-id', 'cam', '--video-codec', 'h264,av1', ...extra]);
    assert.equal(failed.exit_code, 11);
    assert.match(failed.reason, /does not take H\.264 or AV1, and could do VP8, VP9; name another with --video-codec/);
    const ended = await waiting.free({ after });
    assert.match(ended.reason, /does not take VP8 or VP9, and could do H\.264, AV1|hung up before/);
  }
});

test('what is lost on the way is sent again, also in a codec that is not the first of the offer', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const browser = await stage.browser();
  await browser.takeOnly('vp9');
  const page = await browser.open(relay, 'id=ann');
  await page.until('the page is registered', (state) => state.state === 'registered');
  await stage.client(relay, ['--peer-id', 'ann', '--video-codec', 'vp8,h264,vp9']);
  await decodes(page, 'video/VP9');
  lose(t, 'meta l4proto udp udp length > 200 numgen random mod 10 0');
  const again = () => page.page.evaluate(async () => {
    const stats = [...(await globalThis.aldis.pc.getStats()).values()];
    return stats.find(({ type, kind }) => type === 'inbound-rtp' && kind === 'video').retransmittedPacketsReceived;
  });
  await until('packets come a second time', async () => (await again()) > 10);
});

test('sound has the bit rate that was asked for, and next to none when it is silent', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const silence = 'pipeline:audiotestsrc is-live=true wave=silence';
  const kbps = async (client, low, high) => client.report('stats', {
    after: client.mark, where: ({ received: { audio_kbps: rate } }) => rate >= low && rate <= high,
  });
  const rich = await stage.client(relay, ['--our-id', 'rich', ...SMALL, '--audio-bitrate-kbps', '160']);
  const poor = await stage.client(relay, ['--peer-id', 'rich', ...SMALL, '--audio-bitrate-kbps', '24', '--no-opus-fec']);
  await kbps(poor, 120, 220);
  await kbps(rich, 15, 45);
  await poor.stop();
  await rich.free();
  await stage.client(relay, ['--peer-id', 'rich', ...SMALL, '--audio', silence, '--opus-dtx']);
  await rich.report('first-frame-received', { after: rich.mark, where: ({ kind }) => kind === 'audio' });
  await kbps(rich, 0, 3);
});

test('every encoder is listed with what became of it here', () => {
  const listed = (...args) => {
    const { status, stdout } = spawnSync(join(binaries, 'client'), ['--list-encoders', ...args], { encoding: 'utf8' });
    assert.equal(status, 0);
    return stdout;
  };
  const { encoders } = JSON.parse(listed('--json'));
  for (const { name } of CODECS) {
    const used = encoders.filter(({ codec, used }) => used && codec === name);
    assert.equal(used.length, 1, name);
    assert.ok(used[0].ms_per_frame > 0);
  }
  for (const { encoder, state, reason } of encoders) {
    assert.ok(['missing', 'proven', 'rejected'].includes(state), encoder);
    assert.equal(state === 'rejected', Boolean(reason), encoder);
  }
  assert.match(listed(), /^\* VP8 +vp8enc +software +proven, [\d.]+ ms a frame$/m);
});

