//! The WebSocket to the relay: registers, sends lines, hears lines, notices when it is gone.

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use async_std::future::timeout;
use async_std::task::JoinHandle;
use async_tungstenite::tungstenite::client::IntoClientRequest as _;
use async_tungstenite::tungstenite::error::ProtocolError;
use async_tungstenite::tungstenite::http::{StatusCode, header};
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use async_tungstenite::tungstenite::{Error, Message};
use async_tungstenite::{WebSocketReceiver, WebSocketSender, client_async_with_config};
use futures_util::future::{Either, select};
use futures_util::{FutureExt as _, select_biased};
use protocol::limits::MAX_MESSAGE_BYTES;
use protocol::{ClientMessage, PeerId};
use url::Url;

use crate::failure::{Failure, FailureKind};
use crate::wire::{Way, Wire, is_encrypted, label, unreachable};

/// How long connecting and registering may take together.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// How long a line may take to leave this machine.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// When nothing has come for so long the relay is asked whether it is there; when nothing has come
/// for twice as long it is not.
const PING_AFTER: Duration = Duration::from_secs(20);

/// How long the answer to a probe may take.
const PROBE_DEADLINE: Duration = Duration::from_millis(1200);

/// How long we wait for the relay to say good-bye too.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);

/// How many lines may wait to be sent.
const MAX_WAITING_LINES: usize = 256;

/// A little more than lines of this protocol take; a library's default would be 128 KiB each.
const BUFFER_BYTES: usize = 4096;

/// Something the relay said or did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayEvent {
    /// A line came.
    Line(String),
    /// The relay closed in order (1000): in a session, the other side hung up.
    Closed,
    /// The connection is gone in any other way.
    Lost(String),
}

/// A registered connection. Dropping it hangs up.
#[derive(Debug)]
pub struct Signaller {
    lines: Sender<String>,
    probes: Sender<()>,
    serving: JoinHandle<()>,
}

impl Signaller {
    /// Connects and registers. What comes later goes into `events`, in order; the last one is
    /// [`RelayEvent::Closed`] or [`RelayEvent::Lost`]. While there is no room, the relay waits.
    ///
    /// # Errors
    /// When the relay cannot be reached, is not trusted, does not speak the protocol, does not let us
    /// in, or refuses the id.
    pub async fn register(
        way: &Way,
        id: &PeerId,
        events: Sender<RelayEvent>,
    ) -> Result<Self, Failure> {
        let registering = timeout(CONNECT_DEADLINE, connect(way, id)).await;
        let (sender, receiver) =
            registering.unwrap_or_else(|_| Err(unreachable(way.server(), "no answer")))?;
        let (lines, waiting) = bounded(MAX_WAITING_LINES);
        let (probes, probed) = bounded(1);
        let serving = async_std::task::spawn(async move {
            let last = serve(sender, receiver, waiting, &probed, &events).await;
            // Whoever is gone does not hear.
            let _ = events.send(last).await;
        });
        Ok(Self {
            lines,
            probes,
            serving,
        })
    }

    /// Hangs up and waits until the relay has heard it. Bounded in time.
    pub async fn close(self) {
        drop(self.lines);
        self.serving.await;
    }

    /// Has the relay say something: if it does not do so soon, it counts as gone.
    pub fn probe(&self) {
        // When one probe is under way, another would add nothing.
        let _ = self.probes.try_send(());
    }

    /// Sends a line. What cannot be sent because the relay is gone, or does not read, is lost: an
    /// event says so.
    pub fn send(&self, line: String) {
        if let Err(error) = self.lines.try_send(line) {
            tracing::warn!(
                "a line to the relay is lost: {}",
                if error.is_full() {
                    "it does not read"
                } else {
                    "it is gone"
                }
            );
        }
    }
}

/// Checks an address of a relay.
///
/// # Errors
/// Says what an address has to look like.
pub fn relay_address(text: &str) -> Result<Url, String> {
    let wanted = "a relay's address looks like ws://127.0.0.1:8443 or wss://relay.example.org";
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "ws" | "wss") && url.host_str().is_some() => Ok(url),
        Ok(_) | Err(_) => Err(wanted.into()),
    }
}

type Sending = WebSocketSender<Wire>;
type Receiving = WebSocketReceiver<Wire>;

async fn connect(way: &Way, id: &PeerId) -> Result<(Sending, Receiving), Failure> {
    let server = way.server();
    let mut address = server.clone();
    address.query_pairs_mut().append_pair("notices", "caller");
    let mut request = address
        .as_str()
        .into_client_request()
        .map_err(|error| unreachable(server, &error.to_string()))?;
    if let Some(token) = way.authorization()? {
        request.headers_mut().insert(header::AUTHORIZATION, token);
    }
    let wire = way.connect().await?;
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let (socket, _) = client_async_with_config(request, wire, Some(config))
        .await
        .map_err(|error| not_opened(way, &error))?;
    let (mut sender, mut receiver) = socket.split();
    let hello = ClientMessage::Hello(id.clone()).to_string();
    let sent = sender.send(Message::text(hello)).await;
    sent.map_err(|error| unreachable(server, &error.to_string()))?;
    welcome(&mut receiver, server, id).await?;
    Ok((sender, receiver))
}

/// What is said when the relay answers, but by no WebSocket.
fn not_opened(way: &Way, error: &Error) -> Failure {
    let server = way.server();
    let relay = label(server);
    let no_http = matches!(error, Error::Protocol(ProtocolError::HttparseError(_)));
    if no_http && !is_encrypted(server) {
        return unreachable(
            server,
            "it does not speak HTTP there; try wss:// instead of ws://",
        );
    }
    let Error::Http(response) = error else {
        return unreachable(server, &error.to_string());
    };
    let (kind, sentence) = match response.status() {
        StatusCode::UNAUTHORIZED if way.has_token() => (
            FailureKind::NotAdmitted,
            format!("The relay at {relay} does not accept the token: it is wrong, or has expired."),
        ),
        StatusCode::UNAUTHORIZED => (
            FailureKind::NotAdmitted,
            format!(
                "The relay at {relay} lets nobody in without a token; give one with --token-file, \
                 or in the variable ALDIS_TOKEN."
            ),
        ),
        StatusCode::FORBIDDEN => (
            FailureKind::NotAdmitted,
            format!("The relay at {relay} does not let this client in."),
        ),
        StatusCode::TOO_MANY_REQUESTS => (
            FailureKind::RelayUnreachable,
            format!(
                "The relay at {relay} has too many visitors from this address; try again later."
            ),
        ),
        StatusCode::SERVICE_UNAVAILABLE => return full(server),
        status => return unreachable(server, &format!("it answers {status}")),
    };
    Failure::new(kind, sentence)
}

fn full(server: &Url) -> Failure {
    let relay = label(server);
    let sentence = format!("The relay at {relay} is full, or is stopping; try again later.");
    Failure::new(FailureKind::RelayUnreachable, sentence)
}

async fn welcome(receiver: &mut Receiving, server: &Url, id: &PeerId) -> Result<(), Failure> {
    use futures_util::StreamExt as _;
    while let Some(message) = receiver.next().await {
        match message {
            Ok(Message::Text(text)) if text.as_str() == "HELLO" => return Ok(()),
            Ok(Message::Close(Some(frame))) if frame.reason.as_str() == "invalid peer uid" => {
                let sentence = format!(
                    "The relay refuses the id {id:?}: it is taken; choose another --our-id."
                );
                return Err(Failure::new(FailureKind::IdRefused, sentence));
            }
            Ok(Message::Close(Some(frame))) if frame.reason.as_str() == "not allowed by token" => {
                let sentence = format!("The token for the relay is not for the id {id:?}.");
                return Err(Failure::new(FailureKind::NotAdmitted, sentence));
            }
            Ok(Message::Close(Some(frame))) if frame.reason.as_str() == "relay full" => {
                return Err(full(server));
            }
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            Ok(Message::Close(Some(frame))) => {
                return Err(unreachable(
                    server,
                    &format!("it said {:?}", frame.reason.as_str()),
                ));
            }
            Ok(_) => return Err(unreachable(server, "it does not speak this protocol")),
            Err(error) => return Err(unreachable(server, &error.to_string())),
        }
    }
    Err(unreachable(server, "it closed the connection"))
}

/// Moves lines both ways until either side ends it.
async fn serve(
    sender: Sending,
    receiver: Receiving,
    waiting: Receiver<String>,
    probed: &Receiver<()>,
    events: &Sender<RelayEvent>,
) -> RelayEvent {
    let (ping, pings) = bounded(1);
    let reading = pin!(read(receiver, &ping, probed, events));
    let writing = pin!(write(sender, waiting, pings));
    match select(reading, writing).await {
        Either::Left((event, _)) => event,
        // We hung up. Nobody cares for what else comes, but the relay shall say good-bye.
        Either::Right((Ok(()), reading)) => {
            let _ = timeout(CLOSE_DEADLINE, reading).await;
            RelayEvent::Closed
        }
        Either::Right((Err(reason), _)) => RelayEvent::Lost(reason),
    }
}

async fn read(
    mut receiver: Receiving,
    ping: &Sender<()>,
    probed: &Receiver<()>,
    events: &Sender<RelayEvent>,
) -> RelayEvent {
    use futures_util::StreamExt as _;
    let mut asked = None;
    loop {
        let limit = asked.unwrap_or(PING_AFTER);
        let mut probe = pin!(told(probed).fuse());
        let mut waiting = pin!(timeout(limit, receiver.next()).fuse());
        let message = select_biased! {
            message = waiting => message,
            () = probe => {
                asked = Some(PROBE_DEADLINE);
                let _ = ping.try_send(());
                continue;
            }
        };
        let Ok(message) = message else {
            if asked.is_some() {
                return RelayEvent::Lost("it does not answer".into());
            }
            asked = Some(PING_AFTER);
            let _ = ping.try_send(());
            continue;
        };
        asked = None;
        // A relay that never stops talking must not keep those from being heard who wait beside it.
        async_std::task::yield_now().await;
        match message {
            Some(Ok(Message::Text(line))) => {
                // Whoever is gone does not hear.
                let _ = events.send(RelayEvent::Line(line.to_string())).await;
            }
            Some(Ok(Message::Close(Some(frame)))) if frame.code == CloseCode::Normal => {
                return RelayEvent::Closed;
            }
            Some(Ok(Message::Close(frame))) => {
                let reason = frame
                    .map(|frame| frame.reason.escape_debug().to_string())
                    .filter(|reason| !reason.is_empty());
                return RelayEvent::Lost(
                    reason.unwrap_or_else(|| "it closed the connection".into()),
                );
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return RelayEvent::Lost(error.to_string()),
            None => return RelayEvent::Lost("the connection broke".into()),
        }
    }
}

/// Waits to be told; for ever, once nobody can.
async fn told(probed: &Receiver<()>) {
    if probed.recv().await.is_err() {
        pending::<()>().await;
    }
}

/// Ends with `Ok` once nobody can send any more: the signaller was dropped.
async fn write(
    mut sender: Sending,
    waiting: Receiver<String>,
    pings: Receiver<()>,
) -> Result<(), String> {
    loop {
        let message = match select(Box::pin(waiting.recv()), Box::pin(pings.recv())).await {
            Either::Left((Ok(line), _)) => Message::text(line),
            Either::Left((Err(_), _)) => break,
            Either::Right((Ok(()), _)) => Message::Ping(Vec::new().into()),
            Either::Right((Err(_), _)) => return pending().await,
        };
        within(sender.send(message)).await?;
    }
    let farewell = CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    };
    within(sender.close(Some(farewell))).await
}

async fn within(sending: impl Future<Output = Result<(), Error>>) -> Result<(), String> {
    match timeout(WRITE_DEADLINE, sending).await {
        Ok(sent) => sent.map_err(|error| error.to_string()),
        Err(_) => Err("it does not read".into()),
    }
}
