//! HTTP inside TLS.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustls::{ClientConnection, StreamOwned};

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
