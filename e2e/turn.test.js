// A TURN server, asked for a way round whatever lies between.

import test from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Program } from './support/process.js';
import { Stage } from './support/stage.js';
import { until } from './support/until.js';

/** An address of this machine that is not the loopback one; tests run where there is just one. */
const ADDRESS = Object.values(networkInterfaces()).flat()
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

/** Whether something accepts connections there. */
function answers(host, port) {
  return new Promise((resolve) => {
    const socket = connect(port, host, () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

test('a client offers the address its TURN server lends it, and never says the password', async (t) => {
  const stage = new Stage(t);
  const home = mkdtempSync(join(tmpdir(), 'aldis-turn-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const turn = await stage.keep(Promise.resolve(new Program('turnserver', [
    '-n', '--no-cli', `--listening-ip=${ADDRESS}`, `--relay-ip=${ADDRESS}`, '--listening-port=3478',
    '--realm=aldis', '--fingerprint', '--no-tls', '--no-dtls', '--lt-cred-mech', '--user=alice:won/der',
    '--min-port=49160', '--max-port=49200', `--userdb=${home}/db`, `--pidfile=${home}/pid`,
    '--log-file=stdout', '--simple-log',
  ])));
  await until('coturn listens', () => {
    if (turn.ended) throw new Error(`coturn ended: ${[...turn.lines, ...turn.errors].join('\n')}`);
    return answers(ADDRESS, 3478);
  });

  const relay = await stage.relay();
  const browser = await stage.browser();
  const page = await browser.open(relay, 'id=ann');
  await page.page.evaluate(() => {
    globalThis.lent = [];
    const add = RTCPeerConnection.prototype.addIceCandidate;
    RTCPeerConnection.prototype.addIceCandidate = function (candidate) {
      if (/typ relay/.test(candidate?.candidate)) globalThis.lent.push(candidate.candidate);
      return add.call(this, candidate);
    };
  });
  await page.until('the page is registered', (state) => state.state === 'registered');
  const client = await stage.client(relay, [
    '--peer-id', 'ann', '--turn', `turn://alice:won%2Fder@${ADDRESS}:3478`,
    '--stun', `stun://${ADDRESS}:3478`,
  ], { RUST_LOG: 'client=debug' });
  await client.report('connected');
  await until('a lent address arrives', () => page.page.evaluate(() => globalThis.lent.length > 0));
  await page.sees();
  assert.doesNotMatch([...client.lines, ...client.errors].join('\n'), /won/);
});
