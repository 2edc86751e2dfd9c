//! Plain HTTP on the port of the relay.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use flate2::read::GzDecoder;

use crate::running::{PATIENCE, Running, relay};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' \
    data: blob:; media-src 'self' blob: mediastream:; connect-src 'self' ws: wss:; base-uri \
    'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../html");

pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    #[track_caller]
    pub(crate) fn expect_header(&self, name: &str, value: &str) {
        assert_eq!(self.header(name), Some(value), "{name} in {}", self.head);
    }
}

/// One request on a connection of its own. `more` are header lines.
pub(crate) fn request(relay: &Running, method: &str, path: &str, more: &str) -> Answer {
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n{more}\r\n");
    let mut stream = TcpStream::connect(relay.address).expect("the relay listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(head.as_bytes()).expect("the relay hears");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer in time");
    parse(&bytes)
}

pub(crate) fn parse(bytes: &[u8]) -> Answer {
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
fn every_answer_is_kept_from_other_pages_and_only_files_are_kept_at_all() {
    let relay = relay("");
    for (method, path, status) in [
        ("GET", "/", 200),
        ("GET", "/api", 200),
        ("GET", "/health", 200),
        ("GET", "/nothing", 404),
        ("POST", "/", 405),
    ] {
        let answer = request(&relay, method, path, "Content-Length: 0\r\n");
        assert_eq!(answer.status, status, "{method} {path}");
        answer.expect_header("cross-origin-resource-policy", "same-origin");
        answer.expect_header("cross-origin-opener-policy", "same-origin");
        answer.expect_header("x-frame-options", "DENY");
        answer.expect_header("content-security-policy", POLICY);
        let is_file = status == 200 && path != "/health";
        answer.expect_header(
            "cache-control",
            if is_file { "no-cache" } else { "no-store" },
        );
        // Without TLS there is nothing to insist on.
        assert_eq!(answer.header("strict-transport-security"), None);
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
fn of_many_tags_one_is_enough_weak_or_not() {
    let relay = relay("");
    let first = request(&relay, "GET", "/style.css", "");
    let tag = first.header("etag").expect("a tag");
    for known in [
        format!("If-None-Match: \"a\", W/{tag}, \"b\"\r\n"),
        format!("If-None-Match: \"a\"\r\nIf-None-Match: {tag}\r\n"),
        "If-None-Match: *\r\n".to_owned(),
    ] {
        for method in ["GET", "HEAD"] {
            let again = request(&relay, method, "/style.css", &known);
            assert_eq!((again.status, again.body.len()), (304, 0), "{known}");
            again.expect_header("etag", tag);
            again.expect_header("vary", "accept-encoding");
            again.expect_header("cache-control", "no-cache");
        }
    }
}

#[test]
fn files_are_compressed_for_those_who_take_it() {
    let relay = relay("");
    for path in ["/", "/main.js", "/style.css", "/favicon.svg", "/api"] {
        let plain = request(&relay, "GET", path, "Accept-Encoding: br, gzip;q=0\r\n");
        assert_eq!(plain.header("content-encoding"), None, "{path}");
        let gzip = request(&relay, "GET", path, "Accept-Encoding: gzip, deflate\r\n");
        assert_eq!(gzip.status, 200, "{path}");
        gzip.expect_header("content-encoding", "gzip");
        let mut text = Vec::new();
        GzDecoder::new(&gzip.body[..])
            .read_to_end(&mut text)
            .expect("gzip");
        assert_eq!(text, plain.body, "{path}");
        assert!(gzip.body.len() < plain.body.len(), "{path}");
        for answer in [&plain, &gzip] {
            answer.expect_header("vary", "accept-encoding");
            answer.expect_header("content-length", &answer.body.len().to_string());
        }
        // Each has a tag of its own, which says nothing of the other.
        let tags = [&plain, &gzip].map(|answer| answer.header("etag").expect("a tag"));
        assert_ne!(tags[0], tags[1], "{path}");
        for (tag, encoding, status) in [
            (tags[0], "identity", 304),
            (tags[1], "gzip", 304),
            (tags[0], "gzip", 200),
            (tags[1], "identity", 200),
        ] {
            let more = format!("Accept-Encoding: {encoding}\r\nIf-None-Match: {tag}\r\n");
            assert_eq!(request(&relay, "GET", path, &more).status, status, "{more}");
        }
    }
}

#[test]
fn head_is_get_without_the_body() {
    let relay = relay("");
    for path in ["/", "/health", "/api", "/nothing"] {
        for more in ["", "Accept-Encoding: gzip\r\n"] {
            let get = request(&relay, "GET", path, more);
            let head = request(&relay, "HEAD", path, more);
            assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
            head.expect_header("content-length", &get.body.len().to_string());
            for header in ["content-type", "content-encoding", "etag", "vary"] {
                assert_eq!(head.header(header), get.header(header), "{path}");
            }
        }
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
fn a_handshake_with_a_body_is_refused() {
    let relay = relay("");
    let handshake = "GET / HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (body, status) in [
        ("\r\n", 101),
        ("Content-Length: 0\r\n\r\n", 101),
        ("Content-Length: 5\r\n\r\nhello", 400),
        ("Content-Length: 100000\r\n\r\nhello", 400),
        (
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            400,
        ),
    ] {
        let mut stream = TcpStream::connect(relay.address).expect("the relay listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
            .write_all(format!("{handshake}{body}").as_bytes())
            .expect("the relay hears");
        let answer = if status == 101 {
            read_head(&mut stream)
        } else {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).expect("an end in time");
            parse(&bytes)
        };
        assert_eq!(answer.status, status, "{body}");
        if status == 400 {
            let sentence = b"This is no WebSocket handshake: it has a body.\n";
            assert_eq!(answer.body, sentence, "{body}");
        }
    }
}

/// An answer whose body may come later.
pub(crate) fn read_head(stream: &mut TcpStream) -> Answer {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a head in time");
        head.push(byte[0]);
    }
    parse(&head)
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
fn who_has_said_all_it_has_to_say_may_still_listen() {
    let relay = relay("");
    for _ in 0..20 {
        let mut stream = TcpStream::connect(relay.address).expect("the relay listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            .and_then(|()| stream.shutdown(Shutdown::Write))
            .expect("the relay hears");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("an answer in time");
        assert_eq!(parse(&bytes).body, b"OK\n");
    }
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

#[test]
fn one_connection_serves_many_requests_but_not_without_end() {
    let relay = relay("");
    let mut stream = TcpStream::connect(relay.address).expect("the relay listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let many = "HEAD /health HTTP/1.1\r\nHost: relay\r\n\r\n".repeat(300);
    stream.write_all(many.as_bytes()).expect("the relay hears");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).expect("an end in time");
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 100);
    assert_eq!(answers.matches("connection: close\r\n").count(), 1);
}
