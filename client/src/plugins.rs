//! Which GStreamer elements are there, and which Debian package has those that are not.

use std::sync::OnceLock;

use crate::failure::{Failure, FailureKind};
use crate::media::{Codec, VideoCodec};

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

/// Decoders of a codec, the better first, with what keeps each from adding latency.
fn decoders(codec: Codec) -> &'static [(&'static str, &'static str)] {
    match codec {
        Codec::Video(VideoCodec::Vp8) => &[("vp8dec", "vp8dec threads=1")],
        Codec::Video(VideoCodec::H264) => &[
            ("avdec_h264", "avdec_h264 max-threads=1"),
            ("openh264dec", "openh264dec"),
        ],
        Codec::Video(VideoCodec::Vp9) => &[("vp9dec", "vp9dec threads=1")],
        Codec::Video(VideoCodec::Av1) => &[
            ("dav1ddec", "dav1ddec max-frame-delay=1"),
            ("av1dec", "av1dec"),
        ],
        Codec::Opus => &[("opusdec", "opusdec plc=true use-inband-fec=true")],
    }
}

/// What stands before the decoder of a codec.
fn receive_elements(codec: Codec) -> &'static [&'static str] {
    match codec {
        Codec::Video(VideoCodec::Vp8) => &["rtpvp8depay"],
        Codec::Video(VideoCodec::H264) => &["rtph264depay", "h264parse"],
        Codec::Video(VideoCodec::Vp9) => &["rtpvp9depay"],
        Codec::Video(VideoCodec::Av1) => &["rtpav1depay", "av1parse"],
        Codec::Opus => &["rtpopusdepay"],
    }
}

/// Starts GStreamer, with the elements that are part of this crate: Debian 12 has no payloader for
/// AV1. May be called again.
///
/// # Errors
/// When GStreamer does not start.
pub fn start() -> Result<(), Failure> {
    static REGISTERED: OnceLock<Result<(), String>> = OnceLock::new();
    let started = REGISTERED.get_or_init(|| {
        gst::init().map_err(|error| error.to_string())?;
        gstrsrtp::plugin_register_static().map_err(|error| error.to_string())
    });
    started.clone().map_err(|error| {
        let sentence = format!("GStreamer does not start: {error}");
        Failure::new(FailureKind::PluginMissing, sentence)
    })
}

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

/// The decoder of a codec here, as text that `gst-launch-1.0` takes; `None` when there is none.
pub fn decoder(codec: Codec) -> Option<&'static str> {
    decoders(codec)
        .iter()
        .find(|(element, _)| is_present(element))
        .map(|(_, launch)| *launch)
}

/// Whether frames of a codec can be decoded here.
pub fn can_receive(codec: Codec) -> bool {
    let mut before = receive_elements(codec).iter();
    decoder(codec).is_some() && before.all(|element| is_present(element))
}

/// Whether an element can be made.
pub fn is_present(element: &str) -> bool {
    gst::ElementFactory::find(element).is_some()
}

fn package(element: &str) -> &'static str {
    match element {
        "webrtcbin" | "dtlsdec" | "dtlsenc" | "srtpdec" | "srtpenc" | "h264parse"
        | "openh264dec" | "openh264enc" | "av1enc" | "av1dec" | "av1parse" | "waylandsink" => {
            "gstreamer1.0-plugins-bad"
        }
        "nicesrc" | "nicesink" => "gstreamer1.0-nice",
        "x264enc" => "gstreamer1.0-plugins-ugly",
        "avdec_h264" => "gstreamer1.0-libav",
        "queue" | "fakesink" | "clocksync" => "libgstreamer1.0-0",
        "ximagesrc" | "pulsesrc" | "pulsesink" | "vp8enc" | "vp8dec" | "vp9enc" | "vp9dec"
        | "rtpvp9pay" | "rtpvp9depay" | "rtpbin" | "rtpjitterbuffer" | "rtpvp8pay"
        | "rtpvp8depay" | "rtph264pay" | "rtph264depay" | "rtpopuspay" | "rtpopusdepay" => {
            "gstreamer1.0-plugins-good"
        }
        "ximagesink" | "xvimagesink" => "gstreamer1.0-x",
        _ if element.starts_with("vaapi") => "gstreamer1.0-vaapi",
        _ if element.starts_with("v4l2") => "gstreamer1.0-plugins-good",
        // What is left of encoders is made of hardware.
        _ if element.ends_with("enc") && element != "opusenc" => "gstreamer1.0-plugins-bad",
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
