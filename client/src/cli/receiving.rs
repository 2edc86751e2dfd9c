//! The options about what comes in: where it is played, and what is recorded.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::media::{NoiseSuppression, Voice};
use crate::receiving::{EchoCancellation, Play, Receiving};
use crate::record::plan::{Recording, What};

/// What becomes of what comes in.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ReceivingArgs {
    /// Record every call into this file, as it is encoded: .mkv holds everything, .webm all but H.264,
    /// .mp4 all but VP8. Nothing is overwritten: the second call gets NAME-2, and so on. With both
    /// sides there are two files, NAME-sent and NAME-received
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// Which side of a call is recorded
    #[arg(long, value_enum, value_name = "SIDE", default_value_t = Side::Both)]
    record_what: Side,

    /// Play the sound that comes in, even where no window is shown
    #[arg(long, overrides_with = "no_play")]
    play: bool,

    /// Do not play the sound that comes in
    #[arg(long, overrides_with = "play")]
    no_play: bool,

    /// Play it on this output; --list-devices lists them [default: that of the sound server]
    #[arg(long, value_name = "NAME")]
    audio_output: Option<String>,

    /// How loud it is played, in percent
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u16).range(0..=400))]
    volume: Option<u16>,

    #[command(flatten)]
    pub(super) voice: VoiceArgs,
}

/// What is done to the sound of a microphone.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct VoiceArgs {
    /// Take what this machine plays out of what its microphone hears; auto does so when a microphone
    /// is sent and sound is played
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Echo::Auto)]
    pub(super) echo_cancel: Echo,

    /// Take steady noise out of what a microphone hears
    #[arg(long, value_enum, value_name = "HOW-MUCH", default_value_t = Noise::Off)]
    noise_suppression: Noise,

    /// Make quiet voices before a microphone louder
    #[arg(long)]
    gain_control: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Echo {
    /// Always
    On,
    /// Never
    Off,
    /// When it is needed
    Auto,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Noise {
    /// None
    Off,
    /// A little
    Low,
    /// More
    Moderate,
    /// Much
    High,
    /// As much as possible
    VeryHigh,
}

impl VoiceArgs {
    /// What is meant. Whether echo is cancelled is known only when it is known what is played.
    pub(super) fn voice(&self) -> Voice {
        Voice {
            echo_cancellation: false,
            noise_suppression: match self.noise_suppression {
                Noise::Off => None,
                Noise::Low => Some(NoiseSuppression::Low),
                Noise::Moderate => Some(NoiseSuppression::Moderate),
                Noise::High => Some(NoiseSuppression::High),
                Noise::VeryHigh => Some(NoiseSuppression::VeryHigh),
            },
            gain_control: self.gain_control,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Side {
    /// What this machine sends
    Sent,
    /// What comes in
    Received,
    /// Each into a file of its own
    Both,
}

impl ReceivingArgs {
    /// What makes no sense, in words.
    pub(super) fn conflict(&self) -> Option<String> {
        let file = self.record.clone()?;
        Recording::new(file, What::default())
            .err()
            .map(|reason| format!("--record: {reason}"))
    }

    /// What is meant. A recording that [`conflict`](Self::conflict) complains of is left out.
    pub(super) fn into_receiving(self) -> Receiving {
        let what = match self.record_what {
            Side::Sent => What::Sent,
            Side::Received => What::Received,
            Side::Both => What::Both,
        };
        Receiving {
            record: self.record.and_then(|file| Recording::new(file, what).ok()),
            play: match (self.play, self.no_play) {
                (true, _) => Play::Yes,
                (false, true) => Play::No,
                (false, false) => Play::WithWindow,
            },
            output: self.audio_output,
            volume: self.volume.map(|percent| f64::from(percent) / 100.0),
            echo: match self.voice.echo_cancel {
                Echo::On => EchoCancellation::On,
                Echo::Off => EchoCancellation::Off,
                Echo::Auto => EchoCancellation::Auto,
            },
        }
    }
}
