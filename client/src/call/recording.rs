//! Recording the running call.

use async_std::future::timeout;
use async_std::task;

use super::{CLOSE_DEADLINE, Client};
use crate::config::Config;
use crate::failure::{Failure, FailureKind};
use crate::media::{Codec, Kind};
use crate::peer::PeerEvent;
use crate::record::plan::Note;
use crate::record::recorder::{self, Recorder};

/// Tries whether what is wanted can be recorded, before anybody calls.
///
/// # Errors
/// Says why not.
pub(super) fn rehearse(config: &Config) -> Result<(), Failure> {
    let Some(recording) = &config.receiving.record else {
        return Ok(());
    };
    let sent: Vec<_> = Kind::ALL
        .into_iter()
        .filter(|kind| config.media.sends(*kind))
        .flat_map(|kind| config.media.codecs(kind))
        .collect();
    match recording.conflict(&sent) {
        Some(sentence) => Err(Failure::new(FailureKind::Other, sentence)),
        None => recorder::rehearse(recording),
    }
}

/// Leaves codecs out that the file cannot hold, where nobody has named them.
pub(super) fn narrow(config: &mut Config) {
    let encoding = &mut config.media.encoding;
    if let Some(recording) = &config.receiving.record
        && !encoding.are_named
    {
        let fits = |codec: &_| recording.conflict(&[Codec::Video(*codec)]).is_none();
        if encoding.codecs.iter().any(fits) {
            encoding.codecs.retain(fits);
        }
    }
}

impl Client {
    /// Has the call with this number recorded, if that is wanted. What prevents it is told, and the call
    /// goes on.
    pub(super) fn begin_recording(&mut self, number: u64) {
        let Some(recording) = &self.config.receiving.record else {
            return;
        };
        let listener = self.ways.listener(number);
        let told = move |note| listener(PeerEvent::Recording(note));
        self.settings.recorder = Recorder::new(recording, &self.settings.timeline, told)
            .inspect_err(|error| tracing::error!("the call is not recorded: {error:#}"))
            .ok();
    }
}

/// Completes the files of a call that is over, and says what became of them.
pub(super) async fn finish(recorder: Option<Recorder>) -> Vec<Note> {
    let Some(recorder) = recorder else {
        return Vec::new();
    };
    let finished = task::spawn_blocking(move || recorder.finish());
    timeout(CLOSE_DEADLINE, finished).await.unwrap_or_else(|_| {
        tracing::error!("a recording could not be completed in time");
        Vec::new()
    })
}
