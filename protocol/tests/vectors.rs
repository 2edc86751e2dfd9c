//! `vectors.txt` means to this crate what it means to the browser page.

use protocol::message::Repr;
use protocol::{
    ClientMessage, ErrorKind, Malformed, PeerId, RoomId, SdpType, ServerMessage, Signal,
};
use serde_json::{Value, json};

struct Vector {
    kind: &'static str,
    text: String,
    meaning: Value,
}

fn vectors() -> Vec<Vector> {
    include_str!("../vectors.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let columns: Vec<_> = line.split('\t').collect();
            let [kind, text, meaning] = columns[..] else {
                panic!("three columns: {line}")
            };
            Vector {
                kind,
                text: serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {line}")),
                meaning: serde_json::from_str(meaning).unwrap_or_else(|e| panic!("{e}: {line}")),
            }
        })
        .collect()
}

fn check(kind: &str, mean: impl Fn(&str) -> Value) {
    let mut seen = 0;
    for vector in vectors().into_iter().filter(|vector| vector.kind == kind) {
        assert_eq!(
            mean(&vector.text),
            vector.meaning,
            "{kind} {:?}",
            vector.text
        );
        seen += 1;
    }
    assert!(seen > 4, "only {seen} vectors of kind {kind}");
}

/// Adds `"canonical": true` where the printed value is the text it was read from.
fn with_canonical(mut meaning: Value, printed: &str, text: &str) -> Value {
    if printed == text {
        meaning["canonical"] = json!(true);
    }
    meaning
}

#[test]
fn every_kind_of_vector_is_read_by_a_test() {
    let known = ["id", "room", "repr", "client", "server", "error", "signal"];
    for vector in vectors() {
        assert!(
            known.contains(&vector.kind),
            "nobody reads vectors of kind {}",
            vector.kind
        );
    }
}

#[test]
fn peer_ids() {
    check("id", |text| json!(text.parse::<PeerId>().is_ok()));
}

#[test]
fn room_ids() {
    check("room", |text| json!(text.parse::<RoomId>().is_ok()));
}

#[test]
fn quoting() {
    check("repr", |text| json!(Repr(text).to_string()));
}

#[test]
fn client_messages() {
    check("client", |text| match ClientMessage::parse(text) {
        Err(Malformed::InvalidPeerId) => json!({"malformed": "peer id"}),
        Err(Malformed::InvalidRoomId(id)) => json!({"malformed": format!("room id {id}")}),
        Err(Malformed::MissingArgument(verb)) => {
            json!({"malformed": format!("missing {}", verb.as_str())})
        }
        Err(Malformed::Unknown) => json!({"malformed": "unknown"}),
        Ok(message) => {
            let meaning = match &message {
                ClientMessage::Hello(id) => json!({"hello": id.as_str()}),
                ClientMessage::Session(callee) => json!({"session": callee}),
                ClientMessage::Room(room) => json!({"room": room.as_str()}),
                ClientMessage::RoomPeerMsg { to, payload } => json!({"to": to, "payload": payload}),
                ClientMessage::RoomPeerList => json!({"list": true}),
            };
            with_canonical(meaning, &message.to_string(), text)
        }
    });
}

#[test]
fn server_messages() {
    let names = |ids: &[PeerId]| ids.iter().map(PeerId::to_string).collect::<Vec<_>>();
    check("server", |text| {
        let Some(message) = ServerMessage::parse(text) else {
            return Value::Null;
        };
        assert_eq!(
            message.to_string(),
            text,
            "what the relay says has one spelling"
        );
        match &message {
            ServerMessage::Hello => json!({"hello": true}),
            ServerMessage::SessionOk => json!({"sessionOk": true}),
            ServerMessage::SessionFrom(id) => json!({"sessionFrom": id.as_str()}),
            ServerMessage::RoomOk(ids) => json!({"roomOk": names(ids)}),
            ServerMessage::RoomPeerJoined(id) => json!({"joined": id.as_str()}),
            ServerMessage::RoomPeerLeft(id) => json!({"left": id.as_str()}),
            ServerMessage::RoomPeerMsg { from, payload } => {
                json!({"from": from.as_str(), "payload": payload})
            }
            ServerMessage::RoomPeerList(ids) => json!({"list": names(ids)}),
            ServerMessage::Error(text) => json!({"error": text}),
        }
    });
}

#[test]
fn error_texts() {
    check("error", |text| {
        json!(match ErrorKind::of(text) {
            ErrorKind::PeerNotFound => "not found",
            ErrorKind::PeerBusy => "busy",
            ErrorKind::InvalidRoomId => "room id",
            ErrorKind::RoomFull => "room full",
            ErrorKind::NotAllowed => "not allowed",
            ErrorKind::Other => "other",
        })
    });
}

#[test]
fn signals() {
    check("signal", |text| {
        let Some(signal) = Signal::parse(text) else {
            return Value::Null;
        };
        let meaning = match &signal {
            Signal::OfferRequest => json!({"offerRequest": true}),
            Signal::Sdp(description) => {
                let kind = match description.kind {
                    SdpType::Offer => "offer",
                    SdpType::Answer => "answer",
                };
                json!({"type": kind, "sdp": description.sdp})
            }
            Signal::Ice(ice) => {
                let mut meaning = json!({"candidate": ice.candidate, "line": ice.sdp_m_line_index});
                if let Some(mid) = &ice.sdp_mid {
                    meaning["mid"] = json!(mid);
                }
                meaning
            }
        };
        with_canonical(meaning, &signal.to_string(), text)
    });
}
