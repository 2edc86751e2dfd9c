// Calls that cannot be, and connections that must not be.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Stage } from './support/stage.js';
import { failing } from './support/failing.js';

test('a peer that is not there is told apart from one that is busy', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const nobody = await failing(relay, ['--peer-id', 'nobody']);
  assert.equal(nobody.exit_code, 4);
  assert.match(nobody.reason, /Nobody is registered as "nobody"/);

  const busy = await stage.client(relay, ['--our-id', 'cam']);
  const caller = await stage.client(relay, ['--peer-id', 'cam']);
  await busy.report('connected');
  const second = await failing(relay, ['--peer-id', 'cam']);
  assert.equal(second.exit_code, 5);
  assert.match(second.reason, /"cam" is in another call/);
  await caller.rates(1);
});

test('the page says in words that nobody is there, or that somebody is busy', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=nobody');
  const absent = await page.until('the page gives a reason', (state) => state.reason !== null);
  assert.match(JSON.stringify(absent.reason), /nobody|not.?found/i);
  assert.match(await page.page.locator('body').innerText(), /nobody/);

  const cam = await stage.client(relay, ['--our-id', 'cam']);
  await stage.client(relay, ['--peer-id', 'cam']);
  await cam.report('connected');
  const second = await browser.open(relay, 'call=cam');
  await second.until('the page gives a reason', (state) => state.reason !== null);
  assert.match(await second.page.locator('body').innerText(), /busy|another call/i);
});

test('an id that is taken is refused in words', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  await stage.client(relay, ['--our-id', 'cam']);
  const failed = await failing(relay, ['--our-id', 'cam']);
  assert.equal(failed.exit_code, 6);
});

test('a codec that the browser does not take ends the call in words', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const browser = await stage.browser();
  await browser.takeOnly('vp8');
  const page = await browser.open(relay, 'id=ann');
  await page.until('the page is registered', (state) => state.state === 'registered');
  const failed = await failing(relay, ['--peer-id', 'ann', '--video-codec', 'h264']);
  assert.equal(failed.exit_code, 11, failed.reason);
  assert.match(failed.reason, /does not take H\.264/);
});

test('a waiting machine declines a codec it does not send, says so, and waits on', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const waiting = await stage.client(relay, ['--our-id', 'cam', '--video-codec', 'vp8']);
  const failed = await failing(relay, ['--peer-id', 'cam', '--video-codec', 'h264']);
  assert.equal(failed.exit_code, 11);
  assert.match(failed.reason, /does not take H\.264/);
  assert.match((await waiting.free()).reason, /does not take VP8/);
  const caller = await stage.client(relay, ['--peer-id', 'cam']);
  await caller.report('connected');
});

/** Has the page announce a fingerprint that is not its own. */
function forge(browser) {
  return browser.context.addInitScript(() => {
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (data) {
      const forged = data.replace(/(a=fingerprint:sha-256 )(\S\S)/g, (_, name, byte) => {
        return name + (byte === '00' ? '01' : '00');
      });
      send.call(this, forged);
    };
  });
}

test('a caller with a forged fingerprint is refused before any media is used', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const client = await stage.client(relay, ['--our-id', 'cam']);
  const browser = await stage.browser({ devices: true });
  await forge(browser);
  const page = await browser.open(relay, 'call=cam&send=camera');
  const ended = await client.report('ended');
  assert.match(ended.reason, /certificate is not the one/);
  const used = client.reports.filter(({ event }) => /^(connected|first-frame|stats)/.test(event));
  assert.deepEqual(used, []);
  const state = await page.until('the page gives a reason', (state) => state.reason !== null);
  assert.ok(!(state.framesPresented > 0), 'nothing was sent');
  await client.report('registered', { after: client.reports.indexOf(ended) });
});

test('an answer with a forged fingerprint is refused', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const browser = await stage.browser({ devices: true });
  await forge(browser);
  const page = await browser.open(relay, 'id=ann');
  await page.until('the page is registered', (state) => state.state === 'registered');
  const failed = await failing(relay, ['--peer-id', 'ann']);
  assert.equal(failed.exit_code, 13, failed.reason);
});
