// What the page says and does when a relay does not let it in, or lends no servers: a server that
// stands in for the relay gives the answers.

import test from 'node:test';
import assert from 'node:assert/strict';
import { StandIn } from './support/stand-in.js';
import { Stage } from './support/stage.js';
import { until } from './support/until.js';

/** @param {import('node:test').TestContext} t */
async function open(t, settings, hash) {
  const stage = new Stage(t);
  const relay = await stage.keep(StandIn.start(settings));
  const browser = await stage.browser();
  return { relay, browser, page: await browser.open(relay, hash) };
}

const LENT = { status: 200, body: { iceServers: [{ urls: ['stun:127.0.0.1:9'] }], lifetimeSeconds: 3600 } };

for (const [code, pattern] of [
  [401, /asks for a token: open the address you were given, with #token=\.\.\. at its end/],
  [403, /lets in no page from this address/],
  [429, /too many connections from your network/],
  [503, /too many peers or connections/],
]) {
  test(`${code} for a WebSocket is said in words`, async (t) => {
    const { page } = await open(t, { socket: code, api: { status: code } });
    await page.until('the page knows why', ({ denial }) => denial !== null);
    await page.says(pattern);
  });
}

test('a relay that answers but opens no WebSocket is told apart from one that is away', async (t) => {
  const { relay, page } = await open(t, { socket: 403, api: LENT });
  await page.until('the page knows why', ({ denial }) => denial === 'no-websocket');
  await page.says(/answers, but opens no connection for this page/);
  await relay.stop();
  await page.until('the relay is gone', ({ denial, state }) => denial === null && state === 'relay-lost');
  await page.says(/cannot be reached/);
});

test('a relay that lets in only other pages says so to the page itself', async (t) => {
  const { page } = await open(t, { socket: 403, api: LENT, allows: (origin) => origin === undefined });
  await page.until('the page knows why', ({ denial, state }) => denial === 'origin' && state === 'denied');
  await page.says(/lets in no page from this address/);
});

test('a relay that denies for a while lets the page in later', async (t) => {
  const { relay, page } = await open(t, { socket: 503, api: { status: 503 } });
  await page.until('the page knows why', ({ denial }) => denial === 'full');
  Object.assign(relay, { socket: 101, api: LENT });
  await page.until('the page is let in', ({ state, denial }) => state === 'registered' && denial === null);
});

test('a token that is refused is in no log, no history and no address, and no WebSocket is tried with it', async (t) => {
  const token = 'sEcReT-0123456789abcdef';
  const { relay, page } = await open(t, { socket: 401, api: { status: 401 } }, `token=${token}&id=ann`);
  await page.until('the page knows why', ({ denial }) => denial === 'token-refused');
  await page.says(/does not take the token of this page/);
  assert.equal(await page.page.evaluate(() => location.hash), '#id=ann');
  assert.deepEqual(relay.asked, [`Bearer ${token}`]);
  assert.deepEqual(relay.opened, []);
  assert.ok(!page.log.join('\n').includes(token), page.log.join('\n'));
  assert.ok(!(await page.page.content()).includes(token));
});

test('another token in the address opens the door, without a reload', async (t) => {
  const { relay, page } = await open(t, { socket: 401, api: { status: 401 } }, 'id=ann');
  await page.until('the page knows why', ({ denial }) => denial === 'token-missing');
  Object.assign(relay, { socket: 101, api: LENT });
  await page.page.evaluate(() => { location.hash = '#token=right'; });
  await page.until('the page is let in', ({ state }) => state === 'registered');
  assert.equal(await page.page.evaluate(() => location.href), relay.page);
  assert.equal(relay.asked.at(-1), 'Bearer right');
  assert.match(relay.opened.at(-1), /[?&]token=right(&|$)/);
  // The entry before this one had no token, and this one has none any more.
  await page.page.goBack();
  assert.equal(await page.page.evaluate(() => location.hash), '#id=ann');
});

test('a reload keeps the token, and another relay does not get it', async (t) => {
  const { relay, page } = await open(t, { api: LENT }, 'token=ours');
  await page.until('the page is let in', ({ state }) => state === 'registered');
  await page.page.reload();
  await page.until('the page is let in again', ({ state }) => state === 'registered');
  assert.deepEqual(relay.asked, ['Bearer ours', 'Bearer ours']);
  const other = await new Stage(t).keep(StandIn.start({ api: LENT }));
  await page.page.goto(`${relay.page}?relay=${other.page.replace('http', 'ws')}`);
  await until('the other relay is asked', () => other.opened.length > 0 && other.asked.length > 0);
  assert.doesNotMatch(other.opened.join(), /token/);
  assert.deepEqual(other.asked, [null]);
});

test('a browser that lets pages keep nothing still gets in', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.keep(StandIn.start({ api: LENT }));
  const browser = await stage.browser();
  await browser.context.addInitScript(() => {
    Object.defineProperty(globalThis, 'sessionStorage', { get() { throw new DOMException('', 'SecurityError'); } });
  });
  const page = await browser.open(relay, 'token=ours');
  await page.until('the page is let in', ({ state }) => state === 'registered');
  assert.deepEqual(page.errors, []);
});

test('a relay of others, which lends nothing, is a relay all the same', async (t) => {
  const { relay, page } = await open(t, { api: { status: 404 } });
  await page.until('the page is registered', ({ state }) => state === 'registered');
  await until('it was asked', () => relay.asked.length > 0);
  assert.equal((await page.state()).denial, null);
});

test('a call uses what the relay lends, and relay-only when its address says so', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.keep(StandIn.start({ api: { ...LENT, delayMs: 300 } }));
  const browser = await stage.browser();
  await browser.context.addInitScript(() => {
    const describe = RTCPeerConnection.prototype.setLocalDescription;
    RTCPeerConnection.prototype.setLocalDescription = function (...args) {
      // From here on it gathers candidates, by what it has now.
      globalThis.gathering = this.getConfiguration();
      return describe.apply(this, args);
    };
  });
  const page = await browser.open(relay, 'call=cam&ice=relay');
  const configuration = await until('candidates are gathered', () => page.page.evaluate(() => globalThis.gathering));
  assert.deepEqual(configuration.iceServers[0].urls, ['stun:127.0.0.1:9']);
  assert.equal(configuration.iceTransportPolicy, 'relay');
});

test('a relay that is slow to lend does not delay a call until it does', async (t) => {
  const { page } = await open(t, { api: { ...LENT, delayMs: 30_000 } }, 'call=cam');
  const took = await until('our side is described', () => page.page.evaluate(() => (
    globalThis.aldis.pc?.localDescription && performance.now()
  )));
  t.diagnostic(`described after ${Math.round(took)} ms`);
  const servers = await page.page.evaluate(() => globalThis.aldis.pc.getConfiguration().iceServers);
  assert.deepEqual(servers, []);
});

test('what is lent is asked for again before it ends', async (t) => {
  const { relay, page } = await open(t, { api: { ...LENT, body: { ...LENT.body, lifetimeSeconds: 4 } } });
  await page.until('the page is registered', ({ state }) => state === 'registered');
  await until('it was asked three times', () => relay.asked.length >= 3);
});
