//! The real binary, over real sockets of this machine, with peers that behave and peers that do not.

mod api;
mod bounds;
mod description;
mod encrypted;
mod endings;
mod exposition;
#[path = "../support/folder.rs"]
mod folder;
mod http;
mod misbehaviour;
mod peer;
mod process;
mod rooms;
mod running;
mod schema;
mod service;
mod sessions;
mod settings;
mod slow_readers;
mod tls;
mod token_command;
