//! What is told of a running call.

use super::Client;
use crate::media::Kind;
use crate::peer::CandidatePair;
use crate::receive::FirstFrame;
use crate::report::Report;
use crate::stats::Counters;

impl Client {
    pub(super) fn report_connected(&mut self, pair: Option<CandidatePair>) {
        let Some(call) = &self.call else { return };
        let setup_ms = call.link.age_ms();
        let CandidatePair {
            local,
            remote,
            transport,
        } = pair.unwrap_or_default();
        self.report(Report::Connected {
            local,
            remote,
            transport,
            setup_ms,
        });
    }

    pub(super) fn report_first_sent(&mut self, kind: Kind) {
        let codec = self.config.media.preferred(kind);
        let track = self.capture.track(codec);
        let (width, height) = track.and_then(|track| track.size()).unwrap_or_default();
        let codec = codec.to_string();
        self.report(Report::FirstFrameSent {
            kind,
            codec,
            width,
            height,
        });
    }

    pub(super) fn report_first_received(&mut self, frame: &FirstFrame) {
        let (width, height) = frame.size.unwrap_or_default();
        let (kind, codec) = (frame.codec.kind(), frame.codec.to_string());
        self.report(Report::FirstFrameReceived {
            track: frame.track,
            kind,
            codec,
            width,
            height,
        });
    }

    pub(super) fn report_rates(&mut self, counters: Counters) {
        self.miss_media(&counters);
        let Some(call) = &mut self.call else { return };
        let rates = call.link.rates(counters);
        self.report(Report::Stats(rates));
    }
}
