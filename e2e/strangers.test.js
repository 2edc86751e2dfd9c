// Peers that are not ours: the plain protocol of the GStreamer demos, spoken by hand in a browser.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Stage } from './support/stage.js';
import { until } from './support/until.js';

/** A blank page of the relay's own address, in which `act` runs with the relay's WebSocket address. */
async function stranger(browser, relay, act, argument) {
  const page = await browser.context.newPage();
  await page.goto(`${relay.page}health`);
  await page.evaluate(act, { url: relay.url, ...argument });
  const look = () => page.evaluate(async () => {
    const stats = globalThis.pc ? [...(await globalThis.pc.getStats()).values()] : [];
    const inbound = (kind) => stats.find((entry) => entry.type === 'inbound-rtp' && entry.kind === kind);
    return {
      heard: globalThis.heard,
      frames: inbound('video')?.framesDecoded ?? 0,
      samples: inbound('audio')?.totalSamplesReceived ?? 0,
    };
  });
  return { page, look };
}

/** What any page of the demos does with a signal of its partner. */
function speak({ url, id, callee, dataChannel }) {
  globalThis.heard = [];
  const pc = new RTCPeerConnection();
  globalThis.pc = pc;
  const socket = new WebSocket(url);
  const send = (message) => socket.send(JSON.stringify(message));
  // What nobody watches is not decoded.
  pc.ontrack = ({ track }) => {
    const player = document.body.appendChild(document.createElement(track.kind));
    player.autoplay = true;
    player.srcObject = new MediaStream([track]);
  };
  pc.onicecandidate = ({ candidate }) => candidate && send({ ice: candidate });
  socket.onopen = () => socket.send(`HELLO ${id}`);
  socket.onmessage = async ({ data }) => {
    globalThis.heard.push(data.split(' ')[0].slice(0, 20));
    if (data === 'HELLO' && callee) socket.send(`SESSION ${callee}`);
    if (data === 'SESSION_OK') {
      // Sound comes first here, and data last.
      pc.addTransceiver('audio', { direction: 'recvonly' });
      pc.addTransceiver('video', { direction: 'recvonly' });
      if (dataChannel) pc.createDataChannel('chat');
      await pc.setLocalDescription();
      send({ sdp: pc.localDescription });
    }
    if (!data.startsWith('{')) return;
    const { sdp, ice } = JSON.parse(data);
    if (ice) await pc.addIceCandidate(ice);
    if (!sdp) return;
    await pc.setRemoteDescription(sdp);
    if (sdp.type === 'offer') {
      await pc.setLocalDescription();
      send({ sdp: pc.localDescription });
    }
  };
}

for (const dataChannel of [false, true]) {
  test(`a page of others calls, sound first, ${dataChannel ? 'with' : 'without'} a data channel`, async (t) => {
    const stage = new Stage(t);
    const relay = await stage.relay();
    const client = await stage.client(relay, ['--our-id', 'cam']);
    const browser = await stage.browser();
    const { look } = await stranger(browser, relay, speak, { id: '7', callee: 'cam', dataChannel });
    await client.report('connected');
    await until('picture and sound arrive', async () => {
      const { frames, samples } = await look();
      return frames > 30 && samples > 48_000;
    });
    const { heard } = await look();
    assert.deepEqual(heard.slice(0, 2), ['HELLO', 'SESSION_OK']);
    assert.ok(heard.slice(2).every((word) => word.startsWith('{"sdp"') || word.startsWith('{"ice"')), heard.join());
  });
}

test('a page of others is called, and hears nothing it did not ask for', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const browser = await stage.browser();
  const { look } = await stranger(browser, relay, speak, { id: '8' });
  await until('it is registered', async () => (await look()).heard.includes('HELLO'));
  await stage.client(relay, ['--peer-id', '8']);
  await until('picture and sound arrive', async () => {
    const { frames, samples } = await look();
    return frames > 30 && samples > 48_000;
  });
  const { heard } = await look();
  assert.ok(heard[1].startsWith('{"sdp":{"type":"off'), `the first word of the call is ${heard[1]}`);
});

test('logs name no address, no candidate and no description unless asked to', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const quiet = await stage.client(relay, ['--our-id', 'quiet'], { RUST_LOG: 'info' });
  const caller = await stage.client(relay, ['--peer-id', 'quiet'], { RUST_LOG: 'info' });
  await quiet.report('connected');
  await quiet.rates(1);
  assert.equal((await caller.stop()).code, 0);
  await quiet.report('ended');
  for (const program of [relay, quiet, caller]) {
    const said = [...program.lines, ...program.errors].join('\n');
    assert.doesNotMatch(said, /10\.77\.|candidate:|a=fingerprint|ice-pwd|ufrag|m=video/, program.name);
  }
});
