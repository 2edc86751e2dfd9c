// How fast bytes go over data channels: between clients, between a client and Chromium, and the same
// with aiortc, in turns. See README.md.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Browser } from '../e2e/support/browser.js';
import { allowCallsByHand } from '../e2e/support/by-hand.js';
import { Program } from '../e2e/support/process.js';
import { Client, Relay, binaries } from '../e2e/support/programs.js';
import { until } from '../e2e/support/until.js';
import { median, printTable, settings } from './figures.js';

const { rounds: ROUNDS, megabytes: MEGABYTES } = settings({ rounds: 5, megabytes: 100 });
const BYTES = MEGABYTES * 1_000_000;
/** aiortc is slower by so much that it gets less to do. */
const AIORTC_BYTES = Math.min(BYTES, 20_000_000);
const NO_MEDIA = ['--video', 'none', '--audio', 'none'];
const LIMIT_MS = 180_000;
const PYTHON = process.env.ALDIS_PYTHON ?? join(binaries, '../e2e-python/bin/python');

/** Calls `callee` from a page and moves bytes; says how many seconds that took. */
async function inPage(page, url, callee, wish) {
  await allowCallsByHand(page);
  return page.page.evaluate(async ({ url, callee, wish }) => {
    const pc = new RTCPeerConnection();
    const channel = pc.createDataChannel(wish.kind === 'file' ? 'aldis-file' : 'bulk');
    channel.binaryType = 'arraybuffer';
    channel.bufferedAmountLowThreshold = 1 << 20;
    const opened = new Promise((resolve) => { channel.onopen = resolve; });
    const offered = new Promise((resolve) => {
      pc.ondatachannel = ({ channel }) => channel.label === 'aldis-file' && resolve(channel);
    });
    const socket = globalThis.callByHand(pc, url, callee);
    await opened;
    const drained = async (room) => {
      while (channel.bufferedAmount > 4 << 20) await new Promise((resolve) => { channel.onbufferedamountlow = resolve; });
      await room();
    };
    let began = 0;
    if (wish.kind === 'file' && wish.send) {
      let accepted = () => {};
      let done = () => {};
      let acknowledged = 0;
      let moved = () => {};
      const start = new Promise((resolve) => { accepted = resolve; });
      const end = new Promise((resolve, reject) => { done = (problem) => (problem ? reject(new Error(problem)) : resolve()); });
      channel.onmessage = ({ data }) => {
        const note = JSON.parse(data);
        if (note.type === 'accept') accepted();
        if (note.type === 'received') { acknowledged = note.offset; moved(); }
        if (note.type === 'done') done();
        if (note.type === 'refuse') done(note.reason);
      };
      channel.send(JSON.stringify({ type: 'offer', id: 1, name: wish.name, size: wish.bytes, sha256: wish.sha256 }));
      await start;
      began = performance.now();
      for (let offset = 0; offset < wish.bytes;) {
        const length = Math.min(60_000, wish.bytes - offset);
        await drained(async () => {
          while (offset + length > acknowledged + (16 << 20)) await new Promise((resolve) => { moved = resolve; });
        });
        const piece = new Uint8Array(12 + length);
        const view = new DataView(piece.buffer);
        view.setUint32(0, 1);
        view.setBigUint64(4, BigInt(offset));
        channel.send(piece);
        offset += length;
      }
      await end;
    } else if (wish.kind === 'file') {
      const coming = await offered;
      coming.binaryType = 'arraybuffer';
      await new Promise((resolve) => {
        let [size, id, taken, told] = [0, 0, 0, 0];
        coming.onmessage = ({ data }) => {
          if (typeof data === 'string') {
            const note = JSON.parse(data);
            if (note.type !== 'offer') return;
            ({ size, id } = note);
            began = performance.now();
            return coming.send(JSON.stringify({ type: 'accept', id, offset: 0 }));
          }
          taken += data.byteLength - 12;
          if (taken - told >= 1 << 20) {
            told = taken;
            coming.send(JSON.stringify({ type: 'received', id, offset: taken }));
          }
          if (taken < size) return;
          coming.send(JSON.stringify({ type: 'done', id }));
          resolve();
        };
      });
    } else if (wish.send) {
      const done = new Promise((resolve) => { channel.onmessage = resolve; });
      began = performance.now();
      channel.send(String(wish.bytes));
      for (let left = wish.bytes; left > 0; left -= 60_000) {
        await drained(async () => {});
        channel.send(new Uint8Array(Math.min(60_000, left)));
      }
      await done;
    } else {
      await new Promise((resolve) => {
        let [expected, taken] = [0, 0];
        channel.onmessage = ({ data }) => {
          if (typeof data === 'string') {
            began = performance.now();
            expected = Number(data);
            return;
          }
          taken += data.byteLength;
          if (taken < expected) return;
          channel.send('done');
          resolve();
        };
      });
    }
    const seconds = (performance.now() - began) / 1000;
    await new Promise((resolve) => setTimeout(resolve, 200));
    socket.close();
    pc.close();
    return seconds;
  }, { url, callee, wish });
}

function aiortc(relay, args) {
  return new Program(PYTHON, [join(import.meta.dirname ?? '.', 'data_peer.py'), '--server', relay.url, ...args], { name: 'aiortc' });
}

const zeros = async () => {
  const { createHash } = await import('node:crypto');
  return createHash('sha256').update(Buffer.alloc(BYTES)).digest('hex');
};

async function main() {
  if (!existsSync(PYTHON)) throw new Error(`no aiortc in ${PYTHON}: scripts/test installs it`);
  const home = mkdtempSync(join(tmpdir(), 'aldis-bench-'));
  const relay = await Relay.start();
  const browser = await Browser.start();
  const page = await browser.open(relay);
  const file = join(home, 'zeros');
  writeFileSync(file, Buffer.alloc(BYTES));
  const sha256 = await zeros();
  let number = 0;
  const started = [];
  const keep = (program) => { started.push(program); return program; };
  const empty = () => {
    const folder = join(home, `in-${number += 1}`);
    mkdirSync(folder);
    return folder;
  };
  const client = async (args) => {
    const id = `c${number += 1}`;
    const program = keep(new Client(relay, ['--our-id', id, ...NO_MEDIA, ...args]));
    await program.ready();
    return program;
  };

  const runs = {
    'client to client': [BYTES, async () => {
      const folder = empty();
      const taking = await client(['--receive-dir', folder]);
      const sending = keep(new Client(relay, ['--peer-id', taking.id, ...NO_MEDIA, '--send-file', file]));
      await sending.report('connected', { limitMs: LIMIT_MS });
      const began = performance.now();
      await sending.report('file', { limitMs: LIMIT_MS });
      return (performance.now() - began) / 1000;
    }],
    'client to Chromium': [BYTES, async () => {
      const sending = await client(['--send-file', file]);
      return inPage(page, relay.url, sending.id, { kind: 'file', send: false });
    }],
    'Chromium to client': [BYTES, async () => {
      const taking = await client(['--receive-dir', empty()]);
      return inPage(page, relay.url, taking.id, { kind: 'file', send: true, name: 'zeros', bytes: BYTES, sha256 });
    }],
    'aiortc to aiortc': [AIORTC_BYTES, async () => {
      const id = `a${number += 1}`;
      await keep(aiortc(relay, ['--id', id])).line(/registered/);
      const sending = keep(aiortc(relay, ['--id', `${id}-caller`, '--call', id, '--send', AIORTC_BYTES]));
      return JSON.parse((await sending.line(/.*"sent".*/, LIMIT_MS))[0]).seconds;
    }],
    'aiortc to Chromium': [AIORTC_BYTES, async () => {
      const id = `a${number += 1}`;
      await keep(aiortc(relay, ['--id', id, '--send', AIORTC_BYTES])).line(/registered/);
      return inPage(page, relay.url, id, { kind: 'raw', send: false });
    }],
    'Chromium to aiortc': [AIORTC_BYTES, async () => {
      const id = `a${number += 1}`;
      await keep(aiortc(relay, ['--id', id])).line(/registered/);
      return inPage(page, relay.url, id, { kind: 'raw', send: true, bytes: AIORTC_BYTES });
    }],
  };
  const rates = Object.fromEntries(Object.keys(runs).map((name) => [name, []]));
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [name, [bytes, run]] of Object.entries(runs)) {
        const seconds = await run();
        rates[name].push(bytes / 1e6 / seconds);
        for (const program of started.splice(0)) await program.stop('SIGTERM').catch(() => {});
        for (let n = 1; n <= number; n += 1) rmSync(join(home, `in-${n}`), { recursive: true, force: true });
      }
    }
    const words = Object.entries(rates).map(([name, all]) => {
      const [low, high] = [Math.min(...all), Math.max(...all)];
      return [name, median(all).toFixed(1), `${low.toFixed(1)}-${high.toFixed(1)}`];
    });
    printTable(['MB/s', 'median', 'min-max'], words);
  } finally {
    for (const program of started) await program.stop('SIGKILL').catch(() => {});
    await browser.stop();
    await relay.stop();
    rmSync(home, { recursive: true, force: true });
  }
  await until('all is over', () => true);
}

await main();
