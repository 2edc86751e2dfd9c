//! The API: what the relay tells of those who are there, and of the servers they may use, as JSON.
//!
//! `openapi.json` says the same to others.

use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use serde::Serialize;

use crate::answer::{self, Answer};
use crate::ice_servers::IceServers;
use crate::relay::{PeerView, PlaceView, RoomView};

/// Where peers learn of STUN and TURN servers.
pub(crate) const ICE_SERVERS: &str = "/api/ice-servers";

/// Where administrators see who is registered.
pub(crate) const PEERS: &str = "/api/peers";

/// Where administrators see which rooms there are.
pub(crate) const ROOMS: &str = "/api/rooms";

/// For how long a browser need not ask again whether a page may ask, in seconds.
const PREFLIGHT_SECONDS: &str = "600";

#[derive(Serialize)]
struct Peers<'a> {
    peers: Vec<Peer<'a>>,
}

#[derive(Serialize)]
struct Peer<'a> {
    id: &'a str,
    place: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    with: Option<&'a str>,
}

#[derive(Serialize)]
struct Rooms<'a> {
    rooms: Vec<Room<'a>>,
}

#[derive(Serialize)]
struct Room<'a> {
    id: &'a str,
    peers: Vec<&'a str>,
}

#[derive(Serialize)]
struct Failure<'a> {
    error: &'a str,
}

/// Whether answers at this path are JSON, failures too.
pub(crate) fn owns(path: &str) -> bool {
    path.starts_with("/api/")
}

/// Why there is no better answer.
pub(crate) fn failure(status: StatusCode, sentence: &str) -> Answer {
    answer::json(status, &Failure { error: sentence })
}

/// STUN and TURN servers.
pub(crate) fn ice_servers(servers: &IceServers) -> Answer {
    answer::json(StatusCode::OK, servers)
}

/// Everybody who is registered.
pub(crate) fn peers(peers: &[PeerView]) -> Answer {
    let peers = peers.iter().map(Peer::from).collect();
    answer::json(StatusCode::OK, &Peers { peers })
}

/// All rooms.
pub(crate) fn rooms(rooms: &[RoomView]) -> Answer {
    let rooms = rooms.iter().map(Room::from).collect();
    answer::json(StatusCode::OK, &Rooms { rooms })
}

/// What a browser wants to know before it lets a page of another origin send a token.
pub(crate) fn preflight(is_allowed: bool) -> Answer {
    let mut answer = answer::empty(StatusCode::NO_CONTENT);
    if is_allowed {
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization"),
            (header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS),
        ] {
            answer::set(&mut answer, name, value);
        }
    }
    answer
}

/// Lets a page of that origin read the answer, whatever it is.
pub(crate) fn share(answer: &mut Answer, allowed: Option<&HeaderValue>) {
    answer::set(answer, header::VARY, "origin");
    if let Some(origin) = allowed {
        answer
            .headers_mut()
            .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}

impl<'a> From<&'a PeerView> for Peer<'a> {
    fn from(peer: &'a PeerView) -> Self {
        let (place, room, with) = match &peer.place {
            PlaceView::Lobby => ("lobby", None, None),
            PlaceView::Room(room) => ("room", Some(room.as_str()), None),
            PlaceView::Session(partner) => ("session", None, Some(partner.as_str())),
        };
        Self {
            id: peer.id.as_str(),
            place,
            room,
            with,
        }
    }
}

impl<'a> From<&'a RoomView> for Room<'a> {
    fn from(room: &'a RoomView) -> Self {
        Self {
            id: room.id.as_str(),
            peers: room.peers.iter().map(|peer| peer.as_str()).collect(),
        }
    }
}
