//! The relay as a pure machine: bytes are read as a history of few peers that meet often. It does
//! what the naive model says; and where raw text is said, which that does not understand, what holds
//! whatever is said.

#[path = "../../signalling/tests/histories/model.rs"]
mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use model::{Entry, HELLO_DEADLINE, Model, Saying, Seen, Sent};
use signalling::config::Limits;
use signalling::frame::CloseReason;
use signalling::relay::{ConnectionId, Event, Relay};

const SEATS: u8 = 6;
const IDS: [&str; 6] = ["a", "b", "c", "d", "Zoë", "o'x"];
const ROOMS: [&str; 3] = ["r", "s", "t"];
const LONGEST_HISTORY: usize = 300;

/// Plays the history that the bytes tell, then lets everybody leave.
pub(crate) fn check(data: &[u8]) {
    let mut stage = Stage::new();
    let mut bytes = data.iter().copied();
    for _ in 0..LONGEST_HISTORY {
        if stage.play(&mut bytes).is_none() {
            break;
        }
    }
    for seat in 0..SEATS {
        stage.leave(seat);
    }
    stage.pass(HELLO_DEADLINE);
    assert!(stage.relay.is_empty(), "{:?}", stage.relay);
}

struct Stage {
    relay: Relay,
    /// Until something was said that the model does not understand.
    model: Option<Model>,
    now: Instant,
    /// The connection on each seat; a new one has a new name.
    seats: BTreeMap<u8, ConnectionId>,
    connections_so_far: u64,
    registered: BTreeSet<ConnectionId>,
    closed: BTreeSet<ConnectionId>,
}

impl Stage {
    #[expect(
        clippy::disallowed_methods,
        reason = "some instant is needed to start from"
    )]
    fn new() -> Self {
        let limits = Limits {
            peers: usize::from(SEATS) - 1,
            peers_per_room: 3,
            ..Limits::default()
        };
        Self {
            relay: Relay::new(&limits, HELLO_DEADLINE),
            model: Some(Model::new(&limits)),
            now: Instant::now(),
            seats: BTreeMap::new(),
            connections_so_far: 0,
            registered: BTreeSet::new(),
            closed: BTreeSet::new(),
        }
    }

    /// The next thing that happens; `None` when the bytes are used up.
    fn play(&mut self, bytes: &mut impl Iterator<Item = u8>) -> Option<()> {
        let what = bytes.next()?;
        let seat = bytes.next()? % SEATS;
        match what % 16 {
            0 => self.leave(seat),
            1 => {
                let reasons = [
                    CloseReason::SlowConsumer,
                    CloseReason::KeepaliveTimeout,
                    CloseReason::MessageTooBig,
                ];
                let reason = reasons[usize::from(bytes.next()?) % reasons.len()];
                self.condemn(seat, reason);
            }
            2 => self.pass(Duration::from_millis(50 * u64::from(bytes.next()?))),
            3 if bytes.next()? == 0xff => self.stop(),
            4 | 5 => {
                let length = usize::from(bytes.next()?);
                let text: Vec<u8> = bytes.by_ref().take(length).collect();
                self.say_raw(seat, &String::from_utf8_lossy(&text), what);
            }
            _ => {
                let saying = saying(what, bytes.next()?, bytes);
                self.say(seat, &saying, what);
            }
        }
        Some(())
    }

    fn say(&mut self, seat: u8, saying: &Saying, what: u8) {
        let connection = self.seated(seat, what);
        if let Some(model) = &mut self.model {
            model.hear(connection, saying);
        }
        self.hear(connection, &saying.sent());
    }

    fn say_raw(&mut self, seat: u8, text: &str, what: u8) {
        let connection = self.seated(seat, what);
        let sent = Sent::Text(text.to_owned());
        let partner = self.relay.partner(connection);
        match (&mut self.model, partner) {
            // In a session every text means the same.
            (Some(model), Some(_)) => {
                model.hear(connection, &Saying::Anything(text.to_owned().into()));
            }
            (_, None) => self.model = None,
            (None, Some(_)) => {}
        }
        let seen = self.hear(connection, &sent);
        if let Some(by) = partner {
            assert_eq!(seen, [Seen::Heard { by, what: sent }]);
        }
    }

    fn hear(&mut self, connection: ConnectionId, sent: &Sent) -> Vec<Seen> {
        let message = sent.message();
        let event = Event::Received {
            connection,
            message,
        };
        self.happen(event, Some(sent))
    }

    fn seated(&mut self, seat: u8, what: u8) -> ConnectionId {
        if let Some(&connection) = self.seats.get(&seat) {
            return connection;
        }
        // What has happened is in the low bits, how somebody comes in the high ones.
        let entry = Entry {
            wants_notices: what & 0x80 != 0,
            only_id: (what & 0x60 == 0x60).then_some(IDS[0]),
            only_room: (what & 0x50 == 0x50).then_some(ROOMS[0]),
        };
        self.connections_so_far += 1;
        let connection = ConnectionId(self.connections_so_far);
        self.seats.insert(seat, connection);
        if let Some(model) = &mut self.model {
            model.connect(connection, entry);
        }
        let event = entry.event(connection);
        self.happen(event, None);
        connection
    }

    fn leave(&mut self, seat: u8) {
        let Some(connection) = self.seats.remove(&seat) else {
            return;
        };
        if let Some(model) = &mut self.model {
            model.lose(connection);
        }
        self.happen(Event::Disconnected { connection }, None);
    }

    fn condemn(&mut self, seat: u8, reason: CloseReason) {
        let Some(&connection) = self.seats.get(&seat) else {
            return;
        };
        if let Some(model) = &mut self.model {
            model.send_away(connection, reason);
        }
        self.happen(Event::Condemned { connection, reason }, None);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        if let Some(model) = &mut self.model {
            model.now += time;
            model.tick();
        }
        self.happen(Event::Tick, None);
    }

    fn stop(&mut self) {
        if let Some(model) = &mut self.model {
            model.stop();
        }
        self.happen(Event::Stopped, None);
    }

    fn happen(&mut self, event: Event<'_>, message: Option<&Sent>) -> Vec<Seen> {
        let mut effects = Vec::new();
        self.relay.handle(event, self.now, &mut effects);
        let seen: Vec<_> = effects
            .into_iter()
            .map(|effect| Seen::of(effect, message))
            .collect();
        if let Some(model) = &mut self.model {
            assert_eq!(seen, model.take_seen());
            assert_eq!(self.relay.census(), model.census());
            assert_eq!(self.relay.peers(), model.peers());
            assert_eq!(self.relay.rooms(), model.rooms());
        }
        for seen in &seen {
            self.watch(seen);
        }
        for &connection in self.seats.values() {
            let partner = self.relay.partner(connection);
            if let Some(model) = &mut self.model {
                assert_eq!(model.partner(connection), partner);
            }
            if let Some(partner) = partner {
                assert_eq!(self.relay.partner(partner), Some(connection));
                assert_ne!(partner, connection);
            }
        }
        seen
    }

    /// What holds whatever the model says.
    fn watch(&mut self, seen: &Seen) {
        match seen {
            Seen::Heard { by, what } => {
                assert!(self.seats.values().any(|seated| seated == by), "{by:?}");
                assert!(!self.closed.contains(by), "{by:?} is closed");
                if *what == Sent::Text("HELLO".into()) {
                    self.registered.insert(*by);
                }
                assert!(self.registered.contains(by), "{by:?} is not registered");
            }
            Seen::Closed { connection, .. } => {
                assert!(self.closed.insert(*connection), "{connection:?} twice");
            }
        }
    }
}

fn saying(what: u8, which: u8, bytes: &mut impl Iterator<Item = u8>) -> Saying {
    let which = usize::from(which);
    let id = IDS[which % IDS.len()];
    match what % 16 {
        3 => Saying::List,
        6 | 7 => Saying::Hello(id),
        8 | 9 => Saying::Session(id),
        10 | 11 => Saying::Room(ROOMS[which % ROOMS.len()]),
        12 => {
            let payload = bytes.next().unwrap_or_default();
            Saying::Message(id, format!("{{{payload}}}").into())
        }
        13 => Saying::Bare(["SESSION", "ROOM", "ROOM_PEER_MSG"][which % 3]),
        14 => Saying::NoRoom(["session", "r s", "r "][which % 3]),
        _ => match which % 4 {
            0 => Saying::Binary(b"\xff\x00"),
            1 => Saying::Anything("".into()),
            2 => Saying::Anything("hello".into()),
            _ => Saying::Anything("SESSION_OK".into()),
        },
    }
}
