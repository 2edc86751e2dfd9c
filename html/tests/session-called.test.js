// Calls that the page takes, and what is said in a call, as conversations.

import { test } from 'node:test';

import { CALLING, REGISTERED, check } from './support/dialogue.js';

// ---- Being called ----

test('being called: named, answered at once as a viewer', () => check(`${REGISTERED}
    > SESSION_FROM bob
      open-peer 1
    = answering
    > candidate:c1
    > offer:o
      make-answer 1 o
      add-candidate 1 c1
    gathered 1 mine
    described 1 answer a
      < answer:a
      < candidate:mine
    = connecting-media
    connection 1 connected
    = in-call`));

test('being called by a relay that does not name the caller', () => check(`${REGISTERED}
    > offer:o
      open-peer 1
      make-answer 1 o
    = answering`));

test('the caller asks for our offer', () => check(`${REGISTERED}
    > SESSION_FROM bob
      open-peer 1
    > OFFER_REQUEST
      make-offer 1
    > OFFER_REQUEST
      ignored
    described 1 offer o
      < offer:o
    > answer:a
      accept-answer 1 a
    = connecting-media`));

test('the first word of an unnamed caller may be a request for our offer', () => check(`${REGISTERED}
    > OFFER_REQUEST
      open-peer 1
      make-offer 1`));

test('an incoming call opens the camera only if that was agreed before', () => check(`${REGISTERED}
    agree
    > SESSION_FROM bob
      open-peer 1
      open-devices 1
    > offer:o
      make-answer 1 o send
    disagree
      close-devices 1
    agree
      open-devices 1`));

test('agreeing during a call that was not negotiated to send counts from the next one on', () => check(`${CALLING}
    agree
    disagree`));

test('a call that was sent by its address does not open the camera for the next caller', () => check(`${REGISTERED}
    call cam send
      < SESSION cam
      open-peer 1
      open-devices 1
      make-offer 1 send
    > ERROR not today
      close-devices 1
      close-peer 1
    > SESSION_FROM bob
      open-peer 2`));

test('devices that were refused leave a viewer', () => check(`${REGISTERED}
    call cam send
      < SESSION cam
      open-peer 1
      open-devices 1
      make-offer 1 send
    devices 1 refused
    described 1 offer o
    > SESSION_OK
      < offer:o
    = calling`));

// ---- Both at once ----

test('both call each other and the other one was first', () => check(`${REGISTERED}
    agree
    call bob send
      < SESSION bob
      open-peer 1
      open-devices 1
      make-offer 1 send
    described 1 offer mine
    > SESSION_FROM bob
      close-devices 1
      close-peer 1
      open-peer 2
      open-devices 2
    > offer:theirs
      make-answer 2 theirs send`));

test('a name is a label: what was agreed for one call does not go to whoever bears it', () => check(`${REGISTERED}
    call bob send
      < SESSION bob
      open-peer 1
      open-devices 1
      make-offer 1 send
    > SESSION_FROM bob
      close-devices 1
      close-peer 1
      open-peer 2
    > offer:theirs
      make-answer 2 theirs`));

test('both call each other and we were first', () => check(`${REGISTERED}
    call bob
      < SESSION bob
      open-peer 1
      make-offer 1
    > SESSION_OK
    > SESSION me
      ignored
    described 1 offer o
      < offer:o`));

test('somebody else calls in the same instant: they are left, the call is made again', () => check(`${REGISTERED}
    call cam send
      < SESSION cam
      open-peer 1
      open-devices 1
      make-offer 1 send
    described 1 offer o
    > SESSION_FROM bob
      disconnect
    > offer:theirs
      ignored
    closed 1000
      connect
    opened
      < HELLO me
    > HELLO
      < SESSION cam
    > SESSION_OK
      < offer:o`));

test('an offer that crosses ours is ignored by the caller', () => check(`${REGISTERED}
    call cam
      < SESSION cam
      open-peer 1
      make-offer 1
    described 1 offer o
    > SESSION_OK
      < offer:o
    > offer:theirs
      ignored
    > answer:a
      accept-answer 1 a
    > answer:a
      ignored`));

test('and answered by the callee, who gives way', () => check(`${REGISTERED}
    > OFFER_REQUEST
      open-peer 1
      make-offer 1
    described 1 offer mine
      < offer:mine
    > offer:theirs
      make-answer 1 theirs
    > answer:late
      ignored
    described 1 answer a
      < answer:a`));

test('a further offer during the call is answered', () => check(`${CALLING}
    > offer:more
      make-answer 1 more
    described 1 answer a
      < answer:a
    = in-call`));

test('what nobody understands is ignored', () => check(`${CALLING}
    > {"chat":"hi"}
      ignored
    > ERROR boo
      ignored
    > SESSION_FROM eve
      ignored
    > HELLO
      ignored
    = in-call`));
