//! Staying registered: whatever becomes of the connection to the relay, there is a new one soon.

use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use async_std::future::timeout;
use async_std::task::{self, JoinHandle};
use futures_util::future::{Either, select};
use protocol::PeerId;
use url::Url;

use crate::backoff::Backoff;
use crate::failure::Failure;
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
    /// The very first try failed. There will be no other.
    Refused(Failure),
}

#[derive(Debug)]
enum Command {
    Send(String),
    Renew,
}

/// How long leaving may take.
const LEAVE_DEADLINE: Duration = Duration::from_secs(2);

/// How many lines and orders of ours may wait.
const MAX_WAITING_COMMANDS: usize = 256;

impl Presence {
    /// Registers, and registers again whenever the connection is lost. `listener` hears of it, in
    /// order.
    pub fn begin<F, L>(server: Url, id: PeerId, listener: F) -> Self
    where
        F: Fn(PresenceEvent) -> L + Send + Sync + 'static,
        L: Future<Output = ()> + Send,
    {
        let (commands, orders) = bounded(MAX_WAITING_COMMANDS);
        let staying = task::spawn(async move { stay(&server, &id, &orders, &listener).await });
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
    /// The relay closed in order after something was said.
    HungUp,
    Gone(PresenceEvent),
}

async fn stay<F, L>(server: &Url, id: &PeerId, orders: &Receiver<Command>, listener: &F)
where
    F: Fn(PresenceEvent) -> L,
    L: Future<Output = ()>,
{
    let mut backoff = Backoff::default();
    let mut first = true;
    loop {
        let (events, heard) = bounded(MAX_WAITING_EVENTS);
        let hear = move |event| {
            let events = events.clone();
            // Whoever is gone does not hear.
            async move { drop(events.send(event).await) }
        };
        match Signaller::register(server, id, hear).await {
            Ok(signaller) => {
                (first, backoff) = (false, Backoff::default());
                listener(PresenceEvent::Registered).await;
                match serve(&signaller, &heard, orders, listener).await {
                    End::Dropped => return signaller.close().await,
                    End::Renewed => {
                        signaller.close().await;
                        continue;
                    }
                    End::HungUp => {
                        // There is nothing wrong with the relay: somebody may call at once.
                        listener(PresenceEvent::Closed).await;
                        continue;
                    }
                    End::Gone(event) => listener(event).await,
                }
            }
            Err(failure) if first => return listener(PresenceEvent::Refused(failure)).await,
            Err(failure) => tracing::debug!("{failure}"),
        }
        if !pause(backoff.next_delay(fastrand::f64()), orders).await {
            return;
        }
    }
}

/// Moves events and lines of one connection until it ends.
async fn serve<F, L>(
    signaller: &Signaller,
    heard: &Receiver<RelayEvent>,
    orders: &Receiver<Command>,
    listener: &F,
) -> End
where
    F: Fn(PresenceEvent) -> L,
    L: Future<Output = ()>,
{
    let mut spoken = false;
    loop {
        match select(Box::pin(heard.recv()), Box::pin(orders.recv())).await {
            Either::Left((Ok(RelayEvent::Line(line)), _)) => {
                spoken = true;
                listener(PresenceEvent::Line(line)).await;
            }
            Either::Left((Ok(RelayEvent::Closed), _)) if spoken => return End::HungUp,
            Either::Left((Ok(RelayEvent::Closed), _)) => return End::Gone(PresenceEvent::Closed),
            Either::Left((Ok(RelayEvent::Lost(reason)), _)) => {
                return End::Gone(PresenceEvent::Lost(reason));
            }
            Either::Left((Err(_), _)) => {
                return End::Gone(PresenceEvent::Lost("the connection ended".into()));
            }
            Either::Right((Ok(Command::Send(line)), _)) => signaller.send(line),
            Either::Right((Ok(Command::Renew), _)) => return End::Renewed,
            Either::Right((Err(_), _)) => return End::Dropped,
        }
    }
}

/// Waits; false once nobody needs us any more. Orders that come meanwhile are for a connection that
/// is gone.
async fn pause(delay: Duration, orders: &Receiver<Command>) -> bool {
    let waiting = async { while orders.recv().await.is_ok() {} };
    match select(Box::pin(task::sleep(delay)), Box::pin(waiting)).await {
        Either::Left(_) => true,
        Either::Right(_) => false,
    }
}
