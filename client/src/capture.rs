//! The one pipeline that captures and encodes, and the way its frames take to every viewer.
//!
//! Frames are encoded once, whoever watches, and handed on by reference: the appsink's thread pushes
//! each encoded frame into the appsrc of every viewer. It owns the list of viewers, so that no lock
//! lies on a frame's way; a new viewer reaches it through a channel. A viewer begins at a key frame.
//! An appsrc drops when its viewer is slow, so none can hold up the capture.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use async_channel::{Receiver, Sender, bounded};
use futures_util::future::{Either, select, try_join_all};
use gst::prelude::*;
use gst_app::{AppSink, AppSinkCallbacks, AppSrc};

use crate::failure::{Failure, FailureKind};
use crate::graph::{self, AUDIO_SOURCE, Branch, VIDEO_SOURCE};
use crate::media::{AudioSource, Kind, Media, Region, VideoSource};

/// How many viewers may be joining in the time of one frame.
const MAX_JOINING: usize = 256;

/// However many key frames peers ask for, they get one in so long: a crowd that lost the same packet
/// asks at once.
const KEY_FRAME_INTERVAL: gst::ClockTime = gst::ClockTime::from_mseconds(300);

/// How long the first frame may take after the capture was started.
const FIRST_FRAME_DEADLINE: Duration = Duration::from_secs(10);

/// Captures and encodes, while it is started.
#[derive(Debug)]
pub struct Capture {
    pipeline: gst::Pipeline,
    tracks: Vec<Track>,
    failures: Receiver<Failure>,
    /// The part of the screen that was asked for.
    region: Option<Region>,
}

/// One encoded track.
#[derive(Clone, Debug)]
pub struct Track {
    /// Picture or sound.
    pub kind: Kind,
    sink: AppSink,
    joining: Sender<Viewer>,
    /// When a key frame was last asked for, in milliseconds of running time.
    key_frame_asked: Arc<AtomicU64>,
    /// Says once that the first frame is encoded.
    ready: Receiver<()>,
}

/// Who gets the frames of a track.
#[derive(Debug)]
struct Viewer {
    source: gst::glib::WeakRef<AppSrc>,
    sent: Arc<AtomicU64>,
    started: bool,
}

impl Capture {
    /// Builds the pipeline without starting it. Every pipeline of the process shares `timeline`.
    ///
    /// # Errors
    /// When an element cannot be made, or refuses a value the user gave.
    pub fn new(media: &Media, timeline: &Timeline) -> Result<Self, anyhow::Error> {
        let pipeline = gst::Pipeline::with_name("capture");
        timeline.rule(&pipeline);
        let mut tracks = Vec::new();
        for kind in Kind::ALL {
            let Some(branch) = graph::capture_branch(media, kind) else {
                continue;
            };
            tracks.push(Track::build(kind, &branch, &pipeline)?);
        }
        let region = match &media.video {
            VideoSource::Screen(screen) => screen.region,
            VideoSource::Test | VideoSource::None => None,
        };
        let (failed, failures) = bounded(1);
        let bus = pipeline.bus().context("a pipeline has a bus")?;
        let media = media.clone();
        bus.set_sync_handler(move |_, message| {
            // One failure is enough: the first is the cause of the others.
            if let gst::MessageView::Error(error) = message.view() {
                let _ = failed.try_send(explain(error, &media));
            }
            gst::BusSyncReply::Drop
        });
        Ok(Self {
            pipeline,
            tracks,
            failures,
            region,
        })
    }

    /// What is captured.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Starts, and does not wait for the first frame. What prevents it comes from
    /// [`Capture::failure`].
    pub async fn start(&self) {
        if self.tracks.is_empty() {
            return;
        }
        let pipeline = self.pipeline.clone();
        async_std::task::spawn_blocking(move || {
            if pipeline.set_state(gst::State::Playing).is_err() {
                tracing::debug!("the capture did not start");
            }
        })
        .await;
    }

    /// Stops and lets go of devices. May be started again.
    pub async fn stop(&self) {
        let pipeline = self.pipeline.clone();
        async_std::task::spawn_blocking(move || {
            if pipeline.set_state(gst::State::Null).is_err() {
                tracing::warn!("the capture did not stop in order");
            }
        })
        .await;
    }

    /// Starts, waits until every track has given a frame, and stops again: what cannot work, or would
    /// show more than was asked for, is known before anybody calls, and what is slow the first time
    /// has been done.
    ///
    /// # Errors
    /// Says what cannot be captured and why.
    pub async fn rehearse(&self) -> Result<(), Failure> {
        let result = async_std::future::timeout(FIRST_FRAME_DEADLINE, self.first_frames()).await;
        let captured = self.captured_size();
        self.stop().await;
        if let (Ok(Ok(())), Some(region), Some(size)) = (&result, self.region, captured)
            && size != (region.width, region.height)
        {
            return Err(off_the_screen(region, size));
        }
        result.unwrap_or_else(|_| {
            let silent = self.tracks.iter().find(|track| !track.ready.is_closed());
            Err(silent_source(silent.map(|track| track.kind)))
        })
    }

    /// The size of the picture that the source gives.
    fn captured_size(&self) -> Option<(u32, u32)> {
        let source = self.pipeline.by_name(VIDEO_SOURCE)?;
        size_of(&source.static_pad("src")?.current_caps()?)
    }

    async fn first_frames(&self) -> Result<(), Failure> {
        self.start().await;
        let ready = try_join_all(self.tracks.iter().map(|track| track.ready.recv()));
        match select(ready, std::pin::pin!(self.failure())).await {
            Either::Left(_) => Ok(()),
            Either::Right((failure, _)) => Err(failure),
        }
    }

    /// Waits until the capture fails. For one waiter at a time.
    pub async fn failure(&self) -> Failure {
        let failure = self.failures.recv().await;
        failure.unwrap_or_else(|_| Failure::new(FailureKind::Other, "The capture has ended."))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Stopped before, unless something failed: then this is the last chance to free a device.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

impl Track {
    fn build(kind: Kind, branch: &Branch, pipeline: &gst::Pipeline) -> Result<Self, anyhow::Error> {
        let bin = gst::parse::bin_from_description(&branch.launch, false)
            .with_context(|| format!("building the {kind} capture"))?;
        for setting in &branch.settings {
            let element = bin
                .by_name(setting.element)
                .with_context(|| format!("no element {}", setting.element))?;
            set_property(&element, setting.property, &setting.value)?;
        }
        pipeline.add(&bin)?;
        let sink = bin
            .by_name(graph::sink_name(kind))
            .and_then(|sink| sink.downcast::<AppSink>().ok())
            .with_context(|| format!("no appsink for {kind}"))?;
        let (joining, joined) = bounded(MAX_JOINING);
        let (first, ready) = bounded(1);
        sink.set_callbacks(hand_on(joined, first));
        Ok(Self {
            kind,
            sink,
            joining,
            key_frame_asked: Arc::default(),
            ready,
        })
    }

    /// Lets `viewer` have every frame from the next key frame on; `sent` counts them. It leaves by
    /// going away, or by being stopped.
    pub fn join(&self, viewer: &AppSrc, sent: Arc<AtomicU64>) {
        let joining = Viewer {
            source: viewer.downgrade(),
            sent,
            started: false,
        };
        if self.joining.try_send(joining).is_err() {
            tracing::warn!(kind = %self.kind, "too many viewers join at once; one is left out");
        }
        self.force_key_frame();
    }

    /// Asks the encoder for a key frame, unless that was done a moment ago: a peer that still lacks
    /// one asks again.
    pub fn request_key_frame(&self) {
        let now = self.sink.current_running_time().unwrap_or_default();
        let asked = gst::ClockTime::from_mseconds(self.key_frame_asked.load(Ordering::Relaxed));
        if now.saturating_sub(asked) >= KEY_FRAME_INTERVAL {
            self.force_key_frame();
        }
    }

    fn force_key_frame(&self) {
        if self.kind == Kind::Video {
            let now = self.sink.current_running_time().unwrap_or_default();
            self.key_frame_asked
                .store(now.mseconds(), Ordering::Relaxed);
            let event = gst_video::UpstreamForceKeyUnitEvent::builder()
                .all_headers(true)
                .build();
            // Refused while the capture is not running; it begins with a key frame anyway.
            let _ = self.sink.send_event(event);
        }
    }

    /// The size of the encoded picture, once there is one.
    pub fn size(&self) -> Option<(u32, u32)> {
        size_of(&self.sink.static_pad("sink")?.current_caps()?)
    }
}

/// The clock and the zero that all pipelines of a process share, so that a frame's running time in
/// the capture is its running time at every viewer.
#[derive(Clone, Debug)]
pub struct Timeline {
    clock: gst::Clock,
    zero: gst::ClockTime,
}

impl Default for Timeline {
    fn default() -> Self {
        let clock = gst::SystemClock::obtain();
        let zero = clock.time();
        Self { clock, zero }
    }
}

impl Timeline {
    /// Makes a pipeline run on this timeline.
    pub fn rule(&self, pipeline: &gst::Pipeline) {
        pipeline.use_clock(Some(&self.clock));
        pipeline.set_start_time(gst::ClockTime::NONE);
        pipeline.set_base_time(self.zero);
    }
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

fn hand_on(joined: Receiver<Viewer>, first: Sender<()>) -> AppSinkCallbacks {
    let mut viewers: Vec<Viewer> = Vec::new();
    AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if !first.is_closed() {
                let _ = first.try_send(());
                first.close();
            }
            while let Ok(viewer) = joined.try_recv() {
                viewers.push(viewer);
            }
            let Some(frame) = on_timeline(&sample) else {
                return Ok(gst::FlowSuccess::Ok);
            };
            let caps = sample.caps();
            viewers.retain_mut(|viewer| viewer.take(&frame, caps));
            Ok(gst::FlowSuccess::Ok)
        })
        .build()
}

/// The frame with its running time as its timestamp: encoders may shift both timestamps and segment.
fn on_timeline(sample: &gst::Sample) -> Option<gst::Buffer> {
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    let mut frame = sample.buffer_owned()?;
    let pts = segment.to_running_time(frame.pts());
    let dts = segment.to_running_time(frame.dts());
    // The frame's memory is shared; only its description is copied, if anybody else holds it.
    let description = frame.make_mut();
    description.set_pts(pts);
    description.set_dts(dts);
    Some(frame)
}

impl Viewer {
    /// Passes a frame on; false once the viewer is gone.
    fn take(&mut self, frame: &gst::Buffer, caps: Option<&gst::CapsRef>) -> bool {
        let Some(source) = self.source.upgrade() else {
            return false;
        };
        if !self.started {
            if frame.flags().contains(gst::BufferFlags::DELTA_UNIT) {
                return true;
            }
            source.set_caps(caps.map(gst::CapsRef::to_owned).as_ref());
            self.started = true;
        }
        if source.push_buffer(frame.clone()).is_err() {
            return false;
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
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

/// ximagesrc takes the whole screen when it cannot take the part: more than anybody wanted to show.
fn off_the_screen(region: Region, (width, height): (u32, u32)) -> Failure {
    let sentence = format!(
        "The region {region} is not wholly on the screen, which has {width}x{height} pixels; \
         nothing is shown."
    );
    Failure::new(FailureKind::Display, sentence)
}

fn silent_source(kind: Option<Kind>) -> Failure {
    let seconds = FIRST_FRAME_DEADLINE.as_secs();
    match kind {
        Some(Kind::Audio) => Failure::new(
            FailureKind::Device,
            format!("The sound source gave nothing for {seconds} s; try another --audio-device."),
        ),
        Some(Kind::Video) | None => Failure::new(
            FailureKind::Display,
            format!("The screen gave no picture for {seconds} s; try another --display."),
        ),
    }
}
