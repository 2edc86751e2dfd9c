//! The kernel's own price: a forwarder without framing, on one thread.
//!
//! Reads once from whatever is ready and writes it at once where it goes. In a room it looks at nothing
//! but the number before each message, and what goes to one member leaves in one write.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;

use crate::link::READ_BYTES;
use crate::listener::{LISTENER, Listener, place};
use crate::pattern::{FIELD, peer_field, peer_of};
use crate::poll::{Interest, Poll};
use crate::preamble::{PREAMBLE, Preamble};

/// What may wait for one member of a room, in bytes; who lets more pile up is dropped.
const MAX_UNSENT: usize = 4 * 1024 * 1024;

/// Members are numbered from 0 on, below this.
const MAX_MEMBERS: u32 = 1 << 20;

/// Where the bytes of a connection go.
enum Place {
    /// It has not said yet.
    Lobby,
    /// To whoever names the same pair, and that one is not there yet.
    Alone { pair: u32 },
    /// To this connection.
    Paired { partner: usize },
    /// Each message to the member it names.
    Member { number: u32, bytes: usize },
}

struct Connection {
    socket: OwnedFd,
    place: Place,
    /// What came and cannot go on yet: part of a message, or everything while it is alone.
    kept: Vec<u8>,
    unsent: Vec<u8>,
    /// Whether the end of this turn has to send what is unsent.
    is_due: bool,
    is_read: bool,
    /// Whether the network took less than there was, and is waited for.
    is_blocked: bool,
}

/// Forwards for ever.
pub(crate) struct Forwarder {
    /// Whether what came for members of a room goes on after each read, and not after each turn.
    is_at_once: bool,
    poll: Poll,
    listener: Listener,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    alone: HashMap<u32, usize>,
    members: Vec<Option<usize>>,
    /// Connections with something to send at the end of the turn.
    due: Vec<usize>,
}

impl Forwarder {
    /// # Errors
    /// When the address is not ours or taken.
    pub(crate) fn bind(address: SocketAddr, is_at_once: bool) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let listener = Listener::bind(address, &poll)?;
        Ok(Self {
            is_at_once,
            poll,
            listener,
            connections: Vec::new(),
            free: Vec::new(),
            alone: HashMap::new(),
            members: Vec::new(),
            due: Vec::new(),
        })
    }

    /// # Errors
    /// Never for a socket that listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.address()
    }

    /// Forwards until the process is ended.
    ///
    /// # Errors
    /// When the system has nothing left to give.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let count = self.poll.wait(None)?;
            for index in 0..count {
                let ready = self.poll.ready(index);
                if ready.token == LISTENER {
                    self.accept()?;
                    continue;
                }
                if ready.writable {
                    self.flush(ready.token)?;
                }
                if ready.readable {
                    self.read(ready.token, &mut buffer)?;
                }
            }
            self.send_due()?;
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        let Self {
            poll,
            connections,
            free,
            ..
        } = self;
        self.listener.accept(|socket| {
            let token = place(connections, free);
            poll.add(&socket, token, Interest::Readable)?;
            connections[token] = Some(Connection {
                socket,
                place: Place::Lobby,
                kept: Vec::new(),
                unsent: Vec::new(),
                is_due: false,
                is_read: true,
                is_blocked: false,
            });
            Ok(())
        })
    }

    fn read(&mut self, token: usize, buffer: &mut [u8]) -> io::Result<()> {
        // It may have been closed in this very turn.
        let Some(connection) = self.connections.get_mut(token).and_then(Option::as_mut) else {
            return Ok(());
        };
        match rustix::io::read(&connection.socket, &mut *buffer) {
            Ok(0) => self.close(token),
            Ok(count) => match connection.place {
                Place::Paired { partner } => self.forward(token, partner, &buffer[..count]),
                Place::Member { number, bytes } => {
                    self.distribute(token, number, bytes, &buffer[..count]);
                    if self.is_at_once {
                        self.send_due()
                    } else {
                        Ok(())
                    }
                }
                Place::Lobby | Place::Alone { .. } => self.hear(token, &buffer[..count]),
            },
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(_gone) => self.close(token),
        }
    }

    /// Takes what a connection says before its first message.
    fn hear(&mut self, token: usize, bytes: &[u8]) -> io::Result<()> {
        let Some(connection) = self.connections[token].as_mut() else {
            return Ok(());
        };
        connection.kept.extend_from_slice(bytes);
        while let Place::Lobby = connection.place {
            let Some(first) = connection.kept.first_chunk::<PREAMBLE>().copied() else {
                return Ok(());
            };
            connection.kept.drain(..PREAMBLE);
            match Preamble::from_bytes(&first) {
                Some(Preamble::Echo) => send_at_once(connection, &first),
                Some(Preamble::Pair { pair }) => return self.pair(token, pair),
                Some(Preamble::Member { number, bytes })
                    if number < MAX_MEMBERS && bytes as usize >= FIELD =>
                {
                    connection.place = Place::Member {
                        number,
                        bytes: bytes as usize,
                    };
                    send_at_once(connection, &first);
                    let index = number as usize;
                    self.members.resize(self.members.len().max(index + 1), None);
                    self.members[index] = Some(token);
                    return Ok(());
                }
                Some(Preamble::Member { .. }) | None => return self.close(token),
            }
        }
        Ok(())
    }

    fn pair(&mut self, token: usize, pair: u32) -> io::Result<()> {
        let Some(partner) = self.alone.remove(&pair) else {
            self.alone.insert(pair, token);
            self.set_place(token, Place::Alone { pair });
            return self.set_read(token, false);
        };
        self.set_place(token, Place::Paired { partner });
        self.set_place(partner, Place::Paired { partner: token });
        self.set_read(partner, true)?;
        for (from, to) in [(partner, token), (token, partner)] {
            let kept = self.connections[from]
                .as_mut()
                .map(|c| std::mem::take(&mut c.kept));
            if let Some(kept) = kept.filter(|kept| !kept.is_empty()) {
                self.forward(from, to, &kept)?;
            }
        }
        Ok(())
    }

    fn set_place(&mut self, token: usize, place: Place) {
        if let Some(connection) = self.connections[token].as_mut() {
            connection.place = place;
        }
    }

    fn set_read(&mut self, token: usize, is_read: bool) -> io::Result<()> {
        let Some(connection) = self.connections[token].as_mut() else {
            return Ok(());
        };
        connection.is_read = is_read;
        watch(&self.poll, token, connection)
    }

    /// Writes bytes to the partner at once. What it does not take stops the reading.
    fn forward(&mut self, from: usize, to: usize, bytes: &[u8]) -> io::Result<()> {
        let Some(partner) = self.connections[to].as_mut() else {
            return Ok(());
        };
        let sent = match rustix::io::write(&partner.socket, bytes) {
            Ok(count) => count,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(_gone) => return self.close(to),
        };
        if sent < bytes.len() {
            partner.unsent.extend_from_slice(&bytes[sent..]);
            partner.is_blocked = true;
            watch(&self.poll, to, partner)?;
            self.set_read(from, false)?;
        }
        Ok(())
    }

    /// Puts each message into the way of the member it names, with the number of the sender.
    fn distribute(&mut self, token: usize, number: u32, length: usize, bytes: &[u8]) {
        let Some(connection) = self.connections[token].as_mut() else {
            return;
        };
        let mut kept = std::mem::take(&mut connection.kept);
        let mut bytes = bytes;
        if !kept.is_empty() {
            let missing = (length - kept.len()).min(bytes.len());
            kept.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if kept.len() == length {
                self.deliver(number, &kept);
                kept.clear();
            }
        }
        let messages = bytes.chunks_exact(length);
        kept.extend_from_slice(messages.remainder());
        for message in messages {
            self.deliver(number, message);
        }
        if let Some(connection) = self.connections[token].as_mut() {
            connection.kept = kept;
        }
    }

    fn deliver(&mut self, from: u32, message: &[u8]) {
        let Some((field, rest)) = message.split_first_chunk::<FIELD>() else {
            return;
        };
        let member = peer_of(*field).and_then(|number| *self.members.get(number as usize)?);
        let Some(token) = member else {
            return;
        };
        let Some(connection) = self.connections[token].as_mut() else {
            return;
        };
        connection.unsent.extend_from_slice(&peer_field(from));
        connection.unsent.extend_from_slice(rest);
        if !connection.is_due {
            connection.is_due = true;
            self.due.push(token);
        }
    }

    fn send_due(&mut self) -> io::Result<()> {
        for index in 0..self.due.len() {
            let token = self.due[index];
            if let Some(connection) = self.connections[token].as_mut().filter(|c| c.is_due) {
                connection.is_due = false;
                self.flush(token)?;
            }
        }
        self.due.clear();
        Ok(())
    }

    /// Sends what is unsent, as far as the network takes it.
    fn flush(&mut self, token: usize) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(token).and_then(Option::as_mut) else {
            return Ok(());
        };
        match rustix::io::write(&connection.socket, &connection.unsent) {
            Ok(count) if count == connection.unsent.len() => connection.unsent.clear(),
            Ok(count) => {
                connection.unsent.drain(..count);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_gone) => return self.close(token),
        }
        if connection.unsent.len() > MAX_UNSENT {
            return self.close(token);
        }
        let is_blocked = !connection.unsent.is_empty();
        // Mostly everything goes at once, and nothing has to be watched for.
        if connection.is_blocked != is_blocked {
            connection.is_blocked = is_blocked;
            watch(&self.poll, token, connection)?;
        }
        match connection.place {
            Place::Paired { partner } if !is_blocked => self.set_read(partner, true),
            Place::Lobby | Place::Alone { .. } | Place::Paired { .. } | Place::Member { .. } => {
                Ok(())
            }
        }
    }

    /// Closes a connection, and with it that of its partner.
    fn close(&mut self, token: usize) -> io::Result<()> {
        let Some(connection) = self.connections[token].take() else {
            return Ok(());
        };
        self.free.push(token);
        match connection.place {
            Place::Lobby => {}
            Place::Alone { pair } => {
                self.alone.remove(&pair);
            }
            Place::Paired { partner } => return self.close(partner),
            Place::Member { number, .. } => self.members[number as usize] = None,
        }
        Ok(())
    }
}

/// Sends a few bytes to a connection that has said something just now: the network has room for them.
fn send_at_once(connection: &Connection, bytes: &[u8]) {
    // Who is gone already is found out by reading.
    let _ = rustix::io::write(&connection.socket, bytes);
}

fn watch(poll: &Poll, token: usize, connection: &Connection) -> io::Result<()> {
    let interest = match (connection.is_read, connection.is_blocked) {
        (true, false) => Interest::Readable,
        (true, true) => Interest::Both,
        (false, false) => Interest::Nothing,
        (false, true) => Interest::Writable,
    };
    poll.modify(&connection.socket, token, interest)
}
