//! Reports on stdout, or beside what has stdout for itself.

use std::fmt::Display;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use serde::Serialize;

use crate::report::to_json;

/// How many lines may wait for a reader that pauses; more are lost. An hour of statistics.
const MAX_WAITING_LINES: usize = 4096;

/// Where reports are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// On standard output.
    Stdout,
    /// On standard error: standard output is for something else.
    Stderr,
}

/// Prints reports, each on a line, without ever waiting for whoever reads them.
#[derive(Clone, Debug)]
pub struct Printer {
    lines: SyncSender<String>,
    json: bool,
}

impl Printer {
    /// A printer, and what becomes ready when its last line is out.
    pub fn new(json: bool, stream: Stream) -> (Self, Receiver<()>) {
        let (lines, waiting) = sync_channel(MAX_WAITING_LINES);
        let (done, written) = sync_channel(1);
        thread::spawn(move || {
            let _ = match stream {
                Stream::Stdout => write_lines(&waiting, io::stdout()),
                Stream::Stderr => write_lines(&waiting, io::stderr()),
            };
            // Nobody waits any more when the deadline is over.
            let _ = done.try_send(());
        });
        (Self { lines, json }, written)
    }

    /// Prints a report.
    ///
    /// # Errors
    /// When nobody reads what is printed any more.
    pub fn print(&self, report: &(impl Display + Serialize)) -> io::Result<()> {
        let line = match self.json {
            true => to_json(report),
            false => report.to_string(),
        };
        match self.lines.try_send(line) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(line)) => {
                tracing::debug!("nobody reads the reports; this one is lost: {line}");
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

fn write_lines(waiting: &Receiver<String>, mut out: impl io::Write) -> io::Result<()> {
    while let Ok(line) = waiting.recv() {
        writeln!(out, "{line}")?;
        out.flush()?;
    }
    Ok(())
}
