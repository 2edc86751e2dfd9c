//! Sources whose pictures are encoded already.
//!
//! They give the encoded frames beside the raw ones. What is not needed is not decoded: a gate before
//! the decoder is closed then, and opens at a key frame.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gst::prelude::*;
use gst_app::{AppSink, AppSinkCallbacks};

use super::{Listener, Order, Outlet, SourceEvent};
use crate::feed::{Feed, Passage};
use crate::graph::{self, Branch, GATE};
use crate::intake::marked;
use crate::media::{Codec, File, Kind, Media, VideoCodec, VideoFormat};
use crate::passing::{Passing, Reason, Trial};
use crate::plugins;
use crate::prescan::{form_of, seen};
use crate::timeline::Timeline;

/// What of a source is encoded already.
pub(super) struct Passed {
    codec: VideoCodec,
    passage: Arc<Passage>,
    /// What is asked of it while it runs, where nothing is known before.
    trial: Option<VideoFormat>,
}

/// What makes raw frames of those in a codec; `None` where it is not sent or there is no decoder.
pub(super) fn decoder_of(codec: VideoCodec, media: &Media) -> Option<&'static str> {
    let is_sent = media.codecs(Kind::Video).contains(&Codec::Video(codec));
    is_sent.then(|| plugins::decoder(Codec::Video(codec)))?
}

/// The branch of a film whose pictures fit; `None` when they do not. The listener hears of it. May
/// block while the film is looked at.
pub(super) fn film(
    file: &File,
    order: &Order,
    media: &Media,
    timeline: &Timeline,
    listener: &Listener,
) -> Option<(Branch, Passed)> {
    let looked = order.prescans.look(file, &media.format, timeline);
    let decoder =
        |passing: &Passing| decoder_of(passing.codec, media).ok_or(Reason::Unwanted(passing.codec));
    let verdict = looked.and_then(|passing| Ok((passing, decoder(&passing)?)));
    let told = verdict.clone().map(|(passing, _)| passing);
    // What cannot be played at all is told when it is tried.
    if told != Err(Reason::Unknown) {
        listener(SourceEvent::Judged(told));
    }
    let (Passing { codec, kbps, .. }, decoder) = verdict.ok()?;
    let with_sound = media.wants_sound_with_video();
    let branch = graph::passing_file_branch(file, codec, decoder, &media.format, with_sound);
    let passage = Passage::new(Codec::Video(codec), Some(kbps));
    let passed = Passed {
        codec,
        passage: Arc::new(passage),
        trial: None,
    };
    Some((branch, passed))
}

impl Passed {
    /// Of a source that has to prove that it fits.
    pub(super) fn on_trial(codec: VideoCodec, wanted: VideoFormat) -> Self {
        Self {
            codec,
            passage: Arc::new(Passage::new(Codec::Video(codec), None)),
            trial: Some(wanted),
        }
    }

    /// Ties the raw and the encoded end of a source to its way.
    pub(super) fn tie(
        self,
        number: u64,
        bin: &gst::Bin,
        (raw, encoded): (&AppSink, &AppSink),
        outlet: &Outlet,
        timeline: &Timeline,
    ) {
        let gate = bin.by_name(GATE).and_then(|gate| gate.static_pad("sink"));
        if let Some(gate) = gate {
            guard(&gate, number, &outlet.feed, &self.passage);
        }
        let passage = Arc::clone(&self.passage);
        raw.set_callbacks(pass_decoded_on(number, passage, outlet, timeline));
        encoded.set_callbacks(self.pass_encoded_on(number, outlet, timeline));
    }

    fn pass_encoded_on(
        self,
        number: u64,
        outlet: &Outlet,
        timeline: &Timeline,
    ) -> AppSinkCallbacks {
        let (outlet, timeline) = (outlet.clone(), timeline.clone());
        let mut form: Option<(gst::Caps, gst::Caps)> = None;
        let mut trial = Trial::default();
        let mut passes = None;
        AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                let (Some(frame), Some(caps)) = (timeline.place(sink, &sample), sample.caps())
                else {
                    return Ok(gst::FlowSuccess::Ok);
                };
                let (caps, marked) = match form.take().filter(|(known, _)| known.as_ref() == caps) {
                    Some(known) => known,
                    None => (caps.to_owned(), marked(caps)),
                };
                if let Some(wanted) = &self.trial
                    && let Some(verdict) =
                        trial.take(&form_of(&caps), &seen(&frame, self.codec), wanted)
                {
                    let kbps = verdict.as_ref().ok().map(|passing| passing.kbps);
                    self.passage.set_kbps(kbps);
                    if passes.replace(kbps.is_some()) != Some(kbps.is_some()) {
                        (outlet.listener)(SourceEvent::Judged(verdict));
                    }
                }
                if outlet
                    .feed
                    .pass_encoded(number, &self.passage, &frame, &marked)
                {
                    (outlet.listener)(SourceEvent::FirstFrame);
                }
                form = Some((caps, marked));
                Ok(gst::FlowSuccess::Ok)
            })
            .build()
    }
}

fn pass_decoded_on(
    number: u64,
    passage: Arc<Passage>,
    outlet: &Outlet,
    timeline: &Timeline,
) -> AppSinkCallbacks {
    let (outlet, timeline) = (outlet.clone(), timeline.clone());
    AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if let Some(frame) = timeline.place(sink, &sample)
                && outlet.feed.pass_decoded(number, &passage, &frame)
            {
                (outlet.listener)(SourceEvent::FirstFrame);
            }
            Ok(gst::FlowSuccess::Ok)
        })
        .build()
}

/// Lets frames through to the decoder while raw ones are wanted, from a key frame on.
fn guard(gate: &gst::Pad, number: u64, feed: &Arc<Feed>, passage: &Arc<Passage>) {
    let (feed, passage) = (Arc::clone(feed), Arc::clone(passage));
    let is_open = AtomicBool::new(false);
    gate.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let is_key = info
            .buffer()
            .is_some_and(|frame| !frame.flags().contains(gst::BufferFlags::DELTA_UNIT));
        let opens = is_key || is_open.load(Ordering::Relaxed);
        let lets = opens && feed.wants_decoded(number, &passage);
        if is_open.swap(lets, Ordering::Relaxed) != lets {
            tracing::debug!(number, open = lets, "the gate before the decoder");
        }
        match lets {
            true => gst::PadProbeReturn::Ok,
            // It is dropped here; what is left to be dropped gives a warning of GStreamer.
            false => gst::PadProbeReturn::Handled,
        }
    });
}
