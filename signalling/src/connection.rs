//! One WebSocket, from its opening to its end: reads, writes, pings, and gives up in time.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;

use async_std::future::timeout;
use async_std::net::TcpStream;
use async_std::task;
use async_tungstenite::tungstenite::protocol::frame::CloseFrame;
use async_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use async_tungstenite::tungstenite::{self, Message};
use async_tungstenite::{WebSocketReceiver, WebSocketSender, WebSocketStream};
use futures_util::{FutureExt, SinkExt, StreamExt, select_biased};
use protocol::limits::{MAX_MESSAGE_BYTES, MISSED_PINGS};
use tracing::debug;

use crate::config::{CLOSE_DEADLINE, Config, OUTBOX_BYTES, SOCKET_BUFFER_BYTES};
use crate::frame::{Bytes, CloseReason, Frame};
use crate::http::Opened;
use crate::hub::Hub;
use crate::outbox::{Outbox, Outgoing};
use crate::relay::ConnectionId;
use crate::wire::{Progress, Wire, linger};

/// After so many messages in a row the other connections get their turn, ...
const TURN_MESSAGES: usize = 16;

/// ... and after so many bytes: what one turn puts into an outbox must be far from filling it.
const TURN_BYTES: usize = 64 * 1024;

/// How the dialogue with a peer ended.
#[derive(Debug)]
enum End {
    /// The network is gone.
    Lost,
    /// The peer closed; the answer to it waits inside the WebSocket.
    PeerClosed,
    /// Our close is out.
    WeClosed,
    /// The peer failed us and is to be told so.
    Condemned(CloseReason),
}

/// A connection and what its halves share.
struct Connection<'a> {
    id: ConnectionId,
    hub: &'a Hub,
    config: &'a Config,
    outbox: Outbox,
    progress: Progress,
    /// Whether anything came in since the last ping.
    heard: Cell<bool>,
}

/// Drives a WebSocket whose opening handshake is done.
pub(crate) async fn serve(opened: Opened, hub: &Hub, config: &Config) {
    let Opened {
        stream,
        already_read,
        wants_notices,
    } = opened;
    let (wire, progress) = Wire::new(stream.clone());
    let socket = WebSocketStream::from_partially_read(
        wire,
        already_read.into(),
        Role::Server,
        Some(socket_config()),
    )
    .await;
    let (id, outbox) = hub.connect(wants_notices);
    let connection = Connection {
        id,
        hub,
        config,
        outbox,
        progress,
        heard: Cell::new(false),
    };
    let (mut sender, mut receiver) = socket.split();
    let end = select_biased! {
        () = connection.outbox.cut().fuse() => End::Condemned(CloseReason::SlowConsumer),
        end = connection.read(&mut receiver).fuse() => end,
        end = connection.write(&mut sender).fuse() => end,
    };
    debug!(connection = id.0, ?end, "connection ended");
    connection.conclude(end, sender, receiver, stream).await;
}

impl Connection<'_> {
    async fn read(&self, receiver: &mut WebSocketReceiver<Wire>) -> End {
        let mut turn = Turn::default();
        loop {
            if let Some((partner, outbox)) = self.hub.congested_partner(self.id) {
                self.wait_for(partner, &outbox).await;
            }
            let message = match receiver.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return end_of(&error),
                None => return End::Lost,
            };
            self.heard.set(true);
            turn.count(message.len());
            match message {
                Message::Text(text) => self.hub.receive(self.id, Frame::Text(text)),
                Message::Binary(bytes) => self.hub.receive(self.id, Frame::Binary(bytes)),
                Message::Close(_) => return End::PeerClosed,
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
            turn.end_when_long().await;
        }
    }

    /// Lets the partner catch up, but not for ever.
    async fn wait_for(&self, partner: ConnectionId, outbox: &Outbox) {
        let relieved = timeout(self.config.deadlines.stall, outbox.relieved()).await;
        if relieved.is_err() {
            self.hub.condemn(partner, CloseReason::SlowConsumer);
        }
    }

    async fn write(&self, sender: &mut WebSocketSender<Wire>) -> End {
        let mut unanswered = 0;
        let mut ping_due = pin!(task::sleep(self.config.deadlines.ping_interval).fuse());
        loop {
            let outgoing = select_biased! {
                () = ping_due => None,
                outgoing = self.outbox.next().fuse() => Some(outgoing),
            };
            let sent = match outgoing {
                Some(Outgoing::Frame(frame)) => self.within_limit(self.send(sender, frame)).await,
                Some(Outgoing::Close(reason)) => {
                    let close = self.within_limit(sender.send(close_message(reason))).await;
                    return close.err().unwrap_or(End::WeClosed);
                }
                None => {
                    if self.heard.take() {
                        unanswered = 0;
                    }
                    if unanswered == MISSED_PINGS {
                        return End::Condemned(CloseReason::KeepaliveTimeout);
                    }
                    unanswered += 1;
                    ping_due.set(task::sleep(self.config.deadlines.ping_interval).fuse());
                    self.within_limit(sender.send(Message::Ping(Bytes::new())))
                        .await
                }
            };
            if let Err(end) = sent {
                return end;
            }
        }
    }

    /// Sends a message and all that wait behind it, with one flush at the end.
    async fn send(
        &self,
        sender: &mut WebSocketSender<Wire>,
        first: Frame,
    ) -> tungstenite::Result<()> {
        sender.feed(message(first)).await?;
        while let Some(frame) = self.outbox.try_frame() {
            sender.feed(message(frame)).await?;
        }
        sender.flush().await
    }

    /// Goes on with a step of writing for as long as the network takes some bytes now and then.
    async fn within_limit(
        &self,
        step: impl Future<Output = tungstenite::Result<()>>,
    ) -> Result<(), End> {
        let mut step = pin!(step);
        loop {
            let before = self.progress.bytes();
            match timeout(self.config.deadlines.stall, &mut step).await {
                Ok(done) => return done.map_err(|_gone| End::Lost),
                Err(_) if self.progress.bytes() > before => {}
                Err(_) => return Err(End::Condemned(CloseReason::SlowConsumer)),
            }
        }
    }

    /// Lets go of the connection: first inside the relay, at once, then on the network, in its time.
    async fn conclude(
        self,
        end: End,
        mut sender: WebSocketSender<Wire>,
        mut receiver: WebSocketReceiver<Wire>,
        stream: TcpStream,
    ) {
        if let End::Condemned(reason) = end {
            self.hub.condemn(self.id, reason);
        }
        self.hub.disconnect(self.id);
        let farewell = async {
            match end {
                End::Lost => {}
                End::PeerClosed | End::WeClosed => exhaust(&mut receiver).await,
                End::Condemned(reason) => {
                    let reason = self.outbox.close_reason().unwrap_or(reason);
                    if sender.send(close_message(reason)).await.is_ok() {
                        linger(stream).await;
                    }
                }
            }
        };
        // Whoever does not close in time is cut off, which is what dropping the socket does.
        let _ = timeout(CLOSE_DEADLINE, farewell).await;
    }
}

/// Every bound is named. Whatever fits into an outbox also fits into the write buffer, which never
/// holds more than one message and some control frames. Compression is not offered, since it costs
/// 40 KiB a peer.
fn socket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(SOCKET_BUFFER_BYTES)
        .write_buffer_size(SOCKET_BUFFER_BYTES)
        .max_write_buffer_size(2 * OUTBOX_BYTES)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES))
        .accept_unmasked_frames(false)
}

fn message(frame: Frame) -> Message {
    match frame {
        Frame::Text(text) => Message::Text(text),
        Frame::Binary(bytes) => Message::Binary(bytes),
    }
}

fn close_message(reason: CloseReason) -> Message {
    Message::Close(Some(CloseFrame {
        code: reason.code().into(),
        reason: reason.text().into(),
    }))
}

fn end_of(error: &tungstenite::Error) -> End {
    use tungstenite::Error;
    use tungstenite::error::ProtocolError;
    match error {
        Error::Capacity(_) => End::Condemned(CloseReason::MessageTooBig),
        Error::Utf8(_) => End::Condemned(CloseReason::InvalidUtf8),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Lost,
        Error::Protocol(_) => End::Condemned(CloseReason::BrokenFrame),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Io(_)
        | Error::Tls(_)
        | Error::WriteBufferFull(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => End::Lost,
    }
}

/// Reads until the closing handshake is done, which also sends our part of it.
async fn exhaust(receiver: &mut WebSocketReceiver<Wire>) {
    let mut turn = Turn::default();
    while let Some(Ok(message)) = receiver.next().await {
        turn.count(message.len());
        turn.end_when_long().await;
    }
}

/// How much one connection did without a pause; all share one thread.
#[derive(Default)]
struct Turn {
    messages: usize,
    bytes: usize,
}

impl Turn {
    fn count(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes;
    }

    async fn end_when_long(&mut self) {
        if self.messages >= TURN_MESSAGES || self.bytes >= TURN_BYTES {
            *self = Self::default();
            task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use super::*;
    use crate::config::SESSION_BACKLOG_BYTES;

    fn config() -> Config {
        let mut config = Config::default();
        config.deadlines.stall = Duration::from_millis(50);
        config
    }

    fn connection<'a>(hub: &'a Hub, config: &'a Config) -> Connection<'a> {
        let (id, outbox) = hub.connect(false);
        Connection {
            id,
            hub,
            config,
            outbox,
            progress: Progress::default(),
            heard: Cell::new(false),
        }
    }

    fn say(connection: &Connection<'_>, line: &str) {
        let frame = Frame::Text(line.into());
        connection.hub.receive(connection.id, frame);
    }

    #[test]
    fn writing_may_take_long_but_not_without_any_progress() {
        let (hub, config) = (Hub::new(Duration::MAX), config());
        let connection = connection(&hub, &config);
        task::block_on(async {
            let slow = async {
                for _ in 0..4 {
                    task::sleep(config.deadlines.stall * 3 / 4).await;
                    connection.progress.advance(1);
                }
                Ok(())
            };
            assert!(connection.within_limit(slow).await.is_ok());
            let stuck = connection.within_limit(pending()).await;
            assert!(
                matches!(stuck, Err(End::Condemned(CloseReason::SlowConsumer))),
                "{stuck:?}"
            );
        });
    }

    #[test]
    fn who_keeps_its_partner_waiting_for_too_long_is_sent_away() {
        let (hub, config) = (Hub::new(Duration::MAX), config());
        let (alice, slow) = (connection(&hub, &config), connection(&hub, &config));
        say(&alice, "HELLO alice");
        say(&slow, "HELLO slow");
        say(&alice, "SESSION slow");
        assert!(hub.congested_partner(alice.id).is_none());
        say(&alice, &"x".repeat(SESSION_BACKLOG_BYTES));
        let (partner, outbox) = hub.congested_partner(alice.id).expect("much to read");
        task::block_on(alice.wait_for(partner, &outbox));
        assert_eq!(slow.outbox.close_reason(), Some(CloseReason::SlowConsumer));
        assert_eq!(alice.outbox.close_reason(), Some(CloseReason::PartnerLeft));
    }
}
