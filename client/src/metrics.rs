//! The statistics of a client over HTTP, for Prometheus.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use async_std::future::timeout;
use async_std::net::{TcpListener, TcpStream};
use async_std::task::{self, JoinHandle};
use futures_util::future::{Either, select};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use smol_hyper::rt::FuturesIo;

use crate::exposition::Ledger;
use crate::failure::{Failure, FailureKind};
use crate::report::Report;

/// How many may ask at the same time.
const MAX_CONNECTIONS: usize = 8;

/// How long asking and being answered may take.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// How many reports may wait to be written down. They come every second; more are left out.
const MAX_WAITING_REPORTS: usize = 64;

/// How long to wait when no connection can be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers at one address, until it is dropped.
#[derive(Debug)]
pub struct Metrics {
    reports: Sender<Report>,
    /// Ends once nothing can be reported any more.
    _serving: JoinHandle<()>,
}

impl Metrics {
    /// Begins to answer.
    ///
    /// # Errors
    /// When the address cannot be listened at.
    pub async fn listen(address: SocketAddr) -> Result<Self, Failure> {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            let sentence = format!(
                "Statistics cannot be had at {address} ({error}); name another address with \
                 --stats-listen."
            );
            Failure::new(FailureKind::Other, sentence)
        })?;
        let place = listener.local_addr().unwrap_or(address);
        tracing::info!("statistics are at http://{place}/metrics");
        let (reports, heard) = bounded(MAX_WAITING_REPORTS);
        Ok(Self {
            reports,
            _serving: task::spawn(serve(listener, heard)),
        })
    }

    /// Takes a report into account.
    pub fn hear(&self, report: &Report) {
        if self.reports.try_send(report.clone()).is_err() {
            tracing::debug!("a report is not in the statistics: too many wait");
        }
    }
}

async fn serve(listener: TcpListener, reports: Receiver<Report>) {
    let mut ledger = Ledger::default();
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let (report, accepted) = (pin!(reports.recv()), pin!(listener.accept()));
        match select(report, accepted).await {
            Either::Left((Ok(report), _)) => enter(&mut ledger, &report),
            Either::Left((Err(_), _)) => return,
            Either::Right((Ok((stream, _)), _)) => {
                if open.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
                    open.fetch_sub(1, Ordering::Relaxed);
                    continue;
                }
                let (open, text) = (Arc::clone(&open), Bytes::from(ledger.text()));
                task::spawn(async move {
                    let _ = timeout(ANSWER_DEADLINE, answer(stream, text)).await;
                    open.fetch_sub(1, Ordering::Relaxed);
                });
            }
            Either::Right((Err(error), _)) => {
                tracing::debug!("nobody can ask for statistics: {error}");
                task::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other reports have no figures"
)]
fn enter(ledger: &mut Ledger, report: &Report) {
    match report {
        Report::Calling { .. } | Report::Called { .. } => ledger.call_began(),
        Report::Connected(_) => ledger.connected(),
        Report::Reconnected(reconnection) => ledger.reconnected(reconnection.seconds),
        Report::Stats(rates) => ledger.passed(rates),
        Report::Ended { stage, .. } => ledger.call_ended(stage.is_some()),
        _ => {}
    }
}

/// One question, one answer, with the figures of the moment at which the connection was made.
async fn answer(stream: TcpStream, text: Bytes) {
    let service = service_fn(|request: Request<Incoming>| {
        let text = text.clone();
        async move { Ok::<_, Infallible>(response(request.method(), request.uri().path(), text)) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .serve_connection(FuturesIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!("statistics were not asked for in order: {error}");
    }
}

fn response(method: &Method, path: &str, text: Bytes) -> Response<Full<Bytes>> {
    let plain = |status, text: Bytes| {
        let mut response = Response::new(Full::new(text));
        *response.status_mut() = status;
        let format = HeaderValue::from_static(FORMAT);
        response.headers_mut().insert(header::CONTENT_TYPE, format);
        response
    };
    match path {
        "/metrics" if method == Method::GET || method == Method::HEAD => {
            plain(StatusCode::OK, text)
        }
        "/metrics" => plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".into()),
        _ => plain(StatusCode::NOT_FOUND, "there is only /metrics\n".into()),
    }
}
