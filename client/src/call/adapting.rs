//! How much of a picture is sent: never more than the network to the peer carries.

use super::Client;
use crate::probing::Probing;
use crate::session::Place;
use crate::stats::Rates;

impl Client {
    /// The feedback of the peer lets us estimate what the network carries.
    pub(super) fn estimated(&mut self, place: Place, kbps: u32) {
        // Over the second connection nothing flows yet.
        if place == Place::First {
            self.rate.carries(kbps);
            self.probing.carries(kbps, self.began.elapsed());
            self.settle_rate();
        }
    }

    /// A second of a call is over.
    pub(super) fn weigh(&mut self, rates: &mut Rates) {
        if rates.sent.video.is_some() {
            self.rate.lost(rates.sent.loss_percent, u32::MAX);
            self.settle_rate();
            rates.available_kbps = self.rate.carried();
            self.probe();
        }
    }

    /// Tries whether the network carries more, when it is time to.
    fn probe(&mut self) {
        if self.rate.is_held_back()
            && let Some(kbps) = self.probing.next(0, self.began.elapsed())
            && let Some(call) = &self.call
        {
            call.link.peer.presume(kbps);
        }
    }

    /// Media flows over another connection from now on: nothing is known of its network.
    pub(super) fn begin_rate(&mut self) {
        self.rate.begin();
        self.settle_rate();
        let most = self.rate.demand();
        self.probing = Probing::new(most, self.began.elapsed());
    }

    /// What the peer wants at most; `None` for no bound.
    pub(super) fn cap(&mut self, kbps: Option<u32>) {
        self.rate.cap(kbps);
        self.settle_rate();
    }

    /// Of a peer's wishes, and of the network to it, nothing is left when its call is over.
    pub(super) fn forget_rate(&mut self) {
        self.rate.begin();
        self.cap(None);
    }

    /// Has pictures encoded at the rate that holds.
    pub(super) fn settle_rate(&self) {
        let kbps = self.rate.kbps();
        if self.capture.bitrate_kbps() != kbps {
            tracing::debug!(
                kbps,
                held_back = self.rate.is_held_back(),
                "the bit rate of the picture"
            );
            self.capture.set_bitrate_kbps(kbps);
        }
    }
}
