// A relay that does not let the page in, as conversations, and in which words the page says so.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Session } from '../session.js';
import { describe } from '../words.js';
import { CALLING, REGISTERED, check } from './support/dialogue.js';

/** @import { Denial } from '../link.js' */

test('a relay that asks for a token is asked again only now and then', () => check(`
    start me
      connect
    denied token-missing
    = denied
    after 29999
    after 1
      connect
    = denied
    denied token-missing
    after 30000
      connect
    opened
      < HELLO me
    > HELLO
    = registered`));

test('a call does not wait for a relay that lets nobody in', () => check(`
    start me
      connect
    call cam
      open-peer 1
      make-offer 1
    denied token-refused
      close-peer 1
    = denied not-let-in
    call cam
    = denied not-let-in`));

test('another token opens what was closed, and the call that came with it is made', () => check(`
    start me
      connect
    denied token-refused
    new-token
      connect
    = connecting
    call cam
      open-peer 1
      make-offer 1
    opened
      < HELLO me
    > HELLO
      < SESSION cam`));

test('another token is used from a new connection on', () => check(`${REGISTERED}
    new-token
      disconnect
    closed 1000
      connect
    opened
      < HELLO me
    > HELLO
    = registered`));

test('another token leaves a call alone', () => check(`${CALLING}
    new-token
    = in-call`));

test('a token before anything else has begun', () => check(`
    new-token
    start me
      connect`));

test('a relay that is full is tried again soon, and a call waits for it', () => check(`
    start me
      connect
    call cam
      open-peer 1
      make-offer 1
    denied full
    = calling
    hang-up
      close-peer 1
    = relay-lost hung-up
    call cam
      open-peer 2
      make-offer 2
    after 5000
      connect
    opened
      < HELLO me
    > HELLO
      < SESSION cam`));

test('a relay that has too many peers is tried again soon', () => check(`
    start me
      connect
    opened
      < HELLO me
    closed 1013 relay full
    = relay-lost
    after 5000
      connect`));

test('a relay that is gone after it denied us is a lost one', () => check(`
    start me
      connect
    denied origin
    = denied
    retry
      connect
    closed 1006
    = relay-lost
    after 250
      connect`));

test('an id that the token does not allow', () => check(`
    start me
      connect
    opened
      < HELLO me
    call cam
      open-peer 1
      make-offer 1
    closed 1008 not allowed by token
      close-peer 1
    = refused no-id
    change-id ann
      connect
    opened
      < HELLO ann
    > HELLO
    = registered`));

test('a token that allows no calls', () => check(`${REGISTERED}
    call cam
      < SESSION cam
      open-peer 1
      make-offer 1
    > ERROR not allowed by this token
      close-peer 1
    = registered not-allowed`));

test('a call that was let in outlives a relay that lets us in no more', () => check(`${CALLING}
    closed 1006
    after 250
      connect
    denied token-refused
    = in-call
    hang-up
      close-peer 1
    = denied hung-up`));

test('every denial has words of its own, which stay while it is tried again', () => {
  /** @type {[Denial, RegExp][]} */
  const words = [
    ['token-missing', /^This relay asks for a token: open the address you were given, with #token=\.\.\. at its end\.$/],
    ['token-refused', /does not take the token/],
    ['origin', /lets in no page from this address/],
    ['too-many', /too many connections from your network/],
    ['full', /too many peers or connections/],
    ['no-websocket', /answers, but opens no connection/],
  ];
  for (const [denial, pattern] of words) {
    const session = new Session(() => 0);
    session.handle({ type: 'start', id: 'me' }, 0);
    session.handle({ type: 'relay-closed', code: 1006, reason: '', denial }, 0);
    assert.match(describe(session.snapshot), pattern);
    session.handle({ type: 'tick' }, session.deadline);
    assert.equal(session.snapshot.link, 'connecting');
    assert.match(describe(session.snapshot), pattern);
  }
});
