//! What the relay says of its own HTTP, and whether that is true.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::api::{GUEST, Guarded, OPERATOR, bearer, document, guarded, handshake, json_of};
use crate::http::{Answer, read_head, request};
use crate::peer::Peer;
use crate::running::{PATIENCE, Running, relay};
use crate::schema::{Document, fields};

const FOREIGN: &str = "Origin: https://evil.example\r\n";

/// Answers of a relay, compared with what its description says of them.
struct Described {
    document: Document,
    seen: BTreeSet<(String, String, u16)>,
}

impl Described {
    fn check(&mut self, path: &str, method: &str, status: u16, answer: &Answer) {
        let at = format!("{method} {path} with {status}");
        assert_eq!(answer.status, status, "{at}");
        let response = self.document.response(path, method, status);
        for word in fields(response).keys() {
            let is_known = ["description", "headers", "content"].contains(&word.as_str());
            assert!(is_known, "{at}: the word {word} is not understood");
        }
        if let Some(headers) = response.get("headers") {
            for (name, header) in fields(headers) {
                let header = self.document.resolve(header);
                match answer.header(name) {
                    Some(text) => self.document.check(&header["schema"], &json!(text), &at),
                    None => assert_ne!(header["required"], json!(true), "{at}: no {name}"),
                }
            }
        }
        self.check_body(response, answer, &at);
        self.seen.insert((path.into(), method.into(), status));
    }

    fn check_body(&self, response: &Value, answer: &Answer, at: &str) {
        let Some(content) = response.get("content") else {
            assert!(answer.body.is_empty(), "{at}: a body");
            return;
        };
        let content_type = answer.header("content-type").expect("a type");
        let media_type = content_type.split(';').next().expect("a type");
        let described = &content[media_type]["schema"];
        assert!(described.is_object(), "{at}: {media_type}");
        let body = if media_type == "application/json" {
            json_of(answer)
        } else {
            json!(std::str::from_utf8(&answer.body).expect("text"))
        };
        self.document.check(described, &body, at);
    }
}

#[test]
fn what_is_answered_is_what_the_description_says_and_all_of_it_is_answered() {
    let open = relay("");
    let Guarded { relay, _folder } = guarded();
    let mut described = Described {
        document: document(),
        seen: BTreeSet::new(),
    };
    ask_for_files(&mut described, &open);
    ask_for_files(&mut described, &relay);
    ask_for_websockets(&mut described, &open, &relay);
    ask_for_figures_and_lists(&mut described, &open, &relay);
    let preflight = request(&relay, "OPTIONS", "/api/ice-servers", FOREIGN);
    described.check("/api/ice-servers", "OPTIONS", 204, &preflight);
    described.check("/ready", "GET", 503, &not_ready(open));
    let all: BTreeSet<_> = described.document.answers().into_iter().collect();
    assert_eq!(described.seen, all);
}

fn ask_for_files(described: &mut Described, relay: &Running) {
    for path in ["/", "/api", "/api/openapi.json"] {
        let fresh = request(relay, "GET", path, "");
        described.check(path, "GET", 200, &fresh);
        let tag = fresh.header("etag").expect("a tag");
        let known = format!("If-None-Match: {tag}\r\n");
        described.check(path, "GET", 304, &request(relay, "GET", path, &known));
    }
}

fn ask_for_websockets(described: &mut Described, open: &Running, guarded: &Running) {
    let (admin, guest, wrong) = (bearer(OPERATOR), bearer(GUEST), bearer("wrong"));
    for (relay, target, more, status) in [
        (open, "/", "", 101),
        (open, "/?notices=caller", FOREIGN, 101),
        (open, "/", "Content-Length: 1\r\n", 400),
        (guarded, "/", "", 401),
        (guarded, "/", &wrong, 401),
        (guarded, "/?token=wrong", "", 401),
        (guarded, "/", &guest, 101),
        (guarded, "/", &admin, 101),
        (guarded, "/?token=the-secret-of-the-guest%73", "", 101),
        (
            guarded,
            "/any/path?notices=caller&token=the-secret-of-the-guests",
            "",
            101,
        ),
        (guarded, "/", &format!("{guest}{FOREIGN}"), 403),
    ] {
        described.check("/", "GET", status, &handshake(relay, target, more));
    }
}

fn ask_for_figures_and_lists(described: &mut Described, open: &Running, guarded: &Running) {
    let (admin, guest, wrong) = (bearer(OPERATOR), bearer(GUEST), bearer("wrong"));
    for (relay, path, more, status) in [
        (open, "/health", "", 200),
        (open, "/ready", "", 200),
        (guarded, "/ready", "", 200),
        (open, "/metrics", "", 200),
        (guarded, "/metrics", &admin, 200),
        (guarded, "/metrics", "", 401),
        (guarded, "/metrics", &wrong, 401),
        (guarded, "/metrics", &guest, 403),
        (open, "/api/ice-servers", "", 200),
        (guarded, "/api/ice-servers", &guest, 200),
        (guarded, "/api/ice-servers", "", 401),
        (guarded, "/api/ice-servers", &wrong, 401),
        (
            guarded,
            "/api/ice-servers",
            &format!("{guest}{FOREIGN}"),
            403,
        ),
        (open, "/api/peers", "", 403),
        (open, "/api/peers", &admin, 403),
        (guarded, "/api/peers", "", 401),
        (guarded, "/api/peers", &wrong, 401),
        (guarded, "/api/peers", &guest, 403),
        (guarded, "/api/peers", &admin, 200),
        (open, "/api/rooms", "", 403),
        (guarded, "/api/rooms", "", 401),
        (guarded, "/api/rooms", &guest, 403),
        (guarded, "/api/rooms", &admin, 200),
    ] {
        described.check(path, "GET", status, &request(relay, "GET", path, more));
    }
}

/// What `/ready` answers on a connection from before the relay was told to stop.
fn not_ready(relay: Running) -> Answer {
    // Keeps the relay from being gone at once, since it does not answer the close.
    let mut slow = Peer::registered(&relay, "slow");
    let mut stream = TcpStream::connect(relay.address).expect("the relay listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut ask = || {
        stream
            .write_all(b"GET /ready HTTP/1.1\r\nHost: relay\r\n\r\n")
            .expect("the relay hears");
        let mut answer = read_head(&mut stream);
        let length = answer.header("content-length").expect("a length");
        answer.body = vec![0; length.parse().expect("a number")];
        stream.read_exact(&mut answer.body).expect("a body in time");
        answer
    };
    assert_eq!(ask().status, 200);
    relay.signal(Signal::TERM);
    let mut close = [0; 2];
    let socket = slow.socket.get_mut();
    socket.read_exact(&mut close).expect("a close in time");
    ask()
}
