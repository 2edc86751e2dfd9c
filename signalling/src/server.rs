//! Accepts connections and drives them, all on the thread it is called on, until told to stop.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use async_io::Async;
use async_std::future::timeout;
use async_std::task;
use futures_util::{FutureExt, select_biased};
use socket2::{Domain, SockRef, Socket, Type};
use tracing::{debug, info, warn};

use crate::config::{BACKLOG, Config, DRAIN_DEADLINE, Deadlines, SEND_BUFFER_BYTES};
use crate::http;
use crate::hub::Hub;
use crate::wire::Wire;

/// The pause after a failed accept: it doubles from the first to the second as failures go on.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// How precisely deadlines are kept: to a tenth of the shortest, but within these bounds.
const TICK: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// A relay that listens. All of it runs on the thread that serves, which has to be under
/// `async_std::task::block_on`.
pub struct Server {
    /// `None` once it is stopping.
    listener: Option<Async<TcpListener>>,
    address: SocketAddr,
    shared: Rc<Shared>,
}

/// What the tasks of all connections share.
struct Shared {
    config: Config,
    hub: Hub,
}

impl Server {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the address is in use, not this machine's, or not permitted.
    pub fn bind(config: Config) -> io::Result<Self> {
        let address = config.listen;
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        // So that a relay that was stopped can be started again at once.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Self::from_listener(socket.into(), config)
    }

    /// Takes over a socket that listens already; what the configuration says of that is ignored.
    ///
    /// # Errors
    /// When it is no listening TCP socket.
    pub fn from_listener(listener: TcpListener, config: Config) -> io::Result<Self> {
        let address = listener.local_addr()?;
        // What is accepted inherits both (Linux), at no cost. Lines are short and somebody waits for
        // each of them.
        let socket = SockRef::from(&listener);
        socket.set_tcp_nodelay(true)?;
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
        info!(%address, "listening");
        Ok(Self {
            listener: Some(Async::new(listener)?),
            address,
            shared: Rc::new(Shared {
                hub: Hub::new(&config),
                config,
            }),
        })
    }

    /// Where a program on this machine reaches the relay: the real port, and never the unspecified
    /// address.
    pub fn address(&self) -> SocketAddr {
        let ip = match self.address.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        SocketAddr::new(ip, self.address.port())
    }

    /// Serves until `stop` is ready, then closes every connection and waits a while for their ends.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        select_biased! {
            () = pin!(stop.fuse()) => {}
            () = self.accept().fuse() => {}
            () = self.tick().fuse() => {}
        }
        self.drain().await;
    }

    /// Accepts for ever: a failure costs a pause, never the server.
    async fn accept(&self) {
        let Some(listener) = &self.listener else {
            return;
        };
        let mut pause = ACCEPT_PAUSE.0;
        loop {
            match listener.accept().await {
                Ok((stream, from)) => {
                    pause = ACCEPT_PAUSE.0;
                    debug!(%from, "accepted");
                    task::spawn_local(serve(stream, Rc::clone(&self.shared)));
                }
                Err(error) => {
                    warn!(%error, ?pause, "cannot accept connections, pausing");
                    task::sleep(pause).await;
                    pause = (pause * 2).min(ACCEPT_PAUSE.1);
                }
            }
        }
    }

    async fn tick(&self) {
        let tick = tick(&self.shared.config.deadlines);
        loop {
            task::sleep(tick).await;
            self.shared.hub.tick();
        }
    }

    async fn drain(mut self) {
        info!("stopping");
        self.listener.take();
        self.shared.hub.stop();
        // Deadlines go on to be kept.
        let emptied = async {
            select_biased! {
                () = self.shared.hub.emptied().fuse() => {}
                () = self.tick().fuse() => {}
            }
        };
        match timeout(DRAIN_DEADLINE, emptied).await {
            Ok(()) => info!("stopped"),
            Err(_) => warn!("stopped, with connections that did not close in time"),
        }
    }
}

fn tick(deadlines: &Deadlines) -> Duration {
    let Deadlines {
        handshake: _,
        hello,
        ping_interval,
        stall,
    } = deadlines;
    let shortest = hello.min(ping_interval).min(stall);
    (*shortest / 10).clamp(TICK.0, TICK.1)
}

/// Serves one connection to its end.
async fn serve(socket: Async<TcpStream>, shared: Rc<Shared>) {
    let wire = Wire::new(socket, None);
    if let Some(opened) = http::serve(wire, &shared.config).await {
        let connection = shared.hub.open(opened);
        // A task of its own, so that nothing of HTTP is kept for as long as the WebSocket lives.
        task::spawn_local(async move { shared.hub.drive(connection).await });
    }
}
