//! What every program of this crate does around its work: logs, exit codes, reports on stdout.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use gst::glib;
use tracing_subscriber::EnvFilter;

use crate::allocator;
use crate::failure::Failure;
use crate::gst_log;
use crate::plugins;
use crate::printer::{Printer, Stream};
use crate::report::Report;

/// How long the last lines may take to be read, once the program ends.
const LAST_WORDS_DEADLINE: Duration = Duration::from_secs(1);

/// Runs a program's work to its end and makes an exit code of what came of it. Failures are told on
/// stderr, and as a report when reports are JSON.
pub fn run<W>(name: &str, json: bool, work: impl FnOnce(Printer) -> W) -> ExitCode
where
    W: Future<Output = Result<(), Failure>>,
{
    run_logging(name, json, None, Stream::Stdout, work)
}

/// The same, with reports where there is room for them, and has GStreamer log more, written as in
/// `GST_DEBUG`.
pub fn run_logging<W>(
    name: &str,
    json: bool,
    gst_log: Option<&str>,
    stream: Stream,
    work: impl FnOnce(Printer) -> W,
) -> ExitCode
where
    W: Future<Output = Result<(), Failure>>,
{
    let allocator = allocator::settle();
    tracing_subscriber::fmt()
        .with_env_filter(filter(gst_log))
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    if let Err(error) = allocator {
        tracing::debug!("memory may grow from call to call: {error}");
    }
    quieten_libnice();
    // It is in the titles of windows.
    glib::set_application_name("Aldis");
    let (printer, written) = Printer::new(json, stream);
    let outcome = plugins::start().and_then(|()| {
        if gst_log::is_wanted(gst_log) {
            gst_log::carry(gst_log);
        }
        async_std::task::block_on(work(printer.clone()))
    });
    let mut code = ExitCode::SUCCESS;
    if let Err(failure) = outcome {
        let exit_code = failure.kind.exit_code();
        // When nobody reads what we say, the exit code alone has to tell.
        let _ = writeln!(io::stderr(), "{name}: {failure}");
        if json {
            let reason = failure.sentence;
            let _ = printer.print(&Report::Failed {
                reason,
                exit_code,
                stage: failure.stage,
            });
        }
        code = ExitCode::from(exit_code);
    }
    drop(printer);
    let _ = written.recv_timeout(LAST_WORDS_DEADLINE);
    code
}

/// What is logged, by `RUST_LOG`.
fn filter(gst_log: Option<&str>) -> EnvFilter {
    let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let says_of_gst = std::env::var("RUST_LOG").is_ok_and(|said| said.contains("gst"));
    // Keys that are made of passwords would be shown; and what is asked for of GStreamer is chosen by
    // its own means.
    let gst = (!says_of_gst && gst_log::is_wanted(gst_log)).then_some("gst=trace");
    for directive in ["stun_types=off"].into_iter().chain(gst) {
        if let Ok(directive) = directive.parse() {
            filter = filter.add_directive(directive);
        }
    }
    filter
}

/// Takes what libnice warns of into the log of those who look into something: nobody else can do
/// anything about it, and it says so at the end of every call through TURN.
fn quieten_libnice() {
    glib::log_set_handler(
        Some("libnice"),
        glib::LogLevels::LEVEL_WARNING,
        false,
        false,
        |_, _, message| tracing::debug!("libnice: {message}"),
    );
}
