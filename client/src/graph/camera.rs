//! The branch of a camera.

use super::{NEWEST_ONLY, Setting, VIDEO_SOURCE};
use crate::camera::{Choice, Encoding};

/// The name of the element that holds a camera to what was chosen.
const CAMERA_FORM: &str = "camera-form";

/// The elements that take pictures from the camera at `path` in the form that was chosen, and decode
/// them.
pub(super) fn camera_source(path: &str, choice: &Choice) -> (String, Vec<Setting>) {
    // Encoded pictures wait no longer than raw ones, but none of H.264 may be left out.
    let decoder = match choice.encoding {
        Encoding::Raw => String::new(),
        Encoding::Mjpeg => format!(" ! {NEWEST_ONLY} ! jpegdec"),
        Encoding::H264 => " ! h264parse ! decodebin".into(),
    };
    let (launch, settings) = encoded_camera_source(path, choice);
    (format!("{launch}{decoder}"), settings)
}

/// The same, as they come.
pub(super) fn encoded_camera_source(path: &str, choice: &Choice) -> (String, Vec<Setting>) {
    let launch = format!("v4l2src name={VIDEO_SOURCE} ! capsfilter name={CAMERA_FORM}");
    let setting = |element, property, value| Setting {
        element,
        property,
        value,
    };
    let settings = vec![
        setting(VIDEO_SOURCE, "device", path.to_owned()),
        setting(CAMERA_FORM, "caps", caps(choice)),
    ];
    (launch, settings)
}

/// What was chosen, in GStreamer's words.
fn caps(choice: &Choice) -> String {
    let Choice {
        layout,
        width,
        height,
        rate,
        ..
    } = choice;
    let media = match (choice.encoding, layout) {
        (Encoding::Raw, Some(layout)) => format!("video/x-raw,format={layout}"),
        (Encoding::Raw, None) => "video/x-raw".into(),
        (Encoding::Mjpeg, _) => "image/jpeg".into(),
        (Encoding::H264, _) => "video/x-h264".into(),
    };
    let (frames, seconds) = (rate.frames, rate.seconds);
    format!("{media},width={width},height={height},framerate={frames}/{seconds}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::Rate;

    #[test]
    fn a_camera_is_held_to_what_was_chosen() {
        let choice = |encoding, layout: Option<&str>| Choice {
            encoding,
            layout: layout.map(str::to_owned),
            width: 1280,
            height: 720,
            rate: Rate::per_second(30),
        };
        for (choice, decoder, caps) in [
            (
                choice(Encoding::Raw, Some("YUY2")),
                "",
                "video/x-raw,format=YUY2",
            ),
            (choice(Encoding::Mjpeg, None), "jpegdec", "image/jpeg"),
            (choice(Encoding::H264, None), "decodebin", "video/x-h264"),
        ] {
            let hostile = "/dev/x ! filesink";
            let (launch, settings) = camera_source(hostile, &choice);
            assert!(
                launch.ends_with(decoder) && !launch.contains("filesink"),
                "{launch}"
            );
            let values: Vec<_> = settings
                .iter()
                .map(|setting| setting.value.as_str())
                .collect();
            let caps = format!("{caps},width=1280,height=720,framerate=30/1");
            assert_eq!(values, [hostile, &caps]);
        }
    }
}
