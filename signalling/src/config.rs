//! What a relay is meant to do, and the bounds it keeps.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use protocol::limits;

/// The port of the relay unless another is asked for.
pub const DEFAULT_PORT: u16 = 8443;

/// What may wait to be read by one peer, in bytes; who lets more pile up is dropped.
///
/// A little more than 1 MiB: the longest answer, an error that quotes a message of nothing but control
/// characters, has four times that message's length.
pub const OUTBOX_BYTES: usize = 4 * limits::MAX_MESSAGE_BYTES + 4096;

/// The backlog of one side of a session, in bytes, above which the other side is not read.
///
/// With one message of [`limits::MAX_MESSAGE_BYTES`] on top it stays below [`OUTBOX_BYTES`].
pub const SESSION_BACKLOG_BYTES: usize = 256 * 1024;

/// What a waiting message counts beside its payload, in bytes, so that empty ones are bounded too.
pub const MESSAGE_OVERHEAD_BYTES: usize = 64;

/// The read and the write buffer of one WebSocket, in bytes.
pub const SOCKET_BUFFER_BYTES: usize = 2 * 1024;

/// The largest head of an HTTP request, in bytes; hyper takes no less than 8 KiB.
pub const REQUEST_HEAD_BYTES: usize = 16 * 1024;

/// The most header fields of an HTTP request.
pub const REQUEST_HEADERS: usize = 64;

/// How long one connection may be used for plain HTTP.
pub const HTTP_LIFETIME: Duration = Duration::from_secs(60);

/// How long a closing handshake may take, and the reading of what a peer sends after it.
pub const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// How long a stopping relay waits for its peers to close.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(8);

/// How a relay listens and how patient it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// How long a connection may take for the head of an HTTP request.
    pub handshake_deadline: Duration,
    /// How long a WebSocket may take for its `HELLO`.
    pub hello_deadline: Duration,
    /// How often every connection is pinged.
    pub ping_interval: Duration,
    /// How long a peer may take nothing of what waits for it, or keep its partner from sending.
    pub stall_limit: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, DEFAULT_PORT).into(),
            handshake_deadline: Duration::from_secs(10),
            hello_deadline: limits::HELLO_DEADLINE,
            ping_interval: limits::PING_INTERVAL,
            stall_limit: Duration::from_secs(10),
        }
    }
}
