// A TURN server, asked for a way round whatever lies between.

import test from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { failing } from './support/failing.js';
import { Stage } from './support/stage.js';
import { ADDRESS } from './support/turn-server.js';
import { until } from './support/until.js';

const SECRET = 'sEcReT-0123456789abcdef';
const THROUGH_TURN = ['--ice-policy', 'relay'];
const DEBUG = { RUST_LOG: 'client=debug' };

test('a client offers the address its TURN server lends it, and never says the password', async (t) => {
  const stage = new Stage(t);
  await stage.turnServer(['--lt-cred-mech', '--user=alice:won/der']);
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

/** A relay that lends what a TURN server with a shared secret has to lend. */
async function lending(t, stage, { transport, options = [], lifetime = '3600' }) {
  const turn = await stage.turnServer(['--use-auth-secret', `--static-auth-secret=${SECRET}`, ...options]);
  const home = mkdtempSync(join(tmpdir(), 'aldis-lending-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const file = join(home, 'secret');
  writeFileSync(file, SECRET, { mode: 0o600 });
  return stage.relay(0, [
    '--turn', `turn:${turn.host}?transport=${transport}`, '--turn-secret-file', file,
    '--turn-lifetime', lifetime, '--log', 'debug',
  ]);
}

/** Two clients that reach one another through TURN alone. */
async function calling(stage, relay, cam) {
  const caller = await stage.client(relay, ['--peer-id', 'cam', ...THROUGH_TURN], DEBUG);
  for (const client of [cam, caller]) {
    const { local } = await client.report('connected');
    assert.equal(local, 'relay');
    await client.report('first-frame-received', { where: ({ kind }) => kind === 'video' });
  }
  return caller;
}

/** How many connections to the TURN server by TCP are open in this network. */
function connectionsByTcp() {
  const established = /^\s*\d+: \S+ \S+:0D96 01 /;
  return readFileSync('/proc/net/tcp', 'utf8').split('\n').filter((line) => established.test(line)).length;
}

for (const { transport, options, byTcp } of [
  { transport: 'udp', options: [], byTcp: 0 },
  { transport: 'tcp', options: ['--no-udp'], byTcp: 2 },
]) {
  test(`two clients meet through the TURN server that their relay lends, by ${transport}`, async (t) => {
    const stage = new Stage(t);
    const relay = await lending(t, stage, { transport, options });
    const cam = await stage.client(relay, ['--our-id', 'cam', ...THROUGH_TURN], DEBUG);
    const caller = await calling(stage, relay, cam);
    assert.equal(connectionsByTcp(), byTcp);
    const said = [relay, cam, caller].flatMap(({ lines, errors }) => [...lines, ...errors]).join('\n');
    assert.doesNotMatch(said, new RegExp(`${SECRET}|turn://`));
  });
}

test('who waits long has credentials that have not expired', async (t) => {
  const stage = new Stage(t);
  const lifetime = 6;
  const relay = await lending(t, stage, { transport: 'udp', lifetime: String(lifetime) });
  const cam = await stage.client(relay, ['--our-id', 'cam', ...THROUGH_TURN], DEBUG);
  const { iceServers } = await (await fetch(new URL('api/ice-servers', relay.page))).json();
  const expiry = Number(iceServers[0].username.split(':')[0]);
  await until('what the client was told first has expired', () => Date.now() / 1000 > expiry + 1);
  await calling(stage, relay, cam);
});

test('a secret that the TURN server does not share is of no use', async (t) => {
  const stage = new Stage(t);
  const turn = await stage.turnServer(['--use-auth-secret', '--static-auth-secret=another']);
  const relay = await stage.relay(0, ['--turn', `turn:${turn.host}`], { ALDIS_RELAY_TURN_SECRET: SECRET });
  await stage.client(relay, ['--our-id', 'cam', ...THROUGH_TURN]);
  const failed = await failing(relay, ['--peer-id', 'cam', ...THROUGH_TURN]);
  assert.equal(failed.exit_code, 12, failed.reason);
});
