//! The program as a script sees it: lines, logs, exit codes.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Output, Stdio};

use rustix::process::Signal;

use crate::peer::Peer;
use crate::running::{self, command, eventually, relay, start};

fn run(options: &str) -> Output {
    running::run(&mut command(options))
}

#[test]
fn it_says_in_one_line_where_it_is() {
    let relay = relay("");
    let SocketAddr::V4(address) = relay.address else {
        panic!("not the address it was told to take")
    };
    assert_ne!(address.port(), 0);
    assert_eq!(
        relay.ready_line,
        format!("Aldis is ready: page http://{address}/  WebSocket ws://{address}/\n")
    );
}

#[test]
fn of_every_address_it_names_one_that_can_be_opened() {
    let relay = start(&mut command("--listen 0.0.0.0:0"));
    assert_eq!(relay.address.ip().to_string(), "127.0.0.1");
    Peer::registered(&relay, "a");
}

#[test]
fn an_address_in_use_is_one_clear_sentence() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = other.local_addr().expect("an address");
    let output = run(&format!("--listen {address}"));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        format!(
            "error: cannot listen on {address}: another program uses it: stop that one, or choose \
             another port with --listen (port 0 takes a free one)\n"
        )
    );
}

#[test]
fn an_address_of_another_machine_is_one_clear_sentence() {
    // Of a block that is kept for documentation, RFC 5737.
    let output = run("--listen 192.0.2.1:8443");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "error: cannot listen on 192.0.2.1:8443: this machine does not have that address: choose \
         one it has with --listen\n"
    );
}

#[test]
fn wrong_usage_has_an_exit_code_of_its_own() {
    for options in [
        "--listen nowhere",
        "--listen 127.0.0.1",
        "--no-such-option",
        "extra",
    ] {
        let output = run(options);
        assert_eq!(output.status.code(), Some(2), "{options}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{options}");
    }
    assert_eq!(
        String::from_utf8_lossy(&run("--listen nowhere").stderr),
        "error: invalid value 'nowhere' for --listen: an address to listen on looks like \
         0.0.0.0:8443 or [::]:8443\n"
    );
    assert_eq!(run("--help").status.code(), Some(0));
    assert_eq!(run("--version").status.code(), Some(0));
}

#[test]
fn nobody_has_to_read_what_it_prints() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let mut child = command(&format!("--listen {address}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // Closed before anything is printed, or just after: neither is a failure.
    drop(child.stdout.take());
    drop(child.stderr.take());
    let connected = eventually(|| TcpStream::connect(address).ok()).is_some();
    let still_runs = child.try_wait().expect("a child").is_none();
    let mut peer = connected.then(|| Peer::open_at(address, "/"));
    if let Some(peer) = &mut peer {
        peer.say("HELLO a");
        peer.expect("HELLO");
    }
    child.kill().expect("a child");
    child.wait().expect("a child");
    assert!(connected && still_runs);
}

#[test]
fn logs_tell_of_peers_but_not_of_what_they_say_nor_where_they_are() {
    let relay = relay("--log info,signalling::relay=debug,signalling::hub=debug");
    let (mut alice, mut bob) = Peer::pair(&relay, "alice\u{1b}[31m", "bob");
    let ports = [&alice, &bob].map(|peer| {
        let address = peer.socket.get_ref().local_addr().expect("an address");
        address.port().to_string()
    });
    for line in [
        "{\"sdp\":{\"type\":\"offer\",\"sdp\":\"v=0\\r\\nSECRET\"}}",
        "{\"ice\":{\"candidate\":\"candidate:1 1 UDP 2 10.0.0.9 5000 typ host\",\"sdpMLineIndex\":0}}",
    ] {
        alice.say(line);
        bob.expect(line);
    }
    let mut member = Peer::in_room(&relay, "member", "r", &[]);
    member.say("ROOM_PEER_MSG member SECRET");
    member.expect("ROOM_PEER_MSG member SECRET");
    let mut idle = Peer::registered(&relay, "idle");
    idle.say("SECRET");
    idle.expect_silence();
    let mut villain = Peer::registered(&relay, "villain");
    villain.send_raw(b"SECRET SECRET");
    drop((villain, alice));
    bob.expect_close(1000, "");
    relay.signal(Signal::TERM);
    let log = relay.remains().stderr;
    assert!(log.contains("session started"), "{log}");
    assert!(log.contains(r"alice\u{1b}[31m"), "{log}");
    assert!(!log.contains('\u{1b}'), "{log:?}");
    for secret in ["SECRET", "candidate", "10.0.0.9", "sdp"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    for port in ports {
        assert!(!log.contains(&format!(":{port}")), "{port} in {log}");
    }
}

#[test]
fn running_out_of_descriptors_does_not_end_it() {
    let relay = relay("");
    // Told at the start, it would keep to fewer connections.
    relay.bound_descriptors(40);
    let mut first = Peer::registered(&relay, "first");
    // The system accepts for the relay, which has nowhere to put them.
    let crowd: Vec<_> = (0..60)
        .map(|_| TcpStream::connect(relay.address).expect("the system accepts"))
        .collect();
    first.expect_silence();
    drop(crowd);
    Peer::registered(&relay, "late");
    relay.signal(Signal::TERM);
    let remains = relay.remains();
    assert_eq!(remains.status.code(), Some(0));
    assert!(
        remains.stderr.contains("cannot accept"),
        "{}",
        remains.stderr
    );
}
