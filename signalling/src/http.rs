//! HTTP on the port of the relay: the page, `/health`, and the way into a WebSocket.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;

use async_std::future::timeout;
use async_std::net::TcpStream;
use async_tungstenite::tungstenite::handshake::server::create_response_with_body;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use smol_hyper::rt::{FuturesIo, SmolTimer};
use tracing::debug;

use crate::config::{CLOSE_DEADLINE, Config, HTTP_LIFETIME, REQUEST_HEAD_BYTES, REQUEST_HEADERS};
use crate::frame::Bytes;
use crate::page::{self, Asset};
use crate::wire::linger;

/// The parameter by which a peer asks to be told who calls it.
const NOTICES: &str = "notices=caller";

type Answer = Response<Full<Bytes>>;

/// A connection that has become a WebSocket.
pub(crate) struct Opened {
    pub(crate) stream: TcpStream,
    /// What came right behind the request.
    pub(crate) already_read: Bytes,
    /// Whether the peer wants to be told who calls it.
    pub(crate) wants_notices: bool,
}

/// What a request for a WebSocket asked for with its address.
#[derive(Clone, Copy)]
struct Upgrade {
    wants_notices: bool,
}

/// Answers the requests of one connection, until it ends or becomes a WebSocket.
pub(crate) async fn serve(stream: TcpStream, config: &Config) -> Option<Opened> {
    let upgrade = Rc::new(Cell::new(None));
    let service = service_fn(|request| {
        let answer = answer(&request, &upgrade);
        async { Ok::<_, Infallible>(answer) }
    });
    let http = http1::Builder::new()
        .timer(SmolTimer::new())
        .header_read_timeout(config.deadlines.handshake)
        .max_buf_size(REQUEST_HEAD_BYTES)
        .max_headers(REQUEST_HEADERS)
        .serve_connection(FuturesIo::new(stream.clone()), service)
        .without_shutdown();
    let parts = match timeout(HTTP_LIFETIME, http).await {
        Ok(Ok(parts)) => parts,
        Ok(Err(error)) => {
            debug!(%error, "HTTP connection ended");
            // What was wrong with the request has been answered, and may not all have been read.
            let _ = timeout(CLOSE_DEADLINE, linger(stream)).await;
            return None;
        }
        Err(_) => {
            debug!("HTTP connection ended, being too old");
            return None;
        }
    };
    let Upgrade { wants_notices } = upgrade.get()?;
    Some(Opened {
        stream,
        already_read: parts.read_buf,
        wants_notices,
    })
}

fn answer(request: &Request<Incoming>, upgrade: &Cell<Option<Upgrade>>) -> Answer {
    if asks_for_websocket(request.headers()) {
        return open_websocket(request, upgrade);
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut answer = plain(
            StatusCode::METHOD_NOT_ALLOWED,
            "Only GET and HEAD are understood here.\n",
        );
        let allowed = HeaderValue::from_static("GET, HEAD");
        answer.headers_mut().insert(header::ALLOW, allowed);
        return answer;
    }
    match request.uri().path() {
        "/health" => plain(StatusCode::OK, "OK\n"),
        path => match page::asset(path) {
            Some(asset) => serve_asset(asset, request.headers()),
            None => plain(StatusCode::NOT_FOUND, "There is nothing at this address.\n"),
        },
    }
}

fn asks_for_websocket(headers: &HeaderMap) -> bool {
    headers
        .get(header::UPGRADE)
        .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn open_websocket(request: &Request<Incoming>, upgrade: &Cell<Option<Upgrade>>) -> Answer {
    match create_response_with_body(request, Full::default) {
        Ok(answer) => {
            let query = request.uri().query().unwrap_or_default();
            upgrade.set(Some(Upgrade {
                wants_notices: query.split('&').any(|parameter| parameter == NOTICES),
            }));
            answer
        }
        Err(error) => {
            let sentence = format!("This is no WebSocket handshake: {error}.\n");
            let mut answer = plain(StatusCode::BAD_REQUEST, sentence);
            let version = HeaderValue::from_static("13");
            answer
                .headers_mut()
                .insert(header::SEC_WEBSOCKET_VERSION, version);
            answer
        }
    }
}

fn serve_asset(asset: &'static Asset, request: &HeaderMap) -> Answer {
    let known = request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .any(|tag| tag == asset.etag);
    let mut answer = if known {
        let mut answer = Answer::default();
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        answer
    } else {
        Answer::new(Full::new(Bytes::from_static(asset.body)))
    };
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(asset.content_type),
    );
    headers.insert(header::ETAG, HeaderValue::from_static(asset.etag));
    harden(headers);
    answer
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut answer = Answer::new(Full::new(text.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    harden(headers);
    answer
}

/// What a browser may do with anything that comes from here: only what the page needs.
fn harden(headers: &mut HeaderMap) {
    let policy = [
        ("cache-control", "no-cache"),
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
             media-src 'self' blob: mediastream:; connect-src 'self' ws: wss:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
        ),
        (
            "permissions-policy",
            "camera=(self), microphone=(self), display-capture=(self)",
        ),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ];
    for (name, value) in policy {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
