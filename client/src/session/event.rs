//! What a call is told, and what it says is to be done.

use std::time::Duration;

use crate::failure::Failure;
use crate::negotiation::{Local, Step};
use crate::report::{Doubt, Party, Report};

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
    /// Something happened to a peer connection of this call.
    Peer(Place, Happening),
    /// There is a reason not to trust the connection for much longer.
    Doubted(Doubt),
    /// Time has passed, in which nothing came from the partner for so long.
    Tick(Silence),
    /// Somebody here wants the call to end.
    Stop(&'static str),
}

/// Which peer connection of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The one that carries the call, or is to.
    First,
    /// The one that is being made to take its place.
    Second,
}

/// Something that happened to a peer connection.
#[derive(Debug)]
pub enum Happening {
    /// Its negotiation has come further at our end.
    Local(Local),
    /// ICE and DTLS are done and the partner's certificate is the announced one.
    Connected,
    /// The partner ended the connection in order.
    Closed,
    /// The connection cannot go on.
    Failed(Failure),
}

/// How long nothing has come from a partner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Silence {
    /// Since when.
    pub lasts: Duration,
    /// How long a connection may be silent before it is doubted.
    pub suspicious: Duration,
    /// How long a partner that lives may be silent.
    pub limit: Duration,
}

impl Silence {
    /// The same for those who wait at least so long for a partner to come back by another way.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self {
            limit: self.limit.max(patience),
            ..self
        }
    }

    /// Whether the connection is to be doubted.
    pub fn is_suspicious(self) -> bool {
        self.lasts > self.suspicious
    }

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
    /// Make a second peer connection beside the one that carries the call.
    StartSecond,
    /// Take the negotiation of one of them on; never [`Step::Send`].
    Negotiate(Place, Step),
    /// Let media flow over the first.
    StartMedia,
    /// Let media flow over the second, which is the first from now on, and take the old first down.
    Replace(Doubt),
    /// Take the second down.
    DropSecond,
    /// Find out whether the connection to the relay still lives.
    ProbeRelay,
    /// Close the connection to the relay and make a new one: somebody else is on it, or nobody.
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
