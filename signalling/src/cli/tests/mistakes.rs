//! What is said about what cannot be meant.

use std::ffi::OsString;

use super::{mistake, tell};
use crate::cli::Task;
use crate::settings::table::{Kind, SETTINGS};
use crate::settings::{environment, value};

#[test]
fn a_wrong_value_is_named_with_its_place_and_what_would_be_right() {
    let check = |options, variables: &[_], file, sentence| {
        assert_eq!(mistake(options, variables, file), sentence);
    };
    check(
        "--max-peers 0",
        &[],
        "",
        "invalid value '0' for --max-peers: 0 would let nothing through; the least is 1",
    );
    check(
        "",
        &[("ALDIS_RELAY_MAX_PEERS", "many")],
        "",
        "invalid value 'many' in the variable ALDIS_RELAY_MAX_PEERS: a whole number from 1 to \
         4294967295 belongs there",
    );
    check(
        "",
        &[],
        "# first\n\nmax-peers = -1",
        "relay.toml:3: invalid value '-1' for max-peers: a whole number from 1 to 4294967295 \
         belongs there",
    );
    check(
        "",
        &[],
        "listen = \"::1:80\"\nlog = true",
        "relay.toml:2: log is true or false, and a text in quotes belongs there",
    );
    check(
        "",
        &[],
        "max-peers = [1]",
        "relay.toml:1: max-peers is a list, and a number belongs there",
    );
    check(
        "",
        &[],
        "allow-origin = []",
        "relay.toml:1: allow-origin is an empty list, and a list of texts, as [\"...\"], belongs \
         there",
    );
    check(
        "",
        &[],
        "listen = \"a\"\nlisten = \"b\"",
        "relay.toml:2: duplicate key",
    );
}

#[test]
fn every_number_refuses_nothing_negatives_and_words() {
    for setting in SETTINGS.iter().filter(|one| one.kind == Kind::Number) {
        for text in [
            "0",
            "-1",
            "soon",
            "nan",
            "inf",
            "1e9",
            "",
            "99999999999999999999",
        ] {
            let outcome = tell(&[format!("--{}={text}", setting.name)], &[], "");
            let sentence = outcome.expect_err(setting.name).to_string();
            assert!(sentence.contains(setting.name), "{sentence}");
        }
    }
}

#[test]
fn a_mistyped_key_or_variable_is_answered_with_what_was_meant() {
    for (key, meant) in [
        ("max_peers", "max-peers"),
        ("listn", "listen"),
        ("max-connection", "max-connections"),
        ("tls-certs", "tls-cert"),
    ] {
        assert_eq!(
            mistake("", &[], &format!("\n{key} = 1")),
            format!("relay.toml:2: there is no setting {key:?}: did you mean {meant:?}?")
        );
    }
    for (file, part) in [
        ("colour = 1", "signalling --help names all of them"),
        ("[limits]\nmax-peers = 1", "no tables"),
        ("turn-secret = 'S3CRET'", "turn-secret-file"),
    ] {
        let sentence = mistake("", &[], file);
        assert!(sentence.contains(part), "{sentence}");
        assert!(!sentence.contains("S3CRET"), "{sentence}");
    }
    let notes = |name: &str| {
        let variables = [(name.to_owned(), "1".to_owned())];
        match tell(&[], &variables, "") {
            Ok(Task::Serve { notes, .. }) => notes,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        notes("ALDIS_RELAY_MAX_PEER"),
        ["the variable ALDIS_RELAY_MAX_PEER means nothing: did you mean ALDIS_RELAY_MAX_PEERS?"]
    );
    // Of a service that Kubernetes knows as aldis-relay.
    for name in [
        "ALDIS_RELAY_PORT",
        "ALDIS_RELAY_SERVICE_HOST",
        "ALDIS_RELAY_PORT_8443_TCP_PORT",
    ] {
        assert_eq!(notes(name), [""; 0], "{name}");
    }
}

#[test]
fn limits_that_contradict_one_another_are_refused_with_a_sentence() {
    for (options, sentence) in [
        (
            "--max-outbox-bytes 1000000",
            "--max-outbox-bytes 1000000 is too little for --max-message-bytes 262144: the least is \
             1052672",
        ),
        (
            // What is read at once comes on top, however short a message is.
            "--max-message-bytes 1024 --max-outbox-bytes 90000",
            "--max-outbox-bytes 90000 is too little for --max-message-bytes 1024: the least is \
             92842",
        ),
        (
            "--max-message-bytes 1023",
            "--max-message-bytes 1023 is too little: an id alone has up to 256 bytes, so the least \
             is 1024",
        ),
        (
            "--max-peers 16001",
            "--max-peers 16001 is more than --max-connections 16000, of which it is a part: lower \
             the one or raise the other",
        ),
        (
            "--max-connections 10 --max-handshakes 11",
            "--max-handshakes 11 is more than --max-connections 10, of which it is a part: lower \
             the one or raise the other",
        ),
        (
            "--max-peers 10 --max-peers-per-room 11",
            "--max-peers-per-room 11 is more than --max-peers 10, of which it is a part: lower the \
             one or raise the other",
        ),
        (
            "--tls-cert c",
            "--tls-cert needs its private key: --tls-key",
        ),
        ("--tls-key k", "--tls-key needs its certificate: --tls-cert"),
        (
            "--tls-cert c --tls-key k --tls-self-signed",
            "--tls-self-signed makes a certificate and --tls-cert and --tls-key name one: leave \
             one of them away",
        ),
        (
            "--turn turn:a",
            "--turn needs the secret shared with the TURN servers: --turn-secret-file, or the \
             variable ALDIS_RELAY_TURN_SECRET",
        ),
    ] {
        assert_eq!(mistake(options, &[], ""), sentence);
    }
}

#[test]
fn what_is_no_text_is_refused_where_it_is_the_relays() {
    use std::os::unix::ffi::OsStringExt;
    let junk = || OsString::from_vec(vec![0xff]);
    let read = |name: &str| environment::read([(OsString::from(name), junk())]);
    assert!(read("ALDIS_RELAY_LISTEN").is_err());
    assert!(read("OTHER").is_ok());
    assert!(environment::read([(junk(), junk())]).is_ok());
}

#[test]
fn addresses_of_pages_and_servers_are_what_browsers_take() {
    for (text, origin) in [
        ("https://example.org", "https://example.org"),
        ("HTTP://Example.org:80", "http://example.org"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ] {
        assert_eq!(value::origin(text).as_deref(), Ok(origin));
    }
    for text in [
        "",
        "*",
        "null",
        "example.org",
        "https://",
        "https://a/",
        "https://a?b",
        "ftp://a",
    ] {
        assert!(value::origin(text).is_err(), "{text}");
    }
    for text in [
        "https://u@a",
        "https://a:0",
        "https://a:x",
        "https://a:65536",
        "https://[a]",
    ] {
        assert!(value::origin(text).is_err(), "{text}");
    }
    for text in [
        "stun://a",
        "stun:",
        "turn:a",
        "stun:a?transport=udp",
        "stun:a b",
    ] {
        assert!(value::stun_url(text).is_err(), "{text}");
    }
    for text in [
        "turn://a",
        "turn:a?transport=sctp",
        "turn:a:b:c",
        "stun:a",
        "turn:u:p@a",
    ] {
        assert!(value::turn_url(text).is_err(), "{text}");
    }
}
