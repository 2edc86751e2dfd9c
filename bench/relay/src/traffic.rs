//! Messages to and fro between peers that stay: in sessions and in rooms, as fast as they are answered
//! or at a rate. Everything that arrives is compared with what was sent.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::clock::{Clock, nanos};
use crate::frame::{self, Kind, Parsed};
use crate::histogram::Histogram;
use crate::link::{Arrived, Link, READ_BYTES};
use crate::opening::Opening;
use crate::pattern::{Field, Framing, Pattern, Sheet, peer_of, stamp_field};
use crate::poll::Poll;
use crate::stopped::{Stop, Stopping};
use crate::target::Target;

/// How long nothing at all may arrive while messages are on their way.
const SILENCE_LIMIT: Duration = Duration::from_secs(10);

/// How long the last messages may take.
const DRAIN_LIMIT: Duration = Duration::from_secs(20);

/// Messages from one peer to one other that may be on their way when they are sent at a rate.
const MAX_BEHIND: usize = 20_000;

/// Bytes of messages in one write.
const SHEET_BYTES: usize = 64 * 1024;

/// Who sends what to whom.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) pattern: Pattern,
    /// How many peers exchange messages with one another; groups stand one behind the other.
    pub(crate) group: usize,
    pub(crate) pace: Pace,
}

/// When the next message is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// When the one before has arrived: so many are always on their way, in each session, or from each
    /// member of a room to each other.
    InFlight(u32),
    /// So many in a second, in all, whatever arrives.
    Rate(u32),
}

/// What was on its way from one peer to one other.
#[derive(Clone, Debug, Default)]
struct Direction {
    sent: u32,
    received: u32,
    /// When those that have not arrived were sent.
    sent_at: VecDeque<u64>,
}

/// What was measured in some time.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) latency: Histogram,
    pub(crate) messages: u64,
    pub(crate) time: Duration,
}

/// A load while it runs.
pub(crate) struct Traffic {
    target: Target,
    plan: Plan,
    clock: Clock,
    pub(crate) poll: Poll,
    pub(crate) links: Vec<Link>,
    directions: Vec<Direction>,
    fields: Vec<Field>,
    /// Whom each message at a rate goes from and to, in turn.
    schedule: Vec<(usize, usize)>,
    scheduled: u64,
    paced_since: u64,
    is_sending: bool,
    outstanding: u64,
    heard_at: u64,
    latency: Histogram,
    sheet: Sheet,
    pub(crate) stop: Stopping,
}

impl Traffic {
    /// Takes over peers that have been brought together.
    ///
    /// # Errors
    /// When one of them was told something nobody asked for.
    pub(crate) fn new(target: &Target, plan: Plan, openings: Vec<Opening>) -> anyhow::Result<Self> {
        Self::with_stop(target, plan, openings, None)
    }

    /// The same, where one peer will read no more.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn with_stop(
        target: &Target,
        plan: Plan,
        openings: Vec<Opening>,
        stop: Option<Stop>,
    ) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let count = openings.len();
        let links = openings
            .into_iter()
            .enumerate()
            .map(|(peer, opening)| Ok(Link::new(opening.finish()?, peer, &poll)?))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let id = stop.map_or_else(String::new, |stop| target.id(stop.peer));
        let stop = Stopping::new(stop, id, plan.group);
        let schedule = (1..plan.group)
            .flat_map(|step| (0..count).map(move |from| (from, step)))
            .map(|(from, step)| {
                let first = from - from % plan.group;
                (from, first + (from - first + step) % plan.group)
            })
            .filter(|&(from, to)| stop.is_beside(from, to))
            .collect();
        let messages = (SHEET_BYTES / plan.pattern.arriving_bytes()).clamp(1, 64);
        Ok(Self {
            target: target.clone(),
            clock: Clock::new(),
            poll,
            links,
            directions: vec![Direction::default(); count * plan.group],
            fields: (0..count).map(|peer| target.field(peer)).collect(),
            schedule,
            scheduled: 0,
            paced_since: 0,
            is_sending: true,
            outstanding: 0,
            heard_at: 0,
            latency: Histogram::new(),
            sheet: plan.pattern.sheet(messages),
            stop,
            plan,
        })
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Whether the server says so when it cuts one that reads no more.
    pub(crate) fn ends_are_told(&self) -> bool {
        self.plan.pattern.framing() == Framing::Frames
    }

    /// Puts the first messages on their way, or begins to pace them.
    ///
    /// # Errors
    /// When the server is gone.
    pub(crate) fn begin(&mut self) -> anyhow::Result<()> {
        let now = self.now();
        (self.paced_since, self.heard_at) = (now, now);
        let Pace::InFlight(count) = self.plan.pace else {
            return Ok(());
        };
        let is_session = self.plan.group == 2;
        for (from, to) in self.schedule.clone() {
            // In a session what one has received it sends back: each message goes to and fro.
            if is_session && from > to {
                continue;
            }
            for _ in 0..count {
                self.write(from, to, now)?;
            }
            self.send(from)?;
        }
        Ok(())
    }

    /// Goes on for some time, and then until so many messages have arrived; measures.
    ///
    /// # Errors
    /// When a message is lost or altered, or a connection ends.
    pub(crate) fn run(&mut self, time: Duration, least: u64) -> anyhow::Result<Measured> {
        let from = self.now();
        let until = from.saturating_add(nanos(time));
        let mut buffer = vec![0; READ_BYTES + 2 * SHEET_BYTES];
        self.latency = Histogram::new();
        loop {
            let now = self.turn(&mut buffer)?;
            let is_enough = self.latency.total() >= least || self.outstanding == 0;
            if (now >= until && is_enough) || self.stop.is_over(now) {
                return Ok(Measured {
                    latency: std::mem::replace(&mut self.latency, Histogram::new()),
                    messages: 0,
                    time: Duration::from_nanos(now - from),
                }
                .counted());
            }
            let silent = Duration::from_nanos(now.saturating_sub(self.heard_at));
            ensure!(
                self.outstanding == 0 || silent < SILENCE_LIMIT,
                "{} messages are on their way and nothing has come for {} s",
                self.outstanding,
                SILENCE_LIMIT.as_secs()
            );
        }
    }

    /// Sends nothing more, and waits for what is on its way.
    ///
    /// # Errors
    /// When it does not arrive.
    pub(crate) fn drain(&mut self) -> anyhow::Result<()> {
        self.is_sending = false;
        let until = self.now() + nanos(DRAIN_LIMIT);
        let mut buffer = vec![0; READ_BYTES + 2 * SHEET_BYTES];
        while self.outstanding > 0 {
            let now = self.turn(&mut buffer)?;
            ensure!(now < until, "{} messages were lost", self.outstanding);
        }
        Ok(())
    }

    /// Waits for what is ready, and does all there is to do. Returns the time.
    fn turn(&mut self, buffer: &mut [u8]) -> anyhow::Result<u64> {
        // With a rate it never sleeps: what is due is sent when it is due.
        let is_paced = matches!(self.plan.pace, Pace::Rate(_)) && self.is_sending;
        let limit = if is_paced {
            Duration::ZERO
        } else {
            Duration::from_millis(100)
        };
        let count = self.poll.wait(Some(limit))?;
        for index in 0..count {
            let ready = self.poll.ready(index);
            if ready.writable {
                self.links[ready.token].flush(&self.poll)?;
            }
            if ready.readable {
                self.read(ready.token, buffer)?;
            }
        }
        let now = self.now();
        if self.is_sending {
            self.send_due(now)?;
            self.flood(now)?;
        }
        Ok(now)
    }

    /// Reads once from a connection, and answers everything that came.
    fn read(&mut self, peer: usize, buffer: &mut [u8]) -> anyhow::Result<()> {
        if self.stop.has_stopped(peer) {
            // It is not read: only its end makes it ready.
            return Ok(self.links[peer].leave(&self.poll)?);
        }
        let count = match self.links[peer].receive(buffer)? {
            Arrived::Nothing => return Ok(()),
            Arrived::Bytes(count) => count,
            Arrived::End => return self.ended(peer, "the server closes the connection"),
        };
        let now = self.now();
        self.heard_at = now;
        let bytes = buffer.get(..count).unwrap_or_default();
        let length = self.plan.pattern.arriving_bytes();
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if let Some((from, stamp)) = self.plan.pattern.read(rest) {
                self.take(peer, from, stamp, now)?;
                at += length;
            } else {
                match self.take_other(peer, rest, now)? {
                    0 => {
                        self.links[peer].keep(rest);
                        break;
                    }
                    taken => at += taken,
                }
            }
        }
        self.send(peer)
    }

    /// A message has arrived.
    fn take(
        &mut self,
        peer: usize,
        from: Option<Field>,
        stamp: Field,
        now: u64,
    ) -> anyhow::Result<()> {
        let from = match from {
            None => peer ^ 1,
            Some(field) => self.peer(field)?,
        };
        let group = self.plan.group;
        ensure!(
            from / group == peer / group,
            "peer {peer} gets a message of peer {from}, a stranger"
        );
        let direction = &mut self.directions[from * group + peer % group];
        ensure!(
            stamp == stamp_field(direction.received),
            "peer {peer} gets message {} of peer {from} instead of {}: lost, doubled or out of order",
            String::from_utf8_lossy(&stamp),
            direction.received
        );
        direction.received = direction.received.wrapping_add(1);
        let Some(sent_at) = direction.sent_at.pop_front() else {
            bail!("peer {peer} gets a message that peer {from} has not sent yet");
        };
        self.outstanding -= 1;
        self.latency.record(now.saturating_sub(sent_at));
        if self.is_sending && matches!(self.plan.pace, Pace::InFlight(_)) {
            self.write(peer, from, now)?;
        }
        Ok(())
    }

    fn peer(&self, field: Field) -> anyhow::Result<usize> {
        peer_of(field)
            .and_then(|number| self.target.peer(number))
            .filter(|&peer| peer < self.links.len())
            .with_context(|| {
                format!(
                    "a message is from nobody: {}",
                    String::from_utf8_lossy(&field)
                )
            })
    }

    /// Something has arrived that is no message of the load, or not the whole of one. Returns how many
    /// bytes it took.
    fn take_other(&mut self, peer: usize, bytes: &[u8], now: u64) -> anyhow::Result<usize> {
        if self.plan.pattern.framing() == Framing::Raw {
            let is_whole = bytes.len() >= self.plan.pattern.arriving_bytes();
            ensure!(!is_whole, "peer {peer} gets a message that was altered");
            return Ok(0);
        }
        let (kind, payload, taken) = match frame::parse(bytes) {
            Parsed::Incomplete => return Ok(0),
            Parsed::Broken(what) => bail!("the server sends peer {peer} {what}"),
            Parsed::Whole {
                kind,
                payload,
                bytes,
            } => (kind, payload, bytes),
        };
        match kind {
            Kind::Ping => self.links[peer].send(&frame::masked(Kind::Pong, payload), &self.poll)?,
            Kind::Pong => {}
            Kind::Close => {
                let why = format!("the server closes with {}", frame::close_reason(payload));
                self.ended(peer, &why)?;
                return Ok(bytes.len());
            }
            Kind::Text | Kind::Binary => {
                let line = String::from_utf8_lossy(payload);
                let is_expected = self.stop.notice(peer, &line, now);
                ensure!(
                    is_expected,
                    "peer {peer} gets what nobody sent: {line:.200}"
                );
            }
        }
        Ok(taken)
    }

    /// A connection has ended, which only that of the partner of who reads no more may do.
    fn ended(&mut self, peer: usize, why: &str) -> anyhow::Result<()> {
        let now = self.now();
        ensure!(self.stop.may_end(peer, now), "peer {peer}: {why}");
        Ok(self.links[peer].leave(&self.poll)?)
    }

    /// Sends what is due at a rate.
    fn send_due(&mut self, now: u64) -> anyhow::Result<()> {
        let Pace::Rate(rate) = self.plan.pace else {
            return Ok(());
        };
        loop {
            let due = self.paced_since + self.scheduled * 1_000_000_000 / u64::from(rate);
            if due > now {
                return Ok(());
            }
            let turn = self.scheduled as usize % self.schedule.len();
            let (from, to) = self.schedule[turn];
            self.scheduled += 1;
            self.write(from, to, due)?;
            self.send(from)?;
        }
    }

    /// Sends what goes to the peer that reads no more.
    fn flood(&mut self, now: u64) -> anyhow::Result<()> {
        while let Some((from, to)) = self.stop.next(now) {
            if self.links[from].is_blocked() {
                continue;
            }
            let stamp = self.stop.sent();
            self.plan
                .pattern
                .fill(&mut self.sheet, self.fields[to], stamp);
            self.send(from)?;
        }
        Ok(())
    }

    /// Writes a message onto the sheet, which is sent when it is full.
    fn write(&mut self, from: usize, to: usize, at: u64) -> anyhow::Result<()> {
        let group = self.plan.group;
        let direction = &mut self.directions[from * group + to % group];
        ensure!(
            direction.sent_at.len() < MAX_BEHIND,
            "the server does not keep up: {MAX_BEHIND} messages of one peer are on their way"
        );
        let stamp = direction.sent;
        direction.sent = direction.sent.wrapping_add(1);
        direction.sent_at.push_back(at);
        self.outstanding += 1;
        let field = self.fields[to];
        if !self.plan.pattern.fill(&mut self.sheet, field, stamp) {
            self.send(from)?;
            self.plan.pattern.fill(&mut self.sheet, field, stamp);
        }
        Ok(())
    }

    /// Sends the sheet from one peer.
    fn send(&mut self, from: usize) -> anyhow::Result<()> {
        if self.sheet.is_empty() {
            return Ok(());
        }
        let bytes = self.sheet.take();
        Ok(self.links[from].send(bytes, &self.poll)?)
    }
}

impl Measured {
    fn counted(self) -> Self {
        Self {
            messages: self.latency.total(),
            ..self
        }
    }
}
