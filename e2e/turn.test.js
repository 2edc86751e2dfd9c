// A TURN server, asked for a way round whatever lies between.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Stage } from './support/stage.js';
import { ADDRESS } from './support/turn-server.js';
import { until } from './support/until.js';

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
