//! A connection to the relay, with TLS where its address says so.

use std::io::{self, BufReader, Read as _};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_std::io::{Read, Write};
use async_std::net::{TcpStream, ToSocketAddrs as _};
use async_tungstenite::tungstenite::http::HeaderValue;
use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use rustls::pki_types::ServerName;
use url::{Host, Url};

use crate::config::{Relay, Secret, Token};
use crate::failure::{Failure, FailureKind};
use crate::trust::{Whom, distrust, tls_config};

/// The longest token that is sent, in bytes: no relay reads a longer one.
const MAX_TOKEN_BYTES: u64 = 4096;

/// The way to one relay, ready to be taken again and again.
pub struct Way {
    relay: Relay,
    /// `None` where the address asks for no TLS.
    tls: Option<TlsConnector>,
}

/// One connection.
pub enum Wire {
    /// Everybody on the way can read.
    Plain(TcpStream),
    /// Nobody can.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Way {
    /// Gets ready; what this system trusts is read.
    ///
    /// # Errors
    /// When what is to be trusted cannot be read.
    pub fn new(relay: Relay) -> Result<Self, Failure> {
        let tls = match is_encrypted(&relay.server) {
            true => Some(TlsConnector::from(Arc::new(tls_config(
                &relay.trust,
                Whom::Relay,
            )?))),
            false => None,
        };
        if tls.is_none() && relay.token != Token::None && !is_this_machine(&relay.server) {
            tracing::warn!("everybody on the way can read the token; wss:// would hide it");
        }
        Ok(Self { relay, tls })
    }

    /// The relay's address.
    pub fn server(&self) -> &Url {
        &self.relay.server
    }

    /// Whether there is a token to show.
    pub fn has_token(&self) -> bool {
        self.relay.token != Token::None
    }

    /// Connects.
    ///
    /// # Errors
    /// When nobody answers there, or somebody who is not trusted.
    pub async fn connect(&self) -> Result<Wire, Failure> {
        let server = self.server();
        let host = server.host_str().unwrap_or_default();
        let host = host.trim_matches(['[', ']']).to_owned();
        let port = server.port_or_known_default().unwrap_or(80);
        let addresses: Vec<_> = (host.as_str(), port)
            .to_socket_addrs()
            .await
            .map_err(|_| unreachable(server, "its name leads to no address"))?
            .collect();
        let stream = TcpStream::connect(addresses.as_slice())
            .await
            .map_err(|error| unreachable(server, &error.to_string()))?;
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return Ok(Wire::Plain(stream));
        };
        let name = ServerName::try_from(host)
            .map_err(|_| unreachable(server, "no certificate can be for its name"))?;
        match tls.connect(name, stream).await {
            Ok(stream) => Ok(Wire::Tls(Box::new(stream))),
            Err(error) => Err(self.not_encrypted(&error)),
        }
    }

    /// The header that carries the token, if there is one. Its `Debug` does not show it.
    ///
    /// # Errors
    /// When the token cannot be read, or is none.
    pub fn authorization(&self) -> Result<Option<HeaderValue>, Failure> {
        let token = match &self.relay.token {
            Token::None => return Ok(None),
            Token::Given(token) => token.clone(),
            Token::File(path) => read_token(path)?,
        };
        let is_token =
            !token.reveal().is_empty() && token.reveal().bytes().all(|b| b.is_ascii_graphic());
        let header = HeaderValue::try_from(format!("Bearer {}", token.reveal()));
        match header {
            Ok(mut header) if is_token => {
                header.set_sensitive(true);
                Ok(Some(header))
            }
            Ok(_) | Err(_) => Err(Failure::new(
                FailureKind::NotAdmitted,
                "What was given as the token for the relay is none: a token is a single word, of \
                 ASCII alone.",
            )),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only these have a remedy of their own"
    )]
    fn not_encrypted(&self, error: &io::Error) -> Failure {
        let server = self.server();
        let tls = error
            .get_ref()
            .and_then(|error| error.downcast_ref::<rustls::Error>());
        let Some(tls) = tls else {
            return unreachable(server, &error.to_string());
        };
        match tls {
            rustls::Error::InvalidCertificate(error) => {
                untrusted(server, &distrust(error, Whom::Relay))
            }
            rustls::Error::InvalidMessage(_) => unreachable(
                server,
                "it does not speak TLS there; try ws:// instead of wss://",
            ),
            tls => unreachable(server, &tls.to_string()),
        }
    }
}

/// Whether an address asks for TLS.
pub fn is_encrypted(server: &Url) -> bool {
    server.scheme() == "wss"
}

fn is_this_machine(server: &Url) -> bool {
    match server.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A relay's address without what may be secret in it: a password, a token.
pub fn label(server: &Url) -> String {
    let mut label = server.clone();
    // Neither can fail for an address with a host.
    let _ = label.set_username("");
    let _ = label.set_password(None);
    label.set_query(None);
    label.into()
}

/// What is said when a relay cannot be reached.
pub fn unreachable(server: &Url, reason: &str) -> Failure {
    let sentence = format!(
        "The relay at {} cannot be reached ({reason}); start it with `signalling`, or say \
         where it is with --server.",
        label(server)
    );
    Failure::new(FailureKind::RelayUnreachable, sentence)
}

fn untrusted(server: &Url, reason: &str) -> Failure {
    let sentence = format!("The relay at {} is not trusted: {reason}.", label(server));
    Failure::new(FailureKind::RelayUntrusted, sentence)
}

fn read_token(path: &Path) -> Result<Secret, Failure> {
    let read = || {
        let file = std::fs::File::open(path)?;
        let mut text = String::new();
        BufReader::new(file.take(MAX_TOKEN_BYTES + 2)).read_to_string(&mut text)?;
        Ok::<_, io::Error>(text)
    };
    match read() {
        Ok(text) => Ok(Secret::new(text.trim())),
        Err(error) => {
            let sentence = format!("The token in {} cannot be read: {error}.", path.display());
            Err(Failure::new(FailureKind::NotAdmitted, sentence))
        }
    }
}

impl Read for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl Write for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_close(cx),
            Self::Tls(stream) => Pin::new(stream).poll_close(cx),
        }
    }
}
