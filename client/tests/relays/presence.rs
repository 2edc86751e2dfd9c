//! Staying registered, with relays that behave badly.

use std::time::Duration;

use crate::relay::{LIMIT, Relay, Socket, client, event, line, say};
use async_std::future::timeout;
use async_std::task::{block_on, spawn};
use async_tungstenite::tungstenite::Message;
use async_tungstenite::tungstenite::protocol::CloseFrame;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use client::config::{Relay as Address, Token, Trust};
use client::failure::FailureKind;
use client::presence::PresenceEvent;

async fn close(socket: &mut Socket, code: CloseCode, reason: &'static str) {
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    let _ = socket.close(Some(frame)).await;
}

macro_rules! assert_event {
    ($heard:expr, $pattern:pat) => {
        let event = event($heard).await;
        assert!(matches!(event, $pattern), "{event:?}");
    };
}

#[test]
fn lines_go_both_ways_and_leaving_is_heard() {
    block_on(async {
        let relay = Relay::start().await;
        let (presence, heard) = relay.client();
        let mut socket = relay.registered().await;
        assert_event!(&heard, PresenceEvent::Registered);
        say(&mut socket, "SESSION_FROM ann").await;
        assert_event!(&heard, PresenceEvent::Line(_));
        presence.send("hello".into());
        assert_eq!(line(&mut socket).await.as_deref(), Some("hello"));
        let leaving = spawn(presence.leave());
        assert_eq!(line(&mut socket).await, None);
        drop(socket);
        timeout(LIMIT, leaving).await.expect("leaving has an end");
    });
}

#[test]
fn a_relay_that_is_gone_is_found_again() {
    block_on(async {
        let relay = Relay::start().await;
        let (_presence, heard) = relay.client();
        drop(relay.registered().await);
        assert_event!(&heard, PresenceEvent::Registered);
        assert_event!(&heard, PresenceEvent::Lost(_));
        let mut socket = relay.registered().await;
        assert_event!(&heard, PresenceEvent::Registered);
        close(&mut socket, CloseCode::Normal, "").await;
        assert_event!(&heard, PresenceEvent::Closed);
        let _socket = relay.registered().await;
        assert_event!(&heard, PresenceEvent::Registered);
    });
}

#[test]
fn what_was_meant_for_one_connection_never_reaches_the_next() {
    block_on(async {
        let relay = Relay::start().await;
        let (presence, heard) = relay.client();
        let mut socket = relay.registered().await;
        assert_event!(&heard, PresenceEvent::Registered);
        close(&mut socket, CloseCode::Normal, "").await;
        assert_event!(&heard, PresenceEvent::Closed);
        presence.send("late".into());
        presence.renew();
        let mut next = relay.registered().await;
        assert_event!(&heard, PresenceEvent::Registered);
        presence.send("in time".into());
        assert_eq!(line(&mut next).await.as_deref(), Some("in time"));
    });
}

#[test]
fn a_relay_that_talks_on_cannot_keep_a_client_from_coming_back() {
    block_on(async {
        let relay = Relay::start().await;
        let (presence, heard) = relay.client();
        let mut socket = relay.registered().await;
        assert_event!(&heard, PresenceEvent::Registered);
        presence.renew();
        let talking =
            spawn(async move { while socket.send(Message::text("blah")).await.is_ok() {} });
        let _next = relay.registered().await;
        while !matches!(event(&heard).await, PresenceEvent::Registered) {}
        talking.cancel().await;
    });
}

#[test]
fn a_relay_that_sends_everybody_away_is_not_stormed() {
    block_on(async {
        let relay = Relay::start().await;
        let (_presence, heard) = relay.client();
        spawn(async move { while heard.recv().await.is_ok() {} });
        let storm = async {
            for _ in 0..100 {
                let mut socket = relay.registered().await;
                say(&mut socket, "SESSION_FROM ann").await;
                close(&mut socket, CloseCode::Normal, "").await;
            }
        };
        let storm = timeout(Duration::from_secs(4), storm).await;
        assert!(storm.is_err(), "a hundred connections in four seconds");
    });
}

#[test]
fn who_is_refused_at_first_gives_up_and_who_was_registered_does_not() {
    block_on(async {
        let relay = Relay::start().await;
        let (_presence, heard) = relay.client();
        let mut socket = relay.greeted().await;
        close(&mut socket, CloseCode::Protocol, "invalid peer uid").await;
        let refused = event(&heard).await;
        let PresenceEvent::Refused(failure) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(failure.kind, FailureKind::IdRefused);

        // The relay may not know yet that the old connection is dead.
        let (_presence, heard) = relay.client();
        drop(relay.registered().await);
        assert_event!(&heard, PresenceEvent::Registered);
        assert_event!(&heard, PresenceEvent::Lost(_));
        for _ in 0..3 {
            let mut socket = relay.greeted().await;
            close(&mut socket, CloseCode::Protocol, "invalid peer uid").await;
        }
        let _socket = relay.registered().await;
        assert_event!(&heard, PresenceEvent::Registered);
    });
}

#[test]
fn nobody_is_waited_for_for_ever() {
    block_on(async {
        let (_presence, heard) = client(Address {
            server: "ws://127.0.0.1:1".parse().expect("a URL"),
            trust: Trust::System,
            token: Token::None,
        });
        let refused = event(&heard).await;
        let PresenceEvent::Refused(failure) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(failure.kind, FailureKind::RelayUnreachable);
    });
}
