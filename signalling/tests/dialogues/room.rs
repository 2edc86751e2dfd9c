//! Many peers, each of whom is told of the others.

use super::dialogue;

#[test]
fn the_first_one_in_finds_nobody() {
    dialogue(
        "a> HELLO a
         <a HELLO
         a> ROOM r1
         <a ROOM_OK\\s",
    );
}

#[test]
fn newcomers_learn_who_is_there_in_order_of_joining() {
    dialogue(
        "z> HELLO z
         <z HELLO
         a> HELLO a
         <a HELLO
         m> HELLO m
         <m HELLO
         z> ROOM r
         <z ROOM_OK\\s
         a> ROOM r
         <a ROOM_OK z
         <z ROOM_PEER_JOINED a
         m> ROOM r
         <m ROOM_OK z a
         <z ROOM_PEER_JOINED m
         <a ROOM_PEER_JOINED m
         m> ROOM_PEER_LIST
         <m ROOM_PEER_LIST z a
         z> ROOM_PEER_LIST
         <z ROOM_PEER_LIST a m",
    );
}

#[test]
fn who_comes_back_is_the_last_to_have_joined() {
    dialogue(
        "a> HELLO a
         <a HELLO
         a> ROOM r
         <a ROOM_OK\\s
         b> HELLO b
         <b HELLO
         b> ROOM r
         <b ROOM_OK a
         <a ROOM_PEER_JOINED b
         a.
         <b ROOM_PEER_LEFT a
         c> HELLO a
         <c HELLO
         c> ROOM r
         <c ROOM_OK b
         <b ROOM_PEER_JOINED a",
    );
}

#[test]
fn what_is_no_name_for_a_room_is_refused() {
    let long = "x".repeat(257);
    dialogue(&format!(
        "a> HELLO a
         <a HELLO
         a> ROOM session
         <a ERROR invalid room id 'session'
         a> ROOM a b
         <a ERROR invalid room id 'a b'
         a> ROOM x\\s
         <a ERROR invalid room id 'x '
         a> ROOM {long}
         <a ERROR invalid room id '{long}'
         a> ROOM sessions
         <a ROOM_OK\\s"
    ));
}

#[test]
fn nothing_else_can_be_said_in_a_room() {
    let refused = [
        "ROOM r2",
        "ROOM",
        "ROOM session",
        "SESSION b",
        "SESSION",
        "hello",
        "HELLO a",
    ]
    .into_iter()
    .chain([
        "",
        "{\"ice\": {}}",
        "ROOM_PEER_LIST\\s",
        "ROOM_PEER_MSGS a b",
        " ROOM r",
    ])
    .map(|text| format!("a> {text}\n<a ERROR invalid msg, already in room\n"))
    .collect::<String>();
    dialogue(&format!(
        "a> HELLO a
         <a HELLO
         b> HELLO b
         <b HELLO
         a> ROOM r
         <a ROOM_OK\\s
         {refused}
         a>> binary
         <a ERROR invalid msg, already in room
         b> ROOM r
         <b ROOM_OK a
         <a ROOM_PEER_JOINED b"
    ));
}

#[test]
fn messages_reach_one_member_each() {
    dialogue(
        "a> HELLO a
         <a HELLO
         b> HELLO b
         <b HELLO
         c> HELLO c
         <c HELLO
         a> ROOM r
         <a ROOM_OK\\s
         b> ROOM r
         <b ROOM_OK a
         <a ROOM_PEER_JOINED b
         c> ROOM r
         <c ROOM_OK a b
         <a ROOM_PEER_JOINED c
         <b ROOM_PEER_JOINED c
         c> ROOM_PEER_MSG a {\"sdp\": {}}
         <a ROOM_PEER_MSG c {\"sdp\": {}}
         a> ROOM_PEER_MSG c \\s\\t inside  and at the end \\s
         <c ROOM_PEER_MSG a inside  and at the end \\s
         b> ROOM_PEER_MSG b to myself
         <b ROOM_PEER_MSG b to myself",
    );
}

#[test]
fn a_message_needs_somebody_to_get_it() {
    dialogue(
        "a> HELLO a
         <a HELLO
         b> HELLO b
         <b HELLO
         c> HELLO c
         <c HELLO
         a> ROOM r
         <a ROOM_OK\\s
         b> ROOM s
         <b ROOM_OK\\s
         a> ROOM_PEER_MSG x hi
         <a ERROR peer 'x' not found
         a> ROOM_PEER_MSG b hi
         <a ERROR peer 'b' is not in the room
         a> ROOM_PEER_MSG c hi
         <a ERROR peer 'c' is not in the room
         a> ROOM_PEER_MSG b
         <a ERROR invalid msg, ROOM_PEER_MSG needs a peer and a message
         a> ROOM_PEER_MSG b \\s
         <a ERROR invalid msg, ROOM_PEER_MSG needs a peer and a message
         a> ROOM_PEER_MSG
         <a ERROR invalid msg, ROOM_PEER_MSG needs a peer and a message",
    );
}

#[test]
fn who_is_alone_gets_an_empty_list() {
    dialogue(
        "a> HELLO a
         <a HELLO
         a> ROOM r
         <a ROOM_OK\\s
         a> ROOM_PEER_LIST
         <a ROOM_PEER_LIST\\s",
    );
}

#[test]
fn every_other_learns_once_who_left() {
    dialogue(
        "a> HELLO a
         <a HELLO
         b> HELLO b
         <b HELLO
         c> HELLO c
         <c HELLO
         a> ROOM r
         <a ROOM_OK\\s
         b> ROOM r
         <b ROOM_OK a
         <a ROOM_PEER_JOINED b
         c> ROOM r
         <c ROOM_OK a b
         <a ROOM_PEER_JOINED c
         <b ROOM_PEER_JOINED c
         b! SlowConsumer
         <b# 1008 slow consumer
         <a ROOM_PEER_LEFT b
         <c ROOM_PEER_LEFT b
         b.
         c.
         <a ROOM_PEER_LEFT c
         d> HELLO b
         <d HELLO",
    );
}

#[test]
fn a_room_ends_with_its_last_member() {
    dialogue(
        "a> HELLO a
         <a HELLO
         b> HELLO b
         <b HELLO
         a> ROOM r
         <a ROOM_OK\\s
         a.
         b> ROOM r
         <b ROOM_OK\\s",
    );
}

#[test]
fn rooms_know_nothing_of_each_other() {
    dialogue(
        "a> HELLO a
         <a HELLO
         b> HELLO b
         <b HELLO
         a> ROOM r
         <a ROOM_OK\\s
         b> ROOM R
         <b ROOM_OK\\s
         a.
         b> ROOM_PEER_LIST
         <b ROOM_PEER_LIST\\s",
    );
}
