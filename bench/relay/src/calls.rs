//! Whole calls, many at once: two connections, two registrations, a session, some messages to and fro,
//! and the end of both.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::call::{Call, MESSAGES, Side, Step, Who, token};
use crate::clock::{Clock, nanos};
use crate::figures::{Calls, Latency, rounded};
use crate::histogram::Histogram;
use crate::opening::connect;
use crate::pattern::{Framing, Pattern, Sheet};
use crate::poll::{Interest, Poll};
use crate::preamble::Preamble;
use crate::process::Watched;
use crate::target::Target;

/// How long nothing may come from any call.
const SILENCE_LIMIT: Duration = Duration::from_secs(10);

/// How long the last calls may take.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// The part of the time in which calls are made but not counted.
const WARM_UP: u32 = 4;

/// How calls are to be made.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Calls that go on at the same time.
    pub(crate) concurrency: usize,
    pub(crate) bytes: usize,
    /// Questions of each peer before the first message where nothing but bytes is spoken.
    pub(crate) turns: u32,
    pub(crate) time: Duration,
}

/// Makes calls for some time.
///
/// # Errors
/// When one of them goes wrong.
pub(crate) fn run(target: &Target, plan: Plan, server: Option<Watched>) -> anyhow::Result<Calls> {
    let mut caller = Caller::new(target, plan.clone())?;
    caller.begin()?;
    caller.run(plan.time / WARM_UP, 0)?;
    let ourselves = Watched::ourselves();
    let cpu =
        || -> anyhow::Result<_> { Ok((ourselves.cpu()?, server.map(Watched::cpu).transpose()?)) };
    let (ours_before, server_before) = cpu()?;
    let time = caller.run(plan.time, 1)?;
    let calls = std::mem::replace(&mut caller.ended, Histogram::new());
    let (ours_after, server_after) = cpu()?;
    caller.drain()?;
    let (seconds, count) = (time.as_secs_f64(), calls.total());
    ensure!(count > 0, "no call came to its end in {seconds:.1} s");
    let server_cpu = server_after
        .zip(server_before)
        .map(|(after, before)| (after - before).as_secs_f64());
    Ok(Calls {
        spoken: target.framing.into(),
        concurrency: plan.concurrency,
        messages_per_call: MESSAGES,
        bytes: plan.bytes,
        turns: match target.framing {
            Framing::Frames => None,
            Framing::Raw => Some(plan.turns),
        },
        seconds: rounded(seconds, 3),
        calls: count,
        calls_per_second: rounded(count as f64 / seconds, 0),
        call_us: Latency::from(&calls),
        server_cpu_s_per_thousand: server_cpu.map(|cpu| rounded(cpu * 1e3 / count as f64, 4)),
        server_cpu: server_cpu.map(|cpu| rounded(cpu / seconds, 3)),
        generator_cpu: rounded((ours_after - ours_before).as_secs_f64() / seconds, 3),
    })
}

struct Caller {
    target: Target,
    plan: Plan,
    clock: Clock,
    poll: Poll,
    pattern: Pattern,
    sheet: Sheet,
    calls: Vec<Option<Call>>,
    made: usize,
    is_calling: bool,
    heard_at: u64,
    ended: Histogram,
    buffer: Vec<u8>,
}

impl Caller {
    fn new(target: &Target, plan: Plan) -> anyhow::Result<Self> {
        let pattern = Pattern::session(target.framing, plan.bytes);
        Ok(Self {
            target: target.clone(),
            clock: Clock::new(),
            poll: Poll::new()?,
            sheet: pattern.sheet(1),
            pattern,
            calls: (0..plan.concurrency).map(|_| None).collect(),
            plan,
            made: 0,
            is_calling: true,
            heard_at: 0,
            ended: Histogram::new(),
            buffer: vec![0; 64 * 1024],
        })
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        for slot in 0..self.calls.len() {
            self.call(slot)?;
        }
        Ok(())
    }

    /// Goes on for some time, and then until so many calls have ended.
    fn run(&mut self, time: Duration, least: u64) -> anyhow::Result<Duration> {
        let from = self.clock.now();
        self.ended = Histogram::new();
        loop {
            self.turn()?;
            let now = self.clock.now();
            if now >= from + nanos(time) && self.ended.total() >= least {
                return Ok(Duration::from_nanos(now - from));
            }
            ensure!(
                now - self.heard_at < nanos(SILENCE_LIMIT),
                "no call gets any further"
            );
        }
    }

    fn drain(&mut self) -> anyhow::Result<()> {
        self.is_calling = false;
        let until = self.clock.now() + nanos(DRAIN_LIMIT);
        while self.calls.iter().any(Option::is_some) {
            self.turn()?;
            let left = self.calls.iter().flatten().count();
            ensure!(
                self.clock.now() < until,
                "{left} calls never come to their end"
            );
        }
        Ok(())
    }

    fn turn(&mut self) -> anyhow::Result<()> {
        let count = self.poll.wait(Some(Duration::from_millis(100)))?;
        if count > 0 {
            self.heard_at = self.clock.now();
        }
        for index in 0..count {
            let ready = self.poll.ready(index);
            let who = if ready.token.is_multiple_of(2) {
                Who::Caller
            } else {
                Who::Callee
            };
            self.serve(ready.token / 2, who)
                .with_context(|| format!("{who:?} of a call"))?;
        }
        Ok(())
    }

    /// Makes the next call, the callee's connection first.
    fn call(&mut self, slot: usize) -> anyhow::Result<()> {
        let number = self.made;
        self.made += 1;
        let began = self.clock.now();
        let mut open = |who: Who| -> anyhow::Result<Side> {
            let socket = connect(&self.target, number as u32, false)?;
            self.poll
                .add(&socket, token(slot, who), Interest::Readable)?;
            let (step, first) =
                self.plan
                    .first(&self.target, number, who, &self.pattern, &mut self.sheet);
            Ok(Side {
                socket,
                step,
                unread: Vec::new(),
                first: Some(first),
            })
        };
        let (callee, caller) = (open(Who::Callee)?, open(Who::Caller)?);
        self.calls[slot] = Some(Call {
            number,
            began,
            arrived: 0,
            caller,
            callee,
        });
        for who in [Who::Callee, Who::Caller] {
            self.send_first(slot, who)?;
        }
        Ok(())
    }

    /// Sends what comes first; a connection that does not stand yet is waited for.
    fn send_first(&mut self, slot: usize, who: Who) -> anyhow::Result<()> {
        let Some(side) = self.calls[slot].as_mut().map(|call| call.side(who)) else {
            return Ok(());
        };
        let Some(first) = side.first.take() else {
            return Ok(());
        };
        match side.socket.write(&first) {
            Ok(count) => {
                ensure!(
                    count == first.len(),
                    "a new connection takes no {} bytes",
                    first.len()
                );
                Ok(())
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::NotConnected
                ) =>
            {
                side.first = Some(first);
                Ok(self
                    .poll
                    .modify(&side.socket, token(slot, who), Interest::Both)?)
            }
            Err(error) => Err(error).context("a connection could not be made"),
        }
    }

    fn serve(&mut self, slot: usize, who: Who) -> anyhow::Result<()> {
        let Some(call) = self.calls[slot].as_mut() else {
            return Ok(());
        };
        let side = call.side(who);
        if side.step == Step::Over {
            return Ok(());
        }
        if side.first.is_some() {
            self.send_first(slot, who)?;
            let Some(side) = self.calls[slot].as_mut().map(|call| call.side(who)) else {
                return Ok(());
            };
            if side.first.is_none() {
                self.poll
                    .modify(&side.socket, token(slot, who), Interest::Readable)?;
            }
            return Ok(());
        }
        let ended = match side.socket.read(&mut self.buffer) {
            Ok(0) => true,
            Ok(count) => {
                side.unread.extend_from_slice(&self.buffer[..count]);
                false
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => true,
            Err(error) => return Err(error.into()),
        };
        if ended {
            ensure!(
                side.step == Step::Closing,
                "the server closes in the middle: {:?}",
                side.step
            );
            side.step = Step::Over;
        } else {
            self.hear(slot, who)?;
        }
        self.end(slot)
    }

    /// Begins anew when both sides are gone.
    fn end(&mut self, slot: usize) -> anyhow::Result<()> {
        let is_over = |side: &Side| side.step == Step::Over;
        let Some(call) =
            self.calls[slot].take_if(|call| is_over(&call.caller) && is_over(&call.callee))
        else {
            return Ok(());
        };
        self.ended.record(self.clock.now() - call.began);
        // The sockets close before the next ones are made.
        drop(call);
        if self.is_calling {
            self.call(slot)
        } else {
            Ok(())
        }
    }

    /// Does what follows from everything that has come to one side.
    fn hear(&mut self, slot: usize, who: Who) -> anyhow::Result<()> {
        let Self {
            target,
            pattern,
            sheet,
            calls,
            ..
        } = self;
        let Some(call) = calls[slot].as_mut() else {
            return Ok(());
        };
        let mut unread = std::mem::take(&mut call.side(who).unread);
        let mut taken = 0;
        loop {
            let rest = unread.get(taken..).unwrap_or_default();
            let bytes = match target.framing {
                Framing::Frames => call.hear_frame(who, rest, target, pattern, sheet)?,
                Framing::Raw => call.hear_raw(who, rest, pattern, sheet)?,
            };
            if bytes == 0 {
                break;
            }
            taken += bytes;
        }
        unread.drain(..taken);
        call.side(who).unread = unread;
        Ok(())
    }
}

impl Plan {
    /// What a side says first, and what it waits for then.
    fn first(
        &self,
        target: &Target,
        number: usize,
        who: Who,
        pattern: &Pattern,
        sheet: &mut Sheet,
    ) -> (Step, Vec<u8>) {
        let pair = Preamble::Pair {
            pair: number as u32,
        };
        match (target.framing, who, self.turns) {
            (Framing::Frames, _, _) => (Step::Upgrading, target.request.clone()),
            (Framing::Raw, Who::Callee, 0) => (Step::Talking, pair.to_bytes().to_vec()),
            (Framing::Raw, Who::Caller, 0) => {
                let mut first = pair.to_bytes().to_vec();
                pattern.fill(sheet, Default::default(), 0);
                first.extend_from_slice(sheet.take());
                (Step::Talking, first)
            }
            // One question of the caller stands for that of the session.
            (Framing::Raw, Who::Caller, turns) => {
                (Step::Asking(turns + 1), Preamble::Echo.to_bytes().to_vec())
            }
            (Framing::Raw, Who::Callee, turns) => {
                (Step::Asking(turns), Preamble::Echo.to_bytes().to_vec())
            }
        }
    }
}
