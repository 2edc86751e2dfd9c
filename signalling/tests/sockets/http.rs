//! Plain HTTP on the port of the relay.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::running::{PATIENCE, Running, relay};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' \
    data: blob:; media-src 'self' blob: mediastream:; connect-src 'self' ws: wss:; base-uri \
    'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../html");

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    #[track_caller]
    fn expect_header(&self, name: &str, value: &str) {
        assert_eq!(self.header(name), Some(value), "{name} in {}", self.head);
    }
}

/// One request on a connection of its own. `more` are header lines.
fn request(relay: &Running, method: &str, path: &str, more: &str) -> Answer {
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n{more}\r\n");
    let mut stream = TcpStream::connect(relay.address).expect("the relay listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(head.as_bytes()).expect("the relay hears");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer in time");
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Answer {
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(bytes)));
    let head = String::from_utf8(bytes[..end].to_vec()).expect("heads are text");
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .unwrap_or_else(|| panic!("{head}"));
    let body = bytes[end + 4..].to_vec();
    Answer { status, head, body }
}

#[test]
fn health_is_ok() {
    let relay = relay("");
    let answer = request(&relay, "GET", "/health", "");
    assert_eq!((answer.status, &answer.body[..]), (200, &b"OK\n"[..]));
    answer.expect_header("content-type", "text/plain");
}

#[test]
fn the_page_comes_with_a_strict_policy() {
    let relay = relay("");
    let index = std::fs::read(format!("{HTML}/index.html")).expect("the page is there");
    for path in ["/", "/index.html", "/?query"] {
        let answer = request(&relay, "GET", path, "");
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.body, index, "{path}");
        answer.expect_header("content-type", "text/html; charset=utf-8");
        answer.expect_header("content-security-policy", POLICY);
        answer.expect_header("cache-control", "no-cache");
        answer.expect_header("x-content-type-options", "nosniff");
        answer.expect_header("referrer-policy", "no-referrer");
        answer.expect_header(
            "permissions-policy",
            "camera=(self), microphone=(self), display-capture=(self)",
        );
    }
}

#[test]
fn every_file_of_the_page_is_served_as_what_it_is() {
    let relay = relay("");
    let mut served = 0;
    for entry in std::fs::read_dir(HTML).expect("the page is there") {
        let path = entry.expect("an entry").path();
        let media_type = match path.extension().and_then(|extension| extension.to_str()) {
            Some("html") => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => continue,
        };
        let name = path.file_name().expect("a name").to_string_lossy();
        let answer = request(&relay, "GET", &format!("/{name}"), "");
        assert_eq!(answer.status, 200, "{name}");
        assert_eq!(answer.body, std::fs::read(&path).expect("a file"), "{name}");
        answer.expect_header("content-type", media_type);
        answer.expect_header("content-security-policy", POLICY);
        served += 1;
    }
    assert!(served >= 3, "a page has a script and a style");
    assert_eq!(request(&relay, "GET", "/package.json", "").status, 404);
}

#[test]
fn a_file_that_has_not_changed_is_not_sent_again() {
    let relay = relay("");
    let first = request(&relay, "GET", "/", "");
    let tag = first.header("etag").expect("a tag");
    let again = request(&relay, "GET", "/", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((again.status, again.body.len()), (304, 0));
    let other = request(&relay, "GET", "/", "If-None-Match: \"other\"\r\n");
    assert_eq!(other.status, 200);
}

#[test]
fn head_is_get_without_the_body() {
    let relay = relay("");
    for path in ["/", "/health"] {
        let get = request(&relay, "GET", path, "");
        let head = request(&relay, "HEAD", path, "");
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        head.expect_header("content-length", &get.body.len().to_string());
        assert_eq!(head.header("content-type"), get.header("content-type"));
    }
}

#[test]
fn other_methods_are_not_allowed() {
    let relay = relay("");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        for path in ["/", "/health", "/nothing"] {
            let answer = request(&relay, method, path, "Content-Length: 0\r\n");
            assert_eq!(answer.status, 405, "{method} {path}");
            answer.expect_header("allow", "GET, HEAD");
        }
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let relay = relay("");
    for path in [
        "/nothing",
        "/../Cargo.toml",
        "/%2e%2e/Cargo.toml",
        "/tests/",
        "//",
        "/index.htm",
    ] {
        let answer = request(&relay, "GET", path, "");
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(
            answer.body, b"There is nothing at this address.\n",
            "{path}"
        );
        answer.expect_header("content-type", "text/plain");
    }
}

#[test]
fn a_handshake_that_is_none_is_refused_with_a_reason() {
    let relay = relay("");
    let upgrade = "Upgrade: websocket\r\n";
    for more in [
        "",
        "Sec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n",
    ] {
        let answer = request(&relay, "GET", "/", &format!("{upgrade}{more}"));
        assert_eq!(answer.status, 400, "{more}");
        answer.expect_header("sec-websocket-version", "13");
        assert!(answer.body.starts_with(b"This is no WebSocket handshake: "));
    }
}

#[test]
fn a_head_without_end_is_refused() {
    let relay = relay("");
    let answer = request(
        &relay,
        "GET",
        "/",
        &format!("X: {}\r\n", "x".repeat(64 * 1024)),
    );
    assert_eq!(answer.status, 431);
    let answer = request(&relay, "GET", "/", &"X: y\r\n".repeat(200));
    assert_eq!(answer.status, 431);
}

#[test]
fn what_is_no_http_is_refused() {
    let relay = relay("");
    let mut stream = TcpStream::connect(relay.address).expect("the relay listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
        .write_all(b"\x16\x03\x01 hello over TLS\r\n\r\n")
        .expect("the relay hears");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an end in time");
    assert_eq!(parse(&bytes).status, 400);
}

#[test]
fn one_connection_serves_many_requests() {
    let relay = relay("");
    let mut stream = TcpStream::connect(relay.address).expect("the relay listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    for _ in 0..3 {
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: relay\r\n\r\n")
            .expect("the relay hears");
        let mut answer = Vec::new();
        while !answer.ends_with(b"OK\n") {
            let mut chunk = [0; 1024];
            let count = stream.read(&mut chunk).expect("an answer in time");
            assert!(count > 0, "ended early");
            answer.extend(&chunk[..count]);
        }
        assert_eq!(parse(&answer).status, 200);
    }
}
