//! One mischief after the other, then all of them at once.

use std::io::Read;
use std::net::SocketAddr;
use std::process::Command;
use std::thread;

use crate::bystanders::Bystanders;
use crate::mischief;
use crate::peer::Peer;
use crate::running::{eventually, relay, start};
use crate::traces::Traces;

/// Short deadlines: the storm is over sooner.
const IMPATIENT: &str =
    "--handshake-deadline 0.5 --hello-deadline 0.5 --ping-interval 1 --stall-limit 1";

type Mischief = fn(SocketAddr);

const EVERYTHING: [(&str, Mischief); 10] = [
    ("half open", mischief::half_open),
    ("slow heads", mischief::slow_heads),
    ("resets in the middle", mischief::resets_in_the_middle),
    ("garbage", mischief::garbage),
    ("fragments", mischief::fragments),
    ("binary messages", mischief::binary_messages),
    ("wrong text", mischief::wrong_text),
    ("a flood of pings", mischief::ping_flood),
    ("oversized frames", mischief::oversized_frames),
    ("never reading", mischief::never_reading),
];

#[test]
fn no_mischief_is_noticed_by_others_nor_leaves_anything_behind() {
    let relay = relay(IMPATIENT);
    let mut bystanders = Bystanders::at(&relay);
    bystanders.round();
    let before = Traces::of(&relay);
    for (name, mischief) in EVERYTHING {
        println!("{name}");
        bystanders.meanwhile(|| mischief(relay.address));
        before.expect_return(&relay);
    }
    bystanders.round();
}

#[test]
fn all_mischief_at_once_is_no_worse() {
    let relay = relay(IMPATIENT);
    let mut bystanders = Bystanders::at(&relay);
    bystanders.round();
    let before = Traces::of(&relay);
    bystanders.meanwhile(|| {
        thread::scope(|scope| {
            for (_, mischief) in EVERYTHING {
                scope.spawn(move || mischief(relay.address));
            }
        });
    });
    before.expect_return(&relay);
    bystanders.round();
}

#[test]
fn with_few_descriptors_it_keeps_those_it_has_and_says_that_it_is_full() {
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 64 && exec \"$0\" --listen 127.0.0.1:0"]);
    limited.arg(env!("CARGO_BIN_EXE_signalling"));
    let relay = start(&mut limited);
    let mut bystanders = Bystanders::at(&relay);
    let before = Traces::of(&relay);
    let mut crowd: Vec<_> = (0..200).map(|_| mischief::connect(relay.address)).collect();
    let mut answer = Vec::new();
    let last = crowd.last_mut().expect("a crowd");
    last.read_to_end(&mut answer).expect("an end in time");
    assert!(answer.starts_with(b"HTTP/1.1 503 "), "{answer:?}");
    bystanders.round();
    drop(crowd);
    before.expect_return(&relay);
    Peer::registered(&relay, "late").expect_silence();
    bystanders.round();
}

#[test]
fn out_of_descriptors_it_serves_those_it_has_and_then_all_others_again() {
    let relay = relay("");
    let mut bystanders = Bystanders::at(&relay);
    let before = Traces::of(&relay);
    // Lowered behind its back, as another process of a user takes what is there for all.
    let most = before.descriptors + 5;
    relay.bound_descriptors(most as u64);
    // The system accepts for the relay, which has nowhere to put them.
    let crowd: Vec<_> = (0..200).map(|_| mischief::connect(relay.address)).collect();
    let is_full = eventually(|| (Traces::of(&relay).descriptors >= most).then_some(()));
    assert!(is_full.is_some(), "{:?}", Traces::of(&relay));
    bystanders.round();
    drop(crowd);
    Peer::registered(&relay, "late").expect_silence();
    bystanders.round();
    before.expect_return(&relay);
}
