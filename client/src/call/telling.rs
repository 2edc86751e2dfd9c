//! What is told of a running call.

use super::Client;
use crate::media::Kind;
use crate::peer::CandidatePair;
use crate::receive::FirstFrame;
use crate::report::{Connection, Report};
use crate::safety_words::SafetyWords;
use crate::stats::Counters;

impl Client {
    pub(super) fn report_connected(&mut self, pair: CandidatePair) {
        let Some(call) = &self.call else { return };
        let setup_ms = call.link.age_ms();
        let CandidatePair {
            local,
            remote,
            transport,
        } = pair;
        let safety_words = self
            .session
            .fingerprints()
            .map(|(ours, theirs)| SafetyWords::of(ours, theirs));
        self.report(Report::Connected(Connection {
            local,
            remote,
            transport,
            setup_ms,
            safety_words,
        }));
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
