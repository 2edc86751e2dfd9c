//! Goes to the relay as a call would: by TCP, TLS and WebSocket, with the token, under our id.

use async_channel::bounded;
use async_std::task;
use protocol::PeerId;
use url::Position;

use super::{Finding, Registration, origin, token};
use crate::api::{self, Look};
use crate::config::Relay;
use crate::failure::{Failure, FailureKind};
use crate::ice_servers::IceServers;
use crate::signaller::Signaller;
use crate::wire::{Way, is_encrypted, label};

/// How many lines of a relay may wait that nobody reads: none is expected.
const MAX_WAITING_EVENTS: usize = 4;

/// What was seen of a relay.
#[derive(Debug)]
pub struct Seen {
    /// What there is to say about it.
    pub findings: Vec<Finding>,
    /// What time it is there, as its `Date` header says.
    pub date: Option<String>,
    /// The STUN and TURN servers it tells of.
    pub servers: IceServers,
}

/// Visits a relay.
pub async fn visit(relay: Relay, id: PeerId) -> Seen {
    let has_token = relay.token != crate::config::Token::None;
    let way = match task::spawn_blocking(|| Way::new(relay)).await {
        Ok(way) => way,
        Err(failure) => return away(&failure),
    };
    // Dropped at once: what matters is that it came about.
    if let Err(failure) = way.connect().await {
        return away(&failure);
    }
    let registration = register(&way, &id).await;
    let mut findings = vec![relay_finding(&way, &registration)];
    findings.push(token(has_token, id.as_str(), &registration));
    let page = page_of(&way);
    findings.push(match api::look(&way, Some(&page)).await {
        Ok(Look { status, .. }) => origin(&page, status),
        Err(reason) => Finding::skipped("origin", format!("The relay cannot be asked: {reason}.")),
    });
    match api::look(&way, None).await {
        Ok(Look { date, lease, .. }) => Seen {
            findings,
            date,
            servers: lease.servers,
        },
        Err(_) => Seen {
            findings,
            date: None,
            servers: IceServers::default(),
        },
    }
}

fn away(failure: &Failure) -> Seen {
    Seen::nothing(Finding::failed("relay", failure))
}

impl Seen {
    /// There is nothing to be said but this of a relay.
    pub fn nothing(of_relay: Finding) -> Self {
        let unasked = |name| Finding::skipped(name, "The relay cannot be asked.");
        Self {
            findings: vec![of_relay, unasked("token"), unasked("origin")],
            date: None,
            servers: IceServers::default(),
        }
    }
}

fn relay_finding(way: &Way, registration: &Registration) -> Finding {
    const NAME: &str = "relay";
    match registration {
        Registration::Refused(failure) if failure.kind == FailureKind::RelayUnreachable => {
            Finding::failed(NAME, failure)
        }
        Registration::Accepted | Registration::Refused(_) => {
            let tls = match is_encrypted(way.server()) {
                true => "TCP, TLS and WebSocket; its certificate is trusted",
                false => "TCP and WebSocket, without TLS",
            };
            Finding::ok(NAME, format!("{} answers by {tls}.", label(way.server())))
        }
    }
}

async fn register(way: &Way, id: &PeerId) -> Registration {
    let (events, _heard) = bounded(MAX_WAITING_EVENTS);
    match Signaller::register(way, id, events).await {
        Ok(signaller) => {
            signaller.close().await;
            Registration::Accepted
        }
        Err(failure) => Registration::Refused(failure),
    }
}

/// The origin of the page that the relay itself serves.
fn page_of(way: &Way) -> String {
    let server = way.server();
    let scheme = match is_encrypted(server) {
        true => "https",
        false => "http",
    };
    format!(
        "{scheme}://{}",
        &server[Position::BeforeHost..Position::AfterPort]
    )
}
