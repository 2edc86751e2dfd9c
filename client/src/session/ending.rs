//! How a call ends: what ends it at each stage, in which words, and whose doing it is.

use std::time::Duration;

use protocol::ErrorKind;

use super::{CONNECT_DEADLINE, DESCRIPTION_DEADLINE, Effect, Ending, Relay, Session, Stage};
use crate::failure::{Failure, FailureKind};
use crate::report::Party;

impl Session {
    pub(super) fn session_closed(&mut self, effects: &mut Vec<Effect>) {
        if self.relay != Relay::Carrying || !self.paired {
            self.relay_lost(effects);
        } else {
            self.hung_up(effects);
        }
    }

    pub(super) fn hung_up(&mut self, effects: &mut Vec<Effect>) {
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

    pub(super) fn relay_lost(&mut self, effects: &mut Vec<Effect>) {
        match self.stage {
            Stage::Connecting => self.relay = Relay::Lost,
            Stage::Waiting | Stage::Up | Stage::Over => {}
            Stage::Dialling { .. } | Stage::Expecting | Stage::Offering => {
                let sentence = "The relay went away while the call was being set up; try again.";
                let failure = Failure::new(FailureKind::RelayUnreachable, sentence);
                self.fail(Party::Network, failure, effects);
            }
        }
    }

    pub(super) fn tick(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let waited = now.saturating_sub(self.since);
        let (limit, sentence) = match self.stage {
            Stage::Waiting | Stage::Up | Stage::Over => return,
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

    pub(super) fn refusal(&self, text: &str) -> Failure {
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

    pub(super) fn fail(&mut self, by: Party, failure: Failure, effects: &mut Vec<Effect>) {
        self.end(by, Err(failure), effects);
    }

    pub(super) fn end(
        &mut self,
        by: Party,
        outcome: Result<String, Failure>,
        effects: &mut Vec<Effect>,
    ) {
        self.stage = Stage::Over;
        effects.push(Effect::End(Ending { by, outcome }));
    }
}

impl FailureKind {
    /// Whose doing it is when a call ends in this way.
    pub(super) fn party(self) -> Party {
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
