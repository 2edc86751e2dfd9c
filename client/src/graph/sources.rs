//! The branches of sources: each ends in raw frames of the form that all sources of its kind have.

use super::camera::camera_source;
use super::{AUDIO_SOURCE, Branch, SCALED, Setting, VIDEO_SOURCE, form};
use crate::camera::{CameraName, Choice};
use crate::media::{
    AudioSource, File, Kind, Origin, Part, Screen, TEST_TONE_HZ, Uri, VideoFormat, VideoSource,
};

/// The name of the appsink at the end of a source.
pub const RAW: &str = "raw";
/// The name of the appsink for the sound that belongs to a picture.
pub const RAW_SOUND: &str = "raw-sound";

/// The name of what writes on a slate.
const SLATE_TEXT: &str = "slate-text";

/// Frames a second of a slate, on which nothing moves.
const SLATE_FRAMERATE: u32 = 5;

/// What decides when the next frame comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The source, which captures or draws what is now.
    Live,
    /// The times in what is played, if it does not turn out to be live.
    Played {
        /// Whether it begins anew when it is over.
        repeat: bool,
    },
}

impl Origin {
    /// What decides when the next frame comes.
    pub fn pace(&self) -> Pace {
        match self {
            Self::Video(VideoSource::File(file)) if file.is_still() => Pace::Live,
            Self::Video(VideoSource::File(File { repeat, .. }))
            | Self::Audio(AudioSource::File(File { repeat, .. })) => {
                Pace::Played { repeat: *repeat }
            }
            Self::Video(VideoSource::Uri(uri)) | Self::Audio(AudioSource::Uri(uri)) => {
                Pace::Played {
                    repeat: !uri.is_live(),
                }
            }
            Self::Video(VideoSource::Pipeline(_)) | Self::Audio(AudioSource::Pipeline(_)) => {
                Pace::Played { repeat: false }
            }
            Self::Video(
                VideoSource::Screen(_)
                | VideoSource::Camera(_)
                | VideoSource::Test(_)
                | VideoSource::App
                | VideoSource::None,
            )
            | Self::Audio(
                AudioSource::Mic(_)
                | AudioSource::Desktop
                | AudioSource::Test
                | AudioSource::WithVideo
                | AudioSource::App
                | AudioSource::None,
            ) => Pace::Live,
        }
    }
}

/// The branch of a source; `None` for a camera, which has to be asked first what it offers. What a
/// screen shows is fed to its appsrc by `devices::grab`.
/// `with_sound` is whether the sound that belongs to a picture is wanted as well.
pub fn origin_branch(origin: &Origin, format: &VideoFormat, with_sound: bool) -> Option<Branch> {
    let (text, settings) = match origin {
        Origin::Video(source) => video_text(source)?,
        Origin::Audio(source) => audio_text(source),
    };
    let sound = match origin {
        Origin::Video(VideoSource::File(file)) if with_sound && !file.is_still() => Some("decoder"),
        Origin::Video(VideoSource::Uri(_)) if with_sound => Some(VIDEO_SOURCE),
        Origin::Video(_) | Origin::Audio(_) => None,
    };
    let mut launch = finished(origin.kind(), &text, origin.pace(), format);
    if let Some(decoder) = sound {
        launch.push_str(&with_sound_of(decoder, format));
    }
    Some(Branch { launch, settings })
}

/// The elements for the sound that comes out of a decoder beside its picture.
pub(super) fn with_sound_of(decoder: &str, format: &VideoFormat) -> String {
    let sound = form(Kind::Audio, format);
    // It may have none, and then nothing is waited for.
    format!(
        "  {decoder}. ! audio/x-raw ! audioconvert ! audioresample ! {sound} \
         ! appsink name={RAW_SOUND} enable-last-sample=false sync=true async=false max-buffers=4"
    )
}

/// The branch of the camera at `path` in the form that was chosen.
pub fn camera_branch(path: &str, choice: &Choice, format: &VideoFormat) -> Branch {
    let (text, settings) = camera_source(path, choice);
    let text = format!("{text} ! videorate");
    Branch {
        launch: finished(Kind::Video, &text, Pace::Live, format),
        settings,
    }
}

/// The branch of a slate; without `textoverlay` nothing is written on it.
pub fn slate_branch(sentence: &str, can_write: bool, format: &VideoFormat) -> Branch {
    let slate = form(
        Kind::Video,
        &VideoFormat {
            framerate: SLATE_FRAMERATE,
            ..*format
        },
    );
    let write = match can_write {
        true => format!(" ! textoverlay name={SLATE_TEXT} valignment=center halignment=center"),
        false => String::new(),
    };
    let settings = can_write.then(|| Setting {
        element: SLATE_TEXT,
        property: "text",
        value: sentence.into(),
    });
    Branch {
        launch: format!(
            "videotestsrc is-live=true pattern=solid-color foreground-color=0xff203040 \
             name={VIDEO_SOURCE} ! {slate}{write} ! {}",
            sink(Pace::Live)
        ),
        settings: settings.into_iter().collect(),
    }
}

/// A source in the form that all of its kind have, as `gst-launch-1.0` takes it; `None` where that
/// cannot be said.
pub(super) fn raw_text(origin: &Origin, format: &VideoFormat) -> Option<(String, Vec<Setting>)> {
    let (text, settings) = match origin {
        Origin::Video(VideoSource::App | VideoSource::None) => return None,
        Origin::Audio(AudioSource::App | AudioSource::None | AudioSource::WithVideo) => {
            return None;
        }
        Origin::Video(VideoSource::Screen(screen)) => launched_screen(screen),
        Origin::Video(VideoSource::Camera(name)) => (
            format!("v4l2src name={VIDEO_SOURCE} ! decodebin ! videorate"),
            match name {
                CameraName::Path(path) => vec![video("device", path)],
                CameraName::First | CameraName::Name(_) => Vec::new(),
            },
        ),
        Origin::Video(source) => video_text(source)?,
        Origin::Audio(source) => audio_text(source),
    };
    let wait = match origin.pace() {
        Pace::Live => "",
        Pace::Played { .. } => " ! clocksync",
    };
    Some((
        formed(origin.kind(), &format!("{text}{wait}"), format),
        settings,
    ))
}

/// With the form and the appsink behind it.
fn finished(kind: Kind, text: &str, pace: Pace, format: &VideoFormat) -> String {
    format!("{} ! {}", formed(kind, text, format), sink(pace))
}

pub(super) fn formed(kind: Kind, text: &str, format: &VideoFormat) -> String {
    let raw = form(kind, format);
    match kind {
        Kind::Video => {
            let framerate = format.framerate;
            format!("{text} ! video/x-raw,framerate={framerate}/1 ! {SCALED} ! {raw}")
        }
        Kind::Audio => format!("{text} ! audioconvert ! audioresample ! {raw}"),
    }
}

/// What is live is taken as it comes; what is played waits for its time, and is made ready before.
fn sink(pace: Pace) -> String {
    match pace {
        Pace::Live => format!(
            "appsink name={RAW} enable-last-sample=false sync=false async=false max-buffers=4 drop=true"
        ),
        Pace::Played { .. } => {
            format!("appsink name={RAW} enable-last-sample=false sync=true max-buffers=4")
        }
    }
}

fn video(property: &'static str, value: impl Into<String>) -> Setting {
    Setting {
        element: VIDEO_SOURCE,
        property,
        value: value.into(),
    }
}

fn audio(property: &'static str, value: impl Into<String>) -> Setting {
    Setting {
        element: AUDIO_SOURCE,
        property,
        value: value.into(),
    }
}

/// Which file is played.
pub(super) fn file_location(file: &File) -> Setting {
    video("location", location(file))
}

fn location(file: &File) -> String {
    file.path.display().to_string()
}

/// The elements of a source of pictures that needs no looking up.
fn video_text(source: &VideoSource) -> Option<(String, Vec<Setting>)> {
    Some(match source {
        VideoSource::Camera(_) => return None,
        VideoSource::Screen(_) => (
            format!("appsrc name={VIDEO_SOURCE} is-live=true format=time max-buffers=1"),
            Vec::new(),
        ),
        // The program's own appsrc is put in front.
        VideoSource::App => (
            format!("identity name={VIDEO_SOURCE} ! videoconvert ! videorate"),
            Vec::new(),
        ),
        VideoSource::None => (
            format!("videotestsrc is-live=true pattern=black name={VIDEO_SOURCE}"),
            Vec::new(),
        ),
        // It moves in every frame.
        VideoSource::Test(pattern) => (
            format!(
                "videotestsrc is-live=true pattern={} horizontal-speed=4 name={VIDEO_SOURCE}",
                pattern.name()
            ),
            Vec::new(),
        ),
        VideoSource::File(file) if file.is_still() => (
            format!(
                "filesrc name={VIDEO_SOURCE} ! decodebin ! videoconvert ! imagefreeze is-live=true"
            ),
            vec![file_location(file)],
        ),
        VideoSource::File(file) => (
            format!(
                "filesrc name={VIDEO_SOURCE} ! decodebin name=decoder  decoder. ! video/x-raw \
                 ! videorate"
            ),
            vec![file_location(file)],
        ),
        VideoSource::Uri(uri) => (
            format!("uridecodebin name={VIDEO_SOURCE} ! video/x-raw ! videorate"),
            vec![video("uri", uri.reveal())],
        ),
        VideoSource::Pipeline(launch) => (
            format!("{} ! videoconvert ! videorate", launch.text()),
            Vec::new(),
        ),
    })
}

/// A screen as GStreamer's own element captures it; windows and monitors cannot be named there.
fn launched_screen(screen: &Screen) -> (String, Vec<Setting>) {
    let mut settings = vec![video("show-pointer", screen.pointer.to_string())];
    if let Some(display) = &screen.display {
        settings.push(video("display-name", display));
    }
    if let Part::Region(region) = screen.part {
        settings.extend([
            video("startx", region.x.to_string()),
            video("starty", region.y.to_string()),
            // ximagesrc counts the last column and row as part of the picture.
            video("endx", (region.x + region.width - 1).to_string()),
            video("endy", (region.y + region.height - 1).to_string()),
        ]);
    }
    // With damage tracking on, a moving screen costs a tenth of a core more.
    let text = format!("ximagesrc use-damage=false name={VIDEO_SOURCE}");
    (text, settings)
}

fn audio_text(source: &AudioSource) -> (String, Vec<Setting>) {
    let pulse = || format!("pulsesrc client-name=Aldis provide-clock=false name={AUDIO_SOURCE}");
    match source {
        // Silence, which the sound of a picture takes the place of.
        AudioSource::None | AudioSource::WithVideo => (
            format!(
                "audiotestsrc is-live=true wave=silence samplesperbuffer=480 name={AUDIO_SOURCE}"
            ),
            Vec::new(),
        ),
        AudioSource::App => (format!("identity name={AUDIO_SOURCE}"), Vec::new()),
        AudioSource::Test => (
            format!(
                "audiotestsrc is-live=true samplesperbuffer=480 freq={TEST_TONE_HZ} volume=0.25 \
                 name={AUDIO_SOURCE}"
            ),
            Vec::new(),
        ),
        AudioSource::Mic(device) => {
            let device = device.iter().map(|name| audio("device", name));
            (pulse(), device.collect())
        }
        AudioSource::Desktop => (pulse(), vec![audio("device", "@DEFAULT_MONITOR@")]),
        AudioSource::File(file) => (
            format!("filesrc name={AUDIO_SOURCE} ! decodebin ! audio/x-raw"),
            vec![audio("location", location(file))],
        ),
        AudioSource::Uri(uri) => uri_sound(uri),
        AudioSource::Pipeline(launch) => (launch.text().into(), Vec::new()),
    }
}

fn uri_sound(uri: &Uri) -> (String, Vec<Setting>) {
    (
        format!("uridecodebin name={AUDIO_SOURCE} ! audio/x-raw"),
        vec![audio("uri", uri.reveal())],
    )
}

/// Every element that a source needs.
pub(super) fn source_elements(origin: &Origin) -> Vec<&'static str> {
    let mut elements = match origin {
        Origin::Video(VideoSource::Camera(_)) => vec!["v4l2src", "videorate"],
        Origin::Video(VideoSource::Test(_)) => vec!["videotestsrc"],
        Origin::Video(VideoSource::File(file)) if file.is_still() => {
            vec!["filesrc", "decodebin", "imagefreeze"]
        }
        Origin::Video(VideoSource::File(_)) => vec!["filesrc", "decodebin", "videorate"],
        Origin::Video(VideoSource::Uri(_)) => vec!["uridecodebin", "videorate"],
        Origin::Video(VideoSource::Pipeline(_) | VideoSource::App) => vec!["videorate"],
        Origin::Audio(AudioSource::Mic(_) | AudioSource::Desktop) => vec!["pulsesrc"],
        Origin::Audio(AudioSource::Test | AudioSource::WithVideo) => vec!["audiotestsrc"],
        Origin::Audio(AudioSource::File(_)) => vec!["filesrc", "decodebin"],
        Origin::Audio(AudioSource::Uri(_)) => vec!["uridecodebin"],
        Origin::Video(VideoSource::Screen(_) | VideoSource::None)
        | Origin::Audio(AudioSource::Pipeline(_) | AudioSource::App | AudioSource::None) => {
            Vec::new()
        }
    };
    elements.extend(match origin.kind() {
        Kind::Video => ["videoconvert", "videoscale"],
        Kind::Audio => ["audioconvert", "audioresample"],
    });
    elements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_ends_at_its_last_pixel() {
        let screen = Screen {
            part: Part::Region("10,20,1280x720".parse().expect("a region")),
            ..Screen::default()
        };
        let (_, settings) = launched_screen(&screen);
        let values: Vec<_> = settings
            .into_iter()
            .map(|setting| (setting.property, setting.value))
            .collect();
        let expected = [
            ("show-pointer", "false"),
            ("startx", "10"),
            ("starty", "20"),
            ("endx", "1289"),
            ("endy", "739"),
        ];
        assert_eq!(
            values,
            expected.map(|(property, value)| (property, value.to_owned()))
        );
    }

    #[test]
    fn what_a_user_typed_is_never_part_of_the_text() {
        let hostile = "x\" ! filesink location=/tmp/x name=\"y";
        let format = VideoFormat::default();
        let file = || File {
            path: hostile.into(),
            repeat: true,
        };
        let branches = [
            origin_branch(&Origin::Video(VideoSource::File(file())), &format, true),
            origin_branch(&Origin::Audio(AudioSource::File(file())), &format, false),
            origin_branch(
                &Origin::Audio(AudioSource::Mic(Some(hostile.into()))),
                &format,
                false,
            ),
            Some(slate_branch(hostile, true, &format)),
        ];
        for branch in branches {
            let branch = branch.expect("there is one");
            assert!(!branch.launch.contains("filesink"), "{}", branch.launch);
            let mut values = branch.settings.iter().map(|setting| &setting.value);
            assert!(values.any(|value| value == hostile));
        }
    }

    #[test]
    fn only_what_is_played_waits_for_its_time() {
        let format = VideoFormat::default();
        let text = |source: &str| {
            let source = source.parse().map(Origin::Video).expect("a source");
            origin_branch(&source, &format, false).map(|branch| branch.launch)
        };
        assert!(text("test").is_some_and(|text| text.contains("sync=false async=false")));
        assert!(text("file:x").is_some_and(|text| text.contains("sync=true")));
        assert!(text("screen").is_some() && text("camera").is_none());
    }
}
