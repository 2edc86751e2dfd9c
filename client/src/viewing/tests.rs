use super::*;
use crate::ladder::{Rung, parse};

/// How often a viewer is asked where it is to be.
const STEP: Duration = Duration::from_millis(250);

const SOUND: u32 = 64;

fn ladder() -> Ladder {
    Ladder::below(Rung::default(), false)
}

/// A network and what is estimated of it, as the estimator does: down to 85 % of what arrives when more
/// is sent than it carries, and up by 8 % a second, but not above one and a half of what is sent.
struct Network {
    viewing: Viewing,
    now: Duration,
    estimate: u32,
    /// The rung of every step.
    rungs: Vec<usize>,
    /// How many bits of a thousand more than it carries were sent at the most, since last asked.
    excess: u32,
}

impl Network {
    fn new(viewing: Viewing) -> Self {
        let estimate = 2500 + SOUND;
        Self {
            viewing,
            now: Duration::ZERO,
            estimate,
            rungs: Vec::new(),
            excess: 0,
        }
    }

    /// Lets it carry so many kilobits a second for some time. Returns the rung at the end.
    fn carries(&mut self, capacity: u32, seconds: u32) -> usize {
        for _ in 0..seconds * 4 {
            self.now += STEP;
            let sent = self.viewing.kbps() + SOUND;
            if sent > capacity {
                self.excess = self.excess.max((sent - capacity) * 1000 / capacity);
                self.estimate = (self.estimate * 95 / 100).min(capacity * 85 / 100);
                self.viewing.estimated(self.estimate, self.now);
            } else if self.estimate < sent * 3 / 2 {
                self.estimate = (self.estimate + self.estimate / 50 + 1).min(sent * 3 / 2);
                self.viewing.estimated(self.estimate, self.now);
            }
            if self.now.subsec_millis() == 0
                && let Some(kbps) = self.viewing.probe(self.now)
            {
                self.estimate = kbps;
                self.viewing.estimated(kbps, self.now);
            }
            self.rungs.push(self.viewing.rung(self.now));
        }
        self.rung()
    }

    fn rung(&self) -> usize {
        self.rungs.last().copied().unwrap_or(0)
    }

    fn changes(&self) -> usize {
        self.rungs
            .windows(2)
            .filter(|pair| pair[0] != pair[1])
            .count()
    }

    /// The first step, in seconds from the beginning, from which on it is on this rung.
    fn on(&self, rung: usize) -> f64 {
        let after = self.rungs.iter().rposition(|&on| on != rung);
        after.map_or(0.0, |step| (step + 1) as f64 * STEP.as_secs_f64())
    }
}

fn alone() -> Network {
    Network::new(Viewing::new(&ladder(), SOUND, Duration::ZERO))
}

fn among_others() -> Network {
    let mut network = alone();
    network.viewing.share(true);
    network
}

#[test]
fn a_network_that_carries_all_changes_nothing() {
    let mut network = among_others();
    assert_eq!(network.carries(4000, 60), 0);
    assert_eq!((network.changes(), network.viewing.kbps()), (0, 2500));
}

#[test]
fn one_that_is_throttled_sinks_within_three_seconds_and_climbs_back_within_fifteen() {
    for (mut network, capacity) in [
        (alone(), 400),
        (among_others(), 400),
        (alone(), 500),
        (among_others(), 500),
    ] {
        network.carries(4000, 5);
        network.carries(capacity, 20);
        assert!(
            network.rungs[5 * 4..8 * 4].contains(&2),
            "{:?}",
            network.rungs
        );
        let steps = network.rungs.len();
        assert_eq!(network.carries(4000, 40), 0);
        let back = network.on(0) - steps as f64 * STEP.as_secs_f64();
        assert!(back > 2.0 && back < 15.0, "{back}");
    }
}

#[test]
fn a_network_between_two_rungs_does_not_have_it_flap() {
    for capacity in (100..4000).step_by(50) {
        for mut network in [alone(), among_others()] {
            network.carries(capacity, 300);
            // Climbs are tried, ever less often.
            assert!(network.changes() < 40, "{capacity}: {}", network.changes());
            network.rungs.clear();
            network.carries(capacity, 300);
            assert!(network.changes() <= 24, "{capacity}: {}", network.changes());
        }
    }
}

#[test]
fn who_watches_alone_keeps_the_better_rung_for_longer() {
    let (mut one, mut other) = (alone(), among_others());
    assert_eq!((one.carries(1500, 20), other.carries(1500, 20)), (0, 1));
}

#[test]
fn a_dip_of_an_instant_is_no_reason_to_leave() {
    let mut viewing = Viewing::new(&ladder(), SOUND, Duration::ZERO);
    let at = Duration::from_millis;
    viewing.estimated(1000, at(1000));
    assert_eq!(viewing.rung(at(1000)), 0);
    assert_eq!(viewing.rung(at(1250)), 0);
    viewing.estimated(2000, at(1260));
    assert_eq!(viewing.rung(at(1310)), 0);
    viewing.estimated(1000, at(2000));
    assert_eq!((viewing.rung(at(2000)), viewing.rung(at(2300))), (0, 1));
    // One that is deep is.
    viewing.estimated(200, at(2301));
    assert_eq!(viewing.rung(at(2301)), 2);
}

#[test]
fn a_viewer_gets_no_more_than_it_wishes_and_no_more_than_its_network_carries() {
    let mut network = alone();
    network.viewing.wish(Some(1));
    assert_eq!(
        (network.carries(4000, 10), network.viewing.kbps()),
        (1, 800)
    );
    assert_eq!(network.carries(300, 10), 2);
    assert_eq!(network.carries(4000, 30), 1);
    network.viewing.wish(None);
    assert_eq!(network.carries(4000, 30), 0);
    network.viewing.wish(Some(99));
    assert_eq!(network.carries(4000, 1), 2);
    // What it wished for longs after no more.
    assert_eq!(
        network.viewing.probe(network.now + Duration::from_secs(60)),
        None
    );
}

#[test]
fn a_cap_chooses_the_rung_too() {
    let mut network = alone();
    network.viewing.cap(Some(1100));
    assert_eq!(
        (network.carries(4000, 5), network.viewing.kbps()),
        (0, 1100)
    );
    network.viewing.cap(Some(300));
    assert_eq!((network.carries(4000, 5), network.viewing.kbps()), (2, 256));
    network.viewing.cap(None);
    assert_eq!(
        (network.carries(4000, 5), network.viewing.kbps()),
        (0, 2500)
    );
}

#[test]
fn where_nothing_is_estimated_losses_tell() {
    let mut viewing = Viewing::new(&ladder(), SOUND, Duration::ZERO);
    let mut second = 0;
    let mut spend = |viewing: &mut Viewing, loss: f64, seconds: u64| {
        for _ in 0..seconds {
            second += 1;
            viewing.lost(loss);
            viewing.rung(Duration::from_secs(second));
        }
        viewing.rung(Duration::from_secs(second))
    };
    assert_eq!(spend(&mut viewing, 5.0, 60), 0);
    assert_eq!(spend(&mut viewing, 30.0, 20), 2);
    assert_eq!(spend(&mut viewing, 0.0, 60), 0);
}

#[test]
fn another_connection_begins_where_its_viewer_wants() {
    let mut network = alone();
    network.viewing.wish(Some(1));
    assert_eq!(network.carries(300, 10), 2);
    network.viewing.begin(network.now);
    assert_eq!(network.viewing.rung(network.now), 1);
}

#[test]
fn a_ladder_of_one_rung_has_the_bit_rate_alone_fall() {
    let best = parse("640x360@30:1000").expect("it is a rung");
    let single = Ladder::single(best);
    let mut network = Network::new(Viewing::new(&single, SOUND, Duration::ZERO));
    assert_eq!(network.carries(300, 10), 0);
    assert!(network.viewing.kbps() < 240, "{}", network.viewing.kbps());
}

#[test]
fn a_rung_is_encoded_at_what_the_weakest_on_it_can_take() {
    let ladder = ladder();
    assert_eq!(rates(&ladder, []), [2500, 800, 256]);
    let viewers = [(0, 2500), (0, 1800), (2, 200), (7, 1)];
    assert_eq!(rates(&ladder, viewers), [1800, 800, 200]);
    // One that is about to leave holds nobody back.
    assert_eq!(rates(&ladder, [(0, 2500), (0, 300)]), [1500, 800, 256]);
    assert_eq!(rates(&ladder, [(0, 300)]), [300, 800, 256]);
}
