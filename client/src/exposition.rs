//! What a client says of itself to Prometheus: added up over all its calls.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::stats::{FlowRates, Rates};

/// What happened to a client until now.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    calls: u64,
    failed_calls: u64,
    reconnections: u64,
    gap_seconds: f64,
    is_connected: bool,
    /// Of calls that are over.
    past: [Totals; 2],
    /// Of the running call, or of the last one.
    rates: Option<Rates>,
}

/// Counters of one direction.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    frames: u64,
    video_bytes: u64,
    audio_bytes: u64,
    packets: u64,
    lost: u64,
    nacks: u64,
    plis: u64,
}

/// The name of a figure, what it means, and where it stands.
type Column<F, T> = (&'static str, &'static str, fn(F) -> T);

const DIRECTIONS: [&str; 2] = ["sent", "received"];

impl Ledger {
    /// A call begins.
    pub fn call_began(&mut self) {
        self.calls += 1;
    }

    /// Its connection is up.
    pub fn connected(&mut self) {
        self.is_connected = true;
    }

    /// A second of it is over.
    pub fn passed(&mut self, rates: &Rates) {
        self.rates = Some(rates.clone());
    }

    /// Another connection has taken the place of the first, and nothing came meanwhile for so long.
    pub fn reconnected(&mut self, gap_seconds: f64) {
        self.reconnections += 1;
        self.gap_seconds += gap_seconds;
        self.close_account();
    }

    /// A call is over.
    pub fn call_ended(&mut self, has_failed: bool) {
        self.failed_calls += u64::from(has_failed);
        self.is_connected = false;
        self.close_account();
    }

    /// Each connection counts from zero.
    fn close_account(&mut self) {
        if let Some(rates) = self.rates.take() {
            let [sent, received] = &mut self.past;
            sent.add(&rates.sent);
            received.add(&rates.received);
        }
    }

    /// In the text format of Prometheus.
    pub fn text(&self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::new();
        // Writing into memory does not fail.
        let _ = encode_registry(&mut text, &registry);
        // The end is a word of OpenMetrics, and a comment here.
        text
    }

    fn totals(&self) -> [Totals; 2] {
        let [mut sent, mut received] = self.past;
        if let Some(rates) = &self.rates {
            sent.add(&rates.sent);
            received.add(&rates.received);
        }
        [sent, received]
    }

    fn encode_calls(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        sheet.labelled(
            "aldis_client_build_info",
            "The client that runs; the value is always 1.",
            MetricType::Gauge,
            &[(&version, 1.0)],
        )?;
        sheet.counter("aldis_client_calls_total", "Calls that began.", self.calls)?;
        sheet.counter(
            "aldis_client_failed_calls_total",
            "Calls that ended in a failure.",
            self.failed_calls,
        )?;
        sheet.counter(
            "aldis_client_reconnections_total",
            "Times that another connection took the place of the first during a call.",
            self.reconnections,
        )?;
        sheet.counter(
            "aldis_client_interrupted_seconds_total",
            "Time in calls in which nothing came before another connection was made.",
            self.gap_seconds,
        )?;
        let is_connected = f64::from(u8::from(self.is_connected));
        sheet.gauge(
            "aldis_client_connected",
            "Whether a call is connected: 1 or 0.",
            is_connected,
        )?;
        let (rtt, available, seconds) = match &self.rates {
            Some(rates) => (rates.rtt_ms, rates.available_kbps, rates.seconds),
            None => (None, None, 0.0),
        };
        sheet.gauge(
            "aldis_client_call_duration_seconds",
            "How long the running call has lasted.",
            seconds,
        )?;
        if let Some(kbps) = available {
            sheet.gauge(
                "aldis_client_available_bits_per_second",
                "What the network to the peer carries, as estimated.",
                f64::from(kbps) * 1000.0,
            )?;
        }
        match rtt {
            Some(rtt) => sheet.gauge(
                "aldis_client_round_trip_time_seconds",
                "The round trip to the peer and back.",
                rtt / 1000.0,
            ),
            None => Ok(()),
        }
    }

    fn encode_totals(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let totals = self.totals();
        let columns: [Column<&Totals, u64>; 7] = [
            ("video_frames", "Pictures, encoded or decoded.", |t| {
                t.frames
            }),
            ("video_bytes", "Bytes of RTP with pictures.", |t| {
                t.video_bytes
            }),
            ("audio_bytes", "Bytes of RTP with sound.", |t| t.audio_bytes),
            ("packets", "Packets of RTP.", |t| t.packets),
            ("lost_packets", "Packets of RTP that did not arrive.", |t| {
                t.lost
            }),
            ("nacks", "Requests to send packets again.", |t| t.nacks),
            (
                "picture_loss_indications",
                "Requests for a key frame.",
                |t| t.plis,
            ),
        ];
        for (name, help, column) in columns {
            let name = format!("aldis_client_{name}_total");
            sheet.by_direction(&name, help, MetricType::Counter, |at| {
                totals.get(at).map(|totals| column(totals) as f64)
            })?;
        }
        Ok(())
    }

    fn encode_rates(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let Some(rates) = &self.rates else {
            return Ok(());
        };
        let flows = [&rates.sent, &rates.received];
        let columns: [Column<&FlowRates, Option<f64>>; 7] = [
            ("video_frames_per_second", "Pictures a second.", |flow| {
                Some(flow.fps)
            }),
            (
                "video_bits_per_second",
                "Bit rate of the picture.",
                |flow| Some(flow.video_kbps * 1000.0),
            ),
            ("audio_bits_per_second", "Bit rate of the sound.", |flow| {
                Some(flow.audio_kbps * 1000.0)
            }),
            (
                "loss_ratio",
                "Lost packets of all in the last second.",
                |flow| Some(flow.loss_percent / 100.0),
            ),
            ("jitter_seconds", "How unevenly packets arrive.", |flow| {
                Some(flow.jitter_ms? / 1000.0)
            }),
            ("video_width_pixels", "Width of the picture.", |flow| {
                Some(f64::from(flow.video.as_ref()?.width))
            }),
            ("video_height_pixels", "Height of the picture.", |flow| {
                Some(f64::from(flow.video.as_ref()?.height))
            }),
        ];
        for (name, help, column) in columns {
            let name = format!("aldis_client_{name}");
            sheet.by_direction(&name, help, MetricType::Gauge, |at| {
                flows.get(at).and_then(|flow| column(flow))
            })?;
        }
        let codec = |flow: &FlowRates| Some(flow.video.as_ref()?.codec.clone());
        let codecs: Vec<_> = DIRECTIONS
            .into_iter()
            .zip(flows.map(codec))
            .filter_map(|(direction, codec)| Some((direction, codec?)))
            .collect();
        let labels: Vec<_> = codecs
            .iter()
            .map(|(direction, codec)| [("direction", *direction), ("codec", codec.as_str())])
            .collect();
        let samples: Vec<_> = labels.iter().map(|labels| (labels, 1.0)).collect();
        sheet.labelled(
            "aldis_client_video_codec_info",
            "The codec of the picture; the value is always 1.",
            MetricType::Gauge,
            &samples,
        )
    }
}

impl Totals {
    fn add(&mut self, flow: &FlowRates) {
        self.frames += flow.frames;
        self.video_bytes += flow.video_bytes;
        self.audio_bytes += flow.audio_bytes;
        self.packets += flow.packets;
        self.lost += flow.lost;
        self.nacks += flow.nacks;
        self.plis += flow.plis;
    }
}

impl Collector for Ledger {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut sheet = Sheet(encoder);
        self.encode_calls(&mut sheet)?;
        self.encode_totals(&mut sheet)?;
        self.encode_rates(&mut sheet)
    }
}

/// What has been written so far.
struct Sheet<'a>(DescriptorEncoder<'a>);

impl Sheet<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, None, MetricType::Gauge)?
            .encode_gauge(&value)
    }

    /// A counter by its full name: the library would add the `_total` as OpenMetrics has it, which
    /// those who read Prometheus's own format do not know.
    fn counter(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, None, MetricType::Counter)?
            .encode_gauge(&value)
    }

    fn labelled<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        samples: &[(&[(&str, &str); N], f64)],
    ) -> fmt::Result {
        if samples.is_empty() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in samples {
            family.encode_family(*labels)?.encode_gauge(value)?;
        }
        Ok(())
    }

    fn by_direction(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        value: impl Fn(usize) -> Option<f64>,
    ) -> fmt::Result {
        let labels = DIRECTIONS.map(|direction| [("direction", direction)]);
        let samples: Vec<_> = labels
            .iter()
            .enumerate()
            .filter_map(|(at, labels)| Some((labels, value(at)?)))
            .collect();
        self.labelled(name, help, kind, &samples)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stats::{Counters, Flow};

    fn value(text: &str, series: &str) -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(series))?;
        line.trim().parse().ok()
    }

    fn rates(frames: u64) -> Rates {
        let after = Counters {
            sent: Flow {
                frames,
                video_bytes: 1000,
                packets: 3,
                nacks: 2,
                ..Flow::default()
            },
            rtt: Some(Duration::from_millis(20)),
            ..Counters::default()
        };
        let second = Duration::from_secs(1);
        let rates = Rates::between(&Counters::default(), &after, second, second);
        Rates {
            available_kbps: Some(900),
            ..rates
        }
    }

    #[test]
    fn calls_add_up_and_counters_never_fall() {
        let mut ledger = Ledger::default();
        ledger.call_began();
        ledger.connected();
        ledger.passed(&rates(30));
        let text = ledger.text();
        assert_eq!(value(&text, "aldis_client_connected"), Some(1.0));
        assert_eq!(
            value(&text, "aldis_client_round_trip_time_seconds"),
            Some(0.02)
        );
        assert_eq!(
            value(&text, "aldis_client_available_bits_per_second"),
            Some(900_000.0)
        );
        let frames = "aldis_client_video_frames_total{direction=\"sent\"}";
        assert_eq!(value(&text, frames), Some(30.0));
        ledger.reconnected(1.5);
        ledger.call_ended(true);
        ledger.call_began();
        let text = ledger.text();
        assert_eq!(value(&text, frames), Some(30.0));
        assert_eq!(value(&text, "aldis_client_connected"), Some(0.0));
        assert_eq!(value(&text, "aldis_client_round_trip_time_seconds"), None);
        ledger.passed(&rates(12));
        ledger.call_ended(false);
        let text = ledger.text();
        assert_eq!(value(&text, frames), Some(42.0));
        assert_eq!(
            value(&text, "aldis_client_nacks_total{direction=\"sent\"}"),
            Some(4.0)
        );
        assert_eq!(value(&text, "aldis_client_calls_total"), Some(2.0));
        assert_eq!(value(&text, "aldis_client_failed_calls_total"), Some(1.0));
        assert_eq!(
            value(&text, "aldis_client_interrupted_seconds_total"),
            Some(1.5)
        );
    }
}
