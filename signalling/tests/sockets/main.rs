//! The real binary, over real sockets of this machine, with peers that behave and peers that do not.

mod endings;
mod http;
mod misbehaviour;
mod peer;
mod process;
mod rooms;
mod running;
mod service;
mod sessions;
mod settings;
mod slow_readers;
