//! Writes figures down for Prometheus: their names, what they mean, and their values.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::{FrozenHistogram, Process, Readings};
use crate::admission::Refused;
use crate::frame::CloseReason;

/// All there is to be written down.
#[derive(Debug)]
pub(super) struct Exposition {
    pub(super) readings: Readings,
    /// In the order of [`Refused::ALL`].
    pub(super) refusals: [u64; Refused::ALL.len()],
    pub(super) handshakes: FrozenHistogram,
    pub(super) turns: FrozenHistogram,
    pub(super) deliveries: FrozenHistogram,
}

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut sheet = Sheet(encoder);
        self.encode_presence(&mut sheet)?;
        self.encode_history(&mut sheet)?;
        self.encode_times(&mut sheet)?;
        match &self.readings.process {
            Some(process) => encode_process(process, &mut sheet),
            None => Ok(()),
        }
    }
}

impl Exposition {
    /// In the text format of Prometheus.
    pub(super) fn into_text(self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        // Writing into memory does not fail.
        let _ = encode_registry(&mut text, &registry);
        text
    }

    fn encode_presence(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let Readings {
            connections,
            handshakes,
            census,
            ..
        } = &self.readings;
        sheet.labelled(
            "aldis_relay_build_info",
            "The relay that runs; the value is always 1.",
            MetricType::Gauge,
            "version",
            [(env!("CARGO_PKG_VERSION"), 1)],
        )?;
        sheet.gauge(
            "aldis_relay_connections",
            "Open connections, whatever they are used for.",
            connections,
        )?;
        sheet.gauge(
            "aldis_relay_handshakes",
            "Open connections that are no WebSocket yet.",
            handshakes,
        )?;
        sheet.gauge("aldis_relay_peers", "Registered peers.", &census.peers)?;
        sheet.gauge(
            "aldis_relay_rooms",
            "Rooms with somebody in them.",
            &census.rooms,
        )?;
        sheet.gauge(
            "aldis_relay_sessions",
            "Pairs of peers in a session.",
            &census.sessions,
        )
    }

    fn encode_history(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let Readings { tally, traffic, .. } = &self.readings;
        for (name, help, count) in [
            (
                "aldis_relay_registrations_total",
                "Peers that registered.",
                tally.registrations,
            ),
            (
                "aldis_relay_sessions_started_total",
                "Sessions that began.",
                tally.sessions,
            ),
            (
                "aldis_relay_joins_total",
                "Times that a peer joined a room.",
                tally.joins,
            ),
            (
                "aldis_relay_ignored_messages_total",
                "Messages without a meaning, met with silence.",
                tally.ignored,
            ),
            (
                "aldis_relay_errors_total",
                "Messages answered with ERROR.",
                tally.errors,
            ),
            (
                "aldis_relay_received_messages_total",
                "Messages that came in.",
                traffic.received_messages,
            ),
            (
                "aldis_relay_received_bytes_total",
                "Bytes of the messages that came in.",
                traffic.received_bytes,
            ),
            (
                "aldis_relay_sent_messages_total",
                "Messages that went out.",
                traffic.sent_messages,
            ),
            (
                "aldis_relay_sent_bytes_total",
                "Bytes of the messages that went out.",
                traffic.sent_bytes,
            ),
        ] {
            sheet.counter(name, help, &count)?;
        }
        let closes = CloseReason::ALL.map(close_label);
        sheet.labelled(
            "aldis_relay_closes_total",
            "WebSockets that the relay closed, by reason.",
            MetricType::Counter,
            "reason",
            closes.into_iter().zip(traffic.closes),
        )?;
        let refusals = Refused::ALL.map(Refused::label);
        sheet.labelled(
            "aldis_relay_refusals_total",
            "Connections and requests that were not let in, by reason.",
            MetricType::Counter,
            "reason",
            refusals.into_iter().zip(self.refusals),
        )
    }

    fn encode_times(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        sheet.histogram(
            "aldis_relay_handshake_duration_seconds",
            "From the acceptance of a connection to its being a WebSocket.",
            &self.handshakes,
        )?;
        sheet.histogram(
            "aldis_relay_turn_duration_seconds",
            "One turn of the event loop, during which everything else waits.",
            &self.turns,
        )?;
        sheet.histogram(
            "aldis_relay_delivery_wait_seconds",
            "How long messages waited for a peer that did not read them at once.",
            &self.deliveries,
        )
    }
}

/// By the names that Prometheus gives to these everywhere.
fn encode_process(process: &Process, sheet: &mut Sheet<'_>) -> fmt::Result {
    sheet.counter(
        "process_cpu_seconds_total",
        "CPU time of the process.",
        &process.cpu_seconds,
    )?;
    for (name, help, value) in [
        (
            "process_open_fds",
            "Open file descriptors.",
            Some(process.open_descriptors),
        ),
        (
            "process_max_fds",
            "The most file descriptors that may be open.",
            process.max_descriptors,
        ),
        (
            "process_resident_memory_bytes",
            "Resident memory.",
            Some(process.resident_bytes),
        ),
        (
            "process_virtual_memory_bytes",
            "Virtual memory.",
            Some(process.virtual_bytes),
        ),
        ("process_threads", "Threads.", Some(process.threads)),
    ] {
        if let Some(value) = value {
            sheet.gauge(name, help, &value)?;
        }
    }
    sheet.gauge(
        "process_start_time_seconds",
        "When the process began, in seconds since 1970.",
        &process.started_unix,
    )
}

/// What has been written so far.
struct Sheet<'a>(DescriptorEncoder<'a>);

impl Sheet<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: &impl EncodeGaugeValue) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, None, MetricType::Gauge)?
            .encode_gauge(value)
    }

    /// A counter by its full name. The library would append the `_total` to the value's name alone,
    /// which is right for OpenMetrics, and unknown to those who read Prometheus's own format.
    fn counter(&mut self, name: &str, help: &str, value: &impl EncodeGaugeValue) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, None, MetricType::Counter)?
            .encode_gauge(value)
    }

    fn labelled(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        label: &str,
        values: impl IntoIterator<Item = (&'static str, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (of, value) in values {
            family.encode_family(&[(label, of)])?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, times: &FrozenHistogram) -> fmt::Result {
        let count = times.buckets.iter().map(|(_, count)| count).sum();
        self.0
            .encode_descriptor(name, help, None, MetricType::Histogram)?
            .encode_histogram::<NoLabelSet>(times.sum_seconds, count, &times.buckets, None)
    }
}

fn close_label(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::PartnerLeft => "partner_left",
        CloseReason::Stopping => "stopping",
        CloseReason::InvalidPeerId => "invalid_peer_id",
        CloseReason::InvalidProtocol => "invalid_protocol",
        CloseReason::HelloTimeout => "hello_timeout",
        CloseReason::SlowConsumer => "slow_consumer",
        CloseReason::KeepaliveTimeout => "keepalive_timeout",
        CloseReason::InvalidUtf8 => "invalid_utf8",
        CloseReason::BrokenFrame => "broken_frame",
        CloseReason::MessageTooBig => "message_too_big",
        CloseReason::TooManyMessages => "too_many_messages",
        CloseReason::RelayFull => "relay_full",
        CloseReason::NotAllowed => "not_allowed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_label_of_its_own() {
        let mut labels = CloseReason::ALL.map(close_label).to_vec();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), CloseReason::ALL.len());
    }
}
