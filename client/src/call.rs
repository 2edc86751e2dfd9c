//! The loop that ties everything together: the only file that knows all the others.
//!
//! Everything that happens (a line from the relay, an event of the peer connection, a failing
//! capture, a signal, the passing of time) comes into one inbox; the [`Session`] says what is to be
//! done; this file does it. What takes long is done elsewhere and comes back through the inbox.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender, bounded};
use async_signal::{Signal, Signals};
use async_std::future::timeout;
use async_std::task::{self, JoinHandle};
use futures_util::StreamExt as _;
use protocol::{Description, SdpType};

use crate::backoff::Backoff;
use crate::capture::{Capture, Timeline};
use crate::cli::{Config, Show};
use crate::failure::{Failure, FailureKind};
use crate::graph;
use crate::media::{Kind, Media, VideoSource};
use crate::peer::{CandidatePair, PeerConnection, PeerEvent, PeerSettings};
use crate::plugins;
use crate::receive::{self, Outputs};
use crate::report::Report;
use crate::session::{Effect, Ending, Event, Session};
use crate::signaller::{RelayEvent, Signaller};
use crate::stats::{Counters, Rates};

/// Prints a report; an error means that nobody reads them any more.
pub type Print<'a> = &'a mut dyn FnMut(&Report) -> io::Result<()>;

/// How many events may wait. Far more than a call has; whoever floods us loses its own events.
const MAX_WAITING_EVENTS: usize = 1024;

/// How often statistics are read and the partner's life is checked.
const TICK: Duration = Duration::from_secs(1);

/// How long taking a call down may last before the next one is waited for all the same.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// A receiver of pictures reports every second: silence for so long means that it is gone.
const QUIET_LIMIT: Duration = Duration::from_secs(5);

/// A receiver of sound alone reports about every five seconds
/// ([RFC 3550, section 6.2](https://www.rfc-editor.org/rfc/rfc3550#section-6.2)).
const QUIET_LIMIT_WITHOUT_VIDEO: Duration = Duration::from_secs(12);

/// Runs the client until its call is over, or, waiting for calls, until it is stopped.
///
/// # Errors
/// Why it cannot go on.
pub async fn run(config: Config, print: Print<'_>) -> Result<(), Failure> {
    plugins::check(&graph::capture_elements(&config.media))?;
    let (inbox, events) = bounded(MAX_WAITING_EVENTS);
    let signals = watch_signals(inbox.clone())?;
    let mut client = Client::prepare(config, inbox, print).await?;
    let outcome = client.serve(&events).await;
    client.take_down().await;
    signals.cancel().await;
    outcome
}

/// What comes into the inbox.
enum Item {
    /// Of one connection, to the relay or to the peer. What comes late from an earlier one is
    /// ignored.
    Of(u64, Input),
    Registered(u64, Result<Signaller, Failure>),
    CaptureFailed(Failure),
    Stopped,
}

enum Input {
    Relay(RelayEvent),
    Peer(PeerEvent),
    Described(Result<Description, Failure>),
    Answered(Result<(), Failure>),
    Paired(Option<CandidatePair>),
    Counted(Counters),
}

struct Client<'a> {
    config: Config,
    settings: PeerSettings,
    capture: Arc<Capture>,
    inbox: Sender<Item>,
    print: Print<'a>,
    /// Nobody reads our reports any more.
    unread: bool,
    began: Instant,
    numbers: u64,
    relay: Link,
    backoff: Backoff,
    session: Session,
    call: Option<Call>,
}

/// Our connection to the relay.
enum Link {
    Registering(u64),
    Registered(u64, Signaller),
}

/// What exists while a call runs.
struct Call {
    number: u64,
    peer: PeerConnection,
    starting_capture: JoinHandle<()>,
    began: Instant,
    counters: Counters,
    counted: Instant,
    arrived: u64,
    heard: Instant,
}

impl<'a> Client<'a> {
    /// Gets everything ready that a call will need, so that what cannot work fails now and the first
    /// call is as quick as the tenth.
    async fn prepare(
        config: Config,
        inbox: Sender<Item>,
        print: Print<'a>,
    ) -> Result<Self, Failure> {
        let timeline = Timeline::default();
        let capture = Capture::new(&config.media, &timeline)
            .map_err(|error| Failure::new(FailureKind::Other, format!("{error:#}")))?;
        let settings = PeerSettings {
            media: config.media.clone(),
            timeline,
            outputs: outputs(config.show, &config.media).await?,
            stun: config.connection.stun.clone(),
            turn: config.connection.turn.clone(),
            local_address: config.connection.local_address,
        };
        let warm_up = task::spawn(warm_up(settings.clone()));
        capture.rehearse().await?;
        warm_up.await;
        let quiet_limit = quiet_limit(&config.media);
        let mut client = Self {
            config,
            settings,
            capture: Arc::new(capture),
            inbox,
            print,
            unread: false,
            began: now(),
            numbers: 0,
            relay: Link::Registering(0),
            backoff: Backoff::default(),
            session: Session::waiting(quiet_limit),
            call: None,
        };
        client.watch_capture();
        client.register(Duration::ZERO);
        Ok(client)
    }

    /// Takes one event after the other until there is a reason to end.
    async fn serve(&mut self, events: &Receiver<Item>) -> Result<(), Failure> {
        let mut next_tick = now() + TICK;
        loop {
            let wait = next_tick.saturating_duration_since(now());
            let ending = if wait.is_zero() {
                next_tick = now() + TICK;
                self.tick()
            } else {
                match timeout(wait, events.recv()).await {
                    Ok(Ok(Item::Stopped)) => return self.stop("stopped here").await,
                    Ok(Ok(Item::CaptureFailed(failure))) => return self.fail(failure).await,
                    Ok(Ok(Item::Registered(number, result))) => self.registered(number, result)?,
                    Ok(Ok(Item::Of(number, input))) if self.concerns(number) => self.step(input),
                    Ok(Ok(Item::Of(..)) | Err(_)) | Err(_) => None,
                }
            };
            if self.unread {
                return self.stop("nobody reads the reports").await;
            }
            if let Some(ending) = ending {
                let outcome = self.end(ending).await;
                if self.config.call.is_some() {
                    return outcome;
                }
                self.wait_for_the_next();
            }
        }
    }

    /// Ends a running call in order.
    async fn stop(&mut self, reason: &'static str) -> Result<(), Failure> {
        match self.call.is_some() {
            true => match self.handle(Event::Stop(reason)) {
                Some(ending) => self.end(ending).await,
                None => Ok(()),
            },
            false => Ok(()),
        }
    }

    async fn fail(&mut self, failure: Failure) -> Result<(), Failure> {
        if let Some(ending) = self.handle(Event::PeerFailed(failure.clone())) {
            let _ = self.end(ending).await;
        }
        Err(failure)
    }

    fn registered(
        &mut self,
        number: u64,
        result: Result<Signaller, Failure>,
    ) -> Result<Option<Ending>, Failure> {
        if !matches!(self.relay, Link::Registering(current) if current == number) {
            return Ok(None);
        }
        let first = number == 1;
        match result {
            Err(failure) if first => return Err(failure),
            Err(failure) => {
                tracing::debug!("{failure}");
                let delay = self.backoff.next_delay(fastrand::f64());
                self.register(delay);
                return Ok(None);
            }
            Ok(signaller) => self.relay = Link::Registered(number, signaller),
        }
        self.backoff = Backoff::default();
        let id = self.config.our_id.clone();
        self.report(Report::Registered {
            id,
            server: self.config.connection.server.to_string(),
        });
        if self.call.is_some() {
            return Ok(self.handle(Event::RelayBack));
        }
        let quiet_limit = quiet_limit(&self.config.media);
        let mut effects = Vec::new();
        self.session = match &self.config.call {
            None => Session::waiting(quiet_limit),
            Some(callee) => Session::calling(
                callee.peer.clone(),
                callee.request_offer,
                quiet_limit,
                self.began.elapsed(),
                &mut effects,
            ),
        };
        Ok(self.perform(effects))
    }

    /// Takes in one event.
    fn step(&mut self, input: Input) -> Option<Ending> {
        match input {
            Input::Relay(event) => self.relay_event(event),
            Input::Peer(event) => self.peer_event(event),
            Input::Described(Ok(description)) => {
                let kind = description.kind;
                let ending = self.handle(Event::LocalDescription(description));
                match kind {
                    SdpType::Offer => ending,
                    // An answer exists once the offer it answers is in place.
                    SdpType::Answer => self.handle(Event::RemoteDescriptionSet),
                }
            }
            Input::Answered(Ok(())) => self.handle(Event::RemoteDescriptionSet),
            Input::Described(Err(failure)) | Input::Answered(Err(failure)) => {
                self.handle(Event::PeerFailed(failure))
            }
            Input::Paired(pair) => {
                self.report_connected(pair);
                None
            }
            Input::Counted(counters) => {
                self.report_rates(counters);
                None
            }
        }
    }

    fn relay_event(&mut self, event: RelayEvent) -> Option<Ending> {
        let (reason, event) = match event {
            RelayEvent::Line(line) => return self.handle(Event::Line(&line)),
            RelayEvent::Closed => ("it closed the connection".to_owned(), Event::SessionClosed),
            RelayEvent::Lost(reason) => (reason, Event::RelayLost),
        };
        let ending = self.handle(event);
        if ending.is_none() {
            self.report(Report::RelayLost { reason });
            let delay = self.backoff.next_delay(fastrand::f64());
            self.register(delay);
        }
        ending
    }

    fn peer_event(&mut self, event: PeerEvent) -> Option<Ending> {
        match event {
            PeerEvent::Candidate(candidate) => self.handle(Event::LocalCandidate(candidate)),
            PeerEvent::Connected => self.handle(Event::Connected),
            PeerEvent::Failed(failure) => self.handle(Event::PeerFailed(failure)),
            PeerEvent::WindowClosed => self.handle(Event::Stop("the window was closed")),
            PeerEvent::FirstSent(kind) => {
                let codec = self.config.media.preferred(kind).to_string();
                let track = self
                    .capture
                    .tracks()
                    .iter()
                    .find(|track| track.kind == kind);
                let (width, height) = track.and_then(|track| track.size()).unwrap_or_default();
                self.report(Report::FirstFrameSent {
                    kind,
                    codec,
                    width,
                    height,
                });
                None
            }
            PeerEvent::FirstReceived(frame) => {
                let (width, height) = frame.size.unwrap_or_default();
                let (kind, codec) = (frame.codec.kind(), frame.codec.to_string());
                self.report(Report::FirstFrameReceived {
                    kind,
                    codec,
                    width,
                    height,
                });
                None
            }
            PeerEvent::LatencyChanged => {
                if let Some(call) = &self.call {
                    call.peer.recalculate_latency();
                }
                None
            }
        }
    }

    fn tick(&mut self) -> Option<Ending> {
        let quiet = match &mut self.call {
            None => Duration::ZERO,
            Some(call) => {
                let arrived = call.peer.arrived();
                if arrived != call.arrived {
                    (call.arrived, call.heard) = (arrived, now());
                }
                if self.session.is_up() {
                    let reading = call.peer.counters();
                    let (number, inbox) = (call.number, self.inbox.clone());
                    task::spawn(async move {
                        let _ = inbox
                            .send(Item::Of(number, Input::Counted(reading.await)))
                            .await;
                    });
                }
                call.heard.elapsed()
            }
        };
        self.handle(Event::Tick { quiet })
    }

    fn handle(&mut self, event: Event<'_>) -> Option<Ending> {
        let mut effects = Vec::new();
        self.session
            .handle(event, self.began.elapsed(), &mut effects);
        self.perform(effects)
    }

    fn perform(&mut self, effects: Vec<Effect>) -> Option<Ending> {
        for effect in effects {
            let result = match effect {
                Effect::Send(line) => self.send(line),
                Effect::StartPeer => self.start_peer(),
                Effect::CreateOffer => self.create_offer(),
                Effect::AcceptOffer(sdp) => self.accept_offer(&sdp),
                Effect::AcceptAnswer(sdp) => self.accept_answer(&sdp),
                Effect::AddCandidate(candidate) => self.with_call(|call| {
                    call.peer.add_candidate(&candidate);
                    Ok(())
                }),
                Effect::StartMedia => self.start_media(),
                Effect::DropRelay => {
                    let delay = self.backoff.next_delay(fastrand::f64());
                    self.register(delay);
                    Ok(())
                }
                Effect::Report(report) => {
                    self.report(report);
                    Ok(())
                }
                Effect::End(ending) => return Some(ending),
            };
            if let Err(failure) = result {
                return self.handle(Event::PeerFailed(failure));
            }
        }
        None
    }

    fn send(&mut self, line: String) -> Result<(), Failure> {
        if let Link::Registered(_, signaller) = &self.relay {
            signaller.send(line);
        }
        Ok(())
    }

    fn start_peer(&mut self) -> Result<(), Failure> {
        let number = self.next_number();
        let inbox = self.inbox.clone();
        let listener = Arc::new(move |event| {
            if inbox
                .try_send(Item::Of(number, Input::Peer(event)))
                .is_err()
            {
                tracing::warn!("an event of the connection is lost: too many are waiting");
            }
        });
        let peer = PeerConnection::new(&self.settings, listener)
            .map_err(|error| Failure::new(FailureKind::Other, format!("{error:#}")))?;
        let capture = Arc::clone(&self.capture);
        let starting_capture = match self.call.take() {
            // The peer's call overtook ours: what was prepared for ours makes room.
            Some(call) => {
                task::spawn(call.peer.close());
                call.starting_capture
            }
            None => task::spawn(async move { capture.start().await }),
        };
        let began = now();
        self.call = Some(Call {
            number,
            peer,
            starting_capture,
            began,
            counters: Counters::default(),
            counted: began,
            arrived: 0,
            heard: began,
        });
        Ok(())
    }

    fn create_offer(&mut self) -> Result<(), Failure> {
        let inbox = self.inbox.clone();
        self.with_call(|call| {
            let (number, offer) = (call.number, call.peer.create_offer()?);
            task::spawn(async move {
                let _ = inbox
                    .send(Item::Of(number, Input::Described(offer.await)))
                    .await;
            });
            Ok(())
        })
    }

    fn accept_offer(&mut self, sdp: &str) -> Result<(), Failure> {
        let inbox = self.inbox.clone();
        self.with_call(|call| {
            let (number, answer) = (call.number, call.peer.accept_offer(sdp)?);
            task::spawn(async move {
                let _ = inbox
                    .send(Item::Of(number, Input::Described(answer.await)))
                    .await;
            });
            Ok(())
        })
    }

    fn accept_answer(&mut self, sdp: &str) -> Result<(), Failure> {
        let inbox = self.inbox.clone();
        self.with_call(|call| {
            let (number, taken) = (call.number, call.peer.accept_answer(sdp)?);
            task::spawn(async move {
                let _ = inbox
                    .send(Item::Of(number, Input::Answered(taken.await)))
                    .await;
            });
            Ok(())
        })
    }

    fn start_media(&mut self) -> Result<(), Failure> {
        let inbox = self.inbox.clone();
        let capture = Arc::clone(&self.capture);
        self.with_call(|call| {
            call.heard = now();
            call.peer.start_media(capture.tracks());
            let (number, pair) = (call.number, call.peer.candidate_pair());
            task::spawn(async move {
                let _ = inbox
                    .send(Item::Of(number, Input::Paired(pair.await)))
                    .await;
            });
            Ok(())
        })
    }

    fn with_call(
        &mut self,
        act: impl FnOnce(&mut Call) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.call.as_mut().map_or(Ok(()), act)
    }

    fn report_connected(&mut self, pair: Option<CandidatePair>) {
        let Some(call) = &self.call else { return };
        let setup_ms = u64::try_from(call.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let unknown = || "unknown".to_owned();
        let (local, remote, transport) = match pair {
            Some(pair) => (pair.local, pair.remote, pair.transport),
            None => (unknown(), unknown(), unknown()),
        };
        self.report(Report::Connected {
            local,
            remote,
            transport,
            setup_ms,
        });
    }

    fn report_rates(&mut self, counters: Counters) {
        let Some(call) = &mut self.call else { return };
        let (elapsed, age) = (call.counted.elapsed(), call.began.elapsed());
        let rates = Rates::between(&call.counters, &counters, elapsed, age);
        (call.counters, call.counted) = (counters, now());
        self.report(Report::Stats(rates));
    }

    fn report(&mut self, report: Report) {
        if !self.unread && (self.print)(&report).is_err() {
            self.unread = true;
        }
    }

    /// Reports the end of a call and takes it down.
    async fn end(&mut self, ending: Ending) -> Result<(), Failure> {
        let seconds = self
            .call
            .as_ref()
            .map_or(0.0, |call| call.began.elapsed().as_secs_f64());
        let reason = match &ending.outcome {
            Ok(reason) => reason.clone(),
            Err(failure) => failure.sentence.clone(),
        };
        let seconds = (seconds * 10.0).round() / 10.0;
        self.report(Report::Ended {
            reason,
            by: ending.by,
            seconds,
        });
        self.take_down().await;
        ending.outcome.map(|_| ())
    }

    async fn take_down(&mut self) {
        // Hanging up comes first: the other side shall know at once.
        self.relay = Link::Registering(0);
        let Some(call) = self.call.take() else { return };
        let capture = Arc::clone(&self.capture);
        let closing = async move {
            call.peer.close().await;
            call.starting_capture.await;
            capture.stop().await;
        };
        if timeout(CLOSE_DEADLINE, closing).await.is_err() {
            tracing::error!("the call could not be taken down in time");
        }
    }

    fn wait_for_the_next(&mut self) {
        self.session = Session::waiting(quiet_limit(&self.config.media));
        self.register(Duration::ZERO);
    }

    /// Registers anew, after a while; the result comes through the inbox.
    fn register(&mut self, delay: Duration) {
        let number = self.next_number();
        self.relay = Link::Registering(number);
        let server = self.config.connection.server.clone();
        let id = self.config.our_id.clone();
        let inbox = self.inbox.clone();
        task::spawn(async move {
            task::sleep(delay).await;
            let lines = inbox.clone();
            let listener = move |event| {
                let lines = lines.clone();
                async move {
                    let _ = lines.send(Item::Of(number, Input::Relay(event))).await;
                }
            };
            let result = Signaller::register(&server, &id, listener).await;
            let _ = inbox.send(Item::Registered(number, result)).await;
        });
    }

    fn watch_capture(&self) {
        let (capture, inbox) = (Arc::clone(&self.capture), self.inbox.clone());
        if capture.tracks().is_empty() {
            return;
        }
        task::spawn(async move {
            let failure = capture.failure().await;
            let _ = inbox.send(Item::CaptureFailed(failure)).await;
        });
    }

    fn concerns(&self, number: u64) -> bool {
        self.relay.is(number) || self.call.as_ref().is_some_and(|call| call.number == number)
    }

    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}

impl Link {
    fn is(&self, number: u64) -> bool {
        matches!(self, Self::Registered(current, _) if *current == number)
    }
}

fn quiet_limit(media: &Media) -> Duration {
    match media.sent(Kind::Video) {
        Some(_) => QUIET_LIMIT,
        None => QUIET_LIMIT_WITHOUT_VIDEO,
    }
}

async fn outputs(show: Option<Show>, media: &Media) -> Result<Outputs, Failure> {
    // Unasked, no window is opened in the very screen that is being sent.
    let sends_screen = matches!(media.video, VideoSource::Screen(_));
    match show {
        Some(Show::None) => Ok(Outputs::NONE),
        Some(Show::Window) => task::spawn_blocking(Outputs::window).await,
        None if Outputs::display_is_there() && !sends_screen => {
            Ok(task::spawn_blocking(Outputs::window)
                .await
                .unwrap_or(Outputs::NONE))
        }
        None => Ok(Outputs::NONE),
    }
}

/// Makes one offer and one decoder of each kind, and throws them away: plugins are loaded then, and
/// the certificate that all connections of the process share is made.
async fn warm_up(settings: PeerSettings) {
    task::spawn_blocking(receive::warm_up).await;
    let Ok(mut peer) = PeerConnection::new(&settings, Arc::new(|_| {})) else {
        return;
    };
    if let Ok(offer) = peer.create_offer() {
        let _ = offer.await;
    }
    peer.close().await;
}

fn watch_signals(inbox: Sender<Item>) -> Result<JoinHandle<()>, Failure> {
    let signals = Signals::new([Signal::Int, Signal::Term, Signal::Hup])
        .map_err(|error| Failure::new(FailureKind::Other, format!("no signals: {error}")))?;
    Ok(task::spawn(async move {
        let mut signals = signals;
        while signals.next().await.is_some() {
            let _ = inbox.send(Item::Stopped).await;
        }
    }))
}

#[expect(clippy::disallowed_methods, reason = "this loop owns the clock")]
fn now() -> Instant {
    Instant::now()
}
