//! A peer: a real WebSocket that says and expects lines, and never waits for ever.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use async_tungstenite::tungstenite::client::client;
use async_tungstenite::tungstenite::{self, Message, WebSocket};

use crate::running::{PATIENCE, Running};

pub(crate) struct Peer {
    pub(crate) socket: WebSocket<TcpStream>,
}

impl Peer {
    /// Opens a WebSocket and says nothing.
    pub(crate) fn open(relay: &Running) -> Self {
        Self::open_at(relay.address, "/")
    }

    pub(crate) fn open_at(address: SocketAddr, path: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the relay listens");
        Self::over(stream, path).expect("the handshake succeeds")
    }

    /// Opens a WebSocket over a connection that is there; `None` when the relay does not want it.
    pub(crate) fn over(stream: TcpStream, path: &str) -> Option<Self> {
        let address = stream.peer_addr().ok()?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        let (socket, _) = client(format!("ws://{address}{path}"), stream).ok()?;
        Some(Self { socket })
    }

    pub(crate) fn registered(relay: &Running, id: &str) -> Self {
        let mut peer = Self::open(relay);
        peer.say(&format!("HELLO {id}"));
        peer.expect("HELLO");
        peer
    }

    /// Two peers in a session; the first one called.
    pub(crate) fn pair(relay: &Running, caller: &str, callee: &str) -> (Self, Self) {
        let mut one = Self::registered(relay, caller);
        let other = Self::registered(relay, callee);
        one.say(&format!("SESSION {callee}"));
        one.expect("SESSION_OK");
        (one, other)
    }

    /// A member of a room who knows whom it found there.
    pub(crate) fn in_room(relay: &Running, id: &str, room: &str, others: &[&str]) -> Self {
        let mut peer = Self::registered(relay, id);
        peer.say(&format!("ROOM {room}"));
        peer.expect(&format!("ROOM_OK {}", others.join(" ")));
        peer
    }

    pub(crate) fn say(&mut self, line: &str) {
        self.send(Message::text(line));
    }

    pub(crate) fn send(&mut self, message: Message) {
        self.socket.send(message).expect("the relay takes it");
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, line: &str) {
        assert_eq!(self.next_message(), Message::text(line));
    }

    /// The next message that is no ping.
    #[track_caller]
    pub(crate) fn next_message(&mut self) -> Message {
        loop {
            match self.socket.read() {
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(message) => return message,
                Err(error) => panic!("no message: {error}"),
            }
        }
    }

    /// Expects a close, answers it, and sees the relay end the connection.
    #[track_caller]
    pub(crate) fn expect_close(&mut self, code: u16, reason: &str) {
        let message = self.next_message();
        let Message::Close(Some(frame)) = &message else {
            panic!("no close: {message:?}")
        };
        assert_eq!(
            (u16::from(frame.code), frame.reason.as_str()),
            (code, reason)
        );
        let end = self.socket.read();
        assert!(
            matches!(end, Err(tungstenite::Error::ConnectionClosed)),
            "after the close: {end:?}"
        );
    }

    /// Closes properly and sees the answer.
    pub(crate) fn leave(mut self) {
        self.socket.close(None).expect("the relay still hears");
        while self.socket.read().is_ok() {}
    }

    /// Says something and gets an answer to that and nothing else: so nothing was on its way.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self) {
        self.say("SESSION nobody-at-all");
        self.expect("ERROR peer 'nobody-at-all' not found");
    }

    /// Bytes below the WebSocket, as a broken client would send them.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        self.socket
            .get_mut()
            .write_all(bytes)
            .expect("the relay hears");
    }

    /// Sends until the connection takes nothing more for a second, or is ended by the relay.
    pub(crate) fn send_until_blocked(&mut self, message: &Message, most: usize) -> Blocked {
        self.set_write_timeout(Duration::from_secs(1));
        for count in 1..=most {
            match self.socket.send(message.clone()) {
                Ok(()) => {}
                Err(tungstenite::Error::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => {
                    // The message is in the socket's own buffer and will go out with the next one.
                    self.set_write_timeout(PATIENCE);
                    return Blocked::After(count);
                }
                Err(_) => return Blocked::Ended,
            }
        }
        Blocked::Never
    }

    fn set_write_timeout(&mut self, timeout: Duration) {
        let stream = self.socket.get_mut();
        stream.set_write_timeout(Some(timeout)).expect("a timeout");
    }
}

/// How a flood of messages came to an end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// That many messages were taken, the last one perhaps in part.
    After(usize),
    /// The relay ended the connection.
    Ended,
    /// All was taken.
    Never,
}
