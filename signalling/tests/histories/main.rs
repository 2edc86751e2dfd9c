//! Random histories: the relay does what a naive model of it does, in every turn.

mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::select;
use signalling::config::Limits;
use signalling::frame::{CloseReason, Message};
use signalling::relay::{ConnectionId, Effect, Event, Relay};

use model::{Entry, HELLO_DEADLINE, Model, Saying, Seen, Sent};

/// One thing that happens. Connections are few and named by number, so that they meet.
#[derive(Clone, Debug)]
enum Step {
    Connect { who: u64, entry: Entry },
    Say { who: u64, what: Saying },
    Leave { who: u64 },
    Condemn { who: u64, reason: CloseReason },
    Pass { seconds: u64 },
    Stop,
}

fn saying() -> impl Strategy<Value = Saying> {
    let id = select(vec!["a", "b", "c", "d", "Zoë", "o'x"]);
    prop_oneof![
        4 => id.clone().prop_map(Saying::Hello),
        4 => id.clone().prop_map(Saying::Session),
        4 => select(vec!["r", "s"]).prop_map(Saying::Room),
        3 => (id, select(vec!["hi", "{\"ice\": 1}"])).prop_map(|(to, what)| Saying::Message(to, what.into())),
        1 => Just(Saying::List),
        1 => select(vec!["SESSION", "ROOM", "ROOM_PEER_MSG"]).prop_map(Saying::Bare),
        1 => select(vec!["session", "r s", "r "]).prop_map(Saying::NoRoom),
        1 => select(vec!["", "hello", "{}", "SESSION_OK", "\u{feff}"])
            .prop_map(|text| Saying::Anything(text.into())),
        1 => select(vec![&b""[..], b"\xff\x00"]).prop_map(Saying::Binary),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let sometimes = |of: Vec<&'static str>| prop::option::weighted(0.1, select(of));
    (
        any::<bool>(),
        sometimes(vec!["a", "b"]),
        sometimes(vec!["r", "s"]),
    )
        .prop_map(|(wants_notices, only_id, only_room)| Entry {
            wants_notices,
            only_id,
            only_room,
        })
}

/// Few of everything, or as many as come.
fn limits() -> impl Strategy<Value = Limits> {
    (select(vec![3, 100]), select(vec![2, 100])).prop_map(|(peers, peers_per_room)| Limits {
        peers,
        peers_per_room,
        ..Limits::default()
    })
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..6_u64;
    let reason = select(vec![
        CloseReason::SlowConsumer,
        CloseReason::KeepaliveTimeout,
        CloseReason::MessageTooBig,
    ]);
    prop_oneof![
        6 => (who.clone(), entry()).prop_map(|(who, entry)| Step::Connect { who, entry }),
        24 => (who.clone(), saying()).prop_map(|(who, what)| Step::Say { who, what }),
        3 => who.clone().prop_map(|who| Step::Leave { who }),
        1 => (who, reason).prop_map(|(who, reason)| Step::Condemn { who, reason }),
        1 => (0..7_u64).prop_map(|seconds| Step::Pass { seconds }),
    ]
}

/// The relay beside its model, and what has been seen of the relay from outside.
struct Trial {
    relay: Relay,
    model: Model,
    now: Instant,
    /// The connection that a number stands for now. A new one takes a new name.
    names: BTreeMap<u64, ConnectionId>,
    connections_so_far: u64,
    registered: BTreeSet<ConnectionId>,
    closed: BTreeSet<ConnectionId>,
}

impl Trial {
    fn new(limits: &Limits) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "some instant is needed to start from"
        )]
        let now = Instant::now();
        Self {
            relay: Relay::new(limits, HELLO_DEADLINE),
            model: Model::new(limits),
            now,
            names: BTreeMap::new(),
            connections_so_far: 0,
            registered: BTreeSet::new(),
            closed: BTreeSet::new(),
        }
    }

    fn take(&mut self, step: &Step) {
        let mut sent = None;
        let event = match step {
            Step::Connect { who, entry } => {
                if self.names.contains_key(who) {
                    return;
                }
                self.connections_so_far += 1;
                let connection = ConnectionId(self.connections_so_far);
                self.names.insert(*who, connection);
                self.model.connect(connection, *entry);
                entry.event(connection)
            }
            Step::Say { who, what } => {
                let Some(&connection) = self.names.get(who) else {
                    return;
                };
                self.model.hear(connection, what);
                let message = sent.insert(what.sent()).message();
                Event::Received {
                    connection,
                    message,
                }
            }
            Step::Leave { who } => {
                let Some(connection) = self.names.remove(who) else {
                    return;
                };
                self.model.lose(connection);
                Event::Disconnected { connection }
            }
            Step::Condemn { who, reason } => {
                let Some(&connection) = self.names.get(who) else {
                    return;
                };
                let reason = *reason;
                self.model.send_away(connection, reason);
                Event::Condemned { connection, reason }
            }
            Step::Pass { seconds } => {
                let passed = Duration::from_secs(*seconds);
                self.now += passed;
                self.model.now += passed;
                self.model.tick();
                Event::Tick
            }
            Step::Stop => {
                self.model.stop();
                Event::Stopped
            }
        };
        let mut effects = Vec::new();
        self.relay.handle(event, self.now, &mut effects);
        let seen: Vec<_> = effects
            .into_iter()
            .map(|effect| Seen::of(effect, sent.as_ref()))
            .collect();
        assert_eq!(seen, self.model.take_seen(), "after {step:?}");
        for seen in &seen {
            self.watch(seen);
        }
        for &connection in self.names.values() {
            let partner = self.relay.partner(connection);
            assert_eq!(partner, self.model.partner(connection), "after {step:?}");
        }
        assert_eq!(self.relay.census(), self.model.census(), "after {step:?}");
        // Views cost more than all the rest, and what is wrong with them stays so.
        if matches!(step, Step::Pass { .. } | Step::Stop) {
            assert_eq!(self.relay.peers(), self.model.peers(), "after {step:?}");
            assert_eq!(self.relay.rooms(), self.model.rooms(), "after {step:?}");
        }
    }

    /// What holds whatever the model says.
    fn watch(&mut self, seen: &Seen) {
        match seen {
            Seen::Heard { by, what } => {
                assert!(!self.closed.contains(by), "{by:?} is closed");
                if *what == Sent::Text("HELLO".into()) {
                    self.registered.insert(*by);
                }
                assert!(self.registered.contains(by), "{by:?} is not registered");
            }
            Seen::Closed { connection, .. } => {
                assert!(
                    self.closed.insert(*connection),
                    "{connection:?} closed twice"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn the_relay_does_what_the_model_does(
        limits in limits(),
        history in prop::collection::vec(step(), 1..120),
        stops in prop::bool::weighted(0.2),
    ) {
        let mut trial = Trial::new(&limits);
        for step in &history {
            trial.take(step);
        }
        if stops {
            trial.take(&Step::Stop);
            for step in &history {
                trial.take(step);
            }
        }
    }

    #[test]
    fn when_all_have_left_nothing_of_them_is_left(
        history in prop::collection::vec(step(), 1..120),
    ) {
        let mut trial = Trial::new(&Limits::default());
        for step in &history {
            trial.take(step);
        }
        for who in 0..6 {
            trial.take(&Step::Leave { who });
        }
        for (who, id) in ["a", "b", "c", "d", "Zoë", "o'x"].into_iter().enumerate() {
            let who = who as u64;
            trial.take(&Step::Connect { who, entry: Entry::default() });
            trial.take(&Step::Say { who, what: Saying::Hello(id) });
            trial.take(&Step::Say { who, what: Saying::Room("r") });
        }
        // Every id was accepted, and the room held nobody but those six.
        prop_assert_eq!(trial.registered.intersection(&trial.names.values().copied().collect()).count(), 6);
        let mut effects = Vec::new();
        let (connection, message) = (trial.names[&5], Message::Text("ROOM_PEER_LIST"));
        let event = Event::Received { connection, message };
        trial.relay.handle(event, trial.now, &mut effects);
        let line = "ROOM_PEER_LIST a b c d Zoë".into();
        prop_assert_eq!(effects, vec![Effect::Send { to: connection, line }]);
    }
}
