//! webrtcbin's statistics, read with care: with BUNDLE it names the wrong codec for a stream, and it
//! swaps the types of local and remote candidates. Streams are told apart by SSRC and candidates by
//! id, which are right.

use std::time::Duration;

use gst_webrtc::WebRTCStatsType as Type;

use super::promise::ask;
use crate::stats::{Counters, Flow};

/// Which stream is which; 0 stands for none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Streams {
    pub(super) video_out: u64,
    pub(super) audio_out: u64,
    pub(super) video_in: u64,
    pub(super) audio_in: u64,
}

/// How two ends reach one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidatePair {
    /// The type of our candidate: host, srflx, prflx or relay.
    pub local: String,
    /// The type of the peer's candidate.
    pub remote: String,
    /// udp or tcp.
    pub transport: String,
}

/// Asks webrtcbin now; the answer comes later, or not at all when it is being closed.
pub(super) fn read(
    webrtc: &gst::Element,
) -> impl Future<Output = Option<gst::Structure>> + Send + 'static {
    let reply = ask(webrtc, "get-stats", &None::<gst::Pad>);
    async move { reply.await.ok()? }
}

pub(super) fn count(stats: &gst::Structure, streams: &Streams, counters: &mut Counters) {
    for entry in entries(stats) {
        let ssrc = u64::from(entry.get::<u32>("ssrc").unwrap_or(0));
        if ssrc == 0 {
            continue;
        }
        match kind(&entry) {
            Some(Type::OutboundRtp) => {
                let bytes = entry.get::<u64>("bytes-sent").unwrap_or(0);
                add_bytes(
                    &mut counters.sent,
                    ssrc,
                    streams.video_out,
                    streams.audio_out,
                    bytes,
                );
                counters.sent.packets += entry.get::<u64>("packets-sent").unwrap_or(0);
                counters.sent.nacks += count_of(&entry, "nack-count");
                counters.sent.plis += count_of(&entry, "pli-count");
            }
            Some(Type::InboundRtp) if ssrc == streams.video_in || ssrc == streams.audio_in => {
                let bytes = entry.get::<u64>("bytes-received").unwrap_or(0);
                add_bytes(
                    &mut counters.received,
                    ssrc,
                    streams.video_in,
                    streams.audio_in,
                    bytes,
                );
                counters.received.packets += entry.get::<u64>("packets-received").unwrap_or(0);
                counters.received.lost += lost(&entry);
                counters.received.nacks += count_of(&entry, "nack-count");
                counters.received.plis += count_of(&entry, "pli-count");
                if ssrc == streams.video_in || counters.received.jitter.is_none() {
                    counters.received.jitter = seconds(&entry, "jitter");
                }
            }
            Some(Type::RemoteInboundRtp) => {
                counters.sent.lost += lost(&entry);
                if ssrc == streams.video_out || counters.sent.jitter.is_none() {
                    counters.sent.jitter = seconds(&entry, "jitter");
                }
                let rtt = seconds(&entry, "round-trip-time").filter(|rtt| !rtt.is_zero());
                counters.rtt = rtt.or(counters.rtt);
            }
            _ => {}
        }
    }
}

pub(super) fn candidate_pair(stats: &gst::Structure) -> Option<CandidatePair> {
    let entries: Vec<_> = entries(stats).collect();
    let by_id = |id: &str| {
        entries
            .iter()
            .find(|entry| entry.get::<&str>("id").is_ok_and(|its| its == id))
    };
    let selected = entries
        .iter()
        .filter(|entry| kind(entry) == Some(Type::Transport))
        .find_map(|entry| by_id(entry.get::<&str>("selected-candidate-pair-id").ok()?))?;
    let local = by_id(selected.get::<&str>("local-candidate-id").ok()?)?;
    let remote = by_id(selected.get::<&str>("remote-candidate-id").ok()?)?;
    let text = |entry: &gst::Structure, name: &str| entry.get::<String>(name).unwrap_or_default();
    Some(CandidatePair {
        local: text(local, "candidate-type"),
        remote: text(remote, "candidate-type"),
        transport: text(local, "protocol").to_ascii_lowercase(),
    })
}

impl Default for CandidatePair {
    fn default() -> Self {
        let unknown = || "unknown".to_owned();
        Self {
            local: unknown(),
            remote: unknown(),
            transport: unknown(),
        }
    }
}

fn add_bytes(flow: &mut Flow, ssrc: u64, video: u64, audio: u64, bytes: u64) {
    if ssrc == video {
        flow.video_bytes += bytes;
    } else if ssrc == audio {
        flow.audio_bytes += bytes;
    }
}

/// Counts have 32 bits in some versions and 64 in others.
fn count_of(entry: &gst::Structure, name: &str) -> u64 {
    let count = entry.get::<u32>(name).map(u64::from);
    count.or_else(|_| entry.get::<u64>(name)).unwrap_or(0)
}

/// A time in seconds, where it is one.
fn seconds(entry: &gst::Structure, name: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(entry.get::<f64>(name).ok()?).ok()
}

/// A count of lost packets may be below zero, when packets came twice.
fn lost(entry: &gst::Structure) -> u64 {
    entry
        .get::<i64>("packets-lost")
        .or_else(|_| entry.get::<i32>("packets-lost").map(i64::from))
        .map_or(0, |lost| u64::try_from(lost).unwrap_or(0))
}

fn kind(entry: &gst::Structure) -> Option<Type> {
    entry.get::<Type>("type").ok()
}

fn entries(stats: &gst::Structure) -> impl Iterator<Item = gst::Structure> + '_ {
    stats
        .iter()
        .filter_map(|(_, value)| value.get::<gst::Structure>().ok())
}
