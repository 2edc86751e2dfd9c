//! How many may come: bounds on connections in all, from one address, and in one moment.
//!
//! Nothing here is spent on those who are refused, and what is remembered of an address is forgotten
//! once it makes no difference.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use hyper::StatusCode;

use crate::config::Limits;

/// The most addresses whose recent arrivals are remembered: those of about one second.
pub const REMEMBERED_ADDRESSES: usize = 1 << 17;

/// How often addresses are forgotten at the most. The quota of an address is whole again one second
/// after its last arrival.
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// Who is here, and who came lately.
pub struct Admission {
    limits: Limits,
    connections: usize,
    handshakes: usize,
    /// What each network has that has anything, where that is bounded.
    from: HashMap<Network, Share>,
    arrivals: Arrivals,
    began: Option<Instant>,
    forgot_at: Duration,
}

type Arrivals = RateLimiter<Network, HashMapStateStore<Network>, GivenTime, NoOpMiddleware<Nanos>>;

/// What counts as one address: somebody who has an IPv6 address has all of its /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Network {
    V4(Ipv4Addr),
    V6([u16; 4]),
}

/// What one network has.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    connections: usize,
    handshakes: usize,
}

/// The time of the event at hand, since the first one.
#[derive(Default)]
struct GivenTime(Cell<u64>);

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// There are as many connections as there may be.
    TooManyConnections,
    /// There are as many connections from that address as there may be.
    TooManyFromAddress,
    /// That address opens connections too fast.
    TooManyNewFromAddress,
    /// Too many connections have not come past their handshake yet.
    TooManyHandshakes,
    /// A web page that is not one of those that may connect.
    OriginNotAllowed,
    /// A token is needed and there is none.
    TokenMissing,
    /// The token is none of ours.
    TokenInvalid,
    /// The token was good once.
    TokenExpired,
    /// Who is asking may do what peers do, and no more.
    NotAdmin,
}

impl Admission {
    /// Makes an admission that has let in nobody yet.
    pub fn new(limits: &Limits) -> Self {
        let per_second =
            NonZeroU32::new(limits.new_connections_per_second).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(per_second);
        Self {
            limits: limits.clone(),
            connections: 0,
            handshakes: 0,
            from: HashMap::new(),
            arrivals: RateLimiter::hashmap_with_clock(quota, GivenTime::default()),
            began: None,
            forgot_at: Duration::ZERO,
        }
    }

    /// Counts a TCP connection that was accepted, as a connection and as a handshake under way.
    ///
    /// # Errors
    /// When it must be closed at once. It is not counted then.
    pub fn arrive(&mut self, from: IpAddr, now: Instant) -> Result<(), Refused> {
        if self.connections >= self.limits.connections {
            return Err(Refused::TooManyConnections);
        }
        if self.handshakes >= self.limits.handshakes {
            return Err(Refused::TooManyHandshakes);
        }
        if let Some(network) = self.bounded(from) {
            let mut share = self.from.get(&network).copied().unwrap_or_default();
            if share.connections >= self.limits.connections_per_address
                || share.handshakes >= self.limits.handshakes_per_address()
            {
                return Err(Refused::TooManyFromAddress);
            }
            self.spend_arrival(network, now)?;
            share.connections += 1;
            share.handshakes += 1;
            self.from.insert(network, share);
        }
        self.connections += 1;
        self.handshakes += 1;
        Ok(())
    }

    /// One handshake is over, the WebSocket is open; the connection goes on.
    pub fn greeted(&mut self, from: IpAddr) {
        self.handshakes = self.handshakes.saturating_sub(1);
        let network = self.bounded(from);
        if let Some(share) = network.and_then(|network| self.from.get_mut(&network)) {
            share.handshakes = share.handshakes.saturating_sub(1);
        }
    }

    /// A connection that had arrived is gone; `was_greeted` when [`greeted`](Self::greeted) was said
    /// of it.
    pub fn leave(&mut self, from: IpAddr, was_greeted: bool) {
        self.connections = self.connections.saturating_sub(1);
        if !was_greeted {
            self.handshakes = self.handshakes.saturating_sub(1);
        }
        let Some(network) = self.bounded(from) else {
            return;
        };
        if let Some(share) = self.from.get_mut(&network) {
            share.connections = share.connections.saturating_sub(1);
            if !was_greeted {
                share.handshakes = share.handshakes.saturating_sub(1);
            }
            if share.connections == 0 {
                self.from.remove(&network);
            }
        }
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.connections
    }

    /// How many of them have not come past their handshake.
    pub fn handshakes(&self) -> usize {
        self.handshakes
    }

    /// How many entries are kept about addresses, of which those without connections are forgotten
    /// some time after their last arrival.
    pub fn remembered(&self) -> usize {
        self.from.len() + self.arrivals.len()
    }

    /// The network whose connections are counted, if this one is bounded by its address at all.
    fn bounded(&self, from: IpAddr) -> Option<Network> {
        let from = from.to_canonical();
        (self.limits.loopback_too || !from.is_loopback()).then(|| Network::of(from))
    }

    fn spend_arrival(&mut self, network: Network, now: Instant) -> Result<(), Refused> {
        let began = *self.began.get_or_insert(now);
        let since = now.saturating_duration_since(began);
        self.arrivals.clock().advance_to(since);
        if since.saturating_sub(self.forgot_at) >= FORGET_EVERY {
            self.forgot_at = since;
            self.arrivals.retain_recent();
            self.arrivals.shrink_to_fit();
        }
        if self.arrivals.len() >= REMEMBERED_ADDRESSES {
            return Err(Refused::TooManyConnections);
        }
        self.arrivals
            .check_key(&network)
            .map_err(|_| Refused::TooManyNewFromAddress)
    }
}

impl Network {
    /// The address is canonical: an IPv4 address is never written as an IPv6 one.
    fn of(from: IpAddr) -> Self {
        match from {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

impl GivenTime {
    fn advance_to(&self, since: Duration) {
        let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX / 2);
        self.0.set(nanos.max(self.0.get()));
    }
}

impl Clock for GivenTime {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.get())
    }
}

impl Refused {
    /// All reasons there are.
    pub const ALL: [Self; 9] = [
        Self::TooManyConnections,
        Self::TooManyFromAddress,
        Self::TooManyNewFromAddress,
        Self::TooManyHandshakes,
        Self::OriginNotAllowed,
        Self::TokenMissing,
        Self::TokenInvalid,
        Self::TokenExpired,
        Self::NotAdmin,
    ];

    /// The reason as one word, for figures.
    pub fn label(self) -> &'static str {
        match self {
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyFromAddress => "too_many_from_address",
            Self::TooManyNewFromAddress => "too_many_new_from_address",
            Self::TooManyHandshakes => "too_many_handshakes",
            Self::OriginNotAllowed => "origin_not_allowed",
            Self::TokenMissing => "token_missing",
            Self::TokenInvalid => "token_invalid",
            Self::TokenExpired => "token_expired",
            Self::NotAdmin => "not_admin",
        }
    }

    /// The reason as told to the one who is refused.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::TooManyConnections => "The relay is full. Try again later.",
            Self::TooManyFromAddress => "There are too many connections from your address.",
            Self::TooManyNewFromAddress => {
                "Your address opens connections too fast. Try again in a moment."
            }
            Self::TooManyHandshakes => "The relay is busy. Try again in a moment.",
            Self::OriginNotAllowed => "Pages of this origin may not use the relay.",
            Self::TokenMissing => "A token is needed here.",
            Self::TokenInvalid => "The token is not valid here.",
            Self::TokenExpired => "The token has expired.",
            Self::NotAdmin => {
                "This takes an administrator's token: a secret marked `admin` in the file given to \
                 the relay with --token-file."
            }
        }
    }

    /// The reason as HTTP has it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooManyConnections | Self::TooManyHandshakes => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooManyFromAddress | Self::TooManyNewFromAddress => StatusCode::TOO_MANY_REQUESTS,
            Self::OriginNotAllowed | Self::NotAdmin => StatusCode::FORBIDDEN,
            Self::TokenMissing | Self::TokenInvalid | Self::TokenExpired => {
                StatusCode::UNAUTHORIZED
            }
        }
    }

    /// A whole HTTP/1.1 response, for a connection that is closed before its request is read.
    pub fn response(self) -> String {
        let (status, sentence) = (self.status(), self.sentence());
        let length = sentence.len() + 1;
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n{sentence}\n"
        )
    }
}
