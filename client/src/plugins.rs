//! Which GStreamer elements are there, and which Debian package has those that are not.

use crate::failure::{Failure, FailureKind};
use crate::media::Codec;

/// What every call needs, whatever it sends.
const ALWAYS: &[&str] = &[
    "webrtcbin",
    "nicesrc",
    "nicesink",
    "dtlsdec",
    "dtlsenc",
    "srtpdec",
    "srtpenc",
    "rtpjitterbuffer",
    "clocksync",
    "rtpbin",
    "appsrc",
    "appsink",
    "queue",
    "fakesink",
    "rtpvp8depay",
    "vp8dec",
    "rtpopusdepay",
    "opusdec",
    "videoconvert",
    "audioconvert",
    "audioresample",
];

/// Decoders of H.264, the better first, with what keeps each from adding latency.
const H264_DECODERS: &[(&str, &str)] = &[
    ("avdec_h264", "avdec_h264 max-threads=1"),
    ("openh264dec", "openh264dec"),
];

/// Checks that every element is there that a call needs, besides those in `wanted`.
///
/// # Errors
/// Names every missing element, and the packages to install.
pub fn check(wanted: &[&str]) -> Result<(), Failure> {
    let missing: Vec<_> = ALWAYS
        .iter()
        .chain(wanted)
        .copied()
        .filter(|element| !is_present(element))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(lacking(&missing))
}

/// Says which elements are missing, and which packages have them.
pub fn lacking(missing: &[&str]) -> Failure {
    let mut packages: Vec<_> = missing.iter().map(|element| package(element)).collect();
    packages.sort_unstable();
    packages.dedup();
    let sentence = format!(
        "GStreamer lacks {}; install what has it: apt-get install {}",
        missing.join(", "),
        packages.join(" ")
    );
    Failure::new(FailureKind::PluginMissing, sentence)
}

/// How to decode H.264 here; `None` when nothing can.
pub fn h264_decoder() -> Option<&'static str> {
    H264_DECODERS
        .iter()
        .find(|(element, _)| is_present(element))
        .map(|(_, launch)| *launch)
}

/// Whether frames of a codec can be decoded here.
pub fn can_receive(codec: Codec) -> bool {
    match codec {
        Codec::Video(crate::media::VideoCodec::H264) => {
            is_present("rtph264depay") && is_present("h264parse") && h264_decoder().is_some()
        }
        Codec::Video(crate::media::VideoCodec::Vp8) | Codec::Opus => true,
    }
}

/// Whether an element can be made.
pub fn is_present(element: &str) -> bool {
    gst::ElementFactory::find(element).is_some()
}

fn package(element: &str) -> &'static str {
    match element {
        "webrtcbin" | "dtlsdec" | "dtlsenc" | "srtpdec" | "srtpenc" | "h264parse"
        | "openh264dec" | "waylandsink" => "gstreamer1.0-plugins-bad",
        "nicesrc" | "nicesink" => "gstreamer1.0-nice",
        "x264enc" => "gstreamer1.0-plugins-ugly",
        "avdec_h264" => "gstreamer1.0-libav",
        "queue" | "fakesink" | "clocksync" => "libgstreamer1.0-0",
        "ximagesrc" | "pulsesrc" | "pulsesink" | "vp8enc" | "vp8dec" | "rtpbin"
        | "rtpjitterbuffer" | "rtpvp8pay" | "rtpvp8depay" | "rtph264pay" | "rtph264depay"
        | "rtpopuspay" | "rtpopusdepay" => "gstreamer1.0-plugins-good",
        "ximagesink" | "xvimagesink" => "gstreamer1.0-x",
        _ => "gstreamer1.0-plugins-base",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_element_is_named_with_its_package() -> Result<(), gst::glib::Error> {
        gst::init()?;
        let failure = check(&["no-such-element"]).expect_err("it is missing");
        assert_eq!(failure.kind, FailureKind::PluginMissing);
        assert!(failure.sentence.contains("no-such-element"), "{failure}");
        assert!(
            failure
                .sentence
                .contains("apt-get install gstreamer1.0-plugins-base"),
            "{failure}"
        );
        Ok(())
    }
}
