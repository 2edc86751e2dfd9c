//! What peers do when it is their turn.

use std::time::Duration;

use signalling::frame::CloseReason;
use signalling::relay::ConnectionId;

use super::{Plan, World};
use crate::model::Saying;
use crate::peer::Place;
use crate::words::{self, NOBODY, Tag};

/// For how long a peer may wait until its partner has read more.
const STALL_LIMIT: Duration = Duration::from_secs(5);

impl World {
    pub(super) fn speak(&mut self, connection: ConnectionId) {
        let Some(peer) = self.peers.get(&connection) else {
            return;
        };
        match peer.place {
            Place::Greeting if self.chance.u32(..50) == 0 => return,
            Place::Greeting => self.introduce(connection),
            Place::Lobby => self.speak_in_lobby(connection),
            Place::Session(partner) => self.speak_in_session(connection, partner),
            Place::Room(room) => self.speak_in_room(connection, room),
            Place::Gone => self.say(connection, Saying::List),
        }
        self.plan_within(10_000, Plan::Speak(connection));
    }

    fn introduce(&mut self, connection: ConnectionId) {
        let saying = match self.chance.u32(..40) {
            0 => Saying::Anything(words::some_nonsense(&mut self.chance).into()),
            1 => Saying::Binary(b"HELLO a"),
            2 | 3 => Saying::Hello(self.somebody()),
            _ => {
                let only = self.peers[&connection].only_id;
                Saying::Hello(only.unwrap_or_else(|| self.an_id_of_ones_own()))
            }
        };
        self.say(connection, saying);
    }

    /// An id that is free, most of the time.
    fn an_id_of_ones_own(&mut self) -> &'static str {
        let mut id = words::some_id(&mut self.chance);
        for _ in 0..3 {
            if !self.holders.contains_key(id) {
                break;
            }
            id = words::some_id(&mut self.chance);
        }
        id
    }

    fn speak_in_lobby(&mut self, connection: ConnectionId) {
        let saying = match self.chance.u32(..40) {
            0..15 => Saying::Session(self.somebody()),
            15 => Saying::Session("nobody"),
            16..30 => Saying::Room(words::some_room(&mut self.chance)),
            30 => Saying::Bare("SESSION"),
            31 => Saying::Bare("ROOM_PEER_MSG"),
            32 => Saying::NoRoom("session"),
            33 => Saying::Message(self.somebody(), "out of any room".into()),
            34 => Saying::List,
            35 => Saying::Binary(b"\xff\x00"),
            36 => Saying::Hello(words::some_id(&mut self.chance)),
            37 => return self.plan_within(100, Plan::Vanish(connection)),
            _ => Saying::Anything(words::some_nonsense(&mut self.chance).into()),
        };
        self.say(connection, saying);
    }

    fn speak_in_session(&mut self, connection: ConnectionId, partner: ConnectionId) {
        if self.has_to_wait(connection, partner) {
            return;
        }
        let saying = match self.chance.u32(..40) {
            0..3 => return self.plan_within(100, Plan::Vanish(connection)),
            3 => return self.condemn(connection, CloseReason::BrokenFrame),
            4 => Saying::Session(self.somebody()),
            5 => Saying::Room("room-1"),
            6 => Saying::Hello("peer-0"),
            7 => Saying::Binary(b"\xff\x00"),
            8 => Saying::Anything(words::some_nonsense(&mut self.chance).into()),
            9..12 => {
                for _ in 0..10 {
                    let line = self.tagged(connection, partner, 1000);
                    self.say(connection, Saying::Anything(line.into()));
                }
                return;
            }
            _ => Saying::Anything(self.tagged(connection, partner, 100).into()),
        };
        self.say(connection, saying);
    }

    /// Who has a partner with much to read is not read itself; and that has an end.
    fn has_to_wait(&mut self, connection: ConnectionId, partner: ConnectionId) -> bool {
        let is_congested = self.peers[&partner].is_congested();
        let now = self.now;
        let peer = self.peers.get_mut(&connection).expect("it speaks");
        if !is_congested {
            peer.waits_since = None;
            return false;
        }
        self.tally.waits_for_partner += 1;
        let since = *peer.waits_since.get_or_insert(now);
        if now - since >= STALL_LIMIT {
            self.condemn(partner, CloseReason::SlowConsumer);
        }
        true
    }

    fn speak_in_room(&mut self, connection: ConnectionId, room: &'static str) {
        let saying = match self.chance.u32(..40) {
            0..2 => return self.plan_within(100, Plan::Vanish(connection)),
            2 => return self.condemn(connection, CloseReason::KeepaliveTimeout),
            3 => Saying::Session(self.somebody()),
            4 => Saying::Room("room-1"),
            5 => Saying::Bare("ROOM_PEER_MSG"),
            6 => Saying::Binary(b""),
            7 => Saying::Anything(words::some_nonsense(&mut self.chance).into()),
            8..14 => Saying::List,
            14..18 => {
                let to = self.somebody();
                return self.say_to(connection, room, to, 10);
            }
            18..20 => {
                let to = self.a_member(connection);
                for _ in 0..10 {
                    self.say_to(connection, room, to, 1000);
                }
                return;
            }
            _ => {
                let to = self.a_member(connection);
                return self.say_to(connection, room, to, 100);
            }
        };
        self.say(connection, saying);
    }

    /// Says something to a member of the room, or to somebody who must not hear it.
    fn say_to(&mut self, from: ConnectionId, room: &'static str, id: &'static str, bytes: usize) {
        let here = |to: &ConnectionId| self.peers[to].place == Place::Room(room);
        let to = self.holders.get(id).copied().filter(here).unwrap_or(NOBODY);
        let payload = self.tagged(from, to, bytes);
        self.say(from, Saying::Message(id, payload.into()));
    }

    /// Somebody the peer read of, who may have left since.
    fn a_member(&mut self, connection: ConnectionId) -> &'static str {
        let peer = &self.peers[&connection];
        let member = self.chance.choice(peer.members());
        member
            .and_then(|member| self.holders.get_key_value(member.as_str()))
            .map_or("peer-0", |(&id, _)| id)
    }

    /// The id of somebody who is there, perhaps the one who asks.
    fn somebody(&mut self) -> &'static str {
        let newest = self.tally.connections;
        let from = ConnectionId(self.chance.u64(..newest));
        self.peers
            .range(from..)
            .find_map(|(_, peer)| peer.id)
            .unwrap_or("nobody")
    }

    fn tagged(&mut self, from: ConnectionId, to: ConnectionId, bytes: usize) -> String {
        let number = self.numbers.entry((from, to)).or_insert(0);
        *number += 1;
        let number = *number;
        Tag { from, to, number }.text(bytes)
    }
}
