// What a running client tells of itself: figures for Prometheus, pictures of its pipelines, the log of
// GStreamer.

import test from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Stage } from './support/stage.js';
import { ADDRESS } from './support/turn-server.js';
import { until } from './support/until.js';

/** Reads the text format of Prometheus strictly: each family has HELP, TYPE and samples of its own. */
function parse(text) {
  assert.ok(text.endsWith('\n'));
  const samples = new Map();
  const families = new Set();
  let family;
  for (const line of text.trimEnd().split('\n')) {
    if (line === '# EOF') continue;
    const help = line.match(/^# HELP (\S+) (.+)$/);
    const type = line.match(/^# TYPE (\S+) (counter|gauge)$/);
    const sample = line.match(/^([a-z_]+)(?:\{([^}]*)\})? (\S+)$/);
    if (help) {
      assert.match(help[1], /^aldis_client_[a-z_]+$/);
      assert.ok(!families.has(help[1]), `${help[1]} comes twice`);
      assert.ok(help[2].endsWith('.'), help[2]);
      families.add(help[1]);
      family = { name: help[1] };
    } else if (type) {
      assert.equal(type[1], family.name);
      assert.equal(type[1].endsWith('_total'), type[2] === 'counter', line);
      assert.doesNotMatch(type[1], /_(ms|kbps|kb|count|sum|bucket)$/);
      family.type = type[2];
    } else {
      assert.ok(sample, `not understood: ${line}`);
      assert.equal(sample[1], family.name);
      assert.ok(family.type, line);
      for (const label of (sample[2] ?? '').split(',').filter(Boolean)) {
        assert.match(label, /^(direction|codec|version)="[\w.+-]+"$/);
      }
      assert.ok(Number(sample[3]) >= 0, line);
      const series = line.slice(0, line.lastIndexOf(' '));
      assert.ok(!samples.has(series), series);
      samples.set(series, Number(sample[3]));
    }
  }
  return samples;
}

/** Where a client has its statistics: it listens where there is room, and logs where. */
async function place(client) {
  return until('the place of the statistics', () => (
    client.errors.map((line) => line.match(/statistics are at (http:\S+)/)?.[1]).find(Boolean)
  ));
}

test('a client gives figures to Prometheus, which grow from call to call', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const cam = await stage.client(relay, ['--our-id', 'cam', '--stats-listen', '127.0.0.1:0']);
  const url = await place(cam);
  const scrape = async () => parse(await (await fetch(url)).text());
  const before = await scrape();
  assert.equal(before.get('aldis_client_calls_total'), 0);
  assert.equal(before.get('aldis_client_connected'), 0);
  let frames = 0;
  for (const call of [1, 2]) {
    const mark = cam.mark;
    const caller = await stage.client(relay, ['--peer-id', 'cam']);
    await cam.report('stats', { after: mark, where: ({ sent, received }) => sent.frames > 0 && received.frames > 0 });
    const during = await until('figures of the call', async () => {
      const now = await scrape();
      return now.get('aldis_client_video_frames_total{direction="received"}') > frames && now;
    });
    frames = during.get('aldis_client_video_frames_total{direction="received"}');
    assert.equal(during.get('aldis_client_calls_total'), call);
    assert.equal(during.get('aldis_client_connected'), 1);
    assert.ok(during.get('aldis_client_video_bytes_total{direction="sent"}') > 1000);
    assert.equal(during.get('aldis_client_video_height_pixels{direction="sent"}'), 720);
    assert.ok([...during.keys()].some((key) => /^aldis_client_video_codec_info\{direction="received",codec="VP8"\}$/.test(key)), [...during.keys()].join('\n'));
    await caller.stop();
    await cam.free({ after: mark });
  }
  await until('the call is over', async () => (await scrape()).get('aldis_client_connected') === 0);
  assert.ok((await scrape()).get('aldis_client_video_frames_total{direction="received"}') >= frames);
  const response = await fetch(url);
  assert.match(response.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
  assert.equal((await fetch(new URL('/', url))).status, 404);
  assert.equal((await fetch(url, { method: 'POST', body: 'x' })).status, 405);

  // Those who connect and say nothing keep nobody else out for long.
  const { hostname, port } = new URL(url);
  const silent = Array.from({ length: 40 }, () => connect(Number(port), hostname));
  silent.forEach((socket) => socket.on('error', () => {}));
  await until('somebody else is answered', async () => (
    (await fetch(url, { signal: AbortSignal.timeout(2000) }).catch(() => null))?.ok
  ));
  silent.forEach((socket) => socket.destroy());
});

test('the statistics tell of jitter, of requests and of the picture', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const cam = await stage.client(relay, ['--our-id', 'cam', '--width', '640', '--height', '360']);
  const caller = await stage.client(relay, ['--peer-id', 'cam']);
  const { sent, received } = await caller.report('stats', {
    where: ({ sent, received }) => received.jitter_ms !== null && sent.video !== null && received.video !== null,
  });
  assert.deepEqual(received.video, { codec: 'VP8', width: 640, height: 360 });
  assert.deepEqual(sent.video, { codec: 'VP8', width: 1280, height: 720 });
  assert.ok(received.packets > 0 && received.video_bytes > 0 && sent.packets > 0);
  assert.ok(received.jitter_ms >= 0 && received.jitter_ms < 1000, String(received.jitter_ms));
  assert.ok(Number.isInteger(received.nacks) && Number.isInteger(received.plis));
  await cam.stop();
});

test('the pipelines are drawn when a call is connected, and when a signal asks for it', async (t) => {
  const stage = new Stage(t);
  const home = mkdtempSync(join(tmpdir(), 'aldis-dot-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const file = join(home, 'call.dot');
  const relay = await stage.relay();
  const turn = ['--turn', `turn://alice:sw0rdfish@${ADDRESS}:3478`];
  const cam = await stage.client(relay, ['--our-id', 'cam', '--dot', file, ...turn]);
  assert.ok(!existsSync(file));
  await stage.client(relay, ['--peer-id', 'cam']);
  const drawn = await until('a picture', () => existsSync(file) && readFileSync(file, 'utf8').includes('}\n}') && readFileSync(file, 'utf8'));
  for (const part of [/^digraph aldis \{/, /GstWebRTCBin/, /GstVideoTestSrc/, /GstVP8Enc/, /GstOpusEnc/]) assert.match(drawn, part);
  assert.doesNotMatch(drawn, /sw0rdfish/);
  rmSync(file);
  cam.child.kill('SIGUSR1');
  await until('a picture again', () => existsSync(file));
});

test('a picture is drawn where Graphviz is installed, and its text is there where it is not', async (t) => {
  const stage = new Stage(t);
  const home = mkdtempSync(join(tmpdir(), 'aldis-dot-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const relay = await stage.relay();
  const draw = async (name, env) => {
    const cam = await stage.client(relay, ['--our-id', name, '--dot', join(home, `${name}.svg`)], env);
    cam.child.kill('SIGUSR1');
    return cam;
  };
  // Where no program is found, Graphviz is not either.
  const bare = await draw('bare', { PATH: home });
  await until('a text', () => existsSync(join(home, 'bare.dot')));
  await until('what to install is said', () => /apt-get install graphviz/.test(bare.errors.join('\n')));
  assert.equal(existsSync(join(home, 'bare.svg')), false);

  if (spawnSync('dot', ['-V']).status !== 0) return t.skip('Graphviz is not installed: scripts/setup test does so');
  await draw('cam', {});
  const picture = await until('a picture', () => {
    const file = join(home, 'cam.svg');
    return existsSync(file) && readFileSync(file, 'utf8').includes('</svg>') && readFileSync(file, 'utf8');
  });
  assert.match(picture, /<title>aldis<.title>/);
});

test('the log of GStreamer is in ours, and a password is in neither', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  await stage.turnServer(['--lt-cred-mech', '--user=alice:sw0rdfish']);
  const turn = ['--turn', `turn://alice:sw0rdfish@${ADDRESS}:3478`];
  await stage.client(relay, ['--our-id', 'cam']);
  const caller = await stage.client(
    relay,
    ['--peer-id', 'cam', '--gst-log', 'webrtcbin:7,nice*:7,webrtcice*:7', ...turn],
    { RUST_LOG: 'trace', GST_DEBUG: 'videotestsrc:5' },
  );
  await caller.report('first-frame-received');
  await caller.stop();
  const said = [...caller.lines, ...caller.errors].join('\n');
  assert.match(said, /gst: .*category="webrtcbin"|gst.*webrtcbin/);
  assert.match(said, /videotestsrc/);
  assert.doesNotMatch(said, /sw0rdfish/);
});
