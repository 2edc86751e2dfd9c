//! TURN by TLS, which libnice does not speak: it is given a port of this machine as its TURN server,
//! and what goes through that is passed on by TLS.
//!
//! Only this process is let in. A tunnel lives as long as the connection with the peer it is for.

use std::collections::{BTreeSet, HashSet};
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use async_std::future::timeout;
use async_std::net::{TcpListener, TcpStream};
use async_std::task;
use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use futures_util::future::{Either, select};
use futures_util::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _, select_biased};
use rustls::pki_types::ServerName;

use crate::addresses::usable;
use crate::config::Trust;
use crate::failure::Failure;
use crate::ice_servers::{TlsServer, tls_server};
use crate::trust::{Whom, distrust, tls_config};

/// How many connections one tunnel carries: libnice opens one from each address of this machine.
const MAX_CONNECTIONS: usize = 16;

/// How long a server may take to be reached, and to agree on TLS.
const CONNECT_DEADLINE: Duration = Duration::from_secs(8);

/// How long to wait when no connection can be accepted just now.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// How much is moved at once, in bytes: a packet of media with room to spare.
const PIECE_BYTES: usize = 8 * 1024;

/// How TURN servers are spoken to by TLS, and whom to trust there.
#[derive(Clone)]
pub struct TurnTls {
    trust: Arc<Trust>,
    /// What this system trusts takes its time to be read, and most calls do not need it.
    connector: Arc<OnceLock<TlsConnector>>,
}

/// Tunnels to TURN servers. Dropping them ends what goes through.
#[derive(Debug, Default)]
pub struct Tunnels {
    _open: Vec<Sender<Infallible>>,
}

impl TurnTls {
    /// Trusts those for whom `trust` vouches. Nothing is read yet.
    pub fn new(trust: Trust) -> Self {
        Self {
            trust: Arc::new(trust),
            connector: Arc::default(),
        }
    }

    /// Reads what is trusted, unless that has been done. Blocks.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn connector(&self) -> Result<TlsConnector, Failure> {
        if let Some(connector) = self.connector.get() {
            return Ok(connector.clone());
        }
        let config = tls_config(&self.trust, Whom::TurnServer)?;
        let made = TlsConnector::from(Arc::new(config));
        Ok(self.connector.get_or_init(|| made).clone())
    }

    /// The TURN servers as libnice takes them: those by TLS each become a port of this machine, from
    /// which a tunnel leads to them.
    pub fn open(&self, servers: &[String]) -> (Vec<String>, Tunnels) {
        let mut tunnels = Tunnels::default();
        let mut urls = Vec::new();
        for url in servers {
            let Some(server) = tls_server(url) else {
                urls.push(url.clone());
                continue;
            };
            match self.dig(server) {
                Ok((url, open)) => {
                    urls.push(url);
                    tunnels._open.push(open);
                }
                Err(error) => tracing::warn!("a TURN server cannot be used by TLS: {error}"),
            }
        }
        (urls, tunnels)
    }

    fn dig(&self, server: TlsServer) -> io::Result<(String, Sender<Infallible>)> {
        let listener = std::net::TcpListener::bind((loopback(&usable()), 0))?;
        listener.set_nonblocking(true)?;
        let here = listener.local_addr()?;
        let url = format!("turn://{}@{here}?transport=tcp", server.credentials);
        let (open, closed) = bounded(1);
        let tunnel = Tunnel {
            turn_tls: self.clone(),
            server,
        };
        task::spawn(async move { tunnel.serve(&listener.into(), &closed).await });
        Ok((url, open))
    }
}

/// Trusts whom this system trusts.
impl Default for TurnTls {
    fn default() -> Self {
        Self::new(Trust::System)
    }
}

impl fmt::Debug for TurnTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnTls")
            .field("trust", &self.trust)
            .finish_non_exhaustive()
    }
}

/// The way to one server.
struct Tunnel {
    turn_tls: TurnTls,
    server: TlsServer,
}

impl Tunnel {
    /// Carries what comes until nobody holds the other end of `closed`.
    async fn serve(&self, listener: &TcpListener, closed: &Receiver<Infallible>) {
        let mut carried = FuturesUnordered::new();
        let mut complained = false;
        let mut closed = std::pin::pin!(closed.recv().fuse());
        loop {
            let mut accepted = std::pin::pin!(accept(listener).fuse());
            select_biased! {
                _ = closed => return,
                outcome = carried.select_next_some() => match outcome {
                    // One sentence will do for all addresses of this machine.
                    Err(reason) if !complained => {
                        complained = true;
                        tracing::warn!(
                            "The TURN server {} cannot be used by TLS: {reason}. Calls go without it.",
                            self.server.place()
                        );
                    }
                    Ok(()) | Err(_) => {}
                },
                accepted = accepted => match accepted {
                    Ok((stream, from)) if carried.len() < MAX_CONNECTIONS => {
                        carried.push(self.carry(stream, from));
                    }
                    Ok(_) => tracing::debug!("too many connections for one tunnel"),
                    Err(error) => tracing::debug!("no connection for a tunnel: {error}"),
                },
            }
        }
    }

    /// Carries one connection to its end.
    ///
    /// # Errors
    /// Says why the server cannot be used. How a connection ends that once was open is no error.
    async fn carry(&self, stream: TcpStream, from: SocketAddr) -> Result<(), String> {
        let here = stream.local_addr().map_err(|error| error.to_string())?;
        if !task::spawn_blocking(move || is_ours(from, here)).await {
            tracing::debug!("another program came to a tunnel, and was sent away");
            return Ok(());
        }
        let connecting = timeout(CONNECT_DEADLINE, self.connect()).await;
        let server = connecting.map_err(|_| "it does not answer".to_owned())??;
        let _ = stream.set_nodelay(true);
        let (from_server, to_server) = server.split();
        let outwards = pump(stream.clone(), to_server);
        let inwards = pump(from_server, stream);
        // Whichever ends first, the other has nobody to talk to.
        let ended = select(Box::pin(outwards), Box::pin(inwards)).await;
        let (Either::Left((ended, _)) | Either::Right((ended, _))) = ended;
        tracing::debug!(?ended, "a connection through a tunnel has ended");
        Ok(())
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>, String> {
        let turn_tls = self.turn_tls.clone();
        let connector = task::spawn_blocking(move || turn_tls.connector()).await;
        let connector = connector.map_err(|failure| failure.sentence)?;
        let TlsServer { host, port, .. } = &self.server;
        let name = ServerName::try_from(host.clone())
            .map_err(|_| "no certificate can be for its name".to_owned())?;
        let stream = TcpStream::connect((host.as_str(), *port))
            .await
            .map_err(|error| format!("it cannot be reached ({error})"))?;
        let _ = stream.set_nodelay(true);
        let connecting = connector.connect(name, stream).await;
        connecting.map_err(|error| not_encrypted(&error))
    }
}

/// The next connection. Where there can be none just now, that is said after a pause, in which those
/// that there are go on.
async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let accepted = listener.accept().await;
    if accepted.is_err() {
        task::sleep(ACCEPT_AGAIN_AFTER).await;
    }
    accepted
}

/// Why TLS with a TURN server did not come about.
pub fn not_encrypted(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|error| error.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidCertificate(error)) => distrust(error, Whom::TurnServer),
        Some(rustls::Error::InvalidMessage(_)) => {
            "it does not speak TLS there; use turn: instead of turns:".into()
        }
        _ => error.to_string(),
    }
}

/// Moves everything, and each piece at once.
async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = from.read(&mut piece).await?;
        let Some(read) = piece.get(..count).filter(|read| !read.is_empty()) else {
            return to.close().await;
        };
        to.write_all(read).await?;
        to.flush().await?;
    }
}

/// Where libnice finds a tunnel: it goes there from the addresses it gathers, and those of IPv4 and IPv6
/// do not meet.
fn loopback(gathered: &BTreeSet<IpAddr>) -> IpAddr {
    match !gathered.is_empty() && gathered.iter().all(IpAddr::is_ipv6) {
        true => Ipv6Addr::LOCALHOST.into(),
        false => Ipv4Addr::LOCALHOST.into(),
    }
}

/// Whether this process holds the other end of a connection that was accepted here. Blocks.
fn is_ours(from: SocketAddr, here: SocketAddr) -> bool {
    let table = match here {
        SocketAddr::V4(_) => "/proc/self/net/tcp",
        SocketAddr::V6(_) => "/proc/self/net/tcp6",
    };
    let Ok(table) = std::fs::read_to_string(table) else {
        return false;
    };
    let Some(inode) = inode(&table, from, here) else {
        return false;
    };
    let wanted = format!("socket:[{inode}]");
    let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") else {
        return false;
    };
    let held: HashSet<_> = descriptors
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .collect();
    held.contains(std::path::Path::new(&wanted))
}

/// The number of the socket of a connection in the kernel's table.
fn inode(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<&str> {
    let (local, remote) = (in_table(local), in_table(remote));
    table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        (fields.next()? == local && fields.next()? == remote).then(|| fields.nth(6))?
    })
}

/// An address as the kernel's table has it: words of four bytes, as they lie in memory.
fn in_table(address: SocketAddr) -> String {
    let octets = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let (words, _) = octets.as_chunks::<4>();
    let words: Vec<_> = words
        .iter()
        .map(|word| format!("{:08X}", u32::from_ne_bytes(*word)))
        .collect();
    format!("{}:{:04X}", words.concat(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_told_from_others() {
        for loopback in [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            Ipv6Addr::LOCALHOST.into(),
        ] {
            let Ok(listener) = std::net::TcpListener::bind((loopback, 0)) else {
                assert!(loopback.is_ipv6(), "every machine has {loopback}");
                continue;
            };
            let here = listener.local_addr().expect("an address");
            let caller = std::net::TcpStream::connect(here).expect("a connection");
            let (_accepted, from) = listener.accept().expect("a connection");
            assert!(is_ours(from, here), "{loopback}");
            drop(caller);
            assert!(!is_ours(from, here), "nobody holds it any more");
        }
    }

    #[test]
    fn a_tunnel_begins_where_libnice_can_go() {
        let begins = |gathered: &[&str]| {
            let gathered = gathered.iter().map(|ip| ip.parse().expect("an address"));
            loopback(&gathered.collect()).to_string()
        };
        assert_eq!(begins(&[]), "127.0.0.1");
        assert_eq!(begins(&["2001:db8::1", "192.0.2.1"]), "127.0.0.1");
        assert_eq!(begins(&["2001:db8::1"]), "::1");
    }

    #[test]
    fn a_socket_of_others_has_another_number() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 0100007F:0050 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 20 4 30 10 -1\n";
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // The table of a machine whose bytes lie the other way round looks different.
        if cfg!(target_endian = "little") {
            assert_eq!(inode(table, address(8080), address(80)), Some("4711"));
        }
        assert_eq!(inode(table, address(80), address(8080)), None);
    }

    #[test]
    fn servers_without_tls_stay_as_they_are() {
        let servers = ["turn://u:p@h:3478".to_owned()];
        let (urls, tunnels) = TurnTls::new(Trust::System).open(&servers);
        assert_eq!(urls, servers);
        assert!(tunnels._open.is_empty());
    }
}
