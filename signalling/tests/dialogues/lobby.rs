//! Registered, and with nobody yet.

use super::dialogue;

#[test]
fn what_has_no_meaning_is_met_with_silence() {
    dialogue(
        "a> HELLO a
         <a HELLO
         a>
         a> what is this
         a> {\"sdp\": {\"type\": \"offer\", \"sdp\": \"v=0\"}}
         a> HELLO a
         a> HELLO z
         a> HELLO
         a> HELLO b c
         a> \\sSESSION a
         a> ROOM_PEER_LIST\\s
         a>> SESSION a
         a>>
         b> HELLO z
         <b HELLO",
    );
}

#[test]
fn a_verb_without_its_argument_is_an_error() {
    dialogue(
        "a> HELLO a
         <a HELLO
         a> SESSION
         <a ERROR invalid msg, SESSION needs an id
         a> SESSION\\s
         <a ERROR invalid msg, SESSION needs an id
         a> ROOM
         <a ERROR invalid msg, ROOM needs an id
         a> ROOM\\t
         <a ERROR invalid msg, ROOM needs an id",
    );
}

#[test]
fn a_word_that_only_begins_like_a_verb_is_unknown() {
    dialogue(
        "a> HELLO a
         <a HELLO
         b> HELLO b
         <b HELLO
         a> SESSIONX b
         a> ROOMX r
         a> ROOM_PEER_LISTS
         a> ROOM_PEER_MSGS b x
         a> session b
         b> SESSION a
         <b SESSION_OK",
    );
}

#[test]
fn lines_of_a_room_are_refused_outside_of_one() {
    dialogue(
        "a> HELLO a
         <a HELLO
         a> ROOM_PEER_MSG b hi
         <a ERROR invalid msg, not in a room
         a> ROOM_PEER_MSG b
         <a ERROR invalid msg, not in a room
         a> ROOM_PEER_MSG
         <a ERROR invalid msg, not in a room
         a> ROOM_PEER_LIST
         <a ERROR invalid msg, not in a room
         a> ROOM r
         <a ROOM_OK\\s",
    );
}
