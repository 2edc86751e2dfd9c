//! What is captured and how it is encoded, as data.

use std::fmt;

mod silence;
mod sources;
mod voice;

use crate::encoding::Encoding;

pub use sources::{
    AudioSource, File, Launch, Origin, Part, Pattern, Region, Screen, TEST_TONE_HZ, Uri,
    VideoSource,
};
pub use voice::{NoiseSuppression, Voice};

/// A video codec that Aldis can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VideoCodec {
    /// VP8 ([RFC 7741](https://www.rfc-editor.org/rfc/rfc7741)).
    Vp8,
    /// H.264, constrained baseline, packetization mode 1
    /// ([RFC 6184](https://www.rfc-editor.org/rfc/rfc6184)).
    H264,
    /// VP9, profile 0 ([RFC 9628](https://www.rfc-editor.org/rfc/rfc9628)).
    Vp9,
    /// AV1, main profile
    /// ([RTP payload format for AV1](https://aomediacodec.github.io/av1-rtp-spec/)).
    Av1,
}

/// The kind of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A picture.
    Video,
    /// Sound.
    Audio,
}

/// A codec of either kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// A codec of pictures.
    Video(VideoCodec),
    /// Opus ([RFC 7587](https://www.rfc-editor.org/rfc/rfc7587)).
    Opus,
}

/// The picture that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoFormat {
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Frames a second.
    pub framerate: u32,
    /// The encoder's target.
    pub bitrate_kbps: u32,
}

/// Everything that one client captures and sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// The picture's source at first.
    pub video: VideoSource,
    /// The picture's form.
    pub format: VideoFormat,
    /// The sound's source at first.
    pub audio: AudioSource,
    /// What may take the place of the first sources while a call runs.
    pub others: Others,
    /// What is done to the sound of a microphone.
    pub voice: Voice,
    /// How both are encoded.
    pub encoding: Encoding,
}

/// The sources beside the first of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// Of pictures.
    pub video: Vec<VideoSource>,
    /// Of sound.
    pub audio: Vec<AudioSource>,
}

impl Default for VideoFormat {
    /// 720p at 30 frames and 2.5 Mbit a second.
    fn default() -> Self {
        Self {
            width: 1280,
            height: 720,
            framerate: 30,
            bitrate_kbps: 2500,
        }
    }
}

impl Default for Media {
    /// Nothing is sent.
    fn default() -> Self {
        Self {
            video: VideoSource::None,
            format: VideoFormat::default(),
            audio: AudioSource::None,
            others: Others::default(),
            voice: Voice::default(),
            encoding: Encoding::default(),
        }
    }
}

impl Media {
    /// The bit rate of the sound that is sent, in kilobits a second; 0 where there is none.
    pub fn sound_kbps(&self) -> u32 {
        match self.sends(Kind::Audio) {
            true => self.encoding.opus.bitrate_kbps,
            false => 0,
        }
    }

    /// The bit rate of everything that is sent, in kilobits a second, as it was asked for.
    pub fn total_kbps(&self) -> u32 {
        let picture = match self.sends(Kind::Video) {
            true => self.format.bitrate_kbps,
            false => 0,
        };
        picture.saturating_add(self.sound_kbps())
    }

    /// Every source of a kind, the one at first in front.
    pub fn origins(&self, kind: Kind) -> Vec<Origin> {
        match kind {
            Kind::Video => std::iter::once(&self.video)
                .chain(&self.others.video)
                .map(|source| Origin::Video(source.clone()))
                .collect(),
            Kind::Audio => std::iter::once(&self.audio)
                .chain(&self.others.audio)
                .map(|source| Origin::Audio(source.clone()))
                .collect(),
        }
    }

    /// Whether the sound that belongs to a picture may be wanted.
    pub fn wants_sound_with_video(&self) -> bool {
        std::iter::once(&self.audio)
            .chain(&self.others.audio)
            .any(|source| *source == AudioSource::WithVideo)
    }

    /// Whether a kind is sent, or may be.
    pub fn sends(&self, kind: Kind) -> bool {
        let mut origins = self.origins(kind).into_iter();
        origins.any(|origin| {
            !matches!(
                origin,
                Origin::Video(VideoSource::None) | Origin::Audio(AudioSource::None)
            )
        })
    }

    /// The codecs in which a kind may be sent or, when nothing is sent, is asked for; the one we
    /// like best first.
    pub fn codecs(&self, kind: Kind) -> Vec<Codec> {
        match kind {
            Kind::Video => self
                .encoding
                .codecs
                .iter()
                .copied()
                .map(Codec::Video)
                .collect(),
            Kind::Audio => vec![Codec::Opus],
        }
    }
}

impl VideoCodec {
    /// Every codec of pictures.
    pub const ALL: [Self; 4] = [Self::Vp8, Self::H264, Self::Vp9, Self::Av1];
}

impl Codec {
    /// Every codec Aldis can send and receive.
    pub const ALL: [Self; 5] = [
        Self::Video(VideoCodec::Vp8),
        Self::Video(VideoCodec::H264),
        Self::Video(VideoCodec::Vp9),
        Self::Video(VideoCodec::Av1),
        Self::Opus,
    ];

    /// The name in an `rtpmap` attribute, and in caps.
    pub fn encoding_name(self) -> &'static str {
        match self {
            Self::Video(VideoCodec::Vp8) => "VP8",
            Self::Video(VideoCodec::H264) => "H264",
            Self::Video(VideoCodec::Vp9) => "VP9",
            Self::Video(VideoCodec::Av1) => "AV1",
            Self::Opus => "OPUS",
        }
    }

    /// The codec that an `rtpmap` attribute names, in any case.
    pub fn of_encoding_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.encoding_name().eq_ignore_ascii_case(name))
    }

    /// Whether it is for pictures or for sound.
    pub fn kind(self) -> Kind {
        match self {
            Self::Video(_) => Kind::Video,
            Self::Opus => Kind::Audio,
        }
    }

    /// RTP clock ticks a second.
    pub fn clock_rate(self) -> i32 {
        match self {
            Self::Video(_) => 90_000,
            Self::Opus => 48_000,
        }
    }
}

impl Kind {
    /// Both kinds, in the order of our media lines.
    pub const ALL: [Self; 2] = [Self::Video, Self::Audio];

    /// The word in an `m=` line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Video(VideoCodec::Vp8) => "VP8",
            Self::Video(VideoCodec::H264) => "H.264",
            Self::Video(VideoCodec::Vp9) => "VP9",
            Self::Video(VideoCodec::Av1) => "AV1",
            Self::Opus => "Opus",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_are_found_by_the_name_in_the_description() {
        for codec in Codec::ALL {
            assert_eq!(Codec::of_encoding_name(codec.encoding_name()), Some(codec));
        }
        assert_eq!(Codec::of_encoding_name("opus"), Some(Codec::Opus));
        assert_eq!(Codec::of_encoding_name("rtx"), None);
    }
}
