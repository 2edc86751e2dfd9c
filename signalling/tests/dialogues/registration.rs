//! From the opened WebSocket to the `HELLO` that answers.

use super::dialogue;

#[test]
fn a_peer_registers() {
    dialogue(
        "a> HELLO a1
         <a HELLO",
    );
}

#[test]
fn blanks_before_the_word_and_several_behind_it_do_no_harm() {
    dialogue(
        "a> HELLO  a
         <a HELLO
         b> HELLO\\tb
         <b HELLO
         c> \\s\\tHELLO c
         <c HELLO
         d> SESSION a
         <d# 1002 invalid protocol
         e> HELLO e
         <e HELLO
         e> SESSION a
         <e SESSION_OK",
    );
}

#[test]
fn a_taken_id_is_refused_and_its_holder_notices_nothing() {
    dialogue(
        "a> HELLO a
         <a HELLO
         b> HELLO a
         <b# 1002 invalid peer uid
         b> HELLO b
         b.
         c> HELLO c
         <c HELLO
         a> SESSION c
         <a SESSION_OK
         c> hi
         <a hi",
    );
}

#[test]
fn what_is_no_id_is_refused() {
    dialogue(
        "a> HELLO
         <a# 1002 invalid peer uid
         b> HELLO\\s
         <b# 1002 invalid peer uid
         c> HELLO a b
         <c# 1002 invalid peer uid
         d> HELLO a\\s
         <d# 1002 invalid peer uid
         e> HELLO a\u{a0}b
         <e# 1002 invalid peer uid
         f> HELLO a\u{2028}
         <f# 1002 invalid peer uid",
    );
}

#[test]
fn an_id_has_at_most_256_bytes() {
    let longest = "x".repeat(256);
    let accented = "é".repeat(128);
    dialogue(&format!(
        "a> HELLO {longest}
         <a HELLO
         b> HELLO {longest}x
         <b# 1002 invalid peer uid
         c> HELLO {accented}
         <c HELLO
         d> HELLO {accented}x
         <d# 1002 invalid peer uid"
    ));
}

#[test]
fn any_other_first_message_is_refused() {
    dialogue(
        "a>
         <a# 1002 invalid protocol
         b> {\"hello\": \"b\"}
         <b# 1002 invalid protocol
         c>> HELLO c
         <c# 1002 invalid protocol
         d> hello d
         <d# 1002 invalid protocol
         e> HELLOe
         <e# 1002 invalid protocol
         f> ROOM r
         <f# 1002 invalid protocol
         g> ROOM
         <g# 1002 invalid protocol
         h> ROOM session
         <h# 1002 invalid protocol
         i> ROOM_PEER_LIST
         <i# 1002 invalid protocol
         j> ROOM_PEER_MSG a b
         <j# 1002 invalid protocol
         k> SESSION
         <k# 1002 invalid protocol
         l> hi
         <l# 1002 invalid protocol",
    );
}

#[test]
fn who_says_nothing_is_sent_away_after_ten_seconds() {
    dialogue(
        "a+
         + 4 s
         b+
         c> HELLO c
         <c HELLO
         + 5 s
         + 1 s
         <a# 1002 hello timeout
         a> HELLO a
         + 3 s
         + 1 s
         <b# 1002 hello timeout
         + 60 s",
    );
}

#[test]
fn who_left_before_the_deadline_is_not_sent_away() {
    dialogue(
        "a+
         a.
         + 10 s
         b> HELLO b
         <b HELLO
         + 10 s",
    );
}

#[test]
fn an_id_is_free_as_soon_as_its_holder_is_gone() {
    dialogue(
        "a> HELLO x
         <a HELLO
         a.
         b> HELLO x
         <b HELLO
         b! KeepaliveTimeout
         <b# 1011 keepalive ping timeout
         c> HELLO x
         <c HELLO
         b.
         d> HELLO x
         <d# 1002 invalid peer uid",
    );
}

#[test]
fn ids_are_compared_byte_for_byte() {
    dialogue(
        "a> HELLO a
         <a HELLO
         b> HELLO A
         <b HELLO
         c> HELLO Zoë-☎
         <c HELLO
         b> SESSION Zoë-☎
         <b SESSION_OK",
    );
}

#[test]
fn stopping_is_no_farewell_of_a_partner() {
    dialogue(
        "a> HELLO a
         <a HELLO
         b> HELLO b
         <b HELLO
         a> SESSION b
         <a SESSION_OK
         c> HELLO c
         <c HELLO
         c> ROOM r
         <c ROOM_OK\\s
         d> HELLO d
         <d HELLO
         d> ROOM r
         <d ROOM_OK c
         <c ROOM_PEER_JOINED d
         e+
         f> nonsense
         <f# 1002 invalid protocol
         stop
         <a# 1001 relay stopping
         <b# 1001 relay stopping
         <c# 1001 relay stopping
         <d# 1001 relay stopping
         <e# 1001 relay stopping
         a> hi
         a.
         d.
         g+
         <g# 1001 relay stopping
         + 10 s",
    );
}
