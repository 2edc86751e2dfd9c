//! What is captured and encoded: sources, encoders, and what ties them together.
//!
//! Three stages, each a pipeline of its own on the shared [`Timeline`]: a source gives raw frames,
//! an [`Encoder`] for each codec in use encodes them, and each peer's pipeline sends them. Frames go
//! from one to the next by reference, and a failure in one stage takes no other down.

mod rate;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use futures_util::future::{Either, join_all, select};
use gst_app::AppSrc;

use crate::encoder::Encoder;
use crate::failure::{Failure, FailureKind};
use crate::feed::Feed;
use crate::intake::Intake;
use crate::media::{Codec, Kind, Media, Origin};
use crate::report::Report;
use crate::studio::Studio;

pub use crate::encoder::Track;
pub use crate::source::{set_property, size_of};
pub use crate::timeline::Timeline;

/// How long the first frame may take after the capture was started.
const FIRST_FRAME_DEADLINE: Duration = Duration::from_secs(10);

/// How many frames of the program's own may wait for the conversion; older ones are dropped.
const MAX_WAITING_PUSHED: u64 = 4;

/// Captures and encodes, while it is started. Cheap to clone: all clones are one.
#[derive(Clone, Debug)]
pub struct Capture(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    media: Media,
    timeline: Timeline,
    studio: Studio,
    programs: BTreeMap<Kind, AppSrc>,
    changes: Receiver<Report>,
    feeds: BTreeMap<Kind, Arc<Feed>>,
    intakes: BTreeMap<Codec, Intake>,
    /// Made when they are first asked for. On no frame's way.
    encoders: Mutex<BTreeMap<Codec, Encoder>>,
    /// What encoders of pictures aim at.
    bitrate_kbps: AtomicU32,
    failed: Sender<Failure>,
    failures: Receiver<Failure>,
}

impl Capture {
    /// Builds everything without starting it. Every pipeline of the process shares `timeline`.
    ///
    /// # Errors
    /// When an element cannot be made, or refuses a value the user gave.
    pub fn new(media: &Media, timeline: &Timeline) -> Result<Self, anyhow::Error> {
        // One failure is enough: the first is the cause of the others.
        let (failed, failures) = bounded(1);
        let mut feeds = BTreeMap::new();
        let mut intakes = BTreeMap::new();
        for kind in Kind::ALL {
            if !media.sends(kind) {
                continue;
            }
            let of_kind = media.codecs(kind).into_iter();
            let of_kind: Vec<_> = of_kind.map(|codec| Intake::new(codec, media)).collect();
            feeds.insert(kind, Arc::new(Feed::new(of_kind.clone())));
            intakes.extend(of_kind.into_iter().map(|intake| (intake.codec, intake)));
        }
        let programs = programs(media);
        let (studio, changes) = Studio::open(media, timeline, &feeds, &programs, failed.clone());
        let capture = Self(Arc::new(Inner {
            media: media.clone(),
            timeline: timeline.clone(),
            studio,
            programs,
            changes,
            feeds,
            intakes,
            encoders: Mutex::default(),
            bitrate_kbps: AtomicU32::new(media.format.bitrate_kbps),
            failed,
            failures,
        }));
        capture.0.settle_cap();
        for kind in Kind::ALL {
            // The others are made when a peer takes one of them.
            if let Some(codec) = media.codecs(kind).first().filter(|_| media.sends(kind)) {
                capture.0.with_encoder(*codec, |_| ())?;
            }
        }
        Ok(capture)
    }

    /// Whether there is nothing to capture.
    pub fn is_empty(&self) -> bool {
        self.0.intakes.is_empty()
    }

    /// The track of a codec, whose encoder is made and started if it was not; `None` when nothing of
    /// its kind is sent, or not in this codec. May block for as long as an encoder takes to open.
    pub fn track(&self, codec: Codec) -> Option<Track> {
        let track = self.0.with_encoder(codec, |encoder| {
            encoder.start();
            encoder.hand_out()
        });
        track
            .inspect_err(|error| tracing::warn!("no encoder of {codec}: {error:#}"))
            .ok()?
    }

    /// Starts, and does not wait for the first frame. A source that cannot be had is told of by
    /// [`Capture::changes`], what else goes wrong by [`Capture::failure`].
    pub async fn start(&self) {
        self.begin(false).await;
    }

    async fn begin(&self, rehearsal: bool) {
        // The encoders before the sources, so that no frame is lost.
        let inner = Arc::clone(&self.0);
        async_std::task::spawn_blocking(move || inner.start_encoders()).await;
        self.0.studio.start(rehearsal).await;
    }

    /// Stops and lets go of devices. May be started again.
    pub async fn stop(&self) {
        self.0.studio.stop().await;
        let inner = Arc::clone(&self.0);
        async_std::task::spawn_blocking(move || inner.stop_encoders()).await;
    }

    /// What the program pushes its own frames of a kind into, with their caps; `None` when
    /// [`VideoSource::App`](crate::media::VideoSource::App), or the same of sound, is not among the
    /// sources. It is live and stamps what comes with the time at which it comes
    /// ([GStreamer, `appsrc`](https://gstreamer.freedesktop.org/documentation/app/appsrc.html)). While
    /// another source is sent, and between calls, what is pushed is refused, and lost.
    pub fn app_source(&self, kind: Kind) -> Option<&AppSrc> {
        self.0.programs.get(&kind)
    }

    /// Has another source of a kind sent, by its place in [`Capture::sources`]. It takes over with its
    /// first frame; nothing is negotiated anew. False when there is no such source.
    pub fn switch(&self, kind: Kind, index: usize) -> bool {
        index < self.0.media.origins(kind).len()
            && self.0.studio.selected(kind).is_some()
            && self.0.studio.select(kind, index)
    }

    /// What the sources of a kind are called, in their order. Tells no paths and no passwords.
    pub fn sources(&self, kind: Kind) -> Vec<String> {
        let origins = self.0.media.origins(kind);
        origins.iter().map(Origin::label).collect()
    }

    /// The place of the source of a kind that is sent, or is to be; `None` when none can be.
    pub fn selected(&self, kind: Kind) -> Option<usize> {
        self.0.studio.selected(kind)
    }

    /// What is to be told of sources. Each change comes to one of those who wait for it.
    pub fn changes(&self) -> Receiver<Report> {
        self.0.changes.clone()
    }

    /// Starts, waits until every track has given a frame, and stops again: what cannot work, or would
    /// show more than was asked for, is known before anybody calls, and what is slow the first time
    /// has been done.
    ///
    /// # Errors
    /// Says what cannot be captured and why.
    pub async fn rehearse(&self) -> Result<(), Failure> {
        // What the program pushes begins when the program likes.
        let is_pushed = |track: &Track| {
            let origins = self.0.media.origins(track.codec.kind());
            origins.first().is_some_and(Origin::is_app)
        };
        let mut tracks = self.0.tracks();
        tracks.retain(|track| !is_pushed(track));
        if tracks.is_empty() {
            return Ok(());
        }
        self.begin(true).await;
        let first_frames = async {
            let ready = join_all(tracks.iter().map(Track::first_frame));
            match select(ready, std::pin::pin!(self.failure())).await {
                Either::Left(_) => Ok(()),
                Either::Right((failure, _)) => Err(failure),
            }
        };
        let result = async_std::future::timeout(FIRST_FRAME_DEADLINE, first_frames).await;
        self.stop().await;
        result.unwrap_or_else(|_| {
            let silent = tracks.iter().find(|track| !track.is_ready());
            let kind = silent.map_or(Kind::Video, |track| track.codec.kind());
            let origin = self.0.media.origins(kind).into_iter().next();
            let seconds = FIRST_FRAME_DEADLINE.as_secs();
            origin.map_or(Ok(()), |origin| Err(origin.silent(seconds)))
        })
    }

    /// Waits until the capture fails. For one waiter at a time.
    pub async fn failure(&self) -> Failure {
        let failure = self.0.failures.recv().await;
        failure.unwrap_or_else(|_| Failure::new(FailureKind::Other, "The capture has ended."))
    }
}

impl Inner {
    fn start_encoders(&self) {
        self.encoders().values().for_each(Encoder::start);
    }

    fn stop_encoders(&self) {
        self.encoders().values().for_each(Encoder::stop);
    }

    fn tracks(&self) -> Vec<Track> {
        let encoders = self.encoders();
        encoders.values().map(Encoder::track).cloned().collect()
    }

    /// Makes the encoder of a codec unless it is there; `None` when we do not send in this codec.
    fn with_encoder<T>(
        &self,
        codec: Codec,
        act: impl FnOnce(&Encoder) -> T,
    ) -> Result<Option<T>, anyhow::Error> {
        let Some(intake) = self.intakes.get(&codec) else {
            return Ok(None);
        };
        let mut encoders = self.encoders();
        if let Some(encoder) = encoders.get(&codec) {
            return Ok(Some(act(encoder)));
        }
        let failed = self.failed.clone();
        let encoder = Encoder::new(codec, &self.media, intake, &self.timeline, move |error| {
            let sentence = format!("The encoder of {codec} failed: {}", error.error());
            let _ = failed.try_send(Failure::new(FailureKind::Other, sentence));
        })?;
        self.settle_rate(encoder.track());
        let done = act(&encoder);
        encoders.insert(codec, encoder);
        Ok(Some(done))
    }

    fn encoders(&self) -> MutexGuard<'_, BTreeMap<Codec, Encoder>> {
        // Nothing in here panics half-way through a change.
        self.encoders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An appsrc for each kind of which the program pushes frames of its own.
fn programs(media: &Media) -> BTreeMap<Kind, AppSrc> {
    let pushed = Kind::ALL
        .into_iter()
        .filter(|kind| media.origins(*kind).iter().any(Origin::is_app));
    pushed
        .map(|kind| {
            let source = AppSrc::builder()
                .format(gst::Format::Time)
                .is_live(true)
                .do_timestamp(true)
                .max_buffers(MAX_WAITING_PUSHED)
                .max_bytes(0)
                .leaky_type(gst_app::AppLeakyType::Downstream)
                .build();
            (kind, source)
        })
        .collect()
}
