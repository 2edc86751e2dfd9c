//! A peer connection and the clock beside it: how old it is, what it carries, how long it is silent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::capture::Capture;
use crate::failure::{Failure, FailureKind};
use crate::media::Kind;
use crate::peer::{Listener, PeerConnection, PeerSettings};
use crate::session::Silence;
use crate::stats::{Counters, Rates};

/// A receiver of pictures reports every second: silence for so long means that it is gone.
const QUIET_LIMIT: Duration = Duration::from_secs(5);

/// A receiver of sound alone reports about every five seconds
/// ([RFC 3550, section 6.2](https://www.rfc-editor.org/rfc/rfc3550#section-6.2)).
const QUIET_LIMIT_WITHOUT_VIDEO: Duration = Duration::from_secs(12);

/// When we look again only after so long, it was this machine that slept, and not the peer.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// One connection, from its making to its end.
pub struct Link {
    /// Tells it from earlier connections with the same peer.
    pub number: u64,
    /// The connection.
    pub peer: PeerConnection,
    began: Instant,
    is_up: bool,
    up_since: Option<Instant>,
    counters: Counters,
    counted: Instant,
    arrived: u64,
    heard: Instant,
    looked: Instant,
}

impl Link {
    /// Makes a connection; `listener` hears of everything that becomes of it.
    ///
    /// # Errors
    /// When there is no webrtcbin to be had.
    pub fn new(number: u64, settings: &PeerSettings, listener: Listener) -> Result<Self, Failure> {
        let peer = PeerConnection::new(settings, Arc::clone(&listener))
            .map_err(|error| Failure::new(FailureKind::Other, format!("{error:#}")))?;
        let began = now();
        Ok(Self {
            number,
            peer,
            began,
            is_up: false,
            up_since: None,
            counters: Counters::default(),
            counted: began,
            arrived: 0,
            heard: began,
            looked: began,
        })
    }

    /// Lets media flow, and counts from now on.
    pub fn start_media(&mut self, capture: &Capture) {
        (self.heard, self.counted, self.is_up) = (now(), now(), true);
        self.up_since = Some(now());
        self.peer.start_media(capture);
    }

    /// Looks after the connection: has its counters read, and says for how long nothing has come
    /// from the peer. To be called every second or so.
    pub fn look(&mut self) -> Silence {
        let arrived = self.peer.arrived();
        let we_slept = self.looked.elapsed() > LONGEST_PAUSE;
        self.looked = now();
        if arrived != self.arrived || we_slept {
            (self.arrived, self.heard) = (arrived, now());
        }
        if self.is_up {
            self.peer.count();
        }
        let limit = match self.peer.sends(Kind::Video) {
            true => QUIET_LIMIT,
            false => QUIET_LIMIT_WITHOUT_VIDEO,
        };
        Silence {
            lasts: self.heard.elapsed(),
            limit,
        }
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
