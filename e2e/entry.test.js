// Who comes in, with what, and by which servers: the page and a machine at a relay for the open
// internet, and a real TURN server with credentials that end.

import test from 'node:test';
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Stage } from './support/stage.js';
import { until } from './support/until.js';

const SECRET = 'c0ffee-c0ffee-c0ffee-c0ffee';
const TURN_SECRET = 'between-the-relay-and-coturn';

/** A file that is gone after the test. */
function file(t, text) {
  const home = mkdtempSync(join(tmpdir(), 'aldis-entry-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const path = join(home, 'file');
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

/** A token after RFC 7519 for an hour, signed with a secret. */
function makeToken(claims = {}, secret = SECRET) {
  const part = (content) => Buffer.from(JSON.stringify(content)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const text = `${part({ alg: 'HS256', typ: 'JWT', kid: 'door' })}.${part({ exp, ...claims })}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

/** A relay that lets in who has a token. */
async function guarded(t, ...args) {
  const stage = new Stage(t);
  const relay = await stage.relay(0, ['--token-file', file(t, `door ${SECRET}\n`), ...args]);
  return { stage, relay };
}

test('a page with a token registers and calls, and the token is to be found nowhere', async (t) => {
  const { stage, relay } = await guarded(t, '--log', 'debug');
  await stage.client(relay, ['--our-id', 'cam'], { ALDIS_TOKEN: SECRET });
  const token = makeToken({ peer: 'ann' });
  const browser = await stage.browser();
  const page = await browser.open(relay, `token=${token}&call=cam`);
  assert.equal((await page.sees()).id, 'ann');
  assert.equal(await page.page.evaluate(() => location.href), `${relay.page}#call=cam`);

  assert.match(relay.errors.join('\n'), /DEBUG/, 'the relay tells all it has to tell');
  const devtools = await browser.context.newCDPSession(page.page);
  const { entries } = await devtools.send('Page.getNavigationHistory');
  const { root: { nodeId } } = await devtools.send('DOM.getDocument');
  const { outerHTML } = await devtools.send('DOM.getOuterHTML', { nodeId });
  const fields = await page.page.evaluate(() => [...document.querySelectorAll('input')].map(({ value }) => value));
  for (const [place, text] of Object.entries({
    // What a person typed is the browser's own affair.
    history: entries.map(({ url, title }) => `${url} ${title}`).join('\n'), document: outerHTML, fields: fields.join('\n'),
    log: page.log.join('\n'), relay: [...relay.lines, ...relay.errors].join('\n'),
  })) {
    assert.ok(!text.includes(token) && !text.includes(SECRET), `it is in the ${place}`);
  }
  // It is kept for reloads.
  await page.page.reload();
  await page.sees();
  assert.equal(await page.page.evaluate(() => location.href), `${relay.page}#call=cam`);
});

test('without a token the page says so in words, and comes in when it gets one', async (t) => {
  const { stage, relay } = await guarded(t);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'call=cam');
  await page.until('the page knows why', ({ state, reason }) => state === 'denied' && reason === 'not-let-in');
  await page.says(/This relay asks for a token: open the address you were given, with #token=\.\.\. at its end\./);
  await stage.client(relay, ['--our-id', 'cam'], { ALDIS_TOKEN: SECRET });
  await page.page.evaluate((secret) => { location.hash = `#token=${secret}&call=cam`; }, SECRET);
  await page.sees();
});

test('a wrong token is told apart from none, and is no secret to be found either', async (t) => {
  const { stage, relay } = await guarded(t);
  const browser = await stage.browser();
  for (const token of [
    'no-token-of-this-relay', makeToken({}, 'the-secret-of-another-relay'), makeToken({ exp: Math.floor(Date.now() / 1000) - 60 }),
  ]) {
    const page = await browser.open(relay, `token=${token}`);
    await page.until('the page knows why', ({ state }) => state === 'denied');
    await page.says(/does not take the token of this page/);
    assert.ok(!page.log.join('\n').includes(token), page.log.join('\n'));
    await page.page.close();
  }
});

test('a token for one id opens no other, and the page says so', async (t) => {
  const { stage, relay } = await guarded(t);
  const browser = await stage.browser();
  const page = await browser.open(relay, `token=${makeToken({ peer: 'ann' })}&id=bob`);
  await page.until('the page knows why', ({ denial }) => denial === 'id');
  await page.says(/Your token does not allow the id bob/);
  await page.page.locator('#id').fill('ann');
  await page.page.getByRole('button', { name: 'Use this id' }).click();
  await page.until('the page is let in', ({ state, id }) => state === 'registered' && id === 'ann');
});

test('a token for a room makes no calls, and the page says so', async (t) => {
  const { stage, relay } = await guarded(t);
  await stage.client(relay, ['--our-id', 'cam'], { ALDIS_TOKEN: SECRET });
  const browser = await stage.browser();
  const page = await browser.open(relay, `token=${makeToken({ room: 'lounge' })}&call=cam`);
  await page.until('the call is refused', ({ reason }) => reason === 'not-allowed');
  await page.says(/Your token does not allow a call to cam/);
});

test('a page from an address that is not allowed is refused in words, and one that is allowed is not', async (t) => {
  const stage = new Stage(t);
  const strict = await stage.relay(0, ['--allow-origin', 'https://aldis.example']);
  const browser = await stage.browser();
  const page = await browser.open(strict);
  await page.until('the page knows why', ({ denial, state }) => denial === 'origin' && state === 'denied');
  await page.says(/lets in no page from this address/);
  const { port } = strict;
  await strict.stop();
  await stage.relay(port, ['--allow-origin', 'https://aldis.example', '--allow-origin', `http://127.0.0.1:${port}`]);
  await page.page.reload();
  await page.until('the page is let in', ({ state }) => state === 'registered');
});

test('an encrypted relay with a token is a relay for page and machine alike', async (t) => {
  const { stage, relay } = await guarded(t, '--tls-self-signed');
  const trust = ['--tls-fingerprint', await relay.fingerprint()];
  const client = await stage.client(relay, ['--our-id', 'cam', ...trust], { ALDIS_TOKEN: SECRET });
  const browser = await stage.browser({ devices: true, trusting: true });
  const page = await browser.open(relay, `token=${makeToken()}&call=cam&send=camera`);
  assert.match(relay.page, /^https:/);
  await page.sees();
  await client.report('first-frame-received', { where: ({ kind }) => kind === 'video' });
});

test('a page that comes when the relay is full is told so, and comes in when there is room', async (t) => {
  const stage = new Stage(t);
  const relay = await stage.relay(0, ['--max-peers', '1']);
  const client = await stage.client(relay, ['--our-id', 'cam']);
  const browser = await stage.browser();
  const page = await browser.open(relay);
  await page.until('the page knows why', ({ denial }) => denial === 'full');
  await page.says(/too many peers or connections/);
  await client.stop();
  await page.until('the page is let in', ({ state }) => state === 'registered');
});

/** How the page's media goes: the pair of candidates in use. */
function selectedPair(page) {
  return until('a pair of candidates is selected', () => page.page.evaluate(async () => {
    const stats = await globalThis.aldis.pc.getStats();
    const transport = [...stats.values()].find(({ type }) => type === 'transport');
    const pair = stats.get(transport?.selectedCandidatePairId);
    const candidate = (id) => {
      const { candidateType, relayProtocol, url } = stats.get(id);
      return { candidateType, relayProtocol, url };
    };
    return pair && { local: candidate(pair.localCandidateId), remote: candidate(pair.remoteCandidateId) };
  }));
}

/** A relay that lends a real TURN server, reached in this way. */
async function lending(t, transport, ...args) {
  const stage = new Stage(t);
  const turn = await stage.turnServer(['--use-auth-secret', `--static-auth-secret=${TURN_SECRET}`]);
  const relay = await stage.relay(0, [
    '--turn', `turn:${turn.host}?transport=${transport}`, '--turn-secret-file', file(t, `${TURN_SECRET}\n`), ...args,
  ]);
  return { stage, relay };
}

for (const transport of ['udp', 'tcp']) {
  test(`page and machine meet at the TURN server that the relay lends, reached by ${transport}`, async (t) => {
    const { stage, relay } = await lending(t, transport);
    const client = await stage.client(relay, ['--our-id', 'cam', '--ice-policy', 'relay']);
    const browser = await stage.browser({ devices: true });
    const page = await browser.open(relay, 'call=cam&send=camera&ice=relay');
    await page.sees();
    const { local, remote } = await selectedPair(page);
    assert.equal(local.candidateType, 'relay');
    assert.equal(local.relayProtocol, transport);
    assert.equal(remote.candidateType, 'relay');
    const connected = await client.report('connected');
    assert.equal(`${connected.local} ${connected.remote}`, 'relay relay');
    await client.report('first-frame-received', { where: ({ kind }) => kind === 'video' });
  });
}

test('what the relay lends is taken anew before it ends', async (t) => {
  const { stage, relay } = await lending(t, 'udp', '--turn-lifetime', '8s');
  await stage.client(relay, ['--our-id', 'cam', '--ice-policy', 'relay']);
  const browser = await stage.browser();
  const page = await browser.open(relay, 'ice=relay');
  const lent = [];
  page.page.on('response', async (response) => {
    if (response.url().endsWith('/api/ice-servers')) lent.push((await response.json()).iceServers[0].username);
  });
  await page.until('the page is registered', ({ state }) => state === 'registered');
  await until('something is lent', () => lent.length > 0);
  const ends = (username) => Number(username.split(':')[0]) * 1000;
  // Long enough that what was lent at first is of no use any more, neither to the page nor to the machine.
  await until('what was lent first has ended', () => Date.now() > ends(lent[0]) + 1000 && lent.length >= 2);
  await page.page.evaluate(() => { location.hash = '#ice=relay&call=cam'; });
  await page.sees();
  const [server] = await page.page.evaluate(() => globalThis.aldis.pc.getConfiguration().iceServers);
  assert.ok(lent.slice(1).includes(server.username), `${server.username} of ${lent}`);
  assert.equal((await selectedPair(page)).local.candidateType, 'relay');
});
