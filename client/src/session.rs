//! One call, from the first message to the last, as a machine without socket, clock or media.
//!
//! The machine is told what happened ([`Event`]) and says what is to be done ([`Effect`]). It knows
//! the order of things: nothing is sent before the relay has paired us, no candidate overtakes its
//! description, nothing is used before the connection is verified, and every wait has an end.

mod ending;
mod event;
mod rendezvous;
mod survival;

use std::time::Duration;

use protocol::{ClientMessage, PeerId, SdpType, ServerMessage, Signal};

use crate::config::Fingerprint;
use crate::fingerprint::{announced, origin};
use crate::negotiation::{self, Negotiation, Step};
use crate::report::{Direction, Party, Report};
use survival::Survival;

pub use event::{Effect, Ending, Event, Happening, Place, Silence};
pub use survival::{ANSWER_DEADLINE, PAUSE, SECOND_DEADLINE, UNPROVEN_DEADLINE};

/// How long the other side may take to send an offer, or the answer to ours: a person may have to
/// allow a camera first.
pub const DESCRIPTION_DEADLINE: Duration = Duration::from_secs(45);

/// How long ICE and DTLS may take once both descriptions are known.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(20);

/// A call. It begins waiting or dialling, and is over for good after [`Effect::End`].
#[derive(Debug)]
pub struct Session {
    stage: Stage,
    relay: Relay,
    partner: Option<PeerId>,
    /// When the stage began, on the caller's clock.
    since: Duration,
    /// Whether the partner may be written to: the relay has paired us.
    paired: bool,
    negotiation: Negotiation,
    /// What is to be sent once we are paired.
    unsent: Vec<Signal>,
    /// Whether it was us who called.
    we_called: bool,
    /// Whether the first offer was ours: then those that follow are, too.
    we_offer: bool,
    /// The certificate that our description announces.
    ours: Option<Fingerprint>,
    /// The certificate that the partner's description announces.
    theirs: Option<Fingerprint>,
    /// Which session of SDP the partner's description is of.
    origin: Option<String>,
    survival: Survival,
}

/// How far the call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody has called yet.
    Waiting,
    /// We have asked for a session.
    Dialling { request_offer: bool },
    /// We are paired and wait for an offer.
    Expecting,
    /// We have made an offer, or are making it.
    Offering,
    /// We are answering, or have answered, or been answered: a connection is being made.
    Connecting,
    /// Media flows.
    Up,
    /// Nothing more will happen.
    Over,
}

/// What the connection to the relay is to this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relay {
    /// It carries the session.
    Carrying,
    /// It is gone and the call goes on without it.
    Lost,
    /// It is there again, and knows nothing of this call.
    Presence,
    /// We have asked it for the partner again.
    Redialling { since: Duration },
    /// It carries a session with somebody who has not proved to be the partner yet.
    Unproven { since: Duration },
}

impl Session {
    /// A session that waits to be called.
    pub fn waiting() -> Self {
        Self {
            stage: Stage::Waiting,
            relay: Relay::Carrying,
            partner: None,
            since: Duration::ZERO,
            paired: false,
            negotiation: Negotiation::default(),
            unsent: Vec::new(),
            we_called: false,
            we_offer: false,
            ours: None,
            theirs: None,
            origin: None,
            survival: Survival::default(),
        }
    }

    /// A session with the peer we call. The offer is made while the relay is still asked.
    pub fn calling(
        peer: PeerId,
        request_offer: bool,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) -> Self {
        effects.push(Effect::Report(Report::Calling { peer: peer.clone() }));
        effects.push(Effect::Send(
            ClientMessage::Session(peer.as_str()).to_string(),
        ));
        effects.push(Effect::StartPeer);
        let stage = Stage::Dialling { request_offer };
        let mut session = Self {
            stage,
            partner: Some(peer),
            since: now,
            we_called: true,
            ..Self::waiting()
        };
        if !request_offer {
            session.negotiate(now, effects, |negotiation, steps| negotiation.begin(steps));
        }
        session
    }

    /// Whether nobody has called yet.
    pub fn is_waiting(&self) -> bool {
        self.stage == Stage::Waiting
    }

    /// With whom, as far as that is known: a label for a person.
    pub fn partner(&self) -> Option<&PeerId> {
        self.partner.as_ref()
    }

    /// Whether media flows.
    pub fn is_up(&self) -> bool {
        self.stage == Stage::Up
    }

    /// Takes in what happened at `now` and appends what is to be done.
    pub fn handle(&mut self, event: Event<'_>, now: Duration, effects: &mut Vec<Effect>) {
        if self.stage == Stage::Over {
            return;
        }
        if let Event::Stop(reason) = event {
            return self.end(Party::Us, Ok(reason.to_owned()), effects);
        }
        if self.stage.is_up() {
            return self.handle_up(event, now, effects);
        }
        match event {
            Event::Line(line) => self.line(line, now, effects),
            Event::SessionClosed => self.session_closed(effects),
            Event::RelayLost => self.relay_lost(effects),
            Event::RelayBack => self.relay_back(effects),
            Event::Peer(Place::First, happening) => self.happened(happening, now, effects),
            Event::Tick(_) => self.tick(now, effects),
            // There is no second connection before the first one stands.
            Event::Peer(Place::Second, _) | Event::Doubted(_) | Event::Stop(_) => {}
        }
    }

    /// The certificates that both descriptions announce: ours, and the partner's.
    pub fn fingerprints(&self) -> Option<(Fingerprint, Fingerprint)> {
        Some((self.ours?, self.theirs?))
    }

    fn happened(&mut self, happening: Happening, now: Duration, effects: &mut Vec<Effect>) {
        match happening {
            Happening::Local(local) => {
                self.negotiate(now, effects, |negotiation, steps| {
                    negotiation.local(local, steps);
                });
            }
            Happening::Connected if self.stage == Stage::Connecting => {
                self.enter(Stage::Up, now);
                effects.push(Effect::StartMedia);
            }
            // Of a connection that nobody waits for.
            Happening::Connected => {}
            Happening::Closed => self.hung_up(effects),
            Happening::Failed(failure) => self.fail(failure.kind.party(), failure, effects),
        }
    }

    fn line(&mut self, line: &str, now: Duration, effects: &mut Vec<Effect>) {
        if self.relay == Relay::Presence {
            // The relay knows nothing of the running call and has paired us with somebody else.
            return self.decline(effects);
        }
        match self.stage {
            Stage::Waiting => self.first_line(line, now, effects),
            Stage::Dialling { request_offer } => {
                self.line_while_dialling(line, request_offer, now, effects);
            }
            Stage::Expecting | Stage::Offering | Stage::Connecting => {
                self.signal(line, now, effects);
            }
            Stage::Up | Stage::Over => {}
        }
    }

    /// Lets go of the relay's connection, on which somebody is whom we do not want now.
    fn decline(&mut self, effects: &mut Vec<Effect>) {
        self.relay = Relay::Lost;
        let reason = "this client is in another call".to_owned();
        effects.extend([
            Effect::Report(Report::Declined { reason }),
            Effect::DropRelay,
        ]);
    }

    fn relay_back(&mut self, effects: &mut Vec<Effect>) {
        match self.stage {
            Stage::Waiting | Stage::Up | Stage::Over => {}
            Stage::Dialling { .. } => {
                self.relay = Relay::Carrying;
                let callee = self.partner.iter();
                effects.extend(
                    callee.map(|peer| {
                        Effect::Send(ClientMessage::Session(peer.as_str()).to_string())
                    }),
                );
            }
            // Our description, or the partner's, can no longer get through.
            Stage::Expecting | Stage::Offering => self.relay_lost(effects),
            Stage::Connecting => self.relay = Relay::Presence,
        }
    }

    fn line_while_dialling(
        &mut self,
        line: &str,
        request_offer: bool,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) {
        match ServerMessage::parse(line) {
            Some(ServerMessage::SessionOk) => {
                self.paired = true;
                if request_offer {
                    effects.push(Effect::Send(Signal::OfferRequest.to_string()));
                    self.enter(Stage::Expecting, now);
                } else {
                    self.enter(Stage::Offering, now);
                }
                let unsent = std::mem::take(&mut self.unsent);
                unsent
                    .into_iter()
                    .for_each(|signal| self.send(signal, effects));
            }
            Some(ServerMessage::Error(text)) => {
                let failure = self.refusal(text);
                self.fail(Party::Peer, failure, effects);
            }
            Some(ServerMessage::SessionFrom(caller)) if self.partner.as_ref() != Some(&caller) => {
                // Somebody else was quicker. It is not whom we want to show our screen to.
                self.decline(effects);
            }
            // The peer's call to us came first. Ours then is a line in its session, which it
            // ignores; what was prepared for an offer of ours is of no use now.
            _ => self.first_line(line, now, effects),
        }
    }

    /// The first line of a session that somebody else began.
    fn first_line(&mut self, line: &str, now: Duration, effects: &mut Vec<Effect>) {
        let message = ServerMessage::parse(line);
        if let Some(ServerMessage::Error(_)) = message {
            return;
        }
        let caller = match message {
            Some(ServerMessage::SessionFrom(caller)) => Some(caller),
            _ => None,
        };
        let named = caller.is_some();
        self.negotiation = Negotiation::default();
        self.unsent.clear();
        self.paired = true;
        self.enter(Stage::Expecting, now);
        self.partner = caller.clone();
        effects.extend([
            Effect::Report(Report::Called { peer: caller }),
            Effect::StartPeer,
        ]);
        if !named {
            self.signal(line, now, effects);
        }
    }

    fn signal(&mut self, line: &str, now: Duration, effects: &mut Vec<Effect>) {
        // Chat and the like: nothing that we could follow.
        let Some(signal) = Signal::parse(line) else {
            return;
        };
        self.negotiate(now, effects, |negotiation, steps| {
            negotiation.signal(signal, steps);
        });
    }

    /// Takes the negotiation on, and the call with it.
    fn negotiate(
        &mut self,
        now: Duration,
        effects: &mut Vec<Effect>,
        act: impl FnOnce(&mut Negotiation, &mut Vec<Step>),
    ) {
        let mut steps = Vec::new();
        act(&mut self.negotiation, &mut steps);
        for step in steps {
            self.note_fingerprint(&step);
            match step {
                Step::Send(signal) if self.paired => self.send(signal, effects),
                Step::Send(signal) => self.unsent.push(signal),
                step @ (Step::CreateOffer
                | Step::AcceptOffer(_)
                | Step::AcceptAnswer(_)
                | Step::AddCandidate(_)) => {
                    effects.extend(received(&step).map(Effect::Report));
                    effects.push(Effect::Negotiate(Place::First, step));
                }
            }
        }
        match (self.stage, self.negotiation.stage()) {
            (Stage::Expecting, negotiation::Stage::Offering) => self.enter(Stage::Offering, now),
            (Stage::Expecting | Stage::Offering, negotiation::Stage::Agreed) => {
                self.enter(Stage::Connecting, now);
            }
            _ => {}
        }
    }

    fn note_fingerprint(&mut self, step: &Step) {
        match step {
            Step::Send(Signal::Sdp(description)) => self.ours = announced(&description.sdp),
            Step::AcceptOffer(sdp) => self.note_partner(sdp, false),
            Step::AcceptAnswer(sdp) => self.note_partner(sdp, true),
            Step::Send(_) | Step::CreateOffer | Step::AddCandidate(_) => {}
        }
    }

    fn note_partner(&mut self, sdp: &str, we_offer: bool) {
        self.theirs = announced(sdp);
        self.origin = origin(sdp).map(str::to_owned);
        self.we_offer = we_offer;
    }

    fn send(&self, signal: Signal, effects: &mut Vec<Effect>) {
        if !self.relay.reaches_partner() {
            return;
        }
        effects.push(Effect::Send(signal.to_string()));
        if let Signal::Sdp(description) = signal {
            let report = Report::description(description.kind, Direction::Sent);
            effects.push(Effect::Report(report));
        }
    }

    fn partner_name(&self) -> String {
        match &self.partner {
            Some(peer) => format!("{peer:?}"),
            None => "the other side".into(),
        }
    }

    fn enter(&mut self, stage: Stage, now: Duration) {
        if stage != self.stage {
            self.stage = stage;
            self.since = now;
        }
    }
}

/// What is worth telling about a description that came.
fn received(step: &Step) -> Option<Report> {
    let kind = match step {
        Step::AcceptOffer(_) => SdpType::Offer,
        Step::AcceptAnswer(_) => SdpType::Answer,
        Step::Send(_) | Step::CreateOffer | Step::AddCandidate(_) => return None,
    };
    Some(Report::description(kind, Direction::Received))
}
