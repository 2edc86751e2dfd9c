//! What the network to a peer carries, as estimated from the peer's transport-wide feedback.
//!
//! The estimator stands in webrtcbin where packets leave
//! ([`request-aux-sender`](https://gstreamer.freedesktop.org/documentation/webrtc/index.html#webrtcbin::request-aux-sender))
//! and spreads them over time as well. It is Google's congestion control
//! ([draft-ietf-rmcat-gcc-02](https://datatracker.ietf.org/doc/html/draft-ietf-rmcat-gcc-02)): it says
//! nothing of a peer that gives no such feedback.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use gst::prelude::*;

use super::{Listener, PeerEvent};

/// The estimator, of the plugin `rsrtp` that is part of this crate.
const ESTIMATOR: &str = "rtpgccbwe";

/// On a machine that has too much to do the estimator may go astray, for packets are late then that no
/// network has delayed: it goes no lower than this, in bits a second, or than a quarter of what is to be
/// sent.
const LOWEST_BITS: u32 = 150_000;

/// So many times what is to be sent is estimated at the most: pictures do not come evenly, and what is
/// estimated is also how fast packets leave.
const ABOVE: u32 = 2;

/// A change of less, in percent, is not worth telling.
const WORTH_TELLING: u32 = 2;

/// Has what the network carries of what leaves `webrtc` estimated, and every change told as
/// [`PeerEvent::Estimated`]. It begins with the most that is to be sent, in kilobits a second: most
/// networks carry that.
pub(super) fn estimate(webrtc: &gst::Element, most_kbps: u32, listener: Listener) -> Estimator {
    let made = Arc::<OnceLock<gst::glib::WeakRef<gst::Element>>>::default();
    let estimator = Estimator(Arc::clone(&made));
    webrtc.connect("request-aux-sender", false, move |_| {
        let element = gst::ElementFactory::make(ESTIMATOR)
            .property("min-bitrate", (bits(most_kbps) / 4).min(LOWEST_BITS))
            .property("max-bitrate", bits(most_kbps).saturating_mul(ABOVE))
            .property("estimated-bitrate", bits(most_kbps))
            .build()
            .inspect_err(|error| {
                tracing::warn!("what the network carries is not estimated: {error}");
            })
            .ok()?;
        let told = AtomicU32::new(most_kbps);
        let listener = Arc::clone(&listener);
        element.connect_notify(Some("estimated-bitrate"), move |element, _| {
            let kbps = element.property::<u32>("estimated-bitrate") / 1000;
            let last = told.load(Ordering::Relaxed);
            if kbps.abs_diff(last) * 100 >= last * WORTH_TELLING {
                told.store(kbps, Ordering::Relaxed);
                listener(PeerEvent::Estimated(kbps));
            }
        });
        // One for everything that is bundled.
        let _ = made.set(element.downgrade());
        Some(element.to_value())
    });
    estimator
}

/// What estimates for one connection, once there is one.
#[derive(Debug)]
pub(super) struct Estimator(Arc<OnceLock<gst::glib::WeakRef<gst::Element>>>);

impl Estimator {
    /// Takes an estimate for granted until feedback tells otherwise.
    pub(super) fn presume(&self, kbps: u32) {
        if let Some(element) = self.0.get().and_then(gst::glib::WeakRef::upgrade) {
            element.set_property("estimated-bitrate", bits(kbps));
        }
    }
}

fn bits(kbps: u32) -> u32 {
    // The estimator takes no 0, which a program that embeds this may have asked for.
    kbps.max(1).saturating_mul(1000)
}
