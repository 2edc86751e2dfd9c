//! Rooms as conversations.

use super::*;

fn room() -> Room {
    Room::new("demo".parse().expect("an id"))
}

fn id(text: &str) -> PeerId {
    text.parse().expect("an id")
}

fn on(room: &mut Room, event: Event<'_>) -> Vec<String> {
    at(room, event, 0)
}

fn at(room: &mut Room, event: Event<'_>, second: u64) -> Vec<String> {
    let mut effects = Vec::new();
    room.handle(event, Duration::from_secs(second), &mut effects);
    effects.iter().map(word).collect()
}

fn line(room: &mut Room, line: &str) -> Vec<String> {
    on(room, Event::Line(line))
}

fn word(effect: &Effect) -> String {
    match effect {
        Effect::Send(line) => format!("send {line}"),
        Effect::StartPeer(peer) => format!("start {peer}"),
        Effect::Negotiate(peer, Step::CreateOffer) => format!("offer to {peer}"),
        Effect::Negotiate(peer, Step::AcceptOffer(sdp)) => format!("answer {peer} {sdp}"),
        Effect::Negotiate(peer, Step::AcceptAnswer(sdp)) => format!("accept {peer} {sdp}"),
        Effect::Negotiate(peer, Step::AddCandidate(_)) => format!("candidate of {peer}"),
        Effect::Negotiate(_, Step::Send(signal)) => panic!("{signal} has to be sent"),
        Effect::StartMedia(peer) => format!("media to {peer}"),
        Effect::ClosePeer(peer) => format!("close {peer}"),
        Effect::Report(report) => format!("report {report}"),
        Effect::Fail(failure) => format!("fail: {failure}"),
    }
}

const OFFER: &str = r#"{"sdp":{"type":"offer","sdp":"o"}}"#;
const ANSWER: &str = r#"{"sdp":{"type":"answer","sdp":"a"}}"#;
const ICE: &str = r#"{"ice":{"candidate":"c","sdpMLineIndex":0}}"#;

#[test]
fn the_newcomer_offers_to_everybody_who_is_there() {
    let mut room = room();
    assert_eq!(on(&mut room, Event::Registered), ["send ROOM demo"]);
    assert_eq!(
        line(&mut room, "ROOM_OK a b"),
        [
            r#"report joined room "demo" with ["a", "b"]"#,
            "start a",
            "offer to a",
            "start b",
            "offer to b",
        ]
    );
    let description = Description {
        kind: SdpType::Offer,
        sdp: "o".into(),
    };
    let sent = on(&mut room, Event::LocalDescription(&id("a"), description));
    assert_eq!(sent, [format!("send ROOM_PEER_MSG a {OFFER}")]);
    assert_eq!(
        line(&mut room, &format!("ROOM_PEER_MSG a {ANSWER}")),
        ["accept a a"]
    );
    assert!(
        line(&mut room, &format!("ROOM_PEER_MSG a {ICE}")).is_empty(),
        "not before the answer"
    );
    assert_eq!(
        on(&mut room, Event::RemoteDescriptionSet(&id("a"))),
        ["candidate of a"]
    );
    assert_eq!(on(&mut room, Event::Connected(&id("a"))), ["media to a"]);
}

#[test]
fn who_was_there_waits_for_the_newcomers_offer() {
    let mut room = room();
    line(&mut room, "ROOM_OK ");
    assert_eq!(
        line(&mut room, "ROOM_PEER_JOINED c"),
        [r#"report "c" joined"#]
    );
    assert_eq!(
        line(&mut room, &format!("ROOM_PEER_MSG c {OFFER}")),
        ["start c", "answer c o"]
    );
    assert_eq!(
        line(&mut room, "ROOM_PEER_LEFT c"),
        ["close c", r#"report "c" left"#]
    );
}

#[test]
fn offers_that_are_not_for_us_to_answer_are_left_alone() {
    let mut room = room();
    line(&mut room, "ROOM_OK a");
    assert!(
        line(&mut room, &format!("ROOM_PEER_MSG a {OFFER}")).is_empty(),
        "we offer to a"
    );
    assert!(line(&mut room, "ROOM_PEER_MSG a OFFER_REQUEST").is_empty());
    assert!(
        line(&mut room, &format!("ROOM_PEER_MSG x {OFFER}")).is_empty(),
        "x is not here"
    );
    assert!(line(&mut room, "ROOM_PEER_MSG a hello").is_empty());
    assert!(line(&mut room, "ERROR peer 'a' not found").is_empty());
}

#[test]
fn a_member_that_fails_disturbs_nobody_else() {
    let mut room = room();
    line(&mut room, "ROOM_OK a b");
    let failure = Failure::new(FailureKind::Other, "it broke");
    assert_eq!(
        on(&mut room, Event::PeerFailed(&id("a"), failure.clone())),
        ["close a", r#"report "a" failed: it broke"#]
    );
    assert!(
        on(&mut room, Event::PeerFailed(&id("a"), failure)).is_empty(),
        "once"
    );
    assert!(on(&mut room, Event::Connected(&id("a"))).is_empty());
    assert_eq!(on(&mut room, Event::Connected(&id("b"))), ["media to b"]);
}

#[test]
fn silence_and_delay_have_an_end() {
    let mut room = room();
    line(&mut room, "ROOM_OK a b");
    on(&mut room, Event::Connected(&id("a")));
    let silence = |seconds| Silence {
        lasts: Duration::from_secs(seconds),
        suspicious: Duration::from_secs(2),
        limit: Duration::from_secs(5),
    };
    let (short, long) = (silence(5), silence(6));
    assert!(on(&mut room, Event::Silent(&id("a"), short)).is_empty());
    assert_eq!(on(&mut room, Event::Silent(&id("a"), long))[0], "close a");
    assert!(
        on(&mut room, Event::Silent(&id("b"), long)).is_empty(),
        "b is not connected yet"
    );
    assert!(at(&mut room, Event::Tick, 30).is_empty());
    assert_eq!(at(&mut room, Event::Tick, 31)[0], "close b");
}

#[test]
fn after_the_relay_was_gone_connections_are_replaced_not_lost() {
    let mut room = room();
    line(&mut room, "ROOM_OK a");
    on(&mut room, Event::Connected(&id("a")));
    // The relay is back. We are the first one in again, and a follows.
    assert_eq!(on(&mut room, Event::Registered), ["send ROOM demo"]);
    assert_eq!(line(&mut room, "ROOM_OK ").len(), 1);
    line(&mut room, "ROOM_PEER_JOINED a");
    assert_eq!(
        line(&mut room, &format!("ROOM_PEER_MSG a {OFFER}")),
        ["start a", "answer a o"]
    );
}

#[test]
fn what_an_old_connection_still_says_is_not_said_of_the_new_one() {
    let mut room = room();
    line(&mut room, "ROOM_OK a");
    on(&mut room, Event::Connected(&id("a")));
    on(&mut room, Event::Registered);
    line(&mut room, "ROOM_OK ");
    line(&mut room, "ROOM_PEER_JOINED a");
    let late = Candidate {
        candidate: "old".into(),
        sdp_m_line_index: 0,
        sdp_mid: None,
    };
    on(&mut room, Event::LocalCandidate(&id("a"), late));
    line(&mut room, &format!("ROOM_PEER_MSG a {OFFER}"));
    let description = Description {
        kind: SdpType::Answer,
        sdp: "a".into(),
    };
    let sent = on(&mut room, Event::LocalDescription(&id("a"), description));
    assert_eq!(sent, [format!("send ROOM_PEER_MSG a {ANSWER}")]);
}

#[test]
fn who_does_not_come_back_with_the_relay_is_gone_once_its_connection_is() {
    let mut room = room();
    line(&mut room, "ROOM_OK a b");
    on(&mut room, Event::Connected(&id("a")));
    on(
        &mut room,
        Event::PeerFailed(&id("b"), Failure::new(FailureKind::Other, "it broke")),
    );
    on(&mut room, Event::Registered);
    line(&mut room, "ROOM_OK ");
    assert_eq!(room.members.len(), 1, "a is still connected");
    on(
        &mut room,
        Event::PeerFailed(&id("a"), Failure::new(FailureKind::Other, "it broke")),
    );
    assert!(room.members.is_empty());
}

#[test]
fn a_member_cannot_have_connections_made_as_fast_as_it_likes() {
    let mut room = room();
    line(&mut room, "ROOM_OK ");
    line(&mut room, "ROOM_PEER_JOINED c");
    let offer = format!("ROOM_PEER_MSG c {OFFER}");
    assert_eq!(line(&mut room, &offer).len(), 2);
    assert!(line(&mut room, &offer).is_empty());
    assert_eq!(at(&mut room, Event::Line(&offer), 1).len(), 2);
}

#[test]
fn a_crowd_is_bounded() {
    let mut room = room();
    line(&mut room, "ROOM_OK ");
    for number in 0..MAX_MEMBERS {
        line(&mut room, &format!("ROOM_PEER_JOINED p{number}"));
    }
    let words = line(&mut room, "ROOM_PEER_JOINED one-more");
    assert!(words[1].contains("64 others at the most"), "{words:?}");
    assert!(line(&mut room, &format!("ROOM_PEER_MSG one-more {OFFER}")).is_empty());
}

#[test]
fn a_room_that_may_not_be_is_a_failure() {
    let words = line(&mut room(), "ERROR invalid room id 'demo'");
    assert_eq!(words, [r#"fail: The relay does not allow a room "demo"."#]);
    let words = line(&mut room(), "ERROR room 'demo' is full");
    assert_eq!(
        words,
        [r#"fail: The room "demo" is full; try again later."#]
    );
    let words = line(&mut room(), "ERROR not allowed by this token");
    assert_eq!(
        words,
        [r#"fail: The token does not allow to join the room "demo"."#]
    );
}
