//! The native client: see `client --help`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use client::allocator;
use client::cli::Args;
use client::failure::{Failure, FailureKind};
use client::graph;
use client::media::{Kind, Media};
use client::report::Report;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let allocator = allocator::settle();
    let config = Args::parse().into_config(|| fastrand::u32(..));
    if config.print_pipeline {
        return print_pipeline(&config.media);
    }
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
    if let Err(error) = allocator {
        tracing::debug!("memory may grow from call to call: {error}");
    }

    let json = config.json;
    let run = async {
        gst::init().map_err(|error| {
            let sentence = format!("GStreamer does not start: {error}");
            Failure::new(FailureKind::PluginMissing, sentence)
        })?;
        client::call::run(config, &mut |report| print(report, json)).await
    };
    let Err(failure) = async_std::task::block_on(run) else {
        return ExitCode::SUCCESS;
    };
    let exit_code = failure.kind.exit_code();
    if json {
        // When nobody reads reports any more, the exit code alone has to tell.
        let _ = print(
            &Report::Failed {
                reason: failure.sentence.clone(),
                exit_code,
            },
            json,
        );
    }
    let _ = writeln!(io::stderr(), "client: {failure}");
    ExitCode::from(exit_code)
}

fn print(report: &Report, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match json {
        true => writeln!(out, "{}", report.to_json())?,
        false => writeln!(out, "{report}")?,
    }
    out.flush()
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
