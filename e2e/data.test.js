// Data channels: lines, echo, files and control, between two clients and with a browser, through the
// relay.

import test from 'node:test';
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import {
  mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, statfsSync, symlinkSync, truncateSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { allowCallsByHand } from './support/by-hand.js';
import { Program } from './support/process.js';
import { Client, binaries } from './support/programs.js';
import { Stage } from './support/stage.js';
import { until } from './support/until.js';

const NO_MEDIA = ['--video', 'none', '--audio', 'none'];

/** A client that says its lines on standard output and its reports on standard error. */
class Talker extends Program {
  constructor(relay, args) {
    super(join(binaries, 'client'), ['--json', '--show', 'none', '--server', relay.url, ...NO_MEDIA, '--data', 'stdio', ...args],
      { name: `client ${args.join(' ')}`, stdio: ['pipe', 'pipe', 'pipe'] });
  }

  reports(event) {
    return this.errors.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line))
      .filter((report) => report.event === event);
  }

  report(event) {
    return until(`${this.name} reports ${event}: ${this.errors.slice(-5).join('\n')}`, () => this.reports(event)[0]);
  }

  said(lines) {
    return until(`${this.name} prints ${lines.length} lines`, () => this.lines.length >= lines.length
      && (assert.deepEqual(this.lines, lines), true));
  }
}

function temporary(t) {
  const home = mkdtempSync(join(tmpdir(), 'aldis-data-'));
  t.after(() => rmSync(home, { recursive: true }));
  return home;
}

function sum(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

test('lines go both ways between two machines, and the end of input ends the call when all are there', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const callee = await stage.keep(Promise.resolve(new Talker(relay, ['--our-id', 'bob'])));
  await callee.report('registered');
  const caller = await stage.keep(Promise.resolve(new Talker(relay, ['--peer-id', 'bob', '--data-eof-ends'])));
  callee.child.stdin.write('hello\n\ngr\u00fc\u00dfe\n');
  await caller.said(['hello', '', 'gr\u00fc\u00dfe']);
  const many = Array.from({ length: 5000 }, (_, n) => `line ${n} ${'x'.repeat(n % 100)}`);
  const long = 'y'.repeat(65_536);
  caller.child.stdin.write(`${many.join('\n')}\n${long}\n`);
  caller.child.stdin.write(`${'z'.repeat(70_000)}\n`);
  caller.child.stdin.write(Buffer.from([0xff, 0xfe, 0x0a]));
  caller.child.stdin.end('last, without an end of line');
  assert.deepEqual(await caller.exit, { code: 0, signal: null });
  await callee.said([...many, long, 'last, without an end of line']);
  const said = caller.errors.join('\n');
  assert.match(said, /line 5002 of standard input is longer than 65536 bytes and was not sent/);
  assert.match(said, /line 5003 of standard input is no text and was not sent/);
  assert.match((await caller.report('ended')).reason, /all lines are sent/);
});

/** Calls a client from a page with data channels of its own, and echoes over one of each form. */
async function echoes(page, relay) {
  await allowCallsByHand(page);
  return page.page.evaluate(async (url) => {
    const pc = new RTCPeerConnection();
    const forms = {
      reliable: {},
      unordered: { ordered: false },
      timed: { maxPacketLifeTime: 5000 },
    };
    const channels = Object.entries(forms).map(([label, init]) => pc.createDataChannel(label, init));
    const socket = globalThis.callByHand(pc, url, 'echo');
    const messages = ['hello', '', 'gr\u00fc\u00dfe', 'x'.repeat(65_536), new ArrayBuffer(0), new Uint8Array([0, 255, 0]).buffer, new Uint8Array(65_536).fill(7).buffer];
    const text = (message) => (typeof message === 'string' ? `text ${message}` : `bytes ${new Uint8Array(message)}`);
    const result = {};
    const echoing = channels.map((channel) => new Promise((resolve, reject) => {
      channel.binaryType = 'arraybuffer';
      const back = [];
      channel.onclose = () => reject(new Error(`${channel.label} closed after ${back.length}`));
      channel.onmessage = ({ data }) => {
        back.push(text(data));
        if (back.length < messages.length) return;
        const sent = messages.map(text);
        if (!channel.ordered) { back.sort(); sent.sort(); }
        result[channel.label] = JSON.stringify(back) === JSON.stringify(sent);
        resolve();
      };
      channel.onopen = () => messages.forEach((message) => channel.send(message));
    }));
    // What may be lost is lost now and then: it is sent again and again until it has come back.
    const lossy = pc.createDataChannel('unreliable', { ordered: false, maxRetransmits: 0 });
    const coming = new Set();
    const returned = new Promise((resolve) => {
      lossy.onmessage = ({ data }) => coming.add(text(data)).size === 3 && resolve();
    });
    lossy.binaryType = 'arraybuffer';
    lossy.onopen = () => {
      const again = setInterval(() => [messages[0], messages[1], messages[5]].forEach((message) => lossy.send(message)), 100);
      void returned.then(() => { clearInterval(again); result.unreliable = true; });
    };
    echoing.push(returned);
    const limit = new Promise((_, reject) => setTimeout(() => reject(new Error(`too late: ${JSON.stringify(result)}`)), 60_000));
    await Promise.race([Promise.all(echoing), limit]);
    // Some megabytes more at once than anybody keeps: what comes back is all of it, in order.
    const [bulk] = channels;
    const count = 400;
    let next = 0;
    await new Promise((resolve, reject) => {
      bulk.onclose = () => reject(new Error(`closed after ${next}`));
      bulk.onmessage = ({ data }) => {
        if (new DataView(data).getUint32(0) !== next) reject(new Error(`not in order at ${next}`));
        if ((next += 1) === count) resolve();
      };
      for (let number = 0; number < count; number += 1) {
        const chunk = new ArrayBuffer(30_000);
        new DataView(chunk).setUint32(0, number);
        bulk.send(chunk);
      }
    });
    socket.close();
    pc.close();
    return result;
  }, relay.url);
}

test('a client echoes whatever a browser sends, on channels of every form', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const client = await stage.client(relay, ['--our-id', 'echo', ...NO_MEDIA, '--data', 'echo']);
  const browser = await stage.browser();
  const page = await browser.open(relay);
  for (let round = 0; round < 2; round += 1) {
    const after = client.mark;
    const result = await echoes(page, relay);
    assert.deepEqual(result, { reliable: true, unordered: true, unreliable: true, timed: true });
    const ended = await client.free({ after });
    assert.equal(ended.by, 'peer', ended.reason);
  }
});

test('a file arrives whole, also when the receiver is killed on the way and started again', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const home = temporary(t);
  const inbox = join(home, 'in');
  mkdirSync(inbox);
  const big = join(home, 'big.bin');
  const size = 50 << 20;
  writeFileSync(big, randomBytes(size));
  const small = join(home, 'small.txt');
  writeFileSync(small, 'small');
  const receiver = () => stage.client(relay, ['--our-id', 'in', ...NO_MEDIA, '--receive-dir', inbox]);
  const send = (files) => stage.keep(Promise.resolve(new Client(relay,
    ['--peer-id', 'in', ...NO_MEDIA, ...files.flatMap((file) => ['--send-file', file])])));
  const partial = () => readdirSync(inbox).filter((name) => name.endsWith('.part'));

  let receiving = await receiver();
  const first = await send([big]);
  await until('a part has arrived', () => partial().some((name) => statSync(join(inbox, name)).size > 5 << 20));
  await receiving.stop('SIGKILL');
  const [name] = partial();
  const kept = statSync(join(inbox, name)).size;
  t.diagnostic(`killed after ${kept} of ${size} bytes`);
  assert.ok(kept > 0 && kept < size);
  await first.stop();

  receiving = await receiver();
  const second = await send([small, big]);
  assert.deepEqual(await second.exit, { code: 0, signal: null }, second.errors.join('\n'));
  assert.deepEqual(readdirSync(inbox).sort(), ['big.bin', 'small.txt']);
  assert.equal(sum(join(inbox, 'big.bin')), sum(big));
  assert.ok(statSync(join(inbox, 'big.bin')).ino, 'it is there');
  const files = second.reports.filter(({ event }) => event === 'file').map(({ name, bytes, problem }) => ({ name, bytes, problem }));
  assert.deepEqual(files, [{ name: 'small.txt', bytes: 5, problem: null }, { name: 'big.bin', bytes: size, problem: null }]);
  const { resumed_at: resumed } = await receiving.report('file', { where: ({ name }) => name === 'big.bin' });
  assert.equal(resumed, kept, 'nothing that was there came again');
  await receiving.free();

  // Once more: it is there already, and nothing is written a second time.
  const third = await send([big]);
  assert.deepEqual(await third.exit, { code: 0, signal: null });
  assert.deepEqual(readdirSync(inbox).sort(), ['big.bin', 'small.txt']);
});

test('what a receiver does not take is said at both ends, and the sender fails', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const home = temporary(t);
  const inbox = join(home, 'in');
  mkdirSync(inbox);
  const large = join(home, 'large');
  writeFileSync(large, randomBytes(2000));
  const small = join(home, 'small');
  writeFileSync(small, randomBytes(900));
  const receiver = await stage.client(relay, ['--our-id', 'in', ...NO_MEDIA, '--receive-dir', inbox, '--receive-max', '1000']);
  const sender = await stage.keep(Promise.resolve(new Client(relay,
    ['--peer-id', 'in', ...NO_MEDIA, '--send-file', large, '--send-file', small])));
  assert.equal((await sender.exit).code, 1);
  assert.deepEqual(readdirSync(inbox), ['small']);
  assert.match((await sender.report('file')).problem, /more than the other side takes/);
  assert.match((await receiver.report('file')).problem, /more than is taken/);

  const deaf = await stage.client(relay, ['--our-id', 'deaf', '--data', 'echo', ...NO_MEDIA]);
  const refused = await stage.keep(Promise.resolve(new Client(relay, ['--peer-id', 'deaf', ...NO_MEDIA, '--send-file', small])));
  assert.equal((await refused.exit).code, 1);
  assert.match((await refused.report('file')).problem, /takes no files; start it with --receive-dir/);
  assert.match((await deaf.report('file')).problem, /no files are taken here/);
  await deaf.stop();
});

test('a disk that gets full ends a file and not the call, and the file goes on when there is room', async (t) => {
  const stage = new Stage(t);
  let inbox = '';
  t.after(() => spawnSync('umount', ['-l', inbox]));
  const home = temporary(t);
  inbox = join(home, 'in');
  mkdirSync(inbox);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', inbox]);
  if (mounted.status !== 0) return t.skip('no file system can be mounted here');
  const relay = await stage.relay();
  const big = join(home, 'big.bin');
  writeFileSync(big, randomBytes(48 << 20));
  const huge = join(home, 'huge.bin');
  writeFileSync(huge, '');
  truncateSync(huge, 80 << 20);
  const small = ['--width', '320', '--height', '180'];
  const receiver = await stage.client(relay, ['--our-id', 'in', ...small, '--receive-dir', inbox]);
  const send = (files, media) => stage.keep(Promise.resolve(new Client(relay,
    ['--peer-id', 'in', ...media, ...files.flatMap((file) => ['--send-file', file])])));
  const sender = await send([huge, big], ['--video', 'test', '--audio', 'none', ...small]);

  // What never had room is not begun; what had room at first is not there in the end.
  const isOf = (name) => ({ where: (report) => report.name === name });
  for (const client of [sender, receiver]) assert.match((await client.report('file', isOf('huge.bin'))).problem, /the disk .*is full/);
  const part = await until('a part has arrived', () => readdirSync(inbox).find((name) => (
    name.startsWith('big.bin.') && statSync(join(inbox, name)).size > 1 << 20
  )));
  const { bavail, bsize } = statfsSync(inbox);
  const filler = join(inbox, 'filler');
  assert.equal(spawnSync('fallocate', ['-l', String(bavail * bsize - (4 << 20)), filler]).status, 0);
  const refused = await receiver.report('file', isOf('big.bin'));
  assert.match(refused.problem, /the disk is full/);
  const told = await sender.report('file', isOf('big.bin'));
  assert.match(told.problem, /the disk of the other side is full/);
  assert.deepEqual(readdirSync(inbox).sort(), [part, 'filler'].sort(), 'nothing has the name of the file');
  for (const client of [sender, receiver]) {
    assert.ok((await client.rates(2)).at(-1).sent.fps > 5, 'the call goes on');
    assert.equal(client.reports.some(({ event }) => event === 'ended'), false);
  }
  const kept = statSync(join(inbox, part)).size;
  const mark = receiver.mark;
  await sender.stop();
  await receiver.report('registered', { after: mark });

  rmSync(filler);
  const again = await send([big], NO_MEDIA);
  assert.deepEqual(await again.exit, { code: 0, signal: null }, again.errors.join('\n'));
  const arrived = await receiver.report('file', { after: mark });
  t.diagnostic(`full after ${kept} bytes, went on after ${arrived.resumed_at}`);
  assert.equal(arrived.resumed_at, kept, 'what had arrived was good');
  assert.deepEqual(readdirSync(inbox), ['big.bin']);
  assert.equal(sum(join(inbox, 'big.bin')), sum(big));
});

/** Offers files from a page, with names of the page's choice, and says what becomes of each. */
async function offers(page, relay, names) {
  await allowCallsByHand(page);
  return page.page.evaluate(async ({ url, names }) => {
    const pc = new RTCPeerConnection();
    const channel = pc.createDataChannel('aldis-file');
    const socket = globalThis.callByHand(pc, url, 'in');
    await new Promise((resolve) => { channel.onopen = resolve; });
    const content = new TextEncoder().encode('evil');
    // Of "evil": pages without https have no crypto.subtle.
    const sha256 = '4e7aa4d2fa3a4d3f5e2f0a1b'.padEnd(64, '0');
    const results = [];
    for (const [id, { name, sum }] of names.entries()) {
      results.push(await new Promise((resolve) => {
        channel.onmessage = ({ data }) => {
          const note = JSON.parse(data);
          if (note.type === 'done') resolve('done');
          if (note.type === 'refuse') resolve(note.reason);
          if (note.type !== 'accept') return;
          const piece = new Uint8Array(12 + content.length);
          new DataView(piece.buffer).setUint32(0, id);
          piece.set(content, 12);
          channel.send(piece);
        };
        channel.send(JSON.stringify({ type: 'offer', id, name, size: content.length, sha256: sum ?? sha256 }));
      }));
    }
    // Garbage of every kind, after which it still works.
    for (const garbage of ['', '{}', 'x', '{"type":"offer"}', new Uint8Array(5), new Uint8Array(20)]) channel.send(garbage);
    socket.close();
    pc.close();
    return results;
  }, { url: relay.url, names });
}

test('no name leads out of the directory, and no link is followed', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const home = temporary(t);
  const inbox = join(home, 'in');
  mkdirSync(inbox);
  writeFileSync(join(home, 'outside'), 'safe');
  symlinkSync('../outside', join(inbox, 'link'));
  const client = await stage.client(relay, ['--our-id', 'in', ...NO_MEDIA, '--receive-dir', inbox]);
  const browser = await stage.browser();
  const page = await browser.open(relay);
  const right = createHash('sha256').update('evil').digest('hex');
  const wrong = '0'.repeat(64);
  const results = await offers(page, relay, [
    { name: '../../x', sum: right }, { name: '/etc/aldis-test', sum: right }, { name: '..\\..\\y', sum: right },
    { name: 'link', sum: right }, { name: '.hidden', sum: right }, { name: '..', sum: right }, { name: '', sum: right },
    { name: 'a\u0000b', sum: right }, { name: 'x', sum: right }, { name: 'damaged', sum: wrong },
  ]);
  assert.deepEqual(results, ['done', 'done', 'done', 'done', 'name', 'name', 'name', 'name', 'done', 'checksum']);
  assert.deepEqual(readdirSync(inbox).sort(), ['aldis-test', 'link', 'link (2)', 'x', 'y']);
  assert.equal(readFileSync(join(home, 'outside'), 'utf8'), 'safe');
  assert.deepEqual(readdirSync(home).sort(), ['in', 'outside']);
  await client.report('ended');
});

test('the page switches the source of a machine, has its figures, and may be forbidden all of it', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  // Noise takes all the bits it is given.
  const client = await stage.client(relay, [
    '--our-id', 'cam', '--video', 'test:snow', '--video', 'test:blue', '--audio', 'test', '--width', '160', '--height', '90',
  ]);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=cam');
  await page.sees();
  const machine = page.page.locator('#machine');
  await machine.waitFor();
  await until('the figures of the machine are there', async () => (
    /It sends \d+ frames a second/.test(await page.page.locator('#machine-statistics').textContent())
  ));
  const middle = async () => (await page.picture([[0.5, 0.5]])).pixels[0];
  const before = await middle();
  const change = async (index) => {
    await page.page.locator('#machine-video').selectOption({ index });
    await until('it is done', async () => (await page.page.locator('#machine-outcome').textContent()) === 'It changes over.');
  };
  await change(1);
  await until('the other picture is shown', async () => {
    const [red, green, blue] = await middle();
    return blue > 150 && red < 90 && green < 90;
  });
  await change(0);
  await until('the first picture is shown again', async () => {
    const [red, green, blue] = await middle();
    return !(blue > 150 && red < 90 && green < 90);
  });
  assert.ok(before.length === 3);
  // What is asked for is done, by what the browser counts.
  const inbound = () => page.page.evaluate(async () => {
    const stats = [...(await globalThis.aldis.pc.getStats()).values()];
    const { keyFramesDecoded, bytesReceived, timestamp } = stats.find(({ type, kind }) => type === 'inbound-rtp' && kind === 'video');
    return { keyFrames: keyFramesDecoded, bytes: bytesReceived, at: timestamp };
  });
  const outcome = (text) => until(`the page says: ${text}`, async () => (
    (await page.page.locator('#machine-outcome').textContent()) === text
  ));
  const { keyFrames } = await inbound();
  await page.page.getByRole('button', { name: 'Begin the picture anew' }).click();
  await outcome('It begins the picture anew.');
  await until('a key frame is decoded', async () => (await inbound()).keyFrames > keyFrames);

  /** Kilobits a second that came in two seconds, again and again until they fit. */
  const flows = async (what, fits) => {
    let from = await inbound();
    return until(what, async () => {
      const now = await inbound();
      if (now.at - from.at < 2000) return false;
      const kbps = (8 * (now.bytes - from.bytes)) / (now.at - from.at);
      from = now;
      return fits(kbps) && kbps;
    });
  };
  const free = await flows('the picture takes more than the cap will be', (kbps) => kbps > 1500);
  await page.page.locator('#machine-bitrate').selectOption('1000');
  await outcome('It sends no more than 1000 kbit/s.');
  const capped = await flows('the picture keeps to the cap', (kbps) => kbps < 1100);
  await page.page.locator('#machine-bitrate').selectOption('');
  await outcome('It sends as much as it likes.');
  const again = await flows('the picture takes more again', (kbps) => kbps > 1500);
  t.diagnostic(`${[free, capped, again].map(Math.round).join(', ')} kbit/s`);
  await page.page.close();
  await client.stop();

  await stage.client(relay, ['--our-id', 'mute', '--no-control']);
  const other = await browser.open(relay, 'call=mute');
  await other.sees();
  assert.equal(await other.page.locator('#machine').isVisible(), false);
  assert.deepEqual(other.errors, []);
});
