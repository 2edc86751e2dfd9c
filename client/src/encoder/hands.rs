//! From the end of an encoder into the hands of everybody who watches.
//!
//! Frames come from the encoder, or past it from a source that has them encoded. One takes the other's
//! place with a key frame and not before, so that nobody who watches ever gets a picture that refers to
//! one of the other kind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_channel::{Receiver, Sender};
use gst::prelude::*;
use gst_app::{AppSink, AppSinkCallbacks, AppSrc};

use crate::intake::{Audience, unmarked};
use crate::media::Kind;
use crate::timeline::on_timeline;

/// How much later a picture is made where it would not come after the one before it.
const STEP: gst::ClockTime = gst::ClockTime::from_mseconds(1);

/// Who gets the frames of a track.
#[derive(Debug)]
pub(super) struct Viewer {
    source: gst::glib::WeakRef<AppSrc>,
    sent: Arc<AtomicU64>,
    started: bool,
}

/// What the thread of an encoder's appsink owns.
struct Hands {
    kind: Kind,
    joined: Receiver<Viewer>,
    audience: Arc<Audience>,
    viewers: Vec<Viewer>,
    /// The caps as they came, those for who watches, and whether frames with them come past the encoder.
    form: Option<(gst::Caps, gst::Caps, bool)>,
    /// Whether what was handed on last came past the encoder.
    holds_passed: bool,
    /// When that is shown.
    last: Option<gst::ClockTime>,
}

/// Hands on what comes to the appsink. `first` is told of the first frame.
pub(super) fn hand_on(
    kind: Kind,
    joined: Receiver<Viewer>,
    first: Sender<()>,
    audience: Arc<Audience>,
) -> AppSinkCallbacks {
    let mut hands = Hands {
        kind,
        joined,
        audience,
        viewers: Vec::new(),
        form: None,
        holds_passed: false,
        last: None,
    };
    AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if !first.is_closed() {
                let _ = first.try_send(());
                first.close();
            }
            hands.take(sink, &sample);
            Ok(gst::FlowSuccess::Ok)
        })
        .build()
}

impl Hands {
    fn take(&mut self, sink: &AppSink, sample: &gst::Sample) {
        while let Ok(viewer) = self.joined.try_recv() {
            self.viewers.push(viewer);
            self.audience.joining.fetch_sub(1, Ordering::Relaxed);
        }
        let Some(mut frame) = on_timeline(sample) else {
            return;
        };
        let (caps, is_passed) = self.form_of(sample.caps());
        let is_key = !frame.flags().contains(gst::BufferFlags::DELTA_UNIT);
        if is_passed != self.holds_passed {
            let is_wanted = is_passed == (self.audience.giver.load(Ordering::Relaxed) != 0);
            if !is_wanted || !is_key {
                if is_wanted && !is_passed {
                    // It was told to begin with a key frame, and has missed that.
                    let event = gst_video::UpstreamForceKeyUnitEvent::builder()
                        .all_headers(true)
                        .build();
                    sink.send_event(event);
                }
                return;
            }
            self.holds_passed = is_passed;
            self.audience.is_passed.store(is_passed, Ordering::Relaxed);
        }
        self.keep_order(&mut frame);
        self.viewers
            .retain_mut(|viewer| viewer.take(&frame, caps.as_ref()));
        let Audience { size, came, .. } = &*self.audience;
        size.store(self.viewers.len(), Ordering::Relaxed);
        came.fetch_or(!self.viewers.is_empty(), Ordering::Relaxed);
    }

    fn form_of(&mut self, caps: Option<&gst::CapsRef>) -> (Option<gst::Caps>, bool) {
        let Some(caps) = caps else {
            return (None, false);
        };
        let known = self.form.take().filter(|(came, ..)| came.as_ref() == caps);
        let (came, ours, is_passed) = known.unwrap_or_else(|| {
            let (ours, is_passed) = unmarked(caps);
            (caps.to_owned(), ours, is_passed)
        });
        self.form = Some((came, ours.clone(), is_passed));
        (Some(ours), is_passed)
    }

    /// Two who take turns are not quite in step, and RTP takes no step back.
    fn keep_order(&mut self, frame: &mut gst::Buffer) {
        let Some(pts) = frame.pts().filter(|_| self.kind == Kind::Video) else {
            return;
        };
        let after = self.last.map(|last| last + STEP);
        let pts = match (self.last, after) {
            (Some(last), Some(after)) if pts <= last => {
                frame.make_mut().set_pts(after);
                after
            }
            _ => pts,
        };
        self.last = Some(pts);
    }
}

impl Viewer {
    /// Somebody who begins with the next key frame; `sent` counts what it gets.
    pub(super) fn new(source: &AppSrc, sent: Arc<AtomicU64>) -> Self {
        Self {
            source: source.downgrade(),
            sent,
            started: false,
        }
    }

    /// Passes a frame on; false once the viewer is gone.
    fn take(&mut self, frame: &gst::Buffer, caps: Option<&gst::Caps>) -> bool {
        let Some(source) = self.source.upgrade() else {
            return false;
        };
        if !self.started {
            if frame.flags().contains(gst::BufferFlags::DELTA_UNIT) {
                return true;
            }
            source.set_caps(caps);
            self.started = true;
        }
        if source.push_buffer(frame.clone()).is_err() {
            return false;
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        true
    }
}
