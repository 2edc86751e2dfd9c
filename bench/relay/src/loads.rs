//! The loads on peers that stay: idle ones, sessions, rooms, and one that reads no more.

use std::time::Duration;

use anyhow::ensure;

use crate::clock::Clock;
use crate::figures::{Flow, Idle, Latency, Stopped, rounded};
use crate::histogram::Histogram;
use crate::opening::{Opening, open_peer, open_rooms, open_sessions};
use crate::pattern::{Framing, Pattern};
use crate::process::{Memory, Watched};
use crate::stopped::Stop;
use crate::target::Target;
use crate::traffic::{Measured, Pace, Plan, Traffic};

/// Before it is measured, a load goes on for this part of the time, ...
const WARM_UP: u32 = 4;

/// ... and no longer than this.
const MAX_WARM_UP: Duration = Duration::from_millis(500);

/// How often the memory of the server is looked at while one peer reads no more.
const LOOK: Duration = Duration::from_millis(50);

/// How long one that reads no more is waited for to be cut.
const CUT_LIMIT: Duration = Duration::from_secs(40);

/// Peers that stay and how they are brought together.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Company {
    Sessions { pairs: usize },
    Rooms { rooms: usize, size: usize },
}

impl Company {
    /// How many there are in all.
    pub(crate) fn peers(self) -> usize {
        match self {
            Self::Sessions { pairs } => 2 * pairs,
            Self::Rooms { rooms, size } => rooms * size,
        }
    }

    fn group(self) -> usize {
        match self {
            Self::Sessions { .. } => 2,
            Self::Rooms { size, .. } => size,
        }
    }

    fn pattern(self, framing: Framing, bytes: usize) -> Pattern {
        match self {
            Self::Sessions { .. } => Pattern::session(framing, bytes),
            Self::Rooms { .. } => Pattern::room(framing, bytes),
        }
    }

    fn open(self, target: &Target, bytes: usize) -> anyhow::Result<Vec<Opening>> {
        match self {
            Self::Sessions { pairs } => open_sessions(target, pairs),
            Self::Rooms { rooms, size } => open_rooms(target, rooms, size, bytes),
        }
    }
}

/// Messages to and fro for some time.
///
/// # Errors
/// When one is lost or altered, or the server is gone.
pub(crate) fn flow(
    target: &Target,
    company: Company,
    bytes: usize,
    pace: Pace,
    time: Duration,
    server: Option<Watched>,
) -> anyhow::Result<Flow> {
    let plan = Plan {
        pattern: company.pattern(target.framing, bytes),
        group: company.group(),
        pace,
    };
    let openings = company.open(target, bytes)?;
    let peers = openings.len();
    let mut traffic = Traffic::new(target, plan, openings)?;
    traffic.begin()?;
    traffic.run((time / WARM_UP).min(MAX_WARM_UP), 0)?;
    let ourselves = Watched::ourselves();
    let cpu =
        || -> anyhow::Result<_> { Ok((ourselves.cpu()?, server.map(Watched::cpu).transpose()?)) };
    let (ours_before, server_before) = cpu()?;
    let measured = traffic.run(time, 1)?;
    let (ours_after, server_after) = cpu()?;
    traffic.drain()?;
    let seconds = measured.time.as_secs_f64();
    let server_cpu = server_after
        .zip(server_before)
        .map(|(after, before)| (after - before).as_secs_f64());
    let messages = measured.messages;
    ensure!(messages > 0, "nothing arrived in {seconds:.1} s");
    Ok(Flow {
        spoken: target.framing.into(),
        peers,
        group: company.group(),
        bytes,
        in_flight: match pace {
            Pace::InFlight(count) => Some(count),
            Pace::Rate(_) => None,
        },
        rate: match pace {
            Pace::Rate(rate) => Some(rate),
            Pace::InFlight(_) => None,
        },
        seconds: rounded(seconds, 3),
        messages,
        messages_per_second: rounded(messages as f64 / seconds, 0),
        latency_us: Latency::from(&measured.latency),
        server_cpu_s_per_million: server_cpu.map(|cpu| rounded(cpu * 1e6 / messages as f64, 3)),
        server_cpu: server_cpu.map(|cpu| rounded(cpu / seconds, 3)),
        generator_cpu: rounded((ours_after - ours_before).as_secs_f64() / seconds, 3),
    })
}

/// Peers that are there and, after some exchanges at most, say nothing.
///
/// # Errors
/// When the server does not take them.
pub(crate) fn idle(
    target: &Target,
    peers: usize,
    exchanges: u32,
    bytes: usize,
    server: Option<Watched>,
) -> anyhow::Result<Idle> {
    // What the server makes at its first use is no peer's.
    drop(open_sessions(target, 1)?);
    let before = server.map(Watched::memory).transpose()?;
    let clock = Clock::new();
    let openings = match exchanges {
        0 => (0..peers)
            .map(|peer| open_peer(target, 2 + peer))
            .collect::<anyhow::Result<Vec<_>>>()?,
        _ => {
            let mut openings = open_sessions_from(target, 2, peers / 2)?;
            for pair in openings.chunks_exact_mut(2) {
                exchange(target.framing, pair, exchanges, bytes)?;
            }
            openings
        }
    };
    let seconds = Duration::from_nanos(clock.now()).as_secs_f64();
    let after = server.map(Watched::memory).transpose()?;
    let peers = openings.len();
    let each = |of: fn(Memory) -> u64| {
        let (before, after) = before.zip(after)?;
        let grown = of(after) as f64 - of(before) as f64;
        Some(rounded(grown / peers as f64, 0))
    };
    Ok(Idle {
        spoken: target.framing.into(),
        peers,
        exchanges,
        bytes,
        anonymous_bytes_per_peer: each(|memory| memory.anonymous),
        resident_bytes_per_peer: each(|memory| memory.resident),
        seconds: rounded(seconds, 3),
        peers_per_second: rounded(peers as f64 / seconds, 0),
    })
}

/// A message from each side to the other, so many times.
fn exchange(
    framing: Framing,
    pair: &mut [Opening],
    times: u32,
    bytes: usize,
) -> anyhow::Result<()> {
    let [caller, callee] = pair else {
        return Ok(());
    };
    let pattern = Pattern::session(framing, bytes);
    let mut sheet = pattern.sheet(1);
    for stamp in 0..times {
        for is_back in [false, true] {
            let (from, to) = match is_back {
                false => (&mut *caller, &mut *callee),
                true => (&mut *callee, &mut *caller),
            };
            pattern.fill(&mut sheet, Default::default(), stamp);
            from.send(sheet.take())?;
            let arrived = to.receive(pattern.arriving_bytes())?;
            ensure!(pattern.read(&arrived).is_some(), "a message was altered");
        }
    }
    Ok(())
}

/// One peer that reads no more while all others go on at a rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoppedReader {
    pub(crate) company: Company,
    pub(crate) bytes: usize,
    pub(crate) rate: u32,
    pub(crate) stopped_rate: u32,
    pub(crate) time: Duration,
}

impl StoppedReader {
    /// # Errors
    /// When anything that goes between the others is lost or altered, or one of them is cut.
    pub(crate) fn run(self, target: &Target, server: Option<Watched>) -> anyhow::Result<Stopped> {
        let group = self.company.group();
        let plan = Plan {
            pattern: self.company.pattern(target.framing, self.bytes),
            group,
            pace: Pace::Rate(self.rate),
        };
        let openings = self.company.open(target, self.bytes)?;
        let peers = openings.len();
        let stop = Stop {
            peer: group - 1,
            rate: self.stopped_rate,
        };
        let mut traffic = Traffic::with_stop(target, plan, openings, Some(stop))?;
        traffic.begin()?;
        traffic.run((self.time / WARM_UP).min(MAX_WARM_UP), 0)?;
        let before = traffic.run(self.time, 1)?;
        let resident = server.map(Watched::resident).transpose()?;
        traffic.links[stop.peer].stop_reading(&traffic.poll)?;
        traffic.stop.begin(traffic.now(), self.time);
        let (beside, most) = self.beside(&mut traffic, server)?;
        traffic.drain()?;
        ensure!(
            traffic.stop.all_were_told() || target.framing == Framing::Raw,
            "not everybody in the room was told that one was cut"
        );
        Ok(Stopped {
            spoken: target.framing.into(),
            peers,
            group,
            bytes: self.bytes,
            rate: self.rate,
            stopped_rate: self.stopped_rate,
            before_us: Latency::from(&before.latency),
            beside_us: Latency::from(&beside),
            messages_before: before.messages,
            messages_beside: beside.total(),
            growth_bytes: resident.map(|before| most.saturating_sub(before)),
            cut_after_ms: traffic
                .stop
                .cut_after()
                .map(|time| rounded(time.as_secs_f64() * 1e3, 0)),
            sent_to_stopped: traffic.stop.sent().into(),
        })
    }

    /// Goes on until the one that stopped is cut; tells the largest memory of the server meanwhile.
    fn beside(
        self,
        traffic: &mut Traffic,
        server: Option<Watched>,
    ) -> anyhow::Result<(Histogram, u64)> {
        let mut latency = Histogram::new();
        let (mut most, began) = (0, traffic.now());
        loop {
            let Measured { latency: some, .. } = traffic.run(LOOK, 0)?;
            latency.add(&some);
            if let Some(server) = server {
                most = most.max(server.resident()?);
            }
            let time = Duration::from_nanos(traffic.now() - began);
            // Where nobody speaks of an end, there is none to wait for.
            let limit = match traffic.ends_are_told() {
                true => CUT_LIMIT.max(self.time),
                false => self.time,
            };
            if traffic.stop.is_over(traffic.now()) || time >= limit {
                return Ok((latency, most));
            }
        }
    }
}

fn open_sessions_from(target: &Target, first: usize, pairs: usize) -> anyhow::Result<Vec<Opening>> {
    open_sessions(&target.moved(first), pairs)
}
