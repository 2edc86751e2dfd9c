//! What webrtcbin tells, as events.
//!
//! Callbacks come on threads of GStreamer; each tells one event and returns.

use std::sync::Arc;

use anyhow::Context as _;
use gst::prelude::*;
use gst_webrtc::{
    WebRTCPeerConnectionState as ConnectionState, WebRTCRTPTransceiverDirection as Flow,
    WebRTCSessionDescription,
};
use protocol::Candidate;

use super::{Listener, PeerConnection, PeerEvent, data, verification};
use crate::failure::{Failure, FailureKind};
use crate::receive::{self, Outputs};

impl PeerConnection {
    pub(super) fn watch_bus(&self) -> Result<(), anyhow::Error> {
        let listener = Arc::clone(&self.listener);
        let fate = Arc::clone(self.gate.fate());
        let webrtc = self.webrtc.downgrade();
        let bus = self.pipeline.bus().context("a pipeline has a bus")?;
        // Messages must not pile up: each one would keep its element alive.
        bus.set_sync_handler(move |_, message| {
            if let gst::MessageView::Error(error) = message.view() {
                match webrtc.upgrade().filter(|_| is_of_sctp(error)) {
                    Some(webrtc) => end_data(webrtc, &fate, &listener),
                    None => listener(bus_error(error)),
                }
            } else if let gst::MessageView::Latency(_) = message.view() {
                listener(PeerEvent::LatencyChanged);
            }
            gst::BusSyncReply::Drop
        });
        Ok(())
    }

    pub(super) fn watch_webrtcbin(&self) {
        let listener = Arc::clone(&self.listener);
        let seen = Arc::clone(&self.seen);
        self.webrtc
            .connect("on-ice-candidate", false, move |values| {
                let line = values.get(1)?.get::<u32>().ok()?;
                let candidate = values.get(2)?.get::<String>().ok()?;
                seen.ours(&candidate);
                listener(PeerEvent::Candidate(Candidate {
                    candidate,
                    sdp_m_line_index: line,
                    sdp_mid: values
                        .first()?
                        .get()
                        .ok()
                        .and_then(|webrtc| mid(&webrtc, line)),
                }));
                None
            });

        let listener = Arc::clone(&self.listener);
        self.webrtc
            .connect_notify(Some("ice-gathering-state"), move |webrtc, _| {
                let state =
                    webrtc.property::<gst_webrtc::WebRTCICEGatheringState>("ice-gathering-state");
                if state == gst_webrtc::WebRTCICEGatheringState::Complete {
                    let end = Candidate {
                        candidate: String::new(),
                        sdp_m_line_index: 0,
                        sdp_mid: None,
                    };
                    listener(PeerEvent::Candidate(end));
                }
            });

        let listener = Arc::clone(&self.listener);
        let gate = Arc::clone(&self.gate);
        self.webrtc.connect_notify(Some("connection-state"), move |webrtc, _| {
            let state = webrtc.property::<ConnectionState>("connection-state");
            if state == ConnectionState::Connected {
                listener(gate.verify(webrtc));
            } else if state == ConnectionState::Failed {
                listener(PeerEvent::Failed(Failure::new(
                    FailureKind::ConnectionFailed,
                    "No network path to the other side was found, or it was lost; where there is \
                     a NAT or a firewall in between, give both ends a --turn server.",
                )));
            }
        });
    }

    pub(super) fn watch_tracks(&self, outputs: Outputs) {
        let pipeline = self.pipeline.downgrade();
        let gate = Arc::clone(&self.gate);
        let counters = Arc::clone(&self.received);
        let recorder = self.recorder.clone();
        let listener = Arc::clone(&self.listener);
        self.webrtc.connect_pad_added(move |_, pad| {
            let Some(pipeline) = pipeline.upgrade() else {
                return;
            };
            if pad.direction() != gst::PadDirection::Src {
                return;
            }
            gate.hold(pad);
            let told = Arc::clone(&listener);
            let first_frame = move |frame| told(PeerEvent::FirstReceived(frame));
            let recorder = recorder.as_ref();
            let attached =
                receive::attach(&pipeline, pad, &outputs, &counters, recorder, first_frame);
            if let Err(error) = attached {
                tracing::warn!("a track that came in is not used: {error:#}");
                if let Err(error) = receive::discard(&pipeline, pad) {
                    tracing::error!("it cannot even be thrown away: {error:#}");
                }
            }
        });
    }
}

/// The `mid` of a line of our own description.
fn mid(webrtc: &gst::Element, line: u32) -> Option<String> {
    let description = webrtc.property::<Option<WebRTCSessionDescription>>("local-description")?;
    Some(
        description
            .sdp()
            .media(line)?
            .attribute_val("mid")?
            .to_owned(),
    )
}

/// Whether data channels can go on no longer, and nothing else is wrong.
fn is_of_sctp(error: &gst::message::Error) -> bool {
    let source = error.src().map(|source| source.name());
    source.is_some_and(|name| name.starts_with("sctp"))
}

/// The peer has ended the association under all data channels, or it has broken. Where there is
/// nothing else, that is a hanging up; a browser ends it a moment before DTLS.
fn end_data(webrtc: gst::Element, fate: &data::Fate, listener: &Listener) {
    fate.ended.set();
    let listener = Arc::clone(listener);
    async_std::task::spawn_blocking(move || {
        if !carries_media(&webrtc) {
            listener(PeerEvent::Closed);
        }
    });
}

pub(super) fn carries_media(webrtc: &gst::Element) -> bool {
    verification::transceivers(webrtc).any(|transceiver| {
        matches!(
            transceiver.current_direction(),
            Flow::Sendrecv | Flow::Sendonly | Flow::Recvonly
        )
    })
}

fn bus_error(error: &gst::message::Error) -> PeerEvent {
    let window_is_closed = error.error().matches(gst::ResourceError::NotFound)
        && error
            .src()
            .is_some_and(|source| source.is::<gst_video::VideoOverlay>());
    if window_is_closed {
        return PeerEvent::WindowClosed;
    }
    let source = error
        .src()
        .map(|source| source.name().to_string())
        .unwrap_or_default();
    if source.starts_with("pulsesink") {
        return PeerEvent::Failed(Failure::new(
            FailureKind::SoundServer,
            "The sound server that played the other side is gone; start it again, or play nothing \
             with --show none.",
        ));
    }
    let text = format!("The connection failed in {source}: {}", error.error());
    tracing::debug!(debug = ?error.debug(), "{text}");
    PeerEvent::Failed(Failure::new(FailureKind::Other, text))
}
