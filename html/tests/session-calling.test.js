// Calls that the page makes, as conversations.

import { test } from 'node:test';

import { CALLING, REGISTERED, check } from './support/dialogue.js';

// ---- Calling ----

test('a call as a viewer: the offer waits for the session, its candidates for the offer', () => check(`${REGISTERED}
    call cam
      < SESSION cam
      open-peer 1
      make-offer 1
    = calling
    gathered 1 c1
    described 1 offer o
    gathered 1 c2
    > SESSION_OK
      < offer:o
      < candidate:c1
      < candidate:c2
    gathered 1 c3
      < candidate:c3
    gathered 1 end
      < candidate:end
    gathered 1 end
    > answer:a
      accept-answer 1 a
    = connecting-media
    > candidate:theirs
      add-candidate 1 theirs
    > candidate:end
      add-candidate 1 end
    connection 1 connecting
    connection 1 connected
    = in-call`));

test('the session may stand before the offer is made', () => check(`${REGISTERED}
    call cam
      < SESSION cam
      open-peer 1
      make-offer 1
    > SESSION_OK
    gathered 1 c
    described 1 offer o
      < offer:o
      < candidate:c`));

test('candidates that overtake the answer are kept', () => check(`${REGISTERED}
    call cam
      < SESSION cam
      open-peer 1
      make-offer 1
    described 1 offer o
    > SESSION_OK
      < offer:o
    > candidate:c1
    > candidate:c2
    > answer:a
      accept-answer 1 a
      add-candidate 1 c1
      add-candidate 1 c2`));

test('a call that sends opens the devices at once and closes them at the end', () => check(`${REGISTERED}
    call cam send
      < SESSION cam
      open-peer 1
      open-devices 1
      make-offer 1 send
    devices 1 opened
    hang-up
      close-devices 1
      close-peer 1
      disconnect
    devices 1 opened
      ignored`));

test('a call placed before the page is registered is made as soon as it is', () => check(`
    start me
      connect
    call cam
      open-peer 1
      make-offer 1
    described 1 offer o
    = calling
    opened
      < HELLO me
    > HELLO
      < SESSION cam
    > SESSION_OK
      < offer:o`));

test('a peer that is not there', () => check(`${REGISTERED}
    call cam
      < SESSION cam
      open-peer 1
      make-offer 1
    > ERROR peer 'cam' not found
    after 2000
      < SESSION cam
    > ERROR peer 'cam' not found
      close-peer 1
    = registered not-found
    described 1 offer o
      ignored
    call cam
      < SESSION cam
      open-peer 2
      make-offer 2
    = calling`));

test('what an earlier call reports late does not touch the present one', () => check(`${REGISTERED}
    call cam
      < SESSION cam
      open-peer 1
      make-offer 1
    > ERROR no calls today
      close-peer 1
    call cam
      < SESSION cam
      open-peer 2
      make-offer 2
    connection 1 failed
      ignored
    described 1 offer stale
      ignored
    > SESSION_OK
    described 2 offer o
      < offer:o
    = calling`));

test('a peer that is busy', () => check(`${REGISTERED}
    call cam
      < SESSION cam
      open-peer 1
      make-offer 1
    > ERROR peer 'cam' busy
    = calling
    after 2000
      < SESSION cam
    > ERROR peer 'cam' busy
      close-peer 1
    = registered busy`));

test('a peer that is there a moment later is reached', () => check(`${REGISTERED}
    call cam
      < SESSION cam
      open-peer 1
      make-offer 1
    described 1 offer o
    > ERROR peer 'cam' busy
    after 249
    after 1
      < SESSION cam
    after 1000
    > ERROR peer 'cam' not found
    after 250
      < SESSION cam
    > SESSION_OK
      < offer:o
    after 250`));

test('what is not asked for any more is not asked for again', () => check(`${REGISTERED}
    call cam
      < SESSION cam
      open-peer 1
      make-offer 1
    > ERROR peer 'cam' not found
    hang-up
      close-peer 1
      disconnect
    after 250`));

test('a relay that is lost between two questions is asked when it is back', () => check(`${REGISTERED}
    call cam
      < SESSION cam
      open-peer 1
      make-offer 1
    > ERROR peer 'cam' not found
    closed 1006
    after 250
      connect
    opened
      < HELLO me
    > HELLO
      < SESSION cam`));

test('an error of another kind', () => check(`${REGISTERED}
    call cam
      < SESSION cam
      open-peer 1
      make-offer 1
    > ERROR no calls today
      close-peer 1
    = registered refused-by-relay
    > ERROR again
      ignored`));

test('neither oneself nor a text with blanks can be called', () => check(`${REGISTERED}
    call me
    = registered yourself
    call ${'\u00a0'}
    = registered invalid-id`));

test('calling somebody else ends the call there is', () => check(`${CALLING}
    call cam
    call bob
      close-peer 1
      disconnect
      open-peer 2
      make-offer 2
    closed 1000
      connect
    opened
      < HELLO me
    > HELLO
      < SESSION bob`));
