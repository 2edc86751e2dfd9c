//! How what is captured is encoded, as data: which codecs, which encoder, how many bits.

use crate::encoders::{Candidate, candidates};
use crate::media::VideoCodec;

/// What was asked of the encoders. What was not asked for is chosen by what this machine can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// The codecs of the picture, the one we like best first.
    pub codecs: Vec<VideoCodec>,
    /// Whether somebody named them, and will miss one that this machine lacks.
    pub are_named: bool,
    /// The one encoder to use, for the codec it is for.
    pub encoder: Option<&'static Candidate>,
    /// The encoders that were found to work, at most one for a codec.
    pub chosen: Vec<&'static Candidate>,
    /// How many threads one encoder of pictures may use; at least 1.
    pub threads: u32,
    /// The sound.
    pub opus: Opus,
}

/// How sound is encoded ([RFC 7587](https://www.rfc-editor.org/rfc/rfc7587)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opus {
    /// Kilobits a second.
    pub bitrate_kbps: u32,
    /// Send next to nothing while it is silent.
    pub dtx: bool,
    /// Carry a coarse copy of the last frame in each, for when that was lost.
    pub fec: bool,
}

/// The order in which codecs are offered where none is named: what every browser takes at once and
/// costs least to begin with, then what needs fewer bits for more work.
pub const PREFERENCE: [VideoCodec; 4] = [
    VideoCodec::Vp8,
    VideoCodec::H264,
    VideoCodec::Vp9,
    VideoCodec::Av1,
];

/// The least at which a picture is worth encoding.
pub const MIN_BITRATE_KBPS: u32 = 50;
/// More than anybody's connection carries.
pub const MAX_BITRATE_KBPS: u32 = 50_000;

/// More threads than this make an encoder of pictures no faster.
pub const MAX_THREADS: u32 = 16;

impl Default for Opus {
    fn default() -> Self {
        Self {
            bitrate_kbps: 64,
            dtx: false,
            fec: true,
        }
    }
}

impl Opus {
    /// Every property to set on the encoder.
    pub fn properties(&self) -> Vec<(&'static str, String)> {
        let bits = u64::from(self.bitrate_kbps) * 1000;
        let mut properties = vec![
            ("bitrate", bits.to_string()),
            ("frame-size", "20".into()),
            ("inband-fec", self.fec.to_string()),
            ("dtx", self.dtx.to_string()),
        ];
        if self.fec {
            // Without an expectation of losses the encoder puts no copies in.
            properties.push(("packet-loss-percentage", "5".into()));
        }
        properties
    }
}

impl Encoding {
    /// Puts a codec of the list first, unless somebody said in which order they go.
    pub fn prefer(&mut self, codec: VideoCodec) {
        if let Some(at) = self.codecs.iter().position(|its| *its == codec)
            && !self.are_named
        {
            self.codecs[..=at].rotate_right(1);
        }
    }

    /// The encoder of a codec: the one that was chosen or, before there was a choice, the library that
    /// needs no proof.
    pub fn encoder_of(&self, codec: VideoCodec) -> &'static Candidate {
        let chosen = self
            .chosen
            .iter()
            .find(|candidate| candidate.codec == codec);
        let library = || candidates(codec).find(|candidate| !candidate.needs_proof());
        chosen
            .copied()
            .or_else(library)
            .unwrap_or(&crate::encoders::CATALOGUE[0])
    }
}

impl Default for Encoding {
    fn default() -> Self {
        Self {
            codecs: PREFERENCE.to_vec(),
            are_named: false,
            encoder: None,
            chosen: Vec::new(),
            threads: 1,
            opus: Opus::default(),
        }
    }
}

/// A list without those that came before in it.
pub fn without_repetition(codecs: impl IntoIterator<Item = VideoCodec>) -> Vec<VideoCodec> {
    let mut list = Vec::new();
    for codec in codecs {
        if !list.contains(&codec) {
            list.push(codec);
        }
    }
    list
}

/// How many threads an encoder uses where nobody says: a quarter of the cores. Encoders with a
/// thread for every core wait for one another whenever something else wants a core as well.
pub fn fitting_threads(cores: usize) -> u32 {
    let quarter = u32::try_from(cores / 4).unwrap_or(MAX_THREADS);
    quarter.clamp(1, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_is_in_the_list_once_where_it_came_first() {
        use VideoCodec::{H264, Vp8, Vp9};
        assert_eq!(without_repetition([Vp9, Vp8, Vp9, H264]), [Vp9, Vp8, H264]);
        assert_eq!(without_repetition([]), []);
    }

    #[test]
    fn what_nobody_named_may_be_put_first() {
        use VideoCodec::{Av1, H264, Vp8, Vp9};
        let mut encoding = Encoding::default();
        encoding.prefer(Vp9);
        assert_eq!(encoding.codecs, [Vp9, Vp8, H264, Av1]);
        encoding.are_named = true;
        encoding.prefer(H264);
        assert_eq!(encoding.codecs, [Vp9, Vp8, H264, Av1]);
        let mut none = Encoding {
            codecs: vec![H264],
            ..Encoding::default()
        };
        none.prefer(Vp8);
        assert_eq!(none.codecs, [H264]);
    }

    #[test]
    fn the_preference_names_every_codec() {
        assert_eq!(without_repetition(PREFERENCE).len(), VideoCodec::ALL.len());
    }

    #[test]
    fn threads_are_bounded_on_every_machine() {
        let threads = [0, 1, 2, 4, 8, 64, usize::MAX].map(fitting_threads);
        assert_eq!(threads, [1, 1, 1, 1, 2, 4, 4]);
    }
}
