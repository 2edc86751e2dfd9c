//! Every load, for a moment, on every server there is; and on forwarders that are not to be trusted.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

/// The length of a message in these tests, and of what precedes all messages.
const BYTES: usize = 64;
const PREAMBLE: usize = 16;

/// A server in a process of its own, gone with the test.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// Starts a server that prints its address as the first word that begins like this.
    fn start(command: &mut Command, scheme: &str) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with(scheme));
        let url = url.expect("an address").to_owned();
        Self { child, url }
    }

    fn baseline(kind: &str, scheme: &str) -> Self {
        Self::start(&mut bench(&format!("serve {kind}")), scheme)
    }

    fn relay() -> Self {
        let mut command = Command::new(relay_binary());
        command.args(["--listen", "127.0.0.1:0", "--stall-limit", "1"]);
        Self::start(&mut command, "ws://")
    }

    /// Puts a load on it, which it bears.
    fn bears(&self, load: &str) -> Value {
        let output = self.under(load);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{load} on {}: {errors}", self.url);
        let stdout = String::from_utf8(output.stdout).expect("text");
        assert_eq!(stdout.lines().count(), 1, "{stdout}");
        let report: Value = serde_json::from_str(&stdout).expect("JSON");
        assert_eq!(report["load"], load.split(' ').next().expect("a word"));
        report
    }

    fn under(&self, load: &str) -> Output {
        let line = format!("{load} --url {} --pid {}", self.url, self.child.id());
        bench(&line).output().expect("the binary starts")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, which the test has noticed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn bench(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relay-bench"));
    command.args(line.split_whitespace());
    command
}

/// The relay, which is built beside this program: `cargo build -p signalling`.
fn relay_binary() -> PathBuf {
    let beside = PathBuf::from(env!("CARGO_BIN_EXE_relay-bench")).with_file_name("signalling");
    let found = match env::var_os("ALDIS_BIN") {
        Some(folder) => PathBuf::from(folder).join("signalling"),
        None => beside,
    };
    assert!(
        found.exists(),
        "{} is not there: cargo build -p signalling",
        found.display()
    );
    found
}

fn number(report: &Value, path: &str) -> f64 {
    let found = path.split('.').fold(report, |value, name| &value[name]);
    found
        .as_f64()
        .unwrap_or_else(|| panic!("{path} is no number in {report}"))
}

/// Loads of all kinds. What is measured differs; that there is something to measure does not.
fn bears_every_load(server: &Server) {
    for load in [
        "pairs --pairs 3 --seconds 0.2",
        "pairs --pairs 3 --seconds 0.2 --bytes 150 --in-flight 16",
        "pairs --pairs 2 --seconds 0.2 --bytes 60000 --in-flight 3",
        "pairs --pairs 3 --seconds 0.2 --rate 2000",
        "active --peers 40 --seconds 0.2",
        "rooms --rooms 2 --size 4 --seconds 0.2",
        "rooms --rooms 2 --size 4 --seconds 0.2 --in-flight 20",
        "rooms --rooms 2 --size 4 --seconds 0.2 --rate 2000",
    ] {
        let report = server.bears(load);
        let (p50, p99) = (
            number(&report, "latency_us.p50"),
            number(&report, "latency_us.p99"),
        );
        assert!(0.0 < p50 && p50 <= p99, "{report}");
        assert!(p99 <= number(&report, "latency_us.max"), "{report}");
        assert!(number(&report, "messages_per_second") > 0.0, "{report}");
        assert!(
            number(&report, "server_cpu_s_per_million") >= 0.0,
            "{report}"
        );
    }
    let report = server.bears("calls --concurrency 4 --seconds 0.3");
    assert!(number(&report, "calls_per_second") > 0.0, "{report}");
    for exchanges in [0, 3] {
        let report = server.bears(&format!("idle --peers 100 --exchanges {exchanges}"));
        assert_eq!(number(&report, "peers"), 100.0);
        assert!(
            number(&report, "anonymous_bytes_per_peer") < 1e6,
            "{report}"
        );
    }
}

#[test]
fn the_forwarder_without_framing_bears_every_load() {
    bears_every_load(&Server::baseline("raw --at-once", "tcp://"));
    let server = Server::baseline("raw", "tcp://");
    bears_every_load(&server);
    server.bears("calls --concurrency 4 --seconds 0.3 --turns 2");
    for place in ["--pairs 3", "--room --rooms 2 --size 4"] {
        let load = format!("stopped-reader {place} --rate 1000 --seconds 0.3");
        let report = server.bears(&load);
        assert!(report["cut_after_ms"].is_null(), "nobody tells: {report}");
        assert!(number(&report, "messages_beside") > 0.0, "{report}");
    }
}

#[test]
fn the_relay_on_a_library_bears_every_load() {
    bears_every_load(&Server::baseline("websocket", "ws://"));
}

#[test]
fn the_relay_bears_every_load() {
    bears_every_load(&Server::relay());
}

#[test]
fn who_reads_no_more_is_seen_to_be_cut() {
    let server = Server::relay();
    for place in ["--pairs 3", "--room --rooms 2 --size 4"] {
        let load = format!("stopped-reader {place} --rate 1000 --stopped-rate 20000 --seconds 0.3");
        let report = server.bears(&load);
        let cut_after = number(&report, "cut_after_ms");
        assert!((1.0..20_000.0).contains(&cut_after), "{report}");
        assert!(number(&report, "growth_bytes") > 0.0, "{report}");
        assert!(number(&report, "messages_before") > 0.0, "{report}");
        assert!(number(&report, "messages_beside") > 0.0, "{report}");
    }
}

/// A forwarder of one pair that does something to the first messages it reads.
fn forward(spoil: fn(&mut Vec<u8>)) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("tcp://{}", listener.local_addr().expect("an address"));
    let forwarder = thread::spawn(move || {
        let take = || -> TcpStream {
            let (mut stream, _) = listener.accept().expect("a connection");
            let limit = Some(Duration::from_secs(20));
            stream.set_read_timeout(limit).expect("a time");
            let mut preamble = [0; PREAMBLE];
            stream.read_exact(&mut preamble).expect("a preamble");
            stream
        };
        let (mut caller, mut callee) = (take(), take());
        let mut messages = vec![0; 2 * BYTES];
        caller.read_exact(&mut messages).expect("two messages");
        spoil(&mut messages);
        callee.write_all(&messages).expect("a reader");
        // Until the other side has seen enough; it may also reset.
        let _ = callee.read_to_end(&mut messages);
    });
    (url, forwarder)
}

fn fails_with(url: &str, sentence: &str) {
    let load = format!("pairs --url {url} --pairs 1 --in-flight 2 --bytes {BYTES} --seconds 1");
    let output = bench(&load).output().expect("the binary starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(output.stdout.is_empty(), "a figure of a load that failed");
    assert!(errors.contains(sentence), "{errors}");
}

#[test]
fn a_message_that_is_altered_ends_the_load() {
    let (url, forwarder) = forward(|messages| messages[BYTES - 1] ^= 1);
    fails_with(&url, "altered");
    forwarder.join().expect("it forwarded");
}

#[test]
fn a_message_that_is_lost_ends_the_load() {
    let (url, forwarder) = forward(|messages| drop(messages.drain(..BYTES)));
    fails_with(&url, "lost, doubled or out of order");
    forwarder.join().expect("it forwarded");
}

#[test]
fn a_message_that_comes_twice_ends_the_load() {
    let (url, forwarder) = forward(|messages| messages.copy_within(..BYTES, BYTES));
    fails_with(&url, "lost, doubled or out of order");
    forwarder.join().expect("it forwarded");
}

#[test]
fn a_server_that_closes_ends_the_load() {
    let server = Server::baseline("raw", "tcp://");
    let load = format!("pairs --url {} --seconds 60", server.url);
    let running = bench(&load)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    wait_until_busy(&server);
    drop(server);
    let output = running.wait_with_output().expect("its end");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("closes the connection"), "{errors}");
}

/// Waits until a hundred connections are there.
fn wait_until_busy(server: &Server) {
    let files = format!("/proc/{}/fd", server.child.id());
    for _ in 0..2_000 {
        let count = std::fs::read_dir(&files).expect("its files").count();
        if count > 100 {
            return;
        }
        thread::park_timeout(Duration::from_millis(10));
    }
    panic!("no load came");
}

#[test]
fn nobody_at_the_address_is_an_error_with_a_sentence() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    fails_with(&format!("tcp://{address}"), "nobody answers at");
}
