// What dies without a word: the relay, the browser.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Stage } from './support/stage.js';
import { failing } from './support/failing.js';

test('a call goes on when the relay is killed, and both ends register again when it is back', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const client = await stage.client(relay, ['--our-id', 'cam']);
  const browser = await stage.browser({ devices: true });
  const page = await browser.open(relay, 'call=cam&send=camera&id=ann');
  await page.sees();
  await client.rates(1);

  await relay.stop('SIGKILL');
  await client.report('relay-lost');
  const before = await page.state();
  await page.until('the picture goes on without a relay', (state) => (
    state.framesPresented > before.framesPresented + 30
  ));
  await client.reaches('the camera goes on without a relay', ({ received }) => received.fps > 5);

  const after = client.mark;
  const again = await stage.relay(relay.port);
  const began = performance.now();
  await client.report('registered', { after });
  t.diagnostic(`registered again after ${Math.round(performance.now() - began)} ms`);
  assert.equal(client.reports.slice(after).some(({ event }) => event === 'ended'), false);
  await page.until('the page is registered again', (state) => state.link === 'registered');

  // The relay knows nothing of the call. Whoever calls now is turned away, and disturbs nobody.
  const second = await failing(again, ['--peer-id', 'cam']);
  assert.equal(second.exit_code, 12, second.reason);
  await client.report('declined', { after });
  await client.report('registered', { after: client.reports.findIndex(({ event }) => event === 'declined') });
  await page.until('the picture goes on', (state) => state.framesPresented > before.framesPresented + 60);
});

test('a machine that stops is heard at both kinds of other ends without a relay', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const { page, toPage, cam: waiting, toCam: toMachine } = await stage.twoCalls(relay);
  await toMachine.rates(1);
  await relay.stop('SIGKILL');
  await toPage.report('relay-lost');
  await toMachine.report('relay-lost');
  await Promise.all([toPage.stop(), toMachine.stop()]);
  const state = await page.until('the call is over', ({ state }) => state === 'registered' || state === 'relay-lost');
  assert.equal(state.reason, 'hung-up-by-peer');
  assert.equal((await waiting.report('ended')).by, 'peer');
});

test('hanging up is heard at the other end without a relay', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const client = await stage.client(relay, ['--our-id', 'cam']);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=cam');
  await page.sees();
  await relay.stop('SIGKILL');
  await client.report('relay-lost');
  const began = performance.now();
  await page.page.getByRole('button', { name: /hang up/i }).click();
  const ended = await client.report('ended');
  t.diagnostic(`heard after ${Math.round(performance.now() - began)} ms`);
  assert.equal(ended.by, 'peer');
});

test('a waiting client comes back by itself when the relay does', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const client = await stage.client(relay, ['--our-id', 'cam']);
  await relay.stop('SIGKILL');
  await client.report('relay-lost');
  const after = client.mark;
  const again = await stage.relay(relay.port);
  await client.report('registered', { after });
  const caller = await stage.client(again, ['--peer-id', 'cam']);
  await caller.report('connected');
});

test('a browser that is killed is noticed at once and freed', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const client = await stage.client(relay, ['--our-id', 'cam']);
  const idle = await client.settled();
  const browser = await stage.browser({ devices: true });
  const page = await browser.open(relay, 'call=cam&send=camera');
  await page.sees();
  assert.ok(client.resources().threads > idle.threads + 5, 'a call takes threads');
  browser.signal('SIGKILL');
  assert.equal((await client.free()).by, 'peer');
  await client.frees(idle);
});

test('a browser that freezes, its sockets open, is noticed by its silence and freed', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const client = await stage.client(relay, ['--our-id', 'cam']);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=cam');
  await page.sees();
  await client.rates(2);
  const began = performance.now();
  browser.signal('SIGSTOP');
  const ended = await client.report('ended');
  t.diagnostic(`noticed after ${((performance.now() - began) / 1000).toFixed(1)} s`);
  assert.equal(ended.by, 'network');
  assert.match(ended.reason, /counts as gone/);
  await client.report('registered', { after: client.reports.indexOf(ended) });
});
