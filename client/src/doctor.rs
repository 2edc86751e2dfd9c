//! What is right and wrong with this machine, its network and its relay, and what to do about it.
//!
//! Each thing that was looked at is a [`Finding`]: what was seen, and where that is no good, the remedy
//! in words. This file judges; the files below it look.

use std::fmt;
use std::net::SocketAddr;

use serde::{Serialize, Serializer};

use crate::failure::{Failure, FailureKind};

pub mod gathering;
pub mod machine;
pub mod relay;
pub mod stun;
pub mod turn;
pub mod visit;

use stun::{Server, Transport};

/// How far the clocks of two machines may be apart, in seconds, before tokens and credentials that end
/// at some time are refused.
pub const CLOCK_TOLERANCE_SECONDS: u64 = 60;

/// Below this level, in decibels of full scale, a microphone counts as silent.
pub const SILENCE_DB: f64 = -90.0;

/// What was found out about one thing. Serializes to the JSON object of `--json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename = "check")]
pub struct Finding {
    /// Which thing, as a word for scripts.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub state: State,
    /// What was seen, in one sentence.
    pub seen: String,
    /// What to do about it, in one sentence.
    pub fix: Option<String>,
}

/// Whether something is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nobody looked: it is not needed, or cannot be known.
    Skipped,
    /// It is as it should be.
    Ok,
    /// A call may work all the same.
    Warning,
    /// A call will not work, or not as it was asked for.
    Problem,
}

/// All that was found out. Its text is a table for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// In the order in which a call needs the things.
    pub findings: Vec<Finding>,
}

/// The last line of a diagnosis, with its counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename = "checked")]
pub struct Summary {
    /// Whether a call should work.
    pub healthy: bool,
    /// How many things a call will fail for.
    pub problems: usize,
    /// How many things deserve a look.
    pub warnings: usize,
}

impl Finding {
    /// Something that is as it should be.
    pub fn ok(name: &'static str, seen: impl Into<String>) -> Self {
        Self::new(name, State::Ok, seen, None)
    }

    /// Something that nobody looked at, and why.
    pub fn skipped(name: &'static str, why: impl Into<String>) -> Self {
        Self::new(name, State::Skipped, why, None)
    }

    /// Something without which a call may work.
    pub fn warning(name: &'static str, seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(name, State::Warning, seen, Some(fix.into()))
    }

    /// Something without which a call will not work.
    pub fn problem(name: &'static str, seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(name, State::Problem, seen, Some(fix.into()))
    }

    /// A failure as a call would have met it: its sentence says what to do.
    pub fn failed(name: &'static str, failure: &Failure) -> Self {
        let (seen, fix) = match failure.sentence.split_once("; ") {
            Some((seen, fix)) => (format!("{seen}."), capitalised(fix)),
            None => {
                let fix = "Its log may say more: RUST_LOG=debug, and --gst-log 3.";
                (failure.sentence.clone(), fix.to_owned())
            }
        };
        // Some of what GStreamer says has several lines.
        Self::problem(name, seen.replace('\n', " "), fix)
    }

    /// The same, where a call may do without.
    #[must_use]
    pub fn softened(self) -> Self {
        Self {
            state: self.state.min(State::Warning),
            ..self
        }
    }

    /// Something that did not come to an end.
    pub fn unanswered(name: &'static str, seconds: u64) -> Self {
        Self::problem(
            name,
            format!("This could not be found out within {seconds} s."),
            "Try again while the machine is less busy.",
        )
    }

    fn new(name: &'static str, state: State, seen: impl Into<String>, fix: Option<String>) -> Self {
        Self {
            name,
            state,
            seen: seen.into(),
            fix,
        }
    }
}

impl Diagnosis {
    /// The counts.
    pub fn summary(&self) -> Summary {
        let count = |state| self.findings.iter().filter(|f| f.state == state).count();
        let problems = count(State::Problem);
        Summary {
            healthy: problems == 0,
            problems,
            warnings: count(State::Warning),
        }
    }

    /// What the program ends with: an error where a call will not work.
    ///
    /// # Errors
    /// When there is a problem; warnings are none.
    pub fn verdict(&self) -> Result<(), Failure> {
        let names: Vec<_> = self
            .findings
            .iter()
            .filter(|finding| finding.state == State::Problem)
            .map(|finding| finding.name)
            .collect();
        match names.as_slice() {
            [] => Ok(()),
            names => Err(Failure::new(
                FailureKind::Other,
                format!("A call will not work as it is: see {}.", names.join(", ")),
            )),
        }
    }
}

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

/// Whether UDP gets through, by what each server that was asked by UDP has answered.
pub fn udp(answers: &[bool]) -> Finding {
    const NAME: &str = "udp";
    match (
        answers.len(),
        answers.iter().filter(|answered| **answered).count(),
    ) {
        (0, _) => Finding::skipped(
            NAME,
            "No STUN or TURN server is named, and no third party is asked.",
        ),
        (_, 0) => Finding::problem(
            NAME,
            "UDP gets no answer from any STUN or TURN server that is named.",
            "Let the firewall of this machine or network pass UDP, or use a TURN server by TCP: \
             --turn 'turn://USER:PASSWORD@HOST:PORT?transport=tcp'.",
        ),
        (asked, answered) => Finding::ok(
            NAME,
            format!("UDP works: {answered} of {asked} servers answer by it."),
        ),
    }
}

/// What came of asking a STUN or TURN server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It says whence we seem to come.
    Mapped(SocketAddr),
    /// It lends an address.
    Lent,
    /// It does not know the user, or the password is another.
    WrongCredentials,
    /// It has to know who asks, and nobody said.
    NoCredentials,
    /// It refuses, with this code.
    Refused(u16),
    /// Nothing came back.
    Silent,
    /// It cannot be reached at all, for this reason.
    Unreachable(String),
}

impl Outcome {
    /// Whether anything came back.
    pub fn is_answer(&self) -> bool {
        !matches!(self, Self::Silent | Self::Unreachable(_))
    }
}

/// What became of asking one server.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Where it is.
    pub place: String,
    /// How it was asked.
    pub transport: Transport,
    /// Whether it was asked for more than its word of whence we come.
    pub is_turn: bool,
    /// Whether a call would use it in this way.
    pub is_wanted: bool,
    /// What it said.
    pub outcome: Outcome,
}

impl Asked {
    /// Nothing came back.
    pub fn silent(server: &Server, transport: Transport, is_turn: bool) -> Self {
        Self {
            place: server.place(),
            transport,
            is_turn,
            is_wanted: transport == server.transport,
            outcome: Outcome::Silent,
        }
    }
}

/// What a server that was asked is good for.
pub fn server(asked: &Asked) -> Finding {
    let name = match (asked.is_turn, asked.transport) {
        (false, _) => "stun",
        (true, Transport::Udp) => "turn-udp",
        (true, Transport::Tcp) => "turn-tcp",
        (true, Transport::Tls) => "turn-tls",
    };
    let (place, transport) = (&asked.place, asked.transport.as_str());
    if !asked.is_wanted && asked.outcome != Outcome::Lent {
        let lends = match asked.outcome.is_answer() {
            true => "answers, but lends no address,",
            false => "does not answer",
        };
        let seen = format!("{place} {lends} by {transport}, by which no call would ask it.");
        return Finding::skipped(name, seen);
    }
    let seen = match &asked.outcome {
        Outcome::Mapped(address) => {
            format!("{place} answers by {transport}: this machine is seen as {address}.")
        }
        Outcome::Lent if asked.is_wanted => format!("{place} lends an address by {transport}."),
        Outcome::Lent => format!(
            "{place} would lend an address by {transport} too, if its address said ?transport={}.",
            transport.to_ascii_lowercase()
        ),
        outcome @ (Outcome::Silent
        | Outcome::Unreachable(_)
        | Outcome::WrongCredentials
        | Outcome::NoCredentials
        | Outcome::Refused(_)) => {
            let (seen, fix) = refused(outcome, asked);
            return Finding::problem(name, seen, fix);
        }
    };
    Finding::ok(name, seen)
}

fn refused(outcome: &Outcome, asked: &Asked) -> (String, String) {
    let (place, transport) = (&asked.place, asked.transport);
    let by = transport.as_str();
    match outcome {
        Outcome::WrongCredentials => (
            format!("{place} answers by {by}, but the user or the password is wrong."),
            "Check both, percent-encoded as they have to be in --turn; those that a relay tells of \
             come from its secret, which the TURN server has to share, and end at some time, so \
             that both clocks have to be right."
                .into(),
        ),
        Outcome::NoCredentials => (
            format!("{place} answers by {by}, but wants a user and a password."),
            "Give both: --turn turn://USER:PASSWORD@HOST:PORT.".into(),
        ),
        Outcome::Refused(code) => (
            format!("{place} answers by {by}, but refuses with code {code}{}.", meaning(*code)),
            "Look into the log of the TURN server.".into(),
        ),
        Outcome::Unreachable(reason) => (
            format!("{place} cannot be reached by {by}: {reason}."),
            format!("Check its name and port, and whether a firewall is in between that stops {by}."),
        ),
        Outcome::Silent | Outcome::Mapped(_) | Outcome::Lent => (
            format!("{place} gives no answer by {by}."),
            match transport {
                Transport::Udp if asked.is_turn => {
                    "Check whether it runs there, and whether a firewall is in between that stops \
                     UDP; by TCP it may be reached: ?transport=tcp."
                        .into()
                }
                Transport::Udp => {
                    "Check whether it runs there, and whether a firewall is in between that stops UDP."
                        .into()
                }
                Transport::Tcp | Transport::Tls => {
                    "Check whether it is a STUN or TURN server that runs there.".into()
                }
            },
        ),
    }
}

/// What the codes of TURN mean that say whose fault it is
/// ([RFC 8656, section 19](https://www.rfc-editor.org/rfc/rfc8656#section-19)).
fn meaning(code: u16) -> &'static str {
    match code {
        403 => " (forbidden)",
        486 => " (this user has as many addresses as it may)",
        508 => " (it has no address left)",
        _ => "",
    }
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
pub fn frames(name: &'static str, element: &str, put_in: u32, came_out: u32) -> Finding {
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

impl Serialize for Diagnosis {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(&self.findings)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "PROBLEM",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8} {:<11} {}", self.state, self.name, self.seen)?;
        match &self.fix {
            Some(fix) => write!(f, "\n{:21}-> {fix}", ""),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        let (problems, warnings) = (
            number(self.problems, "problem"),
            number(self.warnings, "warning"),
        );
        match self.healthy {
            true => write!(f, "A call should work: no problem, {warnings}."),
            false => write!(f, "A call will not work as it is: {problems}, {warnings}."),
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    match rest.next() {
        Some(first) => first.to_uppercase().chain(rest).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
