//! Puts a load on any relay that speaks the signalling protocol, and has baselines to compare with.

mod call;
mod calls;
mod cli;
mod clock;
mod figures;
mod frame;
mod histogram;
mod link;
mod listener;
mod loads;
mod opening;
mod pattern;
mod poll;
mod preamble;
mod process;
mod raw;
mod stopped;
mod target;
mod traffic;
mod websocket;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Baseline, Cli, Command, Load, Pacing, Server};
use crate::figures::{Flow, Report};
use crate::loads::{Company, StoppedReader};
use crate::process::{Watched, allow_all_files, allow_files};
use crate::target::Target;
use crate::traffic::Pace;

/// Files that are no connections of the load.
const OTHER_FILES: u64 = 64;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve {
            kind,
            listen,
            at_once,
        } => serve(kind, listen, at_once),
        Command::Load(load) => {
            report(load).and_then(|report| say(&serde_json::to_string(&report)?))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where even stderr is closed, the exit code has to do.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Puts the load on the server.
fn report(load: Load) -> anyhow::Result<Report> {
    match load {
        Load::Idle(load) => idle(&load).map(Report::Idle),
        Load::Pairs(load) => {
            flow(&load.server, sessions(load.pairs), load.bytes, &load.pacing).map(Report::Pairs)
        }
        Load::Active(load) => flow(
            &load.server,
            sessions(load.peers / 2),
            load.bytes,
            &load.pacing,
        )
        .map(Report::Active),
        Load::Rooms(load) => {
            let company = rooms(load.rooms, load.size);
            flow(&load.server, company, load.bytes, &load.pacing).map(Report::Rooms)
        }
        Load::Calls(load) => calls(&load).map(Report::Calls),
        Load::StoppedReader(load) => stopped_reader(&load).map(Report::StoppedReader),
    }
}

fn idle(load: &cli::Idle) -> anyhow::Result<figures::Idle> {
    let (target, watched) = load.server.reached(load.peers + 2)?;
    loads::idle(
        &target,
        load.peers as usize,
        load.exchanges,
        load.bytes as usize,
        watched,
    )
}

fn calls(load: &cli::Calls) -> anyhow::Result<figures::Calls> {
    let (target, watched) = load.server.reached(2 * load.concurrency)?;
    let plan = calls::Plan {
        concurrency: load.concurrency as usize,
        bytes: load.bytes as usize,
        turns: load.turns,
        time: load.time.seconds,
    };
    calls::run(&target, plan, watched)
}

fn stopped_reader(load: &cli::StoppedReader) -> anyhow::Result<figures::Stopped> {
    let company = match load.room {
        true => rooms(load.rooms, load.size),
        false => sessions(load.pairs),
    };
    let (target, watched) = load.server.reached(company.peers() as u32)?;
    let load = StoppedReader {
        company,
        bytes: load.bytes as usize,
        rate: load.rate,
        stopped_rate: load.stopped_rate,
        time: load.time.seconds,
    };
    load.run(&target, watched)
}

fn flow(server: &Server, company: Company, bytes: u32, pacing: &Pacing) -> anyhow::Result<Flow> {
    let (target, watched) = server.reached(company.peers() as u32)?;
    let pace = match pacing.rate {
        Some(rate) => Pace::Rate(rate),
        None => Pace::InFlight(pacing.in_flight),
    };
    loads::flow(
        &target,
        company,
        bytes as usize,
        pace,
        pacing.time.seconds,
        watched,
    )
}

fn sessions(pairs: u32) -> Company {
    Company::Sessions {
        pairs: pairs as usize,
    }
}

fn rooms(rooms: u32, size: u32) -> Company {
    Company::Rooms {
        rooms: rooms as usize,
        size: size as usize,
    }
}

impl Server {
    /// The server as it is reached, for a load of so many connections.
    fn reached(&self, connections: u32) -> anyhow::Result<(Target, Option<Watched>)> {
        allow_files(u64::from(connections) + OTHER_FILES)?;
        let target =
            Target::parse(&self.url, self.raw, std::process::id()).map_err(anyhow::Error::msg)?;
        let watched = self.pid.map(Watched::new).transpose()?;
        Ok((target, watched))
    }
}

fn serve(kind: Baseline, listen: SocketAddr, at_once: bool) -> anyhow::Result<()> {
    allow_all_files()?;
    match kind {
        Baseline::Raw => {
            let forwarder = raw::Forwarder::bind(listen, at_once)?;
            say(&format!(
                "The forwarder is ready: tcp://{}",
                forwarder.address()?
            ))?;
            Ok(forwarder.run()?)
        }
        Baseline::Websocket => {
            let relay = websocket::Relay::bind(listen)?;
            say(&format!("The relay is ready: ws://{}/", relay.address()?))?;
            Ok(relay.run()?)
        }
    }
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
