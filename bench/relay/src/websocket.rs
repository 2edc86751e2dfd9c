//! A library's own price: a relay on tungstenite that knows registering, pairing and rooms and nothing
//! else, on one thread. It keeps no limits and answers no mistakes.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use async_tungstenite::tungstenite::handshake::HandshakeError;
use async_tungstenite::tungstenite::handshake::server::{NoCallback, ServerHandshake};
use async_tungstenite::tungstenite::protocol::{WebSocket, WebSocketConfig};
use async_tungstenite::tungstenite::{self, Error, Message, Utf8Bytes};

use crate::link::READ_BYTES;
use crate::listener::{LISTENER, Listener, place};
use crate::poll::{Interest, Poll};

/// What may wait for one peer, in bytes; who lets more pile up is dropped.
const MAX_UNSENT: usize = 4 * 1024 * 1024;

type Handshake = ServerHandshake<Turnwise, NoCallback>;

/// A connection and how far it is.
enum Socket {
    Opening(Box<tungstenite::handshake::MidHandshake<Handshake>>),
    Open(Box<WebSocket<Turnwise>>),
}

/// Where a peer's messages go.
enum Place {
    Lobby,
    Session { partner: usize },
    Room { room: String },
}

struct Peer {
    /// `None` while a step of the opening is being done.
    socket: Option<Socket>,
    id: String,
    place: Place,
    is_due: bool,
    is_blocked: bool,
}

/// A socket that is read once and then says that there is no more, so that no read is in vain.
struct Turnwise {
    socket: TcpStream,
    may_read: bool,
}

impl Read for Turnwise {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match std::mem::take(&mut self.may_read) {
            true => self.socket.read(buffer),
            false => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Turnwise {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Relays for ever.
pub(crate) struct Relay {
    poll: Poll,
    listener: Listener,
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
    ids: HashMap<String, usize>,
    rooms: HashMap<String, Vec<usize>>,
    due: Vec<usize>,
}

impl Relay {
    /// # Errors
    /// When the address is not ours or taken.
    pub(crate) fn bind(address: SocketAddr) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let listener = Listener::bind(address, &poll)?;
        Ok(Self {
            poll,
            listener,
            peers: Vec::new(),
            free: Vec::new(),
            ids: HashMap::new(),
            rooms: HashMap::new(),
            due: Vec::new(),
        })
    }

    /// # Errors
    /// Never for a socket that listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.address()
    }

    /// Relays until the process is ended.
    ///
    /// # Errors
    /// When the system has nothing left to give.
    pub(crate) fn run(mut self) -> io::Result<()> {
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
                    self.read(ready.token);
                }
            }
            self.send_due()?;
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        let Self {
            poll, peers, free, ..
        } = self;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .max_write_buffer_size(MAX_UNSENT);
        self.listener.accept(|socket| {
            let token = place(peers, free);
            poll.add(&socket, token, Interest::Readable)?;
            let stream = Turnwise {
                socket: socket.into(),
                may_read: false,
            };
            let opening = ServerHandshake::start(stream, NoCallback, Some(config));
            peers[token] = Some(Peer {
                socket: Some(Socket::Opening(Box::new(opening))),
                id: String::new(),
                place: Place::Lobby,
                is_due: false,
                is_blocked: false,
            });
            Ok(())
        })
    }

    fn read(&mut self, token: usize) {
        let Some(peer) = self.peers.get_mut(token).and_then(Option::as_mut) else {
            return;
        };
        match peer.socket.take() {
            Some(Socket::Opening(mut opening)) => {
                opening.get_mut().get_mut().may_read = true;
                match opening.handshake() {
                    Ok(socket) => peer.socket = Some(Socket::Open(Box::new(socket))),
                    Err(HandshakeError::Interrupted(rest)) => {
                        peer.socket = Some(Socket::Opening(Box::new(rest)));
                    }
                    Err(HandshakeError::Failure(_)) => self.close(token),
                }
            }
            Some(Socket::Open(mut socket)) => {
                socket.get_mut().may_read = true;
                peer.socket = Some(Socket::Open(socket));
                self.read_messages(token);
            }
            None => self.close(token),
        }
    }

    fn read_messages(&mut self, token: usize) {
        while let Some(socket) = self.open(token) {
            match socket.read() {
                Ok(Message::Text(text)) => self.receive(token, text),
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_gone) => return self.close(token),
            }
        }
    }

    fn open(&mut self, token: usize) -> Option<&mut WebSocket<Turnwise>> {
        match self.peers.get_mut(token)?.as_mut()?.socket.as_mut()? {
            Socket::Open(socket) => Some(socket),
            Socket::Opening(_) => None,
        }
    }

    fn receive(&mut self, token: usize, text: Utf8Bytes) {
        let Some(peer) = self.peers[token].as_ref() else {
            return;
        };
        match &peer.place {
            Place::Session { partner } => {
                let partner = *partner;
                self.send(partner, text);
            }
            Place::Room { .. } => {
                let Some((to, payload)) = text
                    .strip_prefix("ROOM_PEER_MSG ")
                    .and_then(|rest| rest.split_once(' '))
                else {
                    return;
                };
                if let Some(&to) = self.ids.get(to) {
                    let line = format!("ROOM_PEER_MSG {} {payload}", peer.id);
                    self.send(to, line.into());
                }
            }
            Place::Lobby => self.command(token, &text),
        }
    }

    fn command(&mut self, token: usize, line: &str) {
        let Some((verb, argument)) = line.split_once(' ') else {
            return;
        };
        match verb {
            "HELLO" => {
                self.ids.insert(argument.to_owned(), token);
                if let Some(peer) = self.peers[token].as_mut() {
                    peer.id = argument.to_owned();
                }
                self.send(token, "HELLO".into());
            }
            "SESSION" => {
                if let Some(&partner) = self.ids.get(argument) {
                    self.set_place(token, Place::Session { partner });
                    self.set_place(partner, Place::Session { partner: token });
                    self.send(token, "SESSION_OK".into());
                }
            }
            "ROOM" => self.join(token, argument),
            _ => {}
        }
    }

    fn join(&mut self, token: usize, room: &str) {
        let members = self.rooms.entry(room.to_owned()).or_default();
        let others = members.clone();
        members.push(token);
        let id = |token: usize| {
            self.peers[token]
                .as_ref()
                .map_or("", |peer| peer.id.as_str())
        };
        let names: Vec<&str> = others.iter().map(|&other| id(other)).collect();
        let answer = format!("ROOM_OK {}", names.join(" "));
        let notice = Utf8Bytes::from(format!("ROOM_PEER_JOINED {}", id(token)));
        let room = room.to_owned();
        self.set_place(token, Place::Room { room });
        self.send(token, answer.into());
        for other in others {
            self.send(other, notice.clone());
        }
    }

    fn set_place(&mut self, token: usize, place: Place) {
        if let Some(peer) = self.peers[token].as_mut() {
            peer.place = place;
        }
    }

    /// Writes a message that leaves at the end of the turn, together with others.
    fn send(&mut self, to: usize, text: Utf8Bytes) {
        let Some(socket) = self.open(to) else {
            return;
        };
        match socket.write(Message::Text(text)) {
            Ok(()) => {}
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_gone_or_slow) => return self.close(to),
        }
        if let Some(peer) = self.peers[to].as_mut().filter(|peer| !peer.is_due) {
            peer.is_due = true;
            self.due.push(to);
        }
    }

    fn send_due(&mut self) -> io::Result<()> {
        // What is told of an end is sent as well.
        let mut index = 0;
        while let Some(&token) = self.due.get(index) {
            index += 1;
            if let Some(peer) = self.peers[token].as_mut().filter(|peer| peer.is_due) {
                peer.is_due = false;
                self.flush(token)?;
            }
        }
        self.due.clear();
        Ok(())
    }

    fn flush(&mut self, token: usize) -> io::Result<()> {
        let Some(socket) = self.open(token) else {
            return Ok(());
        };
        let is_blocked = match socket.flush() {
            Ok(()) => false,
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => true,
            Err(_gone) => {
                self.close(token);
                return Ok(());
            }
        };
        let Some(peer) = self.peers[token].as_mut() else {
            return Ok(());
        };
        if peer.is_blocked == is_blocked {
            return Ok(());
        }
        peer.is_blocked = is_blocked;
        let interest = if is_blocked {
            Interest::Both
        } else {
            Interest::Readable
        };
        match &peer.socket {
            Some(Socket::Open(socket)) => {
                self.poll.modify(&socket.get_ref().socket, token, interest)
            }
            Some(Socket::Opening(_)) | None => Ok(()),
        }
    }

    /// Lets go of a peer, and ends its session or tells its room.
    fn close(&mut self, token: usize) {
        let Some(peer) = self.peers[token].take() else {
            return;
        };
        self.free.push(token);
        self.ids.remove(&peer.id);
        match peer.place {
            Place::Lobby => {}
            Place::Session { partner } => {
                if let Some(socket) = self.open(partner) {
                    // The close frame goes at once; whoever does not take it is gone as well.
                    let _ = socket.close(None);
                }
                self.close(partner);
            }
            Place::Room { room } => {
                let others = self.rooms.entry(room).or_default();
                others.retain(|&other| other != token);
                let notice = Utf8Bytes::from(format!("ROOM_PEER_LEFT {}", peer.id));
                for other in others.clone() {
                    self.send(other, notice.clone());
                }
            }
        }
    }
}
