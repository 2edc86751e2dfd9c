//! An encoder in a pipeline of its own, and the way its frames take to every viewer.
//!
//! Frames are encoded once for each codec, whoever watches, and handed on by reference: the appsink's
//! thread pushes each encoded frame into the appsrc of every viewer. It owns the list of viewers, so
//! that no lock lies on a frame's way; a new viewer reaches it through a channel. A viewer begins at a
//! key frame. An appsrc drops when its viewer is slow, so none can hold up the encoder. Frames that are
//! encoded already come to the same appsink, past the encoder.

mod hands;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use async_channel::{Receiver, Sender, bounded};
use gst::prelude::*;
use gst_app::{AppSink, AppSrc};

use crate::encoders::Rate;
use crate::graph::{self, Branch, ENCODED, ENCODER, JOIN};
use crate::intake::{Audience, Intake};
use crate::media::{Codec, Kind, Media};
use crate::source::{set_property, size_of};
use crate::timeline::Timeline;
use hands::Viewer;

/// How many viewers may be joining in the time of one frame.
const MAX_JOINING: usize = 256;

/// However many key frames peers ask for, they get one in so long: a crowd that lost the same packet
/// asks at once.
const KEY_FRAME_INTERVAL: gst::ClockTime = gst::ClockTime::from_mseconds(300);

/// Encodes what a [`Feed`](crate::feed::Feed) gives into one codec, while it is started.
#[derive(Debug)]
pub struct Encoder {
    pipeline: gst::Pipeline,
    track: Track,
}

/// One encoded track.
#[derive(Clone, Debug)]
pub struct Track {
    /// How it is encoded.
    pub codec: Codec,
    sink: AppSink,
    joining: Sender<Viewer>,
    /// When a key frame was last asked for, in milliseconds of running time.
    key_frame_asked: Arc<AtomicU64>,
    /// Says once that the first frame is encoded.
    ready: Receiver<()>,
    rate: Option<(gst::glib::WeakRef<gst::Element>, Rate)>,
    audience: Arc<Audience>,
}

impl Encoder {
    /// Builds an encoder behind `intake` without starting it. `failed` hears of an element that cannot
    /// go on, on a thread of GStreamer.
    ///
    /// # Errors
    /// When an element cannot be made.
    pub(crate) fn new(
        codec: Codec,
        media: &Media,
        intake: &Intake,
        timeline: &Timeline,
        failed: impl Fn(&gst::message::Error) + Send + Sync + 'static,
    ) -> Result<Self, anyhow::Error> {
        let pipeline = gst::Pipeline::with_name(&format!("encoder-{codec}"));
        timeline.rule(&pipeline);
        let bin = build(&graph::encoder_branch(codec, media))
            .with_context(|| format!("building the encoder of {codec}"))?;
        pipeline.add_many([intake.raw.upcast_ref::<gst::Element>(), bin.upcast_ref()])?;
        intake.raw.link(&bin)?;
        if let Some(passed) = &intake.passed {
            let join = bin.by_name(JOIN).context("an encoder has an end")?;
            pipeline.add(passed)?;
            passed.link_pads(Some("src"), &join, Some("sink_%u"))?;
        }
        let sink = bin
            .by_name(ENCODED)
            .and_then(|sink| sink.downcast::<AppSink>().ok())
            .with_context(|| format!("no appsink for {codec}"))?;
        let bus = pipeline.bus().context("a pipeline has a bus")?;
        bus.set_sync_handler(move |_, message| {
            if let gst::MessageView::Error(error) = message.view() {
                failed(error);
            }
            gst::BusSyncReply::Drop
        });
        let rate = match codec {
            Codec::Video(codec) => media.encoding.encoder_of(codec).rate,
            Codec::Opus => Rate::Bits("bitrate"),
        };
        let encoder = bin.by_name(ENCODER).map(|encoder| encoder.downgrade());
        let rate = encoder.map(|encoder| (encoder, rate));
        let track = Track::new(codec, sink, rate, Arc::clone(&intake.audience));
        Ok(Self { pipeline, track })
    }

    /// What comes out.
    pub fn track(&self) -> &Track {
        &self.track
    }

    /// Starts, or goes on. Blocks for as long as the elements take to open.
    pub(crate) fn start(&self) {
        if self.pipeline.set_state(gst::State::Playing).is_err() {
            tracing::debug!(codec = %self.track.codec, "the encoder did not start");
        }
    }

    /// The track, for somebody who is about to join it.
    pub(crate) fn hand_out(&self) -> Track {
        self.track.audience.came.store(false, Ordering::Relaxed);
        self.track.clone()
    }

    /// Whether everybody who watched has gone.
    pub(crate) fn is_deserted(&self) -> bool {
        let Audience { size, came, .. } = &*self.track.audience;
        came.load(Ordering::Relaxed)
            && size.load(Ordering::Relaxed) == 0
            && self.track.joining.is_empty()
    }

    /// Stops and frees what the encoder holds. May be started again. Blocks.
    pub(crate) fn stop(&self) {
        if self.pipeline.set_state(gst::State::Null).is_err() {
            tracing::warn!(codec = %self.track.codec, "the encoder did not stop in order");
        }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

impl Track {
    fn new(
        codec: Codec,
        sink: AppSink,
        rate: Option<(gst::glib::WeakRef<gst::Element>, Rate)>,
        audience: Arc<Audience>,
    ) -> Self {
        let (joining, joined) = bounded(MAX_JOINING);
        let (first, ready) = bounded(1);
        sink.set_callbacks(hands::hand_on(
            codec.kind(),
            joined,
            first,
            Arc::clone(&audience),
        ));
        Self {
            codec,
            sink,
            joining,
            key_frame_asked: Arc::default(),
            ready,
            rate,
            audience,
        }
    }

    /// Lets `viewer` have every frame from the next key frame on; `sent` counts them. It leaves by
    /// going away, or by being stopped.
    pub fn join(&self, viewer: &AppSrc, sent: Arc<AtomicU64>) {
        // Counted first, so that it is never taken before.
        let joining = &self.audience.joining;
        joining.fetch_add(1, Ordering::Relaxed);
        if self.joining.try_send(Viewer::new(viewer, sent)).is_err() {
            joining.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!(codec = %self.codec, "too many viewers join at once; one is left out");
        }
        self.force_key_frame();
    }

    /// Asks the encoder for a key frame, unless that was done a moment ago: a peer that still lacks
    /// one asks again. While a source's own frames are passed there is nobody to ask: the next key
    /// frame comes when it comes.
    pub fn request_key_frame(&self) {
        let now = self.sink.current_running_time().unwrap_or_default();
        let asked = gst::ClockTime::from_mseconds(self.key_frame_asked.load(Ordering::Relaxed));
        if now.saturating_sub(asked) >= KEY_FRAME_INTERVAL {
            self.force_key_frame();
        }
    }

    /// Has the encoder aim at another bit rate from the next frame on; false when it cannot. From any
    /// thread; the stream goes on without a key frame.
    pub fn set_bitrate_kbps(&self, kbps: u32) -> bool {
        let Some((encoder, rate)) = &self.rate else {
            return false;
        };
        let Some(encoder) = encoder.upgrade() else {
            return false;
        };
        let (property, value) = rate.property(kbps);
        set_property(&encoder, property, &value)
            .inspect_err(|error| tracing::debug!("the bit rate stays: {error:#}"))
            .is_ok()
    }

    /// The size of the encoded picture, once there is one.
    pub fn size(&self) -> Option<(u32, u32)> {
        size_of(&self.sink.static_pad("sink")?.current_caps()?)
    }

    /// Whether it is watched, and what is seen is a source's own frames and not the encoder's.
    pub fn is_passed(&self) -> bool {
        let Audience {
            size, is_passed, ..
        } = &*self.audience;
        size.load(Ordering::Relaxed) > 0 && is_passed.load(Ordering::Relaxed)
    }

    /// Whether its encoder runs; one that everybody has left rests.
    pub fn is_encoded(&self) -> bool {
        self.sink.current_state() > gst::State::Ready
    }

    /// Waits until the first frame is encoded.
    pub(crate) async fn first_frame(&self) {
        // It is closed after the first.
        let _ = self.ready.recv().await;
    }

    /// Whether a frame has been encoded yet.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.is_closed()
    }

    fn force_key_frame(&self) {
        if self.codec.kind() == Kind::Video {
            let now = self.sink.current_running_time().unwrap_or_default();
            self.key_frame_asked
                .store(now.mseconds(), Ordering::Relaxed);
            let event = gst_video::UpstreamForceKeyUnitEvent::builder()
                .all_headers(true)
                .build();
            // Refused while the encoder is not running; it begins with a key frame anyway.
            let _ = self.sink.send_event(event);
        }
    }
}

/// What a branch with an encoder says. A setting that this version of an element does not have, or
/// does not take, is left out: an encoder may be slower without it, and is one all the same.
pub(crate) fn build(branch: &Branch) -> Result<gst::Bin, anyhow::Error> {
    let bin = gst::parse::bin_from_description(&branch.launch, true)?;
    for setting in &branch.settings {
        let element = bin
            .by_name(setting.element)
            .with_context(|| format!("no element {}", setting.element))?;
        if let Err(error) = set_property(&element, setting.property, &setting.value) {
            tracing::debug!("{error:#}");
        }
    }
    Ok(bin)
}
