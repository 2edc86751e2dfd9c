// Calls that outlive their relay, their network and their credentials, and the end of those that do not.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Machine } from './support/networks.js';
import { Client } from './support/programs.js';
import { Stage } from './support/stage.js';
import { ADDRESS } from './support/turn-server.js';
import { until } from './support/until.js';

/** A relay that other machines reach too. */
async function openRelay(stage) {
  const relay = await stage.relay(0, ['--listen', '0.0.0.0:0']);
  relay.url = `ws://${ADDRESS}:${relay.port}/`;
  return relay;
}

/** A client on a machine of its own. */
async function clientOn(stage, machine, relay, args, env) {
  const all = ['--video', 'test', '--audio', 'test', ...args];
  return (await stage.keep(Promise.resolve(new Client(relay, all, env, { machine })))).ready();
}

/** Everything a client said of its connections, for the error of a test. */
function story(client) {
  return client.reports.filter(({ event }) => event !== 'stats').map((report) => JSON.stringify(report)).join('\n');
}

for (const [roamer, args, stays] of [
  ['the caller', ['--peer-id', 'home'], ['--our-id', 'home']],
  ['the called one', ['--our-id', 'away'], ['--peer-id', 'away']],
]) {
  test(`a call goes on when ${roamer} loses its network and finds another one`, async (t) => {
    const stage = new Stage(t);
    const relay = await openRelay(stage);
    const network = await stage.keep(Machine.start(1));
    network.plug(false);
    const fixed = await stage.keep(Machine.start());
    const isCaller = args[0] === '--peer-id';
    const first = isCaller ? await clientOn(stage, fixed, relay, stays) : await clientOn(stage, network, relay, args);
    const second = isCaller ? await clientOn(stage, network, relay, args) : await clientOn(stage, fixed, relay, stays);
    const [home, away] = isCaller ? [first, second] : [second, first];
    for (const client of [home, away]) await client.rates(2);

    network.connect(1);
    network.disconnect(0);
    for (const [name, client] of [['at home', home], ['away', away]]) {
      const again = await client.report('reconnected', { limitMs: 20_000 }).catch((error) => {
        throw new Error(`${error.message}\nhome:\n${story(home)}\naway:\n${story(away)}`);
      });
      t.diagnostic(`${name}: ${again.seconds} s without anything, because of: ${again.why}`);
    }
    for (const client of [home, away]) {
      const rates = await client.rates(3);
      assert.ok(rates.at(-1).received.fps > 5, 'the picture is back');
      assert.equal(client.reports.some(({ event }) => event === 'ended'), false, story(client));
    }
    // Hanging up is heard as before.
    await away.stop();
    assert.equal((await home.report('ended')).by, 'peer');
  });
}
