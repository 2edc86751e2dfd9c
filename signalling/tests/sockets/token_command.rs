//! Tokens as the program makes them, shown to a relay that has the same secrets.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::folder::Folder;
use crate::peer::Peer;
use crate::running::{command, run, start};

const SECRET: &str = "correct-horse-battery-staple";

fn secrets(folder: &Folder) -> PathBuf {
    let path = folder.path().join("tokens");
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .expect("a folder of its own");
    writeln!(file, "# of the tests\nalpha {SECRET}").expect("room for a line");
    path
}

/// The one line it prints.
fn token(file: &PathBuf, options: &str) -> String {
    let output = run(command("token --name alpha --token-file")
        .arg(file)
        .args(options.split_whitespace()));
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    let text = String::from_utf8(output.stdout).expect("text");
    let line = text.strip_suffix('\n').expect("a whole line");
    assert!(!line.contains('\n'), "{text}");
    line.to_owned()
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("three parts");
    let json = URL_SAFE_NO_PAD.decode(payload).expect("base64");
    serde_json::from_slice(&json).expect("JSON")
}

#[test]
fn a_printed_token_opens_the_relay_for_what_it_says() {
    let folder = Folder::new();
    let file = secrets(&folder);
    let relay = start(command("--listen 127.0.0.1:0 --token-file").arg(&file));
    let token = token(&file, "--peer bob");
    let mut bob = Peer::open_at(relay.address, &format!("/?token={token}"));
    bob.say("HELLO bob");
    bob.expect("HELLO");
    let mut other = Peer::open_at(relay.address, &format!("/?token={token}"));
    other.say("HELLO alice");
    other.expect_close(1008, "not allowed by token");
}

#[test]
fn a_token_says_what_was_asked_for_and_holds_as_long() {
    let folder = Folder::new();
    let file = secrets(&folder);
    for (options, seconds, rest) in [
        ("", 3600, json!({})),
        ("--lifetime 2d --peer bob", 172_800, json!({"peer": "bob"})),
        (
            "--lifetime 1ms --room r --peer a",
            1,
            json!({"peer": "a", "room": "r"}),
        ),
    ] {
        let earliest = now() + Duration::from_secs(seconds);
        let mut claims = claims(&token(&file, options));
        let latest = now() + Duration::from_secs(seconds);
        let expires = claims
            .as_object_mut()
            .and_then(|claims| claims.remove("exp"));
        let expires = expires
            .and_then(|expires| expires.as_u64())
            .expect("a time");
        assert!(
            (earliest.as_secs()..=latest.as_secs()).contains(&expires),
            "{options}: {expires}"
        );
        assert_eq!(claims, rest, "{options}");
    }
}

#[test]
fn a_token_that_cannot_be_made_is_one_clear_sentence_without_a_secret() {
    let folder = Folder::new();
    let file = secrets(&folder);
    let path = file.display().to_string();
    for (options, code, sentence) in [
        (
            format!("--token-file {path} --name beta"),
            1,
            "there is no secret called \"beta\"",
        ),
        (format!("--token-file {path}"), 2, "--name"),
        ("--name alpha".to_owned(), 2, "--token-file is needed"),
        (
            "--token-file /nowhere --name alpha".to_owned(),
            1,
            "/nowhere",
        ),
        (
            format!("--token-file {path} --name alpha --lifetime 0"),
            2,
            "more than 0",
        ),
        (
            format!("--token-file {path} --name alpha --max-peers 5"),
            2,
            "--max-peers",
        ),
    ] {
        let output = run(&mut command(&format!("token {options}")));
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{options}: {log}");
        assert!(
            log.starts_with("error: ") && log.contains(sentence),
            "{log}"
        );
        assert!(!log.contains(SECRET), "{log}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    }
}

#[test]
fn the_file_of_the_secrets_may_be_named_by_the_variable_of_the_relay() {
    let folder = Folder::new();
    let file = secrets(&folder);
    let output = run(command("token --name alpha").env("ALDIS_RELAY_TOKEN_FILE", file));
    assert_eq!(output.status.code(), Some(0));
}

#[expect(
    clippy::disallowed_methods,
    reason = "the token is compared with the clock"
)]
fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
}
