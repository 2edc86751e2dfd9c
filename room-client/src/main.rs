//! A participant of a room: see `room-client --help`.

mod cli;
mod meeting;
mod report;
mod room;

use std::process::ExitCode;

use client::program;

fn main() -> ExitCode {
    let config = cli::Args::from_command_line().into_config(|| fastrand::u32(..));
    let json = config.json;
    program::run("room-client", json, |printer| meeting::run(config, printer))
}
