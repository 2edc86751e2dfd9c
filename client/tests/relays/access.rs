//! Whom a client trusts, how it is let in, and what it is told of STUN and TURN.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::relay::{Answer, Relay, Request, any_event, client, event, json, say, status};
use async_std::task::block_on;
use async_tungstenite::tungstenite::protocol::CloseFrame;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use client::config::{Fingerprint, Relay as Address, Secret, Token, Trust};
use client::failure::{Failure, FailureKind};
use client::presence::PresenceEvent;
use futures_rustls::TlsAcceptor;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::ServerConfig;
use sha2::{Digest as _, Sha256};

const CREDENTIALS: &str = r#"{"iceServers":[{"urls":["stun:h:1"]},
    {"urls":"turn:h:2","username":"me","credential":"swordfish"}],"lifetimeSeconds":1}"#;

/// A relay with TLS, and its certificate.
struct Encrypted {
    relay: Relay,
    pem: String,
    fingerprint: Fingerprint,
}

impl Encrypted {
    /// Its certificate is for one name or address.
    async fn start(name: &str) -> Self {
        Self::with(name, IsCa::ExplicitNoCa).await
    }

    async fn with(name: &str, is_ca: IsCa) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.is_ca = is_ca;
        let certificate = params.self_signed(&key).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key.into())
            .expect("a pair");
        let tls = TlsAcceptor::from(Arc::new(config));
        Self {
            relay: Relay::answering(Some(tls), ice_servers).await,
            pem: certificate.pem(),
            fingerprint: Fingerprint(Sha256::digest(certificate.der()).into()),
        }
    }

    fn trusted(&self, trust: Trust) -> Address {
        let mut address = self.relay.address();
        address.trust = trust;
        address
    }
}

/// A file of one test, gone with it.
struct File(PathBuf);

impl File {
    fn new(content: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("aldis-access-{}-{number}", std::process::id());
        let file = Self(std::env::temp_dir().join(name));
        file.put(content);
        file
    }

    fn put(&self, content: &str) {
        fs::write(&self.0, content).expect("a file");
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn ice_servers(request: &Request) -> Answer {
    match request.is_for_ice_servers() {
        true => json(CREDENTIALS),
        false => None,
    }
}

async fn refusal(address: Address) -> Failure {
    let (_presence, heard) = client(address);
    let event = event(&heard).await;
    let PresenceEvent::Refused(failure) = event else {
        panic!("{event:?}")
    };
    failure
}

async fn assert_registers(relay: &Relay, address: Address) {
    let (_presence, heard) = client(address);
    let _socket = relay.registered().await;
    let event = any_event(&heard).await;
    let PresenceEvent::IceServers(servers) = event else {
        panic!("{event:?}")
    };
    assert_eq!(servers.stun, ["stun://h:1"]);
    assert_eq!(servers.turn, ["turn://me:swordfish@h:2"]);
    let event = any_event(&heard).await;
    assert!(matches!(event, PresenceEvent::Registered), "{event:?}");
}

#[test]
fn a_relay_is_trusted_by_its_fingerprint_or_by_its_certificate() {
    block_on(async {
        let encrypted = Encrypted::start("127.0.0.1").await;
        let pinned = encrypted.trusted(Trust::Certificate(encrypted.fingerprint));
        assert_registers(&encrypted.relay, pinned).await;
        let file = File::new(&encrypted.pem);
        let vouched = encrypted.trusted(Trust::Authorities(file.0.clone()));
        assert_registers(&encrypted.relay, vouched).await;
    });
}

#[test]
fn a_pinned_certificate_may_be_for_any_name() {
    block_on(async {
        let encrypted = Encrypted::start("elsewhere.example").await;
        let pinned = encrypted.trusted(Trust::Certificate(encrypted.fingerprint));
        assert_registers(&encrypted.relay, pinned).await;
    });
}

#[test]
fn a_relay_that_is_another_one_is_refused_in_words() {
    block_on(async {
        let (ours, other) = (
            Encrypted::start("127.0.0.1").await,
            Encrypted::start("elsewhere.example").await,
        );
        let another = refusal(ours.trusted(Trust::Certificate(other.fingerprint))).await;
        let (found, expected) = (ours.fingerprint, other.fingerprint);
        let words = format!("its fingerprint is {found} and not {expected}");
        assert!(another.sentence.contains(&words), "{another}");

        let unknown = refusal(ours.trusted(Trust::System)).await;
        assert!(unknown.sentence.contains("--tls-fingerprint"), "{unknown}");

        let file = File::new(&other.pem);
        let misnamed = refusal(other.trusted(Trust::Authorities(file.0.clone()))).await;
        assert!(misnamed.sentence.contains("another name"), "{misnamed}");

        let stranger = refusal(ours.trusted(Trust::Authorities(file.0.clone()))).await;
        for failure in [another, unknown, misnamed, stranger] {
            assert_eq!(failure.kind, FailureKind::RelayUntrusted, "{failure}");
        }
    });
}

#[test]
fn the_certificate_of_an_authority_is_refused_with_what_to_do_unless_it_is_pinned() {
    block_on(async {
        let is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let encrypted = Encrypted::with("127.0.0.1", is_ca).await;
        let file = File::new(&encrypted.pem);
        let refused = refusal(encrypted.trusted(Trust::Authorities(file.0.clone()))).await;
        assert_eq!(refused.kind, FailureKind::RelayUntrusted, "{refused}");
        assert!(refused.sentence.contains("CA:FALSE"), "{refused}");

        let pinned = encrypted.trusted(Trust::Certificate(encrypted.fingerprint));
        assert_registers(&encrypted.relay, pinned).await;
    });
}

#[test]
fn what_cannot_be_trusted_at_all_is_said() {
    block_on(async {
        let encrypted = Encrypted::start("127.0.0.1").await;
        for (content, words) in [
            ("", "there are none in it"),
            ("-----BEGIN CERTIFICATE-----", "--tls-ca"),
        ] {
            let file = File::new(content);
            let failure = refusal(encrypted.trusted(Trust::Authorities(file.0.clone()))).await;
            assert!(failure.sentence.contains(words), "{failure}");
        }
    });
}

#[test]
fn a_relay_without_tls_is_told_apart() {
    block_on(async {
        let relay = Relay::start().await;
        let mut address = relay.address();
        address.server = address
            .server
            .as_str()
            .replace("ws:", "wss:")
            .parse()
            .expect("a URL");
        let failure = refusal(address).await;
        assert_eq!(failure.kind, FailureKind::RelayUnreachable);
        assert!(failure.sentence.contains("try ws:// instead"), "{failure}");
    });
}

#[test]
fn a_relay_with_tls_is_told_apart_by_who_comes_without() {
    block_on(async {
        let encrypted = Encrypted::start("127.0.0.1").await;
        let mut address = encrypted.relay.address();
        let server = address.server.as_str().replace("wss:", "ws:");
        address.server = server.parse().expect("a URL");
        let failure = refusal(address).await;
        assert_eq!(failure.kind, FailureKind::RelayUnreachable);
        assert!(failure.sentence.contains("try wss:// instead"), "{failure}");
    });
}

#[test]
fn a_relay_whose_name_leads_nowhere_is_told_apart() {
    block_on(async {
        let mut address = Relay::start().await.address();
        // No part of a name is that long, so nobody has to be asked.
        let server = format!("ws://{}.example:8443/", "a".repeat(64));
        address.server = server.parse().expect("a URL");
        let failure = refusal(address).await;
        assert_eq!(failure.kind, FailureKind::RelayUnreachable);
        assert!(
            failure.sentence.contains("leads to no address"),
            "{failure}"
        );
    });
}

/// Lets nobody in who has not the token of the hour.
fn guarded(request: &Request) -> Answer {
    match request.field("authorization") {
        Some("Bearer swordfish") => ice_servers(request),
        Some(_) | None => status("401 Unauthorized"),
    }
}

fn with_token(relay: &Relay, token: Token) -> Address {
    let mut address = relay.address();
    address.token = token;
    address
}

#[test]
fn a_token_opens_the_door_and_is_shown_to_nobody_else() {
    block_on(async {
        let relay = Relay::answering(None, guarded).await;
        let given = |text: &str| Token::Given(Secret::new(text));
        assert_registers(&relay, with_token(&relay, given("swordfish"))).await;

        let missing = refusal(relay.address()).await;
        assert!(missing.sentence.contains("--token-file"), "{missing}");
        let wrong = refusal(with_token(&relay, given("sardine"))).await;
        assert!(
            wrong.sentence.contains("does not accept the token"),
            "{wrong}"
        );
        let none = refusal(with_token(&relay, given("sar\u{e9}ine"))).await;
        let unread = refusal(with_token(&relay, Token::File("/nowhere/at/all".into()))).await;
        for failure in [missing, wrong, none, unread] {
            assert_eq!(failure.kind, FailureKind::NotAdmitted, "{failure}");
            assert!(!failure.sentence.contains("sar"), "{failure}");
        }
    });
}

#[test]
fn a_token_in_a_file_is_read_again_for_every_connection() {
    block_on(async {
        let relay = Relay::answering(None, guarded).await;
        let file = File::new("swordfish\n");
        let (_presence, heard) = client(with_token(&relay, Token::File(file.0.clone())));
        let socket = relay.registered().await;
        assert!(matches!(event(&heard).await, PresenceEvent::Registered));
        file.put("expired");
        drop(socket);
        assert!(matches!(event(&heard).await, PresenceEvent::Lost(_)));
        // However often the old one is refused.
        file.put("swordfish");
        let _socket = relay.registered().await;
        assert!(matches!(event(&heard).await, PresenceEvent::Registered));
    });
}

#[test]
fn a_token_for_somebody_else_is_told_apart() {
    block_on(async {
        let relay = Relay::start().await;
        let (_presence, heard) = relay.client();
        let mut socket = relay.greeted().await;
        let frame = CloseFrame {
            code: CloseCode::Policy,
            reason: "not allowed by token".into(),
        };
        let _ = socket.close(Some(frame)).await;
        let PresenceEvent::Refused(failure) = event(&heard).await else {
            panic!("it is refused")
        };
        assert_eq!(failure.kind, FailureKind::NotAdmitted);
        assert!(
            failure.sentence.contains("not for the id \"me\""),
            "{failure}"
        );
    });
}

#[test]
fn every_closed_door_has_its_words() {
    block_on(async {
        for (answer, kind, words) in [
            (
                "403 Forbidden",
                FailureKind::NotAdmitted,
                "does not let this client in",
            ),
            (
                "429 Too Many Requests",
                FailureKind::RelayUnreachable,
                "too many visitors",
            ),
            (
                "503 Service Unavailable",
                FailureKind::RelayUnreachable,
                "is full",
            ),
            ("418 I'm a teapot", FailureKind::RelayUnreachable, "418"),
        ] {
            let relay = Relay::answering(None, move |_| status(answer)).await;
            let failure = refusal(relay.address()).await;
            assert_eq!(failure.kind, kind, "{failure}");
            assert!(failure.sentence.contains(words), "{failure}");
        }
    });
}

#[test]
fn a_client_that_was_registered_comes_back_when_the_door_opens() {
    block_on(async {
        static VISITS: AtomicU32 = AtomicU32::new(0);
        let relay = Relay::answering(None, |request| {
            if request.is_for_ice_servers() {
                return status("404 Not Found");
            }
            match VISITS.fetch_add(1, Ordering::Relaxed) {
                1 => status("503 Service Unavailable"),
                2 => status("429 Too Many Requests"),
                3 => status("401 Unauthorized"),
                _ => None,
            }
        })
        .await;
        let (_presence, heard) = relay.client();
        drop(relay.registered().await);
        assert!(matches!(event(&heard).await, PresenceEvent::Registered));
        assert!(matches!(event(&heard).await, PresenceEvent::Lost(_)));
        let _socket = relay.registered().await;
        assert!(matches!(event(&heard).await, PresenceEvent::Registered));
        assert_eq!(VISITS.load(Ordering::Relaxed), 5);
    });
}

#[test]
fn servers_are_asked_for_again_before_they_expire() {
    block_on(async {
        static ASKED: AtomicU32 = AtomicU32::new(0);
        let relay = Relay::answering(None, |request| {
            if !request.is_for_ice_servers() {
                return None;
            }
            let number = ASKED.fetch_add(1, Ordering::Relaxed);
            json(&CREDENTIALS.replace("swordfish", &number.to_string()))
        })
        .await;
        let (_presence, heard) = relay.client();
        let mut socket = relay.registered().await;
        for number in 0..3 {
            let servers = loop {
                if let PresenceEvent::IceServers(servers) = any_event(&heard).await {
                    break servers;
                }
            };
            assert_eq!(servers.turn, [format!("turn://me:{number}@h:2")]);
        }
        // What the relay says is heard meanwhile.
        say(&mut socket, "SESSION_FROM ann").await;
        assert!(matches!(event(&heard).await, PresenceEvent::Line(_)));
    });
}

#[test]
fn a_relay_that_tells_of_no_servers_is_a_relay() {
    block_on(async {
        let endless = "x".repeat(100_000);
        let answers = [
            status("404 Not Found"),
            status("426 Upgrade Required"),
            status("401 Unauthorized"),
            status("302 Found"),
            status("503 Service Unavailable"),
            json("<html>"),
            json(&endless),
            Some("what?\r\n\r\n".into()),
            Some("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".into()),
        ];
        for answer in answers {
            let told = answer.clone();
            let relay = Relay::answering(None, move |request| {
                request.is_for_ice_servers().then(|| told.clone()).flatten()
            })
            .await;
            let (_presence, heard) = relay.client();
            let _socket = relay.registered().await;
            let event = event(&heard).await;
            assert!(
                matches!(event, PresenceEvent::Registered),
                "{answer:?}: {event:?}"
            );
        }
    });
}
