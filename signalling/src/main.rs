//! The relay as a program: parses, runs, and tells by its exit code how it went.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use async_signal::{Signal, Signals};
use futures_util::{FutureExt, StreamExt, select_biased};
use signalling::cli::{self, Task, TokenOrder};
use signalling::config::{Limits, Secret};
use signalling::server::{Drained, StartError};
use signalling::settings::{self, Log, LogFormat, Settings, value};
use signalling::token::Claims;
use signalling::token_file::TokenFile;
use signalling::watched::WatchedFile;
use signalling::{Config, Server};
use tracing::{info, warn};

mod descriptors;
mod systemd;

fn main() -> ExitCode {
    let outcome = match cli::task() {
        Task::Serve { settings, notes } => serve(*settings, &notes),
        Task::PrintConfig(settings) => print(&settings::print(&settings)),
        Task::Token(order) => token(&order).and_then(|token| print(&format!("{token}\n"))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where even stderr is closed, the exit code has to do.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(mut settings: Settings, notes: &[String]) -> anyhow::Result<()> {
    log_to_stderr(&settings.log)?;
    for note in notes {
        warn!("{note}");
    }
    if let Some(path) = &settings.turn_secret_file {
        settings.config.ice.turn_secret = Some(read_secret(path)?);
    }
    run(settings.config)
}

fn run(mut config: Config) -> anyhow::Result<()> {
    let mut signals = Signals::new([Signal::Int, Signal::Term])
        .context("cannot take part in the system's signals")?;
    let wanted = config.limits.connections;
    let granted = fit_descriptors(&mut config);
    let is_open = !config.listen.ip().is_loopback() && config.token_file.is_none();
    let server = listen(config)?;
    announce(&server);
    if is_open {
        info!(
            "everybody who reaches this address may enter: docs/relay.md says what a relay needs where strangers can"
        );
    }
    if granted < wanted {
        tell_of_fewer(granted, wanted);
    }
    server.serve(async {
        systemd::ready().await;
        signalled(&mut signals).await;
        systemd::stopping();
    })?;
    let end = server.drain(signalled(&mut signals))?;
    ensure!(
        end != Drained::InHaste,
        "told to end twice: ended before every connection was closed"
    );
    Ok(())
}

/// Waits for the next signal, and meanwhile tells the service manager that the relay lives.
async fn signalled(signals: &mut Signals) {
    select_biased! {
        _ = signals.next().fuse() => {}
        () = systemd::watchdog().fuse() => {}
    }
}

/// Takes the socket of the service manager where there is one, else makes one.
fn listen(config: Config) -> anyhow::Result<Server> {
    let unusable = "cannot use the socket passed to the relay";
    let address = config.listen;
    if let Some(listener) = systemd::listener().context(unusable)? {
        info!("listening on the socket passed to the relay; --listen is ignored");
        return Server::from_listener(listener, config).map_err(|error| match error {
            StartError::Listen(error) => anyhow::Error::new(error).context(unusable),
            StartError::File(error) => error,
        });
    }
    Server::bind(config).map_err(|error| match error {
        StartError::Listen(error) => cannot_listen(&error, address),
        StartError::File(error) => error,
    })
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

/// Prints the one line that says what to open, and by TLS another by which clients can know the
/// relay. Nobody may be reading it, which is no failure.
fn announce(server: &Server) {
    let address = server.address();
    let fingerprint = server.fingerprint();
    let s = if fingerprint.is_some() { "s" } else { "" };
    let mut text =
        format!("Aldis is ready: page http{s}://{address}/  WebSocket ws{s}://{address}/\n");
    if let Some(fingerprint) = fingerprint {
        text += &format!("Certificate: SHA-256 {fingerprint}\n");
    }
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Signs a token that holds from now on.
fn token(order: &TokenOrder) -> anyhow::Result<String> {
    log_to_stderr(&Log::default())?;
    let (_, secrets) = TokenFile::open(&order.token_file)?;
    let expires = seconds_since_1970()? + order.lifetime.as_secs().max(1);
    let claims = Claims {
        expires,
        not_before: None,
        pass: order.pass.clone(),
    };
    secrets
        .sign(&order.name, &claims)
        .map_err(anyhow::Error::msg)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a token holds from the moment it is asked for"
)]
fn seconds_since_1970() -> anyhow::Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(since
        .context("the clock of this machine stands before 1970")?
        .as_secs())
}

/// Prints a result. A reader that has gone has read enough.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot print it")
        }
        _ => Ok(()),
    }
}

/// A secret that stands alone in a file.
fn read_secret(path: &Path) -> anyhow::Result<Secret> {
    let unreadable = || {
        format!(
            "cannot read the secret of the TURN servers in {}",
            path.display()
        )
    };
    let mut file = WatchedFile::new(path);
    let content = file.read().with_context(unreadable)?;
    if file.is_exposed() {
        warn!(path = %path.display(), "others than the relay can read the secret of the TURN servers: chmod 600 keeps it");
    }
    let content = String::from_utf8(content).with_context(unreadable)?;
    let secret = content.trim();
    if secret.is_empty() || secret.contains('\n') {
        bail!(
            "the secret of the TURN servers has to stand alone in {}, on one line",
            path.display()
        );
    }
    Ok(Secret::new(secret))
}

/// Makes room for as many connections as there may be, or has fewer where there is no room; tells
/// how many.
fn fit_descriptors(config: &mut Config) -> usize {
    if let Some(descriptors) = descriptors::raise() {
        let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
        config.limits = config.limits.clone().within(descriptors);
    }
    config.limits.connections
}

/// Nobody has asked for the usual number, so having fewer is no reason to warn.
fn tell_of_fewer(granted: usize, wanted: usize) {
    let sentence = format!(
        "--max-connections {wanted} is more than the descriptors of this process allow: it is \
         {granted} now; ulimit -n, or LimitNOFILE of the service, permits more"
    );
    if wanted == Limits::default().connections {
        info!("{sentence}");
    } else {
        warn!("{sentence}");
    }
}

fn log_to_stderr(log: &Log) -> anyhow::Result<()> {
    let to_stderr = tracing_subscriber::fmt()
        .with_env_filter(value::filter(&log.filter)?)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .log_internal_errors(false);
    match log.format {
        LogFormat::Text => to_stderr.init(),
        LogFormat::Json => to_stderr.json().flatten_event(true).init(),
    }
    Ok(())
}
