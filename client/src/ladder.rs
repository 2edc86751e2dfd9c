//! A picture in several sizes and bit rates, as data.

use crate::media::VideoFormat;

/// A form in which the picture is sent: one of several, so that each who watches gets what its network
/// carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Frames a second.
    pub framerate: u32,
    /// The most it is encoded at, in kilobits a second.
    pub kbps: u32,
}

impl From<VideoFormat> for Rung {
    fn from(format: VideoFormat) -> Self {
        Self {
            width: format.width,
            height: format.height,
            framerate: format.framerate,
            kbps: format.bitrate_kbps,
        }
    }
}

impl From<Rung> for VideoFormat {
    fn from(rung: Rung) -> Self {
        Self {
            width: rung.width,
            height: rung.height,
            framerate: rung.framerate,
            bitrate_kbps: rung.kbps,
        }
    }
}
