//! What the relay is told, as a real process is told it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::folder::Folder;
use crate::peer::Peer;
use crate::running::{command, relay, run, start};

fn file(folder: &Folder, content: &str) -> PathBuf {
    let path = folder.path().join("relay.toml");
    fs::write(&path, content).expect("a folder of the test's own");
    path
}

#[test]
fn a_file_says_what_the_command_line_leaves_out() {
    let folder = Folder::new();
    let path = file(&folder, "listen = \"127.0.0.1:0\"\nlog = \"off\"\n");
    let relay = start(command("--config").arg(path));
    Peer::registered(&relay, "a");
    relay.signal(Signal::TERM);
    assert_eq!(relay.remains().stderr, "");
}

#[test]
fn the_environment_says_what_the_command_line_leaves_out() {
    let relay = start(command("").env("ALDIS_RELAY_LISTEN", "127.0.0.1:0"));
    Peer::registered(&relay, "a");
}

#[test]
fn what_it_prints_of_itself_is_a_file_it_takes() {
    let printed = run(&mut command(
        "--print-config --max-peers 7 --listen [::1]:0 --stun stun:a",
    ));
    assert_eq!(printed.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&printed.stderr), "");
    let text = String::from_utf8(printed.stdout).expect("text");
    assert!(
        text.contains("\nmax-peers = 7\nmax-peers-per-room = 7\n"),
        "{text}"
    );
    let folder = Folder::new();
    let again = run(command("--print-config --config").arg(file(&folder, &text)));
    assert_eq!(String::from_utf8_lossy(&again.stdout), text);
}

#[test]
fn a_mistake_ends_it_before_it_listens_with_a_sentence_and_a_code() {
    let folder = Folder::new();
    let path = file(&folder, "listen = \"127.0.0.1:0\"\n\nmax_peers = 5\n");
    let output = run(command("--config").arg(&path));
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let sentence = String::from_utf8_lossy(&output.stderr);
    let expected = format!(
        "error: {}:3: there is no setting \"max_peers\": did you mean \"max-peers\"?\n",
        path.display()
    );
    assert!(sentence.starts_with(&expected), "{sentence}");
    for (options, variable, sentence) in [
        ("--max-peers 0", "", "invalid value '0' for --max-peers"),
        (
            "",
            "x",
            "invalid value 'x' in the variable ALDIS_RELAY_MAX_PEERS",
        ),
        (
            "--config /nowhere.toml",
            "",
            "cannot read the settings in /nowhere.toml: No such file",
        ),
    ] {
        let output = run(command(options).env("ALDIS_RELAY_MAX_PEERS", variable));
        assert_eq!(output.status.code(), Some(2), "{options}");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(log.starts_with(&format!("error: {sentence}")), "{log}");
    }
}

#[test]
fn a_secret_file_that_is_no_use_ends_it_without_saying_what_is_in_it() {
    let folder = Folder::new();
    let path = folder.path().join("secret");
    for (content, part) in [
        (None, "No such file"),
        (Some(" \n"), "has to stand alone"),
        (Some("S3CRET\nS3CRET\n"), "has to stand alone"),
    ] {
        if let Some(content) = content {
            fs::write(&path, content).expect("a folder of the test's own");
        }
        let output = run(command("--listen 127.0.0.1:0 --turn-secret-file").arg(&path));
        assert_eq!(output.status.code(), Some(1), "{content:?}");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(log.contains(part) && !log.contains("S3CRET"), "{log}");
    }
}

#[test]
fn logs_for_programs_are_an_object_on_each_line() {
    let relay = relay("--log-format json --log debug");
    let peer = Peer::registered(&relay, "al\"ice\u{1b}");
    drop(peer);
    relay.signal(Signal::TERM);
    let log = relay.remains().stderr;
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert!(
        lines.iter().any(|line| line["message"] == "stopping"),
        "{log}"
    );
    assert!(lines.iter().all(|line| line["level"].is_string()), "{log}");
    assert!(lines.iter().any(|line| line["level"] == "DEBUG"), "{log}");
}

#[test]
fn the_variable_other_programs_share_chooses_lines_of_the_log_too() {
    let relay = start(command("--listen 127.0.0.1:0").env("RUST_LOG", "off"));
    relay.signal(Signal::TERM);
    assert_eq!(relay.remains().stderr, "");
}

#[test]
fn a_mistyped_variable_is_mentioned_in_the_log() {
    let relay = start(command("--listen 127.0.0.1:0").env("ALDIS_RELAY_MAX_PEER", "5"));
    relay.signal(Signal::TERM);
    let log = relay.remains().stderr;
    assert!(log.contains("did you mean ALDIS_RELAY_MAX_PEERS?"), "{log}");
}

fn limited(bound: &str) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args([
            "-c",
            &format!("ulimit {bound} && exec \"$0\" --listen 127.0.0.1:0"),
        ])
        .arg(env!("CARGO_BIN_EXE_signalling"))
        .stdin(Stdio::null());
    shell
}

#[test]
fn it_takes_all_the_descriptors_it_is_permitted() {
    let relay = start(&mut limited("-Sn 64"));
    let (soft, hard) = relay.descriptors();
    assert_eq!(soft, hard);
    assert_ne!(soft, Some(64));
}

#[test]
fn with_few_descriptors_it_says_that_it_keeps_to_fewer_connections() {
    let relay = start(&mut limited("-n 132"));
    Peer::registered(&relay, "a");
    relay.signal(Signal::TERM);
    let log = relay.remains().stderr;
    assert!(
        log.contains("--max-connections 16000 is more than the descriptors of this process allow: it is 100 now"),
        "{log}"
    );
}
