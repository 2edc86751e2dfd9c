//! The port of the relay: whatever comes over a TCP connection is answered with HTTP or with
//! nothing, and the relay goes on.

use std::future::pending;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use signalling::{Config, Server};

/// Longer than any answer takes; the other side has nothing to wait for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends the bytes in two parts, divided where the first byte says, and says that this was all.
pub(crate) fn check(data: &[u8]) {
    let Some((&divided_at, bytes)) = data.split_first() else {
        return;
    };
    let answer = exchange(bytes, usize::from(divided_at).min(bytes.len()));
    check_answer(&answer);
    let health = exchange(
        b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        0,
    );
    assert!(
        health.starts_with(b"HTTP/1.1 200 OK\r\n"),
        "{}",
        String::from_utf8_lossy(&health)
    );
}

fn check_answer(answer: &[u8]) {
    if answer.is_empty() {
        return;
    }
    let head = answer.strip_prefix(b"HTTP/1.");
    let status = head.and_then(|head| head.get(2..5));
    let status = status.and_then(|digits| str::from_utf8(digits).ok()?.parse::<u16>().ok());
    assert!(
        matches!(status, Some(101 | 200..500 | 503)),
        "{}",
        String::from_utf8_lossy(answer)
    );
}

fn exchange(bytes: &[u8], divided_at: usize) -> Vec<u8> {
    let mut stream = TcpStream::connect(relay()).expect("the relay listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_nodelay(true).expect("no delay");
    let (first, second) = bytes.split_at(divided_at);
    // The relay may have heard enough before all is said.
    let _ = stream
        .write_all(first)
        .and_then(|()| stream.write_all(second))
        .and_then(|()| stream.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_ne!(error.kind(), ErrorKind::WouldBlock, "the relay holds on"),
    }
    answer
}

/// The relay of this process; it ends with it.
fn relay() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        let (tell, address) = channel();
        thread::spawn(move || {
            let config = Config {
                listen: ([127, 0, 0, 1], 0).into(),
                ..Config::default()
            };
            let server = Server::bind(config).expect("a free port");
            tell.send(server.address()).expect("somebody waits for it");
            server.serve(pending()).expect("it serves for ever");
        });
        address.recv_timeout(PATIENCE).expect("the relay starts")
    })
}
