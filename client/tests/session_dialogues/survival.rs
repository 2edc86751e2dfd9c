//! Calls that outlive their connection.

use std::time::Duration;

use client::failure::{Failure, FailureKind};
use client::negotiation::Local;
use client::report::Doubt;
use client::session::{
    ANSWER_DEADLINE, Event, Happening, PAUSE, SECOND_DEADLINE, UNPROVEN_DEADLINE,
};
use protocol::Signal;

use crate::talk::{
    EVES, OURS, QUIET_LIMIT, THEIRS, Talk, answer, candidate, described, first, offer, sdp, second,
};

const OFFER: &str = r#"send {"sdp":{"type":"offer","sdp":"ours"}}"#;
const ANSWER: &str = r#"send {"sdp":{"type":"answer","sdp":"ours"}}"#;
const INTERRUPTED: &str = "report nothing has come for 2.1 s; trying another connection";
const TICK: Duration = Duration::from_millis(250);

/// A caller whose partner has fallen silent.
fn doubting_caller() -> Talk {
    let mut talk = Talk::caller_up();
    assert_eq!(
        talk.quiet(2100),
        [
            INTERRUPTED,
            "probe relay",
            "start second",
            "second: create offer"
        ]
    );
    assert_eq!(
        talk.on(second(Happening::Local(Local::Described(offer(&sdp(
            OURS
        )))))),
        [OFFER]
    );
    talk
}

/// A callee whose partner has fallen silent.
fn doubting_callee() -> Talk {
    let mut talk = Talk::callee_up();
    assert_eq!(
        talk.quiet(2100),
        [INTERRUPTED, "probe relay", "send OFFER_REQUEST"]
    );
    talk
}

/// Nothing comes for so long that the partner's connection to the relay counts as dead.
fn unanswered(talk: &mut Talk) -> Vec<String> {
    let mut said = Vec::new();
    for _ in 0..40 {
        said = talk.quiet(2100);
        if !said.is_empty() {
            break;
        }
    }
    said
}

#[test]
fn who_offered_first_offers_a_second_connection_and_changes_over_once_it_stands() {
    let mut talk = doubting_caller();
    assert!(talk.on(second(Happening::Local(Local::Candidate(candidate("c1")))))[0].contains("c1"));
    assert_eq!(
        talk.say(answer(&sdp(THEIRS))),
        ["second: accept answer theirs"]
    );
    assert!(
        talk.line(&Signal::Ice(candidate("theirs")).to_string())
            .is_empty()
    );
    assert_eq!(
        talk.on(second(Happening::Local(Local::RemoteDescriptionSet))),
        ["second: add theirs"]
    );
    assert_eq!(
        talk.on(second(Happening::Connected)),
        ["replace: nothing came"]
    );
    assert!(talk.session.is_up());
    assert_eq!(talk.is_left(), ["end by Peer: the other side hung up"]);
}

#[test]
fn the_other_asks_for_an_offer_and_answers_it() {
    let mut talk = doubting_callee();
    assert_eq!(
        talk.say(offer(&sdp(THEIRS))),
        ["start second", "second: accept offer theirs"]
    );
    assert_eq!(
        talk.on(second(Happening::Local(Local::Described(answer(&sdp(
            OURS
        )))))),
        [ANSWER]
    );
    assert_eq!(
        talk.on(second(Happening::Connected)),
        ["replace: nothing came"]
    );
}

#[test]
fn whose_partner_wants_another_connection_takes_part_in_making_it() {
    let mut talk = Talk::caller_up();
    assert_eq!(
        talk.line("OFFER_REQUEST"),
        ["start second", "second: create offer"]
    );
    assert!(talk.line("OFFER_REQUEST").is_empty(), "once");

    let mut talk = Talk::callee_up();
    assert_eq!(
        talk.say(offer(&sdp(THEIRS))),
        ["start second", "second: accept offer theirs"]
    );
    assert_eq!(
        talk.on(second(Happening::Connected)),
        ["replace: the other side wanted to"]
    );
}

#[test]
fn nobody_but_the_partner_gets_a_second_connection() {
    let mut talk = Talk::callee_up();
    assert!(talk.say(offer(&sdp(EVES))).is_empty());
    assert!(talk.say(offer("nothing of a certificate")).is_empty());

    let mut talk = doubting_caller();
    assert_eq!(talk.say(answer(&sdp(EVES))), ["drop second"]);
    assert!(talk.session.is_up());

    // The description is the partner's, and the certificate somebody else's.
    let mut talk = doubting_callee();
    talk.say(offer(&sdp(THEIRS)));
    let mismatch = Failure::new(FailureKind::FingerprintMismatch, "somebody listens");
    assert_eq!(
        talk.on(second(Happening::Failed(mismatch))),
        ["drop second"]
    );
    assert!(talk.session.is_up());
}

#[test]
fn second_connections_that_fail_are_begun_no_more_often_than_others() {
    let mut talk = Talk::callee_up();
    let broken = || Failure::new(FailureKind::ConnectionFailed, "it cannot be read");
    assert_eq!(
        talk.say(offer(&sdp(THEIRS))),
        ["start second", "second: accept offer theirs"]
    );
    assert_eq!(
        talk.on(second(Happening::Failed(broken()))),
        ["drop second"]
    );
    for _ in 0..100 {
        assert!(talk.say(offer(&sdp(THEIRS))).is_empty(), "too soon");
    }
    talk.now += PAUSE;
    assert_eq!(
        talk.say(offer(&sdp(THEIRS))),
        ["start second", "second: accept offer theirs"]
    );
}

#[test]
fn a_connection_that_recovers_stays_and_the_second_one_goes() {
    let mut talk = doubting_caller();
    assert_eq!(
        talk.quiet(0),
        ["report the connection is back by itself", "drop second"]
    );
    assert!(talk.say(answer(&sdp(THEIRS))).is_empty(), "too late");
    assert!(talk.quiet(0).is_empty());
}

#[test]
fn what_is_agreed_goes_on_though_the_first_recovers() {
    let mut talk = doubting_caller();
    talk.say(answer(&sdp(THEIRS)));
    assert_eq!(talk.quiet(0), ["report the connection is back by itself"]);
    assert_eq!(
        talk.on(second(Happening::Connected)),
        ["replace: nothing came"]
    );
}

#[test]
fn when_the_partner_does_not_answer_both_meet_at_the_relay_again() {
    // The caller leaves its session, which frees the id of the partner, and calls again.
    let mut talk = doubting_caller();
    assert_eq!(unanswered(&mut talk), ["drop second", "drop relay"]);
    assert_eq!(talk.on(Event::RelayBack), ["send SESSION bob"]);
    assert!(talk.line("ERROR peer 'bob' not found").is_empty());
    assert!(talk.quiet(3500).is_empty(), "not at once");
    talk.now += PAUSE;
    assert_eq!(talk.quiet(3750), ["send SESSION bob"]);
    assert_eq!(
        talk.line("SESSION_OK"),
        ["start second", "second: create offer"]
    );
    assert_eq!(
        talk.on(second(Happening::Local(Local::Described(offer(&sdp(
            OURS
        )))))),
        [OFFER]
    );
    assert_eq!(
        talk.say(answer(&sdp(THEIRS))),
        ["second: accept answer theirs"]
    );
    assert_eq!(
        talk.on(second(Happening::Connected)),
        ["replace: nothing came"]
    );
    assert_eq!(talk.is_left(), ["end by Peer: the other side hung up"]);

    // The callee does the same, and waits to be called.
    let mut talk = doubting_callee();
    assert_eq!(unanswered(&mut talk), ["drop relay"]);
    assert!(talk.on(Event::RelayBack).is_empty());
    assert!(talk.line("SESSION_FROM ann").is_empty());
    assert_eq!(
        talk.say(offer(&sdp(THEIRS))),
        ["start second", "second: accept offer theirs"]
    );
    assert_eq!(
        talk.on(second(Happening::Connected)),
        ["replace: nothing came"]
    );
}

#[test]
fn an_end_of_the_session_is_no_hanging_up_while_the_partner_is_silent() {
    let mut talk = doubting_callee();
    assert!(talk.on(Event::SessionClosed).is_empty());
    assert!(talk.session.is_up());
    assert!(talk.on(Event::RelayBack).is_empty());
    assert!(talk.line("SESSION_FROM ann").is_empty());
    assert!(
        talk.on(Event::SessionClosed).is_empty(),
        "nobody has proved to be ann"
    );
    assert!(talk.session.is_up());
}

#[test]
fn a_partner_that_leaves_the_session_and_is_heard_all_the_same_has_not_hung_up() {
    // It was slower than we are, or did not hear us.
    let mut talk = Talk::callee_up();
    assert!(talk.on(Event::SessionClosed).is_empty());
    assert!(talk.quiet(250).is_empty());
    assert!(talk.on(Event::RelayBack).is_empty());
    assert!(talk.quiet(0).is_empty());
    assert!(
        talk.after(Duration::from_secs(2), Duration::ZERO)
            .is_empty()
    );
    assert!(talk.line("SESSION_FROM ann").is_empty());
    assert_eq!(talk.say(offer(&sdp(THEIRS)))[0], "start second");
    assert_eq!(
        talk.on(second(Happening::Connected)),
        ["replace: the other side wanted to"]
    );

    // It took its time to hang up.
    let mut talk = Talk::callee_up();
    talk.on(Event::SessionClosed);
    talk.after(Duration::from_millis(800), Duration::from_millis(100));
    let longer = QUIET_LIMIT + Duration::from_millis(1);
    assert_eq!(
        talk.after(longer, longer),
        ["end by Peer: the other side hung up"]
    );
}

#[test]
fn whoever_takes_the_partners_name_gets_nothing() {
    let mut talk = Talk::callee_up();
    talk.on(Event::RelayLost);
    talk.on(Event::RelayBack);
    assert!(talk.line("SESSION_FROM ann").is_empty());
    let declined = [
        "report a second call was declined: this client is in another call",
        "drop relay",
    ];
    assert_eq!(talk.say(offer(&sdp(EVES))), declined);

    // Who says nothing is not waited for.
    talk.on(Event::RelayBack);
    talk.line("SESSION_FROM ann");
    talk.now += UNPROVEN_DEADLINE;
    assert_eq!(talk.quiet(0), ["drop relay"]);
    assert!(talk.session.is_up());
}

#[test]
fn a_relay_that_names_nobody_is_no_obstacle() {
    let mut talk = Talk::callee_up();
    talk.on(Event::RelayLost);
    talk.on(Event::RelayBack);
    assert_eq!(
        talk.say(offer(&sdp(THEIRS))),
        ["start second", "second: accept offer theirs"]
    );
}

#[test]
fn a_partner_that_begins_anew_is_followed() {
    let mut talk = doubting_callee();
    talk.say(offer(&sdp(THEIRS)));
    assert!(
        talk.say(offer(&sdp(THEIRS))).is_empty(),
        "not as often as it likes"
    );
    talk.now += PAUSE;
    assert_eq!(
        talk.say(offer(&sdp(THEIRS))),
        ["drop second", "start second", "second: accept offer theirs"]
    );
}

#[test]
fn a_connection_that_is_described_anew_is_no_second_one() {
    let of = |session: u8| format!("o=- {session} 0 IN IP4 0.0.0.0\r\n{}", sdp(THEIRS));
    let mut talk = Talk::waiting();
    talk.line("SESSION_FROM ann");
    talk.say(offer(&of(1)));
    talk.on(described(answer(&sdp(OURS))));
    talk.on(first(Happening::Connected));
    assert!(
        talk.say(offer(&of(1))).is_empty(),
        "webrtcbin cannot follow"
    );
    assert_eq!(talk.say(offer(&of(2)))[0], "start second");
    talk.on(second(Happening::Connected));
    assert!(talk.say(offer(&of(2))).is_empty());
    talk.now += PAUSE;
    assert_eq!(talk.say(offer(&of(1)))[0], "start second");
}

#[test]
fn an_address_that_goes_is_a_reason_before_anything_is_silent() {
    let mut talk = Talk::caller_up();
    assert_eq!(
        talk.on(Event::Doubted(Doubt::Address)),
        ["probe relay", "start second", "second: create offer"]
    );
    assert!(talk.on(Event::Doubted(Doubt::Address)).is_empty(), "once");
    talk.on(second(Happening::Local(Local::Described(offer(&sdp(
        OURS,
    ))))));
    talk.say(answer(&sdp(THEIRS)));
    assert_eq!(
        talk.on(second(Happening::Connected)),
        ["replace: an address of this machine is gone"]
    );
}

#[test]
fn a_partner_that_lives_and_does_not_answer_is_left_in_peace() {
    let mut talk = Talk::caller_up();
    talk.on(Event::Doubted(Doubt::Credentials));
    talk.on(second(Happening::Local(Local::Described(offer(&sdp(
        OURS,
    ))))));
    talk.now += ANSWER_DEADLINE;
    assert_eq!(talk.quiet(0), ["drop second"]);
    talk.now += Duration::from_secs(60);
    assert!(talk.quiet(0).is_empty());
    assert!(talk.session.is_up());
}

#[test]
fn a_second_connection_that_does_not_stand_in_time_is_given_up() {
    let mut talk = doubting_caller();
    talk.say(answer(&sdp(THEIRS)));
    // What we said may not have reached the partner, or the other way round.
    assert_eq!(unanswered(&mut talk), ["drop second", "drop relay"]);
    assert!(talk.on(second(Happening::Connected)).is_empty());

    // While the first one is heard there is more time.
    let mut talk = Talk::caller_up();
    talk.on(Event::Doubted(Doubt::Address));
    talk.on(second(Happening::Local(Local::Described(offer(&sdp(
        OURS,
    ))))));
    talk.say(answer(&sdp(THEIRS)));
    talk.now += SECOND_DEADLINE - TICK;
    assert!(talk.quiet(0).is_empty());
    assert_eq!(talk.quiet(0), ["drop second"]);
}

#[test]
fn a_partner_may_close_the_first_connection_before_we_have_changed_over() {
    let mut talk = doubting_callee();
    talk.say(offer(&sdp(THEIRS)));
    assert!(talk.on(first(Happening::Closed)).is_empty());
    assert_eq!(
        talk.on(second(Happening::Connected)),
        ["replace: nothing came"]
    );

    // It hung up instead.
    let mut talk = doubting_callee();
    talk.say(offer(&sdp(THEIRS)));
    talk.on(first(Happening::Closed));
    assert_eq!(
        talk.on(Event::SessionClosed),
        ["end by Peer: the other side hung up"]
    );
}

#[test]
fn a_partner_that_hangs_up_in_need_has_hung_up() {
    let mut talk = doubting_caller();
    assert_eq!(
        talk.on(first(Happening::Closed)),
        ["end by Peer: the other side hung up"]
    );
}

#[test]
fn a_connection_that_fails_is_doubted_and_what_fails_here_ends_the_call() {
    let mut talk = Talk::callee_up();
    let failure = Failure::new(FailureKind::ConnectionFailed, "no path");
    assert_eq!(
        talk.on(first(Happening::Failed(failure))),
        ["probe relay", "send OFFER_REQUEST"]
    );
    let failure = Failure::new(FailureKind::Display, "no display");
    assert_eq!(
        talk.on(first(Happening::Failed(failure))),
        ["end by Us: Display"]
    );
}

#[test]
fn nobody_is_waited_for_for_ever() {
    for mut talk in [doubting_caller(), doubting_callee()] {
        let longer = QUIET_LIMIT + Duration::from_millis(1);
        assert_eq!(
            talk.after(TICK, longer),
            ["end by Network: ConnectionFailed"]
        );
    }
    // One that is about to connect is, for a while.
    let mut talk = doubting_caller();
    talk.say(answer(&sdp(THEIRS)));
    let longer = QUIET_LIMIT + Duration::from_millis(1);
    assert!(talk.after(TICK, longer).is_empty());
    let ended = talk.after(TICK, longer + SECOND_DEADLINE);
    assert_eq!(ended, ["end by Network: ConnectionFailed"]);
}
