// Two clients behind NATs, and what stands between them.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Network, PUBLIC } from './support/nats.js';
import { Client, Relay } from './support/programs.js';
import { Stage } from './support/stage.js';
import { TurnServer } from './support/turn-server.js';

const SECRET = 'sEcReT-0123456789abcdef';

/** Decoded pictures and pieces of sound that are no accident. */
const MANY = 30;

/** Relay and TURN server in the public network, and the two networks behind NATs. */
async function setUp(t, servers) {
  const stage = new Stage(t);
  const network = await stage.keep(Network.start());
  const where = { address: PUBLIC, within: network.within('public') };
  const turn = await stage.keep(TurnServer.start(
    ['--use-auth-secret', `--static-auth-secret=${SECRET}`], { tls: true, ...where },
  ));
  const relay = await stage.keep(Relay.start(0, servers, { ALDIS_RELAY_TURN_SECRET: SECRET }, where));
  const client = (place, args) => {
    const all = ['--video', 'test', '--audio', 'test', '--turn-ca', turn.certificate, ...args];
    const machine = { name: network.name(place) };
    return stage.keep(Promise.resolve(new Client(relay, all, {}, { machine })));
  };
  return { network, client };
}

/** Bob calls Alice, both see and hear one another, and how long that took is told. */
async function call(t, client, args) {
  const alice = await client('alice', ['--our-id', 'alice', ...args]);
  await alice.report('registered');
  const bob = await client('bob', ['--our-id', 'bob', '--peer-id', 'alice', ...args]);
  await bob.report('calling');
  const began = performance.now();
  const ways = [await bob.report('connected'), await alice.report('connected')];
  const took = performance.now() - began;
  for (const end of [alice, bob]) {
    await end.report('stats', { where: ({ received }) => received.frames > MANY && received.audio_buffers > MANY });
  }
  const kinds = ways.map(({ local, remote }) => `${local}/${remote}`);
  t.diagnostic(`${t.name}: ${kinds.join(' and ')}, connected after ${Math.round(took)} ms`);
  return ways;
}

const STUN = ['--stun', `stun:${PUBLIC}:3478`];
const TURN = ['--turn', `turn:${PUBLIC}:3478?transport=udp`];
const TURN_BY_TCP = ['--turn', `turn:${PUBLIC}:3478?transport=tcp`];
const TURN_BY_TLS = ['--turn', `turns:${PUBLIC}:5349?transport=tcp`];
const RELAY_ONLY = ['--ice-policy', 'relay'];

const isDirect = (way) => ![way.local, way.remote].includes('relay');

const needsRoot = process.getuid?.() !== 0 && 'networks are made by root alone';

for (const { name, servers, how, args = [], expected } of [
  { name: 'NATs that keep a port, with STUN', servers: STUN, how: {}, expected: isDirect },
  {
    name: 'NATs with a port for each partner, with STUN and TURN',
    servers: [...STUN, ...TURN], how: { symmetric: true }, expected: (way) => !isDirect(way),
  },
  {
    name: 'TURN alone',
    servers: [...STUN, ...TURN], how: {}, args: RELAY_ONLY, expected: ({ local, remote }) => local === 'relay' && remote === 'relay',
  },
  {
    name: 'no UDP, with TURN by TCP',
    servers: [...STUN, ...TURN, ...TURN_BY_TCP], how: { udp: false }, expected: (way) => !isDirect(way),
  },
  {
    name: 'no UDP, with TURN by TLS',
    servers: [...STUN, ...TURN, ...TURN_BY_TLS], how: { udp: false }, expected: (way) => !isDirect(way),
  },
]) {
  test(`two clients see and hear one another: ${name}`, { skip: needsRoot }, async (t) => {
    const { network, client } = await setUp(t, servers);
    network.nat(how);
    for (const way of await call(t, client, args)) assert.ok(expected(way), JSON.stringify(way));
  });
}
