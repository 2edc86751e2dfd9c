//! Sources of pictures and sound, each in a pipeline of its own.
//!
//! Every source of a kind gives raw frames of the same form, so that one can take the place of another
//! while encoders and calls go on. A source that fails takes nothing down with it.

mod failures;
mod passing;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use gst::glib::value::FromValue;
use gst::glib::{ParamSpec, ParamSpecInt, ParamSpecInt64, ParamSpecUInt, ParamSpecUInt64, Value};
use gst::prelude::*;
use gst_app::{AppSink, AppSinkCallbacks, AppSrc};

use crate::camera::{CameraName, Encoding, Wanted};
use crate::devices::{cameras, grab};
use crate::echo;
use crate::failure::{Failure, FailureKind};
use crate::feed::Feed;
use crate::graph::{self, AUDIO_SOURCE, Branch, PASSED, Pace, RAW, RAW_SOUND, VIDEO_SOURCE};
use crate::media::{AudioSource, Codec, Kind, Media, Origin, VideoCodec, VideoSource};
use crate::passing::{Passing, Reason};
use crate::prescan::Prescans;
use crate::timeline::Timeline;
use failures::{explain, unbuilt};
use passing::{Passed, decoder_of};

/// How long what is played may take to be ready.
const PREROLL_LIMIT: Duration = Duration::from_secs(10);

/// How often one that gets ready is asked whether somebody stopped it.
const PREROLL_LOOK: gst::ClockTime = gst::ClockTime::from_mseconds(100);

/// What is shorter is not worth playing again without a pause.
const SHORTEST_LOOP: gst::ClockTime = gst::ClockTime::from_mseconds(500);

/// How far ahead of its picture an address that is live is read, in milliseconds.
const LIVE_LATENCY_MS: u32 = 100;

/// What a source says of itself, on a thread of GStreamer.
#[derive(Clone, Debug)]
pub(crate) enum SourceEvent {
    /// Its first frame has passed.
    FirstFrame,
    /// Whether its pictures are sent as they are, where they are encoded already.
    Judged(Result<Passing, Reason>),
    /// It cannot go on.
    Failed(Failure),
    /// It is over; whether it is to begin anew.
    Ended(bool),
}

/// Who hears what a source says. It must not block.
pub(crate) type Listener = Arc<dyn Fn(SourceEvent) + Send + Sync>;

/// Where the frames of a source go.
#[derive(Clone)]
pub(crate) struct Outlet {
    /// The way of its kind.
    pub(crate) feed: Arc<Feed>,
    /// What the program that embeds this library pushes frames of its kind into.
    pub(crate) program: Option<AppSrc>,
    /// The way of the sound that belongs to its pictures.
    pub(crate) sound: Option<Arc<Feed>>,
    /// Who hears of it.
    pub(crate) listener: Listener,
}

/// What is to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// A source.
    Origin(Origin),
    /// A slate with these words instead of a picture, or silence.
    Slate(Kind, String),
}

/// One start of a source.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// What is to be started.
    pub(crate) act: Act,
    /// Its number.
    pub(crate) number: u64,
    /// Set by whoever wants it to end while it is still getting ready.
    pub(crate) unwanted: Arc<AtomicBool>,
    /// What is known of files.
    pub(crate) prescans: Arc<Prescans>,
}

/// What is to be built.
struct Plan {
    kind: Kind,
    pace: Pace,
    branch: Branch,
    /// What of it is encoded already.
    passed: Option<Passed>,
}

/// One source, while it is started.
#[derive(Debug)]
pub(crate) struct Source {
    kind: Kind,
    pipeline: gst::Pipeline,
    pace: Pace,
    /// What the program pushes into, if its frames are what is sent, with what it is in.
    program: Option<(AppSrc, gst::Bin)>,
    /// Set by whoever wants it to end while it is still getting ready.
    unwanted: Arc<AtomicBool>,
}

impl Source {
    /// Builds a source without starting it. Looks up what has to be looked up: may block for as long
    /// as a display or a camera takes to answer.
    ///
    /// # Errors
    /// Says what cannot be had and why.
    pub(crate) fn new(
        order: &Order,
        media: &Media,
        timeline: &Timeline,
        outlet: &Outlet,
    ) -> Result<Self, Failure> {
        let (act, number) = (&order.act, order.number);
        let plan = plan(order, media, timeline, &outlet.listener)?;
        let Plan {
            kind, pace, branch, ..
        } = plan;
        let pipeline = gst::Pipeline::with_name(&format!("source-{kind}-{number}"));
        match pace {
            Pace::Live => timeline.rule(&pipeline),
            // Its time begins when it is ready.
            Pace::Played { .. } => timeline.lend_clock(&pipeline),
        }
        let bin = build(&branch).map_err(|error| unbuilt(act, &error))?;
        let fail = |error: anyhow::Error| Failure::new(FailureKind::Other, format!("{error:#}"));
        echo::cancel(&bin).map_err(fail)?;
        pipeline
            .add(&bin)
            .map_err(|error| fail(anyhow!("a source does not fit its pipeline: {error}")))?;
        let sink = |name| {
            let sink = bin.by_name(name);
            sink.and_then(|sink| sink.downcast::<AppSink>().ok())
        };
        let raw = sink(RAW).ok_or_else(|| fail(anyhow!("no appsink for {kind}")))?;
        match (plan.passed, sink(PASSED)) {
            (Some(passed), Some(encoded)) => {
                passed.tie(number, &bin, (&raw, &encoded), outlet, timeline);
            }
            _ => raw.set_callbacks(pass_on(number, outlet.clone(), timeline.clone())),
        }
        if let (Some(raw), Some(sound)) = (sink(RAW_SOUND), &outlet.sound) {
            let feeds = (Arc::clone(&outlet.feed), Arc::clone(sound));
            raw.set_callbacks(pass_sound_on(number, feeds, timeline.clone()));
        }
        set_latency(&bin);
        if let Act::Origin(Origin::Video(VideoSource::Screen(screen))) = act {
            let source = bin
                .by_name(VIDEO_SOURCE)
                .and_then(|source| source.downcast::<AppSrc>().ok())
                .ok_or_else(|| fail(anyhow!("no appsrc for the screen")))?;
            let listener = Arc::clone(&outlet.listener);
            let framerate = media.format.framerate;
            grab::feed(&source, screen.clone(), framerate, move |failure| {
                listener(SourceEvent::Failed(failure));
            });
        }
        let program = match act {
            Act::Origin(Origin::Video(VideoSource::App)) => outlet.program.clone(),
            Act::Origin(Origin::Audio(AudioSource::App)) => outlet.program.clone(),
            Act::Origin(_) | Act::Slate(..) => None,
        };
        let program = program.map(|program| (program, bin));
        if let Some((program, bin)) = &program {
            put_in_front(program, bin, kind).map_err(fail)?;
        }
        watch(&pipeline, act.clone(), pace, outlet.listener.clone())?;
        Ok(Self {
            kind,
            pipeline,
            pace,
            program,
            unwanted: Arc::clone(&order.unwanted),
        })
    }

    /// Starts, and does not wait for the first frame of what is live. Blocks for as long as a device
    /// takes to open, or a file until its first frame.
    pub(crate) fn start(&self) {
        let started = match self.pace {
            Pace::Live => self.pipeline.set_state(gst::State::Playing).is_ok(),
            Pace::Played { repeat } => self.play(repeat),
        };
        if !started {
            tracing::debug!(kind = %self.kind, "the source did not start");
        }
    }

    /// Makes what is played ready and has it begin. What turns out to be live is taken as it comes.
    fn play(&self, repeat: bool) -> bool {
        match self.pipeline.set_state(gst::State::Paused) {
            Err(_) => return false,
            Ok(gst::StateChangeSuccess::NoPreroll) => {
                for sink in [RAW, RAW_SOUND, PASSED] {
                    if let Some(sink) = self.pipeline.by_name(sink) {
                        sink.set_property("sync", false);
                    }
                }
            }
            Ok(gst::StateChangeSuccess::Success | gst::StateChangeSuccess::Async) => {
                if !self.is_ready() {
                    return false;
                }
                let length = self.pipeline.query_duration::<gst::ClockTime>();
                if repeat && length.is_some_and(|length| length >= SHORTEST_LOOP) {
                    let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::SEGMENT;
                    // One that cannot be wound back begins anew at its end.
                    let _ = self.pipeline.seek_simple(flags, gst::ClockTime::ZERO);
                    if !self.is_ready() {
                        return false;
                    }
                }
            }
        }
        self.pipeline.set_state(gst::State::Playing).is_ok()
    }

    /// Waits until the first frame is there.
    fn is_ready(&self) -> bool {
        let looks = PREROLL_LIMIT.as_millis() / u128::from(PREROLL_LOOK.mseconds());
        for _ in 0..looks {
            if self.unwanted.load(Ordering::Relaxed) {
                return false;
            }
            match self.pipeline.state(PREROLL_LOOK) {
                (Ok(gst::StateChangeSuccess::Async), _, _) => {}
                (Ok(_), _, _) => return true,
                (Err(_), _, _) => return false,
            }
        }
        false
    }

    /// Stops and lets go of the device. Blocks.
    pub(crate) fn stop(self) {
        if self.pipeline.set_state(gst::State::Null).is_err() {
            tracing::warn!(kind = %self.kind, "the source did not stop in order");
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // Stopped before, unless something failed: then this is the last chance to free a device.
        let _ = self.pipeline.set_state(gst::State::Null);
        // It belongs to the program, and is used again.
        if let Some((program, bin)) = &self.program {
            let _ = bin.remove(program);
        }
    }
}

/// Puts what the program pushes into in front of its source.
fn put_in_front(program: &AppSrc, bin: &gst::Bin, kind: Kind) -> Result<(), anyhow::Error> {
    let name = match kind {
        Kind::Video => VIDEO_SOURCE,
        Kind::Audio => AUDIO_SOURCE,
    };
    let first = bin.by_name(name).context("a source has a first element")?;
    bin.add(program)?;
    program.link(&first)?;
    Ok(())
}

/// What is to be built, once everything is looked up.
fn plan(
    order: &Order,
    media: &Media,
    timeline: &Timeline,
    listener: &Listener,
) -> Result<Plan, Failure> {
    let format = &media.format;
    let origin = match &order.act {
        Act::Slate(Kind::Video, sentence) => {
            let can_write = gst::ElementFactory::find("textoverlay").is_some();
            return Ok(Plan {
                kind: Kind::Video,
                pace: Pace::Live,
                branch: graph::slate_branch(sentence, can_write, format),
                passed: None,
            });
        }
        Act::Slate(Kind::Audio, _) => &Origin::Audio(AudioSource::None),
        Act::Origin(origin) => origin,
    };
    let (branch, passed) = match origin {
        Origin::Video(VideoSource::Camera(name)) => camera(name, media)?,
        Origin::Video(VideoSource::File(file)) if !file.is_still() => {
            passing::film(file, order, media, timeline, listener).unzip()
        }
        Origin::Video(_) | Origin::Audio(_) => (None, None),
    };
    let built = branch
        .or_else(|| graph::origin_branch(origin, format, media.wants_sound_with_video()))
        .ok_or_else(|| Failure::new(FailureKind::Other, "This source cannot be built."))?;
    Ok(Plan {
        kind: origin.kind(),
        pace: origin.pace(),
        branch: graph::with_voice(built, origin, &media.voice),
        passed,
    })
}

/// Asks the camera what it has: it may be another one than last time. One that gives H.264 may prove
/// that it can be sent as it is.
fn camera(name: &CameraName, media: &Media) -> Result<(Option<Branch>, Option<Passed>), Failure> {
    let format = &media.format;
    let codec = VideoCodec::H264;
    let decoder = decoder_of(codec, media);
    let is_first = media.codecs(Kind::Video).first() == Some(&Codec::Video(codec));
    let wanted = Wanted {
        width: format.width,
        height: format.height,
        framerate: format.framerate,
        passes_h264: is_first && decoder.is_some(),
    };
    let plan = cameras::plan(name, &wanted)?;
    tracing::info!(camera = %plan.camera, form = %plan.choice, "taking the camera");
    let (path, choice) = (&plan.camera.path, &plan.choice);
    let passed = match (choice.encoding, decoder) {
        (Encoding::H264, Some(decoder)) => Some((
            graph::passing_camera_branch(path, choice, decoder, format),
            Passed::on_trial(codec, *format),
        )),
        (Encoding::H264 | Encoding::Raw | Encoding::Mjpeg, _) => None,
    };
    Ok(match passed {
        Some((branch, passed)) => (Some(branch), Some(passed)),
        None => (Some(graph::camera_branch(path, choice, format)), None),
    })
}

/// What a branch says, with its settings.
pub(crate) fn build(branch: &Branch) -> Result<gst::Bin, anyhow::Error> {
    let bin = gst::parse::bin_from_description(&branch.launch, false)?;
    for setting in &branch.settings {
        let element = bin
            .by_name(setting.element)
            .with_context(|| format!("no element {}", setting.element))?;
        set_property(&element, setting.property, &setting.value)?;
    }
    Ok(bin)
}

/// An address that is live is not held back for longer than a network's unrest.
fn set_latency(bin: &gst::Bin) {
    for name in [VIDEO_SOURCE, AUDIO_SOURCE] {
        let Some(element) = bin.by_name(name) else {
            continue;
        };
        if gst::glib::subclass::SignalId::lookup("source-setup", element.type_()).is_some() {
            element.connect("source-setup", false, |values| {
                let source = values.get(1)?.get::<gst::Element>().ok()?;
                if source.has_property_with_type("latency", u32::static_type()) {
                    source.set_property("latency", LIVE_LATENCY_MS);
                }
                None
            });
        }
    }
}

/// Has the listener hear what the bus says; what is to be repeated is wound back.
fn watch(
    pipeline: &gst::Pipeline,
    act: Act,
    pace: Pace,
    listener: Listener,
) -> Result<(), Failure> {
    let bus = pipeline.bus();
    let bus = bus.ok_or_else(|| Failure::new(FailureKind::Other, "A pipeline has no bus."))?;
    let weak = pipeline.downgrade();
    bus.set_sync_handler(move |_, message| {
        let view = message.view();
        if let gst::MessageView::Error(error) = view {
            listener(SourceEvent::Failed(explain(error, &act)));
        } else if let gst::MessageView::Eos(_) = view {
            tracing::debug!("a source has come to its end");
            let again = matches!(pace, Pace::Played { repeat: true });
            listener(SourceEvent::Ended(again));
        } else if let (gst::MessageView::SegmentDone(_), Some(pipeline)) = (view, weak.upgrade()) {
            // Not on this thread, which is the one that has come to the end.
            pipeline.call_async(wind_back);
        }
        gst::BusSyncReply::Drop
    });
    Ok(())
}

/// The next round follows the last one without a gap in time.
fn wind_back(pipeline: &gst::Pipeline) {
    tracing::debug!("what is played begins anew");
    let sought = pipeline.seek(
        1.0,
        gst::SeekFlags::SEGMENT,
        gst::SeekType::Set,
        gst::ClockTime::ZERO,
        gst::SeekType::None,
        gst::ClockTime::NONE,
    );
    if sought.is_err() {
        tracing::debug!("what is played could not be wound back");
    }
}

fn pass_on(number: u64, outlet: Outlet, timeline: Timeline) -> AppSinkCallbacks {
    AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if let Some(frame) = timeline.place(sink, &sample)
                && outlet.feed.pass(number, &frame)
            {
                (outlet.listener)(SourceEvent::FirstFrame);
            }
            Ok(gst::FlowSuccess::Ok)
        })
        .build()
}

/// The sound of a picture passes while the picture does.
fn pass_sound_on(
    number: u64,
    (pictures, sounds): (Arc<Feed>, Arc<Feed>),
    timeline: Timeline,
) -> AppSinkCallbacks {
    AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if let Some(frame) = timeline.place(sink, &sample)
                && pictures.current() == number
            {
                sounds.pass_sound_of_picture(&frame);
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
