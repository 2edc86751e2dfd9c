// Calls that outlive their connection.

import { test } from 'node:test';

import { check, REGISTERED } from './support/dialogue.js';

/** In a call with cam that we placed and offered. */
const CALLER = `${REGISTERED}
    call cam
      < SESSION cam
      open-peer 1
      make-offer 1
    described 1 offer o
    > SESSION_OK
      < offer:o
    > answer:theirs
      accept-answer 1 theirs
    connection 1 connected
    = in-call
    after 1000`;

/** In a call that cam placed and offered. */
const CALLEE = `${REGISTERED}
    > SESSION_FROM cam
      open-peer 1
    > offer:theirs
      make-answer 1 theirs
    described 1 answer a
      < answer:a
    connection 1 connected
    = in-call
    after 1000`;

test('who offered first offers a second connection and changes over once it stands', () => check(`${CALLER}
    silence 1 2500
      open-second 2
      make-offer 2
    described 2 offer again
      < offer:again
    gathered 2 c
      < candidate:c
    > answer:theirs2
      accept-answer 2 theirs2
    > candidate:x
      add-candidate 2 x
    connection 2 connected
      replace-peer 2
    = in-call
    connection 1 closed
      ignored
    closed 1000
      connect
    after 1500
      close-peer 2
    = connecting hung-up-by-peer`));

test('the other asks for an offer and answers it', () => check(`${CALLEE}
    connection 1 disconnected
      < OFFER_REQUEST
    = interrupted
    > offer:theirs2
      open-second 2
      make-answer 2 theirs2
    described 2 answer b
      < answer:b
    connection 2 connected
      replace-peer 2
    = in-call`));

test('a partner that wants another connection gets one, and may close the first before we have changed over', () => check(`${CALLEE}
    > offer:theirs2
      open-second 2
      make-answer 2 theirs2
    partner-closed 1
    described 2 answer b
      < answer:b
    connection 2 connected
      replace-peer 2
    = in-call`));

test('second connections that fail are begun no more often than others', () => check(`${CALLEE}
    > offer:theirs2
      open-second 2
      make-answer 2 theirs2
    connection 2 failed
      close-peer 2
    > offer:theirs2
      ignored
    after 400
    > offer:theirs2
      open-second 3
      make-answer 3 theirs2`));

test('a partner that may not offer asks for it', () => check(`${CALLER}
    > OFFER_REQUEST
      open-second 2
      make-offer 2
    > OFFER_REQUEST`));

test('nobody but the partner gets a second connection', () => check(`${CALLEE}
    > offer:eves
      ignored
    = in-call
    silence 1 2500
      < OFFER_REQUEST
    > offer:eves
      ignored`));

test('an answer of somebody else is none', () => check(`${CALLER}
    silence 1 2500
      open-second 2
      make-offer 2
    described 2 offer again
      < offer:again
    > answer:eves
      close-peer 2
    = in-call`));

test('a connection that recovers stays and the second one goes', () => check(`${CALLER}
    silence 1 2500
      open-second 2
      make-offer 2
    silence 1 0
      close-peer 2
    = in-call`));

test('a caller whose partner does not answer calls again', () => check(`${CALLER}
    silence 1 2500
      open-second 2
      make-offer 2
    after 1500
      close-peer 2
      disconnect
    closed 1000
      connect
    opened
      < HELLO me
    > HELLO
      < SESSION cam
    > ERROR peer 'cam' not found
    after 400
      < SESSION cam
    > SESSION_OK
      open-second 3
      make-offer 3
    described 3 offer again
      < offer:again
    > answer:theirs2
      accept-answer 3 theirs2
    connection 3 connected
      replace-peer 3
    = in-call`));

test('a called one whose partner does not answer waits to be called again', () => check(`${CALLEE}
    silence 1 2500
      < OFFER_REQUEST
    after 1500
      disconnect
    closed 1000
      connect
    opened
      < HELLO me
    > HELLO
    > SESSION_FROM cam
    > offer:theirs2
      open-second 2
      make-answer 2 theirs2
    described 2 answer b
      < answer:b
    connection 2 connected
      replace-peer 2
    = in-call`));

test('an end of the session is no hanging up while the partner is silent', () => check(`${CALLEE}
    silence 1 2500
      < OFFER_REQUEST
    closed 1000
      connect
    = in-call
    opened
      < HELLO me
    > HELLO
    > SESSION_FROM cam
    closed 1000
      connect
    = in-call`));

test('a partner that leaves the session and is heard all the same has not hung up', () => check(`${CALLEE}
    closed 1000
      connect
    silence 1 100
    after 500
    silence 1 50
    after 1500
    = in-call
    opened
      < HELLO me
    > HELLO
    > SESSION_FROM cam
    > offer:theirs2
      open-second 2
      make-answer 2 theirs2`));

test('whoever takes the name of the partner and says nothing is left', () => check(`${CALLEE}
    closed 1006
    after 250
      connect
    opened
      < HELLO me
    > HELLO
    > SESSION_FROM cam
    after 8000
      disconnect
    = in-call`));

test('credentials that expire are a reason, and a partner that does not know how is left in peace', () => check(`${CALLER}
    credentials 1
      open-second 2
      make-offer 2
    described 2 offer again
      < offer:again
    after 1500
      close-peer 2
    after 60000
    = in-call`));

test('a partner that describes its connection anew is answered on it', () => check(`${CALLEE}
    > offer:theirs
      make-answer 1 theirs`));
