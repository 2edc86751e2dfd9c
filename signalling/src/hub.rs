//! Owns the relay and all connections: reads, asks the relay what is to be done, and does it.
//!
//! Everything runs on one thread, and the state is borrowed only inside the methods here, none of
//! which waits: there is no lock, no channel and no other task on the way from one peer to another.

mod intake;

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::mem;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tracing::{debug, info_span};

use crate::codec::Opcode;
use crate::config::{CONGESTED_ABOVE, Config, Deadlines, Limits, READ_BYTES};
use crate::connection::{Clockwork, Connection, Due};
use crate::frame::{CloseReason, Message};
use crate::http::Opened;
use crate::metrics::{Metrics, Traffic};
use crate::relay::{Census, ConnectionId, Effect, Event, PeerView, Relay, RoomView, Tally};

/// After so many reads in a row the other connections get their turn.
const READS_IN_A_TURN: usize = 4;

/// The one owner of the relay's state.
pub(crate) struct Hub {
    state: RefCell<State>,
    metrics: Rc<Metrics>,
}

struct State {
    relay: Relay,
    connections: HashMap<ConnectionId, Box<Connection>>,
    connections_so_far: u64,
    limits: Limits,
    deadlines: Deadlines,
    clock: Clockwork,
    /// Where everybody's bytes are read to. Empty only while it is in use.
    buffer: Box<[u8]>,
    /// Empty between two events; kept for its memory.
    effects: Vec<Effect>,
    /// The connections that were given something to send in this turn.
    dirty: Vec<ConnectionId>,
    traffic: Traffic,
    metrics: Rc<Metrics>,
    /// Who waits for the last connection to go.
    emptied: Option<Waker>,
}

impl Hub {
    pub(crate) fn new(config: &Config, metrics: Rc<Metrics>) -> Self {
        let now = now();
        Self {
            metrics: Rc::clone(&metrics),
            state: RefCell::new(State {
                relay: Relay::new(&config.limits, config.deadlines.hello),
                connections: HashMap::new(),
                connections_so_far: 0,
                limits: config.limits.clone(),
                deadlines: config.deadlines.clone(),
                clock: Clockwork::new(now),
                buffer: vec![0; READ_BYTES].into(),
                effects: Vec::new(),
                dirty: Vec::new(),
                traffic: Traffic::default(),
                metrics,
                emptied: None,
            }),
        }
    }

    /// Takes in a new WebSocket.
    pub(crate) fn open(&self, opened: Opened) -> ConnectionId {
        let now = now();
        self.state.borrow_mut().open(opened, now)
    }

    /// Drives a connection to its end.
    pub(crate) async fn drive(&self, connection: ConnectionId) {
        poll_fn(|cx| {
            let now = now();
            let outcome = self.state.borrow_mut().turn(connection, now, cx);
            self.metrics.turn_took(now.elapsed());
            outcome
        })
        .await;
    }

    /// Sees to everything that is to happen after some time.
    pub(crate) fn tick(&self) {
        let now = now();
        self.state.borrow_mut().tick(now);
    }

    /// Closes every connection, and every one that comes later.
    pub(crate) fn stop(&self) {
        let now = now();
        let mut state = self.state.borrow_mut();
        state.handle(Event::Stopped, None, now);
        state.flush(now);
    }

    /// Waits until there is no connection.
    pub(crate) async fn emptied(&self) {
        poll_fn(|cx| {
            let mut state = self.state.borrow_mut();
            if state.connections.is_empty() {
                return Poll::Ready(());
            }
            state.emptied = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    pub(crate) fn census(&self) -> Census {
        self.state.borrow().relay.census()
    }

    pub(crate) fn tally(&self) -> Tally {
        self.state.borrow().relay.tally()
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.state.borrow().traffic
    }

    pub(crate) fn peers(&self) -> Vec<PeerView> {
        self.state.borrow().relay.peers()
    }

    pub(crate) fn rooms(&self) -> Vec<RoomView> {
        self.state.borrow().relay.rooms()
    }
}

impl State {
    fn open(&mut self, opened: Opened, now: Instant) -> ConnectionId {
        self.clock.set(now);
        self.connections_so_far += 1;
        let id = ConnectionId(self.connections_so_far);
        let rate = NonZeroU32::new(self.limits.messages_per_second).unwrap_or(NonZeroU32::MIN);
        let connection =
            Connection::new(opened.wire, rate, &self.clock, self.deadlines.ping_interval);
        self.connections.insert(id, Box::new(connection));
        let event = Event::Connected {
            connection: id,
            wants_notices: opened.wants_notices,
            pass: opened.pass,
        };
        self.handle(event, None, now);
        let mut already_read = opened.already_read.to_vec();
        let taken = self.take_in(id, &mut already_read, now);
        self.keep_rest(id, &already_read[taken..]);
        self.flush(now);
        id
    }

    /// One turn of a connection's task: writes what the network lets it, reads what has come.
    fn turn(&mut self, id: ConnectionId, now: Instant, cx: &mut Context<'_>) -> Poll<()> {
        self.clock.set(now);
        for _ in 0..READS_IN_A_TURN {
            let Some(connection) = self.connections.get_mut(&id) else {
                return Poll::Ready(());
            };
            connection.is_driven_by(cx);
            if connection.is_blocked() {
                while connection.is_blocked() && connection.wire.poll_writable(cx).is_ready() {
                    connection.flush(now);
                }
                if let Some(wait) = connection.wait_ended(now) {
                    self.metrics.waited(wait);
                }
                self.relieve(id);
            }
            if self.is_lost(id) {
                self.remove(id, now);
                return Poll::Ready(());
            }
            if self.is_held_up(id, now) {
                return Poll::Pending;
            }
            match self.read(id, now, cx) {
                Poll::Ready(true) => self.flush(now),
                Poll::Ready(false) => {
                    self.remove(id, now);
                    return Poll::Ready(());
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn condemn(&mut self, connection: ConnectionId, reason: CloseReason, now: Instant) {
        self.handle(Event::Condemned { connection, reason }, None, now);
    }

    /// Handles an event, and in the same turn all that follows from it: a peer whose outbox is full
    /// is dropped at once, which others are told at once.
    fn handle(&mut self, event: Event<'_>, message: Option<Message<'_>>, now: Instant) {
        // What goes through a room all the time says nothing that would be logged.
        let _span = match event {
            Event::Received { connection, .. } if self.relay.is_talking(connection) => None,
            Event::Received { connection, .. }
            | Event::Connected { connection, .. }
            | Event::Disconnected { connection }
            | Event::Condemned { connection, .. } => {
                Some(info_span!("connection", id = connection.0).entered())
            }
            Event::Tick | Event::Stopped => None,
        };
        let mut effects = mem::take(&mut self.effects);
        let mut full = Vec::new();
        self.relay.handle(event, now, &mut effects);
        loop {
            for effect in effects.drain(..) {
                full.extend(self.carry_out(effect, message, now));
            }
            let Some(connection) = full.pop() else {
                break;
            };
            let reason = CloseReason::SlowConsumer;
            let event = Event::Condemned { connection, reason };
            self.relay.handle(event, now, &mut effects);
        }
        self.effects = effects;
    }

    /// Does what the relay says; returns the connection whose outbox is full.
    fn carry_out(
        &mut self,
        effect: Effect,
        message: Option<Message<'_>>,
        now: Instant,
    ) -> Option<ConnectionId> {
        match effect {
            Effect::Send { to, line } => self.say(to, Opcode::Text, &[line.as_bytes()]),
            Effect::Forward { to } => match message? {
                Message::Text(text) => self.say(to, Opcode::Text, &[text.as_bytes()]),
                Message::Binary(bytes) => self.say(to, Opcode::Binary, &[bytes]),
            },
            Effect::PassOn {
                to,
                from,
                payload_at,
            } => {
                let Some(Message::Text(text)) = message else {
                    return None;
                };
                let payload = text.as_bytes().get(payload_at..).unwrap_or_default();
                let from = from.as_str().as_bytes();
                self.say(to, Opcode::Text, &[b"ROOM_PEER_MSG ", from, b" ", payload])
            }
            Effect::Close { connection, reason } => {
                let closed = self.connections.get_mut(&connection)?;
                closed.close(reason, now);
                let reasons = CloseReason::ALL.iter().zip(&mut self.traffic.closes);
                for (_, count) in reasons.filter(|(other, _)| **other == reason) {
                    *count += 1;
                }
                self.dirty.push(connection);
                self.relieve(connection);
                None
            }
        }
    }

    /// Puts a message into an outbox; returns the connection if it is full.
    fn say(&mut self, to: ConnectionId, opcode: Opcode, parts: &[&[u8]]) -> Option<ConnectionId> {
        self.traffic.sent_messages += 1;
        self.traffic.sent_bytes += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        self.push(to, opcode, parts)
    }

    /// Puts a frame into an outbox; returns the connection if it is full.
    fn push(&mut self, to: ConnectionId, opcode: Opcode, parts: &[&[u8]]) -> Option<ConnectionId> {
        let connection = self.connections.get_mut(&to)?;
        if !connection.is_open() {
            return None;
        }
        if connection.outbox.is_empty() {
            self.dirty.push(to);
        }
        let pushed = connection
            .outbox
            .push(opcode, parts, self.limits.outbox_bytes);
        pushed.err().map(|_full| to)
    }

    /// Writes, once in a turn, whatever was put into outboxes.
    fn flush(&mut self, now: Instant) {
        while let Some(id) = self.dirty.pop() {
            let Some(connection) = self.connections.get_mut(&id) else {
                continue;
            };
            if !connection.is_blocked() {
                connection.flush(now);
                self.relieve(id);
            }
        }
    }

    /// Lets the partner be read again, if it was not because of this connection, and may be.
    fn relieve(&mut self, id: ConnectionId) {
        let congested_above = self.congested_above();
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if let Some(partner) = connection.relieved(congested_above)
            && let Some(partner) = self.connections.get(&partner)
        {
            partner.wake();
        }
    }

    fn remove(&mut self, id: ConnectionId, now: Instant) {
        let Some(mut connection) = self.connections.remove(&id) else {
            return;
        };
        if let Some(partner) = connection.relieved(usize::MAX)
            && let Some(partner) = self.connections.get(&partner)
        {
            partner.wake();
        }
        self.handle(Event::Disconnected { connection: id }, None, now);
        self.flush(now);
        // Its task ends when it finds nothing.
        connection.wake();
        if self.connections.is_empty()
            && let Some(waiting) = self.emptied.take()
        {
            waiting.wake();
        }
    }

    fn tick(&mut self, now: Instant) {
        self.clock.set(now);
        self.handle(Event::Tick, None, now);
        let mut due: Vec<_> = self
            .connections
            .iter_mut()
            .filter_map(
                |(&id, connection)| match connection.due(&self.deadlines, now) {
                    Due::Nothing => None,
                    due @ (Due::Ping | Due::Condemn(_) | Due::Cut) => Some((id, due)),
                },
            )
            .collect();
        due.sort_unstable_by_key(|&(id, _)| id);
        for (id, due) in due {
            match due {
                Due::Nothing => {}
                Due::Ping => {
                    if let Some(full) = self.push(id, Opcode::Ping, &[]) {
                        self.condemn(full, CloseReason::SlowConsumer, now);
                    }
                }
                Due::Condemn(reason) => self.condemn(id, reason, now),
                Due::Cut => {
                    debug!(connection = id.0, "cut off");
                    self.remove(id, now);
                }
            }
        }
        self.flush(now);
    }

    fn open_connection(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(&id)?;
        connection.is_open().then_some(connection)
    }

    fn is_lost(&self, id: ConnectionId) -> bool {
        self.connections
            .get(&id)
            .is_none_or(|connection| connection.is_lost())
    }

    fn congested_above(&self) -> usize {
        self.limits.outbox_bytes / CONGESTED_ABOVE
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the hub drives the relay, so the clock is read here"
)]
fn now() -> Instant {
    Instant::now()
}
