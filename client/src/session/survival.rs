//! How a call outlives its connection: a second one is made with the same partner, which takes the place
//! of the first once it stands.
//!
//! Who made the first offer makes all that follow; the other asks for one. Where the two no longer reach
//! one another through the relay, each leaves its session there, which frees both ids, and the one who
//! called calls again. Whoever answers then is taken for the partner by its certificate alone: it is the
//! one of the running call, and DTLS proves that its key is there too.

use std::mem;
use std::time::Duration;

use protocol::{ClientMessage, Signal};

use super::{Effect, Event, Happening, Place, Relay, Session, Silence, Stage};
use crate::failure::{Failure, FailureKind};
use crate::fingerprint::origin;
use crate::negotiation::{self, Negotiation, Step};
use crate::report::{Doubt, Report};

/// How long the partner may take to answer, the first time; twice and four times as long later.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(1);

/// How long a second connection may take, once both descriptions are known.
pub const SECOND_DEADLINE: Duration = Duration::from_secs(10);

/// The same while nothing comes over the first one, the first time; twice and four times as long later.
const FIRST_SECOND_DEADLINE: Duration = Duration::from_millis(2500);

/// How long nothing more is tried after something failed, and the shortest time between the beginnings
/// of two connections, whoever wants them.
pub const PAUSE: Duration = Duration::from_millis(400);

/// How long a session with somebody who has not proved to be the partner may last.
pub const UNPROVEN_DEADLINE: Duration = Duration::from_secs(8);

/// What is done about a connection that may not last.
#[derive(Debug, Default)]
pub(super) struct Survival {
    /// Why the connection is doubted.
    pub(super) doubt: Option<Doubt>,
    pub(super) attempt: Attempt,
    /// How often the partner has not answered in a row.
    tries: u32,
    /// Nothing is tried before.
    pub(super) not_before: Duration,
    /// When the last second connection was begun.
    begun: Option<Duration>,
    /// Whether too little is heard of the partner.
    pub(super) is_silent: bool,
    /// Which session of SDP the partner's description of the second connection is of.
    origin: Option<String>,
    /// When the partner left the session at the relay, until it is known whether it has hung up.
    pub(super) left: Option<Duration>,
    /// It left, and was heard of all the same.
    pub(super) has_left: bool,
    /// The partner has ended the first connection: it may be ahead of us.
    pub(super) first_is_closed: bool,
}

/// What is under way.
#[derive(Debug, Default)]
pub(super) enum Attempt {
    #[default]
    None,
    /// We have asked for an offer.
    Asked { since: Duration },
    /// There is a second connection.
    Second {
        negotiation: Negotiation,
        since: Duration,
        doubt: Doubt,
    },
}

impl Attempt {
    /// Whether both descriptions are known.
    pub(super) fn is_agreed(&self) -> bool {
        match self {
            Self::Second { negotiation, .. } => negotiation.stage() == negotiation::Stage::Agreed,
            Self::None | Self::Asked { .. } => false,
        }
    }

    pub(super) fn is_second(&self) -> bool {
        matches!(self, Self::Second { .. })
    }
}

impl Session {
    /// Takes in what concerns a call whose media flows.
    pub(super) fn handle_up(&mut self, event: Event<'_>, now: Duration, effects: &mut Vec<Effect>) {
        match event {
            Event::Line(line) => self.line_up(line, now, effects),
            Event::SessionClosed => self.session_closed_up(now, effects),
            Event::RelayLost => self.relay_gone(effects),
            Event::RelayBack => {
                self.relay = Relay::Presence;
                self.survival.not_before = now;
                self.try_again(now, effects);
            }
            Event::Peer(Place::First, happening) => self.first(happening, now, effects),
            Event::Peer(Place::Second, happening) => self.second(happening, now, effects),
            Event::Doubted(doubt) => self.doubt(doubt, now, effects),
            Event::Tick(silence) => self.tick_up(now, silence, effects),
            Event::Stop(_) => {}
        }
    }

    // ---- Time ----

    fn tick_up(&mut self, now: Duration, silence: Silence, effects: &mut Vec<Effect>) {
        if self.has_hung_up(now, silence) {
            return self.hung_up(effects);
        }
        // One that is about to stand is worth waiting for.
        let hope = match self.survival.attempt.is_agreed() {
            true => SECOND_DEADLINE,
            false => Duration::ZERO,
        };
        if silence.lasts > silence.limit + hope {
            return self.give_up(silence, effects);
        }
        self.listen(silence, now, effects);
        match &self.survival.attempt {
            Attempt::None => self.try_again(now, effects),
            Attempt::Asked { since } => {
                if now > *since + self.patience() {
                    self.unanswered(now, effects);
                }
            }
            Attempt::Second { since, .. } => {
                if now > *since + self.patience_with_second() {
                    match self.survival.first_is_closed {
                        true => return self.hung_up(effects),
                        false => self.unanswered(now, effects),
                    }
                }
            }
        }
        self.wait_at_the_relay(now, effects);
    }

    fn give_up(&mut self, silence: Silence, effects: &mut Vec<Effect>) {
        if self.survival.has_left {
            return self.hung_up(effects);
        }
        let sentence = format!(
            "Nothing has come from {} for {} s; it counts as gone.",
            self.partner_name(),
            silence.lasts.as_secs()
        );
        let failure = Failure::new(FailureKind::ConnectionFailed, sentence);
        self.fail(crate::report::Party::Network, failure, effects);
    }

    /// Doubts a connection over which nothing comes, and trusts it again when something does.
    fn listen(&mut self, silence: Silence, now: Duration, effects: &mut Vec<Effect>) {
        let was_silent = mem::replace(&mut self.survival.is_silent, silence.is_suspicious());
        match (was_silent, self.survival.is_silent) {
            (false, true) => {
                let seconds = silence.lasts.as_secs_f64();
                effects.push(Effect::Report(Report::Interrupted { seconds }));
                self.doubt(Doubt::Silence, now, effects);
            }
            (true, false) => {
                effects.push(Effect::Report(Report::Resumed));
                if self.survival.doubt == Some(Doubt::Silence) {
                    self.survival.doubt = None;
                    // What is agreed goes on: the partner may be about to change over.
                    if !self.survival.attempt.is_agreed() {
                        self.drop_attempt(effects);
                    }
                }
            }
            (false, false) | (true, true) => {}
        }
    }

    /// A session at the relay that leads to nothing is left.
    fn wait_at_the_relay(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if let Relay::Redialling { since } | Relay::Unproven { since } = self.relay
            && now > since + UNPROVEN_DEADLINE
            && !self.survival.attempt.is_agreed()
        {
            self.leave_relay(effects);
        }
    }

    // ---- Doubts and tries ----

    fn doubt(&mut self, doubt: Doubt, now: Duration, effects: &mut Vec<Effect>) {
        if self.survival.doubt.is_some() {
            return;
        }
        self.survival.doubt = Some(doubt);
        self.survival.tries = 0;
        if doubt != Doubt::Credentials {
            effects.push(Effect::ProbeRelay);
        }
        self.try_again(now, effects);
    }

    /// Begins what can be done at this moment about a connection that is doubted, if anything.
    pub(super) fn try_again(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let survival = &self.survival;
        let (Some(doubt), Attempt::None) = (survival.doubt, &survival.attempt) else {
            return;
        };
        if now < survival.not_before {
            return;
        }
        match self.relay {
            Relay::Carrying | Relay::Unproven { .. } if self.we_offer => {
                self.start_second(doubt, now, effects);
                self.negotiate_second(effects, Negotiation::begin);
            }
            Relay::Carrying | Relay::Unproven { .. } => {
                self.survival.attempt = Attempt::Asked { since: now };
                effects.push(Effect::Send(Signal::OfferRequest.to_string()));
            }
            Relay::Presence => {
                if let (true, Some(peer)) = (self.we_called, &self.partner) {
                    let line = ClientMessage::Session(peer.as_str()).to_string();
                    effects.push(Effect::Send(line));
                    self.relay = Relay::Redialling { since: now };
                }
            }
            Relay::Lost | Relay::Redialling { .. } => {}
        }
    }

    /// Whether one more second connection would be too much: each costs threads, also one that fails.
    pub(super) fn is_too_soon(&self, now: Duration) -> bool {
        self.survival.begun.is_some_and(|begun| now < begun + PAUSE)
    }

    /// How long an answer is waited for.
    fn patience(&self) -> Duration {
        ANSWER_DEADLINE * (1 << self.survival.tries.min(2))
    }

    /// How long a second connection may take.
    fn patience_with_second(&self) -> Duration {
        match (self.survival.attempt.is_agreed(), self.survival.is_silent) {
            (false, _) => self.patience(),
            (true, false) => SECOND_DEADLINE,
            // Our answer may not have reached the partner.
            (true, true) => {
                let patience = FIRST_SECOND_DEADLINE * (1 << self.survival.tries.min(2));
                patience.min(SECOND_DEADLINE)
            }
        }
    }

    /// The partner does not answer. It may not be on its connection to the relay any more.
    fn unanswered(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        self.drop_attempt(effects);
        self.survival.tries += 1;
        self.survival.not_before = now + PAUSE;
        if self.survival.is_silent {
            if self.relay.reaches_partner() {
                self.leave_relay(effects);
            }
        } else {
            // It lives, and does not know how to do this.
            self.survival.doubt = None;
        }
    }

    pub(super) fn second_failed(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        self.drop_attempt(effects);
        self.survival.tries += 1;
        self.survival.not_before = now + PAUSE;
        if self.survival.first_is_closed {
            return self.hung_up(effects);
        }
        if !self.survival.is_silent {
            self.survival.doubt = None;
        }
    }

    pub(super) fn drop_attempt(&mut self, effects: &mut Vec<Effect>) {
        if mem::take(&mut self.survival.attempt).is_second() {
            effects.push(Effect::DropSecond);
        }
    }

    pub(super) fn start_second(&mut self, doubt: Doubt, now: Duration, effects: &mut Vec<Effect>) {
        self.drop_attempt(effects);
        self.survival.not_before = now + PAUSE;
        self.survival.begun = Some(now);
        self.survival.attempt = Attempt::Second {
            negotiation: Negotiation::default(),
            since: now,
            doubt,
        };
        effects.push(Effect::StartSecond);
    }

    pub(super) fn negotiate_second(
        &mut self,
        effects: &mut Vec<Effect>,
        act: impl FnOnce(&mut Negotiation, &mut Vec<Step>),
    ) {
        let Attempt::Second { negotiation, .. } = &mut self.survival.attempt else {
            return;
        };
        let mut steps = Vec::new();
        act(negotiation, &mut steps);
        for step in steps {
            if let Step::AcceptOffer(sdp) | Step::AcceptAnswer(sdp) = &step {
                self.survival.origin = origin(sdp).map(str::to_owned);
            }
            match step {
                Step::Send(signal) if self.relay.reaches_partner() => {
                    effects.push(Effect::Send(signal.to_string()));
                }
                Step::Send(_) => {}
                step @ (Step::CreateOffer
                | Step::AcceptOffer(_)
                | Step::AcceptAnswer(_)
                | Step::AddCandidate(_)) => effects.push(Effect::Negotiate(Place::Second, step)),
            }
        }
    }

    // ---- The two connections ----

    fn first(&mut self, happening: Happening, now: Duration, effects: &mut Vec<Effect>) {
        match happening {
            Happening::Closed if self.survival.attempt.is_agreed() => {
                // The partner is ahead of us, or hangs up.
                self.survival.first_is_closed = true;
            }
            Happening::Closed => self.hung_up(effects),
            Happening::Failed(failure) if failure.kind == FailureKind::ConnectionFailed => {
                self.doubt(Doubt::Silence, now, effects);
            }
            Happening::Failed(failure) => self.fail(failure.kind.party(), failure, effects),
            Happening::Connected => {}
            Happening::Local(local) => {
                self.negotiate(now, effects, |negotiation, steps| {
                    negotiation.local(local, steps);
                });
            }
        }
    }

    fn second(&mut self, happening: Happening, now: Duration, effects: &mut Vec<Effect>) {
        if !self.survival.attempt.is_second() {
            return;
        }
        match happening {
            Happening::Local(local) => {
                self.negotiate_second(effects, |negotiation, steps| {
                    negotiation.local(local, steps);
                });
            }
            Happening::Connected if self.survival.attempt.is_agreed() => self.replace(effects),
            // Of a connection that nobody waits for.
            Happening::Connected => {}
            Happening::Closed | Happening::Failed(_) => self.second_failed(now, effects),
        }
    }

    fn replace(&mut self, effects: &mut Vec<Effect>) {
        let survival = mem::take(&mut self.survival);
        let Attempt::Second {
            negotiation, doubt, ..
        } = survival.attempt
        else {
            return;
        };
        self.survival.not_before = survival.not_before;
        self.survival.begun = survival.begun;
        self.negotiation = negotiation;
        self.origin = survival.origin;
        if self.relay.reaches_partner() {
            self.relay = Relay::Carrying;
        }
        effects.push(Effect::Replace(doubt));
    }
}

impl Stage {
    /// Whether media flows.
    pub(super) fn is_up(self) -> bool {
        self == Self::Up
    }
}
