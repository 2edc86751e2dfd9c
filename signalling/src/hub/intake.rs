//! The way in: from the bytes of one connection to messages, and from there straight on to the
//! partner in a session, or to the relay.

use std::io;
use std::mem;
use std::ops::Range;
use std::time::Instant;

use super::State;
use crate::codec::{self, Incoming, Opcode};
use crate::config::READ_BYTES;
use crate::frame::{CloseReason, Message};
use crate::relay::{ConnectionId, Event};
use crate::wire::is_for_later;

/// Messages for one partner that go out together: frames, one behind the other, in the buffer they
/// were read into.
#[derive(Default)]
struct Run {
    frames: u64,
    payload_bytes: u64,
    range: Range<usize>,
}

impl Run {
    /// Makes a frame of a payload and moves it up to those before it. The first one stays where it is.
    fn add(&mut self, is_text: bool, bytes: &mut [u8], payload: Range<usize>) {
        let opcode = if is_text {
            Opcode::Text
        } else {
            Opcode::Binary
        };
        let start = codec::encode_in_place(opcode, bytes, &payload);
        if self.frames == 0 {
            self.range = start..payload.end;
        } else {
            bytes.copy_within(start..payload.end, self.range.end);
            self.range.end += payload.end - start;
        }
        self.frames += 1;
        self.payload_bytes += payload.len() as u64;
    }
}

impl State {
    /// Reads what has come, unless too much waits for the partner. When the peer is gone it is removed.
    pub(super) fn read(&mut self, id: ConnectionId, now: Instant) {
        loop {
            if self.is_held_up(id, now) {
                return;
            }
            match self.read_once(id, now) {
                Ok(0) => return self.remove(id, now),
                Ok(_) => {}
                Err(error) if is_for_later(&error) => return,
                Err(_) => return self.remove(id, now),
            }
            if !self.holds_plaintext(id) {
                return;
            }
        }
    }

    /// Whether there is something to read of which the system knows nothing: TLS has decrypted it.
    pub(super) fn holds_plaintext(&self, id: ConnectionId) -> bool {
        let connection = self.connections.get(&id);
        connection.is_some_and(|connection| connection.wire.holds_plaintext())
    }

    /// Whether a connection is not to be read because too much waits for its partner.
    fn is_held_up(&mut self, id: ConnectionId, now: Instant) -> bool {
        let congested_above = self.congested_above();
        let partner = self.relay.partner(id);
        let Some(partner) = partner.and_then(|partner| self.connections.get_mut(&partner)) else {
            return false;
        };
        if !partner.is_open() || partner.outbox.len() <= congested_above {
            return false;
        }
        partner.hold_up(id, now);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.is_paused = true;
            self.dirty.push(id);
        }
        true
    }

    fn read_once(&mut self, id: ConnectionId, now: Instant) -> io::Result<usize> {
        let Some(connection) = self.connections.get_mut(&id) else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        if connection.rest.is_empty() {
            // The buffer of all, which nobody else needs before this turn is over.
            let mut buffer = mem::take(&mut self.buffer);
            let read = connection.wire.try_read(&mut buffer);
            if let Ok(count @ 1..) = read {
                let taken = self.take_in(id, &mut buffer[..count], now);
                self.keep_rest(id, &buffer[taken..count]);
            }
            self.buffer = buffer;
            return read;
        }
        let mut bytes = mem::take(&mut connection.rest);
        let begun = bytes.len();
        bytes.resize(begun + READ_BYTES, 0);
        let read = connection.wire.try_read(&mut bytes[begun..]);
        bytes.truncate(begun + *read.as_ref().unwrap_or(&0));
        let taken = match read {
            Ok(1..) => self.take_in(id, &mut bytes, now),
            Ok(0) | Err(_) => 0,
        };
        bytes.drain(..taken);
        // Room for a whole read is not kept for what may be a few bytes.
        bytes.shrink_to(2 * bytes.len());
        if let Some(connection) = self.open_connection(id) {
            connection.rest = bytes;
        }
        read
    }

    pub(super) fn keep_rest(&mut self, id: ConnectionId, rest: &[u8]) {
        if !rest.is_empty()
            && let Some(connection) = self.open_connection(id)
        {
            connection.rest = rest.to_vec();
        }
    }

    /// Takes all whole frames out of what was read and acts on them; returns how many bytes that was.
    ///
    /// In a session, messages that follow one another go out in one piece, from where they lie.
    pub(super) fn take_in(&mut self, id: ConnectionId, bytes: &mut [u8], now: Instant) -> usize {
        let Some(connection) = self.open_connection(id) else {
            return bytes.len();
        };
        connection.heard = true;
        let mut decoder = mem::take(&mut connection.decoder);
        let mut partner = self.relay.partner(id);
        let mut run = Run::default();
        let (mut at, mut frames) = (0, 0);
        let broken = loop {
            let (incoming, used) = match decoder.next(&mut bytes[at..], self.limits.message_bytes) {
                Ok(Some(taken)) => taken,
                Ok(None) => break None,
                Err(reason) => break Some(reason),
            };
            frames += 1;
            match (incoming, partner) {
                (Incoming::Message { is_text, payload }, Some(_)) => {
                    run.add(is_text, bytes, at + payload.start..at + payload.end);
                }
                (incoming, _) => {
                    self.send_run(partner, &mut run, bytes, now);
                    self.act(id, incoming, &bytes[at..], now);
                    if self.open_connection(id).is_none() {
                        return bytes.len();
                    }
                    partner = self.relay.partner(id);
                }
            }
            at += used;
        };
        self.send_run(partner, &mut run, bytes, now);
        let reason = broken.or_else(|| self.has_said_too_much(id, frames));
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.decoder = decoder;
        }
        if let Some(reason) = reason {
            self.condemn(id, reason, now);
        }
        at
    }

    fn has_said_too_much(&self, id: ConnectionId, frames: u32) -> Option<CloseReason> {
        let connection = self.connections.get(&id)?;
        (!connection.may_say(frames)).then_some(CloseReason::TooManyMessages)
    }

    /// Acts on one frame. Its ranges are of `bytes`.
    fn act(&mut self, id: ConnectionId, incoming: Incoming, bytes: &[u8], now: Instant) {
        match incoming {
            Incoming::Message { is_text, payload } => {
                self.receive(id, is_text, &bytes[payload], now);
            }
            Incoming::Assembled { is_text, payload } => self.receive(id, is_text, &payload, now),
            Incoming::Ping { payload } => {
                let pong = self.push(id, Opcode::Pong, &[&bytes[payload]]);
                if let Some(full) = pong {
                    self.condemn(full, CloseReason::SlowConsumer, now);
                }
            }
            Incoming::Fragment | Incoming::Pong => {}
            Incoming::Close { code } => {
                self.handle(Event::Disconnected { connection: id }, None, now);
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.answer_close(code, now);
                    self.dirty.push(id);
                }
            }
        }
    }

    fn receive(&mut self, id: ConnectionId, is_text: bool, payload: &[u8], now: Instant) {
        self.traffic.received_messages += 1;
        self.traffic.received_bytes += payload.len() as u64;
        let message = match std::str::from_utf8(payload) {
            Ok(text) if is_text => Message::Text(text),
            Ok(_) | Err(_) => Message::Binary(payload),
        };
        let event = Event::Received {
            connection: id,
            message,
        };
        self.handle(event, Some(message), now);
    }

    /// Sends what has gathered to the partner, straight into its connection.
    fn send_run(
        &mut self,
        partner: Option<ConnectionId>,
        run: &mut Run,
        bytes: &[u8],
        now: Instant,
    ) {
        let Run {
            frames,
            payload_bytes,
            range,
        } = mem::take(run);
        if frames == 0 {
            return;
        }
        self.traffic.received_messages += frames;
        self.traffic.received_bytes += payload_bytes;
        let Some(to) = partner else {
            return;
        };
        let Some(partner) = self.connections.get_mut(&to) else {
            return;
        };
        self.traffic.sent_messages += frames;
        self.traffic.sent_bytes += payload_bytes;
        let fits = partner.send_run(&bytes[range], self.limits.outbox_bytes, now);
        if partner.is_blocked() || partner.is_lost() {
            self.dirty.push(to);
        }
        if !fits {
            self.condemn(to, CloseReason::SlowConsumer, now);
        }
    }
}
