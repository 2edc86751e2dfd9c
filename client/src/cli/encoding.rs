//! The options about codecs and encoders.

use std::thread::available_parallelism;

use clap::ValueEnum;

use crate::encoders::{CATALOGUE, Candidate, named};
use crate::encoding::{
    Encoding, MAX_THREADS, Opus, PREFERENCE, fitting_threads, without_repetition,
};
use crate::media::VideoCodec;

/// How what is sent is encoded.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct EncodingArgs {
    /// The codecs of the picture, the one liked best first; the peer takes its pick of those
    /// [default: vp8,h264,vp9,av1, as far as they are installed]
    #[arg(long, value_enum, value_name = "CODEC,..", value_delimiter = ',')]
    video_codec: Vec<CodecName>,

    /// Use this encoder, a GStreamer element, for its codec; --list-encoders lists them
    #[arg(long, value_name = "ELEMENT", value_parser = known)]
    encoder: Option<&'static Candidate>,

    /// How many threads the encoder of a picture may use [default: a quarter of the cores, 4 at most]
    #[arg(long, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_THREADS)))]
    encoder_threads: Option<u32>,

    /// Bit rate of the sound, in kilobits a second
    #[arg(long, default_value_t = Opus::default().bitrate_kbps, value_name = "KBPS",
          value_parser = clap::value_parser!(u32).range(6..=510))]
    audio_bitrate_kbps: u32,

    /// Send next to nothing while there is no sound
    #[arg(long)]
    opus_dtx: bool,

    /// Let each piece of sound carry a coarse copy of the one before, against losses [default]
    #[arg(long, overrides_with = "no_opus_fec")]
    opus_fec: bool,

    /// Let it carry none
    #[arg(long, overrides_with = "opus_fec")]
    no_opus_fec: bool,
}

/// Says which encoders there are.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct EncoderListingArgs {
    /// List every encoder that is known, whether it works here and why not, and end; with --json as
    /// one JSON object
    #[arg(long)]
    pub(super) list_encoders: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CodecName {
    /// VP8
    Vp8,
    /// H.264, constrained baseline
    H264,
    /// VP9
    Vp9,
    /// AV1
    Av1,
}

impl EncodingArgs {
    /// What is meant.
    pub(super) fn into_encoding(self) -> Encoding {
        let are_named = !self.video_codec.is_empty();
        let named = self.video_codec.into_iter().map(|name| match name {
            CodecName::Vp8 => VideoCodec::Vp8,
            CodecName::H264 => VideoCodec::H264,
            CodecName::Vp9 => VideoCodec::Vp9,
            CodecName::Av1 => VideoCodec::Av1,
        });
        let rest = PREFERENCE.into_iter().filter(|_| !are_named);
        let cores = available_parallelism().map_or(1, usize::from);
        Encoding {
            codecs: without_repetition(named.chain(rest)),
            are_named,
            encoder: self.encoder,
            chosen: Vec::new(),
            threads: self.encoder_threads.unwrap_or(fitting_threads(cores)),
            opus: Opus {
                bitrate_kbps: self.audio_bitrate_kbps,
                dtx: self.opus_dtx,
                fec: self.opus_fec || !self.no_opus_fec,
            },
        }
    }
}

fn known(element: &str) -> Result<&'static Candidate, String> {
    named(element).ok_or_else(|| {
        let names: Vec<_> = CATALOGUE
            .iter()
            .map(|candidate| candidate.element)
            .collect();
        format!("the encoders that can be named are {}", names.join(", "))
    })
}
