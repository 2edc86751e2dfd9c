//! What a load found out, as the one line that it prints.

use std::time::Duration;

use serde::Serialize;

use crate::histogram::Histogram;
use crate::pattern::Framing;

/// The line of a load, which begins with what was asked for.
#[derive(Debug, Serialize)]
#[serde(tag = "load", rename_all = "kebab-case")]
pub(crate) enum Report {
    Idle(Idle),
    Pairs(Flow),
    Rooms(Flow),
    Active(Flow),
    Calls(Calls),
    StoppedReader(Stopped),
}

/// What is spoken with the server.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Spoken {
    /// The protocol of the relay, on WebSockets.
    Protocol,
    /// Bytes without any framing.
    Raw,
}

impl From<Framing> for Spoken {
    fn from(framing: Framing) -> Self {
        match framing {
            Framing::Frames => Self::Protocol,
            Framing::Raw => Self::Raw,
        }
    }
}

/// Messages going to and fro.
#[derive(Debug, Serialize)]
pub(crate) struct Flow {
    pub(crate) spoken: Spoken,
    pub(crate) peers: usize,
    /// Peers that exchange messages with one another: 2 in a session.
    pub(crate) group: usize,
    pub(crate) bytes: usize,
    /// Messages on their way in each session, or from each member of a room to each other.
    pub(crate) in_flight: Option<u32>,
    /// Messages in a second that were asked for, in all.
    pub(crate) rate: Option<u32>,
    pub(crate) seconds: f64,
    pub(crate) messages: u64,
    pub(crate) messages_per_second: f64,
    pub(crate) latency_us: Latency,
    /// Processor time of the server for a million messages, in seconds.
    pub(crate) server_cpu_s_per_million: Option<f64>,
    /// The share of one core that the server took.
    pub(crate) server_cpu: Option<f64>,
    /// The share of one core that this program took: near 1 it may be what is measured. With a rate it
    /// always is 1.
    pub(crate) generator_cpu: f64,
}

/// From just before a message is written until it was read: one way through the server, in
/// microseconds. With a rate it begins when the message was due.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) p999: Option<f64>,
    pub(crate) max: f64,
}

impl From<&Histogram> for Latency {
    fn from(histogram: &Histogram) -> Self {
        let at = |percent| histogram.percentile(percent).map(micros);
        Self {
            p50: at(50.0),
            p99: at(99.0),
            p999: at(99.9),
            max: micros(histogram.longest()),
        }
    }
}

/// Peers that are there and say nothing.
#[derive(Debug, Serialize)]
pub(crate) struct Idle {
    pub(crate) spoken: Spoken,
    pub(crate) peers: usize,
    pub(crate) exchanges: u32,
    pub(crate) bytes: usize,
    /// Memory of the server's own that each peer took, in bytes.
    pub(crate) anonymous_bytes_per_peer: Option<f64>,
    /// The same of all that is resident.
    pub(crate) resident_bytes_per_peer: Option<f64>,
    /// From the first connection until the last peer was there.
    pub(crate) seconds: f64,
    pub(crate) peers_per_second: f64,
}

/// Whole calls.
#[derive(Debug, Serialize)]
pub(crate) struct Calls {
    pub(crate) spoken: Spoken,
    pub(crate) concurrency: usize,
    pub(crate) messages_per_call: u32,
    pub(crate) bytes: usize,
    /// Questions and answers of each peer before the first message, where nothing else is spoken.
    pub(crate) turns: Option<u32>,
    pub(crate) seconds: f64,
    pub(crate) calls: u64,
    pub(crate) calls_per_second: f64,
    /// From the first connect until both sides knew the end.
    pub(crate) call_us: Latency,
    /// Processor time of the server for a thousand calls, in seconds.
    pub(crate) server_cpu_s_per_thousand: Option<f64>,
    pub(crate) server_cpu: Option<f64>,
    pub(crate) generator_cpu: f64,
}

/// One peer that reads no more, and those beside it.
#[derive(Debug, Serialize)]
pub(crate) struct Stopped {
    pub(crate) spoken: Spoken,
    pub(crate) peers: usize,
    pub(crate) group: usize,
    pub(crate) bytes: usize,
    pub(crate) rate: u32,
    /// Messages in a second to the one who reads no more.
    pub(crate) stopped_rate: u32,
    /// Latency of all others while everybody reads, ...
    pub(crate) before_us: Latency,
    /// ... and from when one stopped until it was cut, or the end.
    pub(crate) beside_us: Latency,
    pub(crate) messages_before: u64,
    pub(crate) messages_beside: u64,
    /// By how much the resident memory of the server grew at most.
    pub(crate) growth_bytes: Option<u64>,
    /// From when it stopped until it was cut; `null` when it was not.
    pub(crate) cut_after_ms: Option<f64>,
    /// Messages sent to it until then.
    pub(crate) sent_to_stopped: u64,
}

/// A duration in microseconds, to the tenth.
pub(crate) fn micros(duration: Duration) -> f64 {
    rounded(duration.as_secs_f64() * 1e6, 1)
}

/// A number with so many digits behind the point.
pub(crate) fn rounded(number: f64, digits: i32) -> f64 {
    let power = 10_f64.powi(digits);
    (number * power).round() / power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_which_load_it_was() {
        let report = Report::Idle(Idle {
            spoken: Spoken::Protocol,
            peers: 2,
            exchanges: 0,
            bytes: 0,
            anonymous_bytes_per_peer: None,
            resident_bytes_per_peer: None,
            seconds: 1.0,
            peers_per_second: 2.0,
        });
        let line = serde_json::to_string(&report).expect("JSON");
        assert!(
            line.starts_with(r#"{"load":"idle","spoken":"protocol","peers":2,"#),
            "{line}"
        );
    }

    #[test]
    fn numbers_are_rounded() {
        assert_eq!(rounded(1.26, 1), 1.3);
        assert_eq!(micros(Duration::from_nanos(1_260)), 1.3);
    }
}
