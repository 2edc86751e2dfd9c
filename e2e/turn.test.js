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
async function lending(t, stage, { transport, options = [], lifetime = '3600', tls = false }) {
  const turn = await stage.turnServer(['--use-auth-secret', `--static-auth-secret=${SECRET}`, ...options], { tls });
  const home = mkdtempSync(join(tmpdir(), 'aldis-lending-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const file = join(home, 'secret');
  writeFileSync(file, SECRET, { mode: 0o600 });
  const url = tls ? `turns:${turn.tlsHost}` : `turn:${turn.host}`;
  const relay = await stage.relay(0, [
    '--turn', `${url}?transport=${transport}`, '--turn-secret-file', file,
    '--turn-lifetime', lifetime, '--log', 'debug',
  ]);
  return Object.assign(relay, { turn });
}

/** Two clients that reach one another through TURN alone. */
async function calling(stage, relay, cam, args = []) {
  const caller = await stage.client(relay, ['--peer-id', 'cam', ...THROUGH_TURN, ...args], DEBUG);
  for (const client of [cam, caller]) {
    const { local } = await client.report('connected');
    assert.equal(local, 'relay');
    await client.report('first-frame-received', { where: ({ kind }) => kind === 'video' });
  }
  return caller;
}

/** How many connections to the TURN server by TCP are open in this network, to one of its ports. */
function connectionsByTcp(port = 3478) {
  const number = port.toString(16).toUpperCase().padStart(4, '0');
  const established = new RegExp(`^\\s*\\d+: \\S+ \\S+:${number} 01 `);
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
    await until(`${byTcp} connections by TCP`, () => connectionsByTcp() === byTcp);
    const said = [relay, cam, caller].flatMap(({ lines, errors }) => [...lines, ...errors]).join('\n');
    assert.doesNotMatch(said, new RegExp(`${SECRET}|turn://`));
  });
}

test('two clients meet through the TURN server that their relay lends, by TLS', async (t) => {
  const stage = new Stage(t);
  const relay = await lending(t, stage, { transport: 'tcp', options: ['--no-udp'], tls: true });
  const trust = ['--turn-ca', relay.turn.certificate];
  const cam = await stage.client(relay, ['--our-id', 'cam', ...THROUGH_TURN, ...trust], DEBUG);
  const caller = await calling(stage, relay, cam, trust);
  assert.equal(connectionsByTcp(), 0);
  await until('two connections by TLS', () => connectionsByTcp(5349) === 2);
  const said = [relay, cam, caller].flatMap(({ lines, errors }) => [...lines, ...errors]).join('\n');
  assert.doesNotMatch(said, new RegExp(`${SECRET}|turns?://`));
  assert.equal((await caller.stop()).code, 0);
  await cam.report('ended');
  await until('nothing of the tunnels is left', () => connectionsByTcp(5349) === 0);
});

test('a TURN server whose certificate nobody vouches for is done without, and that is said', async (t) => {
  const stage = new Stage(t);
  const turn = await stage.turnServer(['--lt-cred-mech', '--user=alice:wonder'], { tls: true, name: 'DNS:turn.example.org' });
  const relay = await stage.relay();
  const cam = await stage.client(relay, ['--our-id', 'cam']);
  for (const [args, sentence] of [
    [[], /nobody whom this machine trusts vouches for its certificate; give that of its authority, or its own, with --turn-ca\./],
    [['--turn-ca', turn.certificate], /its certificate is for another name than the one in its address/],
  ]) {
    const caller = await stage.client(relay, ['--peer-id', 'cam', '--turn', `turns://alice:wonder@${turn.tlsHost}`, ...args]);
    await caller.report('connected');
    const said = await until('it is said', () => caller.errors.find((line) => line.includes('cannot be used by TLS')));
    assert.match(said, sentence);
    assert.match(said, new RegExp(`The TURN server ${turn.tlsHost} cannot`));
    assert.doesNotMatch(caller.errors.join('\n'), /wonder/);
    const after = cam.mark;
    assert.equal((await caller.stop()).code, 0);
    await cam.report('registered', { after });
  }
});

test('a file that is to vouch for TURN servers and cannot be read ends the client at once', async (t) => {
  const failed = await failing({ url: 'ws://127.0.0.1:1' }, ['--turn-ca', '/nonexistent.pem']);
  assert.match(failed.reason, /The certificates of --turn-ca in \/nonexistent.pem cannot be used/);
});

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
