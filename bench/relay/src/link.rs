//! One connection of the load: what is half read, and what the network has not taken yet.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use crate::poll::{Interest, Poll};

/// Bytes asked for in one read.
pub(crate) const READ_BYTES: usize = 64 * 1024;

/// What may wait to be sent on one connection, in bytes.
const MAX_UNSENT: usize = 4 * 1024 * 1024;

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    Nothing,
    /// So many bytes are at the beginning of the buffer, those kept before included.
    Bytes(usize),
    /// The other side has closed or is gone.
    End,
}

/// A connection that never waits.
pub(crate) struct Link {
    socket: TcpStream,
    token: usize,
    /// The beginning of a message.
    kept: Vec<u8>,
    unsent: Vec<u8>,
    is_read: bool,
}

impl Link {
    /// Takes over a connection and begins to watch it.
    ///
    /// # Errors
    /// When the socket is of no use.
    pub(crate) fn new(socket: TcpStream, token: usize, poll: &Poll) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        poll.add(&socket, token, Interest::Readable)?;
        Ok(Self {
            socket,
            token,
            kept: Vec::new(),
            unsent: Vec::new(),
            is_read: true,
        })
    }

    /// Reads once. The buffer holds [`READ_BYTES`] and a message at least.
    ///
    /// # Errors
    /// Never for an end, however abrupt.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Arrived> {
        let kept = self.kept.len();
        let (old, new) = buffer
            .split_at_mut_checked(kept)
            .ok_or(io::ErrorKind::InvalidInput)?;
        let end = new.len().min(READ_BYTES);
        match self.socket.read(&mut new[..end]) {
            Ok(0) => Ok(Arrived::End),
            Ok(count) => {
                old.copy_from_slice(&self.kept);
                self.kept.clear();
                Ok(Arrived::Bytes(kept + count))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Arrived::Nothing),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Arrived::Nothing),
            Err(error) if is_end(&error) => Ok(Arrived::End),
            Err(error) => Err(error),
        }
    }

    /// Keeps the beginning of a message for the next [`Self::receive`].
    pub(crate) fn keep(&mut self, rest: &[u8]) {
        self.kept.clear();
        self.kept.extend_from_slice(rest);
    }

    /// Sends, at once as far as the network takes it. What it does not take goes by [`Self::flush`].
    ///
    /// # Errors
    /// When too much waits already. An end is no error here: reading tells it.
    pub(crate) fn send(&mut self, bytes: &[u8], poll: &Poll) -> io::Result<()> {
        if !self.unsent.is_empty() {
            if self.unsent.len() + bytes.len() > MAX_UNSENT {
                return Err(io::Error::other(
                    "the server reads nothing from us any more",
                ));
            }
            self.unsent.extend_from_slice(bytes);
            return Ok(());
        }
        let sent = self.write(bytes)?;
        if let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            self.unsent.extend_from_slice(rest);
            self.watch(poll)?;
        }
        Ok(())
    }

    /// Goes on sending what the network had not taken.
    ///
    /// # Errors
    /// When the socket is of no use.
    pub(crate) fn flush(&mut self, poll: &Poll) -> io::Result<()> {
        let unsent = std::mem::take(&mut self.unsent);
        let sent = self.write(&unsent)?;
        self.unsent = unsent;
        self.unsent.drain(..sent);
        if self.unsent.is_empty() {
            self.watch(poll)?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.socket.write(bytes) {
            Ok(count) => Ok(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) if is_end(&error) => Ok(bytes.len()),
            Err(error) => Err(error),
        }
    }

    /// Whether the network has still to take something.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Reads no more, as a peer that hangs, and offers the network little room.
    ///
    /// # Errors
    /// When the socket is of no use.
    pub(crate) fn stop_reading(&mut self, poll: &Poll) -> io::Result<()> {
        self.is_read = false;
        rustix::net::sockopt::set_socket_recv_buffer_size(&self.socket, READ_BYTES)?;
        self.watch(poll)
    }

    /// Lets go of a connection that has ended: it is never ready again.
    ///
    /// # Errors
    /// When the socket is of no use.
    pub(crate) fn leave(&mut self, poll: &Poll) -> io::Result<()> {
        self.unsent.clear();
        poll.remove(&self.socket)
    }

    fn watch(&self, poll: &Poll) -> io::Result<()> {
        let interest = match (self.is_read, self.unsent.is_empty()) {
            (true, true) => Interest::Readable,
            (true, false) => Interest::Both,
            (false, true) => Interest::Nothing,
            (false, false) => Interest::Writable,
        };
        poll.modify(&self.socket, self.token, interest)
    }
}

/// Whether an error only says that the other side is gone.
fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
    )
}
