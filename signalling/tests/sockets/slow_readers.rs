//! Who does not read is dropped; nobody else waits for it, and nothing grows without bound.

use std::thread;

use async_tungstenite::tungstenite::{Error, Message};

use crate::peer::{Blocked, Peer};
use crate::running::relay;

const PAYLOAD_BYTES: usize = 60_000;
/// Far more than the buffers of the system hold.
const MOST_MESSAGES: usize = 4000;

/// Reads what came before the end and says what that was.
fn last_words(peer: &mut Peer) -> Option<(u16, String)> {
    loop {
        match peer.socket.read() {
            Ok(Message::Close(frame)) => {
                return frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
            }
            Ok(_) => {}
            Err(Error::Io(error)) => {
                let kind = error.kind();
                assert_ne!(
                    kind,
                    std::io::ErrorKind::WouldBlock,
                    "the relay holds on to it"
                );
                return None;
            }
            Err(_) => return None,
        }
    }
}

/// Sends far more than all buffers hold, or until the relay ends the connection.
fn flood(peer: &mut Peer, message: &Message) {
    for _ in 0..MOST_MESSAGES {
        if peer.socket.send(message.clone()).is_err() {
            return;
        }
    }
}

#[test]
fn a_partner_that_never_reads_is_dropped_and_the_sender_is_told() {
    let relay = relay("--stall-limit 1");
    let (mut alice, mut deaf) = Peer::pair(&relay, "alice", "deaf");
    let (mut carol, mut dave) = Peer::pair(&relay, "carol", "dave");
    thread::scope(|scope| {
        scope.spawn(|| flood(&mut alice, &Message::text("x".repeat(PAYLOAD_BYTES))));
        // Others are not held up while it is so.
        for number in 0..1000 {
            carol.say(&number.to_string());
            dave.expect(&number.to_string());
        }
    });
    assert_eq!(last_words(&mut alice), Some((1000, String::new())));
    let told = last_words(&mut deaf);
    assert!(
        told.is_none() || told == Some((1008, "slow consumer".to_owned())),
        "{told:?}"
    );
    Peer::registered(&relay, "deaf");
    Peer::registered(&relay, "alice");
}

#[test]
fn a_partner_that_is_merely_slow_gets_every_message_and_memory_stays_bounded() {
    let relay = relay("");
    let (mut alice, mut slow) = Peer::pair(&relay, "alice", "slow");
    let before_kib = relay.resident_kib();
    let payload = Message::text("x".repeat(PAYLOAD_BYTES));
    let Blocked::After(sent) = alice.send_until_blocked(&payload, MOST_MESSAGES) else {
        panic!("the sender was not held back")
    };
    let grown_kib = relay.resident_kib().saturating_sub(before_kib);
    assert!(
        grown_kib < 4096,
        "{grown_kib} KiB more while the sender waits"
    );
    let sender = thread::spawn(move || {
        for number in 0..100 {
            alice.say(&number.to_string());
        }
        alice
    });
    for _ in 0..sent {
        assert_eq!(slow.next_message(), payload);
    }
    for number in 0..100 {
        slow.expect(&number.to_string());
    }
    sender.join().expect("everything was taken").leave();
    slow.expect_close(1000, "");
}

#[test]
fn a_member_that_never_reads_is_dropped_and_the_others_are_told() {
    let relay = relay("");
    let mut flooder = Peer::in_room(&relay, "flooder", "r", &[]);
    let mut deaf = Peer::in_room(&relay, "deaf", "r", &["flooder"]);
    flooder.expect("ROOM_PEER_JOINED deaf");
    let mut witness = Peer::in_room(&relay, "witness", "r", &["flooder", "deaf"]);
    flooder.expect("ROOM_PEER_JOINED witness");
    deaf.expect("ROOM_PEER_JOINED witness");
    let line = format!("ROOM_PEER_MSG deaf {}", "x".repeat(PAYLOAD_BYTES));
    // In a room nobody waits, so the flooder can say all of it.
    flood(&mut flooder, &Message::text(line));
    witness.expect("ROOM_PEER_LEFT deaf");
    flooder.expect("ROOM_PEER_LEFT deaf");
    flooder.say("ROOM_PEER_LIST");
    let mut refused = 0;
    loop {
        let message = flooder.next_message();
        match message.to_text().expect("a line") {
            "ERROR peer 'deaf' not found" => refused += 1,
            "ROOM_PEER_LIST witness" => break,
            line => panic!("{line}"),
        }
    }
    assert!(refused < MOST_MESSAGES, "nothing was passed on");
    let told = last_words(&mut deaf);
    assert!(
        told.is_none() || told == Some((1008, "slow consumer".to_owned())),
        "{told:?}"
    );
    Peer::registered(&relay, "deaf");
}

#[test]
fn a_slow_consumer_that_can_still_hear_is_told_so() {
    let relay = relay("--stall-limit 1");
    let (mut alice, mut slow) = Peer::pair(&relay, "alice", "slow");
    let payload = Message::text("x".repeat(PAYLOAD_BYTES));
    alice.send_until_blocked(&payload, MOST_MESSAGES);
    // The sender's end shows that the partner has been given up: only now it reads again, within
    // the time that the relay takes to close.
    assert_eq!(last_words(&mut alice), Some((1000, String::new())));
    assert_eq!(
        last_words(&mut slow),
        Some((1008, "slow consumer".to_owned()))
    );
}

#[test]
fn a_flood_of_questions_without_reading_the_answers_ends_with_the_flooder() {
    let relay = relay("");
    let mut flooder = Peer::registered(&relay, "flooder");
    let mut bystander = Peer::registered(&relay, "bystander");
    let question = Message::text(format!("SESSION {}", "x".repeat(PAYLOAD_BYTES)));
    flood(&mut flooder, &question);
    bystander.expect_silence();
    let told = last_words(&mut flooder);
    assert!(
        told.is_none() || told == Some((1008, "slow consumer".to_owned())),
        "{told:?}"
    );
    Peer::registered(&relay, "flooder");
}
