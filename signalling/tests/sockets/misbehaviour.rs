//! Peers that break the rules, and peers that fall silent.

use std::io::{Read, Write};
use std::net::TcpStream;

use async_tungstenite::tungstenite::{Error, Message};

use crate::peer::Peer;
use crate::running::{PATIENCE, relay};

/// What `bytes` in the middle of a session bring upon their sender; the partner is closed normally.
#[track_caller]
fn in_a_session(bytes: &[u8], code: u16, reason: &str) {
    let relay = relay("");
    let (mut villain, mut partner) = Peer::pair(&relay, "villain", "partner");
    villain.send_raw(bytes);
    expect_close_frame(&mut villain, code, reason);
    partner.expect_close(1000, "");
    Peer::pair(&relay, "villain", "partner");
}

#[track_caller]
fn expect_close_frame(peer: &mut Peer, code: u16, reason: &str) {
    let message = peer.next_message();
    let Message::Close(Some(frame)) = &message else {
        panic!("no close: {message:?}")
    };
    assert_eq!(
        (u16::from(frame.code), frame.reason.as_str()),
        (code, reason)
    );
}

#[test]
fn an_unmasked_frame() {
    in_a_session(&[0x81, 0x01, b'x'], 1002, "broken frame");
}

#[test]
fn reserved_bits() {
    in_a_session(&[0xf1, 0x81, 0, 0, 0, 0, b'x'], 1002, "broken frame");
}

#[test]
fn an_opcode_that_does_not_exist() {
    in_a_session(&[0x83, 0x81, 0, 0, 0, 0, b'x'], 1002, "broken frame");
}

#[test]
fn a_ping_in_fragments() {
    in_a_session(&[0x09, 0x81, 0, 0, 0, 0, b'x'], 1002, "broken frame");
}

#[test]
fn the_end_of_a_message_that_never_began() {
    in_a_session(&[0x80, 0x81, 0, 0, 0, 0, b'x'], 1002, "broken frame");
}

#[test]
fn text_that_is_not_utf_8() {
    in_a_session(&[0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28], 1007, "invalid UTF-8");
}

#[test]
fn a_message_above_the_limit() {
    // The head alone, of a message with one byte more than 256 KiB.
    in_a_session(
        &[0x81, 0xff, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0, 0],
        1009,
        "message too big",
    );
}

#[test]
fn a_message_that_claims_to_be_endless() {
    in_a_session(
        &[
            0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
        ],
        1009,
        "message too big",
    );
}

#[test]
fn fragments_above_the_limit_together() {
    let fragment = |opcode: u8| {
        let mut bytes = vec![opcode, 0xfe, 0xff, 0xff, 0, 0, 0, 0];
        bytes.extend([b'x'; 0xffff]);
        bytes
    };
    let bytes: Vec<_> = fragment(0x01)
        .into_iter()
        .chain((0..4).flat_map(|_| fragment(0x00)))
        .collect();
    in_a_session(&bytes, 1009, "message too big");
}

#[test]
fn the_close_is_heard_by_a_client_that_is_still_sending() {
    let relay = relay("");
    let mut loud = Peer::registered(&relay, "loud");
    let sent = loud.socket.send(Message::text("x".repeat(8 << 20)));
    assert!(
        sent.is_ok(),
        "the relay reads what it will not keep: {sent:?}"
    );
    expect_close_frame(&mut loud, 1009, "message too big");
}

#[test]
fn garbage_instead_of_a_hello() {
    let relay = relay("");
    for (message, reason) in [
        (Message::text("garbage"), "invalid protocol"),
        (Message::text(""), "invalid protocol"),
        (Message::binary(vec![1, 2, 3]), "invalid protocol"),
        (Message::text("HELLO"), "invalid peer uid"),
    ] {
        let mut peer = Peer::open(&relay);
        peer.send(message);
        peer.expect_close(1002, reason);
    }
}

#[test]
fn nobody_may_be_silent_instead_of_saying_hello() {
    let relay = relay("--hello-deadline 0.3");
    let mut early = Peer::registered(&relay, "early");
    let mut silent = Peer::open(&relay);
    silent.expect_close(1002, "hello timeout");
    early.expect_silence();
}

#[test]
fn half_a_handshake_is_not_waited_for() {
    let relay = relay("--handshake-deadline 0.3");
    for start in ["", "GET / HT", "GET / HTTP/1.1\r\nUpgrade: websocket\r\n"] {
        let mut stream = TcpStream::connect(relay.address).expect("the relay listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(start.as_bytes()).expect("the relay hears");
        let mut answer = Vec::new();
        stream
            .read_to_end(&mut answer)
            .unwrap_or_else(|error| panic!("{start:?}: {error}"));
        assert!(answer.is_empty(), "{start:?}");
    }
    Peer::registered(&relay, "a");
}

#[test]
fn who_no_longer_answers_pings_is_given_up() {
    let relay = relay("--ping-interval 0.3");
    // This one never reads, so it never answers.
    let (mut dead, mut partner) = Peer::pair(&relay, "dead", "partner");
    partner.expect_close(1000, "");
    let mut pings = 0;
    let close = loop {
        match dead.socket.read() {
            Ok(Message::Ping(_)) => pings += 1,
            Ok(Message::Close(frame)) => break frame.expect("a reason"),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(pings, 2);
    assert_eq!(u16::from(close.code), 1011);
    assert_eq!(close.reason.as_str(), "keepalive ping timeout");
    Peer::registered(&relay, "dead");
}

#[test]
fn who_answers_pings_may_be_quiet_for_as_long_as_it_likes() {
    let relay = relay("--ping-interval 0.1");
    let mut quiet = Peer::registered(&relay, "quiet");
    let mut pings = 0;
    while pings < 10 {
        match quiet.socket.read() {
            Ok(Message::Ping(_)) => pings += 1,
            other => panic!("{other:?}"),
        }
    }
    quiet.expect_silence();
}

#[test]
fn a_flood_of_pings_harms_nobody() {
    let relay = relay("");
    let mut pinger = Peer::registered(&relay, "pinger");
    for _ in 0..5000 {
        pinger.send_raw(&[0x89, 0x80, 0, 0, 0, 0]);
    }
    Peer::registered(&relay, "other").expect_silence();
    pinger.expect_silence();
}

#[test]
fn a_close_code_that_does_not_exist_is_answered_with_1002() {
    let relay = relay("");
    let (mut villain, mut partner) = Peer::pair(&relay, "villain", "partner");
    villain.send_raw(&[0x88, 0x82, 0, 0, 0, 0, 0x00, 0x01]);
    let message = villain.next_message();
    assert!(
        matches!(&message, Message::Close(Some(frame)) if u16::from(frame.code) == 1002),
        "{message:?}"
    );
    let end = villain.socket.read();
    assert!(matches!(end, Err(Error::ConnectionClosed)), "{end:?}");
    partner.expect_close(1000, "");
}
