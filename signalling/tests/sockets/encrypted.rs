//! HTTP inside TLS.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::http::{Answer, parse};
use crate::running::{Folder, PATIENCE, Running, relay};

/// One request to a relay whose certificate is known, on a connection of its own.
fn request(relay: &Running, certificate: &CertificateDer<'static>, path: &str) -> Answer {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let tls = ClientConnection::new(Arc::new(config), name).expect("a client");
    let stream = TcpStream::connect(relay.address).expect("the relay listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut stream = StreamOwned::new(tls, stream);
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("the relay hears");
    let mut bytes = Vec::new();
    // Without a word of TLS at the end this would fail: nobody can cut an answer short.
    stream.read_to_end(&mut bytes).expect("an answer in time");
    parse(&bytes)
}

#[test]
fn a_browser_that_came_by_tls_is_told_to_come_by_nothing_else() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
    let folder = Folder::new();
    let (certificate, key) = (folder.path().join("certificate"), folder.path().join("key"));
    fs::write(&certificate, made.cert.pem()).expect("a file");
    fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
    let relay = relay(&format!(
        "--tls-cert {} --tls-key {}",
        certificate.display(),
        key.display()
    ));
    for (path, status) in [
        ("/", 200),
        ("/api", 200),
        ("/health", 200),
        ("/nothing", 404),
    ] {
        let answer = request(&relay, made.cert.der(), path);
        assert_eq!(answer.status, status, "{path}");
        answer.expect_header("strict-transport-security", "max-age=15768000");
        answer.expect_header("cross-origin-opener-policy", "same-origin");
    }
}
