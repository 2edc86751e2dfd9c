//! Whether pictures that are encoded already can be sent as they are, and why not.

use std::fmt;
use std::time::Duration;

use crate::media::{Codec, VideoCodec, VideoFormat};

/// The most there may be between two key frames. Nobody can ask a file for one: who comes later, or has
/// lost a picture, waits for so long.
pub const LONGEST_WITHOUT_KEY_FRAME: Duration = Duration::from_secs(5);

/// The least from which a bit rate is told.
const SHORTEST_TRIAL: Duration = Duration::from_secs(1);

/// The codecs whose pictures are sent as they are.
pub const PASSING: [VideoCodec; 2] = [VideoCodec::Vp8, VideoCodec::H264];

/// Pictures that are sent as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passing {
    /// How they are encoded.
    pub codec: VideoCodec,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Kilobits a second, on average.
    pub kbps: u32,
}

/// Why pictures are encoded anew. Written as the end of "... is encoded anew: it ...".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Another codec.
    Codec(String),
    /// A profile of H.264 that not everybody decodes.
    Profile(String),
    /// Pictures that are shown in another order than they come in.
    Reordered,
    /// Pictures that are not shown.
    Hidden,
    /// Pictures without a time or without a size.
    Incomplete,
    /// Pixels that are no squares.
    Pixels,
    /// A larger size, width and height, than is to be sent.
    Size(u32, u32),
    /// More frames a second than are to be sent.
    Framerate(u32),
    /// A higher bit rate than is to be sent, in kilobits a second.
    Bitrate(u32),
    /// So long without a key frame.
    KeyFrames(Duration),
    /// A codec that `--video-codec` leaves out.
    Unwanted(VideoCodec),
    /// It could not be looked at.
    Unknown,
}

/// What is said of a stream of pictures at its head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// The codec in GStreamer's words (`video/x-h264`).
    pub name: String,
    /// The profile, where there is one.
    pub profile: Option<String>,
    /// Width and height in pixels.
    pub size: Option<(u32, u32)>,
    /// Whether width and height of a pixel differ.
    pub has_odd_pixels: bool,
}

/// One encoded picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When it is shown.
    pub at: Option<Duration>,
    /// How large it is.
    pub bytes: usize,
    /// Whether it can be decoded without those before.
    pub is_key: bool,
    /// Whether it is shown at all.
    pub is_shown: bool,
}

/// What is known of some pictures in a row.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    form: Form,
    frames: u32,
    bytes: u64,
    first: Duration,
    last: Duration,
    key: Duration,
    longest_without_key: Duration,
    reason: Option<Reason>,
}

/// Has a camera prove what a file is looked at for: each stretch from key frame to key frame is judged
/// when it is over.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    survey: Survey,
}

impl Survey {
    /// Nothing is seen yet.
    pub fn new(form: Form) -> Self {
        Self {
            form,
            ..Self::default()
        }
    }

    /// Takes the next picture in the order in which they come.
    pub fn take(&mut self, seen: &Seen) {
        let Some(at) = seen.at else {
            self.reason.get_or_insert(Reason::Incomplete);
            return;
        };
        if self.frames == 0 {
            (self.first, self.last, self.key) = (at, at, at);
        } else if at <= self.last {
            self.reason.get_or_insert(Reason::Reordered);
        }
        if !seen.is_shown {
            self.reason.get_or_insert(Reason::Hidden);
        }
        let without_key = at.saturating_sub(self.key);
        self.longest_without_key = self.longest_without_key.max(without_key);
        if seen.is_key {
            self.key = at;
        }
        self.last = self.last.max(at);
        self.frames += 1;
        self.bytes += u64::try_from(seen.bytes).unwrap_or(u64::MAX / 2);
    }

    /// How long the pictures are that were seen.
    pub fn lasts(&self) -> Duration {
        self.last.saturating_sub(self.first)
    }

    /// How many bytes were seen.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether all this fits into what is to be sent.
    ///
    /// # Errors
    /// The first reason why not.
    pub fn judge(&self, wanted: &VideoFormat) -> Result<Passing, Reason> {
        if let Some(reason) = &self.reason {
            return Err(reason.clone());
        }
        let codec = self.codec()?;
        let (width, height) = self.form.size.ok_or(Reason::Incomplete)?;
        if self.frames == 0 {
            return Err(Reason::Unknown);
        }
        if self.form.has_odd_pixels {
            return Err(Reason::Pixels);
        }
        if width > wanted.width || height > wanted.height {
            return Err(Reason::Size(width, height));
        }
        if self.longest_without_key > LONGEST_WITHOUT_KEY_FRAME {
            return Err(Reason::KeyFrames(self.longest_without_key));
        }
        // As many pauses as pictures: the last one is followed by another, or by the first.
        let pause = match self.frames {
            1 => Duration::from_secs(1) / wanted.framerate.max(1),
            frames => self.lasts() / (frames - 1),
        };
        let seconds = (self.lasts() + pause).as_secs_f64().max(0.001);
        let framerate = f64::from(self.frames) / seconds;
        // Times in files are rounded.
        if framerate > f64::from(wanted.framerate) * 1.05 {
            return Err(Reason::Framerate(whole(framerate)));
        }
        let kbps = whole(self.bytes as f64 * 8.0 / 1000.0 / seconds);
        if kbps > wanted.bitrate_kbps {
            return Err(Reason::Bitrate(kbps));
        }
        Ok(Passing {
            codec,
            width,
            height,
            kbps,
        })
    }

    /// The codec, in a profile that every browser decodes: what is negotiated is H.264 of constrained
    /// baseline ([RFC 7742, section 6.2](https://www.rfc-editor.org/rfc/rfc7742#section-6.2)).
    fn codec(&self) -> Result<VideoCodec, Reason> {
        let Form { name, profile, .. } = &self.form;
        let profile = profile.as_deref().unwrap_or("unknown");
        if name.is_empty() {
            return Err(Reason::Unknown);
        }
        let codec = PASSING.into_iter().find(|codec| media_type(*codec) == name);
        match codec {
            None => {
                let short = name.trim_start_matches("video/").trim_start_matches("x-");
                Err(Reason::Codec(short.to_uppercase()))
            }
            Some(VideoCodec::H264) if !["constrained-baseline", "baseline"].contains(&profile) => {
                Err(Reason::Profile(profile.to_owned()))
            }
            Some(codec) => Ok(codec),
        }
    }
}

impl Trial {
    /// Takes the next picture. At a key frame it says what is to be thought of those before.
    pub fn take(
        &mut self,
        form: &Form,
        seen: &Seen,
        wanted: &VideoFormat,
    ) -> Option<Result<Passing, Reason>> {
        let has_begun = self.survey.frames > 0;
        if !has_begun && !seen.is_key {
            return None;
        }
        if *form != self.survey.form {
            self.survey = Survey::new(form.clone());
        }
        let pauses = self.survey.lasts() >= SHORTEST_TRIAL;
        let is_silent = seen.at.is_some_and(|at| {
            has_begun && at.saturating_sub(self.survey.key) > LONGEST_WITHOUT_KEY_FRAME
        });
        if is_silent || (seen.is_key && pauses) {
            let mut over = std::mem::replace(&mut self.survey, Survey::new(form.clone()));
            if is_silent {
                over.longest_without_key = LONGEST_WITHOUT_KEY_FRAME + Duration::from_millis(1);
            }
            if seen.is_key {
                self.survey.take(seen);
            }
            return Some(over.judge(wanted));
        }
        self.survey.take(seen);
        None
    }
}

/// The name of a codec's pictures in GStreamer's caps.
pub fn media_type(codec: VideoCodec) -> &'static str {
    match codec {
        VideoCodec::Vp8 => "video/x-vp8",
        VideoCodec::H264 => "video/x-h264",
        VideoCodec::Vp9 => "video/x-vp9",
        VideoCodec::Av1 => "video/x-av1",
    }
}

/// Whether a picture of VP8 is shown
/// ([RFC 6386, section 9.1](https://www.rfc-editor.org/rfc/rfc6386#section-9.1)).
pub fn is_shown(codec: VideoCodec, frame: &[u8]) -> bool {
    codec != VideoCodec::Vp8 || frame.first().is_some_and(|first| first & 0x10 != 0)
}

fn whole(value: f64) -> u32 {
    // What is too large for it is as large as can be.
    value.round() as u32
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Codec(codec) => write!(f, "its codec is {codec:?}, and not VP8 or H.264"),
            Self::Profile(profile) => write!(
                f,
                "its profile of H.264 is {profile:?}, and browsers are promised baseline"
            ),
            Self::Reordered => f.write_str("it has B-frames, or times that go back"),
            Self::Hidden => f.write_str("it has pictures that are not shown"),
            Self::Incomplete => f.write_str("its pictures have no times, or no size"),
            Self::Pixels => f.write_str("its pixels are no squares"),
            Self::Size(width, height) => {
                write!(f, "it is {width}x{height}, more than is to be sent")
            }
            Self::Framerate(rate) => {
                write!(f, "it has {rate} frames a second, more than are to be sent")
            }
            Self::Bitrate(kbps) => {
                write!(f, "it has {kbps} kbit/s, more than --bitrate-kbps")
            }
            Self::KeyFrames(longest) => write!(
                f,
                "it goes without a key frame for {:.1} s; {} s are the most",
                longest.as_secs_f64(),
                LONGEST_WITHOUT_KEY_FRAME.as_secs()
            ),
            Self::Unwanted(codec) => {
                let codec = Codec::Video(*codec);
                write!(f, "its codec, {codec}, is not among those that are offered")
            }
            Self::Unknown => f.write_str("it could not be looked at in time"),
        }
    }
}

#[cfg(test)]
mod tests;
