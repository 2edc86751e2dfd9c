//! Nothing is taken from a peer before it has proved to be the one the description announced.
//!
//! Some versions of webrtcbin do not compare the peer's certificate with the fingerprint in its
//! description ([RFC 8827, section 6.5](https://www.rfc-editor.org/rfc/rfc8827#section-6.5)), so that
//! anybody on the path could step in. We do: until then media that comes in is held back, and none goes
//! out, and neither does a message of a data channel.

use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;
use gst_webrtc::{WebRTCDTLSTransport, WebRTCRTPTransceiver};

use super::PeerEvent;
use super::data::Fate;
use crate::failure::{Failure, FailureKind};
use crate::sdp;

/// Holds back what comes in until the peer is verified.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    fate: Arc<Fate>,
}

#[derive(Debug, Default)]
struct State {
    announced: Vec<String>,
    is_open: bool,
    held: Vec<(gst::Pad, gst::PadProbeId)>,
}

impl Gate {
    /// Remembers what the remote description announced.
    pub(super) fn expect(&self, fingerprints: Vec<String>) {
        self.lock().announced = fingerprints;
    }

    /// Blocks a pad that has just appeared, unless the peer is verified already.
    pub(super) fn hold(&self, pad: &gst::Pad) {
        let mut state = self.lock();
        if state.is_open {
            return;
        }
        let probe = pad.add_probe(gst::PadProbeType::BLOCK_DOWNSTREAM, |_, info| {
            // Caps and the like may pass; media may not.
            match info.data {
                Some(gst::PadProbeData::Event(_)) => gst::PadProbeReturn::Pass,
                _ => gst::PadProbeReturn::Ok,
            }
        });
        if let Some(probe) = probe {
            state.held.push((pad.clone(), probe));
        }
    }

    /// Whether the peer is verified.
    pub(super) fn is_open(&self) -> bool {
        self.lock().is_open
    }

    /// What data channels wait for.
    pub(super) fn fate(&self) -> &Arc<Fate> {
        &self.fate
    }

    /// Compares certificates with fingerprints, and opens when they fit. Called once DTLS is done.
    pub(super) fn verify(&self, webrtc: &gst::Element) -> PeerEvent {
        let mut state = self.lock();
        let certificates = remote_certificates(webrtc);
        let fits = |der: &Vec<u8>| sdp::is_announced(der, &state.announced);
        if certificates.is_empty() || !certificates.iter().all(fits) {
            return PeerEvent::Failed(Failure::new(
                FailureKind::FingerprintMismatch,
                "The other side's certificate is not the one its description announced: somebody \
                 may be listening in between. The call was refused and nothing was sent.",
            ));
        }
        state.is_open = true;
        for (pad, probe) in state.held.drain(..) {
            pad.remove_probe(probe);
        }
        self.fate.verified.set();
        PeerEvent::Connected
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing in here panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The certificate (DER) of every transport that is up: one when all is bundled.
fn remote_certificates(webrtc: &gst::Element) -> Vec<Vec<u8>> {
    let mut certificates = Vec::new();
    for transceiver in transceivers(webrtc) {
        let transports = [
            transceiver.sender().and_then(|sender| sender.transport()),
            transceiver
                .receiver()
                .and_then(|receiver| receiver.property("transport")),
        ];
        certificates.extend(
            transports
                .into_iter()
                .flatten()
                .filter_map(|t| certificate(&t)),
        );
    }
    let sctp = webrtc.property::<Option<gst::glib::Object>>("sctp-transport");
    let data = sctp.and_then(|sctp| sctp.property::<Option<WebRTCDTLSTransport>>("transport"));
    certificates.extend(data.and_then(|transport| certificate(&transport)));
    certificates.dedup();
    certificates
}

fn certificate(transport: &WebRTCDTLSTransport) -> Option<Vec<u8>> {
    transport.remote_certificate().map(|pem| sdp::der(&pem))
}

/// Everything that webrtcbin has a line for.
pub(super) fn transceivers(webrtc: &gst::Element) -> impl Iterator<Item = WebRTCRTPTransceiver> {
    (0_i32..).map_while(|index| webrtc.emit_by_name("get-transceiver", &[&index]))
}
