//! One call, from the first message to the last, as a machine without socket, clock or media.
//!
//! The machine is told what happened ([`Event`]) and says what is to be done ([`Effect`]). It knows
//! the order of things: nothing is sent before the relay has paired us, no candidate overtakes its
//! description, nothing is used before the connection is verified, and every wait has an end.

use std::time::Duration;

use protocol::{
    Candidate, ClientMessage, Description, ErrorKind, PeerId, SdpType, ServerMessage, Signal,
};

use crate::failure::{Failure, FailureKind};
use crate::negotiation::{self, Negotiation, Step};
use crate::report::{Direction, Party, Report};

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
}

/// Something that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A line came from the relay.
    Line(&'a str),
    /// The relay ended the session (WebSocket close 1000).
    SessionClosed,
    /// The connection to the relay broke in any other way.
    RelayLost,
    /// We are registered again.
    RelayBack,
    /// Our offer or answer is made.
    LocalDescription(Description),
    /// The remote description is in place: candidates may follow.
    RemoteDescriptionSet,
    /// A candidate of ours was found; an empty one says that was all.
    LocalCandidate(Candidate),
    /// ICE and DTLS are done and the partner's certificate is the announced one.
    Connected,
    /// The partner ended the peer connection in order.
    PeerClosed,
    /// The peer connection cannot go on.
    PeerFailed(Failure),
    /// Time has passed, in which nothing came from the partner for so long.
    Tick(Silence),
    /// Somebody here wants the call to end.
    Stop(&'static str),
}

/// How long nothing has come from a partner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Silence {
    /// Since when.
    pub lasts: Duration,
    /// How long a partner that lives may be silent, by what we send it.
    pub limit: Duration,
}

impl Silence {
    /// Whether the partner counts as gone.
    pub fn is_too_long(self) -> bool {
        self.lasts > self.limit
    }
}

/// Something that is to be done.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Send a line to the relay.
    Send(String),
    /// Make a peer connection, in place of an earlier one if there is one.
    StartPeer,
    /// Take the negotiation on; never [`Step::Send`].
    Negotiate(Step),
    /// Let media flow.
    StartMedia,
    /// Close the connection to the relay and make a new one: somebody else is on it.
    DropRelay,
    /// Tell the user.
    Report(Report),
    /// The call is over; take everything down.
    End(Ending),
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// Whose doing it was.
    pub by: Party,
    /// Words for an end that is in order, or the failure.
    pub outcome: Result<String, Failure>,
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

    /// Whether media flows.
    pub fn is_up(&self) -> bool {
        self.stage == Stage::Up
    }

    /// Takes in what happened at `now` and appends what is to be done.
    pub fn handle(&mut self, event: Event<'_>, now: Duration, effects: &mut Vec<Effect>) {
        if self.stage == Stage::Over {
            return;
        }
        match event {
            Event::Line(line) => self.line(line, now, effects),
            Event::SessionClosed => self.session_closed(effects),
            Event::RelayLost => self.relay_lost(effects),
            Event::RelayBack => self.relay_back(effects),
            Event::LocalDescription(description) => {
                self.negotiate(now, effects, |negotiation, steps| {
                    negotiation.described(description, steps);
                });
            }
            Event::RemoteDescriptionSet => {
                self.negotiate(now, effects, |negotiation, steps| {
                    negotiation.remote_is_set(steps);
                });
            }
            Event::LocalCandidate(candidate) => {
                self.negotiate(now, effects, |negotiation, steps| {
                    negotiation.local_candidate(candidate, steps);
                });
            }
            Event::Connected if self.stage == Stage::Connecting => {
                self.enter(Stage::Up, now);
                effects.push(Effect::StartMedia);
            }
            // Of a connection that nobody waits for.
            Event::Connected => {}
            Event::PeerClosed => self.hung_up(effects),
            Event::PeerFailed(failure) => self.fail(failure.kind.party(), failure, effects),
            Event::Tick(silence) => self.tick(now, silence, effects),
            Event::Stop(reason) => self.end(Party::Us, Ok(reason.to_owned()), effects),
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
            Stage::Expecting | Stage::Offering | Stage::Connecting | Stage::Up => {
                self.signal(line, now, effects);
            }
            Stage::Over => {}
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
            Stage::Waiting | Stage::Over => {}
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
            Stage::Connecting | Stage::Up => self.relay = Relay::Presence,
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
            match step {
                Step::Send(signal) if self.paired => self.send(signal, effects),
                Step::Send(signal) => self.unsent.push(signal),
                step @ (Step::CreateOffer
                | Step::AcceptOffer(_)
                | Step::AcceptAnswer(_)
                | Step::AddCandidate(_)) => {
                    effects.extend(received(&step).map(Effect::Report));
                    effects.push(Effect::Negotiate(step));
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

    fn send(&self, signal: Signal, effects: &mut Vec<Effect>) {
        if self.relay != Relay::Carrying {
            return;
        }
        effects.push(Effect::Send(signal.to_string()));
        if let Signal::Sdp(description) = signal {
            let report = Report::description(description.kind, Direction::Sent);
            effects.push(Effect::Report(report));
        }
    }

    fn session_closed(&mut self, effects: &mut Vec<Effect>) {
        if self.relay != Relay::Carrying || !self.paired {
            self.relay_lost(effects);
        } else {
            self.hung_up(effects);
        }
    }

    fn hung_up(&mut self, effects: &mut Vec<Effect>) {
        if self.stage == Stage::Up {
            self.end(Party::Peer, Ok("the other side hung up".into()), effects);
        } else {
            let sentence = format!(
                "{} hung up before the call was connected.",
                self.partner_name()
            );
            let failure = Failure::new(FailureKind::ConnectionFailed, sentence);
            self.fail(Party::Peer, failure, effects);
        }
    }

    fn relay_lost(&mut self, effects: &mut Vec<Effect>) {
        match self.stage {
            Stage::Connecting | Stage::Up => self.relay = Relay::Lost,
            Stage::Waiting | Stage::Over => {}
            Stage::Dialling { .. } | Stage::Expecting | Stage::Offering => {
                let sentence = "The relay went away while the call was being set up; try again.";
                let failure = Failure::new(FailureKind::RelayUnreachable, sentence);
                self.fail(Party::Network, failure, effects);
            }
        }
    }

    fn tick(&mut self, now: Duration, silence: Silence, effects: &mut Vec<Effect>) {
        let waited = now.saturating_sub(self.since);
        let (limit, sentence) = match self.stage {
            Stage::Waiting | Stage::Over => return,
            Stage::Up => {
                if silence.is_too_long() {
                    let sentence = format!(
                        "Nothing has come from {} for {} s; it counts as gone.",
                        self.partner_name(),
                        silence.lasts.as_secs()
                    );
                    let failure = Failure::new(FailureKind::ConnectionFailed, sentence);
                    self.fail(Party::Network, failure, effects);
                }
                return;
            }
            Stage::Dialling { .. } => (CONNECT_DEADLINE, "The relay did not answer the call."),
            Stage::Expecting => (
                DESCRIPTION_DEADLINE,
                "The other side did not send an offer.",
            ),
            Stage::Offering => (
                DESCRIPTION_DEADLINE,
                "The other side did not answer the offer.",
            ),
            Stage::Connecting => (
                CONNECT_DEADLINE,
                "No network path to the other side was found; where there is a NAT or a firewall \
                 in between, give both ends a --turn server.",
            ),
        };
        if waited > limit {
            let failure = Failure::new(FailureKind::ConnectionFailed, sentence);
            self.fail(Party::Network, failure, effects);
        }
    }

    fn refusal(&self, text: &str) -> Failure {
        let peer = self.partner_name();
        match ErrorKind::of(text) {
            ErrorKind::PeerNotFound => Failure::new(
                FailureKind::PeerNotFound,
                format!("Nobody is registered as {peer}; start it first, or check the id."),
            ),
            ErrorKind::PeerBusy => Failure::new(
                FailureKind::PeerBusy,
                format!("{peer} is in another call; try again later."),
            ),
            ErrorKind::NotAllowed => Failure::new(
                FailureKind::NotAdmitted,
                format!("The token does not allow a call to {peer}; it is for a room alone."),
            ),
            ErrorKind::InvalidRoomId | ErrorKind::RoomFull | ErrorKind::Other => Failure::new(
                FailureKind::Other,
                format!("The relay refused the call: {}", text.escape_debug()),
            ),
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

    fn fail(&mut self, by: Party, failure: Failure, effects: &mut Vec<Effect>) {
        self.end(by, Err(failure), effects);
    }

    fn end(&mut self, by: Party, outcome: Result<String, Failure>, effects: &mut Vec<Effect>) {
        self.stage = Stage::Over;
        effects.push(Effect::End(Ending { by, outcome }));
    }
}

impl FailureKind {
    /// Whose doing it is when a call ends in this way.
    fn party(self) -> Party {
        match self {
            Self::PluginMissing | Self::Display | Self::SoundServer | Self::Device => Party::Us,
            Self::PeerNotFound | Self::PeerBusy | Self::CodecRefused => Party::Peer,
            Self::Other
            | Self::RelayUnreachable
            | Self::IdRefused
            | Self::NotAdmitted
            | Self::RelayUntrusted
            | Self::ConnectionFailed
            | Self::FingerprintMismatch => Party::Network,
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
