//! What a token allows, and how many there may be.

use std::fmt::Write as _;

use crate::{MAX_PEERS, MAX_PEERS_PER_ROOM, dialogue};

#[test]
fn a_token_for_a_peer_is_for_no_other() {
    dialogue(
        "
        a+ peer=alice
        a> HELLO bob
        <a# 1008 not allowed by token
        b+ peer=bob
        b> HELLO bob
        <b HELLO
        b> SESSION nobody
        <b ERROR peer 'nobody' not found
        ",
    );
}

#[test]
fn a_token_for_a_room_is_for_that_room_and_for_no_call() {
    dialogue(
        "
        a+ room=r
        a> HELLO alice
        <a HELLO
        b> HELLO bob
        <b HELLO
        a> SESSION bob
        <a ERROR not allowed by this token
        b> SESSION alice
        <b ERROR peer 'alice' busy
        a> ROOM s
        <a ERROR not allowed by this token
        a> ROOM session
        <a ERROR invalid room id 'session'
        a> ROOM r
        <a ROOM_OK\\s
        b> ROOM r
        <b ROOM_OK alice
        <a ROOM_PEER_JOINED bob
        ",
    );
}

#[test]
fn when_the_relay_is_full_the_next_may_come_as_soon_as_one_leaves() {
    let mut script = String::new();
    for number in 0..MAX_PEERS {
        say(
            &mut script,
            &format!("p{number}> HELLO {number}\n<p{number} HELLO\n"),
        );
    }
    say(&mut script, "late> HELLO late\n<late# 1013 relay full\n");
    say(&mut script, "p7.\nlater> HELLO later\n<later HELLO\n");
    dialogue(&script);
}

#[test]
fn when_a_room_is_full_the_next_stays_where_he_is() {
    let mut script = String::new();
    for number in 0..MAX_PEERS_PER_ROOM {
        say(
            &mut script,
            &format!("p{number}> HELLO {number}\n<p{number} HELLO\n"),
        );
        say(
            &mut script,
            &format!("p{number}> ROOM r\n<p{number} ROOM_OK"),
        );
        let others: Vec<_> = (0..number).map(|other| other.to_string()).collect();
        match number {
            0 => say(&mut script, "\\s\n"),
            _ => say(&mut script, &format!(" {}\n", others.join(" "))),
        }
        for other in 0..number {
            say(
                &mut script,
                &format!("<p{other} ROOM_PEER_JOINED {number}\n"),
            );
        }
    }
    say(
        &mut script,
        "late> HELLO late\n<late HELLO\nlate> ROOM r\n<late ERROR room 'r' is full\n\
         late> ROOM s\n<late ROOM_OK\\s\n",
    );
    dialogue(&script);
}

fn say(script: &mut String, lines: &str) {
    script.write_str(lines).expect("a String takes everything");
}
