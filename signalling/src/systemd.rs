//! What a relay and the service manager tell one another. Under none of them, nothing is told.

use std::env;
use std::ffi::OsString;
use std::future;
use std::io;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::time::Duration;

use async_io::{Async, Timer};
use listenfd::ListenFd;
use tracing::{debug, warn};

/// The socket the service manager listens on for the relay, if it does. To be asked once, before
/// there is another thread.
///
/// # Errors
/// When it was promised a socket and is given something else.
pub(crate) fn listener() -> io::Result<Option<TcpListener>> {
    let mut sockets = ListenFd::from_env();
    let count = sockets.len();
    if count > 1 {
        warn!(
            count,
            "of the sockets passed to the relay, it uses the first"
        );
    }
    sockets.take_tcp_listener(0)
}

/// Tells that the relay listens. The service manager waits for it, so it waits for the service
/// manager.
pub(crate) async fn ready() {
    let told = async {
        if let Some(socket) = connect()? {
            Async::new_nonblocking(socket)?.send(b"READY=1").await?;
        }
        io::Result::Ok(())
    };
    if let Err(error) = told.await {
        warn!(%error, "cannot tell the service manager that the relay is ready");
    }
}

/// Tells that the relay ends.
pub(crate) fn stopping() {
    tell(b"STOPPING=1");
}

/// Tells twice in the time the service manager has set that the thread it is called on still moves;
/// for ever, and never where no time is set.
pub(crate) async fn watchdog() {
    let Some(time) = watchdog_time() else {
        return future::pending().await;
    };
    loop {
        tell(b"WATCHDOG=1");
        Timer::after(time / 2).await;
    }
}

fn watchdog_time() -> Option<Duration> {
    let number = |name| env::var(name).ok()?.parse::<u64>().ok();
    let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(process::id()));
    let time = number("WATCHDOG_USEC").map(Duration::from_micros)?;
    (is_ours && !time.is_zero()).then_some(time)
}

/// Waits for nobody: a service manager that does not read misses a word.
fn tell(word: &[u8]) {
    let told = connect().and_then(|socket| socket.map_or(Ok(0), |socket| socket.send(word)));
    if let Err(error) = told {
        debug!(%error, "the service manager missed a word");
    }
}

/// The way to the service manager, which holds up nobody.
fn connect() -> io::Result<Option<UnixDatagram>> {
    let Some(name) = env::var_os("NOTIFY_SOCKET") else {
        return Ok(None);
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address(&name)?)?;
    Ok(Some(socket))
}

/// A path, or what follows an `@` in the system's own list of names.
fn address(name: &OsString) -> io::Result<SocketAddr> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(rest) => SocketAddr::from_abstract_name(rest),
        None => SocketAddr::from_pathname(name),
    }
}
