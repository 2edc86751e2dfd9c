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
    > ERROR peer 'cam' busy
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
      close-peer 1
    = registered busy`));

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
    > ERROR peer 'cam' not found
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
      close-peer 1
    opened
      < HELLO me
    > HELLO
    = registered hung-up-by-peer`));

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

test('an interruption is waited for, a loss ends the call', () => check(`${CALLING}
    connection 1 disconnected
    = interrupted
    connection 1 connected
    = in-call
    connection 1 disconnected
    connection 1 failed
      close-peer 1
      disconnect
    = connecting connection-lost`));

test('no interruption lasts for ever', () => check(`${CALLING}
    after 3600000
    connection 1 disconnected
    after 29999
    = interrupted
    after 1
      close-peer 1
      disconnect
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
      close-peer 1
      open-peer 2
    > offer:o
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
