//! Who may enter with what: secrets, signed tokens, and the door that asks for them.

mod door;
mod secrets;
mod signed;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::{PeerId, RoomId};
use ring::hmac;
use signalling::relay::Pass;
use signalling::token::{Claims, Secrets};

/// The time in all tests, in seconds since 1970.
const NOW: u64 = 1_790_000_000;

const WEB: &str = "a-secret-of-the-web-page";
const OPS: &str = "a-secret-of-the-operator";

/// The secrets of most tests.
fn secrets() -> Secrets {
    let text = format!("web {WEB}\nops {OPS} admin\n");
    Secrets::parse(&text).expect("secrets")
}

/// Claims that hold for an hour.
fn claims(peer: Option<&str>, room: Option<&str>) -> Claims {
    Claims {
        expires: NOW + 3600,
        not_before: None,
        pass: pass(peer, room),
    }
}

fn pass(peer: Option<&str>, room: Option<&str>) -> Pass {
    Pass {
        peer: peer.map(|id| id.parse::<PeerId>().expect("a peer")),
        room: room.map(|id| id.parse::<RoomId>().expect("a room")),
    }
}

/// A token as somebody might make it who has a secret, and nothing of ours to make it with.
fn token(header: &[u8], claims: &[u8], secret: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(header);
    let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
    format!("{message}.{signature}")
}
