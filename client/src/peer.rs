//! A connection with one peer: webrtcbin in a pipeline of its own.
//!
//! Whatever comes of what is asked of it, and whatever else happens, is told as a [`PeerEvent`].
//! Callbacks come on GStreamer's threads; each tells one event and returns. No GLib main loop runs. Offers and answers are made without
//! media; frames flow once [`PeerConnection::start_media`] is called.

mod certificate;
mod congestion;
mod data;
mod description;
mod lines;
mod outgoing;
mod progress;
mod promise;
mod transport;
mod verification;
mod watching;
mod webrtc_stats;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use async_std::future::timeout;
use async_std::task::JoinHandle;
use futures_util::future::join_all;
use gst::prelude::*;
use protocol::{Candidate, Description};

use crate::capture::{Capture, Timeline};
use crate::config::IcePolicy;
use crate::diagnosis::Progress;
use crate::failure::Failure;
use crate::ice_servers::IceServers;
use crate::media::{Codec, Kind, Media};
use crate::negotiation::Step;
use crate::receive::{FirstFrame, Outputs, ReceiveCounters};
use crate::record::plan::Note;
use crate::record::recorder::Recorder;
use crate::stats::Counters;
use crate::turn_tls::{Tunnels, TurnTls};
use congestion::Estimator;
use outgoing::Outgoing;
use progress::Seen;
use transport::Arrivals;
use verification::Gate;
use watching::carries_media;

pub use data::{DataChannel, DataChannelInit, MAX_MESSAGE_BYTES, Message, SendError};
pub use webrtc_stats::CandidatePair;

/// How long received packets wait for those that were overtaken: enough for a home network, little
/// enough to talk.
const JITTER_BUFFER_MS: u32 = 60;

/// How long the alert that ends DTLS may take to leave.
const GOODBYE_DEADLINE: Duration = Duration::from_millis(500);

/// How long closing waits for a negotiation that is under way.
const SETTLE_DEADLINE: Duration = Duration::from_secs(2);

/// What every connection of a process has in common.
#[derive(Clone, Debug)]
pub struct PeerSettings {
    /// What we send, and the codecs we ask for.
    pub media: Media,
    /// The clock of all pipelines.
    pub timeline: Timeline,
    /// Where what comes in goes.
    pub outputs: Outputs,
    /// The STUN and TURN servers.
    pub ice: IceServers,
    /// How TURN servers are spoken to by TLS.
    pub turn_tls: TurnTls,
    /// By which ways the peer may be reached.
    pub ice_policy: IcePolicy,
    /// Use this address alone for ICE.
    pub local_address: Option<IpAddr>,
    /// Whether data channels alone are worth a call.
    pub data: bool,
    /// What records the call.
    pub recorder: Option<Recorder>,
    /// Whether what the network carries is estimated while pictures are sent ([`PeerEvent::Estimated`]).
    pub adapts: bool,
}

impl Default for PeerSettings {
    /// Sends nothing, decodes and counts what comes in, names no STUN or TURN server, and has data
    /// channels.
    fn default() -> Self {
        Self {
            media: Media::default(),
            timeline: Timeline::default(),
            outputs: Outputs::NONE,
            ice: IceServers::default(),
            turn_tls: TurnTls::default(),
            ice_policy: IcePolicy::All,
            local_address: None,
            data: true,
            recorder: None,
            adapts: false,
        }
    }
}

/// Something that happened to a connection.
#[derive(Debug)]
pub enum PeerEvent {
    /// ICE found a candidate of ours; an empty one ends the list.
    Candidate(Candidate),
    /// Our offer or answer is made and in place.
    Described(Description),
    /// The peer's description is in place.
    RemoteDescriptionSet,
    /// ICE and DTLS are done and the certificate is the announced one.
    Connected,
    /// The connection cannot go on.
    Failed(Failure),
    /// The peer ended the connection in order.
    Closed,
    /// The first frame of this codec went out.
    FirstSent(Codec),
    /// The first received frame is decoded.
    FirstReceived(FirstFrame),
    /// Which candidates are in use, if webrtcbin tells; after [`PeerConnection::start_media`].
    Paired(Option<CandidatePair>),
    /// The counters that were asked for.
    Counted(Counters),
    /// What the network to the peer carries, in kilobits a second, as its feedback lets us estimate.
    Estimated(u32),
    /// The peer has opened a data channel.
    DataChannel(DataChannel),
    /// The person closed the window.
    WindowClosed,
    /// Latencies changed: [`PeerConnection::recalculate_latency`] is due.
    LatencyChanged,
    /// Something happened to what is recorded.
    Recording(Note),
}

/// Hears what happens. Called on GStreamer's threads: it must not block.
pub type Listener = Arc<dyn Fn(PeerEvent) + Send + Sync>;

/// One peer. Dropping it takes everything down; [`PeerConnection::close`] does so off this thread.
pub struct PeerConnection {
    pipeline: gst::Pipeline,
    webrtc: gst::Element,
    media: Media,
    takes_data: bool,
    /// A description is made, or being made.
    is_described: bool,
    listener: Listener,
    outgoing: Vec<Outgoing>,
    gate: Arc<Gate>,
    received: Arc<ReceiveCounters>,
    recorder: Option<Recorder>,
    /// How many tracks the peer may send, by what was negotiated.
    incoming: usize,
    arrivals: Arc<Arrivals>,
    seen: Arc<Seen>,
    /// How many TURN servers there are, and whether they are the only way.
    turn: (usize, bool),
    /// What webrtcbin is still asked for. It must not be taken down meanwhile.
    negotiations: Vec<JoinHandle<()>>,
    estimator: Option<Estimator>,
    /// The ways to TURN servers by TLS: there as long as webrtcbin is.
    _tunnels: Tunnels,
}

impl PeerConnection {
    /// Makes a connection that knows nothing of its peer yet, and starts it.
    ///
    /// # Errors
    /// When webrtcbin cannot be made or does not start.
    pub fn new(settings: &PeerSettings, listener: Listener) -> Result<Self, anyhow::Error> {
        let pipeline = gst::Pipeline::new();
        settings.timeline.rule(&pipeline);
        let (turn, tunnels) = settings.turn_tls.open(&settings.ice.turn);
        let webrtc = transport::webrtcbin(settings, &turn)?;
        let arrivals = Arc::<Arrivals>::default();
        let told = Arc::clone(&listener);
        transport::prepare(&webrtc, Arc::clone(&arrivals), move || {
            told(PeerEvent::Closed);
        });
        let mut estimator = None;
        if settings.adapts && settings.media.sends(Kind::Video) {
            let most = settings.media.total_kbps();
            estimator = Some(congestion::estimate(&webrtc, most, Arc::clone(&listener)));
        }
        pipeline.add(&webrtc)?;
        let peer = Self {
            pipeline,
            webrtc,
            media: settings.media.clone(),
            takes_data: settings.data,
            is_described: false,
            listener,
            outgoing: Vec::new(),
            gate: Arc::default(),
            received: Arc::default(),
            recorder: settings.recorder.clone(),
            incoming: 0,
            arrivals,
            seen: Arc::default(),
            turn: (
                settings.ice.turn.len(),
                settings.ice_policy == IcePolicy::Relay,
            ),
            negotiations: Vec::new(),
            estimator,
            _tunnels: tunnels,
        };
        peer.watch_bus()?;
        peer.watch_webrtcbin();
        peer.watch_tracks(settings.outputs.clone());
        data::watch_peer(&peer.webrtc, peer.gate.fate(), &peer.listener);
        peer.pipeline
            .set_state(gst::State::Playing)
            .context("starting webrtcbin")?;
        Ok(peer)
    }

    /// Takes the negotiation on. What comes of it is an event; what cannot be done is
    /// [`PeerEvent::Failed`]. [`Step::Send`] is not for this end.
    pub fn negotiate(&mut self, step: Step) {
        self.is_described |= matches!(step, Step::CreateOffer | Step::AcceptOffer(_));
        let done = match step {
            Step::CreateOffer => self.create_offer(),
            Step::AcceptOffer(sdp) => self.accept_offer(&sdp),
            Step::AcceptAnswer(sdp) => self.accept_answer(&sdp),
            Step::AddCandidate(candidate) => {
                self.add_candidate(&candidate);
                Ok(())
            }
            Step::Send(_) => Ok(()),
        };
        if let Err(failure) = done {
            (self.listener)(PeerEvent::Failed(failure));
        }
    }

    /// Opens a data channel ([W3C, `createDataChannel`](https://www.w3.org/TR/webrtc/#dom-peerconnection-createdatachannel)).
    /// The first one of a connection is to be made before the offer; where the descriptions have
    /// agreed on data channels, more of them may follow at any time.
    ///
    /// # Errors
    /// When the descriptions have not agreed on data channels, or webrtcbin makes none.
    pub fn create_data_channel(
        &self,
        label: &str,
        init: &DataChannelInit,
    ) -> Result<DataChannel, anyhow::Error> {
        anyhow::ensure!(
            !self.is_described || self.has_data(),
            "the two ends have agreed on no data channels"
        );
        let fate = self.gate.fate();
        data::create(&self.webrtc, fate, &self.listener, label, init)
    }

    /// Whether pictures or sound go either way, by what the two ends have agreed on.
    pub fn carries_media(&self) -> bool {
        carries_media(&self.webrtc)
    }

    /// Takes it for granted that the network carries so many kilobits a second, until the peer's feedback
    /// tells otherwise: that is how to find out.
    pub fn presume(&self, kbps: u32) {
        if let Some(estimator) = &self.estimator {
            estimator.presume(kbps);
        }
    }

    /// Has the picture that is sent to the peer begin anew.
    pub fn request_key_frame(&self) {
        let ways = self.outgoing.iter().filter_map(Outgoing::way);
        ways.filter(|way| way.codec.kind() == Kind::Video)
            .for_each(outgoing::Way::request_key_frame);
    }

    /// Whether data channels can be opened without another offer.
    pub fn has_data(&self) -> bool {
        let sctp = self
            .webrtc
            .property::<Option<gst::glib::Object>>("sctp-transport");
        sctp.is_some()
    }

    /// One that cannot be used is left out quietly.
    fn add_candidate(&self, candidate: &Candidate) {
        // GStreamer's strings end at a NUL, and its bindings insist that there is none before.
        if candidate.candidate.contains('\0') {
            return;
        }
        self.seen.theirs(&candidate.candidate);
        let line = candidate.sdp_m_line_index;
        self.webrtc
            .emit_by_name::<()>("add-ice-candidate", &[&line, &candidate.candidate]);
    }

    /// Lets every track that was negotiated flow, beginning with a key frame.
    pub fn start_media(&self, capture: &Capture) {
        let ways: Vec<_> = self.outgoing.iter().filter_map(Outgoing::way).collect();
        if let Some(recorder) = &self.recorder {
            recorder.expect(ways.len(), self.incoming);
        }
        self.arrivals.mark();
        for way in ways {
            let (way, capture) = (way.clone(), capture.clone());
            let (listener, recorder) = (Arc::clone(&self.listener), self.recorder.clone());
            // The first peer with a codec has an encoder opened.
            async_std::task::spawn_blocking(move || {
                if let Some(track) = capture.track(way.codec) {
                    if let Some(recorder) = &recorder {
                        recorder.send(&track);
                    }
                    way.start(&track, listener);
                }
            });
        }
        let reading = webrtc_stats::read(&self.webrtc);
        self.tell(async move {
            PeerEvent::Paired(
                reading
                    .await
                    .and_then(|stats| webrtc_stats::candidate_pair(&stats)),
            )
        });
    }

    /// How many packets have come from the peer, of whatever kind: while it lives, this grows.
    pub fn arrived(&self) -> u64 {
        self.arrivals.packets()
    }

    /// When the last of them came, on a clock that all connections of the process have in common.
    pub fn last_arrival(&self) -> Duration {
        self.arrivals.last()
    }

    /// The same of the first that came after media was let flow.
    pub fn first_arrival(&self) -> Option<Duration> {
        self.arrivals.first()
    }

    /// Reads all counters; they come as [`PeerEvent::Counted`].
    pub fn count(&self) {
        let reading = webrtc_stats::read(&self.webrtc);
        let mut counters = Counters::default();
        counters.received.frames = self.received.frames.load(Ordering::Relaxed);
        counters.received.audio_buffers = self.received.audio_buffers.load(Ordering::Relaxed);
        let mut streams = webrtc_stats::Streams {
            video_in: self.received.video_ssrc.load(Ordering::Relaxed),
            audio_in: self.received.audio_ssrc.load(Ordering::Relaxed),
            ..webrtc_stats::Streams::default()
        };
        for outgoing in &self.outgoing {
            match outgoing.kind() {
                Kind::Video => {
                    counters.sent.frames = outgoing.sent();
                    streams.video_out = outgoing.ssrc().into();
                }
                Kind::Audio => {
                    counters.sent.audio_buffers = outgoing.sent();
                    streams.audio_out = outgoing.ssrc().into();
                }
            }
        }
        self.tell(async move {
            if let Some(stats) = reading.await {
                webrtc_stats::count(&stats, &streams, &mut counters);
            }
            PeerEvent::Counted(counters)
        });
    }

    /// How far the connection has come, to say why it came no further.
    pub fn progress(&self) -> Progress {
        let (turn_servers, relay_alone) = self.turn;
        Progress {
            turn_servers,
            relay_alone,
            ..self.seen.progress(&self.webrtc)
        }
    }

    /// Whether we send this kind to the peer, by what was negotiated.
    pub fn sends(&self, kind: Kind) -> bool {
        self.outgoing
            .iter()
            .any(|outgoing| outgoing.kind() == kind && outgoing.way().is_some())
    }

    /// Spreads changed latencies through the pipeline. Blocks; not for GStreamer's own threads.
    pub fn recalculate_latency(&self) {
        let _ = self.pipeline.recalculate_latency();
    }

    /// Says good-bye to the peer, takes everything down and waits until it is, without blocking the
    /// executor.
    pub async fn close(mut self) {
        self.settle().await;
        if self.gate.is_open() {
            let goodbye = timeout(GOODBYE_DEADLINE, transport::say_goodbye(&self.webrtc)).await;
            tracing::debug!(?goodbye, "closing");
        }
        async_std::task::spawn_blocking(move || drop(self)).await;
    }

    /// Takes everything down without a word to the peer, who has another connection to us or had
    /// none: what it is told would end the call.
    pub async fn abandon(mut self) {
        self.settle().await;
        async_std::task::spawn_blocking(move || drop(self)).await;
    }

    async fn settle(&mut self) {
        // Taken down in the middle of a description, webrtcbin loses what it holds.
        let negotiations = std::mem::take(&mut self.negotiations);
        let settled = join_all(negotiations);
        if timeout(SETTLE_DEADLINE, settled).await.is_err() {
            tracing::warn!("a connection is closed in the middle of its negotiation");
        }
    }

    /// Lets the listener know what comes of a step of the negotiation.
    fn negotiating(&mut self, outcome: impl Future<Output = PeerEvent> + Send + 'static) {
        let step = self.tell(outcome);
        self.negotiations.push(step);
    }

    /// Lets the listener know what comes of something that takes its time.
    fn tell(&self, outcome: impl Future<Output = PeerEvent> + Send + 'static) -> JoinHandle<()> {
        let listener = Arc::clone(&self.listener);
        async_std::task::spawn(async move { listener(outcome.await) })
    }
}

impl Drop for PeerConnection {
    fn drop(&mut self) {
        self.gate.fate().ended.set();
        data::give_up_sending(&self.webrtc);
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}
