//! Random histories of connections, held against a naive model.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use signalling::admission::{Admission, Refused};
use signalling::config::Limits;

use crate::{address, beginning};

/// Something that happens, at random.
#[derive(Clone, Debug)]
enum Step {
    Arrive(usize),
    Greet(Index),
    Leave(Index),
    Wait(u64),
}

const ADDRESSES: [&str; 8] = [
    "192.0.2.1",
    "::ffff:192.0.2.1",
    "192.0.2.2",
    "2001:db8::1",
    "2001:db8::2",
    "2001:db8:0:1::1",
    "127.0.0.1",
    "::1",
];

/// Which of the addresses are one, and which are this machine's, written down by hand.
const SHARES: [(usize, bool); 8] = [
    (0, false),
    (0, false),
    (1, false),
    (2, false),
    (2, false),
    (3, false),
    (4, true),
    (5, true),
];

/// The same rules, as slow and plain as can be: a list of all there are, and one bucket of
/// arrivals for each share, refilled at every step and never forgotten.
struct Model {
    limits: Limits,
    /// The address of each, and whether it was greeted.
    here: Vec<(usize, bool)>,
    /// What is left of each share, in milliseconds of its quota.
    buckets: [u64; 6],
}

impl Model {
    fn cost(&self) -> u64 {
        1000 / u64::from(self.limits.new_connections_per_second)
    }

    fn arrive(&mut self, index: usize) -> Result<(), Refused> {
        let (share, is_own) = SHARES[index];
        let handshakes = self.here.iter().filter(|(_, greeted)| !greeted).count();
        let same = |other: usize| SHARES[other].0 == share;
        let from_there = self.here.iter().filter(|(other, _)| same(*other)).count();
        if self.here.len() == self.limits.connections {
            return Err(Refused::TooManyConnections);
        }
        if handshakes == self.limits.handshakes {
            return Err(Refused::TooManyHandshakes);
        }
        if !is_own || self.limits.loopback_too {
            if from_there == self.limits.connections_per_address {
                return Err(Refused::TooManyFromAddress);
            }
            if self.buckets[share] < self.cost() {
                return Err(Refused::TooManyNewFromAddress);
            }
            self.buckets[share] -= self.cost();
        }
        self.here.push((index, false));
        Ok(())
    }

    fn wait(&mut self, milliseconds: u64) {
        for bucket in &mut self.buckets {
            *bucket = (*bucket + milliseconds).min(1000);
        }
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..ADDRESSES.len()).prop_map(Step::Arrive),
        3 => any::<Index>().prop_map(Step::Greet),
        3 => any::<Index>().prop_map(Step::Leave),
        2 => (0..400_u64).prop_map(Step::Wait),
        1 => (400..5000_u64).prop_map(Step::Wait),
    ]
}

fn any_limits() -> impl Strategy<Value = Limits> {
    let per_second = prop::sample::select(vec![1_u32, 2, 4, 5, 10, 100]);
    (
        1..12_usize,
        1..5_usize,
        per_second,
        1..8_usize,
        any::<bool>(),
    )
        .prop_map(
            |(connections, connections_per_address, per_second, handshakes, loopback_too)| Limits {
                connections,
                connections_per_address,
                new_connections_per_second: per_second,
                handshakes,
                loopback_too,
                ..Limits::default()
            },
        )
}

proptest! {
    #[test]
    fn whatever_happens_is_decided_as_by_the_model(
        limits in any_limits(),
        steps in prop::collection::vec(any_step(), 1..200),
    ) {
        let mut admission = Admission::new(&limits);
        let mut model = Model { limits, here: Vec::new(), buckets: [1000; 6] };
        let mut now = beginning();
        for step in steps {
            match step {
                Step::Arrive(index) => {
                    let from = address(ADDRESSES[index]);
                    prop_assert_eq!(admission.arrive(from, now), model.arrive(index));
                }
                Step::Greet(index) if !model.here.is_empty() => {
                    let (who, greeted) = index.get_mut(&mut model.here);
                    if !*greeted {
                        *greeted = true;
                        admission.greeted(address(ADDRESSES[*who]));
                    }
                }
                Step::Leave(index) if !model.here.is_empty() => {
                    let (who, greeted) = model.here.remove(index.index(model.here.len()));
                    admission.leave(address(ADDRESSES[who]), greeted);
                }
                Step::Greet(_) | Step::Leave(_) => {}
                Step::Wait(milliseconds) => {
                    now += Duration::from_millis(milliseconds);
                    model.wait(milliseconds);
                }
            }
            let handshakes = model.here.iter().filter(|(_, greeted)| !greeted).count();
            prop_assert_eq!(admission.connections(), model.here.len());
            prop_assert_eq!(admission.handshakes(), handshakes);
        }
        for (who, greeted) in model.here.drain(..) {
            admission.leave(address(ADDRESSES[who]), greeted);
        }
        let newcomer = address("198.51.100.1");
        prop_assert_eq!(admission.arrive(newcomer, now + Duration::from_secs(10)), Ok(()));
        admission.leave(newcomer, false);
        prop_assert_eq!(admission.remembered(), 1, "all others are forgotten");
    }
}
