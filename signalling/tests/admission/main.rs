//! Who is let in, by how many there are and how fast they come.

mod model;

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use signalling::admission::{Admission, REMEMBERED_ADDRESSES, Refused};
use signalling::config::Limits;

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn limits() -> Limits {
    Limits {
        connections: 6,
        connections_per_address: 3,
        new_connections_per_second: 4,
        handshakes: 4,
        ..Limits::default()
    }
}

#[expect(clippy::disallowed_methods, reason = "a beginning, as good as any")]
fn beginning() -> Instant {
    Instant::now()
}

#[test]
fn connections_are_bounded_in_all_and_one_that_leaves_makes_room() {
    let mut admission = Admission::new(&limits());
    let now = beginning();
    for host in 1..=6 {
        let from = address(&format!("192.0.2.{host}"));
        assert_eq!(admission.arrive(from, now), Ok(()));
        admission.greeted(from);
    }
    let late = address("192.0.2.7");
    let full = Err(Refused::TooManyConnections);
    assert_eq!(admission.arrive(late, now), full);
    assert_eq!(admission.arrive(address("127.0.0.1"), now), full);
    admission.leave(address("192.0.2.1"), true);
    assert_eq!(admission.arrive(late, now), Ok(()));
    assert_eq!((admission.connections(), admission.handshakes()), (6, 1));
}

#[test]
fn handshakes_are_bounded_and_one_that_ends_makes_room_however_it_ends() {
    let mut admission = Admission::new(&limits());
    let now = beginning();
    let from = |host: u8| IpAddr::from([192, 0, 2, host]);
    for host in 1..=4 {
        assert_eq!(admission.arrive(from(host), now), Ok(()));
    }
    let busy = Err(Refused::TooManyHandshakes);
    assert_eq!(admission.arrive(from(5), now), busy);
    admission.greeted(from(1));
    assert_eq!(admission.arrive(from(5), now), Ok(()));
    assert_eq!(admission.arrive(from(6), now), busy);
    admission.leave(from(2), false);
    assert_eq!(admission.arrive(from(6), now), Ok(()));
}

#[test]
fn one_address_alone_does_not_have_all_the_handshakes() {
    let limits = Limits {
        handshakes: 160,
        ..Limits::default()
    };
    let mut admission = Admission::new(&limits);
    let (greedy, other) = (address("192.0.2.1"), address("192.0.2.2"));
    let now = beginning();
    for _ in 0..10 {
        assert_eq!(admission.arrive(greedy, now), Ok(()));
    }
    let refused = Err(Refused::TooManyFromAddress);
    assert_eq!(admission.arrive(greedy, now), refused);
    assert_eq!(admission.arrive(other, now), Ok(()));
    admission.greeted(greedy);
    assert_eq!(admission.arrive(greedy, now), Ok(()));
    assert_eq!(admission.arrive(greedy, now), refused);
    admission.leave(greedy, false);
    admission.leave(greedy, true);
    assert_eq!(admission.arrive(greedy, now), Ok(()));
    assert_eq!(admission.arrive(greedy, now), refused);
}

#[test]
fn an_address_has_its_share_whichever_way_it_is_written() {
    for (one, same, other) in [
        ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
        (
            "2001:db8::1",
            "2001:db8::ffff:ffff:ffff:ffff",
            "2001:db8:0:1::1",
        ),
    ] {
        let mut admission = Admission::new(&limits());
        let now = beginning();
        for from in [one, same, one] {
            assert_eq!(admission.arrive(address(from), now), Ok(()));
            admission.greeted(address(from));
        }
        let refused = Err(Refused::TooManyFromAddress);
        assert_eq!(admission.arrive(address(same), now), refused);
        assert_eq!(admission.arrive(address(other), now), Ok(()));
        admission.leave(address(same), true);
        assert_eq!(admission.arrive(address(one), now), Ok(()));
    }
}

#[test]
fn an_address_that_comes_too_fast_waits_for_its_turn() {
    let mut admission = Admission::new(&limits());
    let (from, start) = (address("192.0.2.1"), beginning());
    let mut visit = |after_ms| {
        admission
            .arrive(from, start + Duration::from_millis(after_ms))
            .map(|()| admission.leave(from, false))
    };
    for _ in 0..4 {
        assert_eq!(visit(0), Ok(()));
    }
    let too_fast = Err(Refused::TooManyNewFromAddress);
    assert_eq!(visit(0), too_fast);
    assert_eq!(visit(249), too_fast);
    assert_eq!(visit(250), Ok(()));
    assert_eq!(visit(250), too_fast);
    for _ in 0..4 {
        assert_eq!(visit(60_000), Ok(()));
    }
    assert_eq!(visit(60_000), too_fast);
}

#[test]
fn this_machine_is_bounded_by_its_address_only_if_asked_for() {
    for from in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
        let now = beginning();
        let mut admission = Admission::new(&limits());
        for _ in 0..6 {
            assert_eq!(admission.arrive(address(from), now), Ok(()));
            admission.greeted(address(from));
        }
        let mut admission = Admission::new(&Limits {
            loopback_too: true,
            ..limits()
        });
        for _ in 0..3 {
            assert_eq!(admission.arrive(address(from), now), Ok(()));
            admission.greeted(address(from));
        }
        let refused = Err(Refused::TooManyFromAddress);
        assert_eq!(admission.arrive(address(from), now), refused);
    }
}

#[test]
fn what_is_remembered_of_addresses_is_bounded_and_forgotten() {
    let mut admission = Admission::new(&limits());
    let start = beginning();
    let mut visit = |host: u32, now| {
        let from = IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + host));
        let result = admission.arrive(from, now);
        if result.is_ok() {
            admission.leave(from, false);
        }
        (result, admission.remembered())
    };
    let count = u32::try_from(REMEMBERED_ADDRESSES).expect("a count");
    for host in 0..count {
        assert_eq!(visit(host, start).0, Ok(()));
    }
    let full = (Err(Refused::TooManyConnections), REMEMBERED_ADDRESSES);
    assert_eq!(visit(count, start), full);
    assert_eq!(visit(count, start + Duration::from_millis(999)), full);
    let later = start + Duration::from_secs(1);
    assert_eq!(visit(count, later), (Ok(()), 1));
}

#[test]
fn every_refusal_has_a_word_a_sentence_and_a_response_of_its_own() {
    let words: Vec<_> = Refused::ALL.iter().map(|refused| refused.label()).collect();
    let mut sorted = words.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), words.len(), "{words:?}");
    for refused in Refused::ALL {
        assert_eq!(
            refused.label().replace('_', ""),
            format!("{refused:?}").to_lowercase()
        );
        assert!(refused.status().is_client_error() || refused.status().is_server_error());
        let response = refused.response();
        let (head, body) = response.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with(&format!("HTTP/1.1 {} ", refused.status().as_u16())));
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
        assert_eq!(body, format!("{}\n", refused.sentence()));
    }
}
