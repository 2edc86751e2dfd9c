//! What the data channels of a call are for, as data.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::failure::Failure;
use crate::report::{Direction, Report};

/// The channel on which a client is controlled; `protocol/CONTROL.md` says how.
pub const CONTROL_LABEL: &str = "aldis-control";

/// A channel that carries files one way; `protocol/FILES.md` says how.
pub const FILE_LABEL: &str = "aldis-file";

/// The channel that `--data stdio` makes: each message is a line.
pub const LINES_LABEL: &str = "aldis-lines";

/// The protocol of a channel of lines whose ends tell one another when they have no more.
pub const LINES_PROTOCOL: &str = "aldis-lines";

/// How many bytes of files are taken unless something else is said.
pub const DEFAULT_RECEIVE_BYTES: u64 = 10 << 30;

/// How many files one run of a client takes at the most.
pub const MAX_FILES: u64 = 10_000;

/// What a client does with data channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// What becomes of messages on channels that have no meaning of their own.
    pub service: Service,
    /// How the channel of lines carries them.
    pub form: Form,
    /// End the call when there are no more lines to send, and all are there.
    pub eof_ends: bool,
    /// The files to send.
    pub send: Vec<PathBuf>,
    /// Where files go that come in.
    pub receive: Option<Receive>,
    /// Whether the peer may ask for statistics, sources, key frames and a lower bit rate.
    pub control: bool,
}

/// What becomes of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Service {
    /// They are thrown away.
    #[default]
    Nothing,
    /// They go to standard output, and the lines of standard input go to the peer.
    Lines,
    /// They go back where they came from.
    Echo,
}

/// How a channel carries messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// In the order in which they were sent.
    pub ordered: bool,
    /// Given up after so many repetitions.
    pub max_retransmits: Option<u16>,
    /// Given up after so many milliseconds.
    pub max_packet_lifetime: Option<u16>,
}

/// Where files go that come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receive {
    /// The directory.
    pub directory: PathBuf,
    /// How many bytes are taken at the most, all files together.
    pub max_bytes: u64,
}

/// What the tasks of data channels tell the loop of the call.
#[derive(Debug)]
pub enum Word {
    /// The peer asked for something on the control channel.
    Asked(String),
    /// Something worth a line.
    Report(Report),
    /// What the call was for is done.
    Finished(&'static str),
    /// What the call was for cannot be done.
    Failed(Failure),
}

impl Default for Data {
    fn default() -> Self {
        Self {
            service: Service::Nothing,
            form: Form::default(),
            eof_ends: false,
            send: Vec::new(),
            receive: None,
            control: true,
        }
    }
}

impl Default for Form {
    fn default() -> Self {
        Self {
            ordered: true,
            max_retransmits: None,
            max_packet_lifetime: None,
        }
    }
}

impl Form {
    /// Whether every message arrives, and behind those that were sent before it.
    pub fn is_stream(self) -> bool {
        self.ordered && self.max_retransmits.is_none() && self.max_packet_lifetime.is_none()
    }
}

impl Data {
    /// Whether data channels alone are worth a call.
    pub fn is_wanted(&self) -> bool {
        self.service != Service::Nothing || !self.send.is_empty() || self.receive.is_some()
    }

    /// Whether the call is over once the files are delivered, where no media is sent.
    pub fn is_delivery(&self) -> bool {
        !self.send.is_empty() && self.receive.is_none() && self.service == Service::Nothing
    }

    /// Whether an offer of ours has data channels in it.
    pub fn is_offered(&self) -> bool {
        self.control || self.is_wanted()
    }
}

/// A file that has gone over a data channel, or will not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Delivery {
    /// Which way.
    pub direction: Direction,
    /// Its name; where it came in, the name it has now.
    pub name: String,
    /// How many bytes it has; 0 when it did not arrive.
    pub bytes: u64,
    /// How many of them were there already, from an earlier attempt.
    pub resumed_at: u64,
    /// Why it did not arrive.
    pub problem: Option<String>,
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, direction, bytes) = (&self.name, self.direction, self.bytes);
        match &self.problem {
            Some(problem) => write!(f, "file {name:?} not {direction}: {problem}"),
            None => write!(f, "file {name:?} {direction}: {bytes} bytes"),
        }?;
        match self.resumed_at {
            0 => Ok(()),
            there => write!(f, ", of which {there} were there already"),
        }
    }
}
