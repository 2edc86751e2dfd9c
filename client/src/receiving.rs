//! What becomes of what comes in, as data.

use crate::record::plan::Recording;

/// What is done with what a peer sends, beside decoding, counting and showing it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Receiving {
    /// What is recorded of every call.
    pub record: Option<Recording>,
    /// Whether sound is played.
    pub play: Play,
    /// The output of the sound server that plays it; `None` is the default one.
    pub output: Option<String>,
    /// How loud it is played: 1 is as loud as it comes.
    pub volume: Option<f64>,
    /// Whether what is played is taken out of what a microphone hears.
    pub echo: EchoCancellation,
}

/// Whether what is played is taken out of what a microphone hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EchoCancellation {
    /// When a microphone is sent and sound is played.
    #[default]
    Auto,
    /// Yes.
    On,
    /// No.
    Off,
}

/// Whether the sound that comes in is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Play {
    /// Where there is a sound server, and a window is shown.
    #[default]
    WithWindow,
    /// Yes; without a sound server the client fails.
    Yes,
    /// No.
    No,
}
