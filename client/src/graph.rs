//! What is to be built, as text that `gst-launch-1.0` would take.
//!
//! Nothing that a user typed is part of the text: such values are [`Setting`]s, set on a named
//! element once it exists.

mod camera;

use crate::camera::Choice;
use crate::media::{
    AudioSource, Codec, Kind, Media, Part, Screen, TEST_TONE_HZ, VideoCodec, VideoFormat,
    VideoSource,
};

use camera::camera_source;

/// A branch of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Elements and links.
    pub launch: String,
    /// What to set on them before they start.
    pub settings: Vec<Setting>,
}

/// A property of a named element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The element's name in [`Branch::launch`].
    pub element: &'static str,
    /// The property's name.
    pub property: &'static str,
    /// Its value, as text.
    pub value: String,
}

/// The name of the element that captures pictures.
pub const VIDEO_SOURCE: &str = "video-source";
/// The name of the element that captures sound.
pub const AUDIO_SOURCE: &str = "audio-source";

/// Only the newest picture waits: an old one is worth nothing.
const NEWEST_ONLY: &str =
    "queue leaky=downstream max-size-buffers=1 max-size-bytes=0 max-size-time=0";

/// From whatever a source gives to the size that is sent.
const SCALED: &str = "videoscale ! videoconvert";

/// Sound may wait for as long as a hiccup of the scheduler.
const SHORT_QUEUE: &str =
    "queue leaky=downstream max-size-buffers=0 max-size-bytes=0 max-size-time=100000000";

/// The name of the appsink at the end of a source.
pub const RAW: &str = "raw";
/// The name of an encoder.
pub const ENCODER: &str = "encoder";
/// The name of the appsink at the end of an encoder.
pub const ENCODED: &str = "encoded";

/// The form in which every source of a kind gives its frames, so that one can take the place of
/// another while an encoder runs.
pub fn raw_form(kind: Kind, media: &Media) -> String {
    match kind {
        Kind::Video => {
            let VideoFormat {
                width,
                height,
                framerate,
                ..
            } = media.format;
            format!(
                "video/x-raw,format=I420,width={width},height={height},pixel-aspect-ratio=1/1,\
                 framerate={framerate}/1"
            )
        }
        Kind::Audio => {
            "audio/x-raw,format=S16LE,layout=interleaved,rate=48000,channels=2".to_owned()
        }
    }
}

/// The branch that captures one kind; `None` when it is not sent.
pub fn source_branch(media: &Media, kind: Kind) -> Option<Branch> {
    let (source, settings) = raw_branch(media, kind, false)?;
    Some(Branch {
        launch: format!(
            "{source} ! appsink name={RAW} sync=false async=false max-buffers=4 drop=true"
        ),
        settings,
    })
}

/// The branch that captures the camera at `path` in the form that was chosen.
pub fn camera_branch(media: &Media, path: &str, choice: &Choice) -> Branch {
    let (source, settings) = camera_source(path, choice);
    Branch {
        launch: format!(
            "{source} ! videorate ! {SCALED} ! {} ! appsink name={RAW} sync=false async=false \
             max-buffers=4 drop=true",
            raw_form(Kind::Video, media)
        ),
        settings,
    }
}

/// The branch that encodes what [`source_branch`] gives. A setting that this version of the encoder
/// does not know may be left out.
pub fn encoder_branch(codec: Codec, media: &Media) -> Branch {
    let encoder = encoder(codec, media);
    Branch {
        launch: format!(
            "{} ! appsink name={ENCODED} sync=false async=false max-buffers=4 drop=true",
            encoder.launch
        ),
        ..encoder
    }
}

/// What `gst-launch-1.0` takes to capture and encode the same and to throw it away; `None` when the
/// kind is not sent.
pub fn discarding_text(media: &Media, kind: Kind) -> Option<String> {
    let codec = media.codecs(kind).first().copied()?;
    let (source, mut settings) = raw_branch(media, kind, true)?;
    let queue = match kind {
        Kind::Video => NEWEST_ONLY,
        Kind::Audio => SHORT_QUEUE,
    };
    let encoder = encoder(codec, media);
    settings.extend(encoder.settings);
    let launch = format!(
        "{source} ! {queue} ! {} ! fakesink sync=false async=false",
        encoder.launch
    );
    Some(Branch { launch, settings }.inlined())
}

/// A source in the form that all sources of its kind have; one `to_launch` is for those who have
/// nothing but GStreamer's own elements.
fn raw_branch(media: &Media, kind: Kind, to_launch: bool) -> Option<(String, Vec<Setting>)> {
    let (source, settings) = match kind {
        Kind::Video if !to_launch && matches!(media.video, VideoSource::Screen(_)) => {
            (screen_source(&media.format), Vec::new())
        }
        Kind::Video => video_source(&media.video, &media.format)?,
        Kind::Audio => audio_source(&media.audio)?,
    };
    Some((format!("{source} ! {}", raw_form(kind, media)), settings))
}

impl Branch {
    /// The text with the settings in it, quoted, each beside the name of its element.
    fn inlined(&self) -> String {
        self.settings
            .iter()
            .rev()
            .fold(self.launch.clone(), |text, setting| {
                let name = format!("name={}", setting.element);
                let value = setting.value.replace('\\', "\\\\").replace('"', "\\\"");
                let set = format!("{name} {}=\"{value}\"", setting.property);
                // The name itself comes before anything that was put in after it.
                text.replacen(&name, &set, 1)
            })
    }
}

/// The elements from decoded RTP onwards that a received codec needs, in their order. The first
/// takes what webrtcbin hands out.
pub fn receive_chain(codec: Codec, decoder: &str) -> String {
    // A picture that refers to a lost one is not shown: the next key frame is asked for instead.
    let whole = "request-keyframe=true wait-for-keyframe=true";
    match codec {
        Codec::Video(VideoCodec::Vp8) => {
            format!("rtpvp8depay {whole} ! {decoder} name=decoder")
        }
        Codec::Video(VideoCodec::H264) => {
            format!("rtph264depay {whole} ! h264parse ! {decoder} name=decoder")
        }
        Codec::Video(VideoCodec::Vp9) => {
            format!("rtpvp9depay {whole} ! {decoder} name=decoder")
        }
        Codec::Video(VideoCodec::Av1) => {
            format!("rtpav1depay {whole} ! av1parse ! {decoder} name=decoder")
        }
        Codec::Opus => format!("rtpopusdepay ! {decoder} name=decoder"),
    }
}

/// The element that makes RTP of an encoded codec.
pub fn payloader(codec: Codec) -> &'static str {
    match codec {
        Codec::Video(VideoCodec::Vp8) => "rtpvp8pay",
        Codec::Video(VideoCodec::H264) => "rtph264pay",
        Codec::Video(VideoCodec::Vp9) => "rtpvp9pay",
        Codec::Video(VideoCodec::Av1) => "rtpav1pay",
        Codec::Opus => "rtpopuspay",
    }
}

/// Every element that capturing needs, and sending sound, so that a missing one can be named at start.
/// The encoders of pictures are a matter of choice.
pub fn capture_elements(media: &Media) -> Vec<&'static str> {
    let mut elements = Vec::new();
    match &media.video {
        VideoSource::Screen(_) => {}
        VideoSource::Camera(_) => elements.extend(["v4l2src", "videorate"]),
        VideoSource::Test(_) => elements.push("videotestsrc"),
        VideoSource::File(_) => elements.push("decodebin"),
        VideoSource::Uri(_) => elements.push("uridecodebin"),
        VideoSource::Pipeline(_) | VideoSource::None => {}
    }
    if media.video != VideoSource::None {
        elements.extend(["videoconvert", "videoscale"]);
    }
    match &media.audio {
        AudioSource::Mic(_) | AudioSource::Desktop => elements.push("pulsesrc"),
        AudioSource::Test => elements.push("audiotestsrc"),
        AudioSource::File(_) => elements.push("decodebin"),
        AudioSource::Uri(_) => elements.push("uridecodebin"),
        AudioSource::WithVideo | AudioSource::Pipeline(_) | AudioSource::None => {}
    }
    if media.audio != AudioSource::None {
        elements.extend(["audioconvert", "audioresample", "opusenc", "rtpopuspay"]);
    }
    elements
}

fn video_source(source: &VideoSource, format: &VideoFormat) -> Option<(String, Vec<Setting>)> {
    let framerate = format.framerate;
    let setting = |property, value| Setting {
        element: VIDEO_SOURCE,
        property,
        value,
    };
    let (source, settings) = match source {
        VideoSource::None => return None,
        // It moves in every frame.
        VideoSource::Test(pattern) => (
            format!(
                "videotestsrc is-live=true pattern={} horizontal-speed=4 name={VIDEO_SOURCE}",
                pattern.name()
            ),
            Vec::new(),
        ),
        VideoSource::Camera(device) => (
            format!("v4l2src name={VIDEO_SOURCE} ! decodebin ! videorate"),
            device
                .iter()
                .map(|name| setting("device", name.clone()))
                .collect(),
        ),
        VideoSource::File(file) => (
            format!(
                "filesrc name={VIDEO_SOURCE} ! decodebin ! video/x-raw ! clocksync ! videorate"
            ),
            vec![setting("location", file.path.display().to_string())],
        ),
        VideoSource::Uri(uri) => (
            format!("uridecodebin name={VIDEO_SOURCE} ! video/x-raw ! clocksync ! videorate"),
            vec![setting("uri", uri.reveal().into())],
        ),
        VideoSource::Pipeline(launch) => (format!("{} ! videorate", launch.text()), Vec::new()),
        VideoSource::Screen(screen) => {
            // With damage tracking on, a moving screen costs a tenth of a core more.
            (
                format!("ximagesrc use-damage=false name={VIDEO_SOURCE}"),
                screen_settings(screen),
            )
        }
    };
    let launch = format!("{source} ! video/x-raw,framerate={framerate}/1 ! {SCALED}");
    Some((launch, settings))
}

/// What `devices::grab` feeds with the picture of a screen.
fn screen_source(format: &VideoFormat) -> String {
    let framerate = format.framerate;
    format!(
        "appsrc name={VIDEO_SOURCE} is-live=true format=time max-buffers=1 \
         ! video/x-raw,framerate={framerate}/1 ! {SCALED}"
    )
}

fn screen_settings(screen: &Screen) -> Vec<Setting> {
    let setting = |property, value: String| Setting {
        element: VIDEO_SOURCE,
        property,
        value,
    };
    let mut settings = vec![setting("show-pointer", screen.pointer.to_string())];
    if let Some(display) = &screen.display {
        settings.push(setting("display-name", display.clone()));
    }
    // Windows and monitors have to be looked up first.
    if let Part::Region(region) = screen.part {
        settings.extend([
            setting("startx", region.x.to_string()),
            setting("starty", region.y.to_string()),
            // ximagesrc counts the last column and row as part of the picture.
            setting("endx", (region.x + region.width - 1).to_string()),
            setting("endy", (region.y + region.height - 1).to_string()),
        ]);
    }
    settings
}

fn audio_source(source: &AudioSource) -> Option<(String, Vec<Setting>)> {
    let setting = |property, value| Setting {
        element: AUDIO_SOURCE,
        property,
        value,
    };
    let (source, settings) = match source {
        AudioSource::None | AudioSource::WithVideo => return None,
        AudioSource::Test => (
            format!(
                "audiotestsrc is-live=true samplesperbuffer=480 freq={TEST_TONE_HZ} volume=0.25 \
                 name={AUDIO_SOURCE}"
            ),
            Vec::new(),
        ),
        AudioSource::Mic(device) => (
            format!("pulsesrc client-name=Aldis provide-clock=false name={AUDIO_SOURCE}"),
            device
                .iter()
                .map(|name| setting("device", name.clone()))
                .collect(),
        ),
        AudioSource::Desktop => (
            format!("pulsesrc client-name=Aldis provide-clock=false name={AUDIO_SOURCE}"),
            vec![setting("device", "@DEFAULT_MONITOR@".into())],
        ),
        AudioSource::File(file) => (
            format!("filesrc name={AUDIO_SOURCE} ! decodebin ! audio/x-raw ! clocksync"),
            vec![setting("location", file.path.display().to_string())],
        ),
        AudioSource::Uri(uri) => (
            format!("uridecodebin name={AUDIO_SOURCE} ! audio/x-raw ! clocksync"),
            vec![setting("uri", uri.reveal().into())],
        ),
        AudioSource::Pipeline(launch) => (launch.text().into(), Vec::new()),
    };
    let launch = format!("{source} ! audioconvert ! audioresample");
    Some((launch, settings))
}

fn encoder(codec: Codec, media: &Media) -> Branch {
    let setting = |(property, value)| Setting {
        element: ENCODER,
        property,
        value,
    };
    let (launch, properties) = match codec {
        Codec::Video(codec) => {
            let candidate = media.encoding.encoder_of(codec);
            (
                candidate.launch(ENCODER),
                candidate.properties(&media.format, &media.encoding),
            )
        }
        Codec::Opus => (
            format!("opusenc name={ENCODER}"),
            media.encoding.opus.properties(),
        ),
    };
    Branch {
        launch,
        settings: properties.into_iter().map(setting).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::Encoding;
    use crate::media::Others;

    fn media(video: VideoSource, audio: AudioSource) -> Media {
        let format = VideoFormat {
            width: 1280,
            height: 720,
            framerate: 30,
            bitrate_kbps: 2500,
        };
        Media {
            video,
            format,
            audio,
            others: Others::default(),
            encoding: Encoding::default(),
        }
    }

    fn region(text: &str) -> Part {
        Part::Region(text.parse().expect("a region"))
    }

    #[test]
    fn what_a_user_typed_is_never_part_of_the_text() {
        let hostile = "x\" ! filesink location=/tmp/x name=\"y";
        let media = media(
            VideoSource::Camera(Some(hostile.into())),
            AudioSource::Mic(Some(hostile.into())),
        );
        for kind in Kind::ALL {
            let branch = source_branch(&media, kind).expect("both kinds are sent");
            assert!(!branch.launch.contains("filesink"), "{}", branch.launch);
            assert!(
                branch
                    .settings
                    .iter()
                    .any(|setting| setting.value == hostile)
            );
        }
    }

    #[test]
    fn a_region_ends_at_its_last_pixel() {
        let screen = Screen {
            display: None,
            pointer: false,
            part: region("10,20,1280x720"),
        };
        let values: Vec<_> = screen_settings(&screen)
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
    fn the_text_to_compare_with_has_a_queue_where_one_pipeline_ends() {
        let screen = Screen {
            display: Some(r#":1 name=video-source "\"#.into()),
            pointer: false,
            part: Part::Whole,
        };
        let media = media(VideoSource::Screen(screen), AudioSource::Test);
        let until_sink = |text: String| text.rsplit_once(" ! ").map(|(rest, _)| rest.to_owned());
        for kind in Kind::ALL {
            let source = source_branch(&media, kind).and_then(|branch| until_sink(branch.launch));
            let encoder = media.codecs(kind).first().map(|codec| {
                let branch = encoder_branch(*codec, &media);
                until_sink(branch.inlined()).unwrap_or_default()
            });
            // Of a screen GStreamer has an element of its own.
            let set = r#"ximagesrc use-damage=false name=video-source show-pointer="false" display-name=":1 name=video-source \"\\""#;
            let ours = "appsrc name=video-source is-live=true format=time max-buffers=1";
            let text = discarding_text(&media, kind).map(|text| text.replacen(set, ours, 1));
            let (source, encoder) = source.zip(encoder).unwrap_or_default();
            let text = text.and_then(until_sink).unwrap_or_default();
            let between = text
                .strip_prefix(&source)
                .and_then(|text| text.strip_suffix(&encoder));
            assert!(
                between.is_some_and(|queue| queue.starts_with(" ! queue leaky=downstream ")),
                "{text}"
            );
        }
        let text = discarding_text(&media, Kind::Video).unwrap_or_default();
        assert!(text.contains(" display-name="), "{text}");
    }

    #[test]
    fn nothing_is_built_for_what_is_not_sent() {
        let media = media(VideoSource::None, AudioSource::None);
        assert!(
            Kind::ALL
                .into_iter()
                .all(|kind| source_branch(&media, kind).is_none()
                    && discarding_text(&media, kind).is_none())
        );
        assert!(capture_elements(&media).is_empty());
    }
}
