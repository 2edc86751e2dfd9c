//! Accepts connections and drives them, all on the thread it is called on, until told to stop.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake as _};
use std::time::{Duration, Instant};

use async_executor::LocalExecutor;
use async_std::channel::{Receiver, Sender, bounded};
use async_std::task;
use futures_util::{FutureExt, select_biased};
use rustix::net::SocketFlags;
use socket2::{Domain, SockRef, Socket, Type};
use tracing::{debug, error, info, warn};

use crate::admission::{Admission, Refused};
use crate::bell::Bell;
use crate::config::{BACKLOG, Config, DRAIN_DEADLINE, Deadlines, WATCH_INTERVAL};
use crate::door::Door;
use crate::http::{self, Welcome};
use crate::hub::{Hub, Porter, Stranger};
use crate::metrics::Metrics;
use crate::tls::Tls;
use crate::token_file::TokenFile;
use crate::visit::Visit;
use crate::wire::{AwaitedWire, Wire};

/// The pause after a failed accept: it doubles from the first to the second as failures go on.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// After so many new connections those that are in get their turn.
const ACCEPTS_IN_A_ROW: usize = 64;

/// How precisely deadlines are kept: to a tenth of the shortest, but within these bounds.
const TICK: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// A relay that listens. All of it runs on the thread that serves.
pub struct Server {
    /// `None` once it is stopping.
    listener: RefCell<Option<TcpListener>>,
    address: SocketAddr,
    /// Runs what is plain HTTP.
    executor: LocalExecutor<'static>,
    /// Rings when one of its tasks can go on.
    bell: Arc<Bell>,
    /// The way of failures to accept, to those who try again.
    failures: (Sender<io::Error>, Receiver<io::Error>),
    /// How long they wait before they do.
    pause: Cell<Duration>,
    shared: Rc<Shared>,
}

/// What the server and the tasks of plain HTTP share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) hub: Hub,
    pub(crate) door: RefCell<Door>,
    pub(crate) admission: Rc<RefCell<Admission>>,
    pub(crate) metrics: Rc<Metrics>,
    /// When all of it began, in seconds since 1970.
    pub(crate) started_unix: u64,
    /// Whether new peers may come: not while accepting fails, nor once the relay is stopping.
    pub(crate) takes_peers: Cell<bool>,
    token_file: RefCell<Option<TokenFile>>,
    tls: Option<Tls>,
}

/// How the end of a relay went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every connection was closed.
    Entirely,
    /// Some did not close in time.
    InPart,
    /// There was no time for that.
    InHaste,
}

/// Why a relay cannot start.
#[derive(Debug)]
pub enum StartError {
    /// It cannot listen.
    Listen(io::Error),
    /// A file it was told to use cannot be used.
    File(anyhow::Error),
}

impl Server {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the address is in use, not this machine's, or not permitted; or when the certificate or
    /// the token file cannot be used.
    pub fn bind(config: Config) -> Result<Self, StartError> {
        let listener = listen(config.listen).map_err(StartError::Listen)?;
        Self::from_listener(listener, config)
    }

    /// Takes over a socket that listens already; what the configuration says of that is ignored.
    ///
    /// # Errors
    /// When it is no listening TCP socket; or when the certificate or the token file cannot be used.
    pub fn from_listener(listener: TcpListener, config: Config) -> Result<Self, StartError> {
        let tls = config.tls.as_ref().map(Tls::load).transpose();
        let tokens = config.token_file.as_deref().map(TokenFile::open);
        let tls = tls.map_err(StartError::File)?;
        let (token_file, secrets) = tokens.transpose().map_err(StartError::File)?.unzip();
        let (listener, address) = prepare(listener).map_err(StartError::Listen)?;
        info!(%address, "listening");
        let metrics = Rc::new(Metrics::new());
        let bell = Bell::new().map_err(StartError::Listen)?;
        let hub = Hub::new(&config, Rc::clone(&metrics), &bell).map_err(StartError::Listen)?;
        Ok(Self {
            listener: RefCell::new(Some(listener)),
            address,
            executor: LocalExecutor::new(),
            bell,
            failures: bounded(1),
            pause: Cell::new(ACCEPT_PAUSE.0),
            shared: Rc::new(Shared {
                hub,
                door: RefCell::new(Door::new(config.allowed_origins.as_deref(), secrets)),
                admission: Rc::new(RefCell::new(Admission::new(&config.limits))),
                metrics,
                started_unix: http::now_unix(),
                takes_peers: Cell::new(true),
                token_file: RefCell::new(token_file),
                tls,
                config,
            }),
        })
    }

    /// The SHA-256 of the certificate, as `AA:BB:..`; `None` without TLS.
    pub fn fingerprint(&self) -> Option<String> {
        self.shared.tls.as_ref().map(Tls::fingerprint)
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

    /// Serves until `stop` is ready.
    ///
    /// # Errors
    /// When the system can no longer say which connections are ready.
    pub fn serve(&self, stop: impl Future<Output = ()>) -> io::Result<()> {
        self.mind(true);
        self.run(async {
            select_biased! {
                () = pin!(stop.fuse()) => {}
                () = self.retry_accepting().fuse() => {}
                () = self.tick().fuse() => {}
                () = self.watch().fuse() => {}
            }
        })
    }

    /// Takes nobody in any more, closes every connection and waits for their ends: not for ever, and no
    /// longer than until `hurry` is ready.
    ///
    /// # Errors
    /// When the system can no longer say which connections are ready.
    pub fn drain(self, hurry: impl Future<Output = ()>) -> io::Result<Drained> {
        info!("stopping");
        self.shared.takes_peers.set(false);
        if let Some(listener) = self.listener.take() {
            // The service manager may have it too, so that dropping it does not end the watch. While
            // accepting fails, it is not watched.
            let _ = self.shared.hub.mind(&listener, false);
        }
        self.shared.hub.stop();
        let outcome = self.run(async {
            select_biased! {
                () = self.shared.hub.emptied().fuse() => Drained::Entirely,
                () = pin!(hurry.fuse()) => Drained::InHaste,
                () = task::sleep(DRAIN_DEADLINE).fuse() => Drained::InPart,
                // Deadlines go on to be kept.
                () = self.tick().fuse() => Drained::InPart,
            }
        })?;
        match outcome {
            Drained::Entirely => info!("stopped"),
            Drained::InHaste | Drained::InPart => {
                warn!("stopped, with connections that did not close in time");
            }
        }
        Ok(outcome)
    }

    /// Serves until some work is done, which is done beside.
    ///
    /// The thread waits for WebSockets, and is called by the bell when a task can go on: the runtime
    /// waits for timers and for plain HTTP on a thread of its own.
    fn run<T>(&self, work: impl Future<Output = T>) -> io::Result<T> {
        let waker = Arc::clone(&self.bell).into();
        let mut cx = Context::from_waker(&waker);
        let mut work = pin!(self.executor.run(work));
        self.bell.wake_by_ref();
        loop {
            if self.bell.was_rung()
                && let Poll::Ready(outcome) = work.as_mut().poll(&mut cx)
            {
                return Ok(outcome);
            }
            self.shared.hub.round(self)?;
        }
    }

    /// Goes on to accept some time after it has failed: that costs a pause, never the server.
    async fn retry_accepting(&self) {
        while let Ok(error) = self.failures.1.recv().await {
            let pause = self.pause.get();
            warn!(%error, ?pause, "cannot accept connections, pausing");
            task::sleep(pause).await;
            self.pause.set((pause * 2).min(ACCEPT_PAUSE.1));
            self.mind(true);
        }
    }

    fn mind(&self, is_open: bool) {
        if let Some(listener) = &*self.listener.borrow()
            && let Err(error) = self.shared.hub.mind(listener, is_open)
        {
            error!(%error, "new connections cannot be watched for");
        }
    }

    fn take_in(&self, socket: TcpStream, from: IpAddr) {
        let since = now();
        let admitted = self.shared.admission.borrow_mut().arrive(from, since);
        if let Err(refused) = admitted {
            self.shared.metrics.refused(refused);
            debug!(%from, ?refused, "turned away");
            return self.turn_away(&socket, refused);
        }
        debug!(%from, "accepted");
        let visit = Visit::new(&self.shared.admission, from);
        match self.shared.tls.as_ref().map(Tls::accept).transpose() {
            Ok(tls) => self.shared.hub.meet(Stranger {
                wire: Wire::new(socket, tls),
                visit,
                since,
            }),
            Err(error) => warn!(%error, "TLS cannot be used"),
        }
    }

    /// Says why, to those who could understand it and are there to listen. Nothing is waited for.
    fn turn_away(&self, mut socket: &TcpStream, refused: Refused) {
        if self.shared.tls.is_none() {
            let _ = socket.write(refused.response().as_bytes());
            let _ = socket.shutdown(Shutdown::Write);
        }
    }

    /// Reads again what may have changed.
    async fn watch(&self) {
        loop {
            task::sleep(WATCH_INTERVAL).await;
            if let Some(tls) = &self.shared.tls {
                tls.refresh();
            }
            let mut token_file = self.shared.token_file.borrow_mut();
            if let Some(secrets) = token_file.as_mut().and_then(TokenFile::refresh) {
                self.shared.door.borrow_mut().change_secrets(secrets);
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
}

fn tick(deadlines: &Deadlines) -> Duration {
    let Deadlines {
        handshake,
        hello,
        ping_interval,
        stall,
    } = deadlines;
    let shortest = handshake.min(hello).min(ping_interval).min(stall);
    (*shortest / 10).clamp(TICK.0, TICK.1)
}

impl Porter for Server {
    fn let_in(&self) {
        let listener = self.listener.borrow();
        let Some(listener) = &*listener else {
            return;
        };
        for _ in 0..ACCEPTS_IN_A_ROW {
            match accept(listener) {
                Ok((socket, from)) => {
                    self.pause.set(ACCEPT_PAUSE.0);
                    self.shared.takes_peers.set(true);
                    self.take_in(socket, from.ip());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // One of many, who did not wait (accept(2) says which failures are those of one only).
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.shared.takes_peers.set(false);
                    let _ = self.shared.hub.mind(listener, false);
                    // There is room for one, and no more are told before that one was heard.
                    let _ = self.failures.0.try_send(error);
                    return;
                }
            }
        }
    }

    fn welcome(&self, said: &[u8]) -> Option<Welcome> {
        http::welcome(said, &self.shared)
    }

    fn hand_over(&self, stranger: Stranger, said: Vec<u8>) {
        let conversation = converse(stranger, said, Rc::clone(&self.shared));
        self.executor.spawn(conversation).detach();
    }
}

/// Serves one connection until it is done with HTTP; then it is the hub's.
async fn converse(stranger: Stranger, said: Vec<u8>, shared: Rc<Shared>) {
    let Stranger {
        wire,
        mut visit,
        since,
    } = stranger;
    let wire = match AwaitedWire::new(wire, said) {
        Ok(wire) => wire,
        Err(error) => return warn!(%error, "a connection cannot be watched, and is dropped"),
    };
    if let Some((opened, mut already_read)) = http::serve(wire, &shared).await {
        visit.greeted();
        shared.metrics.handshake_took(since.elapsed());
        shared.hub.open(opened, visit, &mut already_read);
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // So that a relay that was stopped can be started again at once.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// One call of the system for all that is needed of a new connection.
fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (socket, from) = rustix::net::acceptfrom_with(listener, flags)?;
    let from = from
        .and_then(|from| SocketAddr::try_from(from).ok())
        .ok_or(io::ErrorKind::InvalidInput)?;
    Ok((socket.into(), from))
}

fn prepare(listener: TcpListener) -> io::Result<(TcpListener, SocketAddr)> {
    let address = listener.local_addr()?;
    // What is accepted inherits it (Linux), at no cost. Lines are short and somebody waits for each of
    // them.
    SockRef::from(&listener).set_tcp_nodelay(true)?;
    listener.set_nonblocking(true)?;
    Ok((listener, address))
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(error) => write!(f, "{error}"),
            Self::File(error) => write!(f, "{error:#}"),
        }
    }
}

impl std::error::Error for StartError {}

#[expect(
    clippy::disallowed_methods,
    reason = "the server owns the admission, so the clock is read here"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_deadline_says_how_often_all_of_them_are_looked_at() {
        assert_eq!(tick(&Deadlines::default()), Duration::from_secs(1));
        let shorten: [fn(&mut Deadlines) -> &mut Duration; 4] = [
            |deadlines| &mut deadlines.handshake,
            |deadlines| &mut deadlines.hello,
            |deadlines| &mut deadlines.ping_interval,
            |deadlines| &mut deadlines.stall,
        ];
        for one in shorten {
            let mut deadlines = Deadlines::default();
            for (milliseconds, expected) in [(500, 50), (1, 10)] {
                *one(&mut deadlines) = Duration::from_millis(milliseconds);
                assert_eq!(tick(&deadlines), Duration::from_millis(expected));
            }
        }
    }
}
