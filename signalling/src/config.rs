//! What a relay is meant to do, and the bounds it keeps.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use protocol::limits;

/// The port of the relay unless another is asked for.
pub const DEFAULT_PORT: u16 = 8443;

/// What may wait to be read by one peer, in bytes, unless configured otherwise.
///
/// A little more than 1 MiB: the longest answer, an error that quotes a message of nothing but control
/// characters, has four times that message's length.
pub const OUTBOX_BYTES: usize = 4 * limits::MAX_MESSAGE_BYTES + 4096;

/// The part of an outbox that has to be filled for the other side of a session not to be read.
///
/// With [`OUTBOX_BYTES`] it is a good 256 KiB; what one turn may add stays below the rest.
pub const CONGESTED_ABOVE: usize = 4;

/// The part of all handshakes under way that one address may have, ...
const HANDSHAKES_SHARE: usize = 16;

/// ... but never fewer than a browser has at once for one page.
const LEAST_HANDSHAKES: usize = 8;

/// What is read at once, in bytes. There is one buffer for all connections.
pub const READ_BYTES: usize = 64 * 1024;

/// How often files are looked at that may change while the relay runs.
pub const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// How many connections may wait to be accepted.
pub const BACKLOG: i32 = 1024;

/// For reading what nobody wants to know, in bytes.
pub const SCRAP_BYTES: usize = 2 * 1024;

/// The largest head of an HTTP request, in bytes; hyper takes no less than 8 KiB.
pub const REQUEST_HEAD_BYTES: usize = 16 * 1024;

/// The most header fields of an HTTP request.
pub const REQUEST_HEADERS: usize = 64;

/// How long one connection may be used for plain HTTP.
pub const HTTP_LIFETIME: Duration = Duration::from_secs(60);

/// The most requests of one connection; the answer to the last one closes it.
pub const HTTP_REQUESTS: usize = 100;

/// How long a closing handshake may take, and the reading of what a peer sends after it.
pub const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// How long a stopping relay waits for its peers to close.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(8);

/// The least [`Limits::message_bytes`], so that every word of the protocol with its ids fits.
pub const LEAST_MESSAGE_BYTES: usize = 1024;

/// Descriptors that are not for connections: the listener, the log, files that are read again, the
/// system's own.
pub const SPARE_DESCRIPTORS: usize = 32;

/// What a relay is told to do, after all options, variables and files have been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// How much of everything there may be.
    pub limits: Limits,
    /// How long anything may take.
    pub deadlines: Deadlines,
    /// With what to encrypt, if at all.
    pub tls: Option<Certificate>,
    /// The web pages that may connect, as `https://example.org`; without a list, all of them.
    pub allowed_origins: Option<Vec<String>>,
    /// The file of the secrets by which one may enter; without it, everybody may.
    pub token_file: Option<PathBuf>,
    /// What peers are told about STUN and TURN.
    pub ice: IceConfig,
}

/// How much of everything there may be at a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest message a peer may send, in bytes.
    pub message_bytes: usize,
    /// Connections in all, whatever they are used for.
    pub connections: usize,
    /// Connections of one address (of one /64 network for IPv6), unless it is this machine's own.
    pub connections_per_address: usize,
    /// New connections of one address in a second, with as many again at once.
    pub new_connections_per_second: u32,
    /// Connections that are neither a WebSocket yet nor done with their HTTP.
    pub handshakes: usize,
    /// Registered peers.
    pub peers: usize,
    /// Members of one room.
    pub peers_per_room: usize,
    /// Messages of one peer in a second, with as many again at once; control frames count too.
    pub messages_per_second: u32,
    /// What may wait to be read by one peer, in bytes; who lets more pile up is dropped.
    pub outbox_bytes: usize,
    /// Whether what is bounded per address is bounded for loopback addresses too. Behind a proxy on
    /// the same machine everybody comes from one of those.
    pub loopback_too: bool,
}

/// How long anything may take at a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For a connection to bring the head of an HTTP request, TLS included.
    pub handshake: Duration,
    /// For a WebSocket to say `HELLO`.
    pub hello: Duration,
    /// Between two pings of a connection.
    pub ping_interval: Duration,
    /// For a peer to take anything of what waits for it, and to end its partner's wait.
    pub stall: Duration,
}

/// Where the certificate of a relay comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Two PEM files, read again when they change.
    Files {
        /// The certificate, with those that vouch for it behind it.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// Made on the spot, for these names and addresses.
    SelfSigned {
        /// What the certificate is for, as `example.org` or `192.0.2.1`.
        names: Vec<String>,
    },
}

/// The STUN and TURN servers peers are told about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceConfig {
    /// As `stun:stun.example.org:3478`.
    pub stun: Vec<String>,
    /// As `turn:turn.example.org:3478?transport=udp`, without credentials.
    pub turn: Vec<String>,
    /// The secret shared with the TURN servers (`static-auth-secret` of coturn).
    pub turn_secret: Option<Secret>,
    /// For how long credentials for TURN hold.
    pub turn_lifetime: Duration,
}

impl Config {
    /// Whether its bounds agree with one another and with what peers owe one another.
    ///
    /// # Errors
    /// A sentence, in the names of the options, about the first that do not.
    pub fn check(&self) -> Result<(), String> {
        self.limits.check()
    }
}

impl Limits {
    /// How many of the handshakes under way may be of one address: a few addresses alone cannot keep
    /// everybody else waiting.
    pub fn handshakes_per_address(&self) -> usize {
        (self.handshakes / HANDSHAKES_SHARE).max(LEAST_HANDSHAKES)
    }

    /// The least [`Limits::outbox_bytes`] for the longest message there may be: room for the longest
    /// answer, and for what one turn may add to an outbox that is nearly congested.
    pub fn least_outbox_bytes(&self) -> usize {
        let answer = self.message_bytes.saturating_mul(4).saturating_add(4096);
        let turn = self.message_bytes.saturating_add(READ_BYTES);
        answer.max(turn.saturating_add(turn / (CONGESTED_ABOVE - 1) + 4096))
    }

    /// The limits that can be kept with so many descriptors for the whole process.
    #[must_use]
    pub fn within(mut self, descriptors: usize) -> Self {
        let most = descriptors.saturating_sub(SPARE_DESCRIPTORS).max(1);
        for bound in [
            &mut self.connections,
            &mut self.connections_per_address,
            &mut self.handshakes,
            &mut self.peers,
            &mut self.peers_per_room,
        ] {
            *bound = most.min(*bound);
        }
        self
    }

    fn check(&self) -> Result<(), String> {
        if self.message_bytes < LEAST_MESSAGE_BYTES {
            return Err(format!(
                "--max-message-bytes {} is too little: an id alone has up to {} bytes, so the \
                 least is {LEAST_MESSAGE_BYTES}",
                self.message_bytes,
                limits::MAX_ID_BYTES
            ));
        }
        let least_outbox = self.least_outbox_bytes();
        if self.outbox_bytes < least_outbox {
            return Err(format!(
                "--max-outbox-bytes {} is too little for --max-message-bytes {}: the least is \
                 {least_outbox}",
                self.outbox_bytes, self.message_bytes
            ));
        }
        let connections = ("--max-connections", self.connections);
        let peers = ("--max-peers", self.peers);
        for (part, whole) in [
            (("--max-handshakes", self.handshakes), connections),
            (
                (
                    "--max-connections-per-address",
                    self.connections_per_address,
                ),
                connections,
            ),
            (peers, connections),
            (("--max-peers-per-room", self.peers_per_room), peers),
        ] {
            if part.1 > whole.1 {
                return Err(format!(
                    "{} {} is more than {} {}, of which it is a part: lower the one or raise the \
                     other",
                    part.0, part.1, whole.0, whole.1
                ));
            }
        }
        Ok(())
    }
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, DEFAULT_PORT).into(),
            limits: Limits::default(),
            deadlines: Deadlines::default(),
            tls: None,
            allowed_origins: None,
            token_file: None,
            ice: IceConfig::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: limits::MAX_MESSAGE_BYTES,
            connections: 16_000,
            connections_per_address: 256,
            new_connections_per_second: 50,
            handshakes: 1_000,
            peers: 16_000,
            peers_per_room: 1_000,
            messages_per_second: 50_000,
            outbox_bytes: OUTBOX_BYTES,
            loopback_too: false,
        }
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            hello: limits::HELLO_DEADLINE,
            ping_interval: limits::PING_INTERVAL,
            stall: Duration::from_secs(10),
        }
    }
}

impl Default for IceConfig {
    fn default() -> Self {
        Self {
            stun: Vec::new(),
            turn: Vec::new(),
            turn_secret: None,
            turn_lifetime: Duration::from_secs(3600),
        }
    }
}
