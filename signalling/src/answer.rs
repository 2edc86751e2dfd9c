//! Answers over HTTP: what they are made of, and what each says beside its body.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use crate::page::{Asset, prefers_gzip};

/// What is sent back: all of it is there before anything is sent.
pub(crate) type Answer = Response<Full<Bytes>>;

/// What a browser may do with anything that comes from here: only what the page needs, and nothing
/// for other pages.
const POLICY: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
         media-src 'self' blob: mediastream:; connect-src 'self' ws: wss:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(self), microphone=(self), display-capture=(self)",
    ),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];

/// For how long a browser that came by TLS comes by nothing else: half a year.
const BY_TLS_ONLY: &str = "max-age=15768000";

/// A sentence, or figures, as text.
pub(crate) fn plain(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut answer = Answer::new(Full::new(text.into()));
    *answer.status_mut() = status;
    set(&mut answer, header::CONTENT_TYPE, "text/plain");
    answer
}

/// An object of the API.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    let Ok(body) = serde_json::to_vec(body) else {
        return empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut answer = Answer::new(Full::new(body.into()));
    *answer.status_mut() = status;
    set(&mut answer, header::CONTENT_TYPE, "application/json");
    answer
}

/// A status that says everything.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = status;
    answer
}

/// A file, unless the browser has it already.
pub(crate) fn asset(asset: &'static Asset, request: &HeaderMap) -> Answer {
    let accepted = listed(request, header::ACCEPT_ENCODING);
    let gzip = asset.gzip.as_ref().filter(|_| prefers_gzip(&accepted));
    let chosen = gzip.unwrap_or(&asset.plain);
    let known = chosen.is_among(&listed(request, header::IF_NONE_MATCH));
    let mut answer = if known {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        Answer::new(Full::new(Bytes::from_static(chosen.body)))
    };
    set(&mut answer, header::ETAG, chosen.etag);
    set(&mut answer, header::CACHE_CONTROL, "no-cache");
    if asset.gzip.is_some() {
        set(&mut answer, header::VARY, "accept-encoding");
    }
    if !known {
        set(&mut answer, header::CONTENT_TYPE, asset.content_type);
        if gzip.is_some() {
            set(&mut answer, header::CONTENT_ENCODING, "gzip");
        }
    }
    answer
}

/// Adds or replaces a header.
pub(crate) fn set(answer: &mut Answer, name: HeaderName, value: &'static str) {
    answer
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}

/// Adds what every answer says. What may be kept has said so before.
pub(crate) fn harden(answer: &mut Answer, by_tls_only: bool) {
    for (name, value) in POLICY {
        set(answer, HeaderName::from_static(name), value);
    }
    if by_tls_only {
        set(answer, header::STRICT_TRANSPORT_SECURITY, BY_TLS_ONLY);
    }
    answer
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}

/// A header that is a list, which may be spread over several lines.
fn listed(headers: &HeaderMap, name: HeaderName) -> String {
    let lines: Vec<_> = headers
        .get_all(name)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .collect();
    lines.join(",")
}
