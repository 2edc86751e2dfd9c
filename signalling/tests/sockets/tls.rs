//! A relay that is reached by TLS, and those who know its certificate.

use std::fs;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::folder::Folder;
use crate::running::{Running, relay};

/// A relay whose certificate is known.
pub(crate) struct EncryptedRelay {
    pub(crate) running: Running,
    certificate: CertificateDer<'static>,
    /// The relay looks at its files for as long as it runs.
    _files: Folder,
}

impl EncryptedRelay {
    pub(crate) fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
        let folder = Folder::new();
        let (certificate, key) = (folder.path().join("certificate"), folder.path().join("key"));
        fs::write(&certificate, made.cert.pem()).expect("a file");
        fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
        Self {
            running: relay(&format!(
                "--tls-cert {} --tls-key {}",
                certificate.display(),
                key.display()
            )),
            certificate: made.cert.der().clone(),
            _files: folder,
        }
    }

    /// TLS over a connection to this relay, which nobody else's certificate would do for.
    pub(crate) fn encrypt(&self, tcp: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a certificate");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let tls = ClientConnection::new(Arc::new(config), name).expect("a client");
        StreamOwned::new(tls, tcp)
    }
}
