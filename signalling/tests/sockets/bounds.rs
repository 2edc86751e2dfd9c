//! Every bound of the relay, reached. Those of `misbehaviour`, `slow_readers` and `http` are not
//! told again.

use std::io::{Read, Write};
use std::net::TcpStream;

use async_tungstenite::tungstenite::{Error, Message};
use socket2::{Domain, SockRef, Socket, Type};

use crate::http::parse;
use crate::peer::Peer;
use crate::running::{PATIENCE, Running, eventually, relay};

fn connect(relay: &Running) -> TcpStream {
    let stream = TcpStream::connect(relay.address).expect("the system accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// What the relay answers a connection that says nothing and is not let in.
#[track_caller]
fn expect_refusal(relay: &Running, status: u16, sentence: &str) {
    let mut bytes = Vec::new();
    let read = connect(relay).read_to_end(&mut bytes);
    assert!(read.is_ok(), "{read:?} after {bytes:?}");
    let answer = parse(&bytes);
    assert_eq!(answer.status, status);
    assert_eq!(String::from_utf8_lossy(&answer.body), sentence);
}

/// A peer that comes in as soon as there is room for it.
#[track_caller]
fn registered_in_time(relay: &Running, id: &str) -> Peer {
    let peer = eventually(|| Peer::over(connect(relay), "/"));
    let mut peer = peer.expect("there is room at some time");
    peer.say(&format!("HELLO {id}"));
    peer.expect("HELLO");
    peer
}

#[test]
fn a_message_may_be_as_long_as_was_said_and_no_longer() {
    let relay = relay("--max-message-bytes 2000");
    let (mut alice, mut bob) = Peer::pair(&relay, "alice", "bob");
    let line = "x".repeat(2000);
    alice.say(&line);
    bob.expect(&line);
    bob.send(Message::binary(vec![0; 2001]));
    bob.expect_close(1009, "message too big");
    alice.expect_close(1000, "");
}

#[test]
fn no_more_connections_come_in_than_may_be_there() {
    let relay = relay("--max-connections 3");
    let (mut alice, mut bob) = Peer::pair(&relay, "alice", "bob");
    let third = Peer::registered(&relay, "third");
    for _ in 0..5 {
        expect_refusal(&relay, 503, "The relay is full. Try again later.\n");
    }
    alice.say("still here");
    bob.expect("still here");
    third.leave();
    registered_in_time(&relay, "third").expect_silence();
}

#[test]
fn of_one_address_no_more_connections_come_in_than_may_be_there() {
    let relay = relay("--max-connections-per-address 2 --limit-loopback");
    let first = Peer::registered(&relay, "first");
    let mut second = Peer::registered(&relay, "second");
    for _ in 0..5 {
        let sentence = "There are too many connections from your address.\n";
        expect_refusal(&relay, 429, sentence);
    }
    second.expect_silence();
    first.leave();
    registered_in_time(&relay, "first").expect_silence();
}

#[test]
fn this_machine_is_not_held_to_the_bounds_on_addresses() {
    let relay = relay("--max-connections-per-address 2 --max-new-connections-per-second 1");
    let mut peers: Vec<_> = (0..10)
        .map(|number| Peer::registered(&relay, &number.to_string()))
        .collect();
    peers.iter_mut().for_each(Peer::expect_silence);
}

#[test]
fn one_address_may_not_come_again_and_again_without_a_pause() {
    let relay = relay("--max-new-connections-per-second 5 --limit-loopback");
    let mut refused = 0;
    for _ in 0..50 {
        let mut stream = connect(&relay);
        // Who is refused may be gone before it is heard.
        let _ = stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut bytes = Vec::new();
        if stream.read_to_end(&mut bytes).is_err() || bytes.is_empty() {
            refused += 1;
            continue;
        }
        let answer = parse(&bytes);
        if answer.status == 429 {
            let sentence = b"Your address opens connections too fast. Try again in a moment.\n";
            assert_eq!(answer.body, sentence);
            refused += 1;
        } else {
            assert_eq!(answer.status, 200);
        }
    }
    assert!((1..=45).contains(&refused), "{refused} of 50");
    registered_in_time(&relay, "late").expect_silence();
}

#[test]
fn no_more_handshakes_are_under_way_than_may_be() {
    let relay = relay("--max-handshakes 2");
    // Those that are over do not count.
    let (mut alice, mut bob) = Peer::pair(&relay, "alice", "bob");
    let _third = Peer::registered(&relay, "third");
    let silent = [connect(&relay), connect(&relay)];
    for _ in 0..5 {
        expect_refusal(&relay, 503, "The relay is busy. Try again in a moment.\n");
    }
    alice.say("still here");
    bob.expect("still here");
    drop(silent);
    registered_in_time(&relay, "fourth").expect_silence();
}

#[test]
fn no_more_peers_are_registered_than_may_be() {
    let relay = relay("--max-peers 2");
    let first = Peer::registered(&relay, "first");
    let mut second = Peer::registered(&relay, "second");
    let mut third = Peer::open(&relay);
    third.say("HELLO third");
    third.expect_close(1013, "relay full");
    // Who took an id that is there is told that, full or not.
    let mut same = Peer::open(&relay);
    same.say("HELLO second");
    same.expect_close(1002, "invalid peer uid");
    first.leave();
    Peer::registered(&relay, "third").expect_silence();
    second.expect_silence();
}

#[test]
fn no_more_members_join_a_room_than_may_be_there() {
    let relay = relay("--max-peers-per-room 2");
    let a = Peer::in_room(&relay, "a", "r", &[]);
    let mut b = Peer::in_room(&relay, "b", "r", &["a"]);
    let mut c = Peer::registered(&relay, "c");
    c.say("ROOM r");
    c.expect("ERROR room 'r' is full");
    // Another room is another matter, and those inside heard nothing of it.
    let _d = Peer::in_room(&relay, "d", "s", &[]);
    a.leave();
    b.expect("ROOM_PEER_LEFT a");
    c.say("ROOM r");
    c.expect("ROOM_OK b");
    b.expect("ROOM_PEER_JOINED c");
}

#[test]
fn who_says_too_much_in_a_second_is_sent_away() {
    /// More than the relay reads at once: what it has read before it counts is passed on.
    const MESSAGES: usize = 3000;
    let relay = relay("--max-messages-per-second 20");
    let line = Message::text("x".repeat(100));
    for message in [line.clone(), Message::Ping(vec![b'x'; 100].into())] {
        let (mut loud, mut partner) = Peer::pair(&relay, "loud", "partner");
        let mut end = None;
        for _ in 0..MESSAGES {
            if let Err(error) = loud.socket.send(message.clone()) {
                end = Some(error);
                break;
            }
        }
        let told = loop {
            match loud.socket.read() {
                Ok(Message::Close(close)) => break close.expect("a reason"),
                Ok(_) => {}
                Err(error) => panic!("no close: {error}, {end:?}"),
            }
        };
        assert_eq!(
            (u16::from(told.code), told.reason.as_str()),
            (1008, "too many messages")
        );
        let mut heard = 0;
        while partner.next_message() == line {
            heard += 1;
        }
        assert!(heard < MESSAGES, "all was passed on");
    }
    // As many as may be said at once.
    let (mut alice, mut bob) = Peer::pair(&relay, "alice", "bob");
    for number in 0..15 {
        alice.say(&number.to_string());
        bob.expect(&number.to_string());
    }
}

/// How many bytes a member that never reads can be sent before it is dropped.
fn bytes_before_drop(relay: &Running) -> usize {
    const PAYLOAD_BYTES: usize = 2000;
    let mut talker = Peer::in_room(relay, "talker", "r", &[]);
    let deaf = with_a_small_buffer(relay);
    talker.expect("ROOM_PEER_JOINED deaf");
    let line = format!("ROOM_PEER_MSG deaf {}", "x".repeat(PAYLOAD_BYTES));
    for count in 1..4000 {
        talker.say(&line);
        talker.say("ROOM_PEER_LIST");
        let answer = talker.next_message();
        if answer != Message::text("ROOM_PEER_LIST deaf") {
            assert_eq!(answer, Message::text("ROOM_PEER_LEFT deaf"));
            drop(deaf);
            return count * PAYLOAD_BYTES;
        }
    }
    panic!("it is never dropped")
}

/// A member of the room whose system keeps little for it: what it does not read waits in the relay.
fn with_a_small_buffer(relay: &Running) -> Peer {
    let socket = Socket::new(Domain::for_address(relay.address), Type::STREAM, None);
    let socket = socket.expect("a socket");
    socket.set_recv_buffer_size(4096).expect("an option");
    socket.connect(&relay.address.into()).expect("it listens");
    let mut peer = Peer::over(socket.into(), "/").expect("the handshake succeeds");
    peer.say("HELLO deaf");
    peer.expect("HELLO");
    peer.say("ROOM r");
    peer.expect("ROOM_OK talker");
    peer
}

#[test]
fn what_waits_for_one_peer_is_bounded_as_was_said() {
    let small = bytes_before_drop(&relay("--max-message-bytes 4096 --max-outbox-bytes 100000"));
    let large = bytes_before_drop(&relay(
        "--max-message-bytes 4096 --max-outbox-bytes 2000000",
    ));
    // The rest is in buffers of the system, the same ones both times.
    let difference = large.abs_diff(small);
    assert!(
        large > small && (1_500_000..2_500_000).contains(&difference),
        "{small} bytes, then {large}"
    );
}

#[test]
fn half_a_handshake_of_tls_is_not_waited_for_either() {
    let relay = relay("--handshake-deadline 0.3 --tls-self-signed=localhost");
    // Nothing, the beginning of a record, and something else altogether.
    for start in [
        &b""[..],
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = connect(&relay);
        stream.write_all(start).expect("the relay hears");
        let read = stream.read_to_end(&mut Vec::new());
        let held_on = matches!(&read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!held_on, "{start:?}");
    }
}

#[test]
fn who_does_not_answer_a_close_is_cut_off() {
    let relay = relay("");
    let mut stubborn = Peer::open(&relay);
    stubborn.say("no HELLO");
    let message = stubborn.next_message();
    assert!(message.is_close(), "{message:?}");
    // What is written from now on never ends, as the answer to a close would.
    let socket = SockRef::from(stubborn.socket.get_ref());
    let cut_off = eventually(|| socket.send(b"\x89\x80").err());
    assert!(cut_off.is_some(), "it may go on for ever");
    let end = stubborn.socket.read();
    assert!(
        matches!(end, Err(Error::Io(_) | Error::ConnectionClosed)),
        "{end:?}"
    );
}
