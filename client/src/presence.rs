//! Staying registered: whatever becomes of the connection to the relay, there is a new one soon.

use std::pin::pin;
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use async_std::future::timeout;
use async_std::task::{self, JoinHandle};
use futures_util::future::{Either, select};
use futures_util::{FutureExt as _, select_biased};
use protocol::PeerId;
use url::Url;

use crate::backoff::Backoff;
use crate::failure::{Failure, FailureKind};
use crate::signaller::{RelayEvent, Signaller};

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
    Renew,
}

/// A connection that lasted for so long is one with a relay that works: it may be renewed at once.
const LASTING: Duration = Duration::from_secs(1);

/// How often the relay may say that somebody else has our id before we believe it: about a minute.
/// It takes up to 45 seconds to notice that our own last connection is dead.
const MAX_REFUSALS: u32 = 50;

/// How long leaving may take.
const LEAVE_DEADLINE: Duration = Duration::from_secs(2);

/// How many lines and orders of ours may wait.
const MAX_WAITING_COMMANDS: usize = 256;

impl Presence {
    /// Registers, and registers again whenever the connection is lost. `events` hears of it, in
    /// order; while there is no room, the relay waits.
    pub fn begin(server: Url, id: PeerId, events: Sender<PresenceEvent>) -> Self {
        let (commands, orders) = bounded(MAX_WAITING_COMMANDS);
        let staying = task::spawn(async move { stay(&server, &id, &orders, &events).await });
        Self { commands, staying }
    }

    /// Sends a line to the relay. Without a connection it is lost.
    pub fn send(&self, line: String) {
        self.command(Command::Send(line));
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

async fn stay(
    server: &Url,
    id: &PeerId,
    orders: &Receiver<Command>,
    events: &Sender<PresenceEvent>,
) {
    let mut backoff = Backoff::default();
    let mut refusals = None;
    loop {
        let (heard, hears) = bounded(MAX_WAITING_EVENTS);
        match Signaller::register(server, id, heard).await {
            Ok(signaller) => {
                refusals = Some(0);
                // What was ordered until now was meant for an earlier connection.
                while orders.try_recv().is_ok() {}
                tell(events, PresenceEvent::Registered).await;
                let (end, lasted) = serve(&signaller, &hears, orders, events).await;
                // Nobody listens any more; a relay that goes on talking must not hold us up.
                drop(hears);
                if lasted {
                    backoff = Backoff::default();
                }
                let is_lost = matches!(end, End::Gone(PresenceEvent::Lost(_)));
                match end {
                    End::Dropped => return signaller.close().await,
                    End::Renewed => signaller.close().await,
                    End::Gone(event) => tell(events, event).await,
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
                    *refusals += u32::from(failure.kind == FailureKind::IdRefused);
                }
                Some(_) | None => return tell(events, PresenceEvent::Refused(failure)).await,
            },
        }
        if !pause(backoff.next_delay(fastrand::f64()), orders).await {
            return;
        }
    }
}

/// Moves events and lines of one connection until it ends. Says why it ended, and whether it lasted.
async fn serve(
    signaller: &Signaller,
    hears: &Receiver<RelayEvent>,
    orders: &Receiver<Command>,
    events: &Sender<PresenceEvent>,
) -> (End, bool) {
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
            order = order => match order {
                Ok(Command::Send(line)) => {
                    signaller.send(line);
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
