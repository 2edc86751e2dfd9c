//! The server under load: where it is and what is spoken to it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

use crate::pattern::{Field, Framing, peer_field};

/// A key of a WebSocket, which RFC 6455 has as its example, ...
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// ... and what a server makes of it.
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The numbers a run of ours may use from its first one on.
pub(crate) const PEERS: u32 = 100_000;

/// Addresses of this machine from which connections are made in turn: each has its own ports, and those
/// of ended connections rest for a minute.
const SOURCES: u32 = 64;

/// A server and how to speak to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) framing: Framing,
    /// The request that opens a WebSocket.
    pub(crate) request: Vec<u8>,
    /// The number of the first peer, so that runs one after the other do not meet.
    first_peer: u32,
}

impl Target {
    /// Parses `ws://HOST:PORT/PATH`, or `tcp://HOST:PORT` for the forwarder without framing.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub(crate) fn parse(url: &str, is_raw: bool, run: u32) -> Result<Self, String> {
        let (rest, framing) = match (url.strip_prefix("ws://"), url.strip_prefix("tcp://")) {
            (Some(rest), _) if is_raw => (rest, Framing::Raw),
            (Some(rest), _) => (rest, Framing::Frames),
            (_, Some(rest)) => (rest, Framing::Raw),
            (None, None) => {
                return Err(format!(
                    "{url} is no address as ws://127.0.0.1:8443/ or tcp://127.0.0.1:9000"
                ));
            }
        };
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(at);
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        let with_port = if has_port(host) {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let mut found = with_port
            .to_socket_addrs()
            .map_err(|error| format!("{host} is not found: {error}"))?;
        let address = found
            .next()
            .ok_or_else(|| format!("{host} has no address"))?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        // The forwarder looks numbers up in a table, so that they begin at 0.
        let first_peer = match framing {
            Framing::Frames => (100 + run % 800) * PEERS,
            Framing::Raw => 0,
        };
        Ok(Self {
            address,
            framing,
            request: request.into_bytes(),
            first_peer,
        })
    }

    /// The same server for peers that have others before them.
    pub(crate) fn moved(&self, by: usize) -> Self {
        Self {
            first_peer: self.first_peer + by as u32,
            ..self.clone()
        }
    }

    /// The number by which the server knows one of our peers.
    pub(crate) fn number(&self, peer: usize) -> u32 {
        self.first_peer + (peer as u32 % PEERS)
    }

    /// The same as a field of a message, which is also its id.
    pub(crate) fn field(&self, peer: usize) -> Field {
        peer_field(self.number(peer))
    }

    /// The same as text.
    pub(crate) fn id(&self, peer: usize) -> String {
        format!("{:08}", self.number(peer))
    }

    /// Which of our peers has a number.
    pub(crate) fn peer(&self, number: u32) -> Option<usize> {
        number
            .checked_sub(self.first_peer)
            .map(|peer| peer as usize)
    }

    /// Where the connection of so great a number comes from; `None` leaves that to the system.
    pub(crate) fn source(&self, connection: u32) -> Option<SocketAddr> {
        match self.address.ip() {
            IpAddr::V4(ip) if ip.is_loopback() => {
                let host = 2 + (connection % SOURCES) as u8;
                Some((Ipv4Addr::new(127, 0, 0, host), 0).into())
            }
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        }
    }
}

/// Of an address of IPv6 the part in brackets is the host.
fn has_port(host: &str) -> bool {
    host.rsplit_once(']')
        .map_or(host, |(_, behind)| behind)
        .contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Target {
        Target::parse(url, false, 0).expect(url)
    }

    #[test]
    fn an_address_says_where_and_how() {
        let target = parsed("ws://127.0.0.1:8443/?token=x");
        assert_eq!(
            target.address,
            "127.0.0.1:8443".parse().expect("an address")
        );
        assert_eq!(target.framing, Framing::Frames);
        let request = String::from_utf8(target.request).expect("text");
        assert!(
            request.starts_with("GET /?token=x HTTP/1.1\r\nHost: 127.0.0.1:8443\r\n"),
            "{request}"
        );
        assert_eq!(parsed("tcp://127.0.0.1:9").framing, Framing::Raw);
        assert_eq!(
            parsed("ws://[::1]").address,
            "[::1]:80".parse().expect("an address")
        );
        let raw = Target::parse("ws://127.0.0.1:9", true, 0).expect("an address");
        assert_eq!(raw.framing, Framing::Raw);
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_sentence() {
        for url in [
            "http://127.0.0.1:1",
            "127.0.0.1:1",
            "ws://",
            "wss://127.0.0.1:1",
        ] {
            assert!(Target::parse(url, false, 0).is_err(), "{url}");
        }
    }

    #[test]
    fn peers_have_ids_of_eight_digits_and_are_found_by_them() {
        for run in [0, 799, 800, u32::MAX] {
            let target = Target::parse("ws://127.0.0.1:1", false, run).expect("an address");
            for peer in [0, 1, PEERS as usize - 1] {
                assert_eq!(target.id(peer).as_bytes(), target.field(peer));
                assert_eq!(target.id(peer).len(), 8);
                assert_eq!(target.peer(target.number(peer)), Some(peer));
            }
        }
    }

    #[test]
    fn connections_to_this_machine_come_from_many_of_its_addresses() {
        let target = parsed("ws://127.0.0.1:1");
        assert_ne!(target.source(0), target.source(1));
        assert_eq!(target.source(0), target.source(SOURCES));
        assert_eq!(parsed("ws://[::1]:1").source(0), None);
    }
}
