//! What the relay tells of itself: how much there is, what has happened, who is where.

use protocol::{PeerId, RoomId};

use super::{Connection, Place, Relay};

/// What has happened since the relay began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often a peer registered.
    pub registrations: u64,
    /// How often a session began.
    pub sessions: u64,
    /// How often a peer joined a room.
    pub joins: u64,
    /// Messages that had no meaning and were met with silence.
    pub ignored: u64,
    /// Messages that were answered with `ERROR`.
    pub errors: u64,
}

/// How much of everything there is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Registered peers.
    pub peers: usize,
    /// Rooms with at least one member.
    pub rooms: usize,
    /// Pairs of peers in a session.
    pub sessions: usize,
}

/// A registered peer, as seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerView {
    /// Its id.
    pub id: PeerId,
    /// Where it is.
    pub place: PlaceView,
}

/// Where a peer is, as seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceView {
    /// Registered, and free to be called.
    Lobby,
    /// In that room.
    Room(RoomId),
    /// In a session with that peer.
    Session(PeerId),
}

/// A room, as seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomView {
    /// Its id.
    pub id: RoomId,
    /// Its members in order of joining.
    pub peers: Vec<PeerId>,
}

impl Relay {
    /// What has happened since the relay began.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// How much of everything there is now.
    pub fn census(&self) -> Census {
        Census {
            peers: self.peers.len(),
            rooms: self.rooms.len(),
            sessions: self.sessions,
        }
    }

    /// Everybody who is registered, in the order of their ids.
    pub fn peers(&self) -> Vec<PeerView> {
        let mut peers: Vec<_> = self
            .connections
            .values()
            .filter_map(|connection| match connection {
                Connection::Registered(peer) => Some(PeerView {
                    id: peer.id.clone(),
                    place: self.view_of(&peer.place),
                }),
                Connection::Greeting { .. } | Connection::Closing => None,
            })
            .collect();
        peers.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        peers
    }

    /// All rooms, in the order of their ids.
    pub fn rooms(&self) -> Vec<RoomView> {
        let mut rooms: Vec<_> = self
            .rooms
            .iter()
            .map(|(id, members)| RoomView {
                id: id.clone(),
                peers: self.ids(members, None),
            })
            .collect();
        rooms.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        rooms
    }

    fn view_of(&self, place: &Place) -> PlaceView {
        match place {
            Place::Lobby => PlaceView::Lobby,
            Place::Room(room) => PlaceView::Room(room.clone()),
            // Both sides of a session leave it in the same turn.
            Place::Session(partner) => self
                .peer(*partner)
                .map_or(PlaceView::Lobby, |peer| PlaceView::Session(peer.id.clone())),
        }
    }
}
