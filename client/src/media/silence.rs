//! What is said of a source that gives nothing.

use super::{AudioSource, Origin, Part, VideoSource};
use crate::failure::{Failure, FailureKind};

impl Origin {
    /// Says that it gave nothing for so many seconds, and what to do about that.
    pub fn silent(&self, seconds: u64) -> Failure {
        let (kind, advice) = match self {
            Self::Video(source) => of_picture(source),
            Self::Audio(source) => of_sound(source),
        };
        let label = self.label();
        let what = self.kind();
        Failure::new(
            kind,
            format!("The source {label:?} gave no {what} for {seconds} s; {advice}."),
        )
    }
}

fn of_picture(source: &VideoSource) -> (FailureKind, &'static str) {
    match source {
        VideoSource::Screen(screen) => {
            let advice = match &screen.part {
                Part::Whole | Part::Region(_) => "try another --display",
                Part::Window(_) => "see that the window is not minimized, or name another one",
                Part::Monitor(_) => "see that the monitor is on, or name another one",
            };
            (FailureKind::Display, advice)
        }
        VideoSource::Camera(_) => (
            FailureKind::Device,
            "unplug it and plug it in again, or name another one: --list-devices shows them",
        ),
        VideoSource::File(_) => (FailureKind::Other, A_FILE),
        VideoSource::Uri(_) => (FailureKind::Other, AN_ADDRESS),
        VideoSource::Pipeline(_) => (FailureKind::Other, A_PIPELINE),
        VideoSource::Test(_) | VideoSource::App | VideoSource::None => {
            (FailureKind::Other, "this machine has too much to do")
        }
    }
}

fn of_sound(source: &AudioSource) -> (FailureKind, &'static str) {
    match source {
        AudioSource::Mic(_) | AudioSource::Desktop => (
            FailureKind::Device,
            "try another --audio-device: --list-devices shows them",
        ),
        AudioSource::File(_) => (FailureKind::Other, A_FILE),
        AudioSource::Uri(_) => (FailureKind::Other, AN_ADDRESS),
        AudioSource::WithVideo => (
            FailureKind::Other,
            "see whether there is sound with that picture, or send none with --audio none",
        ),
        AudioSource::Pipeline(_) => (FailureKind::Other, A_PIPELINE),
        AudioSource::Test | AudioSource::App | AudioSource::None => {
            (FailureKind::Other, "this machine has too much to do")
        }
    }
}

const A_FILE: &str = "see whether another program plays the file";
const AN_ADDRESS: &str = "see whether the server at that address is there and sends something";
const A_PIPELINE: &str = "try its text with gst-launch-1.0 and a sink of yours behind it";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_fits_the_source() {
        for (text, kind, advice) in [
            ("screen", FailureKind::Display, "--display"),
            ("window:x", FailureKind::Display, "minimized"),
            ("monitor:2", FailureKind::Display, "monitor is on"),
            ("camera", FailureKind::Device, "plug it in again"),
            ("file:/a/b.webm", FailureKind::Other, "plays the file"),
            (
                "uri:rtsp://u:secret@h/x",
                FailureKind::Other,
                "server at that address",
            ),
            (
                "pipeline:videotestsrc",
                FailureKind::Other,
                "gst-launch-1.0",
            ),
        ] {
            let failure = Origin::Video(text.parse().expect("a source")).silent(5);
            assert_eq!(failure.kind, kind, "{text}");
            let sentence = failure.sentence;
            assert!(sentence.contains("gave no video for 5 s"), "{sentence}");
            assert!(sentence.contains(advice), "{sentence}");
            assert!(!sentence.contains("secret"), "{sentence}");
            assert_eq!(
                sentence.contains("--display"),
                text == "screen",
                "{sentence}"
            );
        }
        for (text, advice) in [
            ("mic", "--audio-device"),
            ("desktop", "--audio-device"),
            ("file", "--audio none"),
            ("file:/a/b.ogg", "plays the file"),
        ] {
            let failure = Origin::Audio(text.parse().expect("a source")).silent(5);
            assert!(failure.sentence.contains(advice), "{}", failure.sentence);
        }
    }
}
