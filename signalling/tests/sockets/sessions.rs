//! Registration and sessions.

use async_tungstenite::tungstenite::Message;

use crate::peer::Peer;
use crate::running::relay;

#[test]
fn two_peers_talk_until_one_leaves() {
    let relay = relay("");
    let (mut alice, mut bob) = Peer::pair(&relay, "alice", "bob");
    alice.say("{\"sdp\": {}}");
    bob.expect("{\"sdp\": {}}");
    bob.say("  HELLO, with  blanks ");
    alice.expect("  HELLO, with  blanks ");
    bob.send(Message::binary(vec![0, 255, 1]));
    assert_eq!(alice.next_message(), Message::binary(vec![0, 255, 1]));
    alice.say("");
    bob.expect("");
    alice.leave();
    bob.expect_close(1000, "");
    // Both ids are free at once.
    Peer::pair(&relay, "alice", "bob");
}

#[test]
fn the_largest_message_passes_whole() {
    let relay = relay("");
    let (mut alice, mut bob) = Peer::pair(&relay, "alice", "bob");
    let line = "é".repeat(128 * 1024);
    for _ in 0..8 {
        alice.say(&line);
    }
    for _ in 0..8 {
        bob.expect(&line);
    }
}

#[test]
fn a_message_in_many_fragments_arrives_as_one() {
    let relay = relay("");
    let (mut alice, mut bob) = Peer::pair(&relay, "alice", "bob");
    // RFC 6455, section 5.4, with a mask of zeros.
    alice.send_raw(&[0x01, 0x82, 0, 0, 0, 0, b'a', b'b']);
    alice.send_raw(&[0x89, 0x80, 0, 0, 0, 0]);
    alice.send_raw(&[0x00, 0x81, 0, 0, 0, 0, b'c']);
    alice.send_raw(&[0x80, 0x80, 0, 0, 0, 0]);
    bob.expect("abc");
}

#[test]
fn a_peer_that_vanishes_ends_the_session_too() {
    let relay = relay("");
    let (alice, mut bob) = Peer::pair(&relay, "alice", "bob");
    drop(alice);
    bob.expect_close(1000, "");
    Peer::pair(&relay, "alice", "bob");
}

#[test]
fn a_taken_id_is_refused_and_its_holder_stays() {
    let relay = relay("");
    let mut holder = Peer::registered(&relay, "alice");
    let mut late = Peer::open(&relay);
    late.say("HELLO alice");
    late.expect_close(1002, "invalid peer uid");
    holder.expect_silence();
}

#[test]
fn every_path_leads_to_the_relay() {
    let relay = relay("");
    for path in [
        "/ws",
        "/health",
        "/index.html",
        "/a/b?c=d",
        "/?notices=none",
    ] {
        let mut peer = Peer::open_at(relay.address, path);
        peer.say("HELLO here");
        peer.expect("HELLO");
        peer.leave();
    }
}

#[test]
fn who_asks_for_it_in_the_address_is_told_who_calls() {
    let relay = relay("");
    let mut bob = Peer::open_at(relay.address, "/?x=y&notices=caller");
    bob.say("HELLO bob");
    bob.expect("HELLO");
    let mut alice = Peer::registered(&relay, "alice");
    alice.say("SESSION bob");
    alice.expect("SESSION_OK");
    bob.expect("SESSION_FROM alice");
    alice.say("hi");
    bob.expect("hi");
}

#[test]
fn what_comes_right_behind_the_handshake_is_not_lost() {
    use std::io::{Read, Write};
    let relay = relay("");
    let mut stream = std::net::TcpStream::connect(relay.address).expect("the relay listens");
    stream
        .set_read_timeout(Some(crate::running::PATIENCE))
        .expect("a timeout");
    let mut bytes = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .to_vec();
    bytes.extend([0x81, 0x87, 0, 0, 0, 0]);
    bytes.extend(b"HELLO a");
    stream.write_all(&bytes).expect("the relay hears");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\x81\x05HELLO") {
        let mut chunk = [0; 512];
        let count = stream.read(&mut chunk).expect("an answer in time");
        assert!(count > 0, "{:?}", String::from_utf8_lossy(&answer));
        answer.extend(&chunk[..count]);
    }
    // The accept key is the example of RFC 6455, section 1.3.
    let head = String::from_utf8_lossy(&answer).to_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(
        head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
        "{head}"
    );
    assert!(!head.contains("sec-websocket-extensions"), "{head}");
}

#[test]
fn the_longest_answers_arrive_whole() {
    let relay = relay("");
    let mut peer = Peer::registered(&relay, "a");
    // Each of these is escaped with four characters, and the message is as long as one may be.
    let count = 256 * 1024 - "SESSION ".len();
    peer.say(&format!("SESSION {}", "\u{1}".repeat(count)));
    let escaped = "\\x01".repeat(count);
    peer.expect(&format!("ERROR peer '{escaped}' not found"));
}
