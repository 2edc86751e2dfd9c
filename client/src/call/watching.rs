//! What looks into a running client from outside: statistics over HTTP, and pictures of pipelines.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use async_channel::{Receiver, Sender, bounded};
use async_signal::{Signal, Signals};
use async_std::task::{self, JoinHandle};
use futures_util::StreamExt as _;

use crate::dot;
use crate::failure::{Failure, FailureKind};
use crate::metrics::Metrics;
use crate::observation::Observation;
use crate::report::Report;
use crate::timeline::Timeline;

/// Looks into a client until it is dropped.
#[derive(Debug, Default)]
pub(super) struct Watching {
    metrics: Option<Metrics>,
    drawing: Option<Drawing>,
}

#[derive(Debug)]
struct Drawing {
    due: Sender<()>,
    signals: JoinHandle<()>,
}

impl Watching {
    /// Begins to look.
    ///
    /// # Errors
    /// When the address of the statistics cannot be used, or there are no signals.
    pub(super) async fn begin(
        observation: &Observation,
        timeline: &Timeline,
    ) -> Result<Self, Failure> {
        let metrics = match observation.stats_listen {
            Some(address) => Some(Metrics::listen(address).await?),
            None => None,
        };
        let drawing = match &observation.dot {
            Some(file) => Some(Drawing::begin(file.clone(), timeline.clone())?),
            None => None,
        };
        Ok(Self { metrics, drawing })
    }

    /// Takes a report into account.
    pub(super) fn hear(&self, report: &Report) {
        if let Some(metrics) = &self.metrics {
            metrics.hear(report);
        }
        if let (Some(drawing), Report::Connected(_)) = (&self.drawing, report) {
            let _ = drawing.due.try_send(());
        }
    }
}

impl Drawing {
    fn begin(file: PathBuf, timeline: Timeline) -> Result<Self, Failure> {
        let mut signals = Signals::new([Signal::Usr1])
            .map_err(|error| Failure::new(FailureKind::Other, format!("no signals: {error}")))?;
        // One that is due is enough: it shows all there is then.
        let (due, is_due) = bounded(1);
        task::spawn(draw_when_due(file, timeline, is_due));
        let signalled = due.clone();
        let signals = task::spawn(async move {
            while signals.next().await.is_some() {
                let _ = signalled.try_send(());
            }
        });
        Ok(Self { due, signals })
    }
}

impl Drop for Drawing {
    fn drop(&mut self) {
        self.due.close();
        // It ends at its next signal, or with the program.
        let _ = &self.signals;
    }
}

async fn draw_when_due(file: PathBuf, timeline: Timeline, is_due: Receiver<()>) {
    while is_due.recv().await.is_ok() {
        let (file, timeline) = (file.clone(), timeline.clone());
        let drawn = task::spawn_blocking(move || draw(&file, &timeline)).await;
        match drawn {
            Ok(file) => tracing::info!("the pipelines are drawn in {}", file.display()),
            Err(error) => tracing::warn!("the pipelines cannot be drawn: {error}"),
        }
    }
}

/// Writes the picture, and says where it is.
fn draw(file: &Path, timeline: &Timeline) -> io::Result<PathBuf> {
    let graph = dot::merge(&timeline.drawings());
    if file.extension().is_some_and(|extension| extension == "svg") {
        match picture(file, &graph) {
            Ok(()) => return Ok(file.to_owned()),
            Err(error) => tracing::warn!("no picture ({error}); apt-get install graphviz"),
        }
    }
    let file = file.with_extension("dot");
    fs::write(&file, graph)?;
    Ok(file)
}

fn picture(file: &Path, graph: &str) -> io::Result<()> {
    let mut dot = Command::new("dot")
        .arg("-Tsvg")
        .arg("-o")
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // It reads everything before it says anything.
    let written = dot
        .stdin
        .take()
        .map(|mut input| input.write_all(graph.as_bytes()));
    match (written, dot.wait()?.success()) {
        (Some(Ok(())), true) => Ok(()),
        (Some(Err(error)), _) => Err(error),
        (_, _) => Err(io::Error::other("dot does not take it")),
    }
}
