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
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};
use sha2::{Digest as _, Sha256};
use url::{Host, Url};

use crate::config::{Fingerprint, Relay, Secret, Token, Trust};
use crate::failure::{Failure, FailureKind};

/// The longest token that is sent, in bytes: no relay reads a longer one.
const MAX_TOKEN_BYTES: u64 = 4096;

/// What webpki, of which rustls passes on no more than the name, says of a certificate that may sign
/// others: `openssl req -x509` makes such a one where nothing else is asked for.
const AUTHORITY: &str = "CaUsedAsEndEntity";

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
            true => Some(TlsConnector::from(Arc::new(tls_config(&relay.trust)?))),
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
            rustls::Error::InvalidCertificate(error) => untrusted(server, &distrust(error)),
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

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only these have a remedy of their own"
)]
fn distrust(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => "nobody whom this machine trusts vouches for its \
             certificate; where it has made that itself, give the fingerprint it prints with \
             --tls-fingerprint, or the certificate with --tls-ca"
            .into(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name than the one in its address; use a name that it \
             is for, or give its fingerprint with --tls-fingerprint"
                .into()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired, or the clock of this machine is wrong".into()
        }
        CertificateError::Other(OtherError(error)) => match error.downcast_ref() {
            Some(AnotherCertificate { found, expected }) => {
                format!("its fingerprint is {found} and not {expected}")
            }
            None if error.to_string() == AUTHORITY => {
                "its certificate is that of an authority (CA:TRUE), which signs others and is none \
                 for a relay; make one with CA:FALSE, or give its fingerprint with \
                 --tls-fingerprint"
                    .into()
            }
            None => format!("there is something wrong with its certificate, {error}"),
        },
        error => format!("there is something wrong with its certificate, {error}"),
    }
}

/// How TLS is spoken with somebody for whom `trust` has to vouch.
///
/// # Errors
/// When what is to be trusted cannot be read.
pub fn tls_config(trust: &Trust) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::new(FailureKind::Other, error.to_string()))?;
    let config = match trust {
        Trust::System => config.with_root_certificates(system_authorities()),
        Trust::Authorities(path) => config.with_root_certificates(authorities(path)?),
        Trust::Certificate(expected) => {
            let verifier = Pinned {
                expected: *expected,
                provider,
            };
            config
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Where there are none, nobody will be trusted, and that is said then.
fn system_authorities() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        tracing::debug!("some of what this system trusts cannot be read: {error}");
    }
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(added, ignored, "authorities of this system");
    roots
}

fn authorities(path: &Path) -> Result<RootCertStore, Failure> {
    let failed = |reason: String| {
        let sentence = format!(
            "The certificates of --tls-ca in {} cannot be used: {reason}.",
            path.display()
        );
        Failure::new(FailureKind::Other, sentence)
    };
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| failed(error.to_string()))?;
    }
    match roots.is_empty() {
        true => Err(failed("there are none in it".into())),
        false => Ok(roots),
    }
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

/// Trusts one certificate, whatever it says about itself, and whoever has its key.
#[derive(Debug)]
struct Pinned {
    expected: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found = Fingerprint(Sha256::digest(end_entity).into());
        if found == self.expected {
            return Ok(ServerCertVerified::assertion());
        }
        let (found, expected) = (found, self.expected);
        let error = OtherError(Arc::new(AnotherCertificate { found, expected }));
        Err(CertificateError::Other(error).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

#[derive(Debug)]
struct AnotherCertificate {
    found: Fingerprint,
    expected: Fingerprint,
}

impl std::fmt::Display for AnotherCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("another certificate")
    }
}

impl std::error::Error for AnotherCertificate {}

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
