//! Where a baseline takes its connections from.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use anyhow::Context;
use rustix::net::{SocketFlags, sockopt};

use crate::poll::{Interest, Poll};

/// Connections taken in a row before those that exist get their turn.
const TURN: usize = 64;

/// The token of the listener: no connection has it.
pub(crate) const LISTENER: usize = usize::MAX;

/// A socket that listens.
pub(crate) struct Listener(TcpListener);

impl Listener {
    /// Listens, and begins to watch for connections.
    ///
    /// # Errors
    /// When the address is not ours or taken.
    pub(crate) fn bind(address: SocketAddr, poll: &Poll) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
        listener.set_nonblocking(true)?;
        poll.add(&listener, LISTENER, Interest::Readable)?;
        Ok(Self(listener))
    }

    /// # Errors
    /// Never for a socket that listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Takes the connections that wait, but not too many in a row.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub(crate) fn accept(&self, mut take: impl FnMut(OwnedFd) -> io::Result<()>) -> io::Result<()> {
        for _ in 0..TURN {
            match rustix::net::accept_with(&self.0, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => {
                    // Who is gone already is found out by reading.
                    let _ = sockopt::set_tcp_nodelay(&socket, true);
                    take(socket)?;
                }
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(rustix::io::Errno::CONNABORTED | rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// The lowest place that is free, or a new one.
pub(crate) fn place<T>(places: &mut Vec<Option<T>>, free: &mut Vec<usize>) -> usize {
    free.pop().unwrap_or_else(|| {
        places.push(None);
        places.len() - 1
    })
}
