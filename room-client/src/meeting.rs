//! The loop of a participant: what happens comes into one inbox, the [`Room`] says what is to be
//! done, this file does it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_std::future::timeout;
use async_std::task;
use client::call::{build_capture, prepare, watch_signals};
use client::capture::{Capture, Timeline};
use client::config::{Connection, Show};
use client::failure::Failure;
use client::inbox::{Inbox, Input, Ways};
use client::link::Link;
use client::media::Media;
use client::peer::{CandidatePair, PeerEvent, PeerSettings};
use client::presence::{Presence, PresenceEvent};
use client::printer::Printer;
use client::receive::FirstFrame;
use client::receiving::Receiving;
use client::stats::Counters;
use client::wire::label;
use futures_util::future::join_all;
use protocol::{PeerId, RoomId};

use crate::report::Report;
use crate::room::{Effect, Event, Room};

/// How long taking everything down may last.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// What is meant, whatever was typed.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) room: RoomId,
    pub(crate) our_id: PeerId,
    pub(crate) connection: Connection,
    pub(crate) media: Media,
    pub(crate) json: bool,
}

/// Takes part in a room until it is stopped.
///
/// # Errors
/// Why it cannot join, or cannot go on.
pub(crate) async fn run(mut config: Config, printer: Printer) -> Result<(), Failure> {
    let (ways, mut inbox) = Ways::new();
    let stopping = ways.clone();
    let signals = watch_signals(move || stopping.stop())?;
    let timeline = Timeline::default();
    let capture = build_capture(&mut config.media, &timeline)?;
    let (media, connection) = (&config.media, &config.connection);
    let (show, receiving) = (Show::Nowhere, Receiving::default());
    let settings = prepare(&capture, timeline, media, connection, show, &receiving).await?;
    capture.start().await;
    let mut meeting = Meeting::new(config, capture, settings, ways, printer);
    let outcome = meeting.serve(&mut inbox).await;
    // Nothing more is heard, so that nothing waits to be.
    drop(inbox);
    meeting.leave().await;
    signals.cancel().await;
    outcome
}

/// A connection goes by its peer and its number: what comes late from an earlier one is ignored.
type Key = (PeerId, u64);

struct Meeting {
    config: Config,
    settings: PeerSettings,
    capture: Capture,
    ways: Ways<Key>,
    printer: Printer,
    /// Nobody reads our reports any more.
    unread: bool,
    began: Instant,
    numbers: u64,
    presence: Presence,
    room: Room,
    links: BTreeMap<PeerId, Link>,
}

impl Meeting {
    fn new(
        config: Config,
        capture: Capture,
        settings: PeerSettings,
        ways: Ways<Key>,
        printer: Printer,
    ) -> Self {
        ways.watch_capture(&capture);
        let relay = config.connection.relay.clone();
        Self {
            presence: Presence::begin(relay, config.our_id.clone(), ways.relay()),
            room: Room::new(config.room.clone()),
            config,
            settings,
            capture,
            ways,
            printer,
            unread: false,
            began: now(),
            numbers: 0,
            links: BTreeMap::new(),
        }
    }

    async fn serve(&mut self, inbox: &mut Inbox<Key>) -> Result<(), Failure> {
        loop {
            match inbox.next().await {
                Input::Stopped => {
                    let (room, reason) = (self.config.room.clone(), "stopped here".to_owned());
                    self.report(Report::Left { room, reason });
                    return Ok(());
                }
                Input::CaptureFailed(failure) => return Err(failure),
                Input::SourceChanged(change) => self.unread |= self.printer.print(&change).is_err(),
                Input::Typed(_) => {}
                Input::Relay(event) => self.relay_event(event)?,
                Input::Peer((peer, number), event) => self.peer_event(&peer, number, event)?,
                // Here is no data channel that could say something.
                Input::Word(..) => {}
                Input::Tick => self.tick()?,
            }
            if self.unread {
                return Ok(());
            }
        }
    }

    fn relay_event(&mut self, event: PresenceEvent) -> Result<(), Failure> {
        match event {
            PresenceEvent::IceServers(servers) => {
                self.settings.ice = self.config.connection.ice.and(&servers);
                Ok(())
            }
            PresenceEvent::Registered => {
                let id = self.config.our_id.clone();
                let server = label(&self.config.connection.relay.server);
                self.report(Report::Registered { id, server });
                self.handle(Event::Registered)
            }
            PresenceEvent::Line(line) => self.handle(Event::Line(&line)),
            PresenceEvent::Closed => {
                self.report(Report::RelayLost {
                    reason: "it closed the connection".into(),
                });
                Ok(())
            }
            PresenceEvent::Lost(reason) => {
                self.report(Report::RelayLost { reason });
                Ok(())
            }
            PresenceEvent::Refused(failure) => Err(failure),
        }
    }

    fn peer_event(&mut self, peer: &PeerId, number: u64, event: PeerEvent) -> Result<(), Failure> {
        let Some(link) = self
            .links
            .get_mut(peer)
            .filter(|link| link.number == number)
        else {
            return Ok(());
        };
        match event {
            PeerEvent::Candidate(candidate) => {
                return self.handle(Event::LocalCandidate(peer, candidate));
            }
            PeerEvent::Described(description) => {
                return self.handle(Event::LocalDescription(peer, description));
            }
            PeerEvent::RemoteDescriptionSet => {
                return self.handle(Event::RemoteDescriptionSet(peer));
            }
            PeerEvent::Connected => return self.handle(Event::Connected(peer)),
            PeerEvent::Failed(failure) => return self.handle(Event::PeerFailed(peer, failure)),
            PeerEvent::Paired(pair) => self.report_connected(peer, pair),
            PeerEvent::Counted(counters) => self.report_rates(peer, counters),
            PeerEvent::FirstReceived(frame) => self.report_first_received(peer, &frame),
            PeerEvent::Estimated(_) => {}
            PeerEvent::LatencyChanged => link.peer.recalculate_latency(),
            PeerEvent::Closed => return self.handle(Event::PeerClosed(peer)),
            // Nobody here takes what such a channel would carry: it is thrown away.
            PeerEvent::DataChannel(_)
            | PeerEvent::FirstSent(_)
            | PeerEvent::WindowClosed
            | PeerEvent::Recording(_) => {}
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), Failure> {
        self.capture.rest();
        let links = self.links.iter_mut();
        let silences: Vec<_> = links
            .map(|(peer, link)| (peer.clone(), link.look()))
            .collect();
        for (peer, silence) in silences {
            self.handle(Event::Silent(&peer, silence))?;
        }
        self.handle(Event::Tick)
    }

    fn handle(&mut self, event: Event<'_>) -> Result<(), Failure> {
        let mut effects = Vec::new();
        self.room.handle(event, self.began.elapsed(), &mut effects);
        for effect in effects {
            match effect {
                Effect::Send(line) => self.presence.send(line),
                Effect::StartPeer(peer) => {
                    if let Err(failure) = self.start_peer(&peer) {
                        self.handle(Event::PeerFailed(&peer, failure))?;
                    }
                }
                Effect::Negotiate(peer, step) => {
                    if let Some(link) = self.links.get_mut(&peer) {
                        link.peer.negotiate(step);
                    }
                }
                Effect::StartMedia(peer) => self.start_media(&peer),
                Effect::ClosePeer(peer) => self.close_peer(&peer),
                Effect::Report(report) => self.report(report),
                Effect::Fail(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    fn start_peer(&mut self, peer: &PeerId) -> Result<(), Failure> {
        self.close_peer(peer);
        self.numbers += 1;
        let listener = self.ways.listener((peer.clone(), self.numbers));
        let link = Link::new(self.numbers, &self.settings, listener)?;
        self.links.insert(peer.clone(), link);
        Ok(())
    }

    fn start_media(&mut self, peer: &PeerId) {
        if let Some(link) = self.links.get_mut(peer) {
            link.start_media(&self.capture);
        }
    }

    fn close_peer(&mut self, peer: &PeerId) {
        if let Some(link) = self.links.remove(peer) {
            // The others need not wait for it.
            task::spawn(link.peer.close());
        }
    }

    fn report_connected(&mut self, peer: &PeerId, pair: Option<CandidatePair>) {
        let Some(link) = self.links.get(peer) else {
            return;
        };
        let setup_ms = link.age_ms();
        let CandidatePair {
            local,
            remote,
            transport,
        } = pair.unwrap_or_default();
        let peer = peer.clone();
        self.report(Report::Connected {
            peer,
            local,
            remote,
            transport,
            setup_ms,
        });
    }

    fn report_first_received(&mut self, peer: &PeerId, frame: &FirstFrame) {
        let (width, height) = frame.size.unwrap_or_default();
        self.report(Report::FirstFrameReceived {
            peer: peer.clone(),
            kind: frame.codec.kind(),
            codec: frame.codec.to_string(),
            width,
            height,
        });
    }

    fn report_rates(&mut self, peer: &PeerId, counters: Counters) {
        let Some(link) = self.links.get_mut(peer) else {
            return;
        };
        let rates = Box::new(link.rates(counters));
        self.report(Report::Stats {
            peer: peer.clone(),
            rates,
        });
    }

    fn report(&mut self, report: Report) {
        if !self.unread && self.printer.print(&report).is_err() {
            self.unread = true;
        }
    }

    /// Leaves the room first, so that nobody waits for us, then takes everything down.
    async fn leave(self) {
        self.presence.leave().await;
        let closing = async {
            self.capture.stop().await;
            join_all(self.links.into_values().map(|link| link.peer.close())).await;
        };
        if timeout(CLOSE_DEADLINE, closing).await.is_err() {
            tracing::error!("the connections could not be taken down in time");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this loop owns the clock")]
fn now() -> Instant {
    Instant::now()
}
