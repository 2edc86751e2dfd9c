//! What a relay and the service manager tell one another. Under none of them, nothing is told.

use std::future;
use std::io;
use std::net::TcpListener;

use async_std::task;
use listenfd::ListenFd;
use sd_notify::NotifyState;
use tracing::warn;

/// The socket the service manager listens on for the relay, if it does. To be asked once, before
/// there is another thread.
///
/// # Errors
/// When it was promised a socket and is given something else.
pub(crate) fn listener() -> io::Result<Option<TcpListener>> {
    let mut sockets = ListenFd::from_env();
    if sockets.len() > 1 {
        warn!(
            count = sockets.len(),
            "of the sockets passed to the relay, it uses the first"
        );
    }
    sockets.take_tcp_listener(0)
}

/// Tells that the relay listens.
pub(crate) fn ready() {
    tell(NotifyState::Ready);
}

/// Tells that the relay ends.
pub(crate) fn stopping() {
    tell(NotifyState::Stopping);
}

/// Tells twice in the time the service manager has set that the thread it is called on still moves;
/// for ever, and never where no time is set.
pub(crate) async fn watchdog() {
    let Some(time) = sd_notify::watchdog_enabled().filter(|time| !time.is_zero()) else {
        return future::pending().await;
    };
    loop {
        tell(NotifyState::Watchdog);
        task::sleep(time / 2).await;
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(&state)) {
        warn!(%error, %state, "cannot tell the service manager");
    }
}
