//! HTTP on the port of the relay: the page, `/health`, and the way into a WebSocket.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{poll_fn, ready};

use async_std::future::timeout;
use async_tungstenite::tungstenite::handshake::server::create_response_with_body;
use http_body_util::Full;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{self, HeaderMap};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use smol_hyper::rt::{FuturesIo, SmolTimer};
use tracing::debug;

use crate::answer::{self, Answer};
use crate::config::{
    CLOSE_DEADLINE, Certificate, Config, HTTP_LIFETIME, HTTP_REQUESTS, REQUEST_HEAD_BYTES,
    REQUEST_HEADERS,
};
use crate::page;
use crate::relay::Pass;
use crate::wire::Wire;

/// The parameter by which a peer asks to be told who calls it.
const NOTICES: &str = "notices=caller";

/// A connection that has become a WebSocket.
pub(crate) struct Opened {
    pub(crate) wire: Wire,
    /// What came right behind the request.
    pub(crate) already_read: Bytes,
    /// Whether the peer wants to be told who calls it.
    pub(crate) wants_notices: bool,
    /// What it may do.
    pub(crate) pass: Pass,
}

/// Answers the requests of one connection, until it ends or becomes a WebSocket.
pub(crate) async fn serve(wire: Wire, config: &Config) -> Option<Opened> {
    // In a box, so that a WebSocket does not hold the room that its handshake took.
    Box::pin(converse(wire, config)).await
}

async fn converse(wire: Wire, config: &Config) -> Option<Opened> {
    let visit = Visit {
        config,
        requests: Cell::new(0),
        upgrade: Cell::new(None),
    };
    let service = service_fn(|request| ready(Ok::<_, Infallible>(visit.answer(&request))));
    let mut connection = http1::Builder::new()
        .timer(SmolTimer::new())
        .header_read_timeout(config.deadlines.handshake)
        .max_buf_size(REQUEST_HEAD_BYTES)
        .max_headers(REQUEST_HEADERS)
        .serve_connection(FuturesIo::new(wire), service);
    let end = poll_fn(|cx| connection.poll_without_shutdown(cx));
    match timeout(HTTP_LIFETIME, end).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "HTTP connection ended"),
        Err(_) => {
            debug!("HTTP connection ended, being too old");
            return None;
        }
    }
    let parts = connection.into_parts();
    let wire = parts.io.into_inner();
    match visit.upgrade.take() {
        Some(Upgrade { wants_notices }) => Some(Opened {
            wire,
            // A copy, which is mostly empty, since the original keeps hyper's whole buffer.
            already_read: Bytes::copy_from_slice(&parts.read_buf),
            wants_notices,
            pass: Pass::default(),
        }),
        None => {
            // What was wrong with a request has been answered, and may not all have been read.
            let _ = timeout(CLOSE_DEADLINE, wire.linger()).await;
            None
        }
    }
}

/// The requests of one connection.
struct Visit<'a> {
    config: &'a Config,
    /// How many there were.
    requests: Cell<usize>,
    /// Set by the last one, if the connection becomes a WebSocket.
    upgrade: Cell<Option<Upgrade>>,
}

/// What a request for a WebSocket asked for with its address.
struct Upgrade {
    wants_notices: bool,
}

impl Visit<'_> {
    fn answer(&self, request: &Request<Incoming>) -> Answer {
        let mut answer = if asks_for_websocket(request.headers()) {
            self.open_websocket(request)
        } else {
            respond(request)
        };
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return answer;
        }
        // Whoever trusts a certificate made on the spot may have other things at that name.
        let by_tls_only = matches!(self.config.tls, Some(Certificate::Files { .. }));
        answer::harden(&mut answer, by_tls_only);
        self.requests.update(|requests| requests + 1);
        if self.requests.get() >= HTTP_REQUESTS {
            answer::set(&mut answer, header::CONNECTION, "close");
        }
        answer
    }

    fn open_websocket(&self, request: &Request<Incoming>) -> Answer {
        if !request.body().is_end_stream() {
            return no_handshake("it has a body");
        }
        match create_response_with_body(request, Full::default) {
            Ok(answer) => {
                let query = request.uri().query().unwrap_or_default();
                self.upgrade.set(Some(Upgrade {
                    wants_notices: query.split('&').any(|parameter| parameter == NOTICES),
                }));
                answer
            }
            Err(error) => no_handshake(&error.to_string()),
        }
    }
}

fn asks_for_websocket(headers: &HeaderMap) -> bool {
    headers
        .get(header::UPGRADE)
        .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn no_handshake(reason: &str) -> Answer {
    let sentence = format!("This is no WebSocket handshake: {reason}.\n");
    let mut answer = answer::plain(StatusCode::BAD_REQUEST, sentence);
    answer::set(&mut answer, header::SEC_WEBSOCKET_VERSION, "13");
    // A body that was not expected is not read either.
    answer::set(&mut answer, header::CONNECTION, "close");
    answer
}

fn respond(request: &Request<Incoming>) -> Answer {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut answer = answer::plain(
            StatusCode::METHOD_NOT_ALLOWED,
            "Only GET and HEAD are understood here.\n",
        );
        answer::set(&mut answer, header::ALLOW, "GET, HEAD");
        return answer;
    }
    match request.uri().path() {
        "/health" => answer::plain(StatusCode::OK, "OK\n"),
        path => match page::asset(path) {
            Some(asset) => answer::asset(asset, request.headers()),
            None => answer::plain(StatusCode::NOT_FOUND, "There is nothing at this address.\n"),
        },
    }
}
