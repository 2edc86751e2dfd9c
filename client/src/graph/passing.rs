//! The branches of pictures that may be sent as they are: beside the raw frames of all sources they
//! give the encoded ones.

use super::camera::encoded_camera_source;
use super::sources::{RAW, file_location, formed, with_sound_of};
use super::{Branch, Setting, VIDEO_SOURCE};
use crate::camera::Choice;
use crate::media::{Codec, File, Kind, VideoCodec, VideoFormat};
use crate::passing::{PASSING, media_type};

/// The name of the appsink for frames that are encoded already.
pub const PASSED: &str = "passed";
/// The name of the element that encoded frames pass on their way to the decoder.
pub const GATE: &str = "gate";
/// The name of what finds out what is in a file.
pub const PARSER: &str = "parser";

/// What is decoded of a file: its sound.
const STOPS: &str = "video/x-vp8;video/x-h264;audio/x-raw(ANY)";

/// H.264 as it is sent, with what a decoder has to know before every key frame.
const H264: &str = "h264parse config-interval=-1 \
                    ! video/x-h264,stream-format=byte-stream,alignment=au";

/// Next to nothing waits, so that both ways are at the same place.
const SHORT: &str = "queue max-size-buffers=4 max-size-bytes=0 max-size-time=0";

/// What is missing for longer was not there, and is not made up for.
const LONGEST_REPETITION_NS: u64 = 2_000_000_000;

/// The branch that takes a file apart as fast as it can be read; an appsink for each codec that may be
/// passed, by its name in an `rtpmap`.
pub fn prescan_branch(file: &File) -> Branch {
    let sink = |codec| {
        let (name, parsed) = (Codec::Video(codec).encoding_name(), parsed(codec));
        format!("{PARSER}. ! {parsed} ! appsink name={name} sync=false async=false max-buffers=16")
    };
    let sinks: Vec<_> = PASSING.into_iter().map(sink).collect();
    let sinks = sinks.join("  ");
    Branch {
        launch: format!("filesrc name={VIDEO_SOURCE} ! parsebin name={PARSER}  {sinks}"),
        settings: vec![file_location(file)],
    }
}

/// The branch of a file with frames in this codec that may be passed; `decoder` makes raw ones of them.
pub fn passing_file_branch(
    file: &File,
    codec: VideoCodec,
    decoder: &str,
    format: &VideoFormat,
    with_sound: bool,
) -> Branch {
    let parsed = parsed(codec);
    let ways = ways(decoder, format, "sync=true", "async=true");
    let mut launch = format!(
        "filesrc name={VIDEO_SOURCE} ! decodebin name=decoder caps=\"{STOPS}\"  \
         decoder. ! {parsed} ! {ways}"
    );
    if with_sound {
        launch.push_str(&with_sound_of("decoder", format));
    }
    Branch {
        launch,
        settings: vec![file_location(file)],
    }
}

/// The branch of the camera at `path`, which gives H.264.
pub fn passing_camera_branch(
    path: &str,
    choice: &Choice,
    decoder: &str,
    format: &VideoFormat,
) -> Branch {
    let (text, settings): (_, Vec<Setting>) = encoded_camera_source(path, choice);
    let ways = ways(decoder, format, "sync=false", "async=false");
    Branch {
        launch: format!("{text} ! {H264} ! {ways}"),
        settings,
    }
}

fn parsed(codec: VideoCodec) -> String {
    match codec {
        VideoCodec::H264 => format!("video/x-h264 ! {H264}"),
        VideoCodec::Vp8 | VideoCodec::Vp9 | VideoCodec::Av1 => media_type(codec).into(),
    }
}

/// From encoded frames to both appsinks. Only the encoded ones are waited for: the gate may be closed.
fn ways(decoder: &str, format: &VideoFormat, sync: &str, waits: &str) -> String {
    let raw = format!(
        "both. ! identity name={GATE} ! {SHORT} ! {decoder} \
         ! videorate max-duplication-time={LONGEST_REPETITION_NS}"
    );
    let raw = formed(Kind::Video, &raw, format);
    format!(
        "tee name=both  \
         both. ! {SHORT} ! appsink name={PASSED} enable-last-sample=false {sync} {waits} max-buffers=4  \
         {raw} ! appsink name={RAW} enable-last-sample=false {sync} async=false max-buffers=4"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_typed_is_never_part_of_the_text() {
        let hostile = "x\" ! filesink location=/tmp/x name=\"y";
        let file = File {
            path: hostile.into(),
            repeat: true,
        };
        let format = VideoFormat::default();
        for branch in [
            prescan_branch(&file),
            passing_file_branch(&file, VideoCodec::H264, "openh264dec", &format, true),
            passing_file_branch(&file, VideoCodec::Vp8, "vp8dec", &format, false),
        ] {
            assert!(!branch.launch.contains("filesink"), "{}", branch.launch);
            let mut values = branch.settings.iter().map(|setting| &setting.value);
            assert!(values.any(|value| value == hostile));
        }
    }
}
