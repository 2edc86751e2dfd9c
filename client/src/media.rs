//! What is captured and how it is encoded, as data.

use std::fmt;
use std::str::FromStr;

use crate::inventory::{MonitorName, WindowName};

/// Where the picture comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VideoSource {
    /// An X11 screen.
    Screen(Screen),
    /// A moving test picture.
    Test,
    /// No picture is sent.
    None,
}

/// Which part of which X11 screen is captured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    /// The X display (`:0`), or the one of the environment.
    pub display: Option<String>,
    /// Whether the mouse pointer is part of the picture.
    pub pointer: bool,
    /// A part of the screen, or all of it.
    pub region: Option<Region>,
    /// One window alone; goes before [`Screen::region`].
    pub window: Option<WindowName>,
    /// One monitor alone; `devices::locate` makes a region of it.
    pub monitor: Option<MonitorName>,
}

/// A rectangle on a screen, in pixels. Written `X,Y,WIDTHxHEIGHT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Distance of the left edge from the left of the screen.
    pub x: u32,
    /// Distance of the upper edge from the top of the screen.
    pub y: u32,
    /// Width, at least 1.
    pub width: u32,
    /// Height, at least 1.
    pub height: u32,
}

/// Where the sound comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudioSource {
    /// A PulseAudio source: a microphone, or the monitor of an output. `None` is the default one.
    Mic(Option<String>),
    /// A test tone of [`TEST_TONE_HZ`].
    Test,
    /// No sound is sent.
    None,
}

/// The pitch of the test tone.
pub const TEST_TONE_HZ: u32 = 440;

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
    /// The codec.
    pub codec: VideoCodec,
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
    /// The picture's source.
    pub video: VideoSource,
    /// The picture's form.
    pub format: VideoFormat,
    /// The sound's source.
    pub audio: AudioSource,
}

impl Default for VideoFormat {
    /// 720p at 30 frames and 2.5 Mbit a second.
    fn default() -> Self {
        Self {
            codec: VideoCodec::Vp8,
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
        }
    }
}

/// The bit rate of the sound, for each call.
pub const AUDIO_BITRATE_KBPS: u32 = 64;

impl Media {
    /// The codec in which a kind is sent; `None` when it is not sent.
    pub fn sent(&self, kind: Kind) -> Option<Codec> {
        match kind {
            Kind::Video if self.video == VideoSource::None => None,
            Kind::Audio if self.audio == AudioSource::None => None,
            Kind::Video | Kind::Audio => Some(self.preferred(kind)),
        }
    }

    /// The codec in which a kind is sent or, when nothing is sent, asked for.
    pub fn preferred(&self, kind: Kind) -> Codec {
        match kind {
            Kind::Video => Codec::Video(self.format.codec),
            Kind::Audio => Codec::Opus,
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

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}x{}", self.x, self.y, self.width, self.height)
    }
}

impl FromStr for Region {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (x, rest) = text.split_once(',')?;
            let (y, size) = rest.split_once(',')?;
            let (width, height) = size.split_once('x')?;
            let number = |text: &str| text.parse::<u16>().ok().map(u32::from);
            Some(Self {
                x: number(x)?,
                y: number(y)?,
                width: number(width)?,
                height: number(height)?,
            })
        };
        match read() {
            Some(region) if region.width > 0 && region.height > 0 => Ok(region),
            _ => Err("a region is X,Y,WIDTHxHEIGHT in pixels, for example 0,0,1280x720".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_prints_as_it_is_read() {
        for text in ["0,0,1280x720", "17,4,1x1"] {
            assert_eq!(
                text.parse::<Region>().map(|region| region.to_string()),
                Ok(text.into())
            );
        }
        for text in [
            "",
            "0,0",
            "1280x720",
            "0,0,0x5",
            "-1,0,5x5",
            "0,0,5x5x5",
            "0,0,99999x1",
        ] {
            assert!(text.parse::<Region>().is_err(), "{text}");
        }
    }

    #[test]
    fn codecs_are_found_by_the_name_in_the_description() {
        for codec in Codec::ALL {
            assert_eq!(Codec::of_encoding_name(codec.encoding_name()), Some(codec));
        }
        assert_eq!(Codec::of_encoding_name("opus"), Some(Codec::Opus));
        assert_eq!(Codec::of_encoding_name("rtx"), None);
    }
}
