//! What comes through the relay during a call: from the partner, from somebody who claims to be the
//! partner, from others.

use std::time::Duration;

use protocol::{Description, SdpType, ServerMessage, Signal};

use super::survival::PAUSE;
use super::{Effect, Relay, Session, Silence};
use crate::fingerprint::{announced, origin};
use crate::negotiation::Negotiation;
use crate::report::Doubt;

/// How long a partner that has left the session may be heard of no more before it has hung up.
const LEFT_DEADLINE: Duration = Duration::from_millis(1000);

/// What comes so soon after it was on its way before.
const LAST_WORDS: Duration = Duration::from_millis(350);

impl Session {
    pub(super) fn line_up(&mut self, line: &str, now: Duration, effects: &mut Vec<Effect>) {
        if self.relay.reaches_partner() {
            if let Some(signal) = Signal::parse(line) {
                self.signal_up(signal, now, effects);
            }
            return;
        }
        let is_redialling = matches!(self.relay, Relay::Redialling { .. });
        match ServerMessage::parse(line) {
            Some(ServerMessage::SessionOk) if is_redialling => {
                self.paired_again(now);
                self.survival.not_before = now;
                self.try_again(now, effects);
            }
            Some(ServerMessage::Error(_)) => {
                // It is not back yet, or not free.
                if is_redialling {
                    self.relay = Relay::Presence;
                    self.survival.not_before = now + PAUSE;
                }
            }
            Some(ServerMessage::SessionFrom(caller)) if self.partner.as_ref() == Some(&caller) => {
                self.paired_again(now);
            }
            _ => match Signal::parse(line) {
                // A relay that names no callers.
                Some(
                    signal @ Signal::Sdp(Description {
                        kind: SdpType::Offer,
                        ..
                    }),
                ) if self.is_of_partner(&signal) => {
                    self.paired_again(now);
                    self.signal_up(signal, now, effects);
                }
                _ => self.decline(effects),
            },
        }
    }

    /// The relay has paired us with whoever has the partner's id now.
    fn paired_again(&mut self, now: Duration) {
        self.relay = Relay::Unproven { since: now };
        self.survival.left = None;
    }

    /// Whether a description announces the certificate that the partner of this call has.
    fn is_of_partner(&self, signal: &Signal) -> bool {
        match signal {
            Signal::Sdp(Description { sdp, .. }) => {
                self.theirs.is_some() && announced(sdp) == self.theirs
            }
            Signal::Ice(_) | Signal::OfferRequest => false,
        }
    }

    pub(super) fn signal_up(&mut self, signal: Signal, now: Duration, effects: &mut Vec<Effect>) {
        match &signal {
            Signal::Sdp(Description { kind, sdp }) => {
                let (is_of_partner, is_of_first) =
                    (self.is_of_partner(&signal), self.is_of_first(sdp));
                match kind {
                    SdpType::Offer if is_of_partner && is_of_first => {}
                    SdpType::Offer if is_of_partner => self.second_offer(signal, now, effects),
                    SdpType::Offer => {
                        if let Relay::Unproven { .. } = self.relay {
                            self.decline(effects);
                        }
                    }
                    SdpType::Answer if is_of_partner => self.signal_second(signal, effects),
                    SdpType::Answer => {
                        let attempt = &self.survival.attempt;
                        if attempt.is_second() && !attempt.is_agreed() {
                            self.second_failed(now, effects);
                        }
                    }
                }
            }
            Signal::OfferRequest => {
                if !self.survival.attempt.is_second() && now >= self.survival.not_before {
                    let doubt = self.survival.doubt.unwrap_or(Doubt::Partner);
                    self.start_second(doubt, now, effects);
                    self.negotiate_second(effects, Negotiation::begin);
                }
            }
            Signal::Ice(_) if self.survival.attempt.is_second() => {
                self.signal_second(signal, effects);
            }
            Signal::Ice(_) => {
                self.negotiate(now, effects, |negotiation, steps| {
                    negotiation.signal(signal, steps);
                });
            }
        }
    }

    /// Whether a description is of the connection that carries the call: it has the origin that had.
    /// webrtcbin cannot follow when a connection is described anew.
    fn is_of_first(&self, sdp: &str) -> bool {
        self.origin.is_some() && self.origin.as_deref() == origin(sdp)
    }

    fn second_offer(&mut self, offer: Signal, now: Duration, effects: &mut Vec<Effect>) {
        let attempt = &self.survival.attempt;
        let is_crossing = attempt.is_second() && !attempt.is_agreed();
        if !is_crossing && !self.is_too_soon(now) {
            let doubt = self.survival.doubt.unwrap_or(Doubt::Partner);
            self.start_second(doubt, now, effects);
            self.signal_second(offer, effects);
        }
    }

    fn signal_second(&mut self, signal: Signal, effects: &mut Vec<Effect>) {
        self.negotiate_second(effects, |negotiation, steps| {
            negotiation.signal(signal, steps);
        });
    }

    pub(super) fn session_closed_up(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.survival.first_is_closed {
            return self.hung_up(effects);
        }
        if self.relay == Relay::Carrying {
            self.survival.left = Some(now);
        }
        // It may hang up, or make a new connection to the relay because it has not heard us.
        self.relay_gone(effects);
    }

    /// Whether the partner, who has left the session, has hung up: then nothing more comes.
    pub(super) fn has_hung_up(&mut self, now: Duration, silence: Silence) -> bool {
        let Some(left) = self.survival.left else {
            return false;
        };
        let since = now.saturating_sub(left);
        if silence.lasts + LAST_WORDS < since {
            self.survival.left = None;
            self.survival.has_left = true;
        }
        let is_doubted = self.survival.is_silent || self.survival.doubt.is_some();
        self.survival.left.is_some() && !is_doubted && since > LEFT_DEADLINE
    }

    pub(super) fn relay_gone(&mut self, effects: &mut Vec<Effect>) {
        self.relay = Relay::Lost;
        if !self.survival.attempt.is_agreed() {
            self.drop_attempt(effects);
        }
    }

    /// Leaves the session at the relay, which frees both ids there, and registers again.
    pub(super) fn leave_relay(&mut self, effects: &mut Vec<Effect>) {
        self.relay_gone(effects);
        effects.push(Effect::DropRelay);
    }
}

impl Relay {
    /// Whether what we say reaches the partner, or somebody who claims to be.
    pub(super) fn reaches_partner(self) -> bool {
        matches!(self, Self::Carrying | Self::Unproven { .. })
    }
}
