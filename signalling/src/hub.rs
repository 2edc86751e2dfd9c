//! Owns the relay and carries its effects to the outboxes.
//!
//! Everything runs on one thread, and the state is borrowed only inside the methods here, none of
//! which waits: there is no lock and no channel on the way from one peer to the other.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::frame::{CloseReason, Frame};
use crate::outbox::Outbox;
use crate::relay::{ConnectionId, Effect, Event, Relay};

/// The one owner of the relay's state.
pub(crate) struct Hub {
    state: RefCell<State>,
}

struct State {
    relay: Relay,
    outboxes: HashMap<ConnectionId, Outbox>,
    connections_so_far: u64,
    /// Empty between two events; kept for its memory.
    effects: Vec<Effect>,
}

impl Hub {
    pub(crate) fn new(hello_deadline: Duration) -> Self {
        Self {
            state: RefCell::new(State {
                relay: Relay::new(hello_deadline),
                outboxes: HashMap::new(),
                connections_so_far: 0,
                effects: Vec::new(),
            }),
        }
    }

    /// Takes in a new WebSocket: its name, and what it will have to send.
    pub(crate) fn connect(&self, wants_notices: bool) -> (ConnectionId, Outbox) {
        let mut state = self.state.borrow_mut();
        state.connections_so_far += 1;
        let connection = ConnectionId(state.connections_so_far);
        let outbox = Outbox::default();
        state.outboxes.insert(connection, outbox.clone());
        state.handle(Event::Connected {
            connection,
            wants_notices,
        });
        (connection, outbox)
    }

    pub(crate) fn receive(&self, connection: ConnectionId, frame: Frame) {
        self.handle(Event::Received { connection, frame });
    }

    pub(crate) fn condemn(&self, connection: ConnectionId, reason: CloseReason) {
        self.handle(Event::Condemned { connection, reason });
    }

    /// Forgets a connection. Its outbox may still hold a close to be sent.
    pub(crate) fn disconnect(&self, connection: ConnectionId) {
        let mut state = self.state.borrow_mut();
        state.handle(Event::Disconnected { connection });
        state.outboxes.remove(&connection);
    }

    pub(crate) fn tick(&self) {
        self.handle(Event::Tick);
    }

    pub(crate) fn stop(&self) {
        self.handle(Event::Stopped);
    }

    /// The partner in the session, if so much waits for it that nothing more should be read from
    /// this connection.
    pub(crate) fn congested_partner(
        &self,
        connection: ConnectionId,
    ) -> Option<(ConnectionId, Outbox)> {
        let state = self.state.borrow();
        let partner = state.relay.partner(connection)?;
        let outbox = state.outboxes.get(&partner)?;
        outbox.is_congested().then(|| (partner, outbox.clone()))
    }

    fn handle(&self, event: Event) {
        self.state.borrow_mut().handle(event);
    }
}

impl State {
    /// Handles an event, and in the same turn all that follows from it: a peer whose outbox is full
    /// is dropped at once, which others are told at once.
    fn handle(&mut self, event: Event) {
        let now = now();
        let mut full = Vec::new();
        let mut next = Some(event);
        while let Some(event) = next {
            self.relay.handle(event, now, &mut self.effects);
            for effect in self.effects.drain(..) {
                full.extend(carry_out(effect, &self.outboxes));
            }
            next = full.pop().map(|connection| Event::Condemned {
                connection,
                reason: CloseReason::SlowConsumer,
            });
        }
    }
}

/// Puts the effect into the outbox it is for; returns the connection whose outbox is full.
fn carry_out(effect: Effect, outboxes: &HashMap<ConnectionId, Outbox>) -> Option<ConnectionId> {
    match effect {
        Effect::Send { to, frame } => outboxes.get(&to)?.push(frame).err().map(|_full| to),
        Effect::Close { connection, reason } => {
            outboxes.get(&connection)?.close(reason);
            None
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the hub drives the relay, so the clock is read here"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_of_connections_that_are_gone() {
        let hub = Hub::new(Duration::ZERO);
        let connections = ["a", "b", "c", "d", "e"].map(|id| {
            let (connection, _) = hub.connect(false);
            hub.receive(connection, Frame::Text(format!("HELLO {id}").into()));
            connection
        });
        for (who, line) in [(0, "SESSION b"), (2, "ROOM r"), (3, "ROOM r")] {
            hub.receive(connections[who], Frame::Text(line.into()));
        }
        hub.connect(false);
        hub.tick();
        hub.disconnect(ConnectionId(6));
        for connection in connections {
            hub.disconnect(connection);
        }
        let state = hub.state.borrow();
        assert!(state.outboxes.is_empty());
        assert!(state.relay.is_empty(), "{:?}", state.relay);
    }
}
