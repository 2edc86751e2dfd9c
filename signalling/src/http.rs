//! HTTP on the port of the relay: the page, the API, what operators ask, and the way into a WebSocket.

use std::borrow::Cow;
use std::cell::Cell;
use std::convert::Infallible;
use std::future::{poll_fn, ready};
use std::time::SystemTime;

use async_std::future::timeout;
use async_tungstenite::tungstenite::handshake;
use async_tungstenite::tungstenite::handshake::machine::TryParse as _;
use async_tungstenite::tungstenite::handshake::server::create_response_with_body;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use smol_hyper::rt::{FuturesIo, SmolTimer};
use tracing::debug;

use crate::admission::Refused;
use crate::answer::{self, Answer};
use crate::api;
use crate::config::{
    CLOSE_DEADLINE, Certificate, HTTP_LIFETIME, HTTP_REQUESTS, REQUEST_HEAD_BYTES, REQUEST_HEADERS,
};
use crate::credentials;
use crate::ice_servers::ice_servers;
use crate::metrics::Readings;
use crate::page;
use crate::process;
use crate::relay::Pass;
use crate::server::Shared;
use crate::wire::{AwaitedWire, Wire};

/// The parameter by which a peer asks to be told who calls it.
const NOTICES: &str = "notices=caller";

/// The name in the credentials for TURN of those whose token names no peer.
const ANYBODY: &str = "peer";

/// A connection that has become a WebSocket.
pub(crate) struct Opened {
    pub(crate) wire: Wire,
    /// Whether the peer wants to be told who calls it.
    pub(crate) wants_notices: bool,
    /// What it may do.
    pub(crate) pass: Pass,
}

/// The answer to a request for a WebSocket.
pub(crate) struct Welcome {
    /// What to send.
    pub(crate) response: Vec<u8>,
    /// How many bytes the request had.
    pub(crate) used: usize,
    /// Whether the peer wants to be told who calls it.
    pub(crate) wants_notices: bool,
    /// What it may do.
    pub(crate) pass: Pass,
}

/// Answers a request for a WebSocket that is there in one piece and may be granted. Everything else is
/// for [`serve`], refusals included.
pub(crate) fn welcome(said: &[u8], shared: &Shared) -> Option<Welcome> {
    let (used, request) = handshake::server::Request::try_parse(said).ok()??;
    let headers = request.headers();
    let is_plain = asks_for_websocket(headers)
        && used <= REQUEST_HEAD_BYTES
        && headers.len() <= REQUEST_HEADERS
        && !headers.contains_key(header::CONTENT_LENGTH)
        && !headers.contains_key(header::TRANSFER_ENCODING);
    if !is_plain {
        return None;
    }
    let answer = handshake::server::create_response(&request).ok()?;
    let pass = admit(&request, shared).ok()?;
    let mut response = Vec::new();
    handshake::server::write_response(&mut response, &answer).ok()?;
    Some(Welcome {
        response,
        used,
        wants_notices: wants_notices(&request),
        pass,
    })
}

/// Answers the requests of one connection, until it ends or becomes a WebSocket; then with what was
/// read after the last request.
pub(crate) async fn serve(wire: AwaitedWire, shared: &Shared) -> Option<(Opened, Vec<u8>)> {
    // In a box, so that a WebSocket does not hold the room that its handshake took.
    Box::pin(converse(wire, shared)).await
}

async fn converse(wire: AwaitedWire, shared: &Shared) -> Option<(Opened, Vec<u8>)> {
    let conversation = Conversation {
        shared,
        requests: Cell::new(0),
        upgrade: Cell::new(None),
    };
    let service = service_fn(|request| ready(Ok::<_, Infallible>(conversation.answer(&request))));
    let mut connection = http1::Builder::new()
        .timer(SmolTimer::new())
        .header_read_timeout(shared.config.deadlines.handshake)
        .max_buf_size(REQUEST_HEAD_BYTES)
        .max_headers(REQUEST_HEADERS)
        // Who has said all it has to say may still listen.
        .half_close(true)
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
    match conversation.upgrade.take() {
        Some(Upgrade {
            wants_notices,
            pass,
        }) => {
            let opened = Opened {
                wire: wire.into_inner().ok()?,
                wants_notices,
                pass,
            };
            Some((opened, parts.read_buf.to_vec()))
        }
        None => {
            // What was wrong with a request has been answered, and may not all have been read.
            let _ = timeout(CLOSE_DEADLINE, wire.linger()).await;
            None
        }
    }
}

/// The requests of one connection.
struct Conversation<'a> {
    shared: &'a Shared,
    /// How many there were.
    requests: Cell<usize>,
    /// Set by the last one, if the connection becomes a WebSocket.
    upgrade: Cell<Option<Upgrade>>,
}

/// What a request for a WebSocket asked for with its address, and was allowed.
struct Upgrade {
    wants_notices: bool,
    pass: Pass,
}

impl Conversation<'_> {
    fn answer(&self, request: &Request<Incoming>) -> Answer {
        let mut answer = if asks_for_websocket(request.headers()) {
            self.open_websocket(request)
        } else {
            self.respond(request)
        };
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return answer;
        }
        // Whoever trusts a certificate made on the spot may have other things at that name.
        let by_tls_only = matches!(self.shared.config.tls, Some(Certificate::Files { .. }));
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
        let answer = match create_response_with_body(request, Full::default) {
            Ok(answer) => answer,
            Err(error) => return no_handshake(&error.to_string()),
        };
        match admit(request, self.shared) {
            Ok(pass) => {
                self.upgrade.set(Some(Upgrade {
                    wants_notices: wants_notices(request),
                    pass,
                }));
                answer
            }
            // In plain text, whatever the path: no path means anything to a WebSocket.
            Err(refused) => self.refuse(refused, "/"),
        }
    }

    fn respond(&self, request: &Request<Incoming>) -> Answer {
        let path = request.uri().path();
        match *request.method() {
            Method::GET | Method::HEAD => self.get(request, path),
            Method::OPTIONS if path == api::ICE_SERVERS => {
                let allowed = self.origin_to_share_with(request);
                let mut answer = api::preflight(allowed.is_some());
                api::share(&mut answer, allowed);
                answer
            }
            _ => not_allowed(path),
        }
    }

    fn get(&self, request: &Request<Incoming>, path: &str) -> Answer {
        match path {
            "/health" => answer::plain(StatusCode::OK, "OK\n"),
            "/ready" if self.shared.takes_peers.get() => answer::plain(StatusCode::OK, "OK\n"),
            "/ready" => failure(
                path,
                StatusCode::SERVICE_UNAVAILABLE,
                "The relay takes no new peers.",
            ),
            "/metrics" => self.metrics(request),
            api::ICE_SERVERS => {
                let mut answer = self.ice_servers(request);
                api::share(&mut answer, self.origin_to_share_with(request));
                answer
            }
            api::PEERS => self.for_admins(request, || api::peers(&self.shared.hub.peers())),
            api::ROOMS => self.for_admins(request, || api::rooms(&self.shared.hub.rooms())),
            _ => match page::asset(path) {
                Some(asset) => answer::asset(asset, request.headers()),
                None => failure(
                    path,
                    StatusCode::NOT_FOUND,
                    "There is nothing at this address.",
                ),
            },
        }
    }

    fn ice_servers(&self, request: &Request<Incoming>) -> Answer {
        match admit(request, self.shared) {
            Ok(pass) => {
                let name = pass.peer.as_ref().map_or(ANYBODY, |peer| peer.as_str());
                let servers = ice_servers(&self.shared.config.ice, name, now_unix());
                api::ice_servers(&servers)
            }
            Err(refused) => self.refuse(refused, api::ICE_SERVERS),
        }
    }

    fn metrics(&self, request: &Request<Incoming>) -> Answer {
        if self.shared.config.token_file.is_none() {
            return self.expose();
        }
        self.for_admins(request, || self.expose())
    }

    fn expose(&self) -> Answer {
        let hub = &self.shared.hub;
        let admission = self.shared.admission.borrow();
        let text = self.shared.metrics.render(Readings {
            connections: admission.connections(),
            handshakes: admission.handshakes(),
            census: hub.census(),
            tally: hub.tally(),
            traffic: hub.traffic(),
            process: process::read(self.shared.started_unix),
        });
        let mut answer = answer::plain(StatusCode::OK, text);
        let text_format = "text/plain; version=0.0.4; charset=utf-8";
        answer::set(&mut answer, header::CONTENT_TYPE, text_format);
        answer
    }

    fn for_admins(&self, request: &Request<Incoming>, answer: impl FnOnce() -> Answer) -> Answer {
        let token = token(request);
        let admitted = {
            let door = self.shared.door.borrow();
            door.admit_admin(token.as_deref(), now_unix())
        };
        match admitted {
            Ok(()) => answer(),
            Err(refused) => self.refuse(refused, request.uri().path()),
        }
    }

    fn refuse(&self, refused: Refused, path: &str) -> Answer {
        self.shared.metrics.refused(refused);
        let mut answer = failure(path, refused.status(), refused.sentence());
        if refused.status() == StatusCode::UNAUTHORIZED {
            // RFC 6750, section 3: somebody who brought no token is not told that it is wrong.
            let challenge = if refused == Refused::TokenMissing {
                "Bearer realm=\"aldis\""
            } else {
                "Bearer realm=\"aldis\", error=\"invalid_token\""
            };
            answer::set(&mut answer, header::WWW_AUTHENTICATE, challenge);
        }
        answer
    }

    /// The origin of the page that asks, if it may read the answer.
    fn origin_to_share_with<'r>(&self, request: &'r Request<Incoming>) -> Option<&'r HeaderValue> {
        let origin = request.headers().get(header::ORIGIN)?;
        let door = self.shared.door.borrow();
        door.allows_origin(origin.to_str().ok()?).then_some(origin)
    }
}

/// Whether somebody may enter as a peer, and what it may do then.
fn admit<B>(request: &Request<B>, shared: &Shared) -> Result<Pass, Refused> {
    // An origin that is no text is none that anybody allowed.
    let origin = text(request, header::ORIGIN);
    let token = token(request);
    let door = shared.door.borrow();
    door.admit(origin.as_deref(), token.as_deref(), now_unix())
}

fn wants_notices<B>(request: &Request<B>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').any(|parameter| parameter == NOTICES)
}

fn asks_for_websocket(headers: &HeaderMap) -> bool {
    headers
        .get(header::UPGRADE)
        .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn no_handshake(reason: &str) -> Answer {
    let sentence = format!("This is no WebSocket handshake: {reason}.");
    let mut answer = failure("/", StatusCode::BAD_REQUEST, &sentence);
    answer::set(&mut answer, header::SEC_WEBSOCKET_VERSION, "13");
    // A body that was not expected is not read either.
    answer::set(&mut answer, header::CONNECTION, "close");
    answer
}

fn not_allowed(path: &str) -> Answer {
    let (sentence, allowed) = if path == api::ICE_SERVERS {
        (
            "Only GET, HEAD and OPTIONS are understood here.",
            "GET, HEAD, OPTIONS",
        )
    } else {
        ("Only GET and HEAD are understood here.", "GET, HEAD")
    };
    let mut answer = failure(path, StatusCode::METHOD_NOT_ALLOWED, sentence);
    answer::set(&mut answer, header::ALLOW, allowed);
    answer
}

/// A sentence in place of a better answer: as JSON where programs ask, else as text.
fn failure(path: &str, status: StatusCode, sentence: &str) -> Answer {
    if api::owns(path) {
        api::failure(status, sentence)
    } else {
        answer::plain(status, format!("{sentence}\n"))
    }
}

/// The token that the request brought along.
fn token<B>(request: &Request<B>) -> Option<Cow<'_, str>> {
    let authorization = request.headers().get(header::AUTHORIZATION);
    credentials::token(
        authorization.map(HeaderValue::as_bytes),
        request.uri().query(),
    )
}

fn text<B>(request: &Request<B>, name: HeaderName) -> Option<Cow<'_, str>> {
    let value = request.headers().get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()))
}

/// Tokens and credentials end at a time of day, which is read where they are asked for.
pub(crate) fn now_unix() -> u64 {
    SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |since| since.as_secs())
}
