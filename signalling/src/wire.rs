//! The bytes of one connection, in the open or inside TLS.

use std::cell::{Cell, RefCell};
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_io::Async;
use async_std::task;
use futures_util::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use rustls::ServerConnection;

use crate::config::SCRAP_BYTES;

/// A TCP connection, with TLS or without. Nothing here ever waits.
pub(crate) struct Wire {
    socket: TcpStream,
    tls: Option<Box<RefCell<ServerConnection>>>,
    /// Whether nothing more is to be written.
    is_shut: Cell<bool>,
}

/// A wire that can be waited for, while it is used for HTTP.
pub(crate) struct AwaitedWire {
    wire: Async<Wire>,
    /// What was read before, which comes first.
    already_read: Vec<u8>,
}

impl Wire {
    /// Takes over a connection that does not block. What TLS has to say first is said when it is first
    /// read.
    pub(crate) fn new(socket: TcpStream, tls: Option<ServerConnection>) -> Self {
        Self {
            socket,
            tls: tls.map(|tls| Box::new(RefCell::new(tls))),
            is_shut: Cell::new(false),
        }
    }

    /// Reads what is there, by one call of the system; 0 bytes are the end.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &self.tls else {
            return (&self.socket).read(buffer);
        };
        let mut tls = tls.borrow_mut();
        if let Some(outcome) = read_plaintext(&mut tls, buffer) {
            return outcome;
        }
        let is_end = tls.read_tls(&mut &self.socket)? == 0;
        let processed = tls.process_new_packets();
        // An answer, or an alert that says what was wrong.
        flush_tls(&mut tls, &self.socket)?;
        processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        match read_plaintext(&mut tls, buffer) {
            Some(outcome) => outcome,
            None if is_end => Ok(0),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Whether something was received that nobody will be told of: it is decrypted already.
    pub(crate) fn holds_plaintext(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| {
            let state = tls.borrow_mut().process_new_packets();
            state.is_ok_and(|state| state.plaintext_bytes_to_read() > 0)
        })
    }

    /// Writes as much as is taken.
    ///
    /// # Errors
    /// `WouldBlock` when that is nothing.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let Some(tls) = &self.tls else {
            return (&self.socket).write(bytes);
        };
        let mut tls = tls.borrow_mut();
        if !flush_tls(&mut tls, &self.socket)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = tls.writer().write(bytes)?;
        // What the network does not take now is encrypted already, and goes with the next flush.
        flush_tls(&mut tls, &self.socket)?;
        Ok(taken)
    }

    /// Hands on what TLS holds back; whether nothing of it is left.
    pub(crate) fn try_flush(&self) -> io::Result<bool> {
        match &self.tls {
            Some(tls) => flush_tls(&mut tls.borrow_mut(), &self.socket),
            None => Ok(true),
        }
    }

    /// Whether TLS holds something back.
    pub(crate) fn wants_write(&self) -> bool {
        self.tls
            .as_ref()
            .is_some_and(|tls| tls.borrow().wants_write())
    }

    /// Says that nothing more is written. Who is not there any more need not hear it.
    pub(crate) fn shut(&self) {
        if self.is_shut.replace(true) {
            return;
        }
        if let Some(tls) = &self.tls {
            let mut tls = tls.borrow_mut();
            tls.send_close_notify();
            let _ = flush_tls(&mut tls, &self.socket);
        }
        let _ = self.socket.shutdown(Shutdown::Write);
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AwaitedWire {
    pub(crate) fn new(wire: Wire, already_read: Vec<u8>) -> io::Result<Self> {
        Ok(Self {
            wire: Async::new_nonblocking(wire)?,
            already_read,
        })
    }

    /// The wire alone, which from now on is waited for in another way.
    pub(crate) fn into_inner(self) -> io::Result<Wire> {
        self.wire.into_inner()
    }

    /// Says that nothing more is written and reads what still comes, until the peer closes: a socket
    /// dropped with unread bytes is reset, and a reset can overtake what was sent last.
    pub(crate) async fn linger(mut self) {
        self.wire.get_ref().shut();
        let mut scrap = [0; SCRAP_BYTES];
        while let Ok(1..) = self.read(&mut scrap).await {
            // Who sends as fast as this reads would keep the thread from all others.
            task::yield_now().await;
        }
    }
}

/// What is decrypted already, if anything is.
fn read_plaintext(tls: &mut ServerConnection, buffer: &mut [u8]) -> Option<io::Result<usize>> {
    match tls.reader().read(buffer) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        // Peers that do not say good-bye in TLS are common, and what they say has an end of its own.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Some(Ok(0)),
        outcome => Some(outcome),
    }
}

fn flush_tls(tls: &mut ServerConnection, mut socket: &TcpStream) -> io::Result<bool> {
    while tls.wants_write() {
        match tls.write_tls(&mut socket) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

impl AsyncRead for AwaitedWire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if !self.already_read.is_empty() {
            let count = self.already_read.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.already_read[..count]);
            self.already_read.drain(..count);
            return Poll::Ready(Ok(count));
        }
        let wire = self.wire.get_ref();
        loop {
            match wire.try_read(buffer) {
                Err(error) if is_for_later(&error) => {}
                outcome => return Poll::Ready(outcome),
            }
            // An answer of TLS may be stuck: then both directions are waited for.
            while wire.wants_write() && !wire.try_flush()? {
                if self.wire.poll_writable(cx)?.is_pending() {
                    break;
                }
            }
            ready!(self.wire.poll_readable(cx))?;
        }
    }
}

impl AsyncWrite for AwaitedWire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.wire.get_ref().try_write(bytes) {
                Err(error) if is_for_later(&error) => {}
                outcome => return Poll::Ready(outcome),
            }
            ready!(self.wire.poll_writable(cx))?;
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.wire.get_ref().try_flush()? {
            ready!(self.wire.poll_writable(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        self.wire.get_ref().shut();
        Poll::Ready(Ok(()))
    }
}

/// Whether it is worth trying again, once the system says so.
pub(crate) fn is_for_later(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, WouldBlock};
    matches!(error.kind(), Interrupted | WouldBlock)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use futures_util::poll;

    use super::*;

    #[test]
    fn reading_what_nobody_wants_to_know_lets_others_have_a_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let mut peer = TcpStream::connect(address).expect("it listens");
        let (socket, _) = listener.accept().expect("a connection");
        socket.set_nonblocking(true).expect("a socket");
        peer.write_all(&[0; 16 * SCRAP_BYTES]).expect("room");
        peer.shutdown(Shutdown::Write).expect("a socket");
        let wire = AwaitedWire::new(Wire::new(socket, None), Vec::new()).expect("a wire");
        task::block_on(async {
            let mut linger = Box::pin(wire.linger());
            assert!(poll!(&mut linger).is_pending());
            linger.await;
        });
    }
}
