// Native participants of a room.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Stage } from './support/stage.js';

const SMALL = ['--room-id', 'demo', '--width', '320', '--height', '180', '--framerate', '15'];

/** Waits until `client` has decoded picture and sound of `peer`. */
async function receives(client, peer, { after = 0 } = {}) {
  for (const kind of ['video', 'audio']) {
    await client.report('first-frame-received', {
      after, where: (report) => report.peer === peer && report.kind === kind,
    });
  }
  await client.reaches(`the rate of ${peer}`, (report) => (
    report.peer === peer && report.received.fps > 8 && report.received.fps < 25
  ));
}

test('everybody in a room receives everybody, and the newcomer makes the offers', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const members = [];
  for (const id of ['ann', 'bob', 'cid']) {
    const member = await stage.roomClient(relay, [...SMALL, '--our-id', id]);
    const joined = await member.report('joined');
    assert.deepEqual(joined.peers, members.map((earlier) => earlier.id));
    members.push(member);
  }
  for (const member of members) {
    for (const other of members) {
      if (other !== member) await receives(member, other.id);
    }
  }
  const [ann, bob, cid] = members;
  assert.equal((await cid.stop()).code, 0);
  for (const left of [ann, bob]) await left.report('peer-left', { where: ({ peer }) => peer === 'cid' });
  await receives(ann, 'bob');
  const failures = members.flatMap(({ reports }) => reports.filter(({ event }) => event === 'peer-failed'));
  assert.deepEqual(failures, []);
});

test('one who only receives is a member too', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  await stage.roomClient(relay, [...SMALL, '--our-id', 'ann']);
  const viewer = await stage.roomClient(relay, [...SMALL, '--our-id', 'eve', '--video', 'none', '--audio', 'none']);
  await receives(viewer, 'ann');
});

test('a member that is killed leaves, and one that freezes is given up, without a word about the others', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const ann = await stage.roomClient(relay, [...SMALL, '--our-id', 'ann']);
  const bob = await stage.roomClient(relay, [...SMALL, '--our-id', 'bob']);
  const cid = await stage.roomClient(relay, [...SMALL, '--our-id', 'cid']);
  const dan = await stage.roomClient(relay, [...SMALL, '--our-id', 'dan']);
  for (const other of [bob, cid, dan]) await receives(ann, other.id);

  cid.child.kill('SIGKILL');
  await ann.report('peer-left', { where: ({ peer }) => peer === 'cid' });
  dan.child.kill('SIGSTOP');
  const failed = await ann.report('peer-failed');
  dan.child.kill('SIGCONT');
  assert.equal(failed.peer, 'dan');
  assert.match(failed.reason, /nothing has come from it/);
  const after = ann.mark;
  await ann.report('stats', { after, where: ({ peer, received }) => peer === 'bob' && received.fps > 8 });
});

test('a room outlives its relay', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay();
  const ann = await stage.roomClient(relay, [...SMALL, '--our-id', 'ann']);
  const bob = await stage.roomClient(relay, [...SMALL, '--our-id', 'bob']);
  await receives(ann, 'bob');
  await relay.stop('SIGKILL');
  await ann.report('relay-lost');
  await ann.report('stats', { after: ann.mark + 2, where: ({ received }) => received.fps > 8 });
  const marks = [ann.mark, bob.mark];
  await stage.relay(relay.port);
  await receives(ann, 'bob', { after: marks[0] });
  await receives(bob, 'ann', { after: marks[1] });
});
