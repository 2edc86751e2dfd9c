//! What is right and wrong with this machine, its network and its relay, and what to do about it.
//!
//! Each thing that was looked at is a [`Finding`]: what was seen, and where that is no good, the remedy
//! in words. This file and `servers.rs` judge; the others below look.

use crate::failure::{Failure, FailureKind};

mod codecs;
mod finding;
pub mod gathering;
pub mod machine;
pub mod relay;
pub mod servers;
pub mod stun;
pub mod turn;
pub mod visit;

pub use finding::{Diagnosis, Finding, State, Summary};

/// How far the clocks of two machines may be apart, in seconds, before tokens and credentials that end
/// at some time are refused.
pub const CLOCK_TOLERANCE_SECONDS: u64 = 60;

/// Below this level, in decibels of full scale, a microphone counts as silent.
pub const SILENCE_DB: f64 = -90.0;

/// What the relay says to a peer that registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registration {
    /// It knows us now.
    Accepted,
    /// It does not.
    Refused(Failure),
}

/// What becomes of registering, as far as the token is concerned.
pub fn token(has_token: bool, id: &str, registration: &Registration) -> Finding {
    const NAME: &str = "token";
    match registration {
        Registration::Accepted if has_token => Finding::ok(
            NAME,
            format!("The relay accepts the token, and the id {id:?}."),
        ),
        Registration::Accepted => Finding::ok(
            NAME,
            format!("The relay asks for no token, and accepts the id {id:?}."),
        ),
        Registration::Refused(failure) if failure.kind == FailureKind::IdRefused => {
            Finding::warning(
                NAME,
                format!("The relay lets us in, but somebody is there already as {id:?}."),
                "If that is another program of yours, all is well; else choose another --our-id.",
            )
        }
        Registration::Refused(failure) if failure.kind == FailureKind::NotAdmitted && has_token => {
            Finding::problem(
                NAME,
                failure.sentence.clone(),
                "Ask whoever runs the relay for a new token, and give it with --token-file or in \
                 the variable ALDIS_TOKEN.",
            )
        }
        Registration::Refused(failure) => Finding::failed(NAME, failure),
    }
}

/// What a relay answers to a page of an origin.
pub fn origin(origin: &str, status: u16) -> Finding {
    const NAME: &str = "origin";
    match status {
        200 | 401 | 404 => Finding::ok(
            NAME,
            format!(
                "This client sends no Origin, and none is asked of it; pages from {origin} may use \
                 the relay."
            ),
        ),
        403 => Finding::warning(
            NAME,
            format!(
                "This client sends no Origin, and none is asked of it; but pages from {origin} may \
                 not use the relay."
            ),
            format!(
                "Where browsers are to open the page at {origin}, start the relay with \
                 --allow-origin {origin}."
            ),
        ),
        status => Finding::skipped(
            NAME,
            format!(
                "To a page from {origin} the relay answers {status}, which says nothing of origins."
            ),
        ),
    }
}

/// Compares the clock of the relay with ours, both in seconds since 1970.
pub fn clock(ours: u64, relays: Option<u64>) -> Finding {
    const NAME: &str = "clock";
    let Some(relays) = relays else {
        return Finding::skipped(NAME, "The relay does not say what time it is.");
    };
    let apart = ours.abs_diff(relays);
    // A second is what the header and the way there can be out.
    if apart <= 1 {
        return Finding::ok(NAME, "The clocks of this machine and of the relay agree.");
    }
    let which = if ours > relays { "ahead of" } else { "behind" };
    let seen = format!("The clock of this machine is {apart} s {which} that of the relay.");
    if apart < CLOCK_TOLERANCE_SECONDS {
        return Finding::ok(NAME, seen);
    }
    Finding::problem(
        NAME,
        seen,
        "Tokens and credentials that end at some time are refused then; set the clock of the one \
         that is wrong, for example with timedatectl set-ntp true.",
    )
}

/// What a call would offer as ways to reach this machine: the types of its candidates.
pub fn candidates(types: &[String], relay_alone: bool, has_turn: bool) -> Finding {
    const NAME: &str = "candidates";
    let count = |kind: &str| types.iter().filter(|other| *other == kind).count();
    let listed: Vec<_> = ["host", "srflx", "relay"]
        .into_iter()
        .map(|kind| (count(kind), kind))
        .filter(|(count, _)| *count > 0)
        .map(|(count, kind)| format!("{count} {kind}"))
        .collect();
    let listed = match listed.is_empty() {
        true => "nothing".to_owned(),
        false => listed.join(", "),
    };
    let seen = format!("A call would offer {listed}.");
    match (types.is_empty(), count("relay") == 0) {
        (_, true) if relay_alone && !has_turn => Finding::problem(
            NAME,
            seen,
            "With --ice-policy relay no other way is used than a TURN server; name one with --turn.",
        ),
        (_, true) if has_turn && relay_alone => Finding::problem(
            NAME,
            seen,
            "No TURN server lends an address, and --ice-policy relay allows no other way; what is \
             said of each of them says why.",
        ),
        (true, _) => Finding::problem(
            NAME,
            seen,
            "This machine has no address in any network but itself; connect it to one.",
        ),
        (false, true) if has_turn => Finding::warning(
            NAME,
            seen,
            "No TURN server lends an address: calls into networks that need one will fail; what is \
             said of each of them says why.",
        ),
        (false, _) => Finding::ok(NAME, seen),
    }
}

/// What a microphone sounds like: its loudest level in decibels of full scale.
pub fn level(decibels: f64) -> Finding {
    const NAME: &str = "microphone";
    if decibels > SILENCE_DB {
        return Finding::ok(
            NAME,
            format!("It is heard, at {decibels:.0} dB of full scale."),
        );
    }
    Finding::warning(
        NAME,
        "It gives sound, but of silence alone.",
        "Look whether it is muted, for example with pavucontrol or `pactl list sources`, or name \
         another with --audio-device.",
    )
}

/// How many frames came out of an encoder and a decoder into which some were put.
pub fn frames(name: &'static str, element: &str, put_in: usize, came_out: usize) -> Finding {
    match came_out {
        0 => Finding::problem(
            name,
            format!("{element} is installed, but of {put_in} frames none came out of it."),
            "Install the package of it anew, or choose another codec with --video-codec.",
        ),
        frames => Finding::ok(
            name,
            format!("{element} works: {put_in} frames went in, {frames} came out."),
        ),
    }
}

#[cfg(test)]
mod tests;
