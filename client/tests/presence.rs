//! Staying registered, with relays that behave badly. Each relay here is a real WebSocket server.

use std::time::Duration;

use async_channel::{Receiver, bounded};
use async_std::future::timeout;
use async_std::net::{TcpListener, TcpStream};
use async_std::task::{block_on, spawn};
use async_tungstenite::tungstenite::Message;
use async_tungstenite::tungstenite::protocol::CloseFrame;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::{WebSocketStream, accept_async};
use client::failure::FailureKind;
use client::presence::{Presence, PresenceEvent};
use futures_util::StreamExt as _;
use url::Url;

const LIMIT: Duration = Duration::from_secs(10);

type Socket = WebSocketStream<TcpStream>;

/// A relay that nobody has told what to do yet.
struct Relay {
    listener: TcpListener,
}

impl Relay {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self { listener }
    }

    fn url(&self) -> Url {
        let address = self.listener.local_addr().expect("an address");
        format!("ws://{address}").parse().expect("a URL")
    }

    /// The next connection, once its first line is read.
    async fn greeted(&self) -> Socket {
        let accepting = async {
            let (stream, _) = self.listener.accept().await.expect("a connection");
            let mut socket = accept_async(stream).await.expect("a WebSocket");
            assert_eq!(line(&mut socket).await.as_deref(), Some("HELLO me"));
            socket
        };
        timeout(LIMIT, accepting)
            .await
            .expect("a client that comes")
    }

    /// The next connection, registered.
    async fn registered(&self) -> Socket {
        let mut socket = self.greeted().await;
        say(&mut socket, "HELLO").await;
        socket
    }

    fn client(&self) -> (Presence, Receiver<PresenceEvent>) {
        let (events, heard) = bounded(16);
        let id = "me".parse().expect("an id");
        (Presence::begin(self.url(), id, events), heard)
    }
}

async fn say(socket: &mut Socket, line: &str) {
    socket
        .send(Message::text(line))
        .await
        .expect("a client that hears");
}

/// The next line; `None` once the client has hung up.
async fn line(socket: &mut Socket) -> Option<String> {
    loop {
        match timeout(LIMIT, socket.next())
            .await
            .expect("a client that says something")?
        {
            Ok(Message::Text(line)) => return Some(line.to_string()),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

async fn close(socket: &mut Socket, code: CloseCode, reason: &'static str) {
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    let _ = socket.close(Some(frame)).await;
}

async fn event(heard: &Receiver<PresenceEvent>) -> PresenceEvent {
    timeout(LIMIT, heard.recv())
        .await
        .expect("an event in time")
        .expect("a presence")
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
        let (events, heard) = bounded(1);
        let id = "me".parse().expect("an id");
        let nowhere = "ws://127.0.0.1:1".parse().expect("a URL");
        let _presence = Presence::begin(nowhere, id, events);
        let refused = event(&heard).await;
        let PresenceEvent::Refused(failure) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(failure.kind, FailureKind::RelayUnreachable);
    });
}
