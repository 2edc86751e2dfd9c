//! Thousands of peers for minutes of virtual time, all of it made up from one number.
//!
//! The relay is the real, pure one; around it everything is simulated: peers with habits, outboxes
//! that drain at the speed of their readers, the drivers that give a peer up, and the clock. Every
//! turn of the relay is compared with the naive model of `histories`, and every peer checks what it
//! reads against what it can know: see [`peer`] and [`world`].
//!
//! A seed that fails prints itself and what happened last. `ALDIS_SEED=7` plays that one alone,
//! `ALDIS_SEEDS=1000` so many others behind the usual ones.

#[path = "../histories/model.rs"]
mod model;
mod peer;
mod words;
mod world;

use std::env;

use world::{Tally, World};

/// What every run of the tests plays.
const SEEDS: [u64; 3] = [1, 2, 3];

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().expect("a number in the environment"))
}

fn seeds() -> Vec<u64> {
    if let Some(seed) = number("ALDIS_SEED") {
        return vec![seed];
    }
    let more = number("ALDIS_SEEDS").unwrap_or(0);
    SEEDS
        .into_iter()
        .chain((1..=more).map(|n| 1000 + n))
        .collect()
}

#[test]
fn thousands_meet_talk_and_leave_and_nothing_goes_astray() {
    for seed in seeds() {
        let mut world = World::new(seed);
        world.live();
        world.end();
        assert_happened(world.tally());
    }
}

/// A history in which little happened would prove little.
fn assert_happened(tally: &Tally) {
    let least = [
        (tally.connections, 3000, "connections"),
        (tally.registrations, 2000, "registrations"),
        (tally.sessions, 200, "sessions"),
        (tally.joins, 500, "joins"),
        (tally.tagged_messages_read, 2000, "messages read"),
        (tally.member_lists_read, 200, "lists read"),
        (tally.ids_reused_at_once, 50, "ids used again at once"),
        (tally.slow_consumers, 10, "slow consumers"),
        (tally.hello_timeouts, 10, "peers without a HELLO"),
        (tally.refused_hellos, 20, "refused HELLOs"),
        (tally.partners_left, 50, "partners who left"),
        (tally.waits_for_partner, 20, "waits for a partner"),
        (
            tally.refused_as_full,
            20,
            "refusals of a relay that is full",
        ),
        (tally.refused_by_token, 5, "refusals by a token"),
        (tally.full_rooms_read_of, 20, "rooms that are full"),
    ];
    for (count, least, what) in least {
        assert!(count >= least, "only {count} {what}: {tally:?}");
    }
}
