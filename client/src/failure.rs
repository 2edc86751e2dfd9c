//! The ways in which a client can fail that a script may want to tell apart.

use std::fmt;

use crate::diagnosis::Stage;

/// What went wrong, in one sentence that says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which exit code it has.
    pub kind: FailureKind,
    /// One sentence, or two.
    pub sentence: String,
    /// In which stage of a connection, where it is about one.
    pub stage: Option<Stage>,
}

/// The distinct failures; each has an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FailureKind {
    /// Anything else.
    Other = 1,
    /// The relay cannot be reached, or does not speak the protocol.
    RelayUnreachable = 3,
    /// Nobody is registered under the id that was called.
    PeerNotFound = 4,
    /// The peer that was called is in another call.
    PeerBusy = 5,
    /// The relay did not accept our own id.
    IdRefused = 6,
    /// A GStreamer element is not installed.
    PluginMissing = 7,
    /// There is no display, or it cannot be captured.
    Display = 8,
    /// There is no sound server.
    SoundServer = 9,
    /// The device asked for does not exist or cannot be opened.
    Device = 10,
    /// The two ends have no codec in common.
    CodecRefused = 11,
    /// No connection came about, or it was lost.
    ConnectionFailed = 12,
    /// The peer's certificate is not the one its description announced.
    FingerprintMismatch = 13,
    /// The relay does not let us in, or not for what we want.
    NotAdmitted = 14,
    /// Nobody we trust vouches for the relay's certificate, or it is another than expected.
    RelayUntrusted = 15,
}

impl Failure {
    /// A failure with its sentence.
    pub fn new(kind: FailureKind, sentence: impl Into<String>) -> Self {
        Self {
            kind,
            sentence: sentence.into(),
            stage: None,
        }
    }
}

impl FailureKind {
    /// The exit code of the process.
    pub fn exit_code(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Failure {}
