//! A relay that does what a test tells it: a real server, with or without TLS.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use async_std::future::timeout;
use async_std::io::{self, Read, ReadExt as _, Write, WriteExt as _};
use async_std::net::{SocketAddr, TcpListener, TcpStream};
use async_std::task::spawn;
use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::Message;
use async_tungstenite::tungstenite::handshake::derive_accept_key;
use async_tungstenite::tungstenite::protocol::Role;
use client::config::{Relay as Address, Token, Trust};
use client::presence::{Presence, PresenceEvent};
use futures_rustls::TlsAcceptor;
use futures_util::StreamExt as _;

/// How long anything may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

pub(crate) trait Stream: Read + Write + Send + Unpin {}
impl<S: Read + Write + Send + Unpin> Stream for S {}

pub(crate) type Socket = WebSocketStream<Pin<Box<dyn Stream>>>;

/// What was asked for.
pub(crate) struct Request {
    head: String,
}

/// An answer of HTTP; without one, the request becomes a WebSocket.
pub(crate) type Answer = Option<String>;

/// A relay that nobody has told what to say yet.
pub(crate) struct Relay {
    address: SocketAddr,
    scheme: &'static str,
    sockets: Receiver<Socket>,
}

impl Request {
    /// `GET /path HTTP/1.1`
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// Whether it is about STUN and TURN servers.
    pub(crate) fn is_for_ice_servers(&self) -> bool {
        self.line().starts_with("GET /api/ice-servers")
    }

    /// A header field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let fields = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'));
        let mut found = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.trim())
    }
}

/// An answer with nothing but its status.
pub(crate) fn status(status: &str) -> Answer {
    Some(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n"))
}

/// An answer that is JSON.
pub(crate) fn json(body: &str) -> Answer {
    let length = body.len();
    Some(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
}

impl Relay {
    /// One that knows nothing but WebSockets.
    pub(crate) async fn start() -> Self {
        Self::answering(None, |request| match request.is_for_ice_servers() {
            true => status("404 Not Found"),
            false => None,
        })
        .await
    }

    /// One that answers as it is told.
    pub(crate) async fn answering(
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        let (opened, sockets) = bounded(64);
        let answer = Arc::new(answer);
        spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, opened, tls) = (Arc::clone(&answer), opened.clone(), tls.clone());
                spawn(async move { serve(stream, tls, &*answer, &opened).await });
            }
        });
        Self {
            address,
            scheme,
            sockets,
        }
    }

    /// The way to it, trusting what the system trusts and without a token.
    pub(crate) fn address(&self) -> Address {
        let server = format!("{}://{}", self.scheme, self.address);
        Address {
            server: server.parse().expect("a URL"),
            trust: Trust::System,
            token: Token::None,
        }
    }

    /// The next connection, once its first line is read.
    pub(crate) async fn greeted(&self) -> Socket {
        let accepting = async {
            let mut socket = self.sockets.recv().await.expect("a relay");
            assert_eq!(line(&mut socket).await.as_deref(), Some("HELLO me"));
            socket
        };
        timeout(LIMIT, accepting)
            .await
            .expect("a client that comes")
    }

    /// The next connection, registered.
    pub(crate) async fn registered(&self) -> Socket {
        let mut socket = self.greeted().await;
        say(&mut socket, "HELLO").await;
        socket
    }

    /// A client of it.
    pub(crate) fn client(&self) -> (Presence, Receiver<PresenceEvent>) {
        client(self.address())
    }
}

/// A client that registers as `me`.
pub(crate) fn client(address: Address) -> (Presence, Receiver<PresenceEvent>) {
    let (events, heard) = bounded(16);
    let id = "me".parse().expect("an id");
    (Presence::begin(address, id, events), heard)
}

async fn serve(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    answer: &(impl Fn(&Request) -> Answer + ?Sized),
    opened: &Sender<Socket>,
) -> io::Result<()> {
    let mut stream: Pin<Box<dyn Stream>> = match tls {
        Some(tls) => Box::pin(tls.accept(stream).await?),
        None => Box::pin(stream),
    };
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).await?;
        head.push(byte[0]);
        // No HTTP begins like this; TLS does.
        if head[0] == 0x16 {
            return stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let request = Request { head };
    if let Some(answer) = answer(&request) {
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await?;
        // Until the client has read it.
        let _ = stream.read(&mut byte).await;
        return Ok(());
    }
    let key = request.field("sec-websocket-key").unwrap_or_default();
    let accept = derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.flush().await?;
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    let _ = opened.send(socket).await;
    Ok(())
}

pub(crate) async fn say(socket: &mut Socket, line: &str) {
    socket
        .send(Message::text(line))
        .await
        .expect("a client that hears");
}

/// The next line; `None` once the client has hung up.
pub(crate) async fn line(socket: &mut Socket) -> Option<String> {
    loop {
        match timeout(LIMIT, socket.next())
            .await
            .expect("a client that says something")?
        {
            Ok(Message::Text(line)) => return Some(line.to_string()),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// What happens next at a relay, and all that is said of STUN and TURN servers before.
pub(crate) async fn event(heard: &Receiver<PresenceEvent>) -> PresenceEvent {
    loop {
        let event = any_event(heard).await;
        if !matches!(event, PresenceEvent::IceServers(_)) {
            return event;
        }
    }
}

/// What happens next at a relay.
pub(crate) async fn any_event(heard: &Receiver<PresenceEvent>) -> PresenceEvent {
    timeout(LIMIT, heard.recv())
        .await
        .expect("an event in time")
        .expect("a presence")
}
