//! What a relay is asked over HTTP: the STUN and TURN servers it knows.

use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use async_std::future::timeout;
use futures_util::future::{Either, select};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use smol_hyper::rt::FuturesIo;
use url::Position;

use crate::ice_servers::Lease;
use crate::wire::{Way, Wire};

/// How long the answer may take.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

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
    let response = send(way, wire).await?;
    match response {
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

async fn send(way: &Way, wire: Wire) -> Result<(StatusCode, Bytes), String> {
    let request = request(way)?;
    let (mut sender, connection) = http1::handshake(FuturesIo::new(wire))
        .await
        .map_err(|error| error.to_string())?;
    let asking = pin!(async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES);
        Ok::<_, Box<dyn Error + Send + Sync>>((status, body.collect().await?.to_bytes()))
    });
    let answer = match select(asking, connection).await {
        Either::Left((answer, _)) => answer,
        // The answer may be there already; if not, it says that the connection ended.
        Either::Right((_, asking)) => asking.await,
    };
    answer.map_err(|error| error.to_string())
}

/// The API is beside the WebSocket, whatever path that has, as it is for the page.
fn request(way: &Way) -> Result<Request<Empty<Bytes>>, String> {
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
    // What is wrong is not said: the address may hold a token.
    request
        .body(Empty::new())
        .map_err(|_| "its address cannot be asked".to_owned())
}
