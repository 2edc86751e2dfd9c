// A test of the session machine as a conversation. A line at the margin is an event, the indented
// lines below it are the effects it must have, all of them, in order. `= word` checks the state for
// scripts, and behind it the reason of the last call's end.
//
//   > text   the relay says it           < text   the page says it
//   offer:x, answer:x, candidate:x and candidate:end stand for the partners' JSON. The descriptions named
//   in DESCRIPTIONS announce a certificate.

import assert from 'node:assert/strict';

import { formatSignal, parseSignal } from '../../protocol.js';
import { Session } from '../../session.js';
import { stateOf } from '../../words.js';

/** @import { Denial } from '../../link.js' */
/** @import { Effect, Event } from '../../session.js' */

/** @param {string} script */
export function check(script) {
  const session = new Session(() => 0);
  let now = 0;
  const steps = parse(script);
  assert.ok(steps.length > 1, 'a dialogue of nothing');
  for (const { line, expected } of steps) {
    if (line.startsWith('= ')) {
      const { ended } = session.snapshot;
      const reason = ended === null ? '' : ` ${ended.reason}`;
      assert.equal(`= ${stateOf(session.snapshot)}${reason}`, line, script);
      continue;
    }
    if (line.startsWith('after ')) now += Number(line.slice('after '.length));
    const effects = session.handle(event(line), now).map(print);
    assert.deepEqual(effects, expected, `after "${line}" in${script}`);
  }
}

/** @param {string} script */
function parse(script) {
  /** @type {{ line: string, expected: string[] }[]} */
  const steps = [];
  for (const line of script.split('\n').map((text) => text.replace(/^ {4}/, '')).filter((text) => text.trim() !== '')) {
    if (line.startsWith(' ')) steps.at(-1)?.expected.push(line.trim());
    else steps.push({ line, expected: [] });
  }
  return steps;
}

/** @param {string} line @returns {Event} */
function event(line) {
  if (line.startsWith('> ')) return { type: 'relay-line', line: expand(line.slice(2)) };
  const [word = '', first = '', second = '', third = ''] = line.split(' ');
  const call = Number(first);
  switch (word) {
    case 'start': return { type: 'start', id: first };
    case 'change-id': return { type: 'change-id', id: first };
    case 'call': return { type: 'call', peer: first, send: second === 'send' };
    case 'hang-up': return { type: 'hang-up' };
    case 'agree': return { type: 'agree-to-send', agreed: true };
    case 'disagree': return { type: 'agree-to-send', agreed: false };
    case 'retry': return { type: 'retry' };
    case 'after': return { type: 'tick' };
    case 'opened': return { type: 'relay-opened' };
    case 'closed': return { type: 'relay-closed', code: call, reason: line.split(' ').slice(2).join(' '), denial: null };
    case 'denied': return { type: 'relay-closed', code: 1006, reason: '', denial: /** @type {Denial} */ (first) };
    case 'new-token': return { type: 'new-token' };
    case 'described': return { type: 'local-description', call, description: { type: second === 'offer' ? 'offer' : 'answer', sdp: third } };
    case 'gathered': return { type: 'local-candidate', call, candidate: second === 'end' ? null : { candidate: second, sdpMLineIndex: 0 } };
    case 'connection': return { type: 'connection', call, state: second };
    case 'partner-closed': return { type: 'partner-closed', call };
    case 'negotiation-failed': return { type: 'negotiation-failed', call };
    case 'silence': return { type: 'silence', call, ms: Number(second) };
    case 'credentials': return { type: 'credentials', call };
    case 'devices': return { type: 'devices', call, opened: second === 'opened' };
    default: throw new Error(`no such event: ${line}`);
  }
}

/** Descriptions of the partner's first and second connection, and of somebody else's. @type {Record<string, string>} */
const DESCRIPTIONS = {
  theirs: `o=- 1 0 IN IP4 0.0.0.0\r\na=fingerprint:sha-256 ${'0A:'.repeat(31)}0A\r\n`,
  theirs2: `o=- 2 0 IN IP4 0.0.0.0\r\na=fingerprint:sha-256 ${'0A:'.repeat(31)}0A\r\n`,
  eves: `o=- 3 0 IN IP4 0.0.0.0\r\na=fingerprint:sha-256 ${'0E:'.repeat(31)}0E\r\n`,
};

/** @param {string} sdp */
function nameOf(sdp) {
  return Object.entries(DESCRIPTIONS).find(([, text]) => text === sdp)?.[0] ?? sdp;
}

/** @param {string} text */
function expand(text) {
  const [, type, rest = ''] = /^(offer|answer|candidate):(.*)$/.exec(text) ?? [];
  if (type === 'offer' || type === 'answer') return formatSignal({ type: 'description', description: { type, sdp: DESCRIPTIONS[rest] ?? rest } });
  if (type === 'candidate') return formatSignal({ type, candidate: { candidate: rest === 'end' ? '' : rest, sdpMLineIndex: 0 } });
  return text;
}

/** @param {Effect} effect */
function print(effect) {
  switch (effect.type) {
    case 'connect': case 'disconnect': return effect.type;
    case 'ignored': return 'ignored';
    case 'send': return `< ${shorten(effect.line)}`;
    case 'make-offer': return `make-offer ${effect.call}${effect.send ? ' send' : ''}`;
    case 'make-answer': return `make-answer ${effect.call} ${nameOf(effect.description.sdp)}${effect.send ? ' send' : ''}`;
    case 'accept-answer': return `accept-answer ${effect.call} ${nameOf(effect.description.sdp)}`;
    case 'add-candidate': return `add-candidate ${effect.call} ${effect.candidate.candidate || 'end'}`;
    default: return `${effect.type} ${effect.call}`;
  }
}

/** @param {string} line */
function shorten(line) {
  const signal = parseSignal(line);
  if (signal?.type === 'description') return `${signal.description.type}:${signal.description.sdp}`;
  if (signal?.type === 'candidate') return `candidate:${signal.candidate.candidate || 'end'}`;
  return line;
}

/** Registered as `me`: what most conversations begin with. */
export const REGISTERED = `
    start me
      connect
    opened
      < HELLO me
    > HELLO
    = registered`;

/** As a viewer in a call with cam that we placed; its number is 1. */
export const CALLING = `${REGISTERED}
    call cam
      < SESSION cam
      open-peer 1
      make-offer 1
    described 1 offer o
    > SESSION_OK
      < offer:o
    > answer:a
      accept-answer 1 a
    = connecting-media
    connection 1 connected
    = in-call`;
