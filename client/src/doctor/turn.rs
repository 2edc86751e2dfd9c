//! Asks STUN and TURN servers, by UDP, TCP and TLS.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use async_std::future::timeout;
use async_std::io::timeout as within;
use async_std::net::{TcpStream, ToSocketAddrs as _, UdpSocket};
use async_std::task;
use futures_util::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use rustls::pki_types::ServerName;

use super::servers::{Asked, Outcome};
use super::stun::{self, Answer, Credentials, Server, Transport};
use crate::turn_tls::{TurnTls, not_encrypted};

/// How long to wait for an answer by UDP before asking again, each time.
const UDP_PATIENCE: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_millis(600),
    Duration::from_millis(1200),
];

/// How long a stream may take to open, and an answer to come by it.
const STREAM_PATIENCE: Duration = Duration::from_secs(3);

/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 2048;

/// How many datagrams that are no answer are passed over.
const MAX_STRAYS: usize = 16;

/// Asks a server for what it is there for, by one transport.
pub async fn ask(
    server: &Server,
    transport: Transport,
    is_turn: bool,
    turn_tls: &TurnTls,
) -> Asked {
    let outcome = match open(server, transport, turn_tls).await {
        Ok(line) if is_turn => allocate(line, server.credentials.as_ref()).await,
        Ok(line) => bind(line).await,
        Err(error) => Err(error),
    };
    Asked {
        outcome: outcome.unwrap_or_else(|error| match error.kind() == io::ErrorKind::TimedOut {
            true => Outcome::Silent,
            false => Outcome::Unreachable(error.to_string()),
        }),
        ..Asked::silent(server, transport, is_turn)
    }
}

async fn bind(mut line: Line) -> io::Result<Outcome> {
    Ok(match line.ask(&stun::binding()).await? {
        Answer::Mapped(address) => Outcome::Mapped(address),
        Answer::Refused(code) => Outcome::Refused(code),
        Answer::Challenge { .. } => Outcome::NoCredentials,
        Answer::Lent | Answer::Done => Outcome::Silent,
    })
}

async fn allocate(mut line: Line, who: Option<&Credentials>) -> io::Result<Outcome> {
    let (realm, nonce) = match line.ask(&stun::allocation()).await? {
        Answer::Challenge { realm, nonce } => (realm, nonce),
        Answer::Lent => return Ok(Outcome::Lent),
        Answer::Refused(code) => return Ok(Outcome::Refused(code)),
        Answer::Mapped(_) | Answer::Done => return Ok(Outcome::Silent),
    };
    let Some(who) = who else {
        return Ok(Outcome::NoCredentials);
    };
    let Some(request) = stun::allocation_of(who, &realm, &nonce) else {
        return Ok(Outcome::WrongCredentials);
    };
    let outcome = match line.ask(&request).await? {
        Answer::Challenge { .. } | Answer::Refused(401) => Outcome::WrongCredentials,
        Answer::Refused(code) => Outcome::Refused(code),
        Answer::Lent => Outcome::Lent,
        Answer::Mapped(_) | Answer::Done => Outcome::Silent,
    };
    if outcome == Outcome::Lent
        && let Some(release) = stun::release_of(who, &realm, &nonce)
    {
        // Else it would be lent for ten minutes.
        let _ = line.ask(&release).await;
    }
    Ok(outcome)
}

/// A way to one server.
enum Line {
    Datagrams(UdpSocket),
    Stream(Box<dyn Stream>),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn open(server: &Server, transport: Transport, turn_tls: &TurnTls) -> io::Result<Line> {
    let addresses = (server.host.as_str(), server.port).to_socket_addrs();
    let address = addresses.await?.next();
    let address = address.ok_or_else(|| io::Error::other("its name leads to no address"))?;
    if transport == Transport::Udp {
        let any = match address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(address).await?;
        return Ok(Line::Datagrams(socket));
    }
    let stream = within(STREAM_PATIENCE, TcpStream::connect(address)).await?;
    if transport == Transport::Tcp {
        return Ok(Line::Stream(Box::new(stream)));
    }
    let turn_tls = turn_tls.clone();
    let connector = task::spawn_blocking(move || turn_tls.connector()).await;
    let connector = connector.map_err(|failure| io::Error::other(failure.sentence))?;
    let name = ServerName::try_from(server.host.clone()).map_err(io::Error::other)?;
    let connecting = connector.connect(name, stream);
    let stream = within(STREAM_PATIENCE, connecting).await;
    let stream = stream.map_err(|error| match error.kind() == io::ErrorKind::TimedOut {
        true => error,
        false => io::Error::other(not_encrypted(&error)),
    })?;
    Ok(Line::Stream(Box::new(stream)))
}

impl Line {
    async fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        match self {
            Self::Datagrams(socket) => {
                for patience in UDP_PATIENCE {
                    socket.send(request).await?;
                    if let Ok(answer) = timeout(patience, receive(socket, request)).await {
                        return answer;
                    }
                }
                Err(io::ErrorKind::TimedOut.into())
            }
            Self::Stream(stream) => {
                let asking = async {
                    stream.write_all(request).await?;
                    stream.flush().await?;
                    read(stream, request).await
                };
                within(STREAM_PATIENCE, asking).await
            }
        }
    }
}

async fn receive(socket: &UdpSocket, request: &[u8]) -> io::Result<Answer> {
    let mut bytes = [0; MAX_ANSWER_BYTES];
    for _ in 0..MAX_STRAYS {
        let count = socket.recv(&mut bytes).await?;
        if let Some(answer) = bytes
            .get(..count)
            .and_then(|bytes| stun::read(request, bytes))
        {
            return Ok(answer);
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

async fn read(stream: &mut Box<dyn Stream>, request: &[u8]) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let mut piece = [0; 256];
    while bytes.len() < MAX_ANSWER_BYTES {
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Err(io::Error::other("it closes the connection"));
        }
        bytes.extend_from_slice(piece.get(..count).unwrap_or_default());
        let whole = stun::length(&bytes).and_then(|length| bytes.get(..length));
        if let Some(message) = whole {
            let no_stun = || io::Error::other("it does not speak STUN there");
            return stun::read(request, message).ok_or_else(no_stun);
        }
    }
    Err(io::Error::other("it does not speak STUN there"))
}
