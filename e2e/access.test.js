// Relays that are encrypted, and relays that do not let everybody in, as native clients meet them.

import test from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { failing } from './support/failing.js';
import { Stage } from './support/stage.js';
import { until } from './support/until.js';

const SECRET = 'sEcReT-0123456789abcdef';

/** A folder with files of one test. */
function folder(t, files = {}) {
  const home = mkdtempSync(join(tmpdir(), 'aldis-access-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(home, name), text, { mode: 0o600 });
  return (name) => join(home, name);
}

/** Everything a program was started with, and all it printed. */
function traces(program) {
  return [readFileSync(`/proc/${program.pid}/cmdline`, 'utf8'), ...program.lines, ...program.errors].join('\n');
}

test('two machines call one another by an encrypted relay with tokens that nobody gets to see', async (t) => {
  const stage = new Stage(t);
  const file = folder(t, { secrets: `us ${SECRET}\n`, token: `${SECRET}\n` });
  const relay = await stage.relay(0, ['--tls-self-signed', '--token-file', file('secrets'), '--log', 'trace']);
  const trust = ['--tls-fingerprint', await relay.fingerprint()];
  const env = { RUST_LOG: 'trace' };
  const cam = await stage.client(relay, ['--our-id', 'cam', ...trust], { ALDIS_TOKEN: SECRET, ...env });
  const caller = await stage.client(relay, ['--peer-id', 'cam', ...trust, '--token-file', file('token')], env);
  await cam.report('connected');
  await caller.rates(1);
  for (const program of [relay, cam, caller]) {
    const all = traces(program);
    assert.match(all, /DEBUG/, `${program.name} tells all it has to tell`);
    assert.ok(!all.includes(SECRET), `${program.name} keeps the token to itself`);
  }
});

test('a participant of a room is let in by the same means', async (t) => {
  const stage = new Stage(t);
  const file = folder(t, { secrets: `us ${SECRET}\n`, token: SECRET });
  const relay = await stage.relay(0, ['--tls-self-signed', '--token-file', file('secrets')]);
  const args = ['--room-id', 'demo', '--tls-fingerprint', await relay.fingerprint(), '--token-file', file('token')];
  const [ann, bob] = [await stage.roomClient(relay, args), await stage.roomClient(relay, args)];
  await ann.report('connected');
  await bob.report('first-frame-received');
});

test('who is not let in, or trusts not what answers, says so and ends with a code of its own', async (t) => {
  const stage = new Stage(t);
  const file = folder(t, { secrets: `us ${SECRET}\n` });
  const relay = await stage.relay(0, ['--tls-self-signed', '--token-file', file('secrets')]);
  const fingerprint = await relay.fingerprint();
  const trust = ['--tls-fingerprint', fingerprint];
  const other = fingerprint.replace(/^../, (byte) => (byte === '00' ? '01' : '00'));

  const untrusted = await failing(relay, ['--our-id', 'cam'], { ALDIS_TOKEN: SECRET });
  assert.equal(untrusted.exit_code, 15, untrusted.reason);
  assert.match(untrusted.reason, /nobody whom this machine trusts .* --tls-fingerprint/);

  const another = await failing(relay, ['--our-id', 'cam', '--tls-fingerprint', other], { ALDIS_TOKEN: SECRET });
  assert.equal(another.exit_code, 15, another.reason);
  assert.ok(another.reason.includes(`its fingerprint is ${fingerprint} and not ${other}`), another.reason);

  const missing = await failing(relay, ['--our-id', 'cam', ...trust]);
  assert.equal(missing.exit_code, 14, missing.reason);
  assert.match(missing.reason, /lets nobody in without a token/);

  const wrong = await failing(relay, ['--our-id', 'cam', ...trust, '--token', 'wRoNg-0123456789abcdef']);
  assert.equal(wrong.exit_code, 14, wrong.reason);
  assert.match(wrong.reason, /does not accept the token/);
  assert.doesNotMatch(wrong.reason, /wRoNg/);

  const open = await failing(relay, ['--our-id', 'cam', '--server', relay.url.replace('wss:', 'ws:')]);
  assert.equal(open.exit_code, 3, open.reason);
});

test('a relay that is full sends a client away in words', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay(0, ['--max-peers', '1']);
  await stage.client(relay, ['--our-id', 'cam']);
  const failed = await failing(relay, ['--our-id', 'dam']);
  assert.equal(failed.exit_code, 3, failed.reason);
  assert.match(failed.reason, /is full, or is stopping; try again later/);
});

/** A token as RFC 7519 has it, signed with the secret of a name. */
function signed(name, secret, claims) {
  const part = (object) => Buffer.from(JSON.stringify(object)).toString('base64url');
  const text = `${part({ alg: 'HS256', typ: 'JWT', kid: name })}.${part(claims)}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

test('a token for one id or one room opens nothing else', async (t) => {
  const stage = new Stage(t);
  const file = folder(t, { secrets: `us ${SECRET}\n` });
  const relay = await stage.relay(0, ['--token-file', file('secrets')]);
  const now = Math.floor(Date.now() / 1000);
  const token = (claims) => ({ ALDIS_TOKEN: signed('us', SECRET, { exp: now + 3600, ...claims }) });

  const cam = await stage.client(relay, ['--our-id', 'cam'], token({ peer: 'cam' }));
  for (const [args, env, pattern] of [
    [['--our-id', 'ann'], token({ peer: 'cam' }), /token .* is not for the id "ann"/],
    [['--peer-id', 'cam'], token({ room: 'demo' }), /token does not allow a call to "cam"/],
    [['--our-id', 'ann'], token({ exp: now - 3600 }), /does not accept the token/],
    [['--our-id', 'ann'], { ALDIS_TOKEN: signed('us', 'another secret, as long', { exp: now + 3600 }) }, /does not accept the token/],
  ]) {
    const failed = await failing(relay, args, env);
    assert.equal(failed.exit_code, 14, failed.reason);
    assert.match(failed.reason, pattern);
    assert.ok(!failed.reason.includes(env.ALDIS_TOKEN), 'the token is not told');
  }
  await stage.client(relay, ['--peer-id', 'cam'], token({}));
  await cam.report('connected');
});

/** Puts a new certificate and its key in place, as one does who renews them. */
function renew(file) {
  const made = spawnSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1', '-subj', '/CN=relay',
    '-addext', 'basicConstraints=critical,CA:FALSE', '-addext', 'subjectAltName=IP:127.0.0.1',
    '-keyout', file('new-key'), '-out', file('new-certificate'),
  ], { encoding: 'utf8' });
  assert.equal(made.status, 0, made.stderr);
  for (const name of ['key', 'certificate']) renameSync(file(`new-${name}`), file(name));
}

test('a certificate that is renewed is there for new clients, and old ones notice nothing', async (t) => {
  const stage = new Stage(t);
  const file = folder(t);
  renew(file);
  const relay = await stage.relay(0, ['--tls-cert', file('certificate'), '--tls-key', file('key')]);
  const old = await relay.fingerprint();
  const cam = await stage.client(relay, ['--our-id', 'cam', '--tls-fingerprint', old]);

  renew(file);
  await until('the relay has seen the new certificate', () => relay.errors.some((line) => /there is a new certificate/.test(line)));
  const refused = await failing(relay, ['--our-id', 'ann', '--tls-fingerprint', old]);
  assert.equal(refused.exit_code, 15, refused.reason);
  const caller = await stage.client(relay, ['--peer-id', 'cam', '--tls-ca', file('certificate')]);
  await caller.report('connected');
  const lost = cam.reports.filter(({ event }) => event === 'relay-lost');
  assert.deepEqual(lost, []);
});
