//! How far webrtcbin has come with a connection.

use std::sync::atomic::{AtomicU32, Ordering};

use gst::prelude::*;
use gst_webrtc::{
    WebRTCDTLSTransport, WebRTCDTLSTransportState as DtlsState,
    WebRTCICEConnectionState as IceState, WebRTCICEGatheringState as GatheringState,
    WebRTCRTPTransceiver, WebRTCSessionDescription,
};

use crate::diagnosis::{Candidates, Progress, Step, candidate_type};

/// The candidates that went by, of both ends.
#[derive(Debug, Default)]
pub(super) struct Seen {
    ours: Tally,
    theirs: Tally,
}

/// Candidates that are counted on GStreamer's threads.
#[derive(Debug, Default)]
struct Tally {
    host: AtomicU32,
    reflexive: AtomicU32,
    relay: AtomicU32,
}

impl Tally {
    fn add(&self, line: &str) {
        let mut one = Candidates::default();
        one.add(candidate_type(line).unwrap_or_default());
        for (sum, one) in [
            (&self.host, one.host),
            (&self.reflexive, one.reflexive),
            (&self.relay, one.relay),
        ] {
            sum.fetch_add(one, Ordering::Relaxed);
        }
    }

    fn read(&self) -> Candidates {
        Candidates {
            host: self.host.load(Ordering::Relaxed),
            reflexive: self.reflexive.load(Ordering::Relaxed),
            relay: self.relay.load(Ordering::Relaxed),
        }
    }
}

impl Seen {
    /// One of ours.
    pub(super) fn ours(&self, line: &str) {
        self.ours.add(line);
    }

    /// One of the other end's.
    pub(super) fn theirs(&self, line: &str) {
        self.theirs.add(line);
    }

    /// How far the connection is; what webrtcbin does not know is left for the caller.
    pub(super) fn progress(&self, webrtc: &gst::Element) -> Progress {
        let remote = description(webrtc, "remote-description");
        Progress {
            is_agreed: remote.is_some() && description(webrtc, "local-description").is_some(),
            is_gathered: webrtc.property::<GatheringState>("ice-gathering-state")
                == GatheringState::Complete,
            ours: self.ours.read(),
            theirs: self.theirs.read(),
            ice: ice(webrtc),
            dtls: dtls(webrtc),
            is_sent_to: remote.as_ref().is_some_and(announces_media),
            ..Progress::default()
        }
    }
}

fn description(webrtc: &gst::Element, name: &str) -> Option<WebRTCSessionDescription> {
    webrtc.property::<Option<WebRTCSessionDescription>>(name)
}

/// Whether the description has a line of media that is sent, and not refused by port 0.
fn announces_media(description: &WebRTCSessionDescription) -> bool {
    description.sdp().medias().any(|media| {
        let is_media = matches!(media.media(), Some("audio" | "video"));
        let is_silent = ["recvonly", "inactive"]
            .iter()
            .any(|direction| media.attribute_val(direction).is_some());
        is_media && media.port() != 0 && !is_silent
    })
}

fn ice(webrtc: &gst::Element) -> Step {
    let state = webrtc.property::<IceState>("ice-connection-state");
    match matches!(state, IceState::Connected | IceState::Completed) {
        true => Step::Done,
        false if state == IceState::Failed => Step::Failed,
        false => Step::Pending,
    }
}

fn dtls(webrtc: &gst::Element) -> Step {
    let first = webrtc.emit_by_name::<Option<WebRTCRTPTransceiver>>("get-transceiver", &[&0_i32]);
    let of_media = first.and_then(|transceiver| transceiver.receiver()?.transport());
    let of_data = || {
        let sctp = webrtc.property::<Option<gst::glib::Object>>("sctp-transport")?;
        sctp.property::<Option<WebRTCDTLSTransport>>("transport")
    };
    match of_media.or_else(of_data).map(|transport| transport.state()) {
        Some(DtlsState::Connected) => Step::Done,
        Some(DtlsState::Failed) => Step::Failed,
        _ => Step::Pending,
    }
}
