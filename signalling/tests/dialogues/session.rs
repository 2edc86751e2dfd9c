//! Two peers and nothing between them.

use super::dialogue;

#[test]
fn the_called_peer_is_told_nothing_until_the_caller_speaks() {
    dialogue(
        "a> HELLO a
         <a HELLO
         b> HELLO b
         <b HELLO
         a> SESSION b
         <a SESSION_OK
         a> {\"sdp\": {}}
         <b {\"sdp\": {}}
         b> {\"ice\": {}}
         <a {\"ice\": {}}",
    );
}

#[test]
fn the_called_peer_may_speak_first() {
    dialogue(
        "a> HELLO a
         <a HELLO
         b> HELLO b
         <b HELLO
         a> SESSION b
         <a SESSION_OK
         b> OFFER_REQUEST
         <a OFFER_REQUEST",
    );
}

#[test]
fn no_line_is_a_command_in_a_session() {
    dialogue(
        "a> HELLO a
         <a HELLO
         b> HELLO b
         <b HELLO
         c> HELLO c
         <c HELLO
         a> SESSION b
         <a SESSION_OK
         a> SESSION c
         <b SESSION c
         b> HELLO z
         <a HELLO z
         a> ROOM r
         <b ROOM r
         b> ERROR boo
         <a ERROR boo
         a> ROOM_PEER_LIST
         <b ROOM_PEER_LIST
         a>
         <b
         a> \\s\\ttwo  blanks \\s
         <b \\s\\ttwo  blanks \\s",
    );
}

#[test]
fn binary_stays_binary() {
    dialogue(
        "a> HELLO a
         <a HELLO
         b> HELLO b
         <b HELLO
         a> SESSION b
         <a SESSION_OK
         a>> \\0bytes
         <<b \\0bytes
         b>>
         <<a",
    );
}

#[test]
fn nobody_of_that_name() {
    dialogue(
        "a> HELLO a
         <a HELLO
         b> HELLO b
         <b HELLO
         a> SESSION nobody
         <a ERROR peer 'nobody' not found
         a> SESSION b c
         <a ERROR peer 'b c' not found
         a> SESSION b\\s
         <a ERROR peer 'b ' not found
         a> SESSION o'x
         <a ERROR peer \"o'x\" not found
         a> SESSION back\\\\slash\\0
         <a ERROR peer 'back\\\\\\\\slash\\\\x00' not found
         a> SESSION Zoë
         <a ERROR peer 'Zoë' not found
         a> SESSION b
         <a SESSION_OK",
    );
}

#[test]
fn a_peer_does_not_call_itself() {
    dialogue(
        "a> HELLO a
         <a HELLO
         a> SESSION a
         <a ERROR peer 'a' busy
         b> HELLO b
         <b HELLO
         b> SESSION a
         <b SESSION_OK",
    );
}

#[test]
fn who_is_in_a_session_is_busy() {
    dialogue(
        "a> HELLO a
         <a HELLO
         b> HELLO b
         <b HELLO
         c> HELLO c
         <c HELLO
         a> SESSION b
         <a SESSION_OK
         c> SESSION b
         <c ERROR peer 'b' busy
         c> SESSION a
         <c ERROR peer 'a' busy
         b> still here
         <a still here",
    );
}

#[test]
fn who_is_in_a_room_is_busy() {
    dialogue(
        "a> HELLO a
         <a HELLO
         b> HELLO b
         <b HELLO
         b> ROOM r
         <b ROOM_OK\\s
         a> SESSION b
         <a ERROR peer 'b' busy
         a> ROOM r
         <a ROOM_OK b
         <b ROOM_PEER_JOINED a",
    );
}

#[test]
fn of_two_calls_that_cross_the_first_wins() {
    dialogue(
        "a> HELLO a
         <a HELLO
         b> HELLO b
         <b HELLO
         a> SESSION b
         <a SESSION_OK
         b> SESSION a
         <a SESSION a",
    );
}

#[test]
fn when_one_leaves_the_other_is_closed_and_both_ids_are_free() {
    dialogue(
        "a> HELLO a
         <a HELLO
         b> HELLO b
         <b HELLO
         a> SESSION b
         <a SESSION_OK
         a.
         <b# 1000
         c> HELLO a
         <c HELLO
         d> HELLO b
         <d HELLO
         b> too late
         b.
         c> SESSION b
         <c SESSION_OK
         d.
         <c# 1000",
    );
}

#[test]
fn who_does_not_read_is_dropped_and_its_partner_is_closed() {
    dialogue(
        "a> HELLO a
         <a HELLO
         b> HELLO b
         <b HELLO
         a> SESSION b
         <a SESSION_OK
         b! SlowConsumer
         <b# 1008 slow consumer
         <a# 1000
         c> HELLO b
         <c HELLO
         d> HELLO a
         <d HELLO",
    );
}

#[test]
fn every_fault_of_a_peer_ends_its_session_in_the_same_way() {
    for (fault, close) in [
        ("KeepaliveTimeout", "1011 keepalive ping timeout"),
        ("MessageTooBig", "1009 message too big"),
        ("InvalidUtf8", "1007 invalid UTF-8"),
        ("BrokenFrame", "1002 broken frame"),
    ] {
        dialogue(&format!(
            "a> HELLO a
             <a HELLO
             b> HELLO b
             <b HELLO
             a> SESSION b
             <a SESSION_OK
             a! {fault}
             <a# {close}
             <b# 1000
             a! {fault}
             a.
             b."
        ));
    }
}

#[test]
fn who_asked_for_it_is_told_who_calls_before_anything_else() {
    dialogue(
        "a> HELLO a
         <a HELLO
         b+ notices
         b> HELLO b
         <b HELLO
         a> SESSION b
         <a SESSION_OK
         <b SESSION_FROM a
         a> hi
         <b hi",
    );
}

#[test]
fn the_notice_is_for_the_called_peer_alone() {
    dialogue(
        "a+ notices
         a> HELLO a
         <a HELLO
         b> HELLO b
         <b HELLO
         a> SESSION b
         <a SESSION_OK
         a> SESSION_FROM somebody else
         <b SESSION_FROM somebody else",
    );
}
