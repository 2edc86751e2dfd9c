//! Finds out, before anything is sent, whether pictures can be sent as they are.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use gst::prelude::*;
use gst_app::{AppSink, AppSinkCallbacks};

use crate::camera::{Encoding, Wanted};
use crate::devices::cameras;
use crate::graph::{self, PARSER};
use crate::media::{Codec, File, Media, VideoCodec, VideoFormat, VideoSource};
use crate::passing::{Form, PASSING, Passing, Reason, Seen, Survey, is_shown, media_type};
use crate::source::{build, size_of};
use crate::timeline::Timeline;

/// How much of a film is looked at.
const LONGEST_LOOK: Duration = Duration::from_secs(120);

/// The same in bytes.
const MOST_BYTES: u64 = 64 << 20;

/// How long looking may take. What was seen by then is judged.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many frames may wait to be looked at.
const MAX_WAITING: usize = 64;

/// How many files are remembered.
const MAX_FILES: usize = 64;

/// What was found out about files, so that each is looked through once as long as it stays the same.
#[derive(Debug, Default)]
pub(crate) struct Prescans(Mutex<Known>);

type Known = BTreeMap<PathBuf, (Version, Result<Passing, Reason>)>;

/// What tells one content of a file from the next: which file it is, its length, and when it was
/// written.
type Version = (u64, u64, i64, i64);

/// What comes out of a file.
enum Item {
    /// It has pictures of this form.
    Form(Form),
    /// One of them.
    Frame(Seen),
    /// It is over.
    Over,
}

impl Prescans {
    /// Whether the pictures of a file fit, looked at unless that was done. Blocks for a while.
    pub(crate) fn look(
        &self,
        file: &File,
        wanted: &VideoFormat,
        timeline: &Timeline,
    ) -> Result<Passing, Reason> {
        let described = std::fs::metadata(&file.path).map_err(|_| Reason::Unknown)?;
        let written = (described.mtime(), described.mtime_nsec());
        let version = (described.ino(), described.len(), written.0, written.1);
        if let Some((known, verdict)) = self.known().get(&file.path)
            && *known == version
        {
            return verdict.clone();
        }
        let verdict = prescan(file, wanted, timeline);
        let mut known = self.known();
        if known.len() >= MAX_FILES {
            known.clear();
        }
        known.insert(file.path.clone(), (version, verdict.clone()));
        verdict
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing in here panics half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The codec in which the first source that can be sent as it is has its pictures: a film that fits, or
/// a camera that has nothing else as good as its H.264. Nothing is asked where somebody said which codec
/// goes first. Blocks while films are looked at and cameras are asked.
pub(crate) fn passing_codec(media: &Media, timeline: &Timeline) -> Option<VideoCodec> {
    if media.encoding.are_named {
        return None;
    }
    let VideoFormat {
        width,
        height,
        framerate,
        ..
    } = media.format;
    let wanted = Wanted {
        width,
        height,
        framerate,
        passes_h264: false,
    };
    let mut sources = std::iter::once(&media.video).chain(&media.others.video);
    let codec = |source: &VideoSource| match source {
        VideoSource::File(file) if !file.is_still() => {
            let passing = prescan(file, &media.format, timeline);
            passing.ok().map(|passing| passing.codec)
        }
        VideoSource::Camera(name) => {
            // What is wrong with it is told when it is tried.
            let plan = cameras::plan(name, &wanted).ok()?;
            (plan.choice.encoding == Encoding::H264).then_some(VideoCodec::H264)
        }
        VideoSource::File(_)
        | VideoSource::Screen(_)
        | VideoSource::Test(_)
        | VideoSource::Uri(_)
        | VideoSource::Pipeline(_)
        | VideoSource::App
        | VideoSource::None => None,
    };
    sources.find_map(|source| codec(source).filter(|its| media.encoding.codecs.contains(its)))
}

/// Looks through a file, or its first minutes, as fast as it can be read. Blocks for two seconds at
/// the most.
///
/// # Errors
/// Why its pictures cannot be sent as they are.
pub(crate) fn prescan(
    file: &File,
    wanted: &VideoFormat,
    timeline: &Timeline,
) -> Result<Passing, Reason> {
    // What is read from a pipe is gone.
    if !file.path.is_file() {
        return Err(Reason::Unknown);
    }
    let (items, waiting) = sync_channel(MAX_WAITING);
    let pipeline = pipeline(file, &items)
        .inspect_err(|error| tracing::debug!("a file cannot be looked at: {error:#}"))
        .map_err(|_| Reason::Unknown)?;
    let survey = match pipeline.set_state(gst::State::Playing) {
        Ok(_) => survey(&waiting, timeline),
        Err(_) => Survey::default(),
    };
    // Nobody may wait for room any more when the pipeline is stopped.
    drop(waiting);
    let _ = pipeline.set_state(gst::State::Null);
    survey.judge(wanted)
}

fn survey(items: &Receiver<Item>, timeline: &Timeline) -> Survey {
    let until = timeline.now() + PATIENCE;
    let mut survey = Survey::default();
    while survey.lasts() < LONGEST_LOOK && survey.bytes() < MOST_BYTES {
        let left = until.saturating_sub(timeline.now());
        match items.recv_timeout(left) {
            Ok(Item::Form(form)) => survey = Survey::new(form),
            Ok(Item::Frame(seen)) => survey.take(&seen),
            Ok(Item::Over) | Err(_) => break,
        }
    }
    survey
}

fn pipeline(file: &File, items: &SyncSender<Item>) -> Result<gst::Pipeline, anyhow::Error> {
    let bin = build(&graph::prescan_branch(file))?;
    let pipeline = gst::Pipeline::with_name("prescan");
    pipeline.add(&bin)?;
    // Of pictures in no codec that is passed at least the codec is told.
    let parser = bin.by_name(PARSER).context("a parser")?;
    let forms = items.clone();
    parser.connect_pad_added(move |_, pad| {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let form = form_of(&caps);
        let is_passable = PASSING.iter().any(|codec| form.name == media_type(*codec));
        if form.name.starts_with("video/") && !is_passable {
            let _ = forms.try_send(Item::Form(form));
        }
    });
    for codec in PASSING {
        let name = Codec::Video(codec).encoding_name();
        let sink = bin.by_name(name).context("an appsink")?;
        let sink = sink
            .downcast::<AppSink>()
            .map_err(|_| anyhow::anyhow!("no appsink"))?;
        let (frames, ends) = (items.clone(), items.clone());
        let mut has_form = false;
        let callbacks = AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                if let (false, Some(caps)) = (has_form, sample.caps()) {
                    has_form = true;
                    let _ = frames.send(Item::Form(form_of(&caps.to_owned())));
                }
                let seen = sample.buffer().map(|frame| seen(frame, codec));
                match seen.map(|seen| frames.send(Item::Frame(seen))) {
                    Some(Err(_)) => Err(gst::FlowError::Eos),
                    Some(Ok(())) | None => Ok(gst::FlowSuccess::Ok),
                }
            })
            .eos(move |_| {
                let _ = ends.send(Item::Over);
            });
        sink.set_callbacks(callbacks.build());
    }
    let bus = pipeline.bus().context("a pipeline has a bus")?;
    let ends = items.clone();
    bus.set_sync_handler(move |_, message| {
        if let gst::MessageView::Error(_) = message.view() {
            let _ = ends.send(Item::Over);
        }
        gst::BusSyncReply::Drop
    });
    Ok(pipeline)
}

/// What there is to know of an encoded frame.
pub(crate) fn seen(frame: &gst::BufferRef, codec: VideoCodec) -> Seen {
    let mut first = [0; 1];
    let read = frame.copy_to_slice(0, &mut first).is_ok();
    Seen {
        at: frame.pts().map(Duration::from),
        bytes: frame.size(),
        is_key: !frame.flags().contains(gst::BufferFlags::DELTA_UNIT),
        is_shown: read && is_shown(codec, &first),
    }
}

/// What caps say of encoded pictures.
pub(crate) fn form_of(caps: &gst::Caps) -> Form {
    let Some(structure) = caps.structure(0) else {
        return Form::default();
    };
    let pixels = structure.get::<gst::Fraction>("pixel-aspect-ratio").ok();
    Form {
        name: structure.name().to_string(),
        profile: structure.get::<String>("profile").ok(),
        size: size_of(caps),
        has_odd_pixels: pixels.is_some_and(|pixels| pixels.numer() != pixels.denom()),
    }
}
