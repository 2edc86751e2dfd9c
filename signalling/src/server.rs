//! Accepts connections and drives them, all on the thread it is called on, until told to stop.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use async_std::channel::{Receiver, Sender, bounded};
use async_std::future::timeout;
use async_std::net::{TcpListener, TcpStream};
use async_std::task;
use futures_util::{FutureExt, select_biased};
use tracing::{debug, info, warn};

use crate::config::{Config, DRAIN_DEADLINE};
use crate::connection;
use crate::http;
use crate::hub::Hub;

/// The pause after a failed accept: it doubles from the first to the second as failures go on.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// How precisely deadlines of the relay are kept: a tenth of the shortest, but at least this.
const SHORTEST_TICK: Duration = Duration::from_millis(10);

/// A relay that listens. All of it runs on the thread that serves, which has to be under
/// `async_std::task::block_on`.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Rc<Shared>,
    all_gone: Receiver<()>,
}

/// What the tasks of all connections share.
struct Shared {
    config: Config,
    hub: Hub,
    /// Every WebSocket holds a clone, so that `all_gone` ends with the last one. Taken when the
    /// relay stops.
    alive: RefCell<Option<Sender<()>>>,
}

impl Server {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the address is in use, not this machine's, or not permitted.
    pub async fn bind(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        info!(%address, "listening");
        let (alive, all_gone) = bounded(1);
        Ok(Self {
            listener,
            address,
            shared: Rc::new(Shared {
                hub: Hub::new(config.deadlines.hello),
                config,
                alive: RefCell::new(Some(alive)),
            }),
            all_gone,
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
        let mut pause = ACCEPT_PAUSE.0;
        loop {
            match self.listener.accept().await {
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
        let tick = (self.shared.config.deadlines.hello / 10).max(SHORTEST_TICK);
        loop {
            task::sleep(tick).await;
            self.shared.hub.tick();
        }
    }

    async fn drain(self) {
        info!("stopping");
        drop(self.listener);
        self.shared.hub.stop();
        self.shared.alive.take();
        // Nothing is ever sent: the wait ends when the last sender is dropped.
        match timeout(DRAIN_DEADLINE, self.all_gone.recv()).await {
            Ok(_) => info!("stopped"),
            Err(_) => warn!("stopped, with connections that did not close in time"),
        }
    }
}

/// Serves one connection to its end.
async fn serve(stream: TcpStream, shared: Rc<Shared>) {
    // Lines are short and somebody waits for each of them.
    if let Err(error) = stream.set_nodelay(true) {
        return debug!(%error, "connection lost before it was used");
    }
    if let Some(opened) = http::serve(stream, &shared.config).await {
        let _alive = shared.alive.borrow().clone();
        connection::serve(opened, &shared.hub, &shared.config).await;
    }
}
