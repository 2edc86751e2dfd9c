//! Where the frames of a codec come in, on their way to those who watch: raw ones for its encoder, and
//! encoded ones that are handed on as they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use gst::prelude::*;
use gst_app::AppSrc;

use crate::graph;
use crate::media::{Codec, Kind, Media};
use crate::passing::PASSING;

/// How many pictures may wait for the encoder. An old one is worth nothing.
const MAX_WAITING_PICTURES: u64 = 1;

/// How much sound may wait for the encoder: a hiccup of the scheduler.
const MAX_WAITING_SOUND: gst::ClockTime = gst::ClockTime::from_mseconds(100);

/// How many encoded frames may wait to be handed on, where nothing blocks. None of them can be left
/// out.
const MAX_WAITING_PASSED: u64 = 64;

/// What stands in the caps of frames that no encoder of ours made.
const PASSED: &str = "passed";

/// The place where frames of a codec enter. Cheap to clone: all clones are one. Until the encoder is
/// started, and after it is stopped, frames that are pushed are thrown away.
#[derive(Clone, Debug)]
pub(crate) struct Intake {
    pub(crate) codec: Codec,
    /// For frames that are to be encoded.
    pub(crate) raw: AppSrc,
    /// For frames that are encoded.
    pub(crate) passed: Option<AppSrc>,
    pub(crate) audience: Arc<Audience>,
}

/// Who watches a codec, as its thread last saw, and whose frames it is given.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    pub(crate) size: AtomicUsize,
    /// How many are about to watch.
    pub(crate) joining: AtomicUsize,
    /// Somebody has watched since the track was last handed out.
    pub(crate) came: AtomicBool,
    /// The number of the source whose frames are to be handed on as they are; 0 while those of the
    /// encoder are.
    pub(crate) giver: AtomicU64,
    /// Whether what was handed on last came as it was.
    pub(crate) is_passed: AtomicBool,
}

impl Intake {
    /// A place for frames of this codec.
    pub(crate) fn new(codec: Codec, media: &Media) -> Self {
        let input = || {
            AppSrc::builder()
                .format(gst::Format::Time)
                .is_live(true)
                .min_latency(0)
                .max_bytes(0)
                .leaky_type(gst_app::AppLeakyType::Downstream)
        };
        let raw = match codec.kind() {
            Kind::Video => input().max_buffers(MAX_WAITING_PICTURES),
            Kind::Audio => input().max_time(MAX_WAITING_SOUND),
        };
        let raw = raw.build();
        let caps = graph::raw_form(codec.kind(), media).parse::<gst::Caps>();
        raw.set_caps(caps.ok().as_ref());
        let is_passed = PASSING.iter().any(|passed| Codec::Video(*passed) == codec);
        Self {
            codec,
            raw,
            passed: is_passed.then(|| input().max_buffers(MAX_WAITING_PASSED).build()),
            audience: Arc::default(),
        }
    }

    /// Whether frames of the source with this number are handed on as they are.
    pub(crate) fn passes(&self, number: u64) -> bool {
        self.audience.giver.load(Ordering::Relaxed) == number
    }

    /// Has the encoder take the place of a source whose frames were handed on as they are, if they
    /// were, with a key frame.
    pub(crate) fn take_from(&self, number: u64) {
        let giver = &self.audience.giver;
        let (order, failed) = (Ordering::Relaxed, Ordering::Relaxed);
        if number != 0 && giver.compare_exchange(number, 0, order, failed).is_ok() {
            let event = gst_video::DownstreamForceKeyUnitEvent::builder()
                .all_headers(true)
                .build();
            // In front of the next raw frame. Should it be refused, the encoder is asked once more.
            let _ = self.raw.send_event(event);
        }
    }

    /// Hands an encoded frame on as it is.
    pub(crate) fn pass(&self, frame: &gst::Buffer, caps: &gst::Caps) {
        if let Some(passed) = &self.passed {
            let sample = gst::Sample::builder().buffer(frame).caps(caps).build();
            let _ = passed.push_sample(&sample);
        }
    }

    /// Whether somebody watches, or is about to.
    pub(crate) fn is_watched(&self) -> bool {
        let Audience { size, joining, .. } = &*self.audience;
        size.load(Ordering::Relaxed) + joining.load(Ordering::Relaxed) > 0
    }
}

/// The caps of frames that are handed on as they are.
pub(crate) fn marked(caps: &gst::CapsRef) -> gst::Caps {
    let mut caps = caps.to_owned();
    caps.make_mut().set(PASSED, true);
    caps
}

/// The caps for those who watch, and whether the frames are handed on as they are.
pub(crate) fn unmarked(caps: &gst::CapsRef) -> (gst::Caps, bool) {
    let is_passed = caps
        .structure(0)
        .is_some_and(|structure| structure.has_field(PASSED));
    let mut caps = caps.to_owned();
    if is_passed {
        caps.make_mut()
            .iter_mut()
            .for_each(|structure| structure.remove_field(PASSED));
    }
    (caps, is_passed)
}
