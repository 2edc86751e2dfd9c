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

for (const [isCaller, name] of [[true, 'calls it'], [false, 'is called by it']]) {
  test(`the page keeps its picture when the machine that ${name} changes its network`, async (t) => {
    const stage = new Stage(t);
    const relay = await openRelay(stage);
    const network = await stage.keep(Machine.start(1));
    network.plug(false);
    const browser = await stage.browser({ devices: true });
    const page = await browser.open(relay, 'id=ann');
    await page.until('the page is registered', (state) => state.state === 'registered');
    const args = isCaller ? ['--peer-id', 'ann'] : ['--our-id', 'cam'];
    const client = await clientOn(stage, network, relay, args);
    if (!isCaller) await page.page.evaluate(() => { location.hash = 'id=ann&call=cam'; });
    await page.sees();
    await client.rates(2);
    const { safetyWords } = await page.state();
    assert.equal((await client.report('connected')).safety_words, safetyWords);

    network.connect(1);
    network.disconnect(0);
    const again = await client.report('reconnected', { limitMs: 20_000 }).catch(async (error) => {
      throw new Error(`${error.message}\n${story(client)}\n${JSON.stringify(await page.state())}\n${page.log.join('\n')}`);
    });
    const before = await page.until('the page has changed over', (state) => state.reconnections > 0);
    const after = await page.until('the picture goes on', (state) => (
      state.framesPresented > before.framesPresented + 30 && state.outageMs > 0
    ));
    t.diagnostic(`the machine heard nothing for ${again.seconds} s, the page showed nothing for ${(after.outageMs / 1000).toFixed(2)} s`);
    assert.equal(after.state, 'in-call');
    assert.equal(after.safetyWords, safetyWords, 'the partner is the same');
    assert.equal(client.reports.some(({ event }) => event === 'ended'), false, story(client));
    await page.page.getByRole('button', { name: /hang up/i }).click();
    assert.equal((await client.report('ended')).by, 'peer');
    assert.deepEqual(page.errors, []);
  });
}
