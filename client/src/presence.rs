//! Staying registered: whatever becomes of the connection to the relay, there is a new one soon.

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use async_std::future::timeout;
use async_std::task::{self, JoinHandle};
use futures_util::future::{Either, select, try_join};
use futures_util::{FutureExt as _, select_biased};
use protocol::PeerId;

use crate::api;
use crate::backoff::Backoff;
use crate::config::Relay;
use crate::failure::{Failure, FailureKind};
use crate::ice_servers::{IceServers, Lease};
use crate::signaller::{RelayEvent, Signaller};
use crate::wire::{Way, unreachable};

/// How many events of one connection may wait until we look at them: what more the relay has to say
/// waits on the way.
const MAX_WAITING_EVENTS: usize = 64;

/// Our place at the relay. Dropping it hangs up for good, in its own time.
#[derive(Debug)]
pub struct Presence {
    commands: Sender<Command>,
    staying: JoinHandle<()>,
}

/// Something that happened to our place at the relay.
#[derive(Debug)]
pub enum PresenceEvent {
    /// The relay tells of these STUN and TURN servers from now on: before each
    /// [`PresenceEvent::Registered`], and again before their credentials expire. It may not, when it
    /// cannot be asked just now.
    IceServers(IceServers),
    /// The relay knows us; what it says from now on belongs to this connection.
    Registered,
    /// The relay, or the partner through it, says something.
    Line(String),
    /// The relay closed in order: in a session, the other side hung up. We register again.
    Closed,
    /// The connection is gone in any other way, for the reason given. We register again.
    Lost(String),
    /// There will be no other try: the first one failed, or the relay has given our id to somebody
    /// else for good.
    Refused(Failure),
}

#[derive(Debug)]
enum Command {
    Send(String),
    Probe,
    Renew,
}

/// A connection that lasted for so long is one with a relay that works: it may be renewed at once.
const LASTING: Duration = Duration::from_secs(1);

/// How long registering again may take before it is tried anew: the network may have changed meanwhile,
/// and what was sent into the old one gets no answer.
const RETURN_DEADLINE: Duration = Duration::from_secs(6);

/// How often a relay that knew us may refuse us before we believe it: about a minute. It takes up to
/// 45 seconds to notice that our own last connection is dead, and a token may be renewed.
const MAX_REFUSALS: u32 = 160;

/// The longest pause before a relay is asked again that refused us: our partner may make it forget our
/// dead connection at any moment.
const REFUSED_PAUSE: Duration = Duration::from_millis(500);

/// How long to wait when the relay could not be asked for STUN and TURN servers.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// How long leaving may take.
const LEAVE_DEADLINE: Duration = Duration::from_secs(2);

/// How many lines and orders of ours may wait.
const MAX_WAITING_COMMANDS: usize = 256;

impl Presence {
    /// Registers, and registers again whenever the connection is lost. `events` hears of it, in
    /// order; while there is no room, the relay waits.
    pub fn begin(relay: Relay, id: PeerId, events: Sender<PresenceEvent>) -> Self {
        let (commands, orders) = bounded(MAX_WAITING_COMMANDS);
        let staying = task::spawn(async move {
            match task::spawn_blocking(|| Way::new(relay)).await {
                Ok(way) => stay(&way, &id, &orders, &events).await,
                Err(failure) => tell(&events, PresenceEvent::Refused(failure)).await,
            }
        });
        Self { commands, staying }
    }

    /// Sends a line to the relay. Without a connection it is lost.
    pub fn send(&self, line: String) {
        self.command(Command::Send(line));
    }

    /// Finds out soon whether the connection still lives; if not, it is lost as any other.
    pub fn probe(&self) {
        self.command(Command::Probe);
    }

    /// Hangs up and registers anew. What is heard until the next [`PresenceEvent::Registered`]
    /// belongs to the old connection.
    pub fn renew(&self) {
        self.command(Command::Renew);
    }

    /// Hangs up for good and waits until the relay has heard it, or can't.
    pub async fn leave(self) {
        drop(self.commands);
        if timeout(LEAVE_DEADLINE, self.staying).await.is_err() {
            tracing::debug!("the relay did not say good-bye in time");
        }
    }

    fn command(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            tracing::warn!("too much waits for the relay; a line is lost");
        }
    }
}

/// Why one connection ended.
enum End {
    /// Nobody needs us any more.
    Dropped,
    Renewed,
    Gone(PresenceEvent),
}

async fn stay(way: &Way, id: &PeerId, orders: &Receiver<Command>, events: &Sender<PresenceEvent>) {
    let mut backoff = Backoff::default();
    let mut refusals = None;
    loop {
        let (heard, hears) = bounded(MAX_WAITING_EVENTS);
        let mut longest = Duration::MAX;
        let registering = register(way, id, heard);
        let registered = match refusals {
            None => registering.await,
            Some(_) => soon(registering, way).await,
        };
        match registered {
            Ok((signaller, lease)) => {
                refusals = Some(0);
                let Some((lasted, is_lost)) =
                    live(way, signaller, lease, hears, orders, events).await
                else {
                    return;
                };
                if lasted {
                    backoff = Backoff::default();
                }
                // Nothing is wrong with this relay: somebody may want to call at once.
                if lasted && !is_lost {
                    continue;
                }
            }
            Err(failure) => match &mut refusals {
                // After the relay was gone it may not know yet that our old connection is.
                Some(refusals) if *refusals < MAX_REFUSALS => {
                    tracing::debug!("{failure}");
                    *refusals += u32::from(is_refusal(failure.kind));
                    longest = longest_pause(failure.kind);
                }
                Some(_) | None => return tell(events, PresenceEvent::Refused(failure)).await,
            },
        }
        let delay = backoff.next_delay(fastrand::f64());
        if !pause(delay.min(longest), orders).await {
            return;
        }
    }
}

/// Registers, and asks for STUN and TURN servers meanwhile. `None` when there was no answer to that.
async fn register(
    way: &Way,
    id: &PeerId,
    heard: Sender<RelayEvent>,
) -> Result<(Signaller, Option<Lease>), Failure> {
    let asking = async { Ok(api::ice_servers(way).await) };
    let (signaller, answer) = try_join(Signaller::register(way, id, heard), asking).await?;
    Ok((signaller, usable(answer)))
}

/// One connection from its registration to its end. Says whether it lasted, and whether it was lost;
/// `None` when nobody needs us any more.
async fn live(
    way: &Way,
    signaller: Signaller,
    lease: Option<Lease>,
    hears: Receiver<RelayEvent>,
    orders: &Receiver<Command>,
    events: &Sender<PresenceEvent>,
) -> Option<(bool, bool)> {
    // What was ordered until now was meant for an earlier connection.
    while orders.try_recv().is_ok() {}
    if let Some(lease) = &lease {
        tell(events, PresenceEvent::IceServers(lease.servers.clone())).await;
    }
    tell(events, PresenceEvent::Registered).await;
    let refreshing = refresh(way, lease, events);
    let (end, lasted) = serve(&signaller, &hears, orders, events, refreshing).await;
    // Nobody listens any more; a relay that goes on talking must not hold us up.
    drop(hears);
    let is_lost = matches!(end, End::Gone(PresenceEvent::Lost(_)));
    match end {
        End::Dropped => {
            signaller.close().await;
            return None;
        }
        End::Renewed => signaller.close().await,
        End::Gone(event) => tell(events, event).await,
    }
    Some((lasted, is_lost))
}

/// A relay that was there before answers soon, or this way to it leads nowhere any more.
async fn soon<T>(
    registering: impl Future<Output = Result<T, Failure>>,
    way: &Way,
) -> Result<T, Failure> {
    match timeout(RETURN_DEADLINE, registering).await {
        Ok(outcome) => outcome,
        Err(_) => Err(unreachable(way.server(), "no answer")),
    }
}

/// Asks for STUN and TURN servers again before what the relay last told of them expires.
async fn refresh(
    way: &Way,
    mut lease: Option<Lease>,
    events: &Sender<PresenceEvent>,
) -> Infallible {
    loop {
        let delay = match &lease {
            Some(lease) => lease.refresh_after(),
            None => Some(ASK_AGAIN_AFTER),
        };
        match delay {
            Some(delay) => task::sleep(delay).await,
            None => return pending().await,
        }
        lease = usable(api::ice_servers(way).await);
        if let Some(lease) = &lease {
            tell(events, PresenceEvent::IceServers(lease.servers.clone())).await;
        }
    }
}

fn usable(answer: Result<Lease, String>) -> Option<Lease> {
    answer
        .inspect_err(|reason| tracing::debug!("no STUN and TURN servers from the relay: {reason}"))
        .ok()
}

fn longest_pause(kind: FailureKind) -> Duration {
    match is_refusal(kind) {
        true => REFUSED_PAUSE,
        false => Duration::MAX,
    }
}

/// Whether the relay does not want us, as opposed to being gone.
fn is_refusal(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::IdRefused | FailureKind::NotAdmitted)
}

/// Moves events and lines of one connection until it ends. Says why it ended, and whether it lasted.
async fn serve(
    signaller: &Signaller,
    hears: &Receiver<RelayEvent>,
    orders: &Receiver<Command>,
    events: &Sender<PresenceEvent>,
    refreshing: impl Future<Output = Infallible>,
) -> (End, bool) {
    let mut refreshing = pin!(refreshing.fuse());
    let mut lasting = pin!(task::sleep(LASTING).fuse());
    let mut lasted = false;
    loop {
        let mut order = pin!(orders.recv().fuse());
        let mut event = pin!(hears.recv().fuse());
        let end = select_biased! {
            () = lasting => {
                lasted = true;
                continue;
            }
            never = refreshing => match never {},
            order = order => match order {
                Ok(Command::Send(line)) => {
                    signaller.send(line);
                    continue;
                }
                Ok(Command::Probe) => {
                    signaller.probe();
                    continue;
                }
                Ok(Command::Renew) => End::Renewed,
                Err(_) => End::Dropped,
            },
            event = event => match event {
                Ok(RelayEvent::Line(line)) => {
                    tell(events, PresenceEvent::Line(line)).await;
                    continue;
                }
                Ok(RelayEvent::Closed) => End::Gone(PresenceEvent::Closed),
                Ok(RelayEvent::Lost(reason)) => End::Gone(PresenceEvent::Lost(reason)),
                Err(_) => End::Gone(PresenceEvent::Lost("the connection ended".into())),
            },
        };
        return (end, lasted);
    }
}

/// Whoever is gone does not hear.
async fn tell(events: &Sender<PresenceEvent>, event: PresenceEvent) {
    let _ = events.send(event).await;
}

/// Waits; false once nobody needs us any more. Orders that come meanwhile are for a connection that
/// is gone.
async fn pause(delay: Duration, orders: &Receiver<Command>) -> bool {
    let waiting = async { while orders.recv().await.is_ok() {} };
    match select(pin!(task::sleep(delay)), pin!(waiting)).await {
        Either::Left(_) => true,
        Either::Right(_) => false,
    }
}
