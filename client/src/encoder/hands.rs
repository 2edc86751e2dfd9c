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
    let mut hands = Hands::new(kind, joined, audience);
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
    fn new(kind: Kind, joined: Receiver<Viewer>, audience: Arc<Audience>) -> Self {
        Self {
            kind,
            joined,
            audience,
            viewers: Vec::new(),
            form: None,
            holds_passed: false,
            last: None,
        }
    }

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

#[cfg(test)]
mod tests {
    use async_channel::bounded;

    use super::*;
    use crate::intake::marked;

    const ENCODER: u64 = 0;
    const SOURCE: u64 = 7;

    /// Gives frames to one who watches: of each who gives it, who is to give them then, when it is shown
    /// in milliseconds, and whether it is a key frame. What arrives: the times, and with which caps.
    fn handed_on(frames: &[(u64, u64, u64, bool)]) -> Vec<(u64, bool)> {
        gst::init().expect("GStreamer is installed");
        let source = AppSrc::builder().format(gst::Format::Time).build();
        let sink = AppSink::builder().sync(false).build();
        let pipeline = gst::Pipeline::new();
        pipeline.add(&source).expect("it fits");
        pipeline.add(&sink).expect("it fits");
        source.link(&sink).expect("they fit");
        pipeline.set_state(gst::State::Playing).expect("it starts");

        let (joining, joined) = bounded(1);
        let audience = Arc::<Audience>::default();
        audience.joining.store(1, Ordering::Relaxed);
        let viewer = Viewer::new(&source, Arc::default());
        joining.try_send(viewer).expect("there is room");
        let mut hands = Hands::new(Kind::Video, joined, Arc::clone(&audience));
        let end = AppSink::builder().build();
        for &(from, wanted, at, is_key) in frames {
            audience.giver.store(wanted, Ordering::Relaxed);
            let mut frame = gst::Buffer::new();
            let description = frame.make_mut();
            description.set_pts(gst::ClockTime::from_mseconds(at));
            if !is_key {
                description.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
            let caps = gst::Caps::new_empty_simple("video/x-vp8");
            let caps = match from {
                ENCODER => caps,
                _ => marked(&caps),
            };
            let segment = gst::FormattedSegment::<gst::ClockTime>::new();
            let sample = gst::Sample::builder().buffer(&frame).caps(&caps);
            hands.take(&end, &sample.segment(&segment).build());
        }
        source.end_of_stream().expect("it takes the end");
        let mut arrived = Vec::new();
        while let Ok(sample) = sink.pull_sample() {
            let pts = sample.buffer().and_then(gst::BufferRef::pts);
            let is_plain = sample
                .caps()
                .is_some_and(|caps| !caps.to_string().contains("passed"));
            arrived.push((pts.map_or(0, gst::ClockTime::mseconds), is_plain));
        }
        let _ = pipeline.set_state(gst::State::Null);
        arrived
    }

    #[test]
    fn one_takes_the_place_of_the_other_at_a_key_frame_alone() {
        let arrived = handed_on(&[
            (ENCODER, ENCODER, 10, true),
            (SOURCE, SOURCE, 20, false),
            (ENCODER, SOURCE, 21, false),
            (SOURCE, SOURCE, 30, true),
            // What the encoder still had.
            (ENCODER, SOURCE, 31, false),
            (ENCODER, SOURCE, 32, true),
            (SOURCE, SOURCE, 40, false),
            (SOURCE, ENCODER, 50, false),
            (ENCODER, ENCODER, 51, false),
            (ENCODER, ENCODER, 60, true),
            (SOURCE, ENCODER, 61, true),
            (ENCODER, ENCODER, 70, false),
        ]);
        let times: Vec<_> = arrived.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [10, 21, 30, 40, 50, 60, 70]);
        assert!(arrived.iter().all(|(_, is_plain)| *is_plain), "{arrived:?}");
    }

    #[test]
    fn time_never_goes_back() {
        let arrived = handed_on(&[
            (ENCODER, ENCODER, 100, true),
            (SOURCE, SOURCE, 90, true),
            (SOURCE, SOURCE, 101, false),
            (SOURCE, SOURCE, 130, false),
        ]);
        let times: Vec<_> = arrived.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [100, 101, 102, 130]);
    }
}
