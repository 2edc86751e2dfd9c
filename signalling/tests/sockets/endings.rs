//! How the relay stops.

use std::time::Duration;

use rustix::process::Signal;

use crate::peer::Peer;
use crate::running::{Running, now, relay};

fn stop_with_peers(relay: Running, signal: Signal) {
    let mut greeting = Peer::open(&relay);
    let mut idle = Peer::registered(&relay, "idle");
    let (mut caller, mut callee) = Peer::pair(&relay, "caller", "callee");
    let mut member = Peer::in_room(&relay, "member", "r", &[]);
    relay.signal(signal);
    for peer in [
        &mut greeting,
        &mut idle,
        &mut caller,
        &mut callee,
        &mut member,
    ] {
        peer.expect_close(1001, "relay stopping");
    }
    let remains = relay.remains();
    assert_eq!(remains.status.code(), Some(0), "{}", remains.stderr);
    assert_eq!(remains.stdout, "", "one line is all there is");
    assert!(remains.stderr.contains("stopped"), "{}", remains.stderr);
    assert!(!remains.stderr.contains("panicked"), "{}", remains.stderr);
}

#[test]
fn on_sigterm_everybody_is_told_and_the_exit_code_is_0() {
    stop_with_peers(relay(""), Signal::TERM);
}

#[test]
fn on_sigint_everybody_is_told_and_the_exit_code_is_0() {
    stop_with_peers(relay(""), Signal::INT);
}

#[test]
fn who_does_not_answer_the_close_cannot_keep_the_relay_from_stopping() {
    let relay = relay("");
    let _deaf = Peer::registered(&relay, "deaf");
    let half_open = std::net::TcpStream::connect(relay.address).expect("the relay listens");
    let began = now();
    relay.signal(Signal::TERM);
    let remains = relay.remains();
    let took = began.elapsed();
    assert_eq!(remains.status.code(), Some(0), "{}", remains.stderr);
    assert!(took < Duration::from_secs(10), "{took:?}");
    drop(half_open);
}

#[test]
fn nobody_waits_for_a_browser_that_keeps_its_connection_open() {
    use std::io::{Read, Write};
    let relay = relay("");
    let mut browser = std::net::TcpStream::connect(relay.address).expect("the relay listens");
    browser
        .write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("the relay hears");
    let mut answer = [0; 12];
    browser.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200");
    let began = now();
    relay.signal(Signal::TERM);
    assert_eq!(relay.remains().status.code(), Some(0));
    // Far below the deadline of the connection.
    assert!(began.elapsed() < Duration::from_secs(4));
}
