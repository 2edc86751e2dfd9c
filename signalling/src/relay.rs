//! The relay as a pure machine: who is registered, who talks with whom, what each is to be told.
//!
//! [`Relay::handle`] takes one event and appends the effects it has. Time is an argument; there is
//! no clock, socket, task or lock here, and nothing depends on the order of a hash table, so a
//! history of events always has the same effects. `PROTOCOL.md` is the normative text.

mod number;
mod overview;
mod rooms;

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::{ClientMessage, Malformed, PeerId, Refusal, RoomId, ServerMessage, Verb};
use tracing::{debug, info};

use crate::config::Limits;
use crate::frame::{CloseReason, Message};

pub(crate) use number::ByConnection;
pub use number::ConnectionId;
pub use overview::{Census, PeerView, PlaceView, RoomView, Tally};

/// What a token allows. By default everything a peer may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// The only id under which one may register.
    pub peer: Option<PeerId>,
    /// The only room one may join; who has one may start no session.
    pub room: Option<RoomId>,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A WebSocket was opened.
    Connected {
        /// Its new name.
        connection: ConnectionId,
        /// Whether it asked to be told who calls it.
        wants_notices: bool,
        /// What it may do.
        pass: Pass,
    },
    /// A message arrived.
    Received {
        /// Over which connection.
        connection: ConnectionId,
        /// What it was.
        message: Message<'a>,
    },
    /// The connection is gone, whoever ended it: nothing more arrives and nothing more can be said.
    Disconnected {
        /// Which one.
        connection: ConnectionId,
    },
    /// Its driver found a reason to end the connection.
    Condemned {
        /// Which one.
        connection: ConnectionId,
        /// What the peer did, or failed to do.
        reason: CloseReason,
    },
    /// Some time has passed.
    Tick,
    /// The relay shall end.
    Stopped,
}

/// What is to be done. The effects on one connection are in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Sends a line of the relay's own.
    Send {
        /// Over which connection.
        to: ConnectionId,
        /// What to send.
        line: Arc<str>,
    },
    /// Sends the message that arrived, as it is.
    Forward {
        /// Over which connection.
        to: ConnectionId,
    },
    /// Sends `ROOM_PEER_MSG`, the sender's id, and the end of the text message that arrived.
    PassOn {
        /// Over which connection.
        to: ConnectionId,
        /// Whose message it is.
        from: PeerId,
        /// Where in the message the part begins that is sent, in bytes.
        payload_at: usize,
    },
    /// Closes a connection once what was sent before is out. Nothing follows it.
    Close {
        /// Which one.
        connection: ConnectionId,
        /// What to tell the peer.
        reason: CloseReason,
    },
}

/// Everything the relay knows. See the [module](self).
#[derive(Debug)]
pub struct Relay {
    connections: ByConnection<Connection>,
    peers: HashMap<PeerId, ConnectionId>,
    /// The members in order of joining; a room without members does not exist.
    rooms: HashMap<RoomId, Vec<ConnectionId>>,
    /// When each connection came, the oldest first; those that said `HELLO` since are skipped.
    greetings: VecDeque<(Instant, ConnectionId)>,
    hello_deadline: Duration,
    max_peers: usize,
    max_peers_per_room: usize,
    stopping: bool,
    /// Pairs of peers in a session.
    sessions: usize,
    tally: Tally,
}

#[derive(Debug)]
enum Connection {
    /// No `HELLO` yet.
    Greeting {
        wants_notices: bool,
        pass: Pass,
    },
    Registered(Peer),
    /// Told to go; its id is free already.
    Closing,
}

#[derive(Debug)]
struct Peer {
    id: PeerId,
    wants_notices: bool,
    /// The one room it may join.
    only_room: Option<RoomId>,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Lobby,
    Room(RoomId),
    /// With that other connection, which is in a session with this one.
    Session(ConnectionId),
}

impl Relay {
    /// Makes a relay without connections that closes those which do not say `HELLO` in time.
    pub fn new(limits: &Limits, hello_deadline: Duration) -> Self {
        Self {
            connections: ByConnection::default(),
            peers: HashMap::new(),
            rooms: HashMap::new(),
            greetings: VecDeque::new(),
            hello_deadline,
            max_peers: limits.peers,
            max_peers_per_room: limits.peers_per_room,
            stopping: false,
            sessions: 0,
            tally: Tally::default(),
        }
    }

    /// Takes in one event and appends what is to be done about it.
    pub fn handle(&mut self, event: Event<'_>, now: Instant, effects: &mut Vec<Effect>) {
        match event {
            Event::Connected {
                connection,
                wants_notices,
                pass,
            } => {
                let greeting = Connection::Greeting {
                    wants_notices,
                    pass,
                };
                self.connected(connection, greeting, now, effects);
            }
            Event::Received {
                connection,
                message,
            } => self.received(connection, message, effects),
            Event::Disconnected { connection } => {
                if let Some(before) = self.connections.remove(&connection) {
                    self.release(connection, before, effects);
                }
            }
            Event::Condemned { connection, reason } => {
                if let Some(peer) = self.peer(connection) {
                    info!(peer = ?peer.id, ?reason, "sent away");
                }
                self.close(connection, reason, effects);
            }
            Event::Tick => self.tick(now, effects),
            Event::Stopped => self.stop(effects),
        }
    }

    /// The other side of this connection's session.
    pub fn partner(&self, connection: ConnectionId) -> Option<ConnectionId> {
        match self.peer(connection)?.place {
            Place::Session(partner) => Some(partner),
            Place::Lobby | Place::Room(_) => None,
        }
    }

    /// Whether nothing is known of anybody.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
            && self.peers.is_empty()
            && self.rooms.is_empty()
            && self.greetings.is_empty()
    }

    fn connected(
        &mut self,
        connection: ConnectionId,
        greeting: Connection,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        self.connections.insert(connection, greeting);
        if self.stopping {
            return self.close(connection, CloseReason::Stopping, effects);
        }
        self.skip_those_who_greeted();
        self.greetings.push_back((now, connection));
    }

    /// Those in front who said `HELLO`, or left, need not be remembered any longer.
    fn skip_those_who_greeted(&mut self) {
        while let Some((_, connection)) = self.greetings.front()
            && !matches!(
                self.connections.get(connection),
                Some(Connection::Greeting { .. })
            )
        {
            self.greetings.pop_front();
        }
    }

    fn received(&mut self, from: ConnectionId, message: Message<'_>, effects: &mut Vec<Effect>) {
        match self.connections.get(&from) {
            None | Some(Connection::Closing) => {}
            Some(Connection::Greeting { .. }) => self.received_greeting(from, message, effects),
            Some(Connection::Registered(peer)) => match peer.place {
                Place::Session(to) => effects.push(Effect::Forward { to }),
                Place::Lobby => self.received_in_lobby(from, message, effects),
                Place::Room(_) => self.received_in_room(from, message, effects),
            },
        }
    }

    fn received_greeting(
        &mut self,
        from: ConnectionId,
        message: Message<'_>,
        effects: &mut Vec<Effect>,
    ) {
        let Message::Text(line) = message else {
            return self.close(from, CloseReason::InvalidProtocol, effects);
        };
        match ClientMessage::parse(line) {
            Ok(ClientMessage::Hello(id)) => self.register(from, id, effects),
            Err(Malformed::InvalidPeerId) => {
                self.close(from, CloseReason::InvalidPeerId, effects);
            }
            Ok(
                ClientMessage::Session(_)
                | ClientMessage::Room(_)
                | ClientMessage::RoomPeerMsg { .. }
                | ClientMessage::RoomPeerList,
            )
            | Err(
                Malformed::MissingArgument(_) | Malformed::InvalidRoomId(_) | Malformed::Unknown,
            ) => self.close(from, CloseReason::InvalidProtocol, effects),
        }
    }

    fn register(&mut self, connection: ConnectionId, id: PeerId, effects: &mut Vec<Effect>) {
        let Some(Connection::Greeting {
            wants_notices,
            pass,
        }) = self.connections.get_mut(&connection)
        else {
            return;
        };
        let refused = if pass.peer.as_ref().is_some_and(|only| *only != id) {
            Some(CloseReason::NotAllowed)
        } else if self.peers.contains_key(&id) {
            Some(CloseReason::InvalidPeerId)
        } else if self.peers.len() >= self.max_peers {
            Some(CloseReason::RelayFull)
        } else {
            None
        };
        if let Some(reason) = refused {
            return self.close(connection, reason, effects);
        }
        debug!(peer = ?id, "registered");
        let peer = Peer {
            id: id.clone(),
            wants_notices: *wants_notices,
            only_room: pass.room.take(),
            place: Place::Lobby,
        };
        self.tally.registrations += 1;
        self.peers.insert(id, connection);
        self.connections
            .insert(connection, Connection::Registered(peer));
        tell(connection, &ServerMessage::Hello, effects);
    }

    /// A published client quits when it is told of an error it did not ask for, so what has no
    /// meaning here is met with silence.
    fn received_in_lobby(
        &mut self,
        from: ConnectionId,
        message: Message<'_>,
        effects: &mut Vec<Effect>,
    ) {
        let Message::Text(line) = message else {
            self.tally.ignored += 1;
            return debug!("binary message out of a session ignored");
        };
        match ClientMessage::parse(line) {
            Ok(ClientMessage::Session(callee)) => self.start_session(from, callee, effects),
            Ok(ClientMessage::Room(room)) => self.join_room(from, room, effects),
            Ok(ClientMessage::RoomPeerMsg { .. } | ClientMessage::RoomPeerList)
            | Err(Malformed::MissingArgument(Verb::RoomPeerMsg)) => {
                self.refuse(from, &Refusal::NotInRoom, effects);
            }
            Err(Malformed::MissingArgument(verb)) => {
                self.refuse(from, &Refusal::MissingArgument(verb), effects);
            }
            Err(Malformed::InvalidRoomId(id)) => {
                self.refuse(from, &Refusal::InvalidRoomId(id), effects);
            }
            Ok(ClientMessage::Hello(_)) | Err(Malformed::InvalidPeerId | Malformed::Unknown) => {
                self.tally.ignored += 1;
                debug!(bytes = line.len(), "unknown line ignored");
            }
        }
    }

    fn start_session(&mut self, from: ConnectionId, callee: &str, effects: &mut Vec<Effect>) {
        if self.peer(from).is_some_and(|peer| peer.only_room.is_some()) {
            return self.refuse(from, &Refusal::NotAllowed, effects);
        }
        let Some(&to) = self.peers.get(callee) else {
            return self.refuse(from, &Refusal::PeerNotFound(callee), effects);
        };
        // Who has a token for a room alone is not to be called either.
        let free =
            |peer: &&Peer| to != from && peer.place == Place::Lobby && peer.only_room.is_none();
        let Some(wants_notices) = self.peer(to).filter(free).map(|peer| peer.wants_notices) else {
            return self.refuse(from, &Refusal::PeerBusy(callee), effects);
        };
        let Some(caller) = self.peer_mut(from) else {
            return;
        };
        caller.place = Place::Session(to);
        let caller = caller.id.clone();
        if let Some(callee) = self.peer_mut(to) {
            callee.place = Place::Session(from);
        }
        debug!(?caller, ?callee, "session started");
        self.sessions += 1;
        self.tally.sessions += 1;
        tell(from, &ServerMessage::SessionOk, effects);
        if wants_notices {
            tell(to, &ServerMessage::SessionFrom(caller), effects);
        }
    }

    fn refuse(&mut self, to: ConnectionId, refusal: &Refusal<'_>, effects: &mut Vec<Effect>) {
        self.tally.errors += 1;
        let error = ServerMessage::Error(&refusal.to_string());
        tell(to, &error, effects);
    }

    fn tick(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        while let Some(&(since, connection)) = self.greetings.front() {
            if now.saturating_duration_since(since) < self.hello_deadline {
                return;
            }
            self.greetings.pop_front();
            if let Some(Connection::Greeting { .. }) = self.connections.get(&connection) {
                self.close(connection, CloseReason::HelloTimeout, effects);
            }
        }
    }

    /// Closes every connection for the same reason: for nobody is it the partner who left.
    fn stop(&mut self, effects: &mut Vec<Effect>) {
        self.stopping = true;
        self.peers.clear();
        self.rooms.clear();
        self.sessions = 0;
        self.greetings.clear();
        let mut open: Vec<_> = self
            .connections
            .iter_mut()
            .filter(|(_, connection)| !matches!(connection, Connection::Closing))
            .map(|(&id, connection)| {
                *connection = Connection::Closing;
                id
            })
            .collect();
        open.sort_unstable();
        effects.extend(open.into_iter().map(|connection| Effect::Close {
            connection,
            reason: CloseReason::Stopping,
        }));
    }

    fn close(&mut self, connection: ConnectionId, reason: CloseReason, effects: &mut Vec<Effect>) {
        let Some(state) = self.connections.get_mut(&connection) else {
            return;
        };
        let before = mem::replace(state, Connection::Closing);
        if matches!(before, Connection::Closing) {
            return;
        }
        debug!(?connection, ?reason, "closing");
        effects.push(Effect::Close { connection, reason });
        self.release(connection, before, effects);
    }

    /// Frees all that a connection held and tells those it concerns.
    fn release(&mut self, connection: ConnectionId, before: Connection, effects: &mut Vec<Effect>) {
        let Connection::Registered(peer) = before else {
            return;
        };
        debug!(peer = ?peer.id, "left");
        self.peers.remove(&peer.id);
        match peer.place {
            Place::Lobby => {}
            Place::Session(partner) => {
                // The partner is in the same session: its own place says so until it is closed too.
                if let Some(peer) = self.peer_mut(partner) {
                    peer.place = Place::Lobby;
                    self.sessions -= 1;
                }
                self.close(partner, CloseReason::PartnerLeft, effects);
            }
            Place::Room(room) => self.leave_room(connection, peer.id, room, effects),
        }
    }

    fn ids(&self, members: &[ConnectionId], except: Option<ConnectionId>) -> Vec<PeerId> {
        members
            .iter()
            .filter(|&&member| Some(member) != except)
            .filter_map(|&member| Some(self.peer(member)?.id.clone()))
            .collect()
    }

    fn peer(&self, connection: ConnectionId) -> Option<&Peer> {
        match self.connections.get(&connection)? {
            Connection::Registered(peer) => Some(peer),
            Connection::Greeting { .. } | Connection::Closing => None,
        }
    }

    fn peer_mut(&mut self, connection: ConnectionId) -> Option<&mut Peer> {
        match self.connections.get_mut(&connection)? {
            Connection::Registered(peer) => Some(peer),
            Connection::Greeting { .. } | Connection::Closing => None,
        }
    }
}

fn tell(to: ConnectionId, message: &ServerMessage<'_>, effects: &mut Vec<Effect>) {
    tell_all(&[to], message, effects);
}

fn tell_all(all: &[ConnectionId], message: &ServerMessage<'_>, effects: &mut Vec<Effect>) {
    let line: Arc<str> = message.to_string().into();
    effects.extend(all.iter().map(|&to| Effect::Send {
        to,
        line: Arc::clone(&line),
    }));
}
