//! What STUN and TURN servers are good for, by what each of them said.

use std::net::SocketAddr;

use super::Finding;
use super::stun::{Server, Transport};

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
