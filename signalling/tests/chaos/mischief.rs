//! Everything a peer should not do. Each ends when the relay has ended what was begun, or when there
//! is nothing left to be done.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use async_tungstenite::tungstenite::{Error, Message};
use socket2::SockRef;

use crate::peer::Peer;
use crate::running::{PATIENCE, now};

pub(crate) const TEXT: u8 = 0x01;
pub(crate) const CONTINUATION: u8 = 0x00;
const BINARY: u8 = 0x02;
const PING: u8 = 0x09;
pub(crate) const LAST: u8 = 0x80;

/// One frame with a mask of zeros: [RFC 6455, section 5.2](https://www.rfc-editor.org/rfc/rfc6455).
pub(crate) fn frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first_byte];
    match u16::try_from(payload.len()) {
        Ok(short @ 0..126) => bytes.push(0x80 | short.to_le_bytes()[0]),
        Ok(length) => {
            bytes.push(0x80 | 126);
            bytes.extend(length.to_be_bytes());
        }
        Err(_) => {
            bytes.push(0x80 | 127);
            bytes.extend((payload.len() as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the relay listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

fn registered(address: SocketAddr, id: &str) -> Peer {
    let mut peer = Peer::open_at(address, "/");
    peer.say(&format!("HELLO {id}"));
    peer.expect("HELLO");
    peer
}

/// Every kind of mischief has numbers of its own, so that all can be at it at once.
fn pair(address: SocketAddr, number: u32) -> (Peer, Peer) {
    let callee = format!("callee-{number}");
    let mut one = registered(address, &format!("caller-{number}"));
    let other = registered(address, &callee);
    one.say(&format!("SESSION {callee}"));
    one.expect("SESSION_OK");
    (one, other)
}

/// Reads until the relay has ended the connection, one way or the other.
#[track_caller]
fn expect_end(stream: &mut TcpStream) {
    if let Err(error) = stream.read_to_end(&mut Vec::new()) {
        assert_ne!(error.kind(), ErrorKind::WouldBlock, "the relay holds on");
    }
}

#[track_caller]
fn expect_last_words(peer: &mut Peer, code: u16) {
    loop {
        match peer.socket.read() {
            Ok(Message::Close(Some(close))) => return assert_eq!(u16::from(close.code), code),
            Ok(message) => assert!(message.is_ping() || message.is_pong(), "{message:?}"),
            Err(error) => panic!("no close: {error}"),
        }
    }
}

/// Lets go of a connection as a machine does that has lost its power: with a reset.
fn reset(stream: &TcpStream) {
    let now = Some(Duration::ZERO);
    SockRef::from(stream).set_linger(now).expect("an option");
}

pub(crate) fn half_open(address: SocketAddr) {
    let mut silent: Vec<_> = (0..50).map(|_| connect(address)).collect();
    silent.iter_mut().for_each(expect_end);
}

/// Heads that come byte by byte, a little before each would be given up.
pub(crate) fn slow_heads(address: SocketAddr) {
    let mut streams: Vec<_> = (0..20).map(|_| connect(address)).collect();
    for stream in &mut streams {
        let soon = Some(Duration::from_millis(1));
        stream.set_read_timeout(soon).expect("a timeout");
        stream
            .write_all(b"GET / HTTP/1.1\r\nX: ")
            .expect("it hears");
    }
    let deadline = now() + PATIENCE;
    while !streams.is_empty() {
        assert!(now() < deadline, "{} are still waited for", streams.len());
        streams.retain_mut(|stream| {
            let _ = stream.write_all(b"x");
            match stream.read(&mut [0; 512]) {
                Ok(0) => false,
                Ok(_) => true,
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            }
        });
    }
}

pub(crate) fn resets_in_the_middle(address: SocketAddr) {
    for number in 0..20 {
        let (mut villain, mut partner) = pair(address, number);
        let whole = frame(TEXT | LAST, &[b'x'; 5000]);
        let part = 1 + whole.len() * number as usize / 21;
        villain.send_raw(&whole[..part]);
        reset(villain.socket.get_ref());
        drop(villain);
        partner.expect_close(1000, "");
    }
    for part in ["", "G", "GET / HTTP/1.1\r\n"] {
        let mut stream = connect(address);
        stream.write_all(part.as_bytes()).expect("the relay hears");
        reset(&stream);
    }
}

pub(crate) fn garbage(address: SocketAddr) {
    let mut chance = fastrand::Rng::with_seed(7);
    for number in 0..50_usize {
        let bytes: Vec<u8> = (0..40 * number).map(|_| chance.u8(..)).collect();
        let mut stream = if number.is_multiple_of(2) {
            connect(address)
        } else {
            let stream = Peer::open_at(address, "/").socket.get_ref().try_clone();
            stream.expect("a descriptor")
        };
        // The relay may end it before all is said.
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        expect_end(&mut stream);
    }
}

pub(crate) fn fragments(address: SocketAddr) {
    let (mut talker, mut partner) = pair(address, 50);
    let mut bytes = frame(TEXT, "€".as_bytes()[..1].as_ref());
    for _ in 0..2000 {
        bytes.extend(frame(CONTINUATION, b""));
    }
    bytes.extend(frame(PING | LAST, b"still there?"));
    bytes.extend(frame(CONTINUATION | LAST, &"€".as_bytes()[1..]));
    talker.send_raw(&bytes);
    partner.expect("€");
    // One message in another.
    talker.send_raw(&[frame(TEXT, b"a"), frame(TEXT, b"b")].concat());
    expect_last_words(&mut talker, 1002);
    partner.expect_close(1000, "");
}

pub(crate) fn binary_messages(address: SocketAddr) {
    let mut early = Peer::open_at(address, "/");
    early.send_raw(&frame(BINARY | LAST, b"HELLO early"));
    expect_last_words(&mut early, 1002);
    let mut idle = registered(address, "idle");
    for _ in 0..500 {
        idle.send_raw(&frame(BINARY | LAST, &[0xff; 300]));
    }
    idle.expect_silence();
    let (mut one, mut other) = pair(address, 51);
    one.send_raw(&frame(BINARY | LAST, &[0xff; 70_000]));
    assert_eq!(other.next_message(), Message::binary(vec![0xff; 70_000]));
}

pub(crate) fn wrong_text(address: SocketAddr) {
    let cases: [&[&[u8]]; 6] = [
        &[b"\xff"],
        &[b"abc\xc3"],
        &[b"\xe2\x82", b"("],
        &[b"ok", b"\xed\xa0\x80"],
        &[b"\xf0\x9f", b"\x98", b""],
        &[b"", b"\xf4\x90", b"\x80\x80"],
    ];
    for (number, parts) in (60..).zip(cases) {
        let (mut villain, mut partner) = pair(address, number);
        for (position, part) in parts.iter().enumerate() {
            let opcode = if position == 0 { TEXT } else { CONTINUATION };
            let is_last = position + 1 == parts.len();
            villain.send_raw(&frame(opcode | if is_last { LAST } else { 0 }, part));
        }
        expect_last_words(&mut villain, 1007);
        partner.expect_close(1000, "");
    }
}

pub(crate) fn ping_flood(address: SocketAddr) {
    let mut pinger = registered(address, "pinger");
    let pings = frame(PING | LAST, &[b'p'; 125]).repeat(100);
    for _ in 0..100 {
        // Whether it is sent away for it or not, the others are to notice nothing.
        if pinger.socket.get_mut().write_all(&pings).is_err() {
            return;
        }
    }
}

pub(crate) fn oversized_frames(address: SocketAddr) {
    for (number, claimed) in (70..).zip([256 * 1024 + 1, 1 << 32, (1 << 63) - 1, u64::MAX]) {
        let (mut villain, mut partner) = pair(address, number);
        let mut head = vec![TEXT | LAST, 0xff];
        head.extend(claimed.to_be_bytes());
        head.extend([0; 4]);
        villain.send_raw(&head);
        let message = villain.next_message();
        let Message::Close(Some(close)) = message else {
            panic!("{claimed}: {message:?}")
        };
        // A length with its highest bit set is no length at all.
        assert!([1009, 1002].contains(&close.code.into()), "{close:?}");
        partner.expect_close(1000, "");
    }
}

/// Members of a room that take nothing, until the one who talks to them has lost them all.
pub(crate) fn never_reading(address: SocketAddr) {
    const DEAF: usize = 8;
    let mut talker = registered(address, "talker");
    talker.say("ROOM deaf");
    talker.expect("ROOM_OK ");
    let deaf: Vec<_> = (0..DEAF)
        .map(|number| {
            let mut peer = registered(address, &format!("deaf-{number}"));
            peer.say("ROOM deaf");
            talker.expect(&format!("ROOM_PEER_JOINED deaf-{number}"));
            peer
        })
        .collect();
    let payload = "x".repeat(200_000);
    let mut gone = 0;
    let most_rounds = 400;
    for _ in 0..most_rounds {
        for number in 0..DEAF {
            talker.say(&format!("ROOM_PEER_MSG deaf-{number} {payload}"));
        }
        talker.say("ROOM_PEER_LIST");
        loop {
            let message = talker.next_message();
            let line = message.to_text().expect("a line");
            if line.starts_with("ROOM_PEER_LIST") {
                break;
            }
            gone += usize::from(line.starts_with("ROOM_PEER_LEFT"));
        }
        if gone == DEAF {
            break;
        }
    }
    assert_eq!(gone, DEAF, "who takes nothing is let go");
    for mut peer in deaf {
        let end = (0..10_000).find_map(|_| peer.socket.read().err());
        assert!(
            !matches!(&end, Some(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock),
            "the relay holds on"
        );
    }
}
