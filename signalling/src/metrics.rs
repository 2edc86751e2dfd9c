//! Counts what happens, and writes it down for Prometheus.
//!
//! Everything is a plain number of one thread. No label has a value that comes from outside, so a
//! relay has the same few dozen series however many peers it has.

mod exposition;

use std::cell::Cell;
use std::time::Duration;

use crate::admission::Refused;
use crate::frame::CloseReason;
use crate::relay::{Census, Tally};
use exposition::Exposition;

/// Bounds for what a peer waits for: from a machine next door to one that gives up.
const WAITS: &[Duration] = &[
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// Bounds for a turn of the event loop, during which everybody else waits.
const TURNS: &[Duration] = &[
    Duration::from_micros(10),
    Duration::from_micros(25),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(100),
    Duration::from_secs(1),
];

/// What is counted nowhere else.
pub(crate) struct Metrics {
    /// In the order of [`Refused::ALL`].
    refusals: [Cell<u64>; Refused::ALL.len()],
    handshakes: Histogram,
    turns: Histogram,
    deliveries: Histogram,
}

/// What went through since the relay began. Control frames are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) received_messages: u64,
    pub(crate) received_bytes: u64,
    pub(crate) sent_messages: u64,
    pub(crate) sent_bytes: u64,
    /// How often we closed, by reason, in the order of [`CloseReason::ALL`].
    pub(crate) closes: [u64; CloseReason::ALL.len()],
}

/// What is counted elsewhere, as it is at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readings {
    pub(crate) connections: usize,
    pub(crate) handshakes: usize,
    pub(crate) census: Census,
    pub(crate) tally: Tally,
    pub(crate) traffic: Traffic,
    /// `None` where the system does not say.
    pub(crate) process: Option<Process>,
}

/// What the system says of this process.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Process {
    pub(crate) cpu_seconds: f64,
    pub(crate) open_descriptors: u64,
    /// `None` when there is no limit.
    pub(crate) max_descriptors: Option<u64>,
    pub(crate) resident_bytes: u64,
    pub(crate) virtual_bytes: u64,
    /// In seconds since 1970.
    pub(crate) started_unix: f64,
    pub(crate) threads: u64,
}

impl Metrics {
    /// Begins to count.
    pub(crate) fn new() -> Self {
        Self {
            refusals: Default::default(),
            handshakes: Histogram::new(WAITS),
            turns: Histogram::new(TURNS),
            deliveries: Histogram::new(WAITS),
        }
    }

    /// Somebody was not let in.
    pub(crate) fn refused(&self, why: Refused) {
        let counters = Refused::ALL.iter().zip(&self.refusals);
        for (_, counter) in counters.filter(|(refused, _)| **refused == why) {
            counter.update(|count| count + 1);
        }
    }

    /// A connection became a WebSocket so long after it was accepted.
    pub(crate) fn handshake_took(&self, time: Duration) {
        self.handshakes.observe(time);
    }

    /// One turn of the event loop was so long.
    pub(crate) fn turn_took(&self, time: Duration) {
        self.turns.observe(time);
    }

    /// What waited for a peer that did not read was gone after so long.
    pub(crate) fn waited(&self, time: Duration) {
        self.deliveries.observe(time);
    }

    /// Everything, in the text format of Prometheus.
    pub(crate) fn render(&self, readings: Readings) -> String {
        let exposition = Exposition {
            readings,
            refusals: self.refusals.each_ref().map(Cell::get),
            handshakes: self.handshakes.freeze(),
            turns: self.turns.freeze(),
            deliveries: self.deliveries.freeze(),
        };
        exposition.into_text()
    }
}

/// How often something took how long.
struct Histogram {
    /// The longest time of each bucket but the last, which has no bound.
    bounds: &'static [Duration],
    /// One more than there are bounds.
    counts: Vec<Cell<u64>>,
    sum: Cell<Duration>,
}

/// A histogram at one moment: bounds in seconds with the number of those that lie below them and
/// above the one before.
#[derive(Debug)]
struct FrozenHistogram {
    buckets: Vec<(f64, u64)>,
    sum_seconds: f64,
}

impl Histogram {
    fn new(bounds: &'static [Duration]) -> Self {
        Self {
            bounds,
            counts: vec![Cell::new(0); bounds.len() + 1],
            sum: Cell::default(),
        }
    }

    fn observe(&self, time: Duration) {
        let bucket = self.bounds.partition_point(|bound| *bound < time);
        self.counts[bucket].update(|count| count + 1);
        self.sum.update(|sum| sum.saturating_add(time));
    }

    fn freeze(&self) -> FrozenHistogram {
        let bounds = self.bounds.iter().map(Duration::as_secs_f64);
        FrozenHistogram {
            buckets: bounds
                .chain([f64::INFINITY])
                .zip(self.counts.iter().map(Cell::get))
                .collect(),
            sum_seconds: self.sum.get().as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, name: &str) -> Vec<String> {
        let of_it = |line: &&str| line.split(['{', ' ']).next() == Some(name);
        text.lines().filter(of_it).map(str::to_owned).collect()
    }

    #[test]
    fn a_time_falls_into_the_bucket_whose_bound_it_does_not_exceed() {
        let histogram = Histogram::new(TURNS);
        for time in [0, 10, 11, 25, 999_999, 1_000_000, 1_000_001, u64::MAX] {
            histogram.observe(Duration::from_micros(time));
        }
        let counts: Vec<_> = histogram.counts.iter().map(Cell::get).collect();
        assert_eq!(counts, [2, 2, 0, 0, 0, 0, 0, 0, 0, 2, 2]);
    }

    #[test]
    fn counters_and_histograms_are_written_under_their_full_names() {
        let metrics = Metrics::new();
        metrics.refused(Refused::TokenExpired);
        metrics.refused(Refused::TokenExpired);
        metrics.turn_took(Duration::from_micros(200));
        metrics.turn_took(Duration::from_secs(3));
        let mut readings = Readings {
            connections: 7,
            ..Readings::default()
        };
        readings.traffic.sent_bytes = 1 << 40;
        readings.traffic.closes[1] = 5;
        let text = metrics.render(readings);
        for (name, expected) in [
            ("aldis_relay_connections", "aldis_relay_connections 7"),
            (
                "aldis_relay_sent_bytes_total",
                "aldis_relay_sent_bytes_total 1099511627776",
            ),
            (
                "aldis_relay_turn_duration_seconds_sum",
                "aldis_relay_turn_duration_seconds_sum 3.0002",
            ),
            (
                "aldis_relay_turn_duration_seconds_count",
                "aldis_relay_turn_duration_seconds_count 2",
            ),
        ] {
            assert_eq!(lines(&text, name), [expected], "{text}");
        }
        for line in [
            "# TYPE aldis_relay_sent_bytes_total counter\n",
            "aldis_relay_refusals_total{reason=\"token_expired\"} 2\n",
            "aldis_relay_refusals_total{reason=\"token_missing\"} 0\n",
            "aldis_relay_closes_total{reason=\"stopping\"} 5\n",
            "aldis_relay_turn_duration_seconds_bucket{le=\"0.0001\"} 0\n",
            "aldis_relay_turn_duration_seconds_bucket{le=\"0.00025\"} 1\n",
            "aldis_relay_turn_duration_seconds_bucket{le=\"1.0\"} 1\n",
            "aldis_relay_turn_duration_seconds_bucket{le=\"+Inf\"} 2\n",
        ] {
            assert!(text.contains(line), "no {line} in {text}");
        }
        assert!(!text.contains("process_"), "{text}");
    }
}
