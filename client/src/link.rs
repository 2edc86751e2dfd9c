//! A peer connection and the clock beside it: how old it is, what it carries, how long it is silent.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::addresses;
use crate::capture::Capture;
use crate::config::IcePolicy;
use crate::diagnosis;
use crate::failure::{Failure, FailureKind};
use crate::ice_servers::IceServers;
use crate::media::Kind;
use crate::peer::{Listener, PeerConnection, PeerSettings};
use crate::session::Silence;
use crate::stats::{Counters, Rates};

/// A receiver of pictures reports every second: silence for so long means that it is gone.
const QUIET_LIMIT: Duration = Duration::from_secs(5);

/// A receiver of sound alone reports about every five seconds
/// ([RFC 3550, section 6.2](https://www.rfc-editor.org/rfc/rfc3550#section-6.2)).
const QUIET_LIMIT_WITHOUT_VIDEO: Duration = Duration::from_secs(12);

/// With data channels alone, SCTP sends a heartbeat about every thirty seconds.
const QUIET_LIMIT_WITHOUT_MEDIA: Duration = Duration::from_secs(75);

/// Where packets came all the time, silence for so long is worth a second connection.
const SUSPICIOUS: Duration = Duration::from_millis(1500);

/// The same where only a report came now and then.
const SUSPICIOUS_IF_SPARSE: Duration = Duration::from_millis(2500);

/// The same where there is sound alone.
const SUSPICIOUS_WITHOUT_VIDEO: Duration = Duration::from_secs(6);

/// From so many packets a second on they come all the time: any sound or picture has more.
const DENSE: u64 = 15;

/// How often counters are read.
const COUNT_EVERY: Duration = Duration::from_millis(990);

/// When we look again only after so long, it was this machine that slept, and not the peer.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// One connection, from its making to its end.
pub struct Link {
    /// Tells it from earlier connections with the same peer.
    pub number: u64,
    /// The connection.
    pub peer: PeerConnection,
    /// The STUN and TURN servers it was made with.
    pub ice: IceServers,
    /// Whether what it carries goes through a TURN server of ours.
    pub goes_through_turn: bool,
    began: Instant,
    is_up: bool,
    up_since: Option<Instant>,
    counters: Counters,
    counted: Instant,
    arrived: u64,
    heard: Instant,
    looked: Instant,
    asked: Instant,
    /// What had come when counters were last read.
    arrived_then: u64,
    /// What came in the second before.
    came: u64,
    is_dense: bool,
    carries_media: bool,
    /// Every second the peer is asked for a sign of life.
    pub is_pinged: bool,
    addresses: BTreeSet<IpAddr>,
}

impl Link {
    /// Makes a connection; `listener` hears of everything that becomes of it.
    ///
    /// # Errors
    /// When there is no webrtcbin to be had, or it could lead nowhere.
    pub fn new(number: u64, settings: &PeerSettings, listener: Listener) -> Result<Self, Failure> {
        if settings.ice_policy == IcePolicy::Relay && settings.ice.turn.is_empty() {
            let failure = Failure::new(FailureKind::ConnectionFailed, diagnosis::NO_TURN_SERVER);
            let stage = Some(diagnosis::Stage::Gathering);
            return Err(Failure { stage, ..failure });
        }
        let peer = PeerConnection::new(settings, Arc::clone(&listener))
            .map_err(|error| Failure::new(FailureKind::Other, format!("{error:#}")))?;
        let began = now();
        Ok(Self {
            number,
            peer,
            ice: settings.ice.clone(),
            goes_through_turn: false,
            began,
            is_up: false,
            up_since: None,
            counters: Counters::default(),
            counted: began,
            arrived: 0,
            heard: began,
            looked: began,
            asked: began,
            arrived_then: 0,
            came: 0,
            is_dense: false,
            carries_media: true,
            is_pinged: false,
            addresses: addresses::usable(),
        })
    }

    /// Lets media flow, and counts from now on.
    pub fn start_media(&mut self, capture: &Capture) {
        (self.heard, self.counted, self.is_up) = (now(), now(), true);
        self.up_since = Some(now());
        self.carries_media = self.peer.carries_media();
        self.peer.start_media(capture);
    }

    /// Looks after the connection: has its counters read, and says for how long nothing has come
    /// from the peer. To be called several times a second; counters are read once.
    pub fn look(&mut self) -> Silence {
        let arrived = self.peer.arrived();
        let we_slept = self.looked.elapsed() > LONGEST_PAUSE;
        self.looked = now();
        if arrived != self.arrived || we_slept {
            (self.arrived, self.heard) = (arrived, now());
        }
        if self.is_up && self.asked.elapsed() > COUNT_EVERY {
            let came = arrived - self.arrived_then;
            if came > 0 {
                // The last second before a silence may have been half of one.
                self.is_dense = came.max(self.came) >= DENSE;
                self.came = came;
            }
            (self.asked, self.arrived_then) = (now(), arrived);
            self.peer.count();
        }
        let (suspicious, limit) = match self.peer.sends(Kind::Video) {
            true => (SUSPICIOUS_IF_SPARSE, QUIET_LIMIT),
            false => (SUSPICIOUS_WITHOUT_VIDEO, QUIET_LIMIT_WITHOUT_VIDEO),
        };
        let (suspicious, limit) = match (self.carries_media, self.is_pinged) {
            (false, true) => (SUSPICIOUS_IF_SPARSE, QUIET_LIMIT),
            (false, false) => (QUIET_LIMIT_WITHOUT_MEDIA, QUIET_LIMIT_WITHOUT_MEDIA),
            (true, _) if self.is_dense => (SUSPICIOUS, limit),
            (true, _) => (suspicious, limit),
        };
        Silence {
            lasts: self.heard.elapsed(),
            suspicious,
            limit,
        }
    }

    /// Whether an address that this machine had when the connection was made is gone. Said once.
    pub fn has_lost_an_address(&mut self) -> bool {
        let present = addresses::usable();
        let is_lost = !self.addresses.is_subset(&present);
        if is_lost {
            self.addresses = present;
        }
        is_lost
    }

    /// When media, or a report about it, last came, on a clock that all connections have in common;
    /// `None` before the first.
    pub fn heard_last(&self) -> Option<Duration> {
        self.heard_first().map(|_| self.peer.last_arrival())
    }

    /// The same of the first.
    pub fn heard_first(&self) -> Option<Duration> {
        self.peer.first_arrival().filter(|_| self.is_up)
    }

    /// Counts its age from the beginning of the one whose place it takes.
    pub fn take_over_from(&mut self, earlier: &Self) {
        self.began = earlier.began;
    }

    /// What happened since the counters were read last.
    pub fn rates(&mut self, counters: Counters) -> Rates {
        let rates = Rates::between(
            &self.counters,
            &counters,
            self.counted.elapsed(),
            self.age(),
        );
        (self.counters, self.counted) = (counters, now());
        rates
    }

    /// Whether there is anything but data channels.
    pub fn carries_media(&self) -> bool {
        self.carries_media
    }

    /// Whether media may flow.
    pub fn is_up(&self) -> bool {
        self.is_up
    }

    /// For how long media may flow already.
    pub fn up_for(&self) -> Duration {
        self.up_since
            .map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// How long ago the connection was made.
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// The same, in milliseconds.
    pub fn age_ms(&self) -> u64 {
        u64::try_from(self.age().as_millis()).unwrap_or(u64::MAX)
    }
}

#[expect(clippy::disallowed_methods, reason = "a link owns the clock beside it")]
fn now() -> Instant {
    Instant::now()
}
