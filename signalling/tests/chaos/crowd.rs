//! Very many peers that behave.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use async_tungstenite::tungstenite::Message;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::mischief::{LAST, TEXT, connect, frame};
use crate::peer::Peer;
use crate::running::{Running, now, relay};
use crate::traces::Traces;

/// So many idle peers, if the system lets one process have so many descriptors.
const IDLE_PEERS: usize = 10_000;

/// Descriptors a process needs beside those of its peers.
const OTHER_DESCRIPTORS: usize = 100;

/// So many are let in before they are heard.
const AT_ONCE: usize = 100;

/// So much of a frame is its beginning.
const BEGINNING_BYTES: usize = 7;

/// What one idle peer may cost, in KiB; a fraction of this is usual.
const MOST_KIB_A_PEER: u64 = 32;

pub(crate) const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Allows this process, and the relays it starts, as many descriptors as the system permits.
fn raise_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("up to the hard limit it is permitted");
    limit
        .maximum
        .and_then(|most| usize::try_from(most).ok())
        .unwrap_or(usize::MAX)
}

/// Registers so many peers, some at a time. They are sockets without any buffers of their own, and say
/// everything in two parts; the second part of what they say last never comes.
fn idle_peers(relay: &Running, count: usize) -> Vec<TcpStream> {
    let mut all = Vec::with_capacity(count);
    let hello = |number| frame(TEXT | LAST, format!("HELLO idle-{number}").as_bytes());
    while all.len() < count {
        let numbers = all.len()..count.min(all.len() + AT_ONCE);
        let mut some: Vec<_> = numbers
            .clone()
            .map(|number| {
                let mut stream = connect(relay.address);
                let bytes = [UPGRADE.as_bytes(), &hello(number)[..BEGINNING_BYTES]].concat();
                stream.write_all(&bytes).expect("the relay hears");
                stream
            })
            .collect();
        for (number, stream) in numbers.zip(&mut some) {
            expect_end(stream, b"\r\n\r\n");
            let bytes = [
                &hello(number)[BEGINNING_BYTES..],
                &hello(0)[..BEGINNING_BYTES],
            ]
            .concat();
            stream.write_all(&bytes).expect("the relay hears");
        }
        for stream in &mut some {
            expect_end(stream, b"\x81\x05HELLO");
        }
        all.append(&mut some);
    }
    all
}

/// Reads until the relay has nothing more to say for now.
#[track_caller]
fn expect_end(stream: &mut TcpStream, end: &[u8]) {
    let mut answer = Vec::new();
    while !answer.ends_with(end) {
        let mut some = [0; 1024];
        let count = stream.read(&mut some).expect("an answer in time");
        assert!(count > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend(&some[..count]);
    }
}

#[test]
fn ten_thousand_idle_peers_cost_little_and_leave_nothing() {
    let most = raise_limit();
    let count = IDLE_PEERS.min(most.saturating_sub(OTHER_DESCRIPTORS));
    if count < IDLE_PEERS {
        println!("only {count} peers: no more descriptors are permitted");
    }
    // Nobody here answers pings.
    let relay = relay("--ping-interval 600");
    let (mut alice, mut bob) = Peer::pair(&relay, "alice", "bob");
    let before = Traces::of(&relay);
    let idle = idle_peers(&relay, count);
    let full = Traces::of(&relay);
    assert_eq!(full.descriptors, before.descriptors + count);
    assert!(full.threads <= before.threads, "{before:?}, {full:?}");
    let grown_kib = full.resident_kib.saturating_sub(before.resident_kib);
    assert!(
        grown_kib < MOST_KIB_A_PEER * count as u64,
        "{grown_kib} KiB for {count} peers"
    );
    alice.say("still there?");
    bob.expect("still there?");
    drop(idle);
    // Which also shows that every id is free again.
    let again = idle_peers(&relay, count.min(500));
    drop(again);
    Traces {
        // An allocator keeps some of what it once had.
        resident_kib: before.resident_kib + grown_kib / 2,
        ..before
    }
    .expect_return(&relay);
    alice.say("and now?");
    bob.expect("and now?");
}

/// The median of the round trips of all pairs.
fn round_trip(pairs: &mut [(Peer, Peer)]) -> Duration {
    let mut all: Vec<_> = pairs
        .iter_mut()
        .map(|(one, other)| {
            let began = now();
            one.say("ping?");
            other.expect("ping?");
            other.say("pong!");
            one.expect("pong!");
            began.elapsed()
        })
        .collect();
    all.sort_unstable();
    all[all.len() / 2]
}

#[test]
fn a_flooder_does_not_slow_down_a_thousand_quiet_peers() {
    /// A round trip may take so many times as long, on a machine that is busy with both ends of it.
    const MOST: u32 = 50;
    /// So long that the flood stays below what a peer may say in a second.
    const LINE_BYTES: usize = 4000;
    raise_limit();
    let relay = relay("");
    let mut quiet: Vec<_> = (0..500)
        .map(|number| Peer::pair(&relay, &format!("one-{number}"), &format!("other-{number}")))
        .collect();
    let (mut flooder, mut drain) = Peer::pair(&relay, "flooder", "drain");
    let calm = round_trip(&mut quiet);
    let enough = AtomicBool::new(false);
    thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let line = "x".repeat(LINE_BYTES);
            let mut sent = 0_u64;
            while !enough.load(Ordering::Relaxed) {
                flooder.say(&line);
                sent += 1;
            }
            flooder.say("enough");
            sent
        });
        let drained = scope.spawn(|| {
            let mut heard = 0_u64;
            while drain.next_message() != Message::text("enough") {
                heard += 1;
            }
            heard
        });
        let flooded = round_trip(&mut quiet);
        enough.store(true, Ordering::Relaxed);
        let sent = flood.join().expect("it is heard");
        assert_eq!(drained.join().expect("it hears"), sent);
        assert!(sent > 300, "no flood: {sent}");
        assert!(
            flooded < MOST * calm,
            "{calm:?} before, {flooded:?} beside a flood of {sent} messages"
        );
    });
}
