//! Rooms, and many who leave at once.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

use async_tungstenite::tungstenite::Message;

use crate::peer::Peer;
use crate::running::relay;

#[test]
fn members_learn_of_each_other_and_talk() {
    let relay = relay("");
    let mut a = Peer::in_room(&relay, "a", "r", &[]);
    let mut b = Peer::in_room(&relay, "b", "r", &["a"]);
    a.expect("ROOM_PEER_JOINED b");
    let mut c = Peer::in_room(&relay, "c", "r", &["a", "b"]);
    a.expect("ROOM_PEER_JOINED c");
    b.expect("ROOM_PEER_JOINED c");
    c.say("ROOM_PEER_MSG a {\"sdp\": {}}");
    a.expect("ROOM_PEER_MSG c {\"sdp\": {}}");
    c.send(Message::binary(vec![1]));
    c.expect("ERROR invalid msg, already in room");
    b.leave();
    a.expect("ROOM_PEER_LEFT b");
    c.expect("ROOM_PEER_LEFT b");
    c.say("ROOM_PEER_LIST");
    c.expect("ROOM_PEER_LIST a");
}

#[test]
fn when_fifty_leave_at_once_all_others_learn_it_and_the_ids_are_free() {
    const LEAVERS: usize = 50;
    const STAYERS: usize = 10;
    let relay = relay("");
    let mut ids: Vec<String> = Vec::new();
    let mut peers: Vec<Peer> = Vec::new();
    for number in 0..STAYERS + LEAVERS {
        let id = format!("peer-{number}");
        let others: Vec<_> = ids.iter().map(String::as_str).collect();
        let newcomer = Peer::in_room(&relay, &id, "crowd", &others);
        for other in &mut peers {
            other.expect(&format!("ROOM_PEER_JOINED {id}"));
        }
        peers.push(newcomer);
        ids.push(id);
    }
    let leavers = peers.split_off(STAYERS);
    let all_ready = Barrier::new(LEAVERS);
    thread::scope(|scope| {
        for (number, leaver) in leavers.into_iter().enumerate() {
            let all_ready = &all_ready;
            scope.spawn(move || {
                all_ready.wait();
                // Some say good-bye, the others are just gone.
                if number % 2 == 0 {
                    leaver.leave();
                }
            });
        }
    });
    let gone: BTreeSet<_> = ids[STAYERS..].iter().cloned().collect();
    for stayer in &mut peers {
        let mut seen = BTreeSet::new();
        for _ in 0..LEAVERS {
            let message = stayer.next_message();
            let line = message.to_text().expect("a line");
            let id = line
                .strip_prefix("ROOM_PEER_LEFT ")
                .unwrap_or_else(|| panic!("{line}"));
            assert!(seen.insert(id.to_owned()), "{id} left twice");
        }
        assert_eq!(seen, gone);
    }
    let here = ids[..STAYERS].to_vec();
    for id in &gone {
        Peer::registered(&relay, id);
    }
    // Nothing else came, and nobody else is there.
    peers[0].say("ROOM_PEER_LIST");
    peers[0].expect(&format!("ROOM_PEER_LIST {}", here[1..].join(" ")));
}

#[test]
fn a_burst_does_no_harm_to_a_member_that_reads() {
    const MESSAGES: usize = 100;
    let relay = relay("");
    let mut a = Peer::in_room(&relay, "a", "r", &[]);
    let mut b = Peer::in_room(&relay, "b", "r", &["a"]);
    a.expect("ROOM_PEER_JOINED b");
    // Many times what may wait for one peer.
    let payload = "x".repeat(60_000);
    let sender = thread::spawn(move || {
        for _ in 0..MESSAGES {
            a.say(&format!("ROOM_PEER_MSG b {payload}"));
        }
        a
    });
    let expected = format!("ROOM_PEER_MSG a {}", "x".repeat(60_000));
    for _ in 0..MESSAGES {
        b.expect(&expected);
    }
    sender.join().expect("all was taken");
}
