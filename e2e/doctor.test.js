// `client --check` on a machine on which a call would work, and on broken ones: it says what is wrong
// and what to do about it, and ends with 1.

import test from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, binaries } from './support/programs.js';
import { Stage } from './support/stage.js';
import { ADDRESS } from './support/turn-server.js';
import { until } from './support/until.js';

const NOWHERE = { url: 'ws://127.0.0.1:1' };
const TURN = `turn://alice:wonder@${ADDRESS}:3478`;
const USERS = ['--lt-cred-mech', '--user=alice:wonder'];

/** What a client finds that is asked to look, by name; each name may come several times. */
async function check(relay, args, env = {}) {
  const client = new Client(relay, ['--check', ...args], env);
  const { code } = await until('all is looked at', () => client.ended, 120_000);
  const findings = client.reports.filter(({ event }) => event === 'check');
  const summary = client.reports.find(({ event }) => event === 'checked');
  assert.ok(summary, client.errors.join('\n'));
  assert.equal(summary.healthy, code === 0);
  assert.equal(summary.problems, findings.filter(({ state }) => state === 'problem').length);
  for (const { state, fix, seen } of findings) {
    assert.ok(seen.length > 10, seen);
    assert.equal(state === 'problem' || state === 'warning', fix !== null, `${seen} ${fix}`);
  }
  const said = [...client.lines, ...client.errors].join('\n');
  assert.ok(!said.includes('wonder'), said);
  const named = (name) => findings.filter((finding) => finding.name === name);
  return { code, findings, said, named, state: (name) => named(name).map(({ state }) => state) };
}

/** A relay, a TURN server, a display and a sound server on which a tone plays. */
async function healthy(t) {
  const stage = new Stage(t);
  const [relay, screen, sound, turn] = await Promise.all([
    stage.relay(), stage.screen(), stage.sound(), stage.turnServer(USERS),
  ]);
  await sound.play(440);
  const args = [
    '--video', 'screen', '--display', screen.display, '--audio', 'mic', '--audio-device', 'speaker.monitor',
    '--stun', `stun://${turn.host}`, '--turn', TURN, '--turn', `${TURN}?transport=tcp`,
  ];
  return { stage, relay, args, env: { DISPLAY: screen.display, WAYLAND_DISPLAY: '', ...sound.env } };
}

/** Drops every datagram in this network, until the test is over. */
function blockUdp(t) {
  const nft = (...args) => spawnSync('nft', args, { encoding: 'utf8' });
  t.after(() => nft('delete', 'table', 'inet', 'doctor'));
  const rules = 'table inet doctor {\nchain in {\ntype filter hook input priority 0;\nmeta l4proto udp drop\n}\n}\n';
  const made = spawnSync('nft', ['-f', '-'], { input: rules, encoding: 'utf8' });
  assert.equal(made.status, 0, made.stderr);
}

const TEST_PICTURE = ['--video', 'test', '--audio', 'test'];

test('on a machine on which all is well there is no problem', async (t) => {
  const { relay, args, env } = await healthy(t);
  const { code, findings, state, named, said } = await check(relay, args, env);
  assert.equal(code, 0, said);
  for (const name of ['relay', 'token', 'origin', 'clock', 'udp', 'stun', 'turn-udp', 'turn-tcp',
    'candidates', 'plugins', 'display', 'sound', 'microphone']) {
    assert.deepEqual(state(name), ['ok'], `${name}: ${JSON.stringify(named(name))}`);
  }
  for (const name of ['encoder', 'decoder']) {
    assert.ok(state(name).length >= 2 && state(name).every((state) => state === 'ok'), JSON.stringify(named(name)));
  }
  assert.match(named('candidates')[0].seen, /\d host, \d relay/);
  assert.match(named('stun')[0].seen, new RegExp(`seen as ${ADDRESS}:`));
  assert.equal(findings.filter(({ state }) => state === 'problem').length, 0);
});

test('the same is a table for people', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const { status, stdout } = spawnSync(
    join(binaries, 'client'),
    ['--check', '--show', 'none', ...TEST_PICTURE, '--server', relay.url],
    { encoding: 'utf8' },
  );
  assert.equal(status, 0, stdout);
  assert.match(stdout, /^ok {7}relay {7}ws:\/\/\S+ answers by TCP and WebSocket/m);
  assert.match(stdout, /^skipped {2}udp {9}No STUN or TURN server is named/m);
  assert.match(stdout, /A call should work: no problem, 0 warnings\.\n$/);
});

test('without a relay', async () => {
  const { code, state, named } = await check(NOWHERE, TEST_PICTURE);
  assert.equal(code, 1);
  assert.deepEqual(state('relay'), ['problem']);
  assert.match(named('relay')[0].seen, /ws:\/\/127\.0\.0\.1:1\/ cannot be reached/);
  assert.match(named('relay')[0].fix, /--server/);
  assert.deepEqual(state('token'), ['skipped']);
  assert.ok(state('encoder').length >= 2 && state('encoder').every((state) => state === 'ok'));
});

test('with a token that is wrong, or an id that is taken', async (t) => {
  const stage = new Stage(t);
  const home = mkdtempSync(join(tmpdir(), 'aldis-doctor-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  writeFileSync(join(home, 'secrets'), 'us sEcReT-0123456789abcdef\n', { mode: 0o600 });
  const relay = await stage.relay(0, ['--token-file', join(home, 'secrets')]);
  const wrong = await check(relay, TEST_PICTURE, { ALDIS_TOKEN: 'cuttlefish' });
  assert.equal(wrong.code, 1);
  assert.deepEqual(wrong.state('relay'), ['ok']);
  assert.deepEqual(wrong.state('token'), ['problem']);
  assert.match(wrong.named('token')[0].seen, /does not accept the token/);
  assert.match(wrong.named('token')[0].fix, /--token-file/);
  assert.ok(!wrong.said.includes('cuttlefish'));

  const right = { ALDIS_TOKEN: 'sEcReT-0123456789abcdef' };
  await stage.client(relay, ['--our-id', 'cam'], right);
  const taken = await check(relay, ['--our-id', 'cam', ...TEST_PICTURE], right);
  assert.equal(taken.code, 0, taken.said);
  assert.deepEqual(taken.state('token'), ['warning']);
});

test('with pages that the relay keeps out, which this client is none of', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay(0, ['--allow-origin', 'https://page.example.org']);
  const { code, state, named } = await check(relay, TEST_PICTURE);
  assert.equal(code, 0);
  assert.deepEqual(state('origin'), ['warning']);
  assert.match(named('origin')[0].seen, /sends no Origin.*may not use the relay/);
  assert.match(named('origin')[0].fix, /--allow-origin http:\/\/127/);
});

test('with the wrong password for TURN', async (t) => {
  const stage = new Stage(t);
  await stage.turnServer(USERS);
  const relay = await stage.relay();
  const args = [...TEST_PICTURE, '--turn', `turn://alice:wander@${ADDRESS}:3478`];
  const { code, state, named, said } = await check(relay, args, { RUST_LOG: 'trace' });
  assert.equal(code, 1);
  assert.match(said, /TRACE/);
  assert.doesNotMatch(said, /wander|IntegrityKey/);
  assert.deepEqual(state('udp'), ['ok']);
  assert.deepEqual(state('turn-udp'), ['problem']);
  assert.match(named('turn-udp')[0].seen, /the user or the password is wrong/);
  assert.deepEqual(state('candidates'), ['warning']);
  const alone = await check(relay, [...args, '--ice-policy', 'relay']);
  assert.deepEqual(alone.state('candidates'), ['problem']);
});

test('with TURN by TLS, where the certificate has to be trusted', async (t) => {
  const stage = new Stage(t);
  const turn = await stage.turnServer(USERS, { tls: true });
  const relay = await stage.relay();
  const args = [...TEST_PICTURE, '--turn', `turns://alice:wonder@${turn.tlsHost}`];
  const untrusted = await check(relay, args);
  assert.equal(untrusted.code, 1);
  assert.deepEqual(untrusted.state('turn-tls'), ['problem']);
  assert.match(untrusted.named('turn-tls')[0].seen, /cannot be reached by TLS: nobody whom this machine trusts vouches/);
  const trusted = await check(relay, [...args, '--turn-ca', turn.certificate]);
  assert.equal(trusted.code, 0, trusted.said);
  assert.deepEqual(trusted.state('turn-tls'), ['ok']);
  assert.match(trusted.named('candidates')[0].seen, /1 relay/);
});

test('with a source that gives nothing, and with every codec', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const without = await check(relay, ['--video', 'file:/nonexistent.webm', '--audio', 'none']);
  assert.equal(without.code, 1);
  assert.deepEqual(without.state('source'), ['problem']);
  for (const codec of ['vp9', 'h264', 'av1']) {
    const { code, state, said } = await check(relay, ['--video', 'test', '--audio', 'none', '--video-codec', codec]);
    assert.equal(code, 0, said);
    assert.deepEqual([...state('encoder'), ...state('decoder')], ['ok', 'ok'], said);
  }
});

test('with UDP blocked, where TURN by TCP is the way out', async (t) => {
  const { relay, args, env } = await healthy(t);
  blockUdp(t);
  const { code, state, named, said } = await check(relay, args, env);
  assert.equal(code, 1, said);
  assert.deepEqual(state('udp'), ['problem']);
  assert.match(named('udp')[0].fix, /transport=tcp/);
  assert.deepEqual(state('stun'), ['problem']);
  assert.deepEqual(state('turn-udp'), ['problem']);
  assert.match(named('turn-udp')[0].seen, /gives no answer by UDP/);
  assert.deepEqual(state('turn-tcp'), ['ok']);
  assert.match(named('candidates')[0].seen, /1 relay/);
});

test('without a display and without a sound server', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const env = { DISPLAY: ':7654', WAYLAND_DISPLAY: '', PULSE_SERVER: 'unix:/nonexistent' };
  const { code, state, named } = await check(relay, ['--video', 'screen', '--audio', 'mic'], env);
  assert.equal(code, 1);
  assert.deepEqual(state('display'), ['problem']);
  assert.match(named('display')[0].seen, /:7654 cannot be captured/);
  assert.match(named('display')[0].fix, /--video test/);
  assert.deepEqual(state('sound'), ['problem']);
  assert.match(named('sound')[0].seen, /No sound server/);
  assert.deepEqual(state('microphone'), ['skipped']);
  const wayland = await check(relay, ['--video', 'screen', '--audio', 'test'], { ...env, WAYLAND_DISPLAY: 'wayland-0' });
  assert.match(wayland.named('display')[0].fix, /one of Wayland/);
});
