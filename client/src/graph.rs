//! What is to be built, as text that `gst-launch-1.0` would take.
//!
//! Nothing that a user typed is part of the text: such values are [`Setting`]s, set on a named
//! element once it exists.

mod camera;
mod passing;
mod sources;
mod voice;

use crate::media::{Codec, Kind, Media, VideoCodec, VideoFormat};

pub use passing::{
    GATE, PARSER, PASSED, passing_camera_branch, passing_file_branch, prescan_branch,
};
pub use sources::{Pace, RAW, RAW_SOUND, camera_branch, origin_branch, slate_branch};
use sources::{raw_text, source_elements};
pub use voice::{PLAYED_CHANNELS, VOICE, VOICE_RATE, played_form, voice_filter, with_voice};

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

/// The name of an encoder.
pub const ENCODER: &str = "encoder";
/// The name of the appsink at the end of an encoder.
pub const ENCODED: &str = "encoded";
/// The name of the element in front of it, where frames come in that are encoded already.
pub const JOIN: &str = "join";

/// The form in which every source of a kind gives its frames, so that one can take the place of
/// another while an encoder runs.
pub fn raw_form(kind: Kind, media: &Media) -> String {
    form(kind, &media.format)
}

fn form(kind: Kind, format: &VideoFormat) -> String {
    match kind {
        Kind::Video => {
            let VideoFormat {
                width,
                height,
                framerate,
                ..
            } = *format;
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

/// The branch that encodes what sources give. A setting that this version of the encoder
/// does not know may be left out.
pub fn encoder_branch(codec: Codec, media: &Media) -> Branch {
    let encoder = encoder(codec, media);
    Branch {
        launch: format!(
            "{} ! funnel name={JOIN} \
             ! appsink name={ENCODED} enable-last-sample=false sync=false async=false max-buffers=4 \
             drop=true",
            encoder.launch
        ),
        ..encoder
    }
}

/// What `gst-launch-1.0` takes to capture and encode the same and to throw it away; `None` when the
/// kind is not sent.
pub fn discarding_text(media: &Media, kind: Kind) -> Option<String> {
    let codec = media.codecs(kind).first().copied()?;
    let origin = media.origins(kind).into_iter().next()?;
    let (source, mut settings) = raw_text(&origin, &media.format)?;
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
    for kind in Kind::ALL.into_iter().filter(|kind| media.sends(*kind)) {
        elements.extend(media.origins(kind).iter().flat_map(source_elements));
        if kind == Kind::Audio {
            elements.extend(["opusenc", "rtpopuspay"]);
        }
    }
    if media.voice.is_processed() {
        elements.extend(["webrtcdsp", "webrtcechoprobe"]);
    }
    elements
}

/// The encoder of a codec, and what makes of its frames what can be sent.
pub fn encoder(codec: Codec, media: &Media) -> Branch {
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
    use crate::media::{AudioSource, Others, Part, Screen, VideoSource};

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
            voice: Default::default(),
            encoding: Encoding::default(),
        }
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
            let origins = media.origins(kind);
            let source = origin_branch(&origins[0], &media.format, false);
            let source = source.and_then(|branch| until_sink(branch.launch));
            let encoder = media.codecs(kind).first().map(|codec| {
                let branch = encoder_branch(*codec, &media);
                until_sink(branch.inlined()).unwrap_or_default()
            });
            // Of a screen GStreamer has an element of its own.
            let set = r#"ximagesrc use-damage=false name=video-source show-pointer="false" display-name=":1 name=video-source \"\\""#;
            let ours = "appsrc name=video-source is-live=true format=time max-buffers=1";
            let text = discarding_text(&media, kind).map(|text| text.replacen(set, ours, 1));
            let (source, encoder) = source.zip(encoder).unwrap_or_default();
            let encoder = encoder.replace(&format!(" ! funnel name={JOIN}"), "");
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
                .all(|kind| discarding_text(&media, kind).is_none())
        );
        assert!(capture_elements(&media).is_empty());
    }
}
