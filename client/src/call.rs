//! The loop that ties everything together: the only file that knows all the others.
//!
//! Everything that happens (a line from the relay, an event of the peer connection, a failing
//! capture, a signal, the passing of time) comes into one inbox; the [`Session`] says what is to be
//! done; this file does it. What takes long is done elsewhere and comes back through the inbox.

mod adapting;
mod control;
mod data;
mod diagnosing;
mod endpoint;
mod files;
mod lines;
mod preparation;
mod recording;
mod sources;
mod survival;
mod telling;
mod watching;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use async_std::future::timeout;
use async_std::task::{self, JoinHandle};
use futures_util::future::join;

use crate::capture::Capture;
use crate::config::Config;
use crate::console;
use crate::data::Service;
use crate::failure::Failure;
use crate::inbox::{Inbox, Input, Ways};
use crate::link::Link;
use crate::negotiation::{Local, Step};
use crate::peer::{PeerEvent, PeerSettings};
use crate::picture_rate::PictureRate;
use crate::presence::{Presence, PresenceEvent};
use crate::printer::Printer;
use crate::probing::Probing;
use crate::report::Report;
use crate::session::{Effect, Ending, Event, Happening, Place, Session};
use crate::stats::Picture;
use crate::wire::label;
use survival::Outage;
use watching::Watching;

pub use endpoint::{Endpoint, Handle};
pub use preparation::{build_capture, prepare, watch_signals};

/// How long taking a call down may last before the next one is waited for all the same.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// Runs the client until its call is over, or, waiting for calls, until it is stopped or a signal asks
/// it to end.
///
/// # Errors
/// Why it cannot go on.
pub async fn run(config: Config, printer: Printer) -> Result<(), Failure> {
    // Standard input is either for commands or for lines to send.
    let commands = config.commands && config.data.service != Service::Lines;
    let endpoint = Endpoint::new(config)?;
    let handle = endpoint.handle();
    if commands {
        let handle = handle.clone();
        console::listen(move |line| handle.command(line));
    }
    let signals = watch_signals(move || handle.stop())?;
    let watching = Watching::begin(endpoint.observation(), endpoint.timeline()).await?;
    let outcome = endpoint
        .run(move |report| {
            watching.hear(report);
            match printer.print(report) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        })
        .await;
    signals.cancel().await;
    outcome
}

/// Hears every report; when it breaks, nobody is interested any more, and the client ends.
type Audience = Box<dyn FnMut(&Report) -> ControlFlow<()> + Send>;

struct Client {
    config: Config,
    settings: PeerSettings,
    capture: Capture,
    /// A call's connection goes by its number: what comes late from an earlier one is ignored.
    ways: Ways<u64>,
    audience: Audience,
    /// Nobody reads our reports any more.
    unread: bool,
    began: Instant,
    /// How many connections there were.
    links: u64,
    presence: Presence,
    /// Nobody can call us any more; what runs, runs on.
    refused: Option<Failure>,
    /// What the relay says is about this session, and not about one that is over.
    registered: bool,
    session: Session,
    rate: PictureRate,
    probing: Probing,
    call: Option<Call>,
    data: data::Data,
}

/// What exists while a call runs.
struct Call {
    link: Link,
    /// What is to take the place of `link`.
    second: Option<Link>,
    /// What is not told yet of the last time this happened.
    outage: Option<Outage>,
    starting_capture: JoinHandle<()>,
    /// It was said already that nothing comes from the other side.
    is_missed: bool,
    /// The picture that is sent, and the one that is received, once there is one.
    pictures: [Option<Picture>; 2],
}

impl Client {
    fn new(
        config: Config,
        capture: Capture,
        settings: PeerSettings,
        ways: Ways<u64>,
        audience: Audience,
        data: data::Data,
    ) -> Self {
        ways.watch_capture(&capture);
        let relay = config.connection.relay.clone();
        Self {
            presence: Presence::begin(relay, config.our_id.clone(), ways.relay()),
            session: Session::waiting(),
            rate: PictureRate::new(config.media.format.bitrate_kbps, config.media.sound_kbps()),
            probing: Probing::new(0, Duration::ZERO),
            config,
            settings,
            capture,
            ways,
            audience,
            unread: false,
            began: now(),
            links: 0,
            refused: None,
            registered: false,
            call: None,
            data,
        }
    }

    /// Takes one event after the other until there is a reason to end.
    async fn serve(&mut self, inbox: &mut Inbox<u64>) -> Result<(), Failure> {
        loop {
            let ending = match inbox.next().await {
                Input::Stopped => return self.stop("stopped here"),
                Input::CaptureFailed(failure) => return self.fail(failure),
                Input::SourceChanged(change) => self.note(|this| this.report(change)),
                Input::Typed(line) => self.note(|this| this.typed(&line)),
                Input::Relay(PresenceEvent::Refused(failure)) => match self.call {
                    None => return Err(failure),
                    Some(_) => {
                        tracing::warn!("{failure} The call goes on, and is the last.");
                        self.refused = Some(failure);
                        None
                    }
                },
                Input::Relay(event) => self.relay_event(event),
                Input::Peer(number, event) => self.peer_event(number, event),
                Input::Word(number, word) => self.word(number, word),
                Input::Tick => self.tick(),
            };
            if self.unread {
                return self.stop("nobody reads the reports");
            }
            if let Some(ending) = ending {
                let outcome = self.end(ending);
                if self.config.call.is_some() {
                    return outcome;
                }
                if let Some(failure) = self.refused.take() {
                    return Err(failure);
                }
                self.make_ready().await;
            }
        }
    }

    /// Ends a running call in order.
    fn stop(&mut self, reason: &'static str) -> Result<(), Failure> {
        if self.call.is_none() {
            return Ok(());
        }
        match self.handle(Event::Stop(reason)) {
            Some(ending) => self.end(ending),
            None => Ok(()),
        }
    }

    fn fail(&mut self, failure: Failure) -> Result<(), Failure> {
        let failed = Happening::Failed(failure.clone());
        if self.call.is_some()
            && let Some(ending) = self.handle(Event::Peer(Place::First, failed))
        {
            return self.end(ending);
        }
        Err(failure)
    }

    fn relay_event(&mut self, event: PresenceEvent) -> Option<Ending> {
        match event {
            PresenceEvent::IceServers(servers) => return self.ice_servers(&servers),
            PresenceEvent::Registered => return self.registered(),
            // Of a connection whose session is over.
            _ if !self.registered => return None,
            PresenceEvent::Line(line) => return self.handle(Event::Line(&line)),
            PresenceEvent::Closed => {
                self.registered = false;
                let ending = self.handle(Event::SessionClosed);
                // In a call it is the partner that has left its session; why, is known in a moment.
                if ending.is_none() && self.call.is_none() {
                    let reason = "it closed the connection".to_owned();
                    self.report(Report::RelayLost { reason });
                }
                return ending;
            }
            PresenceEvent::Lost(reason) => {
                self.registered = false;
                self.report(Report::RelayLost { reason });
            }
            PresenceEvent::Refused(_) => return None,
        }
        self.handle(Event::RelayLost)
    }

    fn registered(&mut self) -> Option<Ending> {
        self.registered = true;
        let id = self.config.our_id.clone();
        let server = label(&self.config.connection.relay.server);
        self.report(Report::Registered { id, server });
        if self.call.is_some() {
            return self.handle(Event::RelayBack);
        }
        let mut effects = Vec::new();
        self.session = match &self.config.call {
            None => Session::waiting(),
            Some(callee) => Session::calling(
                callee.peer.clone(),
                callee.request_offer,
                self.began.elapsed(),
                &mut effects,
            ),
        };
        self.perform(effects)
    }

    fn peer_event(&mut self, number: u64, event: PeerEvent) -> Option<Ending> {
        // Of the whole call, whichever connection carries it.
        if let PeerEvent::Recording(note) = event {
            return self.note(|this| this.report(Report::Recording(note)));
        }
        let place = self.call.as_ref()?.place(number)?;
        let happening = match event {
            PeerEvent::Candidate(candidate) => Happening::Local(Local::Candidate(candidate)),
            PeerEvent::Described(description) => Happening::Local(Local::Described(description)),
            PeerEvent::RemoteDescriptionSet => Happening::Local(Local::RemoteDescriptionSet),
            PeerEvent::Connected => Happening::Connected,
            PeerEvent::Failed(failure) => Happening::Failed(failure),
            PeerEvent::Closed => Happening::Closed,
            PeerEvent::Recording(_) => return None,
            PeerEvent::DataChannel(channel) => {
                return self.note(|this| this.use_channel(number, channel));
            }
            PeerEvent::WindowClosed => return self.handle(Event::Stop("the window was closed")),
            PeerEvent::FirstSent(codec) => return self.note(|this| this.report_first_sent(codec)),
            PeerEvent::FirstReceived(frame) => {
                return self.note(|this| this.report_first_received(&frame));
            }
            PeerEvent::Paired(pair) => return self.note(|this| this.paired(place, pair)),
            PeerEvent::Counted(counters) => return self.note(|this| this.report_rates(counters)),
            PeerEvent::Estimated(kbps) => return self.note(|this| this.estimated(place, kbps)),
            PeerEvent::LatencyChanged => {
                let link = self.call.iter().find_map(|call| call.at(place));
                link.iter().for_each(|link| link.peer.recalculate_latency());
                return None;
            }
        };
        self.handle(Event::Peer(place, happening))
    }

    /// Does something that changes nothing about the call.
    fn note(&mut self, act: impl FnOnce(&mut Self)) -> Option<Ending> {
        act(self);
        None
    }

    fn tick(&mut self) -> Option<Ending> {
        self.ping();
        self.tell_outage();
        let silence = self.call.as_mut().map(|call| call.link.look());
        let silence = silence
            .unwrap_or_default()
            .with_patience(self.config.patience);
        let ending = self.handle(Event::Tick(silence));
        let ending = ending.or_else(|| self.give_up_hope());
        ending.or_else(|| self.look_around())
    }

    fn handle(&mut self, event: Event<'_>) -> Option<Ending> {
        let mut effects = Vec::new();
        self.session
            .handle(event, self.began.elapsed(), &mut effects);
        self.perform(effects)
    }

    fn perform(&mut self, effects: Vec<Effect>) -> Option<Ending> {
        for effect in effects {
            match effect {
                Effect::Send(line) => self.presence.send(line),
                Effect::StartPeer => {
                    if let Err(failure) = self.start_peer() {
                        let failed = Happening::Failed(failure);
                        return self.handle(Event::Peer(Place::First, failed));
                    }
                }
                Effect::StartSecond => {
                    if let Err(failure) = self.start_second() {
                        let failed = Happening::Failed(failure);
                        return self.handle(Event::Peer(Place::Second, failed));
                    }
                }
                Effect::Negotiate(place, step) => self.negotiate(place, step),
                Effect::StartMedia => self.start_media(),
                Effect::Replace(doubt) => self.replace(doubt),
                Effect::DropSecond => self.drop_second(),
                Effect::ProbeRelay => self.presence.probe(),
                Effect::DropRelay => {
                    self.registered = false;
                    self.presence.renew();
                }
                Effect::Report(report) => self.report(report),
                Effect::End(ending) => return Some(ending),
            }
        }
        None
    }

    fn start_peer(&mut self) -> Result<(), Failure> {
        self.begin_recording(self.links + 1);
        let link = self.make_link()?;
        let starting_capture = match self.call.take() {
            // The peer's call overtook ours: what was prepared for ours makes room.
            Some(call) => {
                task::spawn(call.link.peer.abandon());
                call.starting_capture
            }
            None => {
                let capture = self.capture.clone();
                task::spawn(async move { capture.start().await })
            }
        };
        self.call = Some(Call {
            link,
            second: None,
            outage: None,
            starting_capture,
            is_missed: false,
            pictures: [None, None],
        });
        Ok(())
    }

    /// Makes a connection with a number of its own.
    fn make_link(&mut self) -> Result<Link, Failure> {
        self.links += 1;
        let number = self.links;
        let outputs = self.settings.outputs.clone();
        self.settings.outputs = outputs.of_peer(self.session.partner().cloned());
        Link::new(number, &self.settings, self.ways.listener(number))
    }

    fn negotiate(&mut self, place: Place, step: Step) {
        self.offer_data(place, &step);
        if let Some(link) = self.call.as_mut().and_then(|call| call.at_mut(place)) {
            link.peer.negotiate(step);
        }
    }

    fn start_media(&mut self) {
        if let Some(call) = &mut self.call {
            call.link.start_media(&self.capture);
        }
        self.begin_rate();
        self.start_data();
    }

    fn report(&mut self, report: Report) {
        if !self.unread && (self.audience)(&report).is_break() {
            self.unread = true;
        }
    }

    /// Reports the end of the call.
    fn end(&mut self, ending: Ending) -> Result<(), Failure> {
        let ending = self.diagnosed(ending);
        let age = self
            .call
            .as_ref()
            .map_or(Duration::ZERO, |call| call.link.age());
        let seconds = (age.as_secs_f64() * 10.0).round() / 10.0;
        let reason = match &ending.outcome {
            Ok(reason) => reason.clone(),
            Err(failure) => failure.sentence.clone(),
        };
        self.report(Report::Ended {
            reason,
            by: ending.by,
            seconds,
            stage: ending
                .outcome
                .as_ref()
                .err()
                .and_then(|failure| failure.stage),
        });
        ending.outcome.and_then(|_| self.data.outcome())
    }

    /// Hangs up and gets ready for the next call.
    async fn make_ready(&mut self) {
        if self.registered {
            self.registered = false;
            self.presence.renew();
        }
        self.take_down().await;
        self.forget_rate();
    }

    /// Hangs up for good: the other side hears of it first.
    async fn leave(mut self) {
        let call = self.call.take();
        self.presence.leave().await;
        if let Some(call) = call {
            call.take_down(&self.capture).await;
        }
        for note in recording::finish(self.settings.recorder.take()).await {
            let _ = (self.audience)(&Report::Recording(note));
        }
    }

    async fn take_down(&mut self) {
        if let Some(call) = self.call.take() {
            call.take_down(&self.capture).await;
        }
        for note in recording::finish(self.settings.recorder.take()).await {
            self.report(Report::Recording(note));
        }
    }
}

impl Call {
    async fn take_down(self, capture: &Capture) {
        if let Some(second) = self.second {
            task::spawn(second.peer.abandon());
        }
        // The camera's light goes out whatever becomes of the connection.
        let capture = async {
            self.starting_capture.await;
            capture.stop().await;
        };
        let (capture, peer) = join(
            timeout(CLOSE_DEADLINE, capture),
            timeout(CLOSE_DEADLINE, self.link.peer.close()),
        )
        .await;
        if capture.and(peer).is_err() {
            tracing::error!("the call could not be taken down in time");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this loop owns the clock")]
fn now() -> Instant {
    Instant::now()
}
