//! One WebSocket: the bytes that come in, the frames that go out, and how patient one is with it.

use std::cell::Cell;
use std::io;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use protocol::limits::MISSED_PINGS;

use crate::codec::{self, Decoder, Opcode};
use crate::config::{CLOSE_DEADLINE, Deadlines};
use crate::frame::CloseReason;
use crate::outbox::Outbox;
use crate::ready::Interest;
use crate::relay::ConnectionId;
use crate::visit::Visit;
use crate::wire::Wire;

/// A WebSocket whose opening handshake is done.
pub(crate) struct Connection {
    pub(crate) wire: Wire,
    pub(crate) decoder: Decoder,
    /// The beginning of a frame whose end has not come yet.
    pub(crate) rest: Vec<u8>,
    pub(crate) outbox: Outbox,
    phase: Phase,
    /// What is waited for at its socket.
    pub(crate) interest: Interest,
    rate: Rate,
    /// Since when the network takes nothing of what waits.
    blocked_since: Option<Instant>,
    /// Since when anything waits.
    waits_since: Option<Instant>,
    /// The partner that is not read because so much waits here, and since when.
    held_up: Option<(ConnectionId, Instant)>,
    ping_at: Instant,
    /// Whether anything came in since the last ping.
    pub(crate) heard: bool,
    unanswered: u32,
    /// Whether it is not read because of its partner.
    pub(crate) is_paused: bool,
    _visit: Visit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// A close is said, or will be when what was said before is out.
    Closing {
        until: Instant,
        /// Whether the peer has said its own: then nothing more comes, and nothing is waited for.
        is_answer: bool,
    },
    /// The network is gone.
    Lost,
}

/// What is to be done about a connection because time has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Ping,
    Condemn(CloseReason),
    /// It had its time for closing.
    Cut,
}

/// How often a peer may speak, by the generic cell rate algorithm.
type Rate = RateLimiter<NotKeyed, InMemoryState, Clockwork, NoOpMiddleware<Instant>>;

/// The time as the owner of all connections reads it, once in each of its turns.
#[derive(Clone, Debug)]
pub(crate) struct Clockwork(Rc<Cell<Instant>>);

impl Clockwork {
    pub(crate) fn new(now: Instant) -> Self {
        Self(Rc::new(Cell::new(now)))
    }

    pub(crate) fn set(&self, now: Instant) {
        self.0.set(now);
    }
}

impl Clock for Clockwork {
    type Instant = Instant;

    fn now(&self) -> Instant {
        self.0.get()
    }
}

impl Connection {
    pub(crate) fn new(
        wire: Wire,
        visit: Visit,
        messages_per_second: NonZeroU32,
        clock: &Clockwork,
        ping_interval: Duration,
    ) -> Self {
        let quota = Quota::per_second(messages_per_second);
        Self {
            wire,
            decoder: Decoder::default(),
            rest: Vec::new(),
            outbox: Outbox::default(),
            phase: Phase::Open,
            interest: Interest::READING,
            rate: RateLimiter::direct_with_clock(quota, clock.clone()),
            blocked_since: None,
            waits_since: None,
            held_up: None,
            ping_at: clock.now() + ping_interval,
            heard: false,
            unanswered: 0,
            is_paused: false,
            _visit: visit,
        }
    }

    /// Whether messages go in and out.
    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether the network is gone.
    pub(crate) fn is_lost(&self) -> bool {
        self.phase == Phase::Lost
    }

    /// Whether something waits for the network.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked_since.is_some()
    }

    /// What is to be waited for now.
    pub(crate) fn wanted(&self) -> Interest {
        Interest {
            reading: !self.is_paused,
            writing: self.is_blocked(),
        }
    }

    /// For how long something had waited for the network, when nothing does any more. Told once.
    pub(crate) fn wait_ended(&mut self, now: Instant) -> Option<Duration> {
        if self.is_blocked() {
            return None;
        }
        let since = self.waits_since.take()?;
        Some(now.saturating_duration_since(since))
    }

    /// Remembers who is not read because of what waits here.
    pub(crate) fn hold_up(&mut self, partner: ConnectionId, now: Instant) {
        let since = self.held_up.map_or(now, |(_, since)| since);
        self.held_up = Some((partner, since));
    }

    /// Who may be read again, if so little waits here now.
    pub(crate) fn relieved(&mut self, congested_above: usize) -> Option<ConnectionId> {
        if self.is_open() && self.outbox.len() > congested_above {
            return None;
        }
        self.held_up.take().map(|(partner, _)| partner)
    }

    /// Whether the peer may say so much more now.
    pub(crate) fn may_say(&self, messages: u32) -> bool {
        NonZeroU32::new(messages)
            .is_none_or(|messages| matches!(self.rate.check_n(messages), Ok(Ok(()))))
    }

    /// Sends frames that are encoded already: what the network takes, now, the rest later. Whether
    /// there was room for all of it.
    pub(crate) fn send_run(&mut self, run: &[u8], max_bytes: usize, now: Instant) -> bool {
        if !self.is_open() {
            return true;
        }
        if !self.outbox.is_empty() {
            return self.outbox.push_run(run, max_bytes).is_ok();
        }
        let sent = match self.write(run) {
            Some(sent) if sent == run.len() && !self.wire.wants_write() => return true,
            Some(sent) => sent,
            None => return true,
        };
        let fits = self.outbox.push_run(run, max_bytes).is_ok();
        if fits {
            self.outbox.advance(sent);
        }
        self.block(now);
        fits
    }

    /// Writes what waits for as long as the network takes it.
    pub(crate) fn flush(&mut self, now: Instant) {
        while !self.outbox.is_empty() {
            let Some(sent) = Self::write_to(&self.wire, self.outbox.unsent()) else {
                return self.lose();
            };
            if sent == 0 {
                return self.block(now);
            }
            self.outbox.advance(sent);
            // There is progress: patience begins anew.
            self.blocked_since = None;
        }
        match self.wire.try_flush() {
            Ok(true) => self.blocked_since = None,
            Ok(false) => return self.block(now),
            Err(_) => return self.lose(),
        }
        if let Phase::Closing { is_answer, .. } = self.phase {
            self.wire.shut();
            if is_answer {
                self.lose();
            }
        }
    }

    /// Begins to close, with a close frame behind what was sent before.
    pub(crate) fn close(&mut self, reason: CloseReason, now: Instant) {
        if reason == CloseReason::SlowConsumer {
            self.outbox.drop_unbegun();
        }
        let payload = codec::close_payload(reason.code(), reason.text());
        self.close_with(&payload, false, now);
    }

    /// Answers a close of the peer's.
    pub(crate) fn answer_close(&mut self, code: Option<u16>, now: Instant) {
        let payload = code.map_or_else(Vec::new, |code| codec::close_payload(code, ""));
        self.close_with(&payload, true, now);
    }

    /// What is to be done now.
    pub(crate) fn due(&mut self, deadlines: &Deadlines, now: Instant) -> Due {
        let is_over = |since: Instant, limit| now.saturating_duration_since(since) >= limit;
        match self.phase {
            Phase::Lost => return Due::Cut,
            Phase::Closing { until, .. } if now >= until => return Due::Cut,
            Phase::Closing { .. } => return Due::Nothing,
            Phase::Open => {}
        }
        let waits = [self.blocked_since, self.held_up.map(|(_, since)| since)];
        if (waits.into_iter().flatten()).any(|since| is_over(since, deadlines.stall)) {
            return Due::Condemn(CloseReason::SlowConsumer);
        }
        if now < self.ping_at {
            return Due::Nothing;
        }
        if std::mem::take(&mut self.heard) {
            self.unanswered = 0;
        }
        if self.unanswered == MISSED_PINGS {
            return Due::Condemn(CloseReason::KeepaliveTimeout);
        }
        self.unanswered += 1;
        self.ping_at = now + deadlines.ping_interval;
        Due::Ping
    }

    fn close_with(&mut self, payload: &[u8], is_answer: bool, now: Instant) {
        if !self.is_open() {
            return;
        }
        self.outbox.push_last(Opcode::Close, payload);
        let until = now + CLOSE_DEADLINE;
        self.phase = Phase::Closing { until, is_answer };
        self.rest = Vec::new();
    }

    fn write(&mut self, bytes: &[u8]) -> Option<usize> {
        let sent = Self::write_to(&self.wire, bytes);
        if sent.is_none() {
            self.lose();
        }
        sent
    }

    /// How much the network took; `None` when it is gone.
    fn write_to(wire: &Wire, bytes: &[u8]) -> Option<usize> {
        loop {
            match wire.try_write(bytes) {
                Ok(sent) => return Some(sent),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(0),
                Err(_) => return None,
            }
        }
    }

    /// There is nothing more to be had from the network.
    fn lose(&mut self) {
        self.phase = Phase::Lost;
    }

    fn block(&mut self, now: Instant) {
        self.blocked_since.get_or_insert(now);
        self.waits_since.get_or_insert(now);
    }
}
