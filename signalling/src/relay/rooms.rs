//! Rooms: who joins, who leaves, and what is said there.

use protocol::{ClientMessage, Malformed, PeerId, Refusal, RoomId, ServerMessage, Verb};
use tracing::debug;

use super::{ConnectionId, Effect, Peer, Place, Relay, tell, tell_all};
use crate::frame::Message;

impl Relay {
    pub(super) fn join_room(
        &mut self,
        newcomer: ConnectionId,
        room: RoomId,
        effects: &mut Vec<Effect>,
    ) {
        let members = self.rooms.get(&room).map_or(0, Vec::len);
        let is_full = members >= self.max_peers_per_room;
        let Some(peer) = self.peer_mut(newcomer) else {
            return;
        };
        if peer.only_room.as_ref().is_some_and(|only| *only != room) {
            return self.refuse(newcomer, &Refusal::NotAllowed, effects);
        }
        if is_full {
            return self.refuse(newcomer, &Refusal::RoomFull(room.as_str()), effects);
        }
        peer.place = Place::Room(room.clone());
        let id = peer.id.clone();
        debug!(peer = ?id, ?room, "joined");
        self.tally.joins += 1;
        let others = self.rooms.get(&room).cloned().unwrap_or_default();
        tell(
            newcomer,
            &ServerMessage::RoomOk(self.ids(&others, None)),
            effects,
        );
        tell_all(&others, &ServerMessage::RoomPeerJoined(id), effects);
        self.rooms.entry(room).or_default().push(newcomer);
    }

    pub(super) fn received_in_room(
        &mut self,
        from: ConnectionId,
        message: Message<'_>,
        effects: &mut Vec<Effect>,
    ) {
        let Message::Text(line) = message else {
            return self.refuse(from, &Refusal::AlreadyInRoom, effects);
        };
        match ClientMessage::parse(line) {
            Ok(ClientMessage::RoomPeerMsg { to, payload }) => {
                let payload_at = line.len() - payload.len();
                self.pass_in_room(from, to, payload_at, effects);
            }
            Ok(ClientMessage::RoomPeerList) => {
                let room = self.peer(from).and_then(Peer::room);
                let members = room.and_then(|room| self.rooms.get(room));
                let members = members.map_or(&[][..], Vec::as_slice);
                let others = ServerMessage::RoomPeerList(self.ids(members, Some(from)));
                tell(from, &others, effects);
            }
            Err(Malformed::MissingArgument(verb @ Verb::RoomPeerMsg)) => {
                self.refuse(from, &Refusal::MissingArgument(verb), effects);
            }
            Ok(ClientMessage::Hello(_) | ClientMessage::Session(_) | ClientMessage::Room(_))
            | Err(
                Malformed::MissingArgument(_)
                | Malformed::InvalidPeerId
                | Malformed::InvalidRoomId(_)
                | Malformed::Unknown,
            ) => self.refuse(from, &Refusal::AlreadyInRoom, effects),
        }
    }

    fn pass_in_room(
        &mut self,
        from: ConnectionId,
        to: &str,
        payload_at: usize,
        effects: &mut Vec<Effect>,
    ) {
        let Some(&addressee) = self.peers.get(to) else {
            return self.refuse(from, &Refusal::PeerNotFound(to), effects);
        };
        let (Some(sender), Some(receiver)) = (self.peer(from), self.peer(addressee)) else {
            return;
        };
        // The sender is in a room, so that equal places are the same room.
        if sender.place != receiver.place {
            return self.refuse(from, &Refusal::PeerNotInRoom(to), effects);
        }
        effects.push(Effect::PassOn {
            to: addressee,
            from: sender.id.clone(),
            payload_at,
        });
    }

    pub(super) fn leave_room(
        &mut self,
        leaver: ConnectionId,
        id: PeerId,
        room: RoomId,
        effects: &mut Vec<Effect>,
    ) {
        let Some(members) = self.rooms.get_mut(&room) else {
            return;
        };
        members.retain(|&member| member != leaver);
        if members.is_empty() {
            self.rooms.remove(&room);
        } else {
            tell_all(members, &ServerMessage::RoomPeerLeft(id), effects);
        }
    }
}

impl Peer {
    fn room(&self) -> Option<&RoomId> {
        match &self.place {
            Place::Room(room) => Some(room),
            Place::Lobby | Place::Session(_) => None,
        }
    }
}
