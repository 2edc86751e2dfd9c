// Who calls whom, who hangs up, and what is left behind.

import test from 'node:test';
import assert from 'node:assert/strict';
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Program } from './support/process.js';
import { Client, binaries } from './support/programs.js';
import { Stage } from './support/stage.js';
import { until } from './support/until.js';

/** Picture and sound of a camera come in: the fake one's own rate is 20 frames a second. */
async function receivesTheCamera(client) {
  await client.reaches('the rates of a camera', ({ received: { fps, audio_kbps: audio } }) => fps > 10 && fps < 35 && audio > 5);
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
    await receivesTheCamera(client);
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
  await receivesTheCamera(client);
});

test('an address that changes while the page is open makes a call, and turns no camera on', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const client = await stage.client(relay, ['--our-id', 'cam']);
  const browser = await stage.browser({ devices: true });
  const page = await browser.open(relay, 'id=ann');
  await page.until('the page is registered', (state) => state.state === 'registered');
  await page.page.evaluate(() => { location.hash = '#call=cam&send=camera'; });
  const state = await page.sees();
  assert.equal(state.sending, 'off');
  const rates = await client.rates(3);
  assert.equal(rates.at(-1).received.frames, 0);
  assert.equal(rates.at(-1).received.audio_buffers, 0);
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
    const calling = await stage.client(relay, ['--peer-id', 'one', '--our-id', 'two', ...extra]);
    for (const [client, from] of [[waiting, after], [calling, 0]]) {
      await client.report('stats', {
        after: from, where: ({ received }) => received.fps > 20 && received.fps < 40 && received.audio_kbps > 30,
      });
    }
    assert.equal((await waiting.report('called', { after })).peer, 'two');
    assert.equal((await calling.stop()).code, 0);
    assert.equal((await waiting.free({ after })).by, 'peer');
  }
});

test('either side may send less than everything', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const browser = await stage.browser({ devices: true });
  for (const [number, args] of [['--audio', 'none'], ['--video', 'none'], ['--video', 'none', '--audio', 'none']].entries()) {
    const client = await stage.client(relay, ['--our-id', `cam${number}`, ...args]);
    const after = client.mark;
    const viewer = await browser.open(relay, `call=cam${number}`);
    if (number === 0) await viewer.sees();
    if (number === 1) assert.ok(Math.abs((await viewer.tone()) - 440) < 10);
    if (number !== 2) await viewer.page.close();
    const ended = await client.free({ after });
    if (number === 2) assert.match(ended.reason, /Neither side sends/);

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
  const ended = await client.free();
  assert.equal(ended.by, 'peer');
  assert.match(ended.reason, /hung up/);
  await page.until('the page is registered again', (state) => state.state === 'registered');

  const after = client.mark;
  const caller = await stage.client(relay, ['--peer-id', 'ann', '--our-id', 'desk']);
  await page.sees();
  assert.equal((await caller.stop()).code, 0, 'hanging up is no failure');
  assert.equal((await caller.report('ended')).by, 'us');
  const state = await page.until('the call has ended', (state) => state.state === 'registered');
  assert.equal(state.reason, 'hung-up-by-peer');
  assert.equal(client.reports.slice(after).some(({ event }) => event === 'called'), false);
});

test('calls that are given up while they are set up leave nothing behind', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const client = await stage.client(relay, ['--our-id', 'cam']);
  const browser = await stage.browser();
  const page = await browser.open(relay);
  const seen = [];
  for (let round = 0; round < 3; round += 1) {
    // A caller that sends its offer and goes away again, sooner or later.
    await page.page.evaluate(async ({ url }) => {
      const pc = new RTCPeerConnection();
      pc.addTransceiver('video', { direction: 'recvonly' });
      const offer = JSON.stringify({ sdp: await pc.createOffer() });
      const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
      for (let call = 0; call < 15; call += 1) {
        await new Promise((resolve) => {
          const socket = new WebSocket(url);
          socket.onopen = () => socket.send(`HELLO caller-${Math.random()}`);
          socket.onmessage = async ({ data }) => {
            if (data === 'HELLO') socket.send('SESSION cam');
            // It is not back yet from the last call.
            if (data.startsWith('ERROR')) await wait(20).then(() => socket.send('SESSION cam'));
            if (data !== 'SESSION_OK') return;
            socket.send(offer);
            await wait(2 * call);
            socket.close();
            resolve();
          };
        });
      }
      pc.close();
    }, { url: relay.url });
    seen.push(await client.settled());
  }
  t.diagnostic(JSON.stringify(seen));
  // What is taken down last may still be on its way.
  await client.frees(seen[0]);
  await until('it waits for calls again', () => client.reports.at(-1).event === 'registered');
  const caller = await stage.client(relay, ['--peer-id', 'cam']);
  await caller.report('connected');
});

test('an offer that no browser would make is refused, and disturbs nobody', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const client = await stage.client(relay, ['--our-id', 'cam']);
  const browser = await stage.browser();
  const page = await browser.open(relay);
  const line = (payload) => `m=video 9 UDP/TLS/RTP/SAVPF ${payload}\r\na=rtpmap:${payload} VP8/90000\r\n`;
  const head = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n';
  for (const sdp of ['', 'nonsense', head, head + line(200), head + line(-1), head + line(96).repeat(300)]) {
    const after = client.mark;
    await page.page.evaluate(({ url, sdp }) => {
      const socket = new WebSocket(url);
      socket.onopen = () => socket.send(`HELLO caller-${Math.random()}`);
      socket.onmessage = ({ data }) => {
        if (data === 'HELLO') socket.send('SESSION cam');
        if (data === 'SESSION_OK') socket.send(JSON.stringify({ sdp: { type: 'offer', sdp } }));
      };
    }, { url: relay.url, sdp });
    await client.free({ after });
  }
  const caller = await stage.client(relay, ['--peer-id', 'cam']);
  await caller.report('connected');
});

test('a client whose reports nobody reads still does what it is told', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const home = mkdtempSync(join(tmpdir(), 'aldis-pipe-'));
  t.after(() => rmSync(home, { recursive: true }));
  const pipe = join(home, 'pipe');
  spawnSync('mkfifo', [pipe]);
  const full = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
  const filling = Buffer.alloc(4096);
  assert.throws(() => { for (;;) writeSync(full, filling); }, /EAGAIN/);
  const output = openSync(pipe, constants.O_RDWR);
  const client = await stage.keep(Promise.resolve(new Program(join(binaries, 'client'), [
    '--our-id', 'cam', '--server', relay.url, '--video', 'test', '--audio', 'test', '--show', 'none',
  ], { stdio: ['ignore', output, 'pipe'] })));
  closeSync(output);
  // It has something to say of this call, and cannot.
  const caller = await until('it can be called', async () => {
    const args = ['--peer-id', 'cam', '--video', 'test', '--audio', 'test'];
    const caller = await stage.keep(Promise.resolve(new Client(relay, args)));
    return caller.report('connected').then(() => caller, () => null);
  });
  await caller.rates(2);
  const { code } = await client.stop('SIGTERM');
  assert.equal(code, 0);
  assert.equal((await caller.report('ended')).by, 'peer');
  closeSync(full);
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
    await client.free({ after });
    if (call % 2) await page.page.close();
    seen.push(await client.settled());
  }
  // Pools keep idle threads for a while, so the most of a few calls is what counts.
  const most = (calls, what) => Math.max(...calls.map((held) => held[what]));
  for (const [what, slack] of [['threads', 2], ['descriptors', 2], ['memoryKb', 10_000]]) {
    const [before, last] = [most(seen.slice(0, 3), what), most(seen.slice(-3), what)];
    t.diagnostic(`${what}: ${before} in the first calls, ${last} in the last`);
    assert.ok(last <= before + slack, `${what}: ${seen.map((held) => held[what])}`);
  }
});
