//! What the client tells its user: each report is one line of text and one JSON object.

mod connection;

use std::fmt;

use protocol::{PeerId, SdpType};
use serde::Serialize;

use crate::diagnosis::Stage;
use crate::media::Kind;
use crate::record::plan::Note;
use crate::stats::Rates;

pub use connection::{Connection, Doubt, Reconnection};

/// Something worth a line. Serializes to the JSON object of `--json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Report {
    /// The relay knows us by this id.
    Registered {
        /// Our id.
        #[serde(serialize_with = "as_text")]
        id: PeerId,
        /// The relay's address.
        server: String,
    },
    /// We call a peer.
    Calling {
        /// Whom.
        #[serde(serialize_with = "as_text")]
        peer: PeerId,
    },
    /// A peer calls us.
    Called {
        /// Who, where the relay tells.
        #[serde(serialize_with = "as_optional_text")]
        peer: Option<PeerId>,
    },
    /// An offer has gone out or come in.
    Offer {
        /// Which way.
        direction: Direction,
    },
    /// An answer has gone out or come in.
    Answer {
        /// Which way.
        direction: Direction,
    },
    /// Media can flow: ICE and DTLS are done and the peer's certificate is the announced one.
    Connected(Connection),
    /// Nothing has come from the other side for a while; a second connection to it is tried.
    Interrupted {
        /// For how long.
        seconds: f64,
    },
    /// The connection recovered by itself.
    Resumed,
    /// Another connection to the same peer, with the same certificate, has taken the place of the
    /// first.
    Reconnected(Reconnection),
    /// The first encoded frame went out.
    FirstFrameSent {
        /// Picture or sound.
        #[serde(serialize_with = "as_text")]
        kind: Kind,
        /// The codec's name.
        codec: String,
        /// Width in pixels; 0 for sound.
        width: u32,
        /// Height in pixels; 0 for sound.
        height: u32,
    },
    /// The first frame of a track that came in is decoded.
    FirstFrameReceived {
        /// Which track of its kind it is, counted from 1.
        track: usize,
        /// Picture or sound.
        #[serde(serialize_with = "as_text")]
        kind: Kind,
        /// The codec's name.
        codec: String,
        /// Width in pixels; 0 for sound.
        width: u32,
        /// Height in pixels; 0 for sound.
        height: u32,
    },
    /// Something happened to what is recorded.
    Recording(Note),
    /// The last second in figures.
    Stats(Box<Rates>),
    /// The call is over.
    Ended {
        /// Why, in words.
        reason: String,
        /// Whose doing it was.
        by: Party,
        /// How long it lasted, from its first message.
        seconds: f64,
        /// In which stage of the connection it failed, where it did.
        #[serde(skip_serializing_if = "Option::is_none")]
        stage: Option<Stage>,
    },
    /// Something is wrong with a call that goes on.
    Trouble {
        /// With which stage of it.
        stage: Stage,
        /// What, in words.
        reason: String,
    },
    /// The connection to the relay is gone; a running call goes on.
    RelayLost {
        /// Why, in words.
        reason: String,
    },
    /// A second call came in during one and was declined.
    Declined {
        /// Why, in words.
        reason: String,
    },
    /// The program ends because of this.
    Failed {
        /// What went wrong and what to do.
        reason: String,
        /// The exit code that follows.
        exit_code: u8,
        /// In which stage of the connection, where it is about one.
        #[serde(skip_serializing_if = "Option::is_none")]
        stage: Option<Stage>,
    },
}

/// Which way a description went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From us.
    Sent,
    /// To us.
    Received,
}

/// Whose doing the end of a call was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    /// This program, or the person before it.
    Us,
    /// The other end.
    Peer,
    /// What lies between.
    Network,
}

impl Report {
    /// An offer or an answer went one way or the other.
    pub fn description(kind: SdpType, direction: Direction) -> Self {
        match kind {
            SdpType::Offer => Self::Offer { direction },
            SdpType::Answer => Self::Answer { direction },
        }
    }
}

/// The JSON object of a report, on one line.
pub fn to_json(report: &impl Serialize) -> String {
    // Nothing in a report can fail to serialize: there are no maps with odd keys in it.
    serde_json::to_string(report).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered { id, server } => write!(f, "registered as {id:?} at {server}"),
            Self::Calling { peer } => write!(f, "calling {peer:?}"),
            Self::Called { peer: Some(peer) } => write!(f, "called by {peer:?}"),
            Self::Called { peer: None } => write!(f, "called by a peer"),
            Self::Offer { direction } => write!(f, "offer {direction}"),
            Self::Answer { direction } => write!(f, "answer {direction}"),
            Self::Connected(connection) => write!(f, "{connection}"),
            Self::Interrupted { seconds } => {
                write!(
                    f,
                    "nothing has come for {seconds:.1} s; trying another connection"
                )
            }
            Self::Resumed => f.write_str("the connection is back by itself"),
            Self::Reconnected(reconnection) => write!(f, "{reconnection}"),
            Self::FirstFrameSent {
                kind,
                codec,
                width,
                height,
            } => {
                write!(
                    f,
                    "first {kind} sent: {}",
                    Form {
                        codec,
                        width: *width,
                        height: *height
                    }
                )
            }
            Self::FirstFrameReceived {
                track,
                kind,
                codec,
                width,
                height,
            } => {
                write!(
                    f,
                    "first {kind}{} received: {}",
                    Nth(*track),
                    Form {
                        codec,
                        width: *width,
                        height: *height
                    }
                )
            }
            Self::Recording(note) => write!(f, "{note}"),
            Self::Stats(rates) => write!(f, "{rates}"),
            Self::Ended {
                reason, seconds, ..
            } => {
                write!(f, "call ended after {seconds:.1} s: {reason}")
            }
            Self::RelayLost { reason } => {
                write!(f, "the relay is gone ({reason}); trying to reach it again")
            }
            Self::Declined { reason } => write!(f, "a second call was declined: {reason}"),
            Self::Trouble { reason, .. } => f.write_str(reason),
            Self::Failed { reason, .. } => write!(f, "{reason}"),
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sent => "sent",
            Self::Received => "received",
        })
    }
}

/// The number of a track, where it is not the first.
struct Nth(usize);

impl fmt::Display for Nth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 | 1 => Ok(()),
            number => write!(f, " of track {number}"),
        }
    }
}

struct Form<'a> {
    codec: &'a str,
    width: u32,
    height: u32,
}

impl fmt::Display for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.codec)?;
        if self.width > 0 {
            write!(f, " {}x{}", self.width, self.height)?;
        }
        Ok(())
    }
}

/// Serializes a value as the text it displays as.
///
/// # Errors
/// When the serializer fails.
pub fn as_text<T: fmt::Display, S: serde::Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

fn as_optional_text<T: fmt::Display, S: serde::Serializer>(
    value: &Option<T>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => to.collect_str(value),
        None => to.serialize_none(),
    }
}
