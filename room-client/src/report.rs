//! What a participant tells its user: each report is one line of text and one JSON object.

use std::fmt;

use client::report::as_text;
use client::stats::Rates;
use protocol::{PeerId, RoomId};
use serde::{Serialize, Serializer};

/// Something worth a line.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Report {
    /// The relay knows us by this id.
    Registered {
        #[serde(serialize_with = "as_text")]
        id: PeerId,
        server: String,
    },
    /// We are in the room, with those who were there before.
    Joined {
        #[serde(serialize_with = "as_text")]
        room: RoomId,
        #[serde(serialize_with = "as_texts")]
        peers: Vec<PeerId>,
    },
    /// Somebody came.
    PeerJoined {
        #[serde(serialize_with = "as_text")]
        peer: PeerId,
    },
    /// Somebody left.
    PeerLeft {
        #[serde(serialize_with = "as_text")]
        peer: PeerId,
    },
    /// Media flows between us and a peer.
    Connected {
        #[serde(serialize_with = "as_text")]
        peer: PeerId,
        local: String,
        remote: String,
        transport: String,
        setup_ms: u64,
    },
    /// The first frame of a peer is decoded.
    FirstFrameReceived {
        #[serde(serialize_with = "as_text")]
        peer: PeerId,
        #[serde(serialize_with = "as_text")]
        kind: client::media::Kind,
        codec: String,
        width: u32,
        height: u32,
    },
    /// The last second with a peer in figures.
    Stats {
        #[serde(serialize_with = "as_text")]
        peer: PeerId,
        #[serde(flatten)]
        rates: Box<Rates>,
    },
    /// There is no connection with a peer, or none any more; the others are not touched.
    PeerFailed {
        #[serde(serialize_with = "as_text")]
        peer: PeerId,
        reason: String,
    },
    /// The connection to the relay is gone; running connections go on.
    RelayLost { reason: String },
    /// We left the room.
    Left {
        #[serde(serialize_with = "as_text")]
        room: RoomId,
        reason: String,
    },
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered { id, server } => write!(f, "registered as {id:?} at {server}"),
            Self::Joined { room, peers } if peers.is_empty() => {
                write!(f, "joined room {room:?}; nobody else is there yet")
            }
            Self::Joined { room, peers } => write!(f, "joined room {room:?} with {peers:?}"),
            Self::PeerJoined { peer } => write!(f, "{peer:?} joined"),
            Self::PeerLeft { peer } => write!(f, "{peer:?} left"),
            Self::Connected {
                peer,
                local,
                remote,
                transport,
                setup_ms,
            } => write!(
                f,
                "{peer:?} connected after {setup_ms} ms ({local} to {remote} over {transport})"
            ),
            Self::FirstFrameReceived {
                peer,
                kind,
                codec,
                width: 0,
                ..
            } => {
                write!(f, "{peer:?} first {kind} received: {codec}")
            }
            Self::FirstFrameReceived {
                peer,
                kind,
                codec,
                width,
                height,
            } => {
                write!(
                    f,
                    "{peer:?} first {kind} received: {codec} {width}x{height}"
                )
            }
            Self::Stats { peer, rates } => write!(f, "{peer:?} {rates}"),
            Self::PeerFailed { peer, reason } => write!(f, "{peer:?} failed: {reason}"),
            Self::RelayLost { reason } => {
                write!(f, "the relay is gone ({reason}); trying to reach it again")
            }
            Self::Left { room, reason } => write!(f, "left room {room:?}: {reason}"),
        }
    }
}

fn as_texts<S: Serializer>(peers: &[PeerId], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(peers.iter().map(PeerId::as_str))
}
