//! The relay, its peers and the time, with everything that is not the relay simulated.

mod habits;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::thread;
use std::time::{Duration, Instant};

use signalling::config::Limits;
use signalling::frame::CloseReason;
use signalling::relay::{ConnectionId, Event, Relay};

use crate::model::{Entry, HELLO_DEADLINE, Model, Saying, Seen, Sent};
use crate::peer::{Peer, Place, Speed};
use crate::words;

/// So many are there at once, more or less.
const CROWD: u64 = 2500;

/// So many are let in, which is less.
const MAX_PEERS: usize = 2250;

/// So many are let into one room, which one room has.
const MAX_PEERS_PER_ROOM: usize = 80;

/// So many events a history has before everybody leaves.
const EVENTS: u64 = 45_000;

/// So many events lie between two looks at everything.
const EVENTS_BETWEEN_LOOKS: u64 = 2000;

/// So much of what happened last is told when a history fails.
const EVENTS_TOLD: usize = 40;

pub(crate) struct World {
    seed: u64,
    chance: fastrand::Rng,
    relay: Relay,
    model: Model,
    start: Instant,
    now: Duration,
    agenda: BinaryHeap<Reverse<(Duration, u64, Plan)>>,
    plans_so_far: u64,
    /// In order of coming.
    peers: BTreeMap<ConnectionId, Peer>,
    holders: HashMap<&'static str, ConnectionId>,
    /// Ids that became free in this turn.
    freed: Vec<&'static str>,
    /// The number of the last message between any two.
    numbers: HashMap<(ConnectionId, ConnectionId), u64>,
    events: u64,
    last: VecDeque<(Duration, String)>,
    tally: Tally,
}

/// What is going to happen at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Plan {
    Arrive,
    Speak(ConnectionId),
    Read(ConnectionId),
    Vanish(ConnectionId),
    Tick,
}

/// How often what happened.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) connections: u64,
    pub(crate) registrations: u64,
    pub(crate) sessions: u64,
    pub(crate) joins: u64,
    pub(crate) tagged_messages_read: u64,
    pub(crate) member_lists_read: u64,
    pub(crate) ids_reused_at_once: u64,
    pub(crate) slow_consumers: u64,
    pub(crate) hello_timeouts: u64,
    pub(crate) refused_hellos: u64,
    pub(crate) partners_left: u64,
    pub(crate) waits_for_partner: u64,
    pub(crate) refused_as_full: u64,
    pub(crate) refused_by_token: u64,
    pub(crate) full_rooms_read_of: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "some instant is needed to start from"
        )]
        let start = Instant::now();
        let limits = Limits {
            peers: MAX_PEERS,
            peers_per_room: MAX_PEERS_PER_ROOM,
            ..Limits::default()
        };
        Self {
            seed,
            chance: fastrand::Rng::with_seed(seed),
            relay: Relay::new(&limits, HELLO_DEADLINE),
            model: Model::new(&limits),
            start,
            now: Duration::ZERO,
            agenda: BinaryHeap::new(),
            plans_so_far: 0,
            peers: BTreeMap::new(),
            holders: HashMap::new(),
            freed: Vec::new(),
            numbers: HashMap::new(),
            events: 0,
            last: VecDeque::new(),
            tally: Tally::default(),
        }
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Lets everybody come, talk, and go again.
    pub(crate) fn live(&mut self) {
        for _ in 0..CROWD {
            self.plan_within(10_000, Plan::Arrive);
        }
        self.plan_within(1000, Plan::Tick);
        let mut next_look = EVENTS_BETWEEN_LOOKS;
        while self.events < EVENTS {
            let Reverse((at, _, plan)) = self.agenda.pop().expect("time goes on for ever");
            self.now = at;
            self.model.now = at;
            self.carry_out(plan);
            self.use_freed_ids();
            if self.events >= next_look {
                next_look += EVENTS_BETWEEN_LOOKS;
                self.look_at_everything();
            }
        }
    }

    /// Sends everybody home, and sees that nothing is left of them.
    pub(crate) fn end(&mut self) {
        self.look_at_everything();
        if self.seed.is_multiple_of(2) {
            self.model.stop();
            self.happen(Event::Stopped);
            self.look_at_everything();
        }
        let mut leaving: Vec<_> = self.peers.keys().copied().collect();
        self.chance.shuffle(&mut leaving);
        for connection in leaving {
            self.vanish(connection);
        }
        self.now += HELLO_DEADLINE;
        self.model.now = self.now;
        self.tick();
        assert!(self.relay.is_empty(), "{:?}", self.relay);
        assert!(self.holders.is_empty());
    }

    fn carry_out(&mut self, plan: Plan) {
        match plan {
            Plan::Arrive => {
                let entry = self.an_entry();
                let connection = self.arrive(entry);
                self.plan_within(3000, Plan::Speak(connection));
            }
            Plan::Speak(connection) => self.speak(connection),
            Plan::Read(connection) => {
                if let Some(peer) = self.peers.get_mut(&connection) {
                    peer.reads_soon = false;
                    peer.read(&mut self.tally);
                    self.plan_reading(connection);
                }
            }
            Plan::Vanish(connection) => {
                if self.peers.contains_key(&connection) {
                    self.vanish(connection);
                    self.plan_within(2000, Plan::Arrive);
                }
            }
            Plan::Tick => {
                self.tick();
                self.plan_within(1000, Plan::Tick);
            }
        }
    }

    /// How the next one comes: some with a token for one id, or for one room.
    fn an_entry(&mut self) -> Entry {
        let (has_id, has_room) = (self.chance.u32(..20) == 0, self.chance.u32(..20) == 0);
        Entry {
            wants_notices: self.chance.bool(),
            only_id: has_id.then(|| words::some_id(&mut self.chance)),
            only_room: has_room.then(|| words::some_room(&mut self.chance)),
        }
    }

    fn arrive(&mut self, entry: Entry) -> ConnectionId {
        self.tally.connections += 1;
        let connection = ConnectionId(self.tally.connections);
        let speed = match self.chance.u32(..20) {
            0 => Speed::Deaf,
            1..=3 => Speed::Slow(self.chance.u32(100..4000)),
            _ => Speed::Fast,
        };
        self.peers
            .insert(connection, Peer::new(connection, speed, entry.only_id));
        self.model.connect(connection, entry);
        self.happen(entry.event(connection));
        connection
    }

    fn tick(&mut self) {
        self.model.tick();
        self.happen(Event::Tick);
    }

    fn vanish(&mut self, connection: ConnectionId) {
        self.free(connection);
        self.peers.remove(&connection);
        self.model.lose(connection);
        self.happen(Event::Disconnected { connection });
    }

    fn condemn(&mut self, connection: ConnectionId, reason: CloseReason) {
        self.model.send_away(connection, reason);
        self.happen(Event::Condemned { connection, reason });
    }

    /// An id that somebody lost in this turn is somebody else's in the next.
    fn use_freed_ids(&mut self) {
        while let Some(id) = self.freed.pop() {
            if self.chance.u32(..4) != 0 || self.holders.contains_key(id) {
                continue;
            }
            let connection = self.arrive(Entry::default());
            self.say(connection, Saying::Hello(id));
            assert_eq!(self.holders.get(id), Some(&connection), "{id} is free");
            self.tally.ids_reused_at_once += 1;
            self.plan_within(3000, Plan::Speak(connection));
        }
    }

    fn say(&mut self, connection: ConnectionId, saying: Saying) {
        let Some(peer) = self.peers.get_mut(&connection) else {
            return;
        };
        if let Saying::Hello(id) | Saying::Session(id) | Saying::Room(id) = &saying {
            peer.asked = id;
        }
        self.model.hear(connection, &saying);
        let sent = saying.sent();
        let message = sent.message();
        let event = Event::Received {
            connection,
            message,
        };
        self.happen_with(event, Some(&sent));
    }

    /// One event, and in the same turn what follows from it, as the hub does it.
    fn happen(&mut self, event: Event<'_>) {
        self.happen_with(event, None);
    }

    fn happen_with(&mut self, event: Event<'_>, sent: Option<&Sent>) {
        let mut full = Vec::new();
        let mut next = Some(event);
        while let Some(event) = next {
            self.events += 1;
            self.remember(&event);
            let mut effects = Vec::new();
            let now = self.start + self.now;
            self.relay.handle(event, now, &mut effects);
            let seen: Vec<_> = effects
                .into_iter()
                .map(|effect| Seen::of(effect, sent))
                .collect();
            assert_eq!(seen, self.model.take_seen());
            for seen in seen {
                full.extend(self.deliver(seen));
            }
            next = full.pop().map(|connection| {
                let reason = CloseReason::SlowConsumer;
                self.model.send_away(connection, reason);
                Event::Condemned { connection, reason }
            });
        }
    }

    fn remember(&mut self, event: &Event<'_>) {
        if self.last.len() == EVENTS_TOLD {
            self.last.pop_front();
        }
        self.last.push_back((self.now, format!("{event:?}")));
    }

    /// Gives a peer what is for it; returns the one for which there is no room.
    fn deliver(&mut self, seen: Seen) -> Option<ConnectionId> {
        match seen {
            Seen::Heard { by: to, what } => {
                self.notice(to, &what);
                let peer = self
                    .peers
                    .get_mut(&to)
                    .expect("only to those who are there");
                assert_ne!(peer.place, Place::Gone, "{to:?} is closed");
                assert_ne!(peer.place, Place::Greeting, "{to:?} is not registered");
                let is_full = peer.push(what).is_err();
                self.plan_reading(to);
                is_full.then_some(to)
            }
            Seen::Closed { connection, reason } => {
                self.free(connection);
                let peer = self.peers.get_mut(&connection).expect("it is there");
                assert_ne!(peer.place, Place::Gone, "{connection:?} is closed twice");
                peer.close(reason);
                self.count(reason);
                self.plan_within(3000, Plan::Vanish(connection));
                None
            }
        }
    }

    /// Learns from an answer of the relay where its addressee is from now on.
    fn notice(&mut self, to: ConnectionId, what: &Sent) {
        let Sent::Text(line) = what else { return };
        let peer = self
            .peers
            .get_mut(&to)
            .expect("only to those who are there");
        let asked = peer.asked;
        match peer.place {
            Place::Greeting if line.as_str() == "HELLO" => {
                peer.place = Place::Lobby;
                peer.id = Some(asked);
                self.tally.registrations += 1;
                let before = self.holders.insert(asked, to);
                assert_eq!(before, None, "{asked} has two holders");
            }
            Place::Lobby if line.as_str() == "SESSION_OK" => {
                self.tally.sessions += 1;
                let partner = self.holders[asked];
                for (one, other) in [(to, partner), (partner, to)] {
                    let peer = self.peers.get_mut(&one).expect("it has an id");
                    assert_eq!(peer.place, Place::Lobby, "{one:?} has a partner");
                    peer.place = Place::Session(other);
                }
            }
            Place::Lobby if line.starts_with("ROOM_OK ") => {
                self.tally.joins += 1;
                peer.place = Place::Room(asked);
                peer.joined_as = self.tally.joins;
            }
            Place::Greeting | Place::Lobby | Place::Session(_) | Place::Room(_) | Place::Gone => {}
        }
    }

    fn free(&mut self, connection: ConnectionId) {
        let peer = self.peers.get_mut(&connection).expect("it is there");
        if let Some(id) = peer.id.take() {
            self.holders.remove(id);
            self.freed.push(id);
        }
    }

    fn count(&mut self, reason: CloseReason) {
        let tally = &mut self.tally;
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the others need no counting"
        )]
        match reason {
            CloseReason::SlowConsumer => tally.slow_consumers += 1,
            CloseReason::HelloTimeout => tally.hello_timeouts += 1,
            CloseReason::InvalidPeerId => tally.refused_hellos += 1,
            CloseReason::PartnerLeft => tally.partners_left += 1,
            CloseReason::RelayFull => tally.refused_as_full += 1,
            CloseReason::NotAllowed => tally.refused_by_token += 1,
            _ => {}
        }
    }

    /// What is true of all peers together.
    fn look_at_everything(&mut self) {
        assert_eq!(self.relay.census(), self.model.census());
        assert_eq!(self.relay.peers(), self.model.peers());
        assert_eq!(self.relay.rooms(), self.model.rooms());
        let mut rooms: HashMap<&str, Vec<&Peer>> = HashMap::new();
        for (&connection, peer) in &self.peers {
            let partner = match peer.place {
                Place::Session(partner) => Some(partner),
                Place::Room(room) => {
                    rooms.entry(room).or_default().push(peer);
                    None
                }
                Place::Greeting | Place::Lobby | Place::Gone => None,
            };
            assert_eq!(self.relay.partner(connection), partner);
            assert_eq!(self.model.partner(connection), partner);
            if let Some(partner) = partner {
                assert_eq!(self.peers[&partner].place, Place::Session(connection));
            }
        }
        for members in rooms.values_mut() {
            members.sort_by_key(|member| member.joined_as);
            for member in members.iter().filter(|member| member.has_read_everything()) {
                let others: Vec<_> = members
                    .iter()
                    .filter(|other| other.connection != member.connection)
                    .map(|other| other.id.expect("a member has an id"))
                    .collect();
                assert_eq!(member.members(), others, "{:?}", member.connection);
            }
        }
    }

    fn plan_within(&mut self, milliseconds: u64, plan: Plan) {
        let pause = Duration::from_millis(self.chance.u64(1..=milliseconds));
        self.plan(self.now + pause, plan);
    }

    fn plan_reading(&mut self, connection: ConnectionId) {
        let peer = self.peers.get_mut(&connection).expect("it reads");
        if peer.reads_soon {
            return;
        }
        if let Some(pause) = peer.next_reading() {
            peer.reads_soon = true;
            self.plan(self.now + pause, Plan::Read(connection));
        }
    }

    fn plan(&mut self, at: Duration, plan: Plan) {
        self.plans_so_far += 1;
        self.agenda.push(Reverse((at, self.plans_so_far, plan)));
    }
}

impl Drop for World {
    #[expect(clippy::print_stderr, reason = "a test that fails says there why")]
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        for (at, event) in &self.last {
            eprintln!("{at:?} {event:?}");
        }
        eprintln!(
            "ALDIS_SEED={} fails after {} events",
            self.seed, self.events
        );
    }
}
