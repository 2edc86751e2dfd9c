//! A TCP connection that counts what it could write.

use std::cell::Cell;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use async_std::io::{Read, ReadExt, Write};
use async_std::net::TcpStream;
use async_std::task;

use crate::config::SOCKET_BUFFER_BYTES;

/// A TCP connection whose progress can be watched from outside the WebSocket that owns it.
pub(crate) struct Wire {
    stream: TcpStream,
    progress: Progress,
}

/// How many bytes the network took from a [`Wire`].
#[derive(Clone, Default)]
pub(crate) struct Progress(Rc<Cell<u64>>);

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> (Self, Progress) {
        let progress = Progress::default();
        let wire = Self {
            stream,
            progress: progress.clone(),
        };
        (wire, progress)
    }
}

impl Progress {
    /// Bytes since the connection was made.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.get()
    }

    pub(crate) fn advance(&self, bytes: u64) {
        self.0.set(self.0.get() + bytes);
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.progress.advance(count as u64);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

/// Says that nothing more is sent and reads what still comes, until the peer closes: a socket
/// dropped with unread bytes is reset, and a reset can overtake what was sent last.
pub(crate) async fn linger(mut stream: TcpStream) {
    if stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let mut scrap = [0; SOCKET_BUFFER_BYTES];
    while let Ok(1..) = stream.read(&mut scrap).await {
        task::yield_now().await;
    }
}
