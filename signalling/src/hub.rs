//! Owns the relay and all connections: reads, asks the relay what is to be done, and does it.
//!
//! Everything runs on one thread, and the state is borrowed only inside the methods here, and not
//! while one of them waits: there is no lock, no channel and no task on the way from one peer to
//! another.

mod intake;
mod strangers;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::num::NonZeroU32;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Instant;

use rustix::event::epoll;
use tracing::{debug, debug_span, error, info_span, warn};

use crate::bell::Bell;
use crate::codec::Opcode;
use crate::config::{CONGESTED_ABOVE, Config, Deadlines, Limits, READ_BYTES};
use crate::connection::{Clockwork, Connection, Due};
use crate::frame::{CloseReason, Message};
use crate::http::Opened;
use crate::metrics::{Metrics, Traffic};
use crate::ready::{Interest, Readiness, Watch};
use crate::relay::{
    ByConnection, Census, ConnectionId, Effect, Event, PeerView, Relay, RoomView, Tally,
};
use crate::visit::Visit;

/// After so many connections the clock is read again.
const EVENTS_IN_A_ROUND: usize = 256;

/// So many buffers for outboxes are kept, ...
const MAX_SPARES: usize = 64;

/// ... of those that are no larger, in bytes.
const SPARE_BYTES: usize = 64 * 1024;

/// Stands for the listener where connections have their numbers, which begin at 1.
const NEWCOMER: u64 = 0;

/// Stands for the bell.
const BELL: u64 = u64::MAX;

pub(crate) use strangers::{Porter, Stranger};

/// The one owner of the relay's state.
pub(crate) struct Hub {
    watch: Rc<Watch>,
    /// Where the system says who is ready.
    events: RefCell<Vec<epoll::Event>>,
    state: RefCell<State>,
    metrics: Rc<Metrics>,
}

/// What a round of all connections left to others.
#[derive(Default)]
struct Round {
    /// Somebody wants to connect.
    is_somebody_there: bool,
    /// Those who want no WebSocket, with what they said.
    for_others: Vec<(Stranger, Vec<u8>)>,
}

struct State {
    watch: Rc<Watch>,
    relay: Relay,
    connections: ByConnection<Box<Connection>>,
    strangers: ByConnection<Box<Stranger>>,
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
    /// Empty buffers for outboxes.
    spares: Vec<Vec<u8>>,
    traffic: Traffic,
    metrics: Rc<Metrics>,
    /// Who waits for the last connection to go.
    emptied: Option<Waker>,
}

impl Hub {
    pub(crate) fn new(config: &Config, metrics: Rc<Metrics>, bell: &Bell) -> io::Result<Self> {
        let now = now();
        let watch = Rc::new(Watch::new()?);
        watch.add_bell(bell, BELL)?;
        Ok(Self {
            watch: Rc::clone(&watch),
            events: RefCell::new(Vec::with_capacity(EVENTS_IN_A_ROUND)),
            metrics: Rc::clone(&metrics),
            state: RefCell::new(State {
                watch,
                relay: Relay::new(&config.limits, config.deadlines.hello),
                connections: ByConnection::default(),
                strangers: ByConnection::default(),
                connections_so_far: 0,
                limits: config.limits.clone(),
                deadlines: config.deadlines.clone(),
                clock: Clockwork::new(now),
                buffer: vec![0; READ_BYTES].into(),
                effects: Vec::new(),
                dirty: Vec::new(),
                spares: Vec::new(),
                traffic: Traffic::default(),
                metrics,
                emptied: None,
            }),
        })
    }

    /// Takes in a connection that has just come.
    pub(crate) fn meet(&self, stranger: Stranger) {
        self.state.borrow_mut().meet(stranger);
    }

    /// Takes in a WebSocket that was opened elsewhere, with what was read after its request.
    pub(crate) fn open(&self, opened: Opened, visit: Visit, already_read: &mut [u8]) {
        let now = now();
        let mut state = self.state.borrow_mut();
        let id = state.next_number();
        if let Err(error) = state.watch.add(&opened.wire, id.0, Interest::READING) {
            return warn!(%error, "a connection cannot be watched, and is dropped");
        }
        state.open(id, opened, visit, already_read, now);
        // Whoever read the request may have left some of what came with it.
        if state.holds_plaintext(id) {
            state.read(id, now);
        }
        state.flush(now);
    }

    /// Waits until some connections can be read or written, or the bell rings, and gives each its turn.
    ///
    /// # Errors
    /// When the system can no longer say which of them are ready.
    pub(crate) fn round(&self, porter: &impl Porter) -> io::Result<()> {
        let mut events = self.events.borrow_mut();
        self.watch.wait(&mut events)?;
        let began = now();
        let round = self.state.borrow_mut().round(&events, porter, began);
        if round.is_somebody_there {
            porter.let_in();
        }
        for (stranger, said) in round.for_others {
            porter.hand_over(stranger, said);
        }
        self.metrics.turn_took(now() - began);
        Ok(())
    }

    /// Watches for those who want to come in, or no longer.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub(crate) fn mind(&self, listener: impl AsFd, is_open: bool) -> io::Result<()> {
        let (nothing, reading) = (Interest::default(), Interest::READING);
        let change = if is_open {
            (nothing, reading)
        } else {
            (reading, nothing)
        };
        self.watch.change(listener, NEWCOMER, change)
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
    fn next_number(&mut self) -> ConnectionId {
        self.connections_so_far += 1;
        ConnectionId(self.connections_so_far)
    }

    /// Takes in a WebSocket that is watched already, with what was read of it.
    fn open(
        &mut self,
        id: ConnectionId,
        opened: Opened,
        visit: Visit,
        already_read: &mut [u8],
        now: Instant,
    ) {
        self.clock.set(now);
        let rate = NonZeroU32::new(self.limits.messages_per_second).unwrap_or(NonZeroU32::MIN);
        let interval = self.deadlines.ping_interval;
        let connection = Connection::new(opened.wire, visit, rate, &self.clock, interval);
        self.connections.insert(id, Box::new(connection));
        let event = Event::Connected {
            connection: id,
            wants_notices: opened.wants_notices,
            pass: opened.pass,
        };
        self.handle(event, None, now);
        let taken = self.take_in(id, already_read, now);
        self.keep_rest(id, &already_read[taken..]);
    }

    /// Gives every connection its turn that can do something now. What they say to one another goes
    /// out at the end, so that what is for the same one goes in one piece.
    fn round(&mut self, events: &[epoll::Event], porter: &impl Porter, now: Instant) -> Round {
        self.clock.set(now);
        let mut round = Round::default();
        for event in events {
            let ready = Readiness::from(event);
            let id = ConnectionId(ready.number);
            if ready.number == NEWCOMER {
                round.is_somebody_there = true;
            } else if ready.number == BELL {
                // Whoever hangs it looks at it after every round.
            } else if let Some(connection) = self.connections.get_mut(&id) {
                if ready.writing {
                    connection.flush(now);
                    self.dirty.push(id);
                }
                if ready.reading {
                    self.read(id, now);
                }
            } else {
                round.for_others.extend(self.hear_out(id, porter, now));
            }
        }
        self.flush(now);
        round
    }

    fn condemn(&mut self, connection: ConnectionId, reason: CloseReason, now: Instant) {
        self.handle(Event::Condemned { connection, reason }, None, now);
    }

    /// Handles an event, and in the same turn all that follows from it: a peer whose outbox is full
    /// is dropped at once, which others are told at once.
    fn handle(&mut self, event: Event<'_>, message: Option<Message<'_>>, now: Instant) {
        let _span = match event {
            Event::Received { connection, .. }
            | Event::Connected { connection, .. }
            | Event::Disconnected { connection } => {
                Some(debug_span!("connection", id = connection.0).entered())
            }
            Event::Condemned { connection, .. } => {
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
            connection
                .outbox
                .lend(self.spares.pop().unwrap_or_default());
        }
        let pushed = connection
            .outbox
            .push(opcode, parts, self.limits.outbox_bytes);
        pushed.err().map(|_full| to)
    }

    /// Writes, once in a turn, whatever was put into outboxes, and waits from now on for what there is
    /// to be waited for.
    fn flush(&mut self, now: Instant) {
        let congested_above = self.congested_above();
        while let Some(id) = self.dirty.pop() {
            let Some(connection) = self.connections.get_mut(&id) else {
                continue;
            };
            if !connection.is_blocked() {
                connection.flush(now);
            }
            if let Some(wait) = connection.wait_ended(now) {
                self.metrics.waited(wait);
            }
            if let Some(spare) = connection.outbox.take_spare()
                && spare.capacity() <= SPARE_BYTES
                && self.spares.len() < MAX_SPARES
            {
                self.spares.push(spare);
            }
            if connection.is_lost() {
                self.remove(id, now);
            } else {
                let partner = connection.relieved(congested_above);
                let wanted = connection.wanted();
                if wanted != connection.interest {
                    let change = (mem::replace(&mut connection.interest, wanted), wanted);
                    if let Err(error) = self.watch.change(&connection.wire, id.0, change) {
                        error!(%error, "a connection cannot be watched any more");
                    }
                }
                self.go_on(partner);
            }
        }
    }

    /// Lets the partner be read again that was not because of a connection.
    fn go_on(&mut self, partner: Option<ConnectionId>) {
        if let Some(partner) = partner
            && let Some(connection) = self.connections.get_mut(&partner)
        {
            connection.is_paused = false;
            self.dirty.push(partner);
        }
    }

    /// Forgets a connection. What that changes for others is in their outboxes afterwards.
    fn remove(&mut self, id: ConnectionId, now: Instant) {
        let Some(mut connection) = self.connections.remove(&id) else {
            return;
        };
        self.go_on(connection.relieved(usize::MAX));
        self.handle(Event::Disconnected { connection: id }, None, now);
        if self.connections.is_empty()
            && let Some(waiting) = self.emptied.take()
        {
            waiting.wake();
        }
    }

    fn tick(&mut self, now: Instant) {
        self.clock.set(now);
        self.forget_the_silent(now);
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
