// How calls end, and what becomes of the relay, as conversations.

import { test } from 'node:test';

import { CALLING, REGISTERED, check } from './support/dialogue.js';

// ---- The end ----

test('we hang up and are registered again', () => check(`${CALLING}
    hang-up
      close-peer 1
      disconnect
    = connecting hung-up
    connection 1 closed
      ignored
    closed 1000
      connect
    opened
      < HELLO me
    > HELLO
    = registered hung-up`));

test('hanging up before the relay answered leaves the session that may come', () => check(`${REGISTERED}
    call cam
      < SESSION cam
      open-peer 1
      make-offer 1
    hang-up
      close-peer 1
      disconnect
    > SESSION_OK
      ignored`));

test('a relay that does not close its side is not waited for', () => check(`${CALLING}
    hang-up
      close-peer 1
      disconnect
    after 1999
    after 1
      connect`));

test('they hang up: the relay closes with 1000', () => check(`${CALLING}
    closed 1000
      connect
    after 1500
      close-peer 1
    opened
      < HELLO me
    > HELLO
    = registered hung-up-by-peer`));

test('a partner that leaves before it answers did not take the call', () => check(`${REGISTERED}
    call cam
      < SESSION cam
      open-peer 1
      make-offer 1
    > SESSION_OK
    closed 1000
      connect
      close-peer 1
    = connecting declined`));

test('they hang up: their connection says so', () => check(`${CALLING}
    partner-closed 1
      close-peer 1
      disconnect
    = connecting hung-up-by-peer`));

test('no way is found between the two', () => check(`${REGISTERED}
    > SESSION_FROM bob
      open-peer 1
    connection 1 failed
      close-peer 1
      disconnect
    = connecting no-path`));

test('an interruption is waited for, while another connection is tried', () => check(`${CALLING}
    after 1000
    connection 1 disconnected
      open-second 2
      make-offer 2
    = interrupted
    connection 1 connected
      close-peer 2
    = in-call
    after 400
    connection 1 disconnected
      open-second 3
      make-offer 3
    connection 1 failed
    = interrupted`));

test('no interruption lasts for ever', () => check(`${CALLING}
    after 3600000
    connection 1 disconnected
      open-second 2
      make-offer 2
    after 29999
      close-peer 2
      disconnect
    = interrupted
    after 1
      close-peer 1
    = connecting connection-lost`));

test('a partner that never answers', () => check(`${REGISTERED}
    call cam
      < SESSION cam
      open-peer 1
      make-offer 1
    > SESSION_OK
    after 30000
      close-peer 1
      disconnect
    = connecting no-answer`));

test('a description that the browser refuses', () => check(`${REGISTERED}
    > offer:nonsense
      open-peer 1
      make-answer 1 nonsense
    negotiation-failed 1
      close-peer 1
      disconnect
    = connecting media-refused`));

// ---- The relay ----

test('the relay is lost in a call: media goes on, the page registers again', () => check(`${CALLING}
    closed 1006
    = in-call
    gathered 1 late
    after 249
    after 1
      connect
    closed 1006
    after 500
      connect
    opened
      < HELLO me
    > HELLO
    = in-call
    gathered 1 later
    hang-up
      close-peer 1
    = registered hung-up`));

test('a relay that shuts down in a call is a relay that is lost', () => check(`${CALLING}
    closed 1001
    = in-call
    partner-closed 1
      close-peer 1
    = relay-lost hung-up-by-peer`));

test('one call at a time, also when its session is lost', () => check(`${CALLING}
    closed 1006
    after 250
      connect
    opened
      < HELLO me
    > HELLO
    > SESSION_FROM eve
      disconnect
    > offer:o
      ignored
    = in-call
    closed 1000
      connect
    = in-call`));

test('the partner of a call without session may call anew', () => check(`${CALLING}
    closed 1006
    after 250
      connect
    opened
      < HELLO me
    > HELLO
    > SESSION_FROM cam
    > offer:o
      close-peer 1
      open-peer 2
      make-answer 2 o`));

test('the relay is lost before the descriptions are exchanged', () => check(`${REGISTERED}
    > SESSION_FROM bob
      open-peer 1
    closed 1006
      close-peer 1
    = relay-lost relay-lost`));

test('the relay is lost while it is asked for the peer: the call is made when it is back', () => check(`${REGISTERED}
    call cam
      < SESSION cam
      open-peer 1
      make-offer 1
    described 1 offer o
    closed 1006
    = calling
    after 250
      connect
    opened
      < HELLO me
    > HELLO
      < SESSION cam
    > SESSION_OK
      < offer:o`));

test('a relay that stays away ends a call that waits for it', () => check(`${REGISTERED}
    closed 1006
    call cam
      open-peer 1
      make-offer 1
    after 250
      connect
    after 10000
      disconnect
    after 500
      connect
    after 4500
      close-peer 1
    = relay-lost relay-unreachable`));

test('a relay that does not answer SESSION', () => check(`${REGISTERED}
    call cam
      < SESSION cam
      open-peer 1
      make-offer 1
    after 10000
      close-peer 1
      disconnect
    = connecting relay-silent`));

test('a network that came back is tried at once', () => check(`${REGISTERED}
    closed 1006
    retry
      connect
    retry`));

test('a relay that lets nobody stay is tried more and more slowly', () => check(`${REGISTERED}
    closed 1006
    after 250
      connect
    opened
      < HELLO me
    > HELLO
    closed 1008 slow consumer
    after 499
    after 1
      connect`));

test('an id that is taken is refused until another one is chosen', () => check(`
    start me
      connect
    opened
      < HELLO me
    call cam
      open-peer 1
      make-offer 1
    closed 1002 invalid peer uid
      close-peer 1
    = refused no-id
    call cam
    = refused no-id
    change-id you
      connect
    opened
      < HELLO you
    > HELLO
    = registered`));

test('an id that was ours a moment ago is asked for again', () => check(`${REGISTERED}
    closed 1006
    after 250
      connect
    opened
      < HELLO me
    closed 1002 invalid peer uid
    = relay-lost
    after 500
      connect
    opened
      < HELLO me
    > HELLO
    = registered`));

test('an id that is ours until we leave with it is asked for again', () => check(`${REGISTERED}
    call cam
      < SESSION cam
      open-peer 1
      make-offer 1
    hang-up
      close-peer 1
      disconnect
    closed 1006
      connect
    opened
      < HELLO me
    closed 1002 invalid peer uid
    = relay-lost hung-up`));

test('what is no id is not asked for', () => check(`${REGISTERED}
    change-id two\u00a0words
    = registered invalid-id`));

test('but not for ever', () => check(`${REGISTERED}
    closed 1006
    after 250
      connect
    opened
      < HELLO me
    after 9000
    after 1000
      disconnect
    after 60000
      connect
    opened
      < HELLO me
    closed 1002 invalid peer uid
    = refused`));

test('a new id is registered anew', () => check(`${REGISTERED}
    change-id me
    change-id you
      disconnect
    closed 1000
      connect
    opened
      < HELLO you
    > SESSION_OK
      ignored
    > HELLO
    = registered`));
