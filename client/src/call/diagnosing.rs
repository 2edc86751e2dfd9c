//! In which stage a call failed, and why, in words.

use std::time::Duration;

use super::Client;
use crate::diagnosis::{self, Carried, Stage};
use crate::failure::{Failure, FailureKind};
use crate::report::{Party, Report};
use crate::session::{Ending, Event, Happening, Place};
use crate::stats::Counters;

/// When nothing is seen or heard for so long after a connection is up, something is wrong with it.
const MEDIA_DEADLINE: Duration = Duration::from_secs(10);

impl Client {
    /// Adds to an ending that is a failure in which stage of the connection it came, and why.
    pub(super) fn diagnosed(&self, ending: Ending) -> Ending {
        let Ending { by, outcome } = ending;
        Ending {
            by,
            outcome: outcome.map_err(|failure| self.explained(by, failure)),
        }
    }

    fn explained(&self, by: Party, mut failure: Failure) -> Failure {
        if failure.stage.is_some() {
            return failure;
        }
        if failure.kind != FailureKind::ConnectionFailed {
            failure.stage = stage_of(failure.kind);
            return failure;
        }
        let Some(call) = &self.call else {
            failure.stage = Some(Stage::Signalling);
            return failure;
        };
        if call.link.is_up() {
            failure.stage = Some(Stage::Media);
            return failure;
        }
        let Some((stage, reason)) = diagnosis::of_connecting(&call.link.peer.progress()) else {
            failure.stage = Some(Stage::Signalling);
            return failure;
        };
        failure.stage = Some(stage);
        failure.sentence = match by {
            // It gave up before we did, for the same reason.
            Party::Peer => format!("{} {reason}", failure.sentence),
            Party::Us | Party::Network => reason,
        };
        failure
    }

    /// Ends a call at once that cannot be connected any more.
    pub(super) fn give_up_hope(&mut self) -> Option<Ending> {
        let link = &self.call.as_ref()?.link;
        let progress = (!link.is_up()).then(|| link.peer.progress())?;
        if !diagnosis::is_hopeless(&progress) {
            return None;
        }
        let (stage, sentence) = diagnosis::of_connecting(&progress)?;
        let failure = Failure::new(FailureKind::ConnectionFailed, sentence);
        let stage = Some(stage);
        let failed = Happening::Failed(Failure { stage, ..failure });
        self.handle(Event::Peer(Place::First, failed))
    }

    /// Says once in a call that nothing is seen or heard of the other side, though it should be.
    pub(super) fn miss_media(&mut self, counters: &Counters) {
        let Some(call) = &mut self.call else { return };
        if call.is_missed || call.link.up_for() < MEDIA_DEADLINE {
            return;
        }
        let carried = Carried {
            packets: counters.received.packets,
            frames: counters.received.frames + counters.received.audio_buffers,
        };
        if carried.frames > 0 {
            return;
        }
        if let Some(reason) = diagnosis::of_media(&call.link.peer.progress(), carried) {
            call.is_missed = true;
            let stage = Stage::Media;
            self.report(Report::Trouble { stage, reason });
        }
    }
}

/// The stage of which a failure tells by its kind alone.
fn stage_of(kind: FailureKind) -> Option<Stage> {
    let is_of_signalling = matches!(
        kind,
        FailureKind::PeerNotFound
            | FailureKind::PeerBusy
            | FailureKind::CodecRefused
            | FailureKind::RelayUnreachable
    );
    match kind == FailureKind::FingerprintMismatch {
        true => Some(Stage::Dtls),
        false => is_of_signalling.then_some(Stage::Signalling),
    }
}
