//! Sources of pictures and sound, each in a pipeline of its own, and the way of their frames to the
//! encoders.
//!
//! Every source of a kind gives raw frames of the same form, so that one can take the place of another
//! while encoders and calls go on. A source that fails takes nothing down with it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, anyhow, ensure};
use gst::glib::value::FromValue;
use gst::glib::{ParamSpec, ParamSpecInt, ParamSpecInt64, ParamSpecUInt, ParamSpecUInt64, Value};
use gst::prelude::*;
use gst_app::{AppSink, AppSinkCallbacks, AppSrc};

use crate::camera::{CameraName, Wanted};
use crate::devices::{cameras, grab};
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
pub struct Source {
    kind: Kind,
    number: u64,
    media: Media,
    feed: Arc<Feed>,
    pipeline: gst::Pipeline,
    failed: Failed,
}

/// Who hears of what keeps a source from going on.
type Failed = Arc<dyn Fn(Failure) + Send + Sync>;

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
        let source = Self {
            kind,
            number,
            media: media.clone(),
            feed: Arc::clone(feed),
            pipeline,
            failed: Arc::new(failed),
        };
        if source.camera().is_none() {
            source.fill(&branch)?;
        }
        source.listen()?;
        Ok(Some(source))
    }

    /// The camera, where the picture comes from one.
    fn camera(&self) -> Option<CameraName> {
        match (self.kind, &self.media.video) {
            (Kind::Video, VideoSource::Camera(name)) => {
                let named = name.as_deref().map(str::parse);
                Some(named.and_then(Result::ok).unwrap_or_default())
            }
            _ => None,
        }
    }

    /// Builds a branch into the pipeline, whose frames go to the feed.
    fn fill(&self, branch: &Branch) -> Result<(), anyhow::Error> {
        let kind = self.kind;
        let bin = build(branch).with_context(|| format!("building the {kind} source"))?;
        self.pipeline.add(&bin)?;
        let sink = bin
            .by_name(RAW)
            .and_then(|sink| sink.downcast::<AppSink>().ok())
            .with_context(|| format!("no appsink for {kind}"))?;
        sink.set_callbacks(pass_on(self.number, Arc::clone(&self.feed)));
        if let (Kind::Video, VideoSource::Screen(screen)) = (kind, &self.media.video) {
            let source = bin
                .by_name(VIDEO_SOURCE)
                .and_then(|source| source.downcast::<AppSrc>().ok())
                .context("no appsrc for the screen")?;
            let failed = Arc::clone(&self.failed);
            let framerate = self.media.format.framerate;
            grab::feed(&source, screen.clone(), framerate, move |failure| {
                failed(failure);
            });
        }
        Ok(())
    }

    fn listen(&self) -> Result<(), anyhow::Error> {
        let bus = self.pipeline.bus().context("a pipeline has a bus")?;
        let (media, failed) = (self.media.clone(), Arc::clone(&self.failed));
        bus.set_sync_handler(move |_, message| {
            if let gst::MessageView::Error(error) = message.view() {
                failed(explain(error, &media));
            }
            gst::BusSyncReply::Drop
        });
        Ok(())
    }

    /// Asks the camera what it has and builds what takes it: it may be another one than last time.
    fn take_camera(&self, name: &CameraName) -> Result<(), Failure> {
        let format = &self.media.format;
        let wanted = Wanted {
            width: format.width,
            height: format.height,
            framerate: format.framerate,
            passes_h264: false,
        };
        let plan = cameras::plan(name, &wanted)?;
        tracing::info!(camera = %plan.camera, form = %plan.choice, "taking the camera");
        for old in self.pipeline.children() {
            let _ = self.pipeline.remove(&old);
        }
        let branch = graph::camera_branch(&self.media, &plan.camera.path, &plan.choice);
        self.fill(&branch).map_err(|error| {
            let sentence = format!("The camera {} cannot be used: {error:#}.", plan.camera);
            Failure::new(FailureKind::Device, sentence)
        })
    }

    /// Starts, and does not wait for the first frame. Blocks for as long as a device takes to open.
    pub(crate) fn start(&self) {
        if let Some(name) = self.camera()
            && let Err(failure) = self.take_camera(&name)
        {
            (self.failed)(failure);
            return;
        }
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
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Source");
        debug
            .field("kind", &self.kind)
            .field("number", &self.number);
        debug.finish_non_exhaustive()
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
    ensure!(
        is_in_range(&spec, &value),
        "{value:?} is out of the range of {name} of {}",
        element.name()
    );
    element.set_property_from_value(name, &value);
    Ok(())
}

/// Whether a number is one that a property takes; to set another would panic.
fn is_in_range(spec: &ParamSpec, value: &Value) -> bool {
    fn within<'a, T: PartialOrd + FromValue<'a>>(value: &'a Value, from: T, to: T) -> bool {
        value
            .get::<T>()
            .is_ok_and(|value| from <= value && value <= to)
    }
    if let Some(spec) = spec.downcast_ref::<ParamSpecInt>() {
        within(value, spec.minimum(), spec.maximum())
    } else if let Some(spec) = spec.downcast_ref::<ParamSpecUInt>() {
        within(value, spec.minimum(), spec.maximum())
    } else if let Some(spec) = spec.downcast_ref::<ParamSpecInt64>() {
        within(value, spec.minimum(), spec.maximum())
    } else if let Some(spec) = spec.downcast_ref::<ParamSpecUInt64>() {
        within(value, spec.minimum(), spec.maximum())
    } else {
        true
    }
}

fn explain(error: &gst::message::Error, media: &Media) -> Failure {
    let source = error
        .src()
        .map(|source| source.name().to_string())
        .unwrap_or_default();
    let text = format!("{} ({})", error.error(), error.debug().unwrap_or_default());
    tracing::debug!(source, text, "the capture failed");
    match (source.as_str(), &media.video, &media.audio) {
        (VIDEO_SOURCE, VideoSource::Camera(_), _) => {
            let element = error
                .src()
                .and_then(|source| source.downcast_ref::<gst::Element>());
            let path = element.map(|source| source.property::<Option<String>>("device"));
            cameras::explain(&path.flatten().unwrap_or_default(), &error.error())
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
