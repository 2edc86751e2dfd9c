//! The relay as a program: parses, runs, and tells by its exit code how it went.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use async_signal::{Signal, Signals};
use async_std::task;
use clap::Parser;
use futures_util::StreamExt;
use signalling::cli::Args;
use signalling::server::StartError;
use signalling::{Config, Server};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

fn main() -> ExitCode {
    let config = Config::from(Args::parse());
    log_to_stderr();
    match task::block_on(run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where even stderr is closed, the exit code has to do.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> anyhow::Result<()> {
    let mut signals = Signals::new([Signal::Int, Signal::Term])
        .context("cannot take part in the system's signals")?;
    let listen = config.listen;
    let server = Server::bind(config).map_err(|error| match error {
        StartError::Listen(error) => cannot_listen(&error, listen),
        StartError::File(error) => error,
    })?;
    announce(&server);
    server
        .serve(async {
            signals.next().await;
        })
        .await;
    Ok(())
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only these three have a remedy of their own"
)]
fn cannot_listen(error: &io::Error, address: SocketAddr) -> anyhow::Error {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program uses it: stop that one, or choose another port with --listen \
             (port 0 takes a free one)"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address: choose one it has with --listen"
        }
        io::ErrorKind::PermissionDenied => {
            "that is not permitted: choose a port above 1023 with --listen"
        }
        _ => return anyhow::anyhow!("cannot listen on {address}: {error}"),
    };
    anyhow::anyhow!("cannot listen on {address}: {remedy}")
}

/// Prints the one line that says what to open. Nobody may be reading it, which is no failure.
fn announce(server: &Server) {
    let address = server.address();
    let mut out = io::stdout().lock();
    let _ = writeln!(
        out,
        "Aldis is ready: page http://{address}/  WebSocket ws://{address}/"
    )
    .and_then(|()| out.flush());
}

fn log_to_stderr() {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .log_internal_errors(false)
        .init();
}
