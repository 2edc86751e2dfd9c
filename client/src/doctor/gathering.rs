//! Has webrtcbin gather candidates as a call would, and looks at what it finds.

use std::sync::Arc;
use std::time::Duration;

use async_channel::bounded;
use async_std::future::timeout;

use crate::diagnosis::candidate_type;
use crate::negotiation::Step;
use crate::peer::{PeerConnection, PeerEvent, PeerSettings};

/// How long gathering may take: a TURN server that is asked thrice is given up for after less.
const GATHERING_DEADLINE: Duration = Duration::from_secs(5);

/// How many candidates are looked at.
const MAX_CANDIDATES: usize = 64;

/// The types of the candidates that a call with these settings would offer.
///
/// # Errors
/// When there is no webrtcbin to be had.
pub async fn gather(settings: &PeerSettings) -> Result<Vec<String>, String> {
    let (found, gathered) = bounded(MAX_CANDIDATES);
    let listener = Arc::new(move |event| {
        if let PeerEvent::Candidate(candidate) = event {
            // Too many to count are enough.
            let _ = found.try_send(candidate.candidate);
        }
    });
    let mut peer = PeerConnection::new(settings, listener).map_err(|error| format!("{error:#}"))?;
    peer.negotiate(Step::CreateOffer);
    let mut types = Vec::new();
    let gathering = async {
        // An empty one says that this was all.
        while let Ok(line) = gathered.recv().await
            && !line.is_empty()
        {
            types.extend(candidate_type(&line).map(str::to_owned));
        }
    };
    let _ = timeout(GATHERING_DEADLINE, gathering).await;
    peer.close().await;
    Ok(types)
}
