//! Whatever is printed is read back as the same value, and no text makes a parser panic.

use proptest::prelude::*;
use protocol::{
    Candidate, ClientMessage, Description, PeerId, RoomId, SdpType, ServerMessage, Signal,
};

fn peer_id() -> impl Strategy<Value = PeerId> {
    "[^\\s\\x1c-\\x1f]{1,20}".prop_filter_map("an id", |text| text.parse().ok())
}

fn room_id() -> impl Strategy<Value = RoomId> {
    "[^\\s\\x1c-\\x1f]{1,20}".prop_filter_map("an id", |text| text.parse().ok())
}

/// What may stand at the end of a line and does not start with a blank.
fn payload() -> impl Strategy<Value = String> {
    "[^\\s\\x1c-\\x1f]\\PC{0,40}"
}

proptest! {
    #[test]
    fn client_messages_survive_printing(
        hello in peer_id(), room in room_id(), to in peer_id(), payload in payload(),
    ) {
        for message in [
            ClientMessage::Hello(hello),
            ClientMessage::Session(&payload),
            ClientMessage::Room(room),
            ClientMessage::RoomPeerMsg { to: to.as_str(), payload: &payload },
            ClientMessage::RoomPeerList,
        ] {
            let line = message.to_string();
            prop_assert_eq!(ClientMessage::parse(&line), Ok(message));
        }
    }

    #[test]
    fn server_messages_survive_printing(
        ids in prop::collection::vec(peer_id(), 0..5), from in peer_id(), payload in ".*",
    ) {
        for message in [
            ServerMessage::Hello,
            ServerMessage::SessionOk,
            ServerMessage::SessionFrom(from.clone()),
            ServerMessage::RoomOk(ids.clone()),
            ServerMessage::RoomPeerJoined(from.clone()),
            ServerMessage::RoomPeerLeft(from.clone()),
            ServerMessage::RoomPeerMsg { from, payload: &payload },
            ServerMessage::RoomPeerList(ids),
            ServerMessage::Error(&payload),
        ] {
            let line = message.to_string();
            prop_assert_eq!(ServerMessage::parse(&line), Some(message));
        }
    }

    #[test]
    fn signals_survive_printing(text in ".*", line in any::<u32>(), mid in prop::option::of(".*")) {
        for signal in [
            Signal::OfferRequest,
            Signal::Sdp(Description { kind: SdpType::Offer, sdp: text.clone() }),
            Signal::Sdp(Description { kind: SdpType::Answer, sdp: text.clone() }),
            Signal::Ice(Candidate { candidate: text, sdp_m_line_index: line, sdp_mid: mid }),
        ] {
            prop_assert_eq!(Signal::parse(&signal.to_string()), Some(signal.clone()));
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in ".*") {
        let _ = ClientMessage::parse(&text);
        let _ = ServerMessage::parse(&text);
        let _ = Signal::parse(&text);
        let quoted = protocol::message::Repr(&text).to_string();
        prop_assert!(!quoted.chars().any(char::is_control));
    }
}
