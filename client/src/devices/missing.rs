//! What can be known of a source without opening it: whether what it names is there.
//!
//! Everything here asks the X server, the sound server or the disk, and waits for the answer.

use std::path::Path;

use super::{cameras, has_sound_server, x11::Display};
use crate::camera::{CameraName, find_camera};
use crate::media::{AudioSource, File, Origin, Part, Screen, VideoSource};

/// Says what is not there of what a source needs; `None` where all is there, or nothing can be known
/// before it is opened.
pub fn missing(origin: &Origin) -> Option<String> {
    match origin {
        Origin::Video(VideoSource::Screen(screen)) => on_display(screen),
        Origin::Video(VideoSource::Camera(name)) => camera(name),
        Origin::Video(VideoSource::File(file)) | Origin::Audio(AudioSource::File(file)) => {
            on_disk(file)
        }
        Origin::Audio(AudioSource::Mic(_) | AudioSource::Desktop) => (!has_sound_server())
            .then(|| "There is no sound server; start PulseAudio or PipeWire.".into()),
        Origin::Video(
            VideoSource::Test(_)
            | VideoSource::Uri(_)
            | VideoSource::Pipeline(_)
            | VideoSource::App
            | VideoSource::None,
        )
        | Origin::Audio(
            AudioSource::Test
            | AudioSource::WithVideo
            | AudioSource::Uri(_)
            | AudioSource::Pipeline(_)
            | AudioSource::App
            | AudioSource::None,
        ) => None,
    }
}

fn on_display(screen: &Screen) -> Option<String> {
    let display = match Display::open(screen.display.as_deref()) {
        Ok(display) => display,
        Err(failure) => return Some(failure.sentence),
    };
    let found = match &screen.part {
        Part::Whole | Part::Region(_) => Ok(()),
        Part::Window(name) => display.find_window(name).map(drop),
        Part::Monitor(name) => display.find_monitor(name).map(drop),
    };
    found.err().map(|failure| failure.sentence)
}

fn camera(name: &CameraName) -> Option<String> {
    match name {
        // A path needs not be among those this machine names: a device may be made by hand.
        CameraName::Path(path) if Path::new(path).exists() => None,
        CameraName::First | CameraName::Path(_) | CameraName::Name(_) => {
            find_camera(&cameras::cameras(), name).err()
        }
    }
}

fn on_disk(file: &File) -> Option<String> {
    let path = &file.path;
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Some(format!("{path:?} is a directory, and no file.")),
        Ok(_) => None,
        Err(error) => Some(format!("The file {path:?} cannot be read: {error}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_told_before_it_is_opened() {
        gst::init().expect("GStreamer is installed");
        let missing = |text: &str| missing(&Origin::Video(text.parse().expect("a source")));
        let nowhere = missing("file:/nowhere/at/all.webm").expect("there is no such file");
        assert!(nowhere.contains("/nowhere/at/all.webm"), "{nowhere}");
        assert!(missing("file:/").is_some_and(|said| said.contains("is a directory")));
        let here = concat!("file:", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert_eq!(missing(here), None, "what is in it is another question");
        assert!(missing("camera:/dev/no-such-camera").is_some());
        assert_eq!(missing("camera:/dev/null"), None);
        for unknown in [
            "test",
            "uri:rtsp://camera.example/",
            "pipeline:videotestsrc",
        ] {
            assert_eq!(missing(unknown), None, "{unknown}");
        }
    }
}
