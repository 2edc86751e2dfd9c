//! Both ends of TLS are real; what is between them is memory.

use std::fs;
use std::io::{Read as _, Write as _};

use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::*;
use crate::watched::folder::Folder;

/// Two files of one certificate, in a folder that goes away with them.
struct Files {
    folder: Folder,
}

impl Files {
    fn new() -> Self {
        let folder = Folder::new();
        Self { folder }
    }

    fn source(&self) -> Certificate {
        Certificate::Files {
            certificate: self.folder.path().join("certificate"),
            key: self.folder.path().join("key"),
        }
    }

    /// Puts a new file in the place of an old one, as one does who renews certificates.
    fn put(&self, name: &str, text: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.folder.path().join(name)).unwrap();
    }

    /// Puts a new pair in place and returns the certificate.
    fn renew(&self) -> CertificateDer<'static> {
        let (certificate, key) = made_for("localhost");
        self.put("certificate", &certificate);
        self.put("key", &key);
        CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()
    }
}

/// A certificate and its key, as PEM.
fn made_for(name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// Somebody who trusts one certificate alone.
fn config(trusted: &CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots);
    Arc::new(config.with_no_client_auth())
}

fn client(trusted: &CertificateDer<'static>, name: &str) -> ClientConnection {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    ClientConnection::new(config(trusted), name).unwrap()
}

/// Carries what is to be sent from one end to the other until both are silent.
fn exchange(
    client: &mut ClientConnection,
    server: &mut ServerConnection,
) -> Result<(), rustls::Error> {
    loop {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut sent = bytes.as_slice();
        while !sent.is_empty() {
            server.read_tls(&mut sent).unwrap();
            server.process_new_packets()?;
        }
        let mut answer = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut answer).unwrap();
        }
        if bytes.is_empty() && answer.is_empty() {
            return Ok(());
        }
        let mut sent = answer.as_slice();
        while !sent.is_empty() {
            client.read_tls(&mut sent).unwrap();
            client.process_new_packets()?;
        }
    }
}

/// Whether somebody who trusts this certificate alone reaches the relay under a name.
fn connect(tls: &Tls, trusted: &CertificateDer<'static>, name: &str) -> Result<(), rustls::Error> {
    exchange(&mut client(trusted, name), &mut tls.accept()?)
}

/// A relay with a certificate made here, and that certificate.
fn made_here(names: &[&str]) -> (Tls, CertificateDer<'static>) {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let pair = self_signed(&names).unwrap();
    let certificate = pair.0[0].clone();
    let tls = Tls {
        files: RefCell::new(None),
        current: RefCell::new(Current::of(pair).unwrap()),
    };
    (tls, certificate)
}

fn refusal(source: &Certificate) -> String {
    format!("{:#}", Tls::load(source).err().unwrap())
}

#[test]
fn what_one_end_says_the_other_hears() {
    let (tls, certificate) = made_here(&[]);
    let (mut server, mut client) = (tls.accept().unwrap(), client(&certificate, "localhost"));
    client.writer().write_all(b"HELLO").unwrap();
    exchange(&mut client, &mut server).unwrap();
    let mut heard = [0; 5];
    server.reader().read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"HELLO");
    let newest = Some(rustls::ProtocolVersion::TLSv1_3);
    assert_eq!(client.protocol_version(), newest);
}

#[test]
fn http_1_is_spoken_and_nothing_else() {
    let (tls, certificate) = made_here(&[]);
    let with = |protocols: &[&[u8]]| {
        let protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let mut client = ClientConnection::new_with_alpn(
            config(&certificate),
            "localhost".try_into().unwrap(),
            protocols,
        )
        .unwrap();
        exchange(&mut client, &mut tls.accept()?)?;
        Ok::<_, rustls::Error>(client.alpn_protocol().map(<[u8]>::to_vec))
    };
    assert_eq!(with(&[b"h2", b"http/1.1"]), Ok(Some(b"http/1.1".to_vec())));
    assert_eq!(with(&[]), Ok(None));
    assert_eq!(with(&[b"h2"]), Err(rustls::Error::NoApplicationProtocol));
}

#[test]
fn a_certificate_made_here_is_for_the_names_it_was_made_for() {
    let (usual, certificate) = made_here(&[]);
    for name in usual_names() {
        assert_eq!(connect(&usual, &certificate, &name), Ok(()), "{name}");
    }
    assert!(usual_names().len() >= USUAL_NAMES.len());

    let (named, certificate) = made_here(&["relay.example.org", "*.example.com", "192.0.2.1"]);
    for name in ["relay.example.org", "a.example.com", "192.0.2.1"] {
        assert_eq!(connect(&named, &certificate, name), Ok(()), "{name}");
    }
    for name in ["localhost", "example.org", "192.0.2.2"] {
        assert!(connect(&named, &certificate, name).is_err(), "{name}");
    }
}

#[test]
fn what_is_no_name_is_refused_in_words() {
    for name in [
        "",
        "two words",
        "https://example.org",
        "a,b",
        "10.0.0.1:8443",
    ] {
        let names = vec![name.to_owned()];
        let refusal = refusal(&Certificate::SelfSigned { names });
        assert!(
            refusal.contains("is no name for a certificate"),
            "{refusal}"
        );
    }
}

#[test]
fn every_relay_makes_a_certificate_of_its_own() {
    let ((one, certificate), (other, _)) = (made_here(&[]), made_here(&[]));
    assert_ne!(one.fingerprint(), other.fingerprint());
    assert!(connect(&other, &certificate, "localhost").is_err());
}

#[test]
fn the_fingerprint_is_the_one_openssl_prints() {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("example.pem")).unwrap();
    assert_eq!(
        fingerprint(&certificate),
        // openssl x509 -in example.pem -noout -fingerprint -sha256
        "85:B1:57:01:CB:45:55:57:C2:35:01:02:80:56:39:AE:AD:A2:5D:DA:A2:67:47:BB:89:84:A2:F8:A1:EC:A7:AC"
    );
    let (tls, certificate) = made_here(&[]);
    assert_eq!(tls.fingerprint(), fingerprint(&certificate));
}

#[test]
fn new_files_are_for_new_connections() {
    let files = Files::new();
    let old = files.renew();
    let tls = Tls::load(&files.source()).unwrap();
    let (mut running, mut client) = (tls.accept().unwrap(), client(&old, "localhost"));
    exchange(&mut client, &mut running).unwrap();
    assert!(!tls.reload().unwrap(), "nothing is new");

    let before = tls.fingerprint();
    let new = files.renew();
    tls.refresh();
    assert_ne!(tls.fingerprint(), before);
    assert_eq!(tls.fingerprint(), fingerprint(&new));
    assert_eq!(connect(&tls, &new, "localhost"), Ok(()));
    assert!(connect(&tls, &old, "localhost").is_err());
    assert!(!tls.reload().unwrap(), "nothing is new");

    client.writer().write_all(b"still here").unwrap();
    exchange(&mut client, &mut running).unwrap();
    let mut heard = [0; 10];
    running.reader().read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"still here");
}

#[test]
fn files_that_cannot_be_used_change_nothing_and_are_told_once() {
    let files = Files::new();
    let old = files.renew();
    let tls = Tls::load(&files.source()).unwrap();
    let (certificate, key) = made_for("localhost");

    // Between the two files of a renewal.
    files.put("certificate", &certificate);
    let told = format!("{:#}", tls.reload().unwrap_err());
    assert!(
        told.contains("does not belong to the certificate"),
        "{told}"
    );
    assert!(!tls.reload().unwrap(), "told once");
    assert_eq!(connect(&tls, &old, "localhost"), Ok(()));

    files.put("certificate", "");
    let told = format!("{:#}", tls.reload().unwrap_err());
    assert!(told.contains("there is no certificate in"), "{told}");
    fs::remove_file(files.folder.path().join("certificate")).unwrap();
    let told = format!("{:#}", tls.reload().unwrap_err());
    assert!(told.contains("cannot be read"), "{told}");
    assert_eq!(connect(&tls, &old, "localhost"), Ok(()));

    files.put("key", &key);
    files.put("certificate", &certificate);
    assert!(tls.reload().unwrap(), "the pair is complete");
    assert!(connect(&tls, &old, "localhost").is_err());
}

#[test]
fn what_is_wrong_with_a_file_is_said_and_no_key_is_quoted() {
    let files = Files::new();
    let missing = refusal(&files.source());
    assert!(missing.contains("certificate, cannot be read"), "{missing}");
    files.renew();
    let (_, key) = made_for("localhost");
    let locked = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let cut: String = key.chars().take(60).collect();
    let says = |text: &str| {
        files.put("key", text);
        let refusal = refusal(&files.source());
        let secret = key.lines().nth(1).unwrap();
        assert!(!refusal.contains(&secret[..16]), "{refusal}");
        refusal
    };
    assert!(says(&locked).contains("without a password"));
    assert!(says("").contains("no private key in"));
    assert!(says(&cut).contains("is no PEM"));
    // As `openssl ec -aes128` writes it.
    let mark =
        "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n";
    let locked = format!("{mark}AAAA\n-----END EC PRIVATE KEY-----\n");
    assert!(says(&locked).contains("has a password"));
    assert!(says(&key).contains("does not belong"));
}
