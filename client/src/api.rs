//! What a relay is asked over HTTP: the STUN and TURN servers it knows, and how it answers at all.

use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use async_std::future::timeout;
use futures_util::future::{Either, select};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::http::response::Parts;
use hyper::{Request, StatusCode, header};
use smol_hyper::rt::FuturesIo;
use url::Position;

use crate::ice_servers::Lease;
use crate::wire::{Way, Wire};

/// How long the answer may take.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// How a relay answers when it is asked for STUN and TURN servers.
#[derive(Clone, Debug)]
pub struct Look {
    /// The status of the answer.
    pub status: u16,
    /// What time it is there, as its `Date` header says.
    pub date: Option<String>,
    /// What it tells of; none when that is nothing we understand.
    pub lease: Lease,
}

/// Looks how a relay answers; as if a page of `origin` asked, where one is given.
///
/// # Errors
/// Why there is no answer.
pub async fn look(way: &Way, origin: Option<&str>) -> Result<Look, String> {
    let looking = async {
        let wire = way.connect().await.map_err(|failure| failure.sentence)?;
        let (head, body) = send(way, wire, origin).await?;
        let date = head.headers.get(header::DATE);
        Ok(Look {
            status: head.status.as_u16(),
            date: date.and_then(|date| date.to_str().ok().map(str::to_owned)),
            lease: Lease::parse(&body).unwrap_or_default(),
        })
    };
    timeout(ANSWER_DEADLINE, looking)
        .await
        .unwrap_or_else(|_| Err("no answer in time".into()))
}

/// The servers a relay tells of; none when it is a relay that tells of none.
///
/// # Errors
/// Why there is no answer now: another try may be worth it.
pub async fn ice_servers(way: &Way) -> Result<Lease, String> {
    match timeout(ANSWER_DEADLINE, ask(way)).await {
        Ok(answer) => answer,
        Err(_) => Err("no answer in time".into()),
    }
}

async fn ask(way: &Way) -> Result<Lease, String> {
    let wire = way.connect().await.map_err(|failure| failure.sentence)?;
    let (head, body) = send(way, wire, None).await?;
    match (head.status, body) {
        (StatusCode::OK, body) => Lease::parse(&body).or_else(|reason| {
            tracing::debug!("the relay answers, but with {reason}");
            Ok(Lease::default())
        }),
        (status, _) if is_passing(status) => Err(status.to_string()),
        (status, _) => {
            tracing::debug!(%status, "the relay tells of no STUN and TURN servers");
            Ok(Lease::default())
        }
    }
}

/// Whether the answer may be another one soon.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 500 | 502 | 503 | 504)
}

async fn send(way: &Way, wire: Wire, origin: Option<&str>) -> Result<(Parts, Bytes), String> {
    let request = request(way, origin)?;
    let (mut sender, connection) = http1::handshake(FuturesIo::new(wire))
        .await
        .map_err(|error| error.to_string())?;
    let asking = pin!(async {
        let response = sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES);
        Ok::<_, Box<dyn Error + Send + Sync>>((head, body.collect().await?.to_bytes()))
    });
    let answer = match select(asking, connection).await {
        Either::Left((answer, _)) => answer,
        // The answer may be there already; if not, it says that the connection ended.
        Either::Right((_, asking)) => asking.await,
    };
    answer.map_err(|error| error.to_string())
}

/// The API is beside the WebSocket, whatever path that has, as it is for the page.
fn request(way: &Way, origin: Option<&str>) -> Result<Request<Empty<Bytes>>, String> {
    let mut url = way
        .server()
        .join("api/ice-servers")
        .map_err(|error| error.to_string())?;
    url.set_query(way.server().query());
    let mut request = Request::get(&url[Position::BeforePath..Position::AfterQuery])
        .header(
            header::HOST,
            &url[Position::BeforeHost..Position::AfterPort],
        )
        .header(header::ACCEPT, "application/json")
        .header(header::CONNECTION, "close");
    if let Some(token) = way.authorization().map_err(|failure| failure.sentence)? {
        request = request.header(header::AUTHORIZATION, token);
    }
    if let Some(origin) = origin {
        request = request.header(header::ORIGIN, origin);
    }
    // What is wrong is not said: the address may hold a token.
    request
        .body(Empty::new())
        .map_err(|_| "its address cannot be asked".to_owned())
}
