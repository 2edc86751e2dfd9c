//! What the relay tells peers, operators and programs over HTTP.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::exposition::Exposition;
use crate::folder::Folder;
use crate::http::{Answer, read_head, request};
use crate::peer::Peer;
use crate::running::{PATIENCE, Running, command, eventually, relay, start};
use crate::schema::Document;

pub(crate) const OPERATOR: &str = "the-secret-of-the-operators";
pub(crate) const GUEST: &str = "the-secret-of-the-guests";
const TURN_SECRET: &str = "the-secret-of-the-turn-server";
pub(crate) const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A relay with a token file, a list of origins, and a TURN server.
pub(crate) struct Guarded {
    pub(crate) relay: Running,
    pub(crate) _folder: Folder,
}

pub(crate) fn guarded() -> Guarded {
    guarded_with("")
}

fn guarded_with(logs: &str) -> Guarded {
    let folder = Folder::new();
    let (tokens, secret) = (folder.path().join("tokens"), folder.path().join("turn"));
    let lines = format!("operators {OPERATOR} admin\nguests {GUEST}\n");
    fs::write(&tokens, lines).expect("a file");
    fs::write(&secret, TURN_SECRET).expect("a file");
    let mut command = command(&format!(
        "--listen 127.0.0.1:0 --token-file {} --allow-origin https://example.org \
         --stun stun:stun.example.org:3478 --turn turn:turn.example.org:3478?transport=udp \
         --turn-secret-file {} --turn-lifetime 600",
        tokens.display(),
        secret.display(),
    ));
    if !logs.is_empty() {
        command.env("RUST_LOG", logs);
    }
    Guarded {
        relay: start(&mut command),
        _folder: folder,
    }
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

pub(crate) fn document() -> Document {
    let text = include_str!("../../src/openapi.json");
    Document(serde_json::from_str(text).expect("JSON"))
}

pub(crate) fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&answer.body));
    })
}

/// A request for a WebSocket: how it is answered, on a connection that is dropped then.
pub(crate) fn handshake(relay: &Running, target: &str, more: &str) -> Answer {
    let mut stream = TcpStream::connect(relay.address).expect("the relay listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let head = format!("GET {target} HTTP/1.1\r\nHost: relay\r\n{HANDSHAKE}{more}\r\n");
    stream.write_all(head.as_bytes()).expect("the relay hears");
    let mut answer = read_head(&mut stream);
    if let Some(length) = answer.header("content-length") {
        let mut body = vec![0; length.parse().expect("a number")];
        stream.read_exact(&mut body).expect("a body in time");
        answer.body = body;
    }
    answer
}

#[test]
fn administrators_see_who_is_where() {
    let Guarded { relay, _folder } = guarded();
    let admin = bearer(OPERATOR);
    let see = |path: &str| json_of(&request(&relay, "GET", path, &admin));
    assert_eq!(see("/api/peers"), json!({ "peers": [] }));
    assert_eq!(see("/api/rooms"), json!({ "rooms": [] }));
    let enter = |id: &str| {
        let mut peer = Peer::open_at(relay.address, &format!("/?token={GUEST}"));
        peer.say(&format!("HELLO {id}"));
        peer.expect("HELLO");
        peer
    };
    let (mut dora, mut carl, mut bob, mut anna) =
        (enter("dora"), enter("carl"), enter("bob"), enter("anna"));
    let _idle = enter("\"<é>\\");
    dora.say("ROOM r");
    dora.expect("ROOM_OK ");
    carl.say("ROOM r");
    carl.expect("ROOM_OK dora");
    bob.say("SESSION anna");
    bob.expect("SESSION_OK");
    assert_eq!(
        see("/api/peers"),
        json!({ "peers": [
            { "id": "\"<é>\\", "place": "lobby" },
            { "id": "anna", "place": "session", "with": "bob" },
            { "id": "bob", "place": "session", "with": "anna" },
            { "id": "carl", "place": "room", "room": "r" },
            { "id": "dora", "place": "room", "room": "r" },
        ] })
    );
    assert_eq!(
        see("/api/rooms"),
        json!({ "rooms": [{ "id": "r", "peers": ["dora", "carl"] }] })
    );
    let described = document();
    let schema = &described.0["components"]["schemas"];
    described.check(&schema["Peers"], &see("/api/peers"), "peers");
    described.check(&schema["Rooms"], &see("/api/rooms"), "rooms");
    dora.leave();
    carl.leave();
    bob.leave();
    anna.expect_close(1000, "");
    let only_idle = json!({ "peers": [{ "id": "\"<é>\\", "place": "lobby" }] });
    let seen = eventually(|| (see("/api/peers") == only_idle).then_some(()));
    assert!(seen.is_some(), "{}", see("/api/peers"));
    assert_eq!(see("/api/rooms"), json!({ "rooms": [] }));
}

#[test]
fn peers_are_lent_turn_servers_for_a_while() {
    let Guarded { relay, _folder } = guarded();
    let answer = request(&relay, "GET", "/api/ice-servers", &bearer(GUEST));
    answer.expect_header("content-type", "application/json");
    answer.expect_header("cache-control", "no-store");
    let answer = json_of(&answer);
    assert_eq!(answer["lifetimeSeconds"], 600);
    let servers = &answer["iceServers"];
    assert_eq!(
        servers[0],
        json!({ "urls": ["stun:stun.example.org:3478"] })
    );
    let turn = &servers[1];
    let urls = json!(["turn:turn.example.org:3478?transport=udp"]);
    assert_eq!(turn["urls"], urls);
    let username = turn["username"].as_str().expect("a text");
    let (expiry, _) = username.split_once(':').expect("when it ends");
    // After 2020, and no number of something else.
    let expiry: u64 = expiry.parse().expect("a time");
    assert!(
        (1_577_836_800..10_000_000_000).contains(&expiry),
        "{expiry}"
    );
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, TURN_SECRET.as_bytes());
    let credential = STANDARD.encode(hmac::sign(&key, username.as_bytes()));
    assert_eq!(turn["credential"], credential);
}

#[test]
fn pages_of_allowed_origins_alone_read_which_servers_there_are() {
    let Guarded { relay, _folder } = guarded();
    let path = "/api/ice-servers";
    for (origin, is_allowed) in [
        ("https://example.org", true),
        ("https://evil.example", false),
        ("https://example.org.evil.example", false),
        ("null", false),
    ] {
        let shared = is_allowed.then_some(origin);
        let from = format!("Origin: {origin}\r\n");
        let asks = format!(
            "{from}Access-Control-Request-Method: GET\r\n\
             Access-Control-Request-Headers: authorization\r\n"
        );
        let preflight = request(&relay, "OPTIONS", path, &asks);
        assert_eq!(preflight.status, 204, "{origin}");
        for (name, value) in [
            ("access-control-allow-origin", shared),
            (
                "access-control-allow-headers",
                is_allowed.then_some("authorization"),
            ),
            (
                "access-control-allow-methods",
                is_allowed.then_some("GET, HEAD"),
            ),
        ] {
            assert_eq!(preflight.header(name), value, "{name} for {origin}");
        }
        // A page that may read the answer may also read that its token is wrong.
        for (token, status) in [(GUEST, 200), ("wrong", 401)] {
            let answer = request(&relay, "GET", path, &format!("{from}{}", bearer(token)));
            let status = if is_allowed { status } else { 403 };
            assert_eq!(answer.status, status, "{origin}");
            assert_eq!(answer.header("access-control-allow-origin"), shared);
            answer.expect_header("vary", "origin");
        }
        // Nothing else is for other pages.
        for path in ["/", "/api/peers", "/metrics", "/health"] {
            let answer = request(&relay, "GET", path, &from);
            assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
            assert_eq!(
                request(&relay, "OPTIONS", path, &asks).status,
                405,
                "{path}"
            );
        }
    }
    let answer = request(&relay, "DELETE", path, "Content-Length: 0\r\n");
    assert_eq!(answer.status, 405);
    answer.expect_header("allow", "GET, HEAD, OPTIONS");
    answer.expect_header("content-type", "application/json");
}

#[test]
fn without_a_list_every_page_reads_which_servers_there_are() {
    let relay = relay("");
    let from = "Origin: https://anything.example\r\n";
    for method in ["GET", "OPTIONS"] {
        let answer = request(&relay, method, "/api/ice-servers", from);
        answer.expect_header("access-control-allow-origin", "https://anything.example");
    }
    let answer = request(&relay, "GET", "/api/ice-servers", "");
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn who_is_refused_is_told_why() {
    let Guarded { relay, _folder } = guarded();
    let missing = handshake(&relay, "/", "");
    missing.expect_header("content-type", "text/plain");
    missing.expect_header("www-authenticate", "Bearer realm=\"aldis\"");
    assert_eq!(missing.body, b"A token is needed here.\n");
    let wrong = handshake(&relay, "/api/peers", &bearer("wrong"));
    let challenge = "Bearer realm=\"aldis\", error=\"invalid_token\"";
    wrong.expect_header("www-authenticate", challenge);
    assert_eq!(wrong.body, b"The token is not valid here.\n");
    let as_json = request(&relay, "GET", "/api/peers", &bearer("wrong"));
    as_json.expect_header("www-authenticate", challenge);
    let sentence = json!({ "error": "The token is not valid here." });
    assert_eq!(json_of(&as_json), sentence);
    let nothing = request(&relay, "GET", "/api/nothing", "");
    assert_eq!(nothing.status, 404);
    let sentence = json!({ "error": "There is nothing at this address." });
    assert_eq!(json_of(&nothing), sentence);
}

#[test]
fn figures_are_in_the_format_of_prometheus_and_tell_what_happened() {
    let Guarded { relay, _folder } = guarded();
    let admin = bearer(OPERATOR);
    let read = || {
        let answer = request(&relay, "GET", "/metrics", &admin);
        answer.expect_header("content-type", "text/plain; version=0.0.4; charset=utf-8");
        Exposition::parse(&String::from_utf8(answer.body).expect("text"))
    };
    let before = read();
    for (name, expected) in [
        ("aldis_relay_build_info{version=\"0.1.0\"}", 1.0),
        ("aldis_relay_connections", 1.0),
        ("aldis_relay_handshakes", 1.0),
        ("aldis_relay_peers", 0.0),
        ("aldis_relay_registrations_total", 0.0),
        ("aldis_relay_refusals_total{reason=\"token_missing\"}", 0.0),
    ] {
        assert_eq!(before.value(name), expected, "{name}");
    }
    let enter = |id: &str| {
        let mut peer = Peer::open_at(relay.address, &format!("/?token={GUEST}"));
        peer.say(&format!("HELLO {id}"));
        peer
    };
    let (mut anna, mut bob, mut member) = (enter("anna"), enter("bob"), enter("member"));
    for peer in [&mut anna, &mut bob, &mut member] {
        peer.expect("HELLO");
    }
    member.say("nonsense");
    member.say("ROOM r");
    member.expect("ROOM_OK ");
    anna.say("SESSION bob");
    anna.expect("SESSION_OK");
    bob.say("12345");
    anna.expect("12345");
    enter("anna").expect_close(1002, "invalid peer uid");
    handshake(&relay, "/", "");
    request(&relay, "GET", "/metrics", &bearer(GUEST));
    let there = |figures: &Exposition| figures.value("aldis_relay_connections") <= 4.0;
    let after = eventually(|| Some(read()).filter(there)).expect("those refused leave");
    for (name, expected) in [
        ("aldis_relay_connections", 4.0),
        ("aldis_relay_handshakes", 1.0),
        ("aldis_relay_peers", 3.0),
        ("aldis_relay_rooms", 1.0),
        ("aldis_relay_sessions", 1.0),
        ("aldis_relay_registrations_total", 3.0),
        ("aldis_relay_sessions_started_total", 1.0),
        ("aldis_relay_joins_total", 1.0),
        ("aldis_relay_ignored_messages_total", 1.0),
        ("aldis_relay_received_messages_total", 8.0),
        ("aldis_relay_received_bytes_total", 71.0),
        ("aldis_relay_closes_total{reason=\"invalid_peer_id\"}", 1.0),
        ("aldis_relay_closes_total{reason=\"stopping\"}", 0.0),
        ("aldis_relay_refusals_total{reason=\"token_missing\"}", 1.0),
        ("aldis_relay_refusals_total{reason=\"not_admin\"}", 1.0),
        ("aldis_relay_handshake_duration_seconds_count", 4.0),
    ] {
        assert_eq!(after.value(name), expected, "{name}");
    }
    for name in [
        "aldis_relay_turn_duration_seconds_count",
        "aldis_relay_turn_duration_seconds_sum",
        "aldis_relay_handshake_duration_seconds_sum",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
    ] {
        assert!(after.value(name) > 0.0, "{name}");
    }
    // However much goes on, there are no more series.
    assert_eq!(before.len(), after.len());
}

#[test]
fn no_token_reaches_the_logs_not_even_those_for_programmers() {
    let Guarded { relay, _folder } = guarded_with("trace");
    for target in [
        "/",
        "/metrics",
        "/api/peers",
        "/api/ice-servers",
        "/nothing",
    ] {
        for token in [OPERATOR, GUEST, "the-secret-of-nobody"] {
            request(&relay, "GET", &format!("{target}?token={token}"), "");
            let answer = request(&relay, "GET", target, &bearer(token));
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(!body.contains("the-secret"), "{target}: {body}");
            handshake(&relay, &format!("{target}?token={token}"), "");
            handshake(&relay, target, &bearer(token));
        }
    }
    relay.signal(Signal::TERM);
    let log = relay.remains().stderr;
    assert!(log.contains("accepted"), "{log}");
    for line in log.lines() {
        assert!(!line.contains("the-secret"), "{line}");
    }
}
