//! The native client: see `client --help`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use client::cli::Args;
use client::data::Service;
use client::media::{Kind, Media};
use client::printer::Stream;
use client::{call, devices, doctor, encoder_probe, graph, program};

fn main() -> ExitCode {
    let config = Args::from_command_line().into_config(|| fastrand::u32(..));
    if config.print_pipeline {
        return print_pipeline(&config.media);
    }
    let json = config.json;
    if config.check {
        return program::run("client", json, |printer| {
            doctor::visit::run(config, printer)
        });
    }
    if config.list_encoders {
        return program::run("client", json, |printer| {
            encoder_probe::list(config.media, printer)
        });
    }
    if config.list_devices {
        let display = config.display();
        return program::run("client", json, |printer| devices::list(display, printer));
    }
    let gst_log = config.observation.gst_log.clone();
    let stream = match config.data.service {
        Service::Lines => Stream::Stderr,
        Service::Nothing | Service::Echo => Stream::Stdout,
    };
    program::run_logging("client", json, gst_log.as_deref(), stream, |printer| {
        call::run(config, printer)
    })
}

/// One line for each kind that is sent.
fn print_pipeline(media: &Media) -> ExitCode {
    let mut out = io::stdout().lock();
    let mut texts = Kind::ALL
        .into_iter()
        .filter_map(|kind| graph::discarding_text(media, kind));
    match texts.try_for_each(|text| writeln!(out, "{text}")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
