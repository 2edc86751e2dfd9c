//! What every program of this crate does around its work: logs, exit codes, reports on stdout.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use serde::Serialize;
use tracing_subscriber::EnvFilter;

use crate::allocator;
use crate::failure::{Failure, FailureKind};
use crate::report::{Report, to_json};

/// Runs a program's work to its end and makes an exit code of what came of it. Failures are told on
/// stderr, and as a report when reports are JSON.
pub fn run(name: &str, json: bool, work: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    let allocator = allocator::settle();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
    if let Err(error) = allocator {
        tracing::debug!("memory may grow from call to call: {error}");
    }
    let started = gst::init().map_err(|error| {
        let sentence = format!("GStreamer does not start: {error}");
        Failure::new(FailureKind::PluginMissing, sentence)
    });
    let Err(failure) = started.and_then(|()| async_std::task::block_on(work)) else {
        return ExitCode::SUCCESS;
    };
    let exit_code = failure.kind.exit_code();
    // When nobody reads what we say, the exit code alone has to tell.
    let _ = writeln!(io::stderr(), "{name}: {failure}");
    if json {
        let reason = failure.sentence;
        let _ = print(&Report::Failed { reason, exit_code }, json);
    }
    ExitCode::from(exit_code)
}

/// Prints a report as a line.
///
/// # Errors
/// When nobody reads it.
pub fn print(report: &(impl Display + Serialize), json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match json {
        true => writeln!(out, "{}", to_json(report))?,
        false => writeln!(out, "{report}")?,
    }
    out.flush()
}
