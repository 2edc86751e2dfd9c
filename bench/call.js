// From the call to the picture: how long it takes on one machine, both ways of calling. See README.md.

import { Browser } from '../e2e/support/browser.js';
import { Client, Relay } from '../e2e/support/programs.js';
import { pause } from '../e2e/support/until.js';
import { median, printTable, settings } from './figures.js';
import { calm, load, machine, othersPercent } from './usage.js';

const { calls: CALLS, codec: CODEC } = settings({ calls: 10, codec: 'vp8' });
const SENT = ['--video', 'test', '--audio', 'test', '--video-codec', CODEC];

/** Between two calls, so that the end of one is no part of the next. */
const REST_MS = 500;

/** The steps in their order, each in milliseconds since the call began, as the page sees them. */
const STEPS = ['described', 'answered', 'ice', 'connected', 'received', 'decoded', 'presented'];

/** Runs in the page before its own code: keeps when what happened first, without changing any of it. */
function watchCalls() {
  const times = (globalThis.times = {});
  const note = (step, at = performance.now()) => (times[step] ??= at);
  globalThis.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...args) {
      super(...args);
      this.addEventListener('iceconnectionstatechange', () => {
        if (['connected', 'completed'].includes(this.iceConnectionState)) note('ice');
      });
      this.addEventListener('connectionstatechange', () => {
        if (this.connectionState === 'connected') note('connected');
      });
    }

    setLocalDescription(...args) {
      note('described');
      return super.setLocalDescription(...args);
    }

    setRemoteDescription(...args) {
      note('answered');
      return super.setRemoteDescription(...args);
    }
  };
  globalThis.WebSocket = class extends WebSocket {
    constructor(...args) {
      super(...args);
      this.addEventListener('message', ({ data }) => String(data).startsWith('SESSION_FROM') && note('called'));
    }
  };
  const { requestVideoFrameCallback } = HTMLVideoElement.prototype;
  HTMLVideoElement.prototype.requestVideoFrameCallback = function (callback) {
    return requestVideoFrameCallback.call(this, (now, frame) => {
      note('received', frame.receiveTime);
      note('decoded', frame.receiveTime + 1000 * frame.processingDuration);
      callback(now, frame);
    });
  };
}

/** The time of each step of the call that the page is in, and since when they count. */
async function timesOf(page) {
  const state = await page.sees();
  const times = await page.page.evaluate(() => globalThis.times);
  const began = state.callStartedMs ?? times.called;
  const since = { ...times, presented: state.firstFrameMs };
  return Object.fromEntries(STEPS.map((step) => [step, since[step] - began]));
}

async function openPage(browser, relay) {
  const page = await browser.open(relay, 'id=page');
  await page.until('the page is registered', (state) => state.state === 'registered');
  return page;
}

async function hangUp(page) {
  await page.page.getByRole('button', { name: /hang up/i }).click();
  await page.until('the page is registered again', (state) => state.state === 'registered');
}

/** One call from the page to the client, hung up again. */
async function callFromPage(page, client) {
  const after = client.mark;
  await page.page.evaluate((callee) => {
    for (const step of Object.keys(globalThis.times)) delete globalThis.times[step];
    history.replaceState(null, '', '#');
    location.hash = `call=${callee}`;
  }, client.id);
  const times = await timesOf(page);
  const { setup_ms: setup } = await client.report('connected', { after });
  await hangUp(page);
  await client.report('registered', { after });
  await pause(REST_MS);
  return { ...times, setup };
}

/** One call from a client of its own to the page, hung up again. */
async function callFromClient(page, relay) {
  await page.page.evaluate(() => {
    for (const step of Object.keys(globalThis.times)) delete globalThis.times[step];
  });
  const client = await Client.start(relay, [...SENT, '--peer-id', 'page']);
  const times = await timesOf(page);
  const { setup_ms: setup } = await client.report('connected');
  await client.stop();
  await page.until('the page is registered again', (state) => state.state === 'registered');
  await pause(REST_MS);
  return { ...times, setup };
}

/** The page calls: everything new, then a new client in a browser that has called, then that one again. */
async function pageCalls(browser, relay) {
  const page = await openPage(browser, relay);
  const singles = {};
  let client;
  for (const name of ['browser and client new', 'client new']) {
    await client?.stop();
    client = await Client.start(relay, [...SENT, '--our-id', 'cam']);
    await pause(REST_MS);
    singles[name] = await callFromPage(page, client);
  }
  const calls = [];
  while (calls.length < CALLS) calls.push(await callFromPage(page, client));
  await client.stop();
  await page.page.close();
  return { singles, calls };
}

/** A client calls the page: each call needs a client of its own. */
async function clientCalls(browser, relay) {
  const page = await openPage(browser, relay);
  const calls = [];
  while (calls.length < CALLS) calls.push(await callFromClient(page, relay));
  await page.page.close();
  return { singles: {}, calls };
}

function show(title, { singles, calls }) {
  console.log(`\n${title}`);
  const columns = [...STEPS, 'setup'];
  const row = (name, values) => [name, ...columns.map((column) => Math.round(values[column]))];
  const over = (count) =>
    Object.fromEntries(columns.map((column) => [column, count(calls.map((call) => call[column]))]));
  printTable(['ms', ...columns.map((column) => (column === 'setup' ? 'setup_ms' : column))], [
    ...Object.entries(singles).map(([name, values]) => row(name, values)),
    ...calls.map((values, index) => row(`call ${index + 1}`, values)),
    row('median', over(median)),
    row('min', over((all) => Math.min(...all))),
    row('max', over((all) => Math.max(...all))),
  ]);
}

/** What the JSON line says of one way of calling. */
function summary({ singles, calls }) {
  const of = (step) => {
    const all = calls.map((call) => Math.round(call[step]));
    return { median: Math.round(median(all)), min: Math.min(...all), max: Math.max(...all), all };
  };
  return {
    ...Object.fromEntries(Object.entries(singles).map(([name, { presented }]) => [name, Math.round(presented)])),
    presented: of('presented'), decoded: of('decoded'),
  };
}

await calm();
const before = machine();
const relay = await Relay.start();
const browser = await Browser.start();
try {
  await browser.context.addInitScript(watchCalls);
  const fromPage = await pageCalls(browser, relay);
  show(`The page calls the client (${CODEC}): since it sent SESSION`, fromPage);
  const fromClient = await clientCalls(browser, relay);
  show(`The client calls the page (${CODEC}): since the relay told the page`, fromClient);
  const others = Math.round(othersPercent(before, machine()));
  console.log(`\nOthers took ${others} % of this machine meanwhile.`);
  const summaries = { pageCalls: summary(fromPage), clientCalls: summary(fromClient) };
  console.log(`\n${JSON.stringify({ bench: 'call', codec: CODEC, load: load(), others, ...summaries })}`);
} finally {
  await browser.stop();
  await relay.stop();
}
