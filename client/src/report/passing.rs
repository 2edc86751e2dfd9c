//! What is told of pictures that are encoded already.

use std::fmt;

use serde::Serialize;

use super::{Report, SourceNote};
use crate::media::{Codec, Kind, Origin};
use crate::passing::{Passing, Reason};

/// What a report says of a source whose pictures are sent as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PassedNote {
    /// Which source.
    #[serde(flatten)]
    pub note: SourceNote,
    /// The codec's name.
    pub codec: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Kilobits a second, on average.
    pub kbps: u32,
}

impl Report {
    /// What is told of whether the pictures of a source are sent as they are.
    pub fn passing(origins: &[Origin], index: usize, verdict: Result<Passing, Reason>) -> Self {
        let note = SourceNote::new(Kind::Video, origins, index, None);
        match verdict {
            Ok(passing) => Self::SourcePassed(PassedNote {
                note,
                codec: Codec::Video(passing.codec).to_string(),
                width: passing.width,
                height: passing.height,
                kbps: passing.kbps,
            }),
            Err(reason) => Self::SourceEncoded(SourceNote {
                reason: Some(reason.to_string()),
                ..note
            }),
        }
    }
}

impl fmt::Display for PassedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            note,
            codec,
            width,
            height,
            kbps,
        } = self;
        note.say(f, "is sent as it is")?;
        write!(f, ": {codec} {width}x{height}, {kbps} kbit/s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::VideoCodec;
    use crate::report::to_json;

    #[test]
    fn what_is_passed_and_what_is_not_is_told_with_its_source() {
        let origins = ["file:/home/a/film.webm".parse().map(Origin::Video)];
        let origins = origins.map(|origin| origin.expect("a source"));
        let passing = Passing {
            codec: VideoCodec::Vp8,
            width: 640,
            height: 360,
            kbps: 512,
        };
        let passed = Report::passing(&origins, 0, Ok(passing));
        assert_eq!(
            passed.to_string(),
            "video source 1 (file:film.webm) is sent as it is: VP8 640x360, 512 kbit/s"
        );
        assert_eq!(
            to_json(&passed),
            r#"{"event":"source-passed","kind":"video","number":1,"source":"file:film.webm","codec":"VP8","width":640,"height":360,"kbps":512}"#
        );
        assert_eq!(
            Report::passing(&origins, 0, Err(Reason::Reordered)).to_string(),
            "video source 1 (file:film.webm) is encoded anew: it has B-frames, or times that go back"
        );
    }
}
