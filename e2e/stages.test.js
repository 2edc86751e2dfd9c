// A call that does not connect says in which stage it failed, and why: each way is blocked in turn.

import test from 'node:test';
import assert from 'node:assert/strict';
import { failing } from './support/failing.js';
import { lose } from './support/networks.js';
import { Stage } from './support/stage.js';
import { ADDRESS } from './support/turn-server.js';

test('nobody is called by that id: it ends in signalling', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const failed = await failing(relay, ['--peer-id', 'nobody']);
  assert.deepEqual([failed.exit_code, failed.stage], [4, 'signalling']);
});

test('no TURN server lends an address, and there is no other way: it ends in gathering', async (t) => {
  const stage = new Stage(t);
  await stage.turnServer(['--lt-cred-mech', '--user=alice:wonder']);
  const relay = await stage.relay();
  const cam = await stage.client(relay, ['--our-id', 'cam']);
  const args = ['--peer-id', 'cam', '--ice-policy', 'relay', '--turn', `turn://alice:wander@${ADDRESS}:3478`];
  const began = performance.now();
  const failed = await failing(relay, args);
  assert.deepEqual([failed.exit_code, failed.stage], [12, 'gathering'], failed.reason);
  assert.match(failed.reason, /No TURN server lent this end an address/);
  // As soon as the servers have answered, which a busy machine may have to wait for.
  t.diagnostic(`the call failed after ${((performance.now() - began) / 1000).toFixed(1)} s`);
  const ended = await cam.report('ended');
  assert.equal(ended.stage, 'ice', ended.reason);
  assert.match(ended.reason, /the other one told of no address/);
});

test('TURN servers alone are allowed, and none is known: a call ends in gathering before it is offered', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  await stage.client(relay, ['--our-id', 'cam']);
  const failed = await failing(relay, ['--peer-id', 'cam', '--ice-policy', 'relay']);
  assert.deepEqual([failed.exit_code, failed.stage], [12, 'gathering'], failed.reason);
  assert.match(failed.reason, /allows for TURN servers alone, and none is named; name one with --turn/);
  // Another one is called: the first may have heard of that call, and be registering anew.
  const shy = await stage.client(relay, ['--our-id', 'shy', '--ice-policy', 'relay']);
  const caller = await stage.client(relay, ['--peer-id', 'shy', '--audio', 'none']);
  const ended = await shy.report('ended');
  assert.equal(ended.stage, 'gathering', ended.reason);
  assert.match(ended.reason, /allows for TURN servers alone, and none is named/);
  assert.equal((await caller.exit).code, 12);
  await shy.report('registered', { after: shy.reports.indexOf(ended) });
});

test('UDP is blocked between the two: it ends in ICE, with what was tried', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  await stage.client(relay, ['--our-id', 'cam']);
  lose(t, 'meta l4proto udp');
  const failed = await failing(relay, ['--peer-id', 'cam']);
  assert.deepEqual([failed.exit_code, failed.stage], [12, 'ice'], failed.reason);
  assert.match(failed.reason, /No network path to the other side was found between \d host here and \d host there/);
  assert.match(failed.reason, /give both ends a --turn server/);
});

test('STUN gets through and DTLS does not: it ends in DTLS', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  await stage.client(relay, ['--our-id', 'cam']);
  // By the first byte of what UDP carries: RFC 7983.
  lose(t, 'meta l4proto udp @th,64,8 >= 20 @th,64,8 <= 63');
  const failed = await failing(relay, ['--peer-id', 'cam']);
  assert.deepEqual([failed.exit_code, failed.stage], [12, 'dtls'], failed.reason);
  assert.match(failed.reason, /ICE found a path, but the DTLS handshake/);
});

test('everything gets through but media: the call goes on, and says that nothing comes', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const cam = await stage.client(relay, ['--our-id', 'cam']);
  // RTP and not RTCP, by the type of the packet: RFC 5761.
  lose(t, 'meta l4proto udp @th,64,8 >= 128 @th,64,8 <= 191 @th,72,8 != 192-223');
  await stage.client(relay, ['--peer-id', 'cam']);
  await cam.report('connected');
  const trouble = await cam.report('trouble');
  assert.equal(trouble.stage, 'media');
  assert.match(trouble.reason, /The connection is up, but no media comes/);
  assert.ok(!cam.reports.some(({ event }) => event === 'ended'));
});
