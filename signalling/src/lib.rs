//! The Aldis relay: introduces peers to one another and serves the browser page, on one port.
//!
//! What to do is decided by [`relay::Relay`], a pure machine. What does it is one thread: `server`
//! accepts, `hub` waits for all WebSockets, owns the machine and carries its effects out, `connection`
//! is one WebSocket, and `http` answers whoever wants something else.

pub mod admission;
mod answer;
mod api;
mod bell;
pub mod cli;
pub mod codec;
pub mod config;
mod connection;
mod credentials;
pub mod door;
pub mod frame;
mod http;
mod hub;
mod ice_servers;
mod metrics;
mod outbox;
mod page;
mod process;
mod ready;
pub mod relay;
pub mod server;
pub mod settings;
mod tls;
pub mod token;
pub mod token_file;
mod visit;
pub mod watched;
mod wire;

pub use config::Config;
pub use server::Server;
