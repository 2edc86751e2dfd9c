//! Those who have connected and have not said yet what they want.
//!
//! Nearly all of them want a WebSocket and say so in one piece: they get it here and now, at the cost
//! of one message more. Whoever says anything else, or in pieces, is handed to the HTTP server with
//! what was read.

use std::mem;
use std::time::Instant;

use tracing::warn;

use super::State;
use crate::http::{Opened, Welcome};
use crate::ready::Interest;
use crate::relay::ConnectionId;
use crate::visit::Visit;
use crate::wire::{Wire, is_for_later};

/// A connection of which nothing is known.
pub(crate) struct Stranger {
    pub(crate) wire: Wire,
    pub(crate) visit: Visit,
    /// When it came.
    pub(crate) since: Instant,
}

/// Whoever knows what is behind a door that the hub only watches.
pub(crate) trait Porter {
    /// Somebody wants to connect.
    fn let_in(&self);
    /// What to say to somebody who says this first, if it is all there and asks for a WebSocket that
    /// may be had.
    fn welcome(&self, said: &[u8]) -> Option<Welcome>;
    /// Somebody has said something else.
    fn hand_over(&self, stranger: Stranger, said: Vec<u8>);
}

impl State {
    pub(super) fn meet(&mut self, stranger: Stranger) {
        let id = self.next_number();
        if let Err(error) = self.watch.add(&stranger.wire, id.0, Interest::READING) {
            return warn!(%error, "a connection cannot be watched, and is dropped");
        }
        self.strangers.insert(id, Box::new(stranger));
    }

    /// Hears what a stranger says first; returns it if that is for others to understand.
    pub(super) fn hear_out(
        &mut self,
        id: ConnectionId,
        porter: &impl Porter,
        now: Instant,
    ) -> Option<(Stranger, Vec<u8>)> {
        let stranger = self.strangers.get(&id)?;
        let mut buffer = mem::take(&mut self.buffer);
        let read = stranger.wire.try_read(&mut buffer);
        let outcome = match read {
            Err(error) if is_for_later(&error) => None,
            Ok(0) | Err(_) => {
                self.strangers.remove(&id);
                None
            }
            Ok(count) => self.answer_stranger(id, &mut buffer[..count], porter, now),
        };
        self.buffer = buffer;
        outcome
    }

    /// Forgets those who have said nothing for too long.
    pub(super) fn forget_the_silent(&mut self, now: Instant) {
        let patience = self.deadlines.handshake;
        self.strangers
            .retain(|_, stranger| now.saturating_duration_since(stranger.since) < patience);
    }

    fn answer_stranger(
        &mut self,
        id: ConnectionId,
        said: &mut [u8],
        porter: &impl Porter,
        now: Instant,
    ) -> Option<(Stranger, Vec<u8>)> {
        let stranger = *self.strangers.remove(&id)?;
        let Some(welcome) = porter.welcome(said) else {
            // From now on somebody else waits for it.
            let change = (Interest::READING, Interest::default());
            let unwatched = self.watch.change(&stranger.wire, id.0, change);
            return match unwatched {
                Ok(()) => Some((stranger, said.to_vec())),
                Err(_) => None,
            };
        };
        let Stranger {
            wire,
            mut visit,
            since,
        } = stranger;
        // Nothing was sent before, so that there is room for it; or the peer is gone.
        let sent = wire.try_write(&welcome.response);
        if !sent.is_ok_and(|sent| sent == welcome.response.len()) {
            return None;
        }
        visit.greeted();
        self.metrics
            .handshake_took(now.saturating_duration_since(since));
        let opened = Opened {
            wire,
            wants_notices: welcome.wants_notices,
            pass: welcome.pass,
        };
        self.open(id, opened, visit, &mut said[welcome.used..], now);
        None
    }
}
