//! What the client tells its user: each report is one line of text and one JSON object.

mod connection;
mod passing;

use std::fmt;

use protocol::{PeerId, SdpType};
use serde::Serialize;

use crate::data::Delivery;
use crate::diagnosis::Stage;
use crate::failure::Failure;
use crate::media::{Kind, Origin};
use crate::record::plan::Note;
use crate::stats::Rates;
use crate::switcher::Change;

pub use connection::{Connection, Doubt, Reconnection};
pub use passing::PassedNote;

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
    /// A file has gone over a data channel, or will not.
    File(Delivery),
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
    /// Every source that may be sent, as it was asked for.
    Sources {
        /// Those of pictures, then those of sound.
        sources: Vec<SourceEntry>,
    },
    /// An answer to what was typed.
    Reply {
        /// In words.
        text: String,
    },
    /// Another source is sent, as it was asked for.
    SourceSwitched(SourceNote),
    /// A source is gone; a slate is sent until it is back.
    SourceLost(SourceNote),
    /// A source is back.
    SourceBack(SourceNote),
    /// A source was asked for and cannot be had; the one before is sent.
    SourceRefused(SourceNote),
    /// A source has come to its end; a slate is sent.
    SourceEnded(SourceNote),
    /// The pictures of a source are sent as they are, where the other side takes their codec.
    SourcePassed(PassedNote),
    /// The pictures of a source are encoded already, and are encoded anew all the same.
    SourceEncoded(SourceNote),
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

/// A source that may be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceEntry {
    /// Picture or sound.
    #[serde(serialize_with = "as_text")]
    pub kind: Kind,
    /// Its place in the list of its kind, from 1.
    pub number: usize,
    /// What it is called.
    pub source: String,
    /// Whether it is the one that is sent, or is to be.
    pub selected: bool,
}

/// What a report says of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceNote {
    /// Picture or sound.
    #[serde(serialize_with = "as_text")]
    pub kind: Kind,
    /// Its place in the list of its kind, from 1.
    pub number: usize,
    /// What it is called there.
    pub source: String,
    /// What went wrong, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
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
            Self::Interrupted { seconds } => write!(
                f,
                "nothing has come for {seconds:.1} s; trying another connection"
            ),
            Self::Resumed => f.write_str("the connection is back by itself"),
            Self::Reconnected(reconnection) => write!(f, "{reconnection}"),
            Self::FirstFrameSent {
                kind,
                codec,
                width,
                height,
            } => {
                let (width, height) = (*width, *height);
                let form = Form {
                    codec,
                    width,
                    height,
                };
                write!(f, "first {kind} sent: {form}")
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
            Self::File(delivery) => write!(f, "{delivery}"),
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
            Self::Sources { sources } => write_lines(f, sources),
            Self::SourceSwitched(note) => note.say(f, "is sent now"),
            Self::SourceLost(note) => note.say(f, "is gone, a slate is sent until it is back"),
            Self::SourceBack(note) => note.say(f, "is back"),
            Self::SourceRefused(note) => note.say(f, "cannot be had, the one before goes on"),
            Self::SourceEnded(note) => note.say(f, "is over, a slate is sent"),
            Self::SourcePassed(note) => write!(f, "{note}"),
            Self::SourceEncoded(note) => note.say(f, "is encoded anew"),
            Self::Reply { text: reason } | Self::Failed { reason, .. } => write!(f, "{reason}"),
        }
    }
}

impl SourceNote {
    fn new(kind: Kind, origins: &[Origin], index: usize, failure: Option<Failure>) -> Self {
        Self {
            kind,
            number: index + 1,
            source: origins.get(index).map(Origin::label).unwrap_or_default(),
            reason: failure.map(|failure| failure.sentence),
        }
    }
}

impl Report {
    /// What is told of a change among the sources of a kind.
    pub fn change(kind: Kind, origins: &[Origin], change: Change) -> Self {
        let note = |index, failure| SourceNote::new(kind, origins, index, failure);
        match change {
            Change::Switched(index) => Self::SourceSwitched(note(index, None)),
            Change::Refused(index, failure) => Self::SourceRefused(note(index, Some(failure))),
            Change::Lost(index, failure) => Self::SourceLost(note(index, Some(failure))),
            Change::Back(index) => Self::SourceBack(note(index, None)),
            Change::Ended(index) => Self::SourceEnded(note(index, None)),
        }
    }
}

impl fmt::Display for SourceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.selected { " (sent)" } else { "" };
        write!(f, "{} {}  {}{mark}", self.kind, self.number, self.source)
    }
}

impl SourceNote {
    fn say(&self, f: &mut fmt::Formatter<'_>, what: &str) -> fmt::Result {
        write!(
            f,
            "{} source {} ({}) {what}",
            self.kind, self.number, self.source
        )?;
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

fn write_lines(f: &mut fmt::Formatter<'_>, entries: &[SourceEntry]) -> fmt::Result {
    for (index, entry) in entries.iter().enumerate() {
        let line_end = if index == 0 { "" } else { "\n" };
        write!(f, "{line_end}{entry}")?;
    }
    Ok(())
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
