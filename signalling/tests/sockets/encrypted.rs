//! HTTP inside TLS, and what follows it on the same connection.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustls::{ClientConnection, StreamOwned};

use crate::api::HANDSHAKE;
use crate::http::{Answer, parse};
use crate::running::PATIENCE;
use crate::tls::EncryptedRelay;

impl EncryptedRelay {
    fn connect(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let tcp = TcpStream::connect(self.running.address).expect("the relay listens");
        tcp.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        self.encrypt(tcp)
    }

    /// The answer to one request, on a connection of its own.
    fn get(&self, path: &str) -> Answer {
        let mut stream = self.connect();
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("the relay hears");
        let mut bytes = Vec::new();
        // Without a word of TLS at the end this would fail: nobody can cut an answer short.
        stream.read_to_end(&mut bytes).expect("an answer in time");
        parse(&bytes)
    }
}

#[test]
fn a_browser_that_came_by_tls_is_told_to_come_by_nothing_else() {
    let relay = EncryptedRelay::start();
    for (path, status) in [
        ("/", 200),
        ("/api", 200),
        ("/health", 200),
        ("/nothing", 404),
    ] {
        let answer = relay.get(path);
        assert_eq!(answer.status, status, "{path}");
        answer.expect_header("strict-transport-security", "max-age=15768000");
        answer.expect_header("cross-origin-opener-policy", "same-origin");
    }
}

/// A masked text message, the mask being nothing.
fn said(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short text");
    assert!(length < 126);
    let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
    frame.extend(text.as_bytes());
    frame
}

#[test]
fn what_is_said_in_one_breath_with_the_request_is_heard_to_its_end() {
    let relay = EncryptedRelay::start();
    let mut stream = relay.connect();
    // Those who ask for something else first have their WebSocket opened elsewhere.
    stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("the relay hears");
    hear_until(&mut stream, b"OK\n");
    // One record of TLS, of which a reader of HTTP takes only a part.
    let mut breath = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{HANDSHAKE}\r\n").into_bytes();
    breath.extend(said("HELLO talker"));
    while breath.len() < 15_000 {
        breath.extend(said("an unknown line, of which the relay says nothing"));
    }
    breath.extend(said("SESSION nobody"));
    stream.write_all(&breath).expect("the relay hears");
    hear_until(&mut stream, b"ERROR peer 'nobody' not found");
}

fn hear_until(stream: &mut impl Read, end: &[u8]) {
    let mut heard = Vec::new();
    while !heard.ends_with(end) {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer in time");
        heard.extend(byte);
    }
}
