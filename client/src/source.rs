//! Sources of pictures and sound, each in a pipeline of its own, and the way of their frames to the
//! encoders.
//!
//! Every source of a kind gives raw frames of the same form, so that one can take the place of another
//! while encoders and calls go on. A source that fails takes nothing down with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, anyhow};
use gst::prelude::*;
use gst_app::{AppSink, AppSinkCallbacks, AppSrc};

use crate::failure::{Failure, FailureKind};
use crate::graph::{self, AUDIO_SOURCE, Branch, RAW, VIDEO_SOURCE};
use crate::media::{AudioSource, Kind, Media, VideoSource};
use crate::timeline::{Timeline, on_timeline};

/// The way from the sources of a kind to its encoders. The frames of one source pass, in the order of
/// their time; those of the others do not.
#[derive(Debug)]
pub struct Feed {
    inputs: Vec<AppSrc>,
    /// The number of the source whose frames pass.
    current: AtomicU64,
    /// The number of the source that takes over with its first frame.
    wanted: AtomicU64,
    /// The time of the last frame that passed, in nanoseconds of running time.
    last: AtomicU64,
}

/// One source, while it is started.
#[derive(Debug)]
pub struct Source {
    kind: Kind,
    pipeline: gst::Pipeline,
}

impl Feed {
    /// A way into these encoders. Nothing passes until a source is wanted.
    pub(crate) fn new(inputs: Vec<AppSrc>) -> Self {
        Self {
            inputs,
            current: AtomicU64::new(0),
            wanted: AtomicU64::new(0),
            last: AtomicU64::new(0),
        }
    }

    /// Lets the source with this number take over with its first frame; until then the one before it
    /// goes on. Numbers of sources begin at 1.
    pub(crate) fn want(&self, number: u64) {
        self.wanted.store(number, Ordering::Relaxed);
    }

    /// The number of the source whose frames pass; 0 before the first.
    pub fn current(&self) -> u64 {
        self.current.load(Ordering::Relaxed)
    }

    /// Passes a frame of a source on. Called on the source's own thread.
    fn pass(&self, number: u64, frame: &gst::Buffer) {
        if self.wanted.load(Ordering::Relaxed) == number {
            self.current.store(number, Ordering::Relaxed);
        } else if self.current() != number {
            return;
        }
        // Encoders take no step back in time, and two sources are not quite in step.
        let time = frame.pts().map_or(0, gst::ClockTime::nseconds);
        if self.last.fetch_max(time, Ordering::Relaxed) >= time && time > 0 {
            return;
        }
        for input in &self.inputs {
            // One whose encoder is not running does not take it.
            let _ = input.push_buffer(frame.clone());
        }
    }
}

impl Source {
    /// Builds a source without starting it. `failed` hears of what keeps it from going on, on a thread
    /// of GStreamer. `None` when nothing of this kind is sent.
    ///
    /// # Errors
    /// When an element cannot be made, or refuses a value the user gave.
    pub(crate) fn new(
        kind: Kind,
        number: u64,
        media: &Media,
        feed: &Arc<Feed>,
        timeline: &Timeline,
        failed: impl Fn(Failure) + Send + Sync + 'static,
    ) -> Result<Option<Self>, anyhow::Error> {
        let Some(branch) = graph::source_branch(media, kind) else {
            return Ok(None);
        };
        let pipeline = gst::Pipeline::with_name(&format!("source-{kind}-{number}"));
        timeline.rule(&pipeline);
        let bin = build(&branch).with_context(|| format!("building the {kind} source"))?;
        pipeline.add(&bin)?;
        let sink = bin
            .by_name(RAW)
            .and_then(|sink| sink.downcast::<AppSink>().ok())
            .with_context(|| format!("no appsink for {kind}"))?;
        sink.set_callbacks(pass_on(number, Arc::clone(feed)));
        let bus = pipeline.bus().context("a pipeline has a bus")?;
        let media = media.clone();
        bus.set_sync_handler(move |_, message| {
            if let gst::MessageView::Error(error) = message.view() {
                failed(explain(error, &media));
            }
            gst::BusSyncReply::Drop
        });
        Ok(Some(Self { kind, pipeline }))
    }

    /// Starts, and does not wait for the first frame. Blocks for as long as a device takes to open.
    pub(crate) fn start(&self) {
        if self.pipeline.set_state(gst::State::Playing).is_err() {
            tracing::debug!(kind = %self.kind, "the source did not start");
        }
    }

    /// Stops and lets go of the device. May be started again. Blocks.
    pub(crate) fn stop(&self) {
        if self.pipeline.set_state(gst::State::Null).is_err() {
            tracing::warn!(kind = %self.kind, "the source did not stop in order");
        }
    }

    /// The size of the picture as the source gives it, before it is scaled.
    pub(crate) fn captured_size(&self) -> Option<(u32, u32)> {
        let source = self.pipeline.by_name(VIDEO_SOURCE)?;
        size_of(&source.static_pad("src")?.current_caps()?)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // Stopped before, unless something failed: then this is the last chance to free a device.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn build(branch: &Branch) -> Result<gst::Bin, anyhow::Error> {
    let bin = gst::parse::bin_from_description(&branch.launch, false)?;
    for setting in &branch.settings {
        let element = bin
            .by_name(setting.element)
            .with_context(|| format!("no element {}", setting.element))?;
        set_property(&element, setting.property, &setting.value)?;
    }
    Ok(bin)
}

fn pass_on(number: u64, feed: Arc<Feed>) -> AppSinkCallbacks {
    AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if let Some(frame) = on_timeline(&sample) {
                feed.pass(number, &frame);
            }
            Ok(gst::FlowSuccess::Ok)
        })
        .build()
}

/// Width and height in caps, where they have any.
pub fn size_of(caps: &gst::Caps) -> Option<(u32, u32)> {
    let structure = caps.structure(0)?;
    let side = |name| {
        structure
            .get::<i32>(name)
            .ok()
            .and_then(|side| u32::try_from(side).ok())
    };
    Some((side("width")?, side("height")?))
}

/// Sets a property from text.
///
/// # Errors
/// When the element has no such property or it does not take the text.
pub fn set_property(element: &gst::Element, name: &str, value: &str) -> Result<(), anyhow::Error> {
    let spec = element
        .find_property(name)
        .with_context(|| format!("{} has no property {name}", element.name()))?;
    let value = gst::glib::Value::deserialize_with_pspec(value, &spec)
        .or_else(|_| gst::glib::Value::deserialize(value, spec.value_type()))
        .map_err(|_| anyhow!("{} does not take {value:?} as {name}", element.name()))?;
    element.set_property_from_value(name, &value);
    Ok(())
}

fn explain(error: &gst::message::Error, media: &Media) -> Failure {
    let source = error
        .src()
        .map(|source| source.name().to_string())
        .unwrap_or_default();
    let text = format!("{} ({})", error.error(), error.debug().unwrap_or_default());
    tracing::debug!(source, text, "the capture failed");
    match (source.as_str(), &media.video, &media.audio) {
        (VIDEO_SOURCE, VideoSource::Screen(screen), _) => {
            let set = std::env::var("DISPLAY")
                .ok()
                .filter(|display| !display.is_empty());
            let what = match screen.display.clone().or(set) {
                Some(display) => format!("The X display {display} cannot be captured"),
                None => "There is no X display to capture (DISPLAY is not set)".into(),
            };
            let sentence = format!(
                "{what}; say which one with --display :N, or send a test picture with --video test."
            );
            Failure::new(FailureKind::Display, sentence)
        }
        (AUDIO_SOURCE, _, AudioSource::Mic(device)) => explain_sound(&text, device.as_deref()),
        _ => Failure::new(
            FailureKind::Other,
            format!("The capture failed in {source}: {text}"),
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
