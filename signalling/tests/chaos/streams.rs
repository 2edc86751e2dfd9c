//! Whatever is said arrives as it was said, however it is cut on its way: into fragments, into writes
//! that end anywhere, and by a reader whose system takes a little at a time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use async_tungstenite::tungstenite::protocol::Role;
use async_tungstenite::tungstenite::{Message, WebSocket};
use socket2::{Domain, Socket, Type};

use crate::crowd::UPGRADE;
use crate::running::{PATIENCE, Running, relay};
use crate::tls::EncryptedRelay;

const MESSAGES: usize = 300;

/// Where a length is written in another way, a buffer ends, or a frame takes several reads.
const LENGTHS: [usize; 12] = [
    0, 1, 7, 125, 126, 127, 1500, 16_384, 65_535, 65_536, 65_550, 200_000,
];

/// What the system keeps for a slow reader, in bytes, or about that.
const SMALL_BUFFER_BYTES: usize = 4096;

trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

enum Place {
    Open(Running),
    Encrypted(EncryptedRelay),
}

impl Place {
    fn in_the_open() -> Self {
        Self::Open(relay(""))
    }

    fn with_tls() -> Self {
        Self::Encrypted(EncryptedRelay::start())
    }

    /// A WebSocket whose frames are ours to make.
    fn open(&self, takes_little: bool) -> Box<dyn Stream> {
        let (Self::Open(relay) | Self::Encrypted(EncryptedRelay { running: relay, .. })) = self;
        let address = relay.address;
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None);
        let socket = socket.expect("a socket");
        if takes_little {
            let set = socket.set_recv_buffer_size(SMALL_BUFFER_BYTES);
            set.expect("an option");
        }
        socket.connect(&address.into()).expect("the relay listens");
        let tcp = TcpStream::from(socket);
        tcp.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        tcp.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        tcp.set_nodelay(true).expect("no delay");
        let mut stream: Box<dyn Stream> = match self {
            Self::Open(_) => Box::new(tcp),
            Self::Encrypted(relay) => Box::new(relay.encrypt(tcp)),
        };
        stream.write_all(UPGRADE.as_bytes()).expect("it hears");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("an answer in time");
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        stream
    }
}

/// A message and the bytes of it, in one frame or several, each with a mask of its own.
fn some_message(chance: &mut fastrand::Rng, prefix: &str) -> (Message, Vec<u8>) {
    let length = LENGTHS[chance.usize(..LENGTHS.len())];
    let is_text = !prefix.is_empty() || chance.bool();
    let message = if is_text {
        // Of two bytes each, so that many cuts go through the middle of one.
        let letters: String = (0..length / 2).map(|_| chance.char('à'..='ÿ')).collect();
        Message::text(format!("{prefix}{letters}"))
    } else {
        Message::binary((0..length).map(|_| chance.u8(..)).collect::<Vec<_>>())
    };
    let mut payload = message.clone().into_data().to_vec();
    let mut bytes = Vec::new();
    let mut opcode = if is_text { 0x01 } else { 0x02 };
    for _ in 0..chance.usize(..4).saturating_sub(1) {
        let rest = payload.split_off(chance.usize(..=payload.len()));
        bytes.extend(masked(opcode, &payload, chance));
        if chance.u32(..4) == 0 {
            bytes.extend(masked(0x89, b"between", chance));
        }
        (payload, opcode) = (rest, 0x00);
    }
    bytes.extend(masked(0x80 | opcode, &payload, chance));
    (message, bytes)
}

fn masked(first_byte: u8, payload: &[u8], chance: &mut fastrand::Rng) -> Vec<u8> {
    let mut frame = crate::mischief::frame(first_byte, payload);
    let head_bytes = frame.len() - payload.len();
    let mask: [u8; 4] = std::array::from_fn(|_| chance.u8(..));
    frame[head_bytes - 4..head_bytes].copy_from_slice(&mask);
    let masks = mask.into_iter().cycle();
    for (byte, mask) in frame[head_bytes..].iter_mut().zip(masks) {
        *byte ^= mask;
    }
    frame
}

/// Says so many things in a row that the reader, however slow, has to hear as they are.
fn say_all(place: &Place, seed: u64, takes_little: bool) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let reader = place.open(takes_little);
    let mut reader = WebSocket::from_raw_socket(reader, Role::Client, None);
    let mut talker = place.open(false);
    reader
        .send(Message::text("HELLO reader"))
        .expect("it hears");
    assert_eq!(reader.read().expect("an answer"), Message::text("HELLO"));
    let mut begin = masked(0x81, b"HELLO talker", &mut chance);
    begin.extend(masked(0x81, b"SESSION reader", &mut chance));
    talker.write_all(&begin).expect("it hears");
    let mut answer = [0; 19];
    talker.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"\x81\x05HELLO\x81\x0aSESSION_OK");

    let (messages, frames): (Vec<_>, Vec<_>) =
        (0..MESSAGES).map(|_| some_message(&mut chance, "")).unzip();
    let bytes = frames.concat();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let most = [3, 100, 5000, 70_000][chance.usize(..4)].min(rest.len());
                let (now, later) = rest.split_at(chance.usize(1..=most));
                talker.write_all(now).expect("it hears");
                talker.flush().expect("it hears");
                rest = later;
            }
        });
        for (number, message) in messages.iter().enumerate() {
            let mut heard = reader.read().expect("a message in time");
            while heard.is_ping() {
                heard = reader.read().expect("a message in time");
            }
            assert!(
                heard == *message,
                "seed {seed}: message {number} is another"
            );
        }
    });
}

#[test]
fn in_the_open_everything_arrives_as_it_was_said() {
    let place = Place::in_the_open();
    for seed in 0..3 {
        say_all(&place, seed, false);
    }
}

#[test]
fn a_slow_reader_in_the_open_hears_everything_too() {
    let place = Place::in_the_open();
    say_all(&place, 10, true);
}

#[test]
fn inside_tls_everything_arrives_as_it_was_said() {
    let place = Place::with_tls();
    for seed in 20..22 {
        say_all(&place, seed, false);
    }
}

#[test]
fn a_slow_reader_inside_tls_hears_everything_too() {
    let place = Place::with_tls();
    say_all(&place, 30, true);
}

#[test]
fn in_a_room_everything_arrives_as_it_was_said() {
    let place = Place::in_the_open();
    let mut chance = fastrand::Rng::with_seed(40);
    let mut talker = place.open(false);
    let mut bytes = masked(0x81, b"HELLO talker", &mut chance);
    bytes.extend(masked(0x81, b"ROOM r", &mut chance));
    talker.write_all(&bytes).expect("it hears");
    for _ in 0..MESSAGES / 5 {
        // To oneself, one by one: nobody in a room is waited for.
        let (message, bytes) = some_message(&mut chance, "ROOM_PEER_MSG talker \u{e9}");
        let (one, other) = bytes.split_at(chance.usize(..bytes.len()));
        talker.write_all(one).expect("it hears");
        talker.flush().expect("it hears");
        talker.write_all(other).expect("it hears");
        let text = message.to_text().expect("text").as_bytes();
        let mut heard = Vec::new();
        while !heard.ends_with(text) {
            let mut some = [0; 4096];
            let count = talker.read(&mut some).expect("an answer in time");
            assert!(count > 0, "the relay ended it");
            heard.extend(&some[..count]);
        }
    }
}
