//! What comes to a loop, each kind on a way of its own: no flood of one can displace another, and
//! what ends things is heard first.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender, bounded};
use async_std::task;
use futures_util::{FutureExt as _, select_biased};

use crate::capture::Capture;
use crate::data::Word;
use crate::failure::Failure;
use crate::peer::PeerEvent;
use crate::presence::PresenceEvent;
use crate::report::Report;

/// How often partners are looked after: as much later a silence is noticed, at the most.
const TICK: Duration = Duration::from_millis(250);

/// How many events of connections may wait. A connection has a few dozen in its life; should there ever
/// be more, they are lost, and the log says so.
const MAX_PEER_EVENTS: usize = 1024;

/// How many lines of the relay may wait here; more of them wait on their way.
const MAX_RELAY_EVENTS: usize = 16;

/// How many words of data channels may wait here; whoever has more to say waits.
const MAX_WORDS: usize = 16;

/// What comes next.
#[derive(Debug)]
pub enum Input<K> {
    /// The program is to end.
    Stopped,
    /// The capture cannot go on.
    CaptureFailed(Failure),
    /// Something is to be told of a source.
    SourceChanged(Report),
    /// Somebody typed this line.
    Typed(String),
    /// Something happened to the connection with this key.
    Peer(K, PeerEvent),
    /// Something happened at the relay.
    Relay(PresenceEvent),
    /// A data channel of the connection with this key has something to say.
    Word(K, Word),
    /// A quarter of a second has passed.
    Tick,
}

/// Where a loop waits. `K` tells its connections apart.
#[derive(Debug)]
pub struct Inbox<K> {
    stop: Receiver<()>,
    failures: Receiver<Failure>,
    changes: Receiver<Report>,
    typed: Receiver<String>,
    peers: Receiver<(K, PeerEvent)>,
    relay: Receiver<PresenceEvent>,
    words: Receiver<(K, Word)>,
    next_tick: Instant,
}

/// The ways into an [`Inbox`].
#[derive(Clone, Debug)]
pub struct Ways<K> {
    stop: Sender<()>,
    failures: Sender<Failure>,
    changes: Sender<Report>,
    typed: Sender<String>,
    peers: Sender<(K, PeerEvent)>,
    relay: Sender<PresenceEvent>,
    words: Sender<(K, Word)>,
}

impl<K: Clone + Send + Sync + 'static> Ways<K> {
    /// An inbox and the ways into it.
    pub fn new() -> (Self, Inbox<K>) {
        let (stop, stopped) = bounded(1);
        let (failures, failed) = bounded(1);
        let (changes, changed) = bounded(1);
        let (typed, lines) = bounded(1);
        let (peers, from_peers) = bounded(MAX_PEER_EVENTS);
        let (relay, from_relay) = bounded(MAX_RELAY_EVENTS);
        let (words, said) = bounded(MAX_WORDS);
        let inbox = Inbox {
            stop: stopped,
            failures: failed,
            changes: changed,
            typed: lines,
            peers: from_peers,
            relay: from_relay,
            words: said,
            next_tick: now() + TICK,
        };
        (
            Self {
                stop,
                failures,
                changes,
                typed,
                peers,
                relay,
                words,
            },
            inbox,
        )
    }

    /// Asks the loop to end; false once there is none.
    pub fn stop(&self) -> bool {
        // When one order to stop waits already, another would add nothing.
        let _ = self.stop.try_send(());
        !self.stop.is_closed()
    }

    /// Hands a line on that somebody typed, and waits until the loop takes it; false once there is
    /// none.
    pub fn typed(&self, line: String) -> bool {
        self.typed.send_blocking(line).is_ok()
    }

    /// The way for the relay.
    pub fn relay(&self) -> Sender<PresenceEvent> {
        self.relay.clone()
    }

    /// The way for data channels.
    pub fn words(&self) -> Sender<(K, Word)> {
        self.words.clone()
    }

    /// A listener for the connection with a key. It never blocks.
    pub fn listener(&self, key: K) -> crate::peer::Listener {
        let peers = self.peers.clone();
        Arc::new(move |event| {
            if peers.try_send((key.clone(), event)).is_err() && !peers.is_closed() {
                tracing::error!("an event of a connection is lost: too many are waiting");
            }
        })
    }

    /// Lets the loop know when the capture cannot go on, and what is to be told of its sources.
    pub fn watch_capture(&self, capture: &Capture) {
        if !capture.is_empty() {
            let (changes, from_sources) = (self.changes.clone(), capture.changes());
            task::spawn(async move {
                while let Ok(change) = from_sources.recv().await {
                    if changes.send(change).await.is_err() {
                        break;
                    }
                }
            });
            let (capture, failures) = (capture.clone(), self.failures.clone());
            task::spawn(async move { drop(failures.send(capture.failure().await).await) });
        }
    }
}

impl<K> Inbox<K> {
    /// Waits for what comes next.
    pub async fn next(&mut self) -> Input<K> {
        let until_tick = self.next_tick.saturating_duration_since(now());
        let mut stop = pin!(first(&self.stop).fuse());
        let mut failure = pin!(first(&self.failures).fuse());
        let mut change = pin!(first(&self.changes).fuse());
        let mut typed = pin!(first(&self.typed).fuse());
        let mut tick = pin!(task::sleep(until_tick).fuse());
        let mut peer = pin!(first(&self.peers).fuse());
        let mut relay = pin!(first(&self.relay).fuse());
        let mut word = pin!(first(&self.words).fuse());
        select_biased! {
            () = stop => Input::Stopped,
            failure = failure => Input::CaptureFailed(failure),
            change = change => Input::SourceChanged(change),
            line = typed => Input::Typed(line),
            () = tick => {
                self.next_tick = now() + TICK;
                Input::Tick
            }
            (key, event) = peer => Input::Peer(key, event),
            event = relay => Input::Relay(event),
            (key, word) = word => Input::Word(key, word),
        }
    }
}

/// The next of a kind; nothing more comes once nobody can send it.
async fn first<T>(receiver: &Receiver<T>) -> T {
    match receiver.recv().await {
        Ok(item) => item,
        Err(_) => pending().await,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the loop's ticks are counted here"
)]
fn now() -> Instant {
    Instant::now()
}
