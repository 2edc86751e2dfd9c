// Calls that outlive their relay, their network and their credentials, and the end of those that do not.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Machine } from './support/networks.js';
import { Client } from './support/programs.js';
import { Stage } from './support/stage.js';
import { until } from './support/until.js';

/** A client on a machine of its own. */
async function clientOn(stage, machine, relay, args, env) {
  const all = ['--video', 'test', '--audio', 'test', ...args];
  return (await stage.keep(Promise.resolve(new Client(relay, all, env, { machine })))).ready();
}

/** Everything a client said of its connections, for the error of a test. */
function story(client) {
  return client.reports.filter(({ event }) => event !== 'stats').map((report) => JSON.stringify(report)).join('\n');
}

for (const [roamer, args, stays] of [
  ['the caller', ['--peer-id', 'home'], ['--our-id', 'home']],
  ['the called one', ['--our-id', 'away'], ['--peer-id', 'away']],
]) {
  test(`a call goes on when ${roamer} loses its network and finds another one`, async (t) => {
    const stage = new Stage(t);
    const relay = await stage.openRelay();
    const network = await stage.keep(Machine.start(1));
    network.plug(false);
    const fixed = await stage.keep(Machine.start());
    const isCaller = args[0] === '--peer-id';
    const first = isCaller ? await clientOn(stage, fixed, relay, stays) : await clientOn(stage, network, relay, args);
    const second = isCaller ? await clientOn(stage, network, relay, args) : await clientOn(stage, fixed, relay, stays);
    const [home, away] = isCaller ? [first, second] : [second, first];
    for (const client of [home, away]) await client.rates(2);
    const [words, others] = await Promise.all([home, away].map(async (client) => (await client.report('connected')).safety_words));
    assert.equal(words.split(' ').length, 8);
    assert.equal(words, others, 'nobody sits in between');

    network.connect(1);
    network.disconnect(0);
    for (const [name, client] of [['at home', home], ['away', away]]) {
      const again = await client.report('reconnected').catch((error) => {
        throw new Error(`${error.message}\nhome:\n${story(home)}\naway:\n${story(away)}`);
      });
      t.diagnostic(`${name}: ${again.seconds} s without anything, because of: ${again.why}`);
    }
    for (const client of [home, away]) {
      const rates = await client.rates(3);
      assert.ok(rates.at(-1).received.fps > 5, 'the picture is back');
      assert.equal(client.reports.some(({ event }) => event === 'ended'), false, story(client));
    }
    // Hanging up is heard as before.
    await away.stop();
    assert.equal((await home.report('ended')).by, 'peer');
  });
}

for (const [isCaller, name] of [[true, 'calls it'], [false, 'is called by it']]) {
  test(`the page keeps its picture when the machine that ${name} changes its network`, async (t) => {
    const stage = new Stage(t);
    const relay = await stage.openRelay();
    const network = await stage.keep(Machine.start(1));
    network.plug(false);
    const browser = await stage.browser({ devices: true });
    const page = await browser.open(relay, 'id=ann');
    await page.until('the page is registered', (state) => state.state === 'registered');
    const args = isCaller ? ['--peer-id', 'ann'] : ['--our-id', 'cam'];
    const client = await clientOn(stage, network, relay, args);
    if (!isCaller) await page.page.evaluate(() => { location.hash = 'id=ann&call=cam'; });
    await page.sees();
    await client.rates(2);
    const { safetyWords } = await page.state();
    assert.equal((await client.report('connected')).safety_words, safetyWords);

    network.connect(1);
    network.disconnect(0);
    const again = await client.report('reconnected').catch(async (error) => {
      throw new Error(`${error.message}\n${story(client)}\n${JSON.stringify(await page.state())}\n${page.log.join('\n')}`);
    });
    const before = await page.until('the page has changed over', (state) => state.reconnections > 0);
    const after = await page.until('the picture goes on', (state) => (
      state.framesPresented > before.framesPresented + 30 && state.outageMs > 0
    ));
    t.diagnostic(`the machine heard nothing for ${again.seconds} s, the page showed nothing for ${(after.outageMs / 1000).toFixed(2)} s`);
    assert.equal(after.state, 'in-call');
    assert.equal(after.safetyWords, safetyWords, 'the partner is the same');
    assert.equal(client.reports.some(({ event }) => event === 'ended'), false, story(client));
    await page.page.getByRole('button', { name: /hang up/i }).click();
    assert.equal((await client.report('ended')).by, 'peer');
    assert.deepEqual(page.errors, []);
  });
}

/** Has a page keep the longest time between two frames it presents. */
function watchFrames(page) {
  return page.page.evaluate(() => {
    const video = document.getElementById('remote');
    let last = performance.now();
    globalThis.longestGapMs = 0;
    const step = () => {
      const now = performance.now();
      globalThis.longestGapMs = Math.max(globalThis.longestGapMs, now - last);
      last = now;
      video.requestVideoFrameCallback(step);
    };
    video.requestVideoFrameCallback(step);
  });
}

test('a relay that is started anew during calls interrupts neither of them', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const { page, toPage, cam, toCam } = await stage.twoCalls(relay);
  const clients = [toPage, cam, toCam];
  for (const client of clients) await client.rates(2);
  await watchFrames(page);
  const before = await page.state();
  const marks = clients.map((client) => client.mark);
  await relay.stop('SIGKILL');
  for (const client of clients) await client.report('relay-lost');
  await stage.relay(relay.port);
  for (const [index, client] of clients.entries()) await client.report('registered', { after: marks[index] });
  await page.until('the page is registered again', (state) => state.link === 'registered');
  await page.until('the picture goes on', (state) => state.framesPresented > before.framesPresented + 60);
  for (const [index, client] of clients.entries()) {
    await client.rates(2);
    const changes = client.reports.slice(marks[index]).filter(({ event }) => /ended|interrupted|reconnected/.test(event));
    assert.deepEqual(changes, [], story(client));
  }
  const gapMs = await page.page.evaluate(() => globalThis.longestGapMs);
  t.diagnostic(`the longest time without a frame: ${Math.round(gapMs)} ms`);
  assert.ok(gapMs < 3000, `${gapMs} ms without a picture`);
});

test('a machine that is killed is noticed and cleaned up', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const cam = await stage.client(relay, ['--our-id', 'cam']);
  const idle = await cam.settled();
  const caller = await stage.client(relay, ['--peer-id', 'cam']);
  await cam.rates(2);
  const began = performance.now();
  await caller.stop('SIGKILL');
  await cam.report('ended');
  t.diagnostic(`noticed after ${((performance.now() - began) / 1000).toFixed(2)} s`);
  await cam.frees(idle);
});

test('a machine whose only cable is pulled is noticed, waited for, and cleaned up', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.openRelay();
  const network = await stage.keep(Machine.start());
  const cam = await stage.client(relay, ['--our-id', 'cam', '--patience', '5']);
  const idle = await cam.settled();
  const caller = await clientOn(stage, network, relay, ['--peer-id', 'cam', '--patience', '5']);
  await cam.rates(2);
  const began = performance.now();
  network.disconnect(0);
  const sinceThen = () => ((performance.now() - began) / 1000).toFixed(1);
  await cam.report('interrupted');
  const noticed = sinceThen();
  const ended = await cam.report('ended');
  t.diagnostic(`noticed after ${noticed} s, given up after ${sinceThen()} s`);
  assert.equal(ended.by, 'network');
  await cam.report('registered', { after: cam.reports.indexOf(ended) });
  assert.equal((await caller.exit).code, 12);
  await cam.frees(idle);
});

test('a call through a TURN server outlives the credentials it began with', async (t) => {
  const stage = new Stage(t);
  const turn = await stage.turnServer(['--use-auth-secret', '--static-auth-secret=sEcReT-0123']);
  const relay = await stage.relay(0, ['--turn', `turn:${turn.host}`, '--turn-lifetime', '6'], { ALDIS_RELAY_TURN_SECRET: 'sEcReT-0123' });
  const through = ['--ice-policy', 'relay'];
  const cam = await stage.client(relay, ['--our-id', 'cam', ...through]);
  const caller = await stage.client(relay, ['--peer-id', 'cam', ...through]);
  for (const client of [cam, caller]) assert.equal((await client.report('connected')).local, 'relay');
  const began = performance.now();
  const renewed = (client) => client.reports.filter(({ event }) => event === 'reconnected');
  await until('three lifetimes pass', () => performance.now() - began > 18_000);
  for (const client of [cam, caller]) {
    const connections = renewed(client);
    t.diagnostic(`${client === cam ? 'called' : 'calling'}: ${connections.map(({ seconds, why }) => `${why} ${seconds} s`).join(', ')}`);
    assert.ok(connections.length >= 2, story(client));
    assert.ok(connections.every(({ local }) => local === 'relay'), story(client));
    assert.ok(connections.some(({ why }) => why === 'credentials'), story(client));
    assert.ok((await client.rates(2)).at(-1).received.fps > 5, 'the picture goes on');
    assert.equal(client.reports.some(({ event }) => event === 'ended'), false, story(client));
  }
});

test('nobody takes the place of the partner in a running call', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const cam = await stage.client(relay, ['--our-id', 'cam']);
  const browser = await stage.browser({ devices: true });
  await browser.context.addInitScript(() => {
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (data) {
      globalThis.socket = this;
      send.call(this, data);
    };
  });
  const page = await browser.open(relay, 'call=cam&send=camera');
  await page.sees();
  await cam.rates(1);
  /** Offers another connection, with a certificate of its own, and perhaps with the name of the page's. */
  const offer = (isForged) => page.page.evaluate(async (isForged) => {
    const other = new RTCPeerConnection();
    globalThis.other = other;
    globalThis.answers = 0;
    for (const kind of ['video', 'audio']) other.addTransceiver(kind);
    await other.setLocalDescription(await other.createOffer());
    const line = /a=fingerprint:\S+ \S+/g;
    const [own] = globalThis.aldis.pc.localDescription.sdp.match(line);
    const { socket } = globalThis;
    socket.addEventListener('message', async ({ data }) => {
      const { sdp, ice } = JSON.parse(data);
      if (sdp?.type === 'answer') {
        globalThis.answers += 1;
        await other.setRemoteDescription(sdp);
      }
      if (ice?.candidate && other.remoteDescription) await other.addIceCandidate(ice);
    });
    other.onicecandidate = ({ candidate }) => candidate?.candidate && socket.send(JSON.stringify({ ice: candidate }));
    const { sdp } = other.localDescription;
    socket.send(JSON.stringify({ sdp: { type: 'offer', sdp: isForged ? sdp.replace(line, own) : sdp } }));
  }, isForged);

  await offer(false);
  await cam.rates(2);
  assert.equal(await page.page.evaluate(() => globalThis.answers), 0, 'another certificate is not even answered');

  await offer(true);
  await until('it is answered', () => page.page.evaluate(() => globalThis.answers > 0));
  await until('and refused once it cannot show the certificate', () => page.page.evaluate(() => (
    ['failed', 'closed'].includes(globalThis.other.getTransceivers()[0].receiver.transport?.state)
    || ['failed', 'disconnected', 'closed'].includes(globalThis.other.connectionState)
  )));
  const received = await page.page.evaluate(async () => {
    const stats = await globalThis.other.getStats();
    return [...stats.values()].filter(({ type }) => type === 'inbound-rtp').reduce((sum, { packetsReceived }) => sum + packetsReceived, 0);
  });
  assert.equal(received, 0, 'no media for whoever has not the key');
  await cam.rates(2);
  assert.equal(cam.reports.some(({ event }) => /ended|reconnected/.test(event)), false, story(cam));
  const { state, framesPresented } = await page.state();
  assert.equal(state, 'in-call');
  await page.until('the picture goes on', (now) => now.framesPresented > framesPresented + 10);
});

test('an end that sleeps for a while finds its call again', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const browser = await stage.browser();
  const cam = await stage.client(relay, ['--our-id', 'cam']);
  const page = await browser.open(relay, 'call=cam');
  const other = await stage.client(relay, ['--our-id', 'other']);
  const caller = await stage.client(relay, ['--peer-id', 'other']);
  await page.sees();
  for (const client of [cam, other, caller]) await client.rates(2);
  const callerMark = caller.mark;
  // Their partners lose patience with them, and leave the session at the relay.
  for (const sleeper of [cam, other]) sleeper.child.kill('SIGSTOP');
  await caller.report('registered', { after: callerMark });
  await page.until('the page looks for another way', (state) => state.link !== 'session');
  for (const sleeper of [cam, other]) sleeper.child.kill('SIGCONT');

  const isBack = ({ event }) => event === 'resumed' || event === 'reconnected';
  await until('the caller hears it again', () => caller.reports.slice(callerMark).some(isBack)).catch((error) => {
    throw new Error(`${error.message}\ncaller:\n${story(caller)}\nother:\n${story(other)}`);
  });
  const { framesPresented } = await page.state();
  await page.until('the picture goes on', (state) => state.state === 'in-call' && state.framesPresented > framesPresented + 30);
  const { reconnections } = await page.state();
  t.diagnostic(`caller: ${caller.reports.slice(callerMark).find(isBack).event}; the page has had ${reconnections} other connections`);
  for (const client of [cam, other, caller]) {
    assert.ok((await client.rates(2)).at(-1).sent.fps > 5, story(client));
    assert.equal(client.reports.some(({ event }) => event === 'ended'), false, story(client));
  }
});
