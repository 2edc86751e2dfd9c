use proptest::prelude::*;

use super::*;
use crate::failure::FailureKind;

/// A switcher with what it had done so far.
struct Desk {
    switcher: Switcher,
    ms: u64,
}

impl Desk {
    /// With three sources, the first of which is shown as number 1.
    fn live() -> Self {
        let mut desk = Self {
            switcher: Switcher::new(3),
            ms: 0,
        };
        assert_eq!(desk.after(0, Event::Started), [Effect::Start(1, 0)]);
        assert_eq!(desk.after(100, Event::FirstFrame(1)), []);
        desk
    }

    fn after(&mut self, ms: u64, event: Event) -> Vec<Effect> {
        self.ms += ms;
        let mut effects = Vec::new();
        let now = Duration::from_millis(self.ms);
        self.switcher.handle(event, now, &mut effects);
        effects
    }
}

fn gone() -> Failure {
    Failure::new(FailureKind::Device, "gone")
}

fn tell(change: Change) -> Effect {
    Effect::Tell(change)
}

#[test]
fn a_source_takes_over_with_its_first_frame() {
    let mut desk = Desk::live();
    assert_eq!(desk.after(0, Event::Selected(2)), [Effect::Start(2, 2)]);
    assert_eq!(desk.after(50, Event::Tick(true)), []);
    let done = [Effect::Stop(1), tell(Change::Switched(2))];
    assert_eq!(desk.after(50, Event::FirstFrame(2)), done);
    assert_eq!(desk.switcher.selected(), 2);
}

#[test]
fn the_last_wish_counts() {
    let mut desk = Desk::live();
    desk.after(0, Event::Selected(1));
    let next = [Effect::Stop(2), Effect::Start(3, 2)];
    assert_eq!(desk.after(0, Event::Selected(2)), next);
    assert_eq!(desk.after(0, Event::FirstFrame(2)), [], "it is late");
    let back = [Effect::Stop(3), tell(Change::Switched(0))];
    assert_eq!(desk.after(0, Event::Selected(0)), back);
    assert_eq!(desk.after(0, Event::Selected(7)), [], "there is none");
}

#[test]
fn what_cannot_be_had_leaves_the_one_before() {
    let mut desk = Desk::live();
    desk.after(0, Event::Selected(1));
    let kept = [Effect::Stop(2), tell(Change::Refused(1, gone()))];
    assert_eq!(desk.after(0, Event::Failed(2, gone())), kept);
    assert_eq!(desk.switcher.selected(), 0);
    // What never gives a frame is nothing else.
    desk.after(0, Event::Selected(1));
    let effects = desk.after(10_000, Event::Tick(true));
    let refused = Change::Refused(1, silent(OPENING_LIMIT));
    assert_eq!(effects, [Effect::Stop(3), tell(refused)]);
}

#[test]
fn a_source_that_is_gone_makes_room_for_a_slate_and_comes_back() {
    let mut desk = Desk::live();
    let lost = [
        Effect::Stop(1),
        tell(Change::Lost(0, gone())),
        Effect::ShowSlate(2, 0, Slate::Gone),
    ];
    assert_eq!(desk.after(0, Event::Failed(1, gone())), lost);
    assert_eq!(desk.after(10, Event::FirstFrame(2)), []);
    assert_eq!(desk.after(480, Event::Tick(true)), []);
    assert_eq!(desk.after(10, Event::Tick(true)), [Effect::Start(3, 0)]);
    assert_eq!(desk.after(0, Event::Failed(3, gone())), [Effect::Stop(3)]);
    assert_eq!(desk.after(990, Event::Tick(true)), []);
    assert_eq!(desk.after(10, Event::Tick(true)), [Effect::Start(4, 0)]);
    let back = [Effect::Stop(2), tell(Change::Back(0))];
    assert_eq!(desk.after(0, Event::FirstFrame(4)), back);
}

#[test]
fn pauses_grow_to_their_limit_and_a_source_that_holds_forgets_them() {
    let mut desk = Desk::live();
    desk.after(0, Event::Failed(1, gone()));
    let mut pauses = Vec::new();
    for _ in 0..7 {
        let (mut waited, mut started) = (0, None);
        while started.is_none() && waited <= 10_000 {
            waited += 250;
            started = desk.after(250, Event::Tick(true)).pop();
        }
        let Some(Effect::Start(number, 0)) = started else {
            panic!("{started:?}");
        };
        desk.after(0, Event::Failed(number, gone()));
        pauses.push(waited);
    }
    assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
}

#[test]
fn silence_is_a_failure() {
    let mut desk = Desk::live();
    assert_eq!(desk.after(250, Event::Tick(false)), []);
    assert_eq!(desk.after(2900, Event::Tick(false)), []);
    assert_eq!(desk.after(250, Event::Tick(true)), [], "it spoke again");
    assert_eq!(desk.after(250, Event::Tick(false)), []);
    let effects = desk.after(3000, Event::Tick(false));
    let lost = tell(Change::Lost(0, silent(SILENCE_LIMIT)));
    assert_eq!(effects[..2], [Effect::Stop(1), lost]);
}

#[test]
fn what_takes_its_time_has_a_slate_meanwhile() {
    let mut desk = Desk {
        switcher: Switcher::new(1),
        ms: 0,
    };
    desk.after(0, Event::Started);
    assert_eq!(desk.after(1999, Event::Tick(false)), []);
    let slate = [Effect::ShowSlate(2, 0, Slate::Opening)];
    assert_eq!(desk.after(1, Event::Tick(false)), slate);
    assert_eq!(desk.after(250, Event::FirstFrame(2)), []);
    assert_eq!(desk.after(0, Event::FirstFrame(1)), [Effect::Stop(2)]);
}

#[test]
fn a_file_that_is_over_leaves_a_slate_or_begins_anew() {
    let mut desk = Desk::live();
    assert_eq!(
        desk.after(300, Event::Ended(1, true)),
        [Effect::Start(2, 0)]
    );
    assert_eq!(desk.after(0, Event::FirstFrame(2)), [Effect::Stop(1)]);
    let over = [tell(Change::Ended(0)), Effect::ShowSlate(3, 0, Slate::Over)];
    assert_eq!(desk.after(0, Event::Ended(2, false)), over);
    assert_eq!(desk.after(0, Event::FirstFrame(3)), [Effect::Stop(2)]);
    assert_eq!(desk.after(60_000, Event::Tick(false)), []);
    assert_eq!(desk.after(0, Event::Selected(0)), [Effect::Start(4, 0)]);
}

#[test]
fn the_slate_of_a_file_that_is_over_goes_when_a_source_has_its_place() {
    let mut desk = Desk::live();
    desk.after(0, Event::Ended(1, false));
    assert_eq!(desk.after(0, Event::Selected(1)), [Effect::Start(3, 1)]);
    let back = [Effect::Stop(3), Effect::Stop(2), tell(Change::Switched(0))];
    assert_eq!(desk.after(0, Event::Selected(0)), back);
}

#[test]
fn a_file_that_is_over_can_be_had_again_before_its_slate_is_seen() {
    let mut desk = Desk::live();
    desk.after(0, Event::Ended(1, false));
    assert_eq!(desk.after(0, Event::Selected(0)), [Effect::Start(3, 0)]);
    let shown = [Effect::Stop(2), Effect::Stop(1), tell(Change::Switched(0))];
    assert_eq!(desk.after(0, Event::FirstFrame(3)), shown);
}

#[test]
fn what_is_over_at_once_is_not_begun_anew() {
    let mut desk = Desk::live();
    let over = [tell(Change::Ended(0)), Effect::ShowSlate(2, 0, Slate::Over)];
    assert_eq!(desk.after(299, Event::Ended(1, true)), over);
}

#[test]
fn what_is_started_is_stopped_when_nobody_watches() {
    let mut desk = Desk::live();
    desk.after(0, Event::Selected(1));
    let all = [Effect::Stop(2), Effect::Stop(1)];
    assert_eq!(desk.after(0, Event::Stopped), all);
    assert_eq!(desk.after(0, Event::Tick(false)), []);
    assert_eq!(desk.after(0, Event::Started), [Effect::Start(3, 1)]);
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Started),
        Just(Event::Stopped),
        (0..4_usize).prop_map(Event::Selected),
        (1..40_u64).prop_map(Event::FirstFrame),
        (1..40_u64).prop_map(|number| Event::Failed(number, gone())),
        (1..40_u64, any::<bool>()).prop_map(|(number, again)| Event::Ended(number, again)),
        any::<bool>().prop_map(Event::Tick),
    ]
}

proptest! {
    #[test]
    fn everything_is_stopped_once_and_little_runs_at_a_time(
        events in proptest::collection::vec((0..4000_u64, event()), 0..200)
    ) {
        let mut desk = Desk { switcher: Switcher::new(3), ms: 0 };
        let mut running = std::collections::BTreeSet::new();
        let all = events.into_iter().chain([(0, Event::Stopped)]);
        for (ms, event) in all {
            for effect in desk.after(ms, event) {
                match effect {
                    Effect::Start(number, source) => {
                        prop_assert!(source < 3);
                        prop_assert!(running.insert(number));
                    }
                    Effect::ShowSlate(number, ..) => prop_assert!(running.insert(number)),
                    Effect::Stop(number) => prop_assert!(running.remove(&number)),
                    Effect::Tell(_) => {}
                }
            }
            prop_assert!(running.len() <= 3, "{running:?}");
        }
        prop_assert!(running.is_empty(), "{running:?}");
    }
}
