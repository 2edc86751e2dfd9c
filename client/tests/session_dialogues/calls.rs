//! Calls from their first message to their last.

use std::time::Duration;

use client::failure::{Failure, FailureKind};
use client::report::Party;
use client::session::{CONNECT_DEADLINE, DESCRIPTION_DEADLINE, Effect, Event};
use protocol::Signal;

use crate::talk::{
    CONNECTED, QUIET_LIMIT, REMOTE_IS_SET, SUSPICIOUS, Talk, answer, candidate, described, failed,
    gathered, offer,
};

const MINE: &str = r#"{"sdp":{"type":"offer","sdp":"mine"}}"#;
const ICE: &str = r#"{"ice":{"candidate":"theirs","sdpMLineIndex":0}}"#;

#[test]
fn a_caller_prepares_its_offer_while_the_relay_is_asked() {
    let (mut talk, began) = Talk::calling(false);
    assert_eq!(
        began,
        [
            "report calling \"bob\"",
            "send SESSION bob",
            "start peer",
            "create offer"
        ]
    );
    assert!(
        talk.on(described(offer("mine"))).is_empty(),
        "nobody would hear it"
    );
    assert!(talk.on(gathered(candidate("c1"))).is_empty());
    assert_eq!(
        talk.line("SESSION_OK"),
        [
            format!("send {MINE}"),
            "report offer sent".into(),
            r#"send {"ice":{"candidate":"c1","sdpMLineIndex":0}}"#.into(),
        ]
    );
    assert_eq!(
        talk.line(r#"{"sdp":{"type":"answer","sdp":"theirs"}}"#),
        ["report answer received", "accept answer theirs"]
    );
    assert!(talk.on(REMOTE_IS_SET).is_empty());
    assert_eq!(talk.on(CONNECTED), ["start media"]);
}

#[test]
fn a_callee_answers_and_learns_who_calls() {
    let mut talk = Talk::waiting();
    assert!(talk.session.is_waiting());
    assert_eq!(
        talk.line("SESSION_FROM ann"),
        ["report called by \"ann\"", "start peer"]
    );
    assert_eq!(
        talk.line(MINE),
        ["report offer received", "accept offer mine"]
    );
    assert_eq!(
        talk.on(described(answer("a"))),
        [
            r#"send {"sdp":{"type":"answer","sdp":"a"}}"#,
            "report answer sent"
        ]
    );
    assert!(talk.on(REMOTE_IS_SET).is_empty());
    assert_eq!(talk.on(CONNECTED), ["start media"]);
}

#[test]
fn a_callee_of_a_relay_without_notices_begins_at_the_offer() {
    assert_eq!(
        Talk::waiting().line(MINE),
        [
            "report called by a peer",
            "start peer",
            "report offer received",
            "accept offer mine"
        ]
    );
}

#[test]
fn an_offer_can_be_asked_for() {
    let (mut talk, began) = Talk::calling(true);
    assert_eq!(
        began,
        ["report calling \"bob\"", "send SESSION bob", "start peer"]
    );
    assert_eq!(talk.line("SESSION_OK"), ["send OFFER_REQUEST"]);
    assert_eq!(
        talk.line(MINE),
        ["report offer received", "accept offer mine"]
    );
}

#[test]
fn an_offer_is_made_when_asked_for() {
    let mut talk = Talk::waiting();
    talk.line("SESSION_FROM ann");
    assert_eq!(talk.line("OFFER_REQUEST"), ["create offer"]);
    assert!(talk.line("OFFER_REQUEST").is_empty(), "once");
    assert_eq!(talk.on(described(offer("mine")))[0], format!("send {MINE}"));
    assert_eq!(
        talk.line(r#"{"sdp":{"type":"answer","sdp":"x"}}"#)[1],
        "accept answer x"
    );
}

#[test]
fn candidates_that_overtake_their_description_wait_for_it() {
    let mut talk = Talk::offering();
    assert!(talk.line(ICE).is_empty());
    talk.line(r#"{"sdp":{"type":"answer","sdp":"x"}}"#);
    assert!(
        talk.line(ICE).is_empty(),
        "the answer is still being taken in"
    );
    assert_eq!(talk.on(REMOTE_IS_SET), ["add theirs", "add theirs"]);
    assert_eq!(talk.line(ICE), ["add theirs"]);
}

#[test]
fn our_candidates_never_overtake_our_description() {
    let mut talk = Talk::waiting();
    talk.line(MINE);
    assert!(talk.on(gathered(candidate("c1"))).is_empty());
    let sent = talk.on(described(answer("a")));
    assert_eq!(sent.len(), 3, "{sent:?}");
    assert!(sent[2].contains("c1"), "{sent:?}");
}

#[test]
fn candidates_that_cannot_be_used_are_left_out_quietly() {
    let mut talk = Talk::up();
    let mdns = "candidate:1 1 udp 2113937151 0a1b2c3d-0000-4000-8000-000000000000.local 5 typ host";
    assert!(
        talk.line(&Signal::Ice(candidate(mdns)).to_string())
            .is_empty()
    );
    assert!(
        talk.line(&Signal::Ice(candidate("")).to_string())
            .is_empty()
    );
}

#[test]
fn when_both_call_at_once_the_first_call_is_the_call() {
    // We won: the other's SESSION comes as a line of the session and means nothing.
    let mut talk = Talk::offering();
    assert!(talk.line("SESSION alice").is_empty());

    // We lost: instead of SESSION_OK comes word of the other's call.
    let (mut talk, _) = Talk::calling(false);
    talk.on(described(offer("stale")));
    talk.on(gathered(candidate("stale")));
    assert_eq!(
        talk.line("SESSION_FROM bob"),
        ["report called by \"bob\"", "start peer"]
    );
    assert_eq!(
        talk.line(MINE),
        ["report offer received", "accept offer mine"]
    );
    let sent = talk.on(described(answer("a")));
    assert!(!sent.iter().any(|word| word.contains("stale")), "{sent:?}");
}

#[test]
fn a_call_shows_nothing_to_anybody_but_the_peer_that_was_called() {
    // Somebody else calls us in the moment in which we call bob.
    let (mut talk, _) = Talk::calling(false);
    talk.on(described(offer("mine")));
    assert_eq!(
        talk.line("SESSION_FROM eve"),
        [
            "report a second call was declined: this client is in another call",
            "drop relay"
        ]
    );
    assert_eq!(talk.on(Event::RelayBack), ["send SESSION bob"]);
    assert_eq!(talk.line("SESSION_OK")[0], format!("send {MINE}"));
}

#[test]
fn a_peer_has_no_more_candidates_than_any_machine_would() {
    let mut talk = Talk::up();
    let used = (0..1000).filter(|_| !talk.line(ICE).is_empty()).count();
    assert_eq!(used, 128);
}

#[test]
fn refusals_of_the_relay_end_the_call_each_in_its_way() {
    for (line, kind) in [
        ("ERROR peer 'bob' not found", "PeerNotFound"),
        ("ERROR peer 'bob' busy", "PeerBusy"),
        ("ERROR something new", "Other"),
    ] {
        let (mut talk, _) = Talk::calling(false);
        assert_eq!(talk.line(line), [format!("end by Peer: {kind}")]);
    }
}

#[test]
fn errors_mean_nothing_outside_a_call_we_made() {
    assert!(Talk::waiting().line("ERROR anything").is_empty());
    assert!(Talk::up().line("ERROR boo").is_empty());
}

#[test]
fn hanging_up_is_in_order_once_connected_and_a_failure_before() {
    assert_eq!(
        Talk::up().is_left(),
        ["end by Peer: the other side hung up"]
    );
    assert_eq!(
        Talk::offering().on(Event::SessionClosed),
        ["end by Peer: ConnectionFailed"]
    );
    assert_eq!(
        Talk::up().on(Event::Stop("stopped here")),
        ["end by Us: stopped here"]
    );
}

#[test]
fn the_call_goes_on_without_the_relay() {
    let mut talk = Talk::up();
    assert!(talk.on(Event::RelayLost).is_empty());
    assert!(
        talk.after(Duration::from_secs(3), Duration::ZERO)
            .is_empty()
    );
    assert!(talk.on(Event::RelayBack).is_empty());
    assert!(talk.session.is_up());
}

#[test]
fn a_second_caller_is_declined_while_the_relay_knows_nothing_of_our_call() {
    let mut talk = Talk::up();
    talk.on(Event::RelayLost);
    talk.on(Event::RelayBack);
    assert_eq!(
        talk.line("SESSION_FROM eve"),
        [
            "report a second call was declined: this client is in another call",
            "drop relay"
        ]
    );
    assert!(talk.session.is_up());
}

#[test]
fn without_a_relay_a_call_cannot_be_set_up() {
    let (mut talk, _) = Talk::calling(false);
    assert_eq!(
        talk.on(Event::RelayLost),
        ["end by Network: RelayUnreachable"]
    );
    assert_eq!(
        Talk::offering().on(Event::RelayLost),
        ["end by Network: RelayUnreachable"]
    );
    let mut talk = Talk::waiting();
    assert!(talk.on(Event::RelayLost).is_empty());
    assert!(
        talk.session.is_waiting(),
        "somebody may call once the relay is back"
    );
}

#[test]
fn every_wait_has_an_end() {
    let second = Duration::from_secs(1);
    let failed = ["end by Network: ConnectionFailed"];

    let (mut dialling, _) = Talk::calling(false);
    assert!(dialling.after(CONNECT_DEADLINE, second).is_empty());
    assert_eq!(dialling.after(second, second), failed);

    let mut offering = Talk::offering();
    assert!(offering.after(DESCRIPTION_DEADLINE, second).is_empty());
    assert_eq!(offering.after(second, second), failed);

    let mut expecting = Talk::waiting();
    expecting.line("SESSION_FROM ann");
    assert_eq!(
        expecting.after(DESCRIPTION_DEADLINE + second, second),
        failed
    );

    let mut connecting = Talk::waiting();
    connecting.line(MINE);
    assert_eq!(connecting.after(CONNECT_DEADLINE + second, second), failed);

    let mut waiting = Talk::waiting();
    assert!(
        waiting
            .after(Duration::from_secs(1 << 30), second)
            .is_empty(),
        "but for being called"
    );
}

#[test]
fn a_partner_that_falls_silent_counts_as_gone() {
    let mut talk = Talk::up();
    assert!(talk.after(Duration::from_secs(99), SUSPICIOUS).is_empty());
    let longer = QUIET_LIMIT + Duration::from_millis(1);
    let ended = ["end by Network: ConnectionFailed"];
    assert_eq!(talk.after(Duration::from_secs(1), longer), ended);
}

#[test]
fn nothing_flows_before_the_connection_is_verified() {
    let mut talk = Talk::offering();
    assert!(talk.on(CONNECTED).is_empty(), "there is no answer yet");
    talk.line(r#"{"sdp":{"type":"answer","sdp":"x"}}"#);
    let mismatch = Failure::new(FailureKind::FingerprintMismatch, "somebody listens");
    let mut effects = Vec::new();
    talk.session
        .handle(failed(mismatch.clone()), talk.now, &mut effects);
    let [Effect::End(ending)] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(
        (ending.by, &ending.outcome),
        (Party::Network, &Err(mismatch))
    );
    assert!(talk.on(CONNECTED).is_empty());
}

#[test]
fn an_end_says_whose_doing_it_was() {
    for (kind, by) in [
        (FailureKind::Display, Party::Us),
        (FailureKind::CodecRefused, Party::Peer),
        (FailureKind::ConnectionFailed, Party::Network),
    ] {
        let ended = Talk::offering().on(failed(Failure::new(kind, "")));
        assert_eq!(ended, [format!("end by {by:?}: {kind:?}")]);
    }
}

#[test]
fn what_nobody_understands_disturbs_nobody() {
    let mut talk = Talk::up();
    for line in [
        "",
        "hello",
        "{}",
        "[]",
        r#"{"chat":"hi"}"#,
        MINE,
        "ROOM_OK ",
    ] {
        assert!(talk.line(line).is_empty(), "{line:?}");
    }
    assert!(talk.session.is_up());
}
