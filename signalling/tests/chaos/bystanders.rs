//! Peers that behave, and count on being left alone.

use std::thread;

use crate::peer::Peer;
use crate::running::Running;

/// A session and a room in which everything that is said is heard, in order, and nothing else.
pub(crate) struct Bystanders {
    alice: Peer,
    bob: Peer,
    members: [Peer; 3],
    rounds: u64,
}

impl Bystanders {
    pub(crate) fn at(relay: &Running) -> Self {
        let (alice, bob) = Peer::pair(relay, "alice", "bob");
        let mut x = Peer::in_room(relay, "x", "quiet", &[]);
        let mut y = Peer::in_room(relay, "y", "quiet", &["x"]);
        x.expect("ROOM_PEER_JOINED y");
        let z = Peer::in_room(relay, "z", "quiet", &["x", "y"]);
        x.expect("ROOM_PEER_JOINED z");
        y.expect("ROOM_PEER_JOINED z");
        Self {
            alice,
            bob,
            members: [x, y, z],
            rounds: 0,
        }
    }

    /// Everybody says something and is heard.
    #[track_caller]
    pub(crate) fn round(&mut self) {
        self.rounds += 1;
        let line = format!("{{\"round\": {}}}", self.rounds);
        self.alice.say(&line);
        self.bob.expect(&line);
        self.bob.say(&line);
        self.alice.expect(&line);
        for (from, to, from_id, to_id) in [(0, 1, 'x', 'y'), (1, 2, 'y', 'z'), (2, 0, 'z', 'x')] {
            self.members[from].say(&format!("ROOM_PEER_MSG {to_id} {line}"));
            self.members[to].expect(&format!("ROOM_PEER_MSG {from_id} {line}"));
        }
    }

    /// Goes on with round after round for as long as something else happens.
    pub(crate) fn meanwhile(&mut self, something: impl FnOnce() + Send) {
        thread::scope(|scope| {
            let something = scope.spawn(something);
            while !something.is_finished() {
                self.round();
            }
        });
        self.round();
    }
}
