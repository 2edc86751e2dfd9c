//! The relay under a service manager, whose part the tests play.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Command, Stdio};

use async_tungstenite::tungstenite::Message;
use rustix::process::Signal;

use crate::exposition::Exposition;
use crate::folder::Folder;
use crate::http::read_head;
use crate::peer::Peer;
use crate::running::{PATIENCE, Running, command, run, start};

/// What a service manager hears.
struct Ear {
    socket: UnixDatagram,
    folder: Folder,
}

impl Ear {
    fn new() -> Self {
        let folder = Folder::new();
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a folder of its own");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time");
        Self { socket, folder }
    }

    fn tell_me<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("NOTIFY_SOCKET", self.folder.path().join("notify"))
    }

    fn expect(&self, word: &str) {
        assert_eq!(self.next().expect("a word in time"), word);
    }

    fn next(&self) -> io::Result<String> {
        let mut word = [0; 200];
        let length = self.socket.recv(&mut word)?;
        Ok(String::from_utf8_lossy(&word[..length])
            .trim_end()
            .to_owned())
    }
}

#[test]
fn the_service_manager_hears_when_it_is_ready_and_when_it_stops() {
    let ear = Ear::new();
    let relay = start(ear.tell_me(&mut command("--listen 127.0.0.1:0")));
    ear.expect("READY=1");
    Peer::registered(&relay, "a");
    relay.signal(Signal::TERM);
    ear.expect("STOPPING=1");
    assert_eq!(relay.remains().status.code(), Some(0));
}

#[test]
fn a_relay_that_cannot_listen_is_never_ready() {
    let ear = Ear::new();
    let output = run(ear.tell_me(&mut command("--listen 192.0.2.1:1")));
    assert_eq!(output.status.code(), Some(1));
    ear.socket.set_nonblocking(true).expect("a socket");
    assert_eq!(
        ear.next().expect_err("nothing was told").kind(),
        io::ErrorKind::WouldBlock
    );
}

#[test]
fn the_watchdog_hears_that_it_lives_as_long_as_it_does() {
    let ear = Ear::new();
    let mut command = command("--listen 127.0.0.1:0");
    let relay = start(ear.tell_me(&mut command).env("WATCHDOG_USEC", "100000"));
    ear.expect("READY=1");
    for _ in 0..5 {
        ear.expect("WATCHDOG=1");
    }
    // Closing takes as long as this peer likes, and the watchdog wants to hear of it meanwhile.
    let _peer = Peer::registered(&relay, "a");
    relay.signal(Signal::TERM);
    let mut words = Vec::new();
    for _ in 0..100 {
        words.push(ear.next().expect("a word in time"));
        let stopping = words.iter().position(|word| word == "STOPPING=1");
        if stopping.is_some_and(|at| words.len() > at + 2) {
            break;
        }
    }
    assert_eq!(
        words.iter().filter(|word| *word == "STOPPING=1").count(),
        1,
        "{words:?}"
    );
    assert_eq!(words.last().map(String::as_str), Some("WATCHDOG=1"));
}

#[test]
fn the_watchdog_of_another_process_hears_nothing() {
    let ear = Ear::new();
    let mut command = command("--listen 127.0.0.1:0");
    ear.tell_me(&mut command)
        .envs([("WATCHDOG_USEC", "1000"), ("WATCHDOG_PID", "1")]);
    let relay = start(&mut command);
    ear.expect("READY=1");
    Peer::registered(&relay, "a");
    relay.signal(Signal::TERM);
    ear.expect("STOPPING=1");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let ear = Ear::new();
    let relay = start(ear.tell_me(&mut command("--listen 127.0.0.1:0")));
    ear.expect("READY=1");
    // Reads nothing, so that it does not answer the close.
    let _peer = Peer::registered(&relay, "a");
    relay.signal(Signal::TERM);
    ear.expect("STOPPING=1");
    relay.signal(Signal::INT);
    let remains = relay.remains();
    assert_eq!(remains.status.code(), Some(1));
    let end = "error: told to end twice: ended before every connection was closed\n";
    assert!(remains.stderr.ends_with(end), "{}", remains.stderr);
}

#[test]
fn a_service_manager_that_does_not_listen_holds_up_nobody() {
    let ear = Ear::new();
    let mut command = command("--listen 127.0.0.1:0");
    let relay = start(ear.tell_me(&mut command).env("WATCHDOG_USEC", "2"));
    let (mut alice, mut bob) = Peer::pair(&relay, "alice", "bob");
    // Many times as long as the system keeps words for one who does not read.
    for number in 0..1000 {
        alice.say(&format!("{number}"));
        bob.expect(&format!("{number}"));
    }
    relay.signal(Signal::TERM);
    alice.expect_close(1001, "relay stopping");
    bob.expect_close(1001, "relay stopping");
    assert_eq!(relay.remains().status.code(), Some(0));
    ear.expect("READY=1");
    ear.expect("WATCHDOG=1");
}

#[test]
fn a_service_manager_without_a_file_hears_it_too() {
    let name = format!("aldis-relay-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let ear = UnixDatagram::bind_addr(&address).expect("a name of its own");
    ear.set_read_timeout(Some(PATIENCE)).expect("a time");
    let mut command = command("--listen 127.0.0.1:0");
    let _relay = start(command.env("NOTIFY_SOCKET", format!("@{name}")));
    let mut word = [0; 100];
    let length = ear.recv(&mut word).expect("a word in time");
    assert_eq!(&word[..length], b"READY=1");
}

/// A relay that finds this as its descriptor 3, as systemd passes a socket. The process has to be
/// named before it runs the relay, which a shell can do.
fn passed(descriptor: OwnedFd, pid: &str) -> Command {
    let mut shell = Command::new("sh");
    let script = format!(
        "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID={pid}; exec \"$0\" --listen 192.0.2.1:1"
    );
    shell
        .args(["-c", &script])
        .arg(env!("CARGO_BIN_EXE_signalling"))
        .stdin(Stdio::from(descriptor));
    shell
}

const ITS_OWN: &str = "$$";

fn served(listener: &TcpListener) -> Running {
    let copy = listener.try_clone().expect("a descriptor");
    start(&mut passed(copy.into(), ITS_OWN))
}

#[test]
fn a_socket_that_is_passed_is_used_and_outlives_the_relay() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let first = served(&listener);
    assert_eq!(first.address, address);
    Peer::registered(&first, "a");
    first.signal(Signal::TERM);
    let remains = first.remains();
    assert_eq!(remains.status.code(), Some(0));
    assert!(
        remains.stderr.contains("--listen is ignored"),
        "{}",
        remains.stderr
    );
    // Who comes between two relays waits for the second.
    let early = TcpStream::connect(address).expect("somebody listens");
    let second = served(&listener);
    Peer::registered(&second, "b");
    drop(early);
}

#[test]
fn a_relay_that_stops_leaves_newcomers_to_the_next_one_without_looking_at_them_again_and_again() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let relay = served(&listener);
    let mut operator = TcpStream::connect(relay.address).expect("the relay listens");
    operator.set_read_timeout(Some(PATIENCE)).expect("a time");
    turns(&mut operator);
    // Closing takes as long as this peer likes.
    let mut peer = Peer::registered(&relay, "a");
    relay.signal(Signal::TERM);
    assert!(matches!(peer.socket.read(), Ok(Message::Close(_))));
    let _newcomer = TcpStream::connect(relay.address).expect("somebody listens");
    let before = turns(&mut operator);
    for _ in 1..20 {
        turns(&mut operator);
    }
    let turns = turns(&mut operator) - before;
    assert!(turns < 200.0, "{turns} turns for 20 questions");
}

/// How many turns the relay took so far, asked over a connection that stays.
fn turns(operator: &mut TcpStream) -> f64 {
    operator
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: relay\r\n\r\n")
        .expect("the relay hears");
    let length = read_head(operator).header("content-length").map(str::parse);
    let mut text = vec![0; length.expect("a length").expect("a number")];
    operator.read_exact(&mut text).expect("an answer in time");
    let figures = Exposition::parse(&String::from_utf8_lossy(&text));
    figures.value("aldis_relay_turn_duration_seconds_count")
}

#[test]
fn what_is_passed_and_no_socket_is_one_clear_sentence() {
    let no_socket = std::fs::File::open("/dev/null").expect("Linux has it");
    let output = run(&mut passed(no_socket.into(), ITS_OWN));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "error: cannot use the socket passed to the relay: fd 3 is not a socket\n"
    );
}

#[test]
fn what_is_passed_to_another_process_is_left_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let output = run(&mut passed(listener.into(), "1"));
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("cannot listen on 192.0.2.1:1"), "{log}");
}
