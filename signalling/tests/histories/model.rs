//! The protocol once more, as naively as it can be told: one list of people, searched from end to
//! end for every question. Nothing of the relay's own structure is used.

use std::borrow::Cow;
use std::time::Duration;

use signalling::config::Limits;
use signalling::frame::{CloseReason, Message};
use signalling::relay::{Census, ConnectionId, Effect, Event, Pass, PeerView, PlaceView, RoomView};

pub(crate) const HELLO_DEADLINE: Duration = Duration::from_secs(10);

/// What a peer says, by its meaning; `Display` of the protocol crate is not used here.
#[derive(Clone, Debug)]
pub(crate) enum Saying {
    Hello(&'static str),
    Session(&'static str),
    Room(&'static str),
    Message(&'static str, Cow<'static, str>),
    List,
    /// A verb without what it needs.
    Bare(&'static str),
    /// `ROOM` with a name that no room may have.
    NoRoom(&'static str),
    /// A line without a meaning of its own.
    Anything(Cow<'static, str>),
    Binary(&'static [u8]),
}

/// How somebody comes in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) wants_notices: bool,
    /// The one id that its token is for.
    pub(crate) only_id: Option<&'static str>,
    /// The one room that its token is for.
    pub(crate) only_room: Option<&'static str>,
}

/// What goes over a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Text(String),
    Binary(Vec<u8>),
}

/// What the relay does, as the peers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Heard {
        by: ConnectionId,
        what: Sent,
    },
    Closed {
        connection: ConnectionId,
        reason: CloseReason,
    },
}

impl Entry {
    pub(crate) fn event(&self, connection: ConnectionId) -> Event<'static> {
        Event::Connected {
            connection,
            wants_notices: self.wants_notices,
            pass: Pass {
                peer: self.only_id.map(|id| id.parse().expect("an id")),
                room: self
                    .only_room
                    .map(|room| room.parse().expect("a room's id")),
            },
        }
    }
}

impl Sent {
    pub(crate) fn message(&self) -> Message<'_> {
        match self {
            Self::Text(text) => Message::Text(text),
            Self::Binary(bytes) => Message::Binary(bytes),
        }
    }
}

impl Seen {
    /// What an effect comes to, after that message.
    pub(crate) fn of(effect: Effect, message: Option<&Sent>) -> Self {
        let (by, what) = match (effect, message) {
            (Effect::Send { to, line }, _) => (to, Sent::Text(line.to_string())),
            (Effect::Forward { to }, Some(message)) => (to, message.clone()),
            (
                Effect::PassOn {
                    to,
                    from,
                    payload_at,
                },
                Some(Sent::Text(text)),
            ) => {
                let line = format!("ROOM_PEER_MSG {from} {}", &text[payload_at..]);
                (to, Sent::Text(line))
            }
            (Effect::Close { connection, reason }, _) => {
                return Self::Closed { connection, reason };
            }
            (effect, message) => panic!("{effect:?} cannot follow {message:?}"),
        };
        Self::Heard { by, what }
    }
}

impl Saying {
    pub(crate) fn sent(&self) -> Sent {
        let text = match self {
            Self::Hello(id) => format!("HELLO {id}"),
            Self::Session(id) => format!("SESSION {id}"),
            Self::Room(id) | Self::NoRoom(id) => format!("ROOM {id}"),
            Self::Message(id, payload) => format!("ROOM_PEER_MSG {id} {payload}"),
            Self::List => "ROOM_PEER_LIST".to_owned(),
            Self::Bare(verb) => (*verb).to_owned(),
            Self::Anything(text) => text.clone().into_owned(),
            Self::Binary(bytes) => return Sent::Binary(bytes.to_vec()),
        };
        Sent::Text(text)
    }
}

#[derive(Clone, Debug)]
struct Person {
    connection: ConnectionId,
    entry: Entry,
    came_at: Duration,
    /// Empty before `HELLO`.
    id: &'static str,
    partner: Option<ConnectionId>,
    /// Empty outside of rooms.
    room: &'static str,
    joined_as: usize,
    sent_away: bool,
}

pub(crate) struct Model {
    /// In order of coming.
    people: Vec<Person>,
    max_peers: usize,
    max_peers_per_room: usize,
    /// Since the beginning.
    pub(crate) now: Duration,
    joins: usize,
    stopped: bool,
    seen: Vec<Seen>,
}

impl Model {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            people: Vec::new(),
            max_peers: limits.peers,
            max_peers_per_room: limits.peers_per_room,
            now: Duration::ZERO,
            joins: 0,
            stopped: false,
            seen: Vec::new(),
        }
    }

    pub(crate) fn take_seen(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }

    pub(crate) fn connect(&mut self, connection: ConnectionId, entry: Entry) {
        self.people.push(Person {
            connection,
            entry,
            came_at: self.now,
            id: "",
            partner: None,
            room: "",
            joined_as: 0,
            sent_away: false,
        });
        if self.stopped {
            self.send_away(connection, CloseReason::Stopping);
        }
    }

    pub(crate) fn hear(&mut self, connection: ConnectionId, what: &Saying) {
        let me = self.person(connection).clone();
        if me.sent_away {
            // Nothing of it counts any more.
        } else if let Some(partner) = me.partner {
            self.seen.push(Seen::Heard {
                by: partner,
                what: what.sent(),
            });
        } else if me.id.is_empty() {
            self.hear_stranger(&me, what);
        } else if me.room.is_empty() {
            self.hear_idle(&me, what);
        } else {
            self.hear_member(&me, what);
        }
    }

    fn hear_stranger(&mut self, me: &Person, what: &Saying) {
        let &Saying::Hello(id) = what else {
            return self.send_away(me.connection, CloseReason::InvalidProtocol);
        };
        if me.entry.only_id.is_some_and(|only| only != id) {
            return self.send_away(me.connection, CloseReason::NotAllowed);
        }
        if self.called(id).is_some() {
            return self.send_away(me.connection, CloseReason::InvalidPeerId);
        }
        if self.registered().count() >= self.max_peers {
            return self.send_away(me.connection, CloseReason::RelayFull);
        }
        self.person(me.connection).id = id;
        self.tell(me, "HELLO".to_owned());
    }

    fn hear_idle(&mut self, me: &Person, what: &Saying) {
        let only_room = me.entry.only_room;
        match what {
            Saying::Session(_) if only_room.is_some() => self.forbid(me),
            &Saying::Room(room) if only_room.is_some_and(|only| only != room) => self.forbid(me),
            &Saying::Session(id) => match self.called(id) {
                None => self.tell(me, format!("ERROR peer {} not found", quoted(id))),
                Some(other)
                    if other.connection == me.connection
                        || other.partner.is_some()
                        || !other.room.is_empty()
                        || other.entry.only_room.is_some() =>
                {
                    self.tell(me, format!("ERROR peer {} busy", quoted(id)));
                }
                Some(other) => {
                    self.person(me.connection).partner = Some(other.connection);
                    self.person(other.connection).partner = Some(me.connection);
                    self.tell(me, "SESSION_OK".to_owned());
                    if other.entry.wants_notices {
                        self.tell(&other, format!("SESSION_FROM {}", me.id));
                    }
                }
            },
            &Saying::Room(room) => {
                let others = self.members(room, me);
                if others.len() >= self.max_peers_per_room {
                    return self.tell(me, format!("ERROR room {} is full", quoted(room)));
                }
                self.joins += 1;
                let joined_as = self.joins;
                let person = self.person(me.connection);
                (person.room, person.joined_as) = (room, joined_as);
                self.tell(me, format!("ROOM_OK {}", listed(&others)));
                for other in others {
                    self.tell(&other, format!("ROOM_PEER_JOINED {}", me.id));
                }
            }
            Saying::Message(..) | Saying::List | Saying::Bare("ROOM_PEER_MSG") => {
                self.tell(me, "ERROR invalid msg, not in a room".to_owned());
            }
            Saying::Bare(verb) => self.tell(me, format!("ERROR invalid msg, {verb} needs an id")),
            Saying::NoRoom(id) => self.tell(me, format!("ERROR invalid room id {}", quoted(id))),
            Saying::Hello(_) | Saying::Anything(_) | Saying::Binary(_) => {}
        }
    }

    fn hear_member(&mut self, me: &Person, what: &Saying) {
        match what {
            Saying::Message(id, payload) => match self.called(id) {
                None => self.tell(me, format!("ERROR peer {} not found", quoted(id))),
                Some(other) if other.room != me.room => {
                    self.tell(me, format!("ERROR peer {} is not in the room", quoted(id)));
                }
                Some(other) => self.tell(&other, format!("ROOM_PEER_MSG {} {payload}", me.id)),
            },
            Saying::List => {
                let others = self.members(me.room, me);
                self.tell(me, format!("ROOM_PEER_LIST {}", listed(&others)));
            }
            Saying::Bare("ROOM_PEER_MSG") => {
                let error = "ERROR invalid msg, ROOM_PEER_MSG needs a peer and a message";
                self.tell(me, error.to_owned());
            }
            Saying::Hello(_)
            | Saying::Session(_)
            | Saying::Room(_)
            | Saying::Bare(_)
            | Saying::NoRoom(_)
            | Saying::Anything(_)
            | Saying::Binary(_) => {
                self.tell(me, "ERROR invalid msg, already in room".to_owned());
            }
        }
    }

    pub(crate) fn lose(&mut self, connection: ConnectionId) {
        let me = self.person(connection).clone();
        self.people.retain(|person| person.connection != connection);
        self.part(&me);
    }

    pub(crate) fn send_away(&mut self, connection: ConnectionId, reason: CloseReason) {
        let me = self.person(connection).clone();
        if me.sent_away {
            return;
        }
        self.person(connection).sent_away = true;
        self.seen.push(Seen::Closed { connection, reason });
        self.part(&me);
    }

    /// Tells those who were with somebody that they no longer are.
    fn part(&mut self, me: &Person) {
        if me.sent_away {
            return;
        }
        if let Some(partner) = me.partner
            && self.people.iter().any(|other| other.connection == partner)
        {
            self.send_away(partner, CloseReason::PartnerLeft);
        }
        for other in self.members(me.room, me) {
            self.tell(&other, format!("ROOM_PEER_LEFT {}", me.id));
        }
    }

    pub(crate) fn tick(&mut self) {
        for person in self.people.clone() {
            if person.id.is_empty() && self.now - person.came_at >= HELLO_DEADLINE {
                self.send_away(person.connection, CloseReason::HelloTimeout);
            }
        }
    }

    pub(crate) fn stop(&mut self) {
        self.stopped = true;
        for person in &mut self.people {
            if !person.sent_away {
                person.sent_away = true;
                self.seen.push(Seen::Closed {
                    connection: person.connection,
                    reason: CloseReason::Stopping,
                });
            }
        }
    }

    /// The relay's view of everybody, sorted by id.
    pub(crate) fn peers(&mut self) -> Vec<PeerView> {
        let people: Vec<_> = self.registered().cloned().collect();
        let mut peers: Vec<_> = people
            .iter()
            .map(|person| PeerView {
                id: person.id.parse().expect("an id"),
                place: match person.partner {
                    Some(partner) => {
                        PlaceView::Session(self.person(partner).id.parse().expect("an id"))
                    }
                    None if person.room.is_empty() => PlaceView::Lobby,
                    None => PlaceView::Room(person.room.parse().expect("a room's id")),
                },
            })
            .collect();
        peers.sort_by(|one, other| one.id.cmp(&other.id));
        peers
    }

    /// The rooms with somebody in them, sorted by id.
    pub(crate) fn rooms(&self) -> Vec<RoomView> {
        let mut members: Vec<_> = self
            .registered()
            .filter(|person| !person.room.is_empty())
            .collect();
        members.sort_by_key(|member| (member.room, member.joined_as));
        members
            .chunk_by(|one, other| one.room == other.room)
            .map(|members| RoomView {
                id: members[0].room.parse().expect("a room's id"),
                peers: members
                    .iter()
                    .map(|member| member.id.parse().expect("an id"))
                    .collect(),
            })
            .collect()
    }

    pub(crate) fn census(&self) -> Census {
        let in_session = self.registered().filter(|person| person.partner.is_some());
        Census {
            peers: self.registered().count(),
            rooms: self.rooms().len(),
            sessions: in_session.count() / 2,
        }
    }

    fn registered(&self) -> impl Iterator<Item = &Person> {
        self.people
            .iter()
            .filter(|person| !person.id.is_empty() && !person.sent_away)
    }

    fn forbid(&mut self, me: &Person) {
        self.tell(me, "ERROR not allowed by this token".to_owned());
    }

    pub(crate) fn partner(&mut self, connection: ConnectionId) -> Option<ConnectionId> {
        let person = self.person(connection);
        person.partner.filter(|_| !person.sent_away)
    }

    fn person(&mut self, connection: ConnectionId) -> &mut Person {
        let position = self
            .people
            .binary_search_by_key(&connection, |person| person.connection)
            .expect("only those who are there are spoken of");
        &mut self.people[position]
    }

    fn called(&self, id: &str) -> Option<Person> {
        self.people
            .iter()
            .find(|person| person.id == id && !person.sent_away)
            .cloned()
    }

    /// Everybody else in a room, in order of joining.
    fn members(&self, room: &str, me: &Person) -> Vec<Person> {
        let mut members: Vec<_> = self
            .people
            .iter()
            .filter(|other| {
                !room.is_empty()
                    && other.room == room
                    && other.connection != me.connection
                    && !other.sent_away
            })
            .cloned()
            .collect();
        members.sort_by_key(|member| member.joined_as);
        members
    }

    fn tell(&mut self, person: &Person, line: String) {
        self.seen.push(Seen::Heard {
            by: person.connection,
            what: Sent::Text(line),
        });
    }
}

/// The ids of these histories need no more than the choice of the quotation mark.
fn quoted(id: &str) -> String {
    let mark = if id.contains('\'') { '"' } else { '\'' };
    format!("{mark}{id}{mark}")
}

fn listed(people: &[Person]) -> String {
    let ids: Vec<_> = people.iter().map(|person| person.id).collect();
    ids.join(" ")
}
