//! Whom to trust at the other end of TLS, and what is said of who is not trusted.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};
use sha2::{Digest as _, Sha256};

use crate::config::{Fingerprint, Trust};
use crate::failure::{Failure, FailureKind};

/// What webpki, of which rustls passes on no more than the name, says of a certificate that may sign
/// others: `openssl req -x509` makes such a one where nothing else is asked for.
const AUTHORITY: &str = "CaUsedAsEndEntity";

/// Who is spoken to by TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The relay, by HTTP and WebSocket.
    Relay,
    /// A TURN server.
    TurnServer,
}

impl Whom {
    /// The option by which an authority for it is named.
    fn option(self) -> &'static str {
        match self {
            Self::Relay => "--tls-ca",
            Self::TurnServer => "--turn-ca",
        }
    }

    /// What to do about an issuer that is unknown, a name that is another, and a certificate that is
    /// an authority's.
    fn remedies(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Relay => (
                "where it has made that itself, give the fingerprint it prints with \
                 --tls-fingerprint, or the certificate with --tls-ca",
                "use a name that it is for, or give its fingerprint with --tls-fingerprint",
                "make one with CA:FALSE, or give its fingerprint with --tls-fingerprint",
            ),
            Self::TurnServer => (
                "give that of its authority, or its own, with --turn-ca",
                "use a name that it is for",
                "make one with CA:FALSE",
            ),
        }
    }
}

/// What is wrong with a certificate, and what to do about it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only these have a remedy of their own"
)]
pub fn distrust(error: &CertificateError, whom: Whom) -> String {
    let (unknown, rename, remake) = whom.remedies();
    match error {
        CertificateError::UnknownIssuer => {
            format!("nobody whom this machine trusts vouches for its certificate; {unknown}")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("its certificate is for another name than the one in its address; {rename}")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired, or the clock of this machine is wrong".into()
        }
        CertificateError::Other(OtherError(error)) => match error.downcast_ref() {
            Some(AnotherCertificate { found, expected }) => {
                format!("its fingerprint is {found} and not {expected}")
            }
            None if error.to_string() == AUTHORITY => format!(
                "its certificate is that of an authority (CA:TRUE), which signs others and is none \
                 for a server; {remake}"
            ),
            None => format!("there is something wrong with its certificate, {error}"),
        },
        error => format!("there is something wrong with its certificate, {error}"),
    }
}

/// How TLS is spoken with somebody for whom `trust` has to vouch.
///
/// # Errors
/// When what is to be trusted cannot be read.
pub fn tls_config(trust: &Trust, whom: Whom) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::new(FailureKind::Other, error.to_string()))?;
    let config = match trust {
        Trust::System => config.with_root_certificates(system_authorities()),
        Trust::Authorities(path) => config.with_root_certificates(authorities(path, whom)?),
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
    if whom == Whom::Relay {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
    }
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

fn authorities(path: &Path, whom: Whom) -> Result<RootCertStore, Failure> {
    let failed = |reason: String| {
        let sentence = format!(
            "The certificates of {} in {} cannot be used: {reason}.",
            whom.option(),
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
