//! From counters to figures a person can read.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// Counters of a call, all of them from its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    /// What we send.
    pub sent: Flow,
    /// What we receive.
    pub received: Flow,
    /// The round trip as the peer's receiver reports tell it (RFC 3550, section 6.4.1).
    pub rtt: Option<Duration>,
}

/// Counters of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flow {
    /// Pictures: encoded ones when sending, decoded ones when receiving.
    pub frames: u64,
    /// Buffers of sound, likewise.
    pub audio_buffers: u64,
    /// Bytes of RTP with pictures.
    pub video_bytes: u64,
    /// Bytes of RTP with sound.
    pub audio_bytes: u64,
    /// RTP packets that were sent, or arrived.
    pub packets: u64,
    /// RTP packets that did not arrive.
    pub lost: u64,
    /// Times that packets were asked for again: by the peer when sending, by us when receiving.
    pub nacks: u64,
    /// Times that a key frame was asked for because a picture was lost, likewise.
    pub plis: u64,
    /// How unevenly packets arrive at whoever receives (RFC 3550, section 6.4.1).
    pub jitter: Option<Duration>,
}

/// What happened between two readings of the counters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rates {
    /// What we send.
    pub sent: FlowRates,
    /// What we receive.
    pub received: FlowRates,
    /// Round-trip time in milliseconds; `null` until the peer has reported.
    pub rtt_ms: Option<f64>,
    /// What the network to the peer carries of all that is sent, in kilobits a second, as its feedback
    /// lets us estimate ([W3C, `availableOutgoingBitrate`](https://www.w3.org/TR/webrtc-stats/#dom-rtcicecandidatepairstats-availableoutgoingbitrate));
    /// `null` where it gives none.
    pub available_kbps: Option<u32>,
    /// How long the call has lasted.
    pub seconds: f64,
}

/// What happened in one direction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FlowRates {
    /// Frames a second.
    pub fps: f64,
    /// Kilobits of RTP a second, pictures.
    pub video_kbps: f64,
    /// Kilobits of RTP a second, sound.
    pub audio_kbps: f64,
    /// Lost packets, of a hundred.
    pub loss_percent: f64,
    /// Frames since the call began.
    pub frames: u64,
    /// Buffers of sound since the call began.
    pub audio_buffers: u64,
    /// Bytes of RTP with pictures since the call began.
    pub video_bytes: u64,
    /// Bytes of RTP with sound since the call began.
    pub audio_bytes: u64,
    /// RTP packets since the call began.
    pub packets: u64,
    /// Lost packets since the call began.
    pub lost: u64,
    /// Requests to send packets again since the call began.
    pub nacks: u64,
    /// Requests for a key frame since the call began.
    pub plis: u64,
    /// How unevenly packets arrive, in milliseconds; `null` until that is known.
    pub jitter_ms: Option<f64>,
    /// The picture, as it began; `null` until there is one.
    pub video: Option<Picture>,
}

/// A picture that is sent or received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Picture {
    /// The codec's name.
    pub codec: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Whether it is sent as its source has it, without an encoder in between; left out when not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub passed: bool,
}

impl Rates {
    /// Compares two readings that are `elapsed` apart, the later one `since_start` into the call.
    pub fn between(
        before: &Counters,
        after: &Counters,
        elapsed: Duration,
        since_start: Duration,
    ) -> Self {
        // A timer may fire twice in the same instant; nothing is divided by next to nothing.
        let seconds = elapsed.as_secs_f64().max(0.001);
        Self {
            sent: FlowRates::between(&before.sent, &after.sent, seconds),
            received: FlowRates::between(&before.received, &after.received, seconds),
            rtt_ms: after.rtt.map(|rtt| tenths(rtt.as_secs_f64() * 1000.0)),
            available_kbps: None,
            seconds: tenths(since_start.as_secs_f64()),
        }
    }
}

impl FlowRates {
    fn between(before: &Flow, after: &Flow, seconds: f64) -> Self {
        let rate = |before: u64, after: u64| after.saturating_sub(before) as f64 / seconds;
        let kbps = |before, after| tenths(rate(before, after) * 8.0 / 1000.0);
        let packets = after.packets.saturating_sub(before.packets);
        let lost = after.lost.saturating_sub(before.lost);
        Self {
            fps: tenths(rate(before.frames, after.frames)),
            video_kbps: kbps(before.video_bytes, after.video_bytes),
            audio_kbps: kbps(before.audio_bytes, after.audio_bytes),
            loss_percent: match packets + lost {
                0 => 0.0,
                all => tenths(lost as f64 * 100.0 / all as f64),
            },
            frames: after.frames,
            audio_buffers: after.audio_buffers,
            video_bytes: after.video_bytes,
            audio_bytes: after.audio_bytes,
            packets: after.packets,
            lost: after.lost,
            nacks: after.nacks,
            plis: after.plis,
            jitter_ms: after
                .jitter
                .map(|jitter| tenths(jitter.as_secs_f64() * 1000.0)),
            video: None,
        }
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sent {} | received {} | rtt ", self.sent, self.received)?;
        match self.rtt_ms {
            Some(rtt) => write!(f, "{rtt:.1} ms"),
            None => f.write_str("-"),
        }
    }
}

impl fmt::Display for FlowRates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} fps, video {:.0}, audio {:.0} kbit/s, loss {:.1} %",
            self.fps, self.video_kbps, self.audio_kbps, self.loss_percent
        )?;
        match self.jitter_ms {
            Some(jitter) => write!(f, ", jitter {jitter:.1} ms"),
            None => Ok(()),
        }
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_become_rates() {
        let before = Counters::default();
        let sent = Flow {
            frames: 60,
            video_bytes: 500_000,
            packets: 95,
            lost: 5,
            ..Flow::default()
        };
        let after = Counters {
            sent,
            rtt: Some(Duration::from_micros(1_230)),
            ..before
        };
        let rates = Rates::between(
            &before,
            &after,
            Duration::from_secs(2),
            Duration::from_secs(9),
        );
        assert_eq!(rates.sent.fps, 30.0);
        assert_eq!(rates.sent.video_kbps, 2000.0);
        assert_eq!(rates.sent.loss_percent, 5.0);
        assert_eq!(rates.rtt_ms, Some(1.2));
        assert_eq!(
            rates.to_string(),
            "sent 30.0 fps, video 2000, audio 0 kbit/s, loss 5.0 % \
             | received 0.0 fps, video 0, audio 0 kbit/s, loss 0.0 % | rtt 1.2 ms"
        );
    }

    #[test]
    fn counters_that_run_backwards_or_stand_still_give_nothing_odd() {
        let flow = Flow {
            frames: 9,
            video_bytes: 9,
            packets: 9,
            lost: 9,
            ..Flow::default()
        };
        let before = Counters {
            sent: flow,
            ..Counters::default()
        };
        let rates = Rates::between(
            &before,
            &Counters::default(),
            Duration::ZERO,
            Duration::ZERO,
        );
        assert_eq!((rates.sent.fps, rates.sent.loss_percent), (0.0, 0.0));
    }
}
