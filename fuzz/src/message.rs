//! The lines and signals of the protocol: no text makes a parser panic, and what it makes of a text
//! survives being printed.

use protocol::message::Repr;
use protocol::{ClientMessage, ErrorKind, Malformed, PeerId, RoomId, ServerMessage, Signal};

/// The longest id that is one, in bytes.
const LONGEST_ID_BYTES: usize = 256;

/// Reads any bytes as a text message.
pub(crate) fn check(data: &[u8]) {
    let text = &*String::from_utf8_lossy(data);
    check_client_message(text);
    check_server_message(text);
    if let Some(signal) = Signal::parse(text) {
        assert_eq!(Signal::parse(&signal.to_string()), Some(signal));
    }
    let is_blank = |c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c);
    let may_be_id =
        !text.is_empty() && text.len() <= LONGEST_ID_BYTES && !text.chars().any(is_blank);
    assert_eq!(text.parse::<PeerId>().is_ok(), may_be_id);
    assert_eq!(
        text.parse::<RoomId>().is_ok(),
        may_be_id && text != "session"
    );
    let quoted = Repr(text).to_string();
    assert!(!quoted.chars().any(char::is_control), "{quoted:?}");
    let error = format!("peer {quoted} not found");
    assert_eq!(ErrorKind::of(&error), ErrorKind::PeerNotFound);
}

fn check_client_message(text: &str) {
    match ClientMessage::parse(text) {
        Ok(message) => {
            let printed = message.to_string();
            assert_eq!(ClientMessage::parse(&printed), Ok(message.clone()));
            match message {
                ClientMessage::Hello(id) => assert!(text.ends_with(id.as_str())),
                ClientMessage::Session(id) => assert!(text.ends_with(id)),
                ClientMessage::Room(id) => assert!(text.ends_with(id.as_str())),
                ClientMessage::RoomPeerMsg { to, payload } => {
                    assert!(text.contains(to) && text.ends_with(payload));
                }
                ClientMessage::RoomPeerList => assert_eq!(text, "ROOM_PEER_LIST"),
            }
        }
        Err(Malformed::MissingArgument(verb)) => assert!(text.starts_with(verb.as_str())),
        Err(Malformed::InvalidRoomId(id)) => assert!(text.ends_with(id)),
        Err(Malformed::InvalidPeerId | Malformed::Unknown) => {}
    }
}

fn check_server_message(text: &str) {
    if let Some(message) = ServerMessage::parse(text) {
        let printed = message.to_string();
        assert_eq!(ServerMessage::parse(&printed), Some(message));
    }
}
