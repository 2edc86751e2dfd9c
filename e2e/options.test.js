// Options from profiles, and what is made of the command line for shells and for man.

import test from 'node:test';
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Stage } from './support/stage.js';
import { binaries } from './support/programs.js';

const PROFILES = `
[profile.robot]
server = "wss://relay.example.org"
width = 640
no-pointer = true
token = "swordfish"
turn = ["turn://alice:wonder@turn.example.org"]
tls-ca = "ca.pem"

[profile.wrong]
witdh = 640

[profile.odd]
width = "wide"
`;

/** A home of its own, with a file of profiles in its usual place. */
function home(t, text = PROFILES, mode = 0o600) {
  const folder = mkdtempSync(join(tmpdir(), 'aldis-options-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'aldis'));
  const file = join(folder, 'aldis', 'client.toml');
  writeFileSync(file, text);
  chmodSync(file, mode);
  return { folder, file };
}

function run(args, env = {}, program = 'client') {
  return spawnSync(join(binaries, program), args, { encoding: 'utf8', env: { ...process.env, ...env } });
}

test('a profile is used, and options and variables go before it', (t) => {
  const { folder, file } = home(t);
  const env = { XDG_CONFIG_HOME: folder };
  const plain = run(['--profile', 'robot', '--print-config'], env);
  assert.equal(plain.status, 0, plain.stderr);
  assert.equal(plain.stderr, '');
  assert.match(plain.stdout, /^\[profile\.robot\]\n/);
  assert.match(plain.stdout, /^server = "wss:\/\/relay\.example\.org" # profile$/m);
  assert.match(plain.stdout, /^width = 640 # profile$/m);
  assert.match(plain.stdout, /^height = 720 # default$/m);
  assert.match(plain.stdout, /^no-pointer = true # profile$/m);
  assert.match(plain.stdout, /^# token = "\.\.\." # profile, hidden$/m);

  const typed = run(
    ['--width', '320', '--config', file, '--profile', 'robot', '--print-config', '--turn', 'turn://c:carol@h', '--tls-fingerprint', 'AB'.repeat(32)],
    { ALDIS_TOKEN: 'cuttlefish' },
  );
  assert.equal(typed.status, 0, typed.stderr);
  assert.match(typed.stdout, /^width = 320 # command line$/m);
  assert.match(typed.stdout, /^# turn = "\.\.\." # command line, hidden$/m);
  assert.match(typed.stdout, /^# token = "\.\.\." # environment, hidden$/m);
  assert.doesNotMatch(typed.stdout, /tls-ca/);
  for (const { stdout, stderr } of [plain, typed]) {
    assert.doesNotMatch(stdout + stderr, /swordfish|cuttlefish|wonder|carol/);
  }
});

test('a profile that makes no sense is refused with what is nearest', (t) => {
  const env = { XDG_CONFIG_HOME: home(t).folder };
  for (const [args, words] of [
    [['--profile', 'wrong'], /client\.toml: there is no option "witdh"; is "width" meant\?/],
    [['--profile', 'robbot'], /there is no profile "robbot"; is "robot" meant\?/],
    [['--profile', 'odd'], /the profile "odd": invalid value 'wide' for '--width/],
    [['--profile', 'robot', '--config', '/nonexistent'], /the profiles in \/nonexistent cannot be read/],
  ]) {
    const { status, stderr } = run(args, env);
    assert.equal(status, 2, stderr);
    assert.match(stderr, words);
  }
});

test('secrets in a file that everybody can read are warned of', (t) => {
  const { folder } = home(t, PROFILES, 0o644);
  const { status, stderr } = run(['--profile', 'robot', '--print-config'], { XDG_CONFIG_HOME: folder });
  assert.equal(status, 0);
  assert.match(stderr, /client\.toml holds secrets, and others can read it; chmod 600/);
});

test('two clients call one another by profiles', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const { folder } = home(t, `
[profile.cam]
our-id = "cam"
video = "test"
audio = "none"
width = 320
height = 240

[profile.caller]
peer-id = "cam"
request-offer = true
audio = "none"
`);
  const env = { XDG_CONFIG_HOME: folder };
  const cam = await stage.client(relay, ['--profile', 'cam', '--audio', 'none'], env);
  assert.equal(cam.id, 'cam');
  const caller = await stage.client(relay, ['--profile', 'caller', '--audio', 'none'], env);
  const frame = await caller.report('first-frame-received');
  assert.deepEqual([frame.width, frame.height], [320, 240]);
});

test('shells complete the options, and man has a page, of both clients', (t) => {
  const { folder } = home(t);
  for (const [program, option] of [['client', '--peer-id'], ['room-client', '--room-id']]) {
    const required = program === 'client' ? [] : ['--room-id', 'x'];
    for (const what of ['completions', 'man']) {
      const made = run([...required, '--generate', what, '--into', join(folder, what)], {}, program);
      assert.equal(made.status, 0, made.stderr);
    }
    const read = (file) => readFileSync(join(folder, file), 'utf8');
    const bash = join(folder, `completions/${program}.bash`);
    assert.equal(spawnSync('bash', ['-n', bash]).status, 0);
    // What bash would offer for the beginning of an option.
    const script = `source "$1"; COMP_WORDS=("$2" "$3"); COMP_CWORD=1; $(complete -p "$2" | sed 's/.*-F \\([^ ]*\\) .*/\\1/') "$2" "$3" "$2"; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const offered = spawnSync('bash', ['-c', script, 'bash', bash, program, option.slice(0, -2)], { encoding: 'utf8' });
    assert.ok(offered.stdout.split('\n').includes(option), offered.stdout + offered.stderr);
    assert.match(read(`completions/_${program}`), /^#compdef/);
    assert.match(read(`completions/${program}.fish`), new RegExp(`complete -c ${program} `));
    const page = read(`man/${program}.1`);
    assert.match(page, new RegExp(`^\\.TH ${program} 1`, 'm'));
    assert.match(page, new RegExp(option.replaceAll('-', '\\\\-')));
  }
});
