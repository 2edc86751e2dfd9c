//! What is told of a running call.

use super::Client;
use crate::media::Codec;
use crate::peer::CandidatePair;
use crate::receive::FirstFrame;
use crate::report::{Connection, Direction, Report};
use crate::safety_words::SafetyWords;
use crate::stats::{Counters, Picture};

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

    pub(super) fn report_first_sent(&mut self, codec: Codec) {
        let track = self.capture.track(codec);
        let (width, height) = track.and_then(|track| track.size()).unwrap_or_default();
        let (kind, codec) = (codec.kind(), codec.to_string());
        self.remember_picture(Direction::Sent, &codec, (width, height));
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
        self.remember_picture(Direction::Received, &codec, (width, height));
        self.report(Report::FirstFrameReceived {
            track: frame.track,
            kind,
            codec,
            width,
            height,
        });
    }

    /// Sound has no size.
    fn remember_picture(&mut self, direction: Direction, codec: &str, (width, height): (u32, u32)) {
        let Some(call) = self.call.as_mut().filter(|_| width > 0) else {
            return;
        };
        let [sent, received] = &mut call.pictures;
        let picture = match direction {
            Direction::Sent => sent,
            Direction::Received => received,
        };
        // Of several that come in, the first is the one that is counted.
        picture.get_or_insert_with(|| Picture {
            codec: codec.to_owned(),
            width,
            height,
            passed: false,
        });
    }

    pub(super) fn report_rates(&mut self, counters: Counters) {
        self.miss_media(&counters);
        let Some(call) = &mut self.call else { return };
        let mut rates = call.link.rates(counters);
        let [sent, received] = &call.pictures;
        (rates.sent.video, rates.received.video) = (sent.clone(), received.clone());
        if let Some(sent) = &mut rates.sent.video {
            sent.passed = self.capture.is_passed();
        }
        self.weigh(&mut rates);
        self.share_statistics(&rates);
        self.report(Report::Stats(Box::new(rates)));
    }
}
