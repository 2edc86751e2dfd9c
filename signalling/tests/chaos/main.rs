//! The real binary among peers that break everything: whoever behaves notices nothing, and nothing
//! is left of the others when they are gone.

mod bystanders;
mod crowd;
#[path = "../support/folder.rs"]
mod folder;
mod mischief;
#[path = "../sockets/peer.rs"]
#[expect(dead_code, reason = "the tests of sockets use all of it")]
mod peer;
#[path = "../sockets/running.rs"]
#[expect(dead_code, reason = "the tests of sockets use all of it")]
mod running;
mod storms;
mod streams;
#[path = "../sockets/tls.rs"]
mod tls;
mod traces;
