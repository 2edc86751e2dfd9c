//! A participant of a room: see `room-client --help`.

mod cli;
mod meeting;
mod report;
mod room;

use std::process::ExitCode;

use clap::Parser as _;
use client::program;

fn main() -> ExitCode {
    let config = cli::Args::parse().into_config(|| fastrand::u32(..));
    let json = config.json;
    let mut print = |report: &_| program::print(report, json);
    program::run("room-client", json, meeting::run(config, &mut print))
}
