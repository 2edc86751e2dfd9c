//! The bytes of one connection, in the open or inside TLS.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_io::Async;
use futures_util::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use rustls::ServerConnection;

use crate::config::SCRAP_BYTES;

/// A TCP connection, with TLS or without.
///
/// Whoever reads waits until there is something and then reads once: on a runtime that reads first
/// and waits after the failure, every message costs one system call more. Whoever writes need not
/// wait, so that one task can write to the connection of another.
pub(crate) struct Wire {
    socket: Async<TcpStream>,
    tls: Option<Box<ServerConnection>>,
    /// Whether nothing more is to be written.
    is_shut: bool,
}

impl Wire {
    /// Takes over a connection. What TLS has to say first is said when it is first read.
    pub(crate) fn new(socket: Async<TcpStream>, tls: Option<ServerConnection>) -> Self {
        Self {
            socket,
            tls: tls.map(Box::new),
            is_shut: false,
        }
    }

    /// Reads what is there, once something is; 0 bytes are the end.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(tls) = &mut self.tls
            && let Some(outcome) = read_plaintext(tls, buffer)
        {
            return Poll::Ready(outcome);
        }
        loop {
            // An answer of TLS may be stuck: then both directions are waited for.
            while self.wants_write() && !self.try_flush()? {
                if self.socket.poll_writable(cx)?.is_pending() {
                    break;
                }
            }
            ready!(self.socket.poll_readable(cx))?;
            match self.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    /// Waits until it makes sense to write again.
    pub(crate) fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_writable(cx)
    }

    /// Writes as much as is taken without waiting; `WouldBlock` when that is nothing.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let Some(tls) = &mut self.tls else {
            return self.socket.get_ref().write(bytes);
        };
        if !flush_tls(tls, &self.socket)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = tls.writer().write(bytes)?;
        // What the network does not take now is encrypted already, and goes with the next flush.
        flush_tls(tls, &self.socket)?;
        Ok(taken)
    }

    /// Hands on what TLS holds back; whether nothing of it is left.
    pub(crate) fn try_flush(&mut self) -> io::Result<bool> {
        match &mut self.tls {
            Some(tls) => flush_tls(tls, &self.socket),
            None => Ok(true),
        }
    }

    /// Whether TLS holds something back.
    pub(crate) fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Says that nothing more is written. Who is not there any more need not hear it.
    pub(crate) fn shut(&mut self) {
        if self.is_shut {
            return;
        }
        self.is_shut = true;
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = flush_tls(tls, &self.socket);
        }
        let _ = self.socket.get_ref().shutdown(Shutdown::Write);
    }

    /// Says that nothing more is written and reads what still comes, until the peer closes: a socket
    /// dropped with unread bytes is reset, and a reset can overtake what was sent last.
    pub(crate) async fn linger(mut self) {
        self.shut();
        let mut scrap = [0; SCRAP_BYTES];
        while let Ok(1..) = self.read(&mut scrap).await {}
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.socket.get_ref().read(buffer);
        };
        let is_end = tls.read_tls(&mut self.socket.get_ref())? == 0;
        let processed = tls.process_new_packets();
        // An answer, or an alert that says what was wrong.
        flush_tls(tls, &self.socket)?;
        processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        match read_plaintext(tls, buffer) {
            Some(outcome) => outcome,
            None if is_end => Ok(0),
            None => Err(io::ErrorKind::WouldBlock.into()),
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

fn flush_tls(tls: &mut ServerConnection, socket: &Async<TcpStream>) -> io::Result<bool> {
    while tls.wants_write() {
        match tls.write_tls(&mut socket.get_ref()) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Self::poll_read(self.get_mut(), cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return Poll::Ready(outcome),
            }
            ready!(self.poll_writable(cx))?;
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.try_flush()? {
            ready!(self.poll_writable(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        self.shut();
        Poll::Ready(Ok(()))
    }
}
