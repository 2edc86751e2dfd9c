//! Why a source cannot be had, or cannot go on, in words.

use gst::prelude::*;

use super::Act;
use crate::devices::cameras;
use crate::failure::{Failure, FailureKind};
use crate::graph::{AUDIO_SOURCE, VIDEO_SOURCE};
use crate::media::{AudioSource, Origin, VideoSource};

/// Why a source was not built; of a pipeline of the user, in GStreamer's words.
pub(super) fn unbuilt(act: &Act, error: &anyhow::Error) -> Failure {
    let sentence = match act {
        Act::Origin(
            Origin::Video(VideoSource::Pipeline(_)) | Origin::Audio(AudioSource::Pipeline(_)),
        ) => format!(
            "GStreamer does not take the pipeline: {error:#}. Try it alone: gst-launch-1.0 TEXT ! \
             fakesink"
        ),
        Act::Origin(_) | Act::Slate(..) => format!("A source cannot be built: {error:#}."),
    };
    Failure::new(FailureKind::Other, sentence)
}

/// What an element says that cannot go on.
pub(super) fn explain(error: &gst::message::Error, act: &Act) -> Failure {
    let source = error
        .src()
        .map(|source| source.name().to_string())
        .unwrap_or_default();
    let text = format!("{} ({})", error.error(), error.debug().unwrap_or_default());
    tracing::debug!(source, text, "a source failed");
    let other = |what: &str| {
        let sentence = format!("{what}: {}", error.error());
        Failure::new(FailureKind::Other, sentence)
    };
    let Act::Origin(origin) = act else {
        return other("The slate failed");
    };
    match origin {
        Origin::Video(VideoSource::Camera(_)) if source == VIDEO_SOURCE => {
            let element = error
                .src()
                .and_then(|source| source.downcast_ref::<gst::Element>());
            let path = element.map(|source| source.property::<Option<String>>("device"));
            cameras::explain(&path.flatten().unwrap_or_default(), &error.error())
        }
        Origin::Audio(AudioSource::Mic(device)) if source == AUDIO_SOURCE => {
            explain_sound(&text, device.as_deref())
        }
        Origin::Audio(AudioSource::Desktop) if source == AUDIO_SOURCE => {
            explain_sound(&text, Some("@DEFAULT_MONITOR@"))
        }
        Origin::Video(VideoSource::File(file)) | Origin::Audio(AudioSource::File(file)) => {
            let path = file.path.display().to_string();
            Failure::new(
                FailureKind::Device,
                format!("The file {path:?} cannot be played: {}", error.error()),
            )
        }
        Origin::Video(VideoSource::Uri(_)) | Origin::Audio(AudioSource::Uri(_)) => Failure::new(
            FailureKind::Device,
            format!("{} cannot be played: {}", origin.label(), error.error()),
        ),
        Origin::Video(VideoSource::Pipeline(_)) | Origin::Audio(AudioSource::Pipeline(_)) => {
            other(&format!("The pipeline failed in {source}"))
        }
        Origin::Video(_) | Origin::Audio(_) => Failure::new(
            FailureKind::Other,
            format!("The source failed in {source}: {text}"),
        ),
    }
}

fn explain_sound(text: &str, device: Option<&str>) -> Failure {
    match device {
        Some(device) if text.contains("No such entity") => Failure::new(
            FailureKind::Device,
            format!(
                "The sound server has no source {device:?}; `pactl list short sources` lists those \
                 it has."
            ),
        ),
        None if text.contains("No such entity") => Failure::new(
            FailureKind::Device,
            "The sound server has no microphone; name another source with --audio-device, or send \
             no sound with --audio none.",
        ),
        _ => Failure::new(
            FailureKind::SoundServer,
            "No sound server can be reached; start PulseAudio or PipeWire, or send a tone with \
             --audio test or no sound with --audio none.",
        ),
    }
}
