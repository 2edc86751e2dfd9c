//! webrtcbin as we want it: bundled, quick to connect, silent on the network unless asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use gst::prelude::*;

use crate::config::IcePolicy;

use super::{JITTER_BUFFER_MS, PeerSettings, certificate, data};

/// libnice sends one connectivity check every so many milliseconds; its default of 20 is most of the
/// time a call on a local network takes to connect.
const CHECK_PACING_MS: u32 = 5;

/// How often a check is repeated. Each one more holds up the nomination behind a NAT, where the pairs
/// of host candidates are dead.
const CHECK_RETRANSMISSIONS: u32 = 2;

/// How often we report to the peer, at the most. The default of five seconds is too slow to show a
/// round trip, and to tell the other side that we live.
const RTCP_INTERVAL: gst::ClockTime = gst::ClockTime::from_seconds(1);

/// The kind of a DTLS record that is an alert.
const ALERT: u8 = 21;

/// How often the alert that ends DTLS is sent again.
const GOODBYES: usize = 2;

/// What has come from a peer, of whatever kind: while it lives, this grows.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    packets: AtomicU64,
    /// When the last one came, in nanoseconds of GStreamer's system clock.
    last: AtomicU64,
    /// The same of the first since [`Arrivals::mark`]; 0 before that.
    first: AtomicU64,
}

impl Arrivals {
    fn note(&self, clock: &gst::SystemClock) {
        let time = clock.time().nseconds();
        self.last.store(time, Ordering::Relaxed);
        if self.first.load(Ordering::Relaxed) == 0 {
            self.first.store(time, Ordering::Relaxed);
        }
        self.packets.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn packets(&self) -> u64 {
        self.packets.load(Ordering::Relaxed)
    }

    /// From now on the first one counts.
    pub(super) fn mark(&self) {
        self.first.store(0, Ordering::Relaxed);
    }

    pub(super) fn last(&self) -> Duration {
        Duration::from_nanos(self.last.load(Ordering::Relaxed))
    }

    pub(super) fn first(&self) -> Option<Duration> {
        let first = self.first.load(Ordering::Relaxed);
        (first != 0).then(|| Duration::from_nanos(first))
    }
}

/// `turn` has the TURN servers as libnice takes them.
pub(super) fn webrtcbin(
    settings: &PeerSettings,
    turn: &[String],
) -> Result<gst::Element, anyhow::Error> {
    let webrtc = gst::ElementFactory::make("webrtcbin")
        .property_from_str("bundle-policy", "max-bundle")
        .property("latency", JITTER_BUFFER_MS)
        .build()?;
    if settings.ice_policy == IcePolicy::Relay {
        webrtc.set_property_from_str("ice-transport-policy", "relay");
    }
    // It asks one.
    if let Some(stun) = settings.ice.stun.first() {
        webrtc.set_property("stun-server", stun);
    }
    for turn in turn {
        if !webrtc.emit_by_name::<bool>("add-turn-server", &[turn]) {
            tracing::warn!("a TURN server was not accepted");
        }
    }
    let ice = webrtc.property::<gst::glib::Object>("ice-agent");
    // ICE over TCP triples the candidates; UPnP sends multicast and takes 200 ms.
    set_where_known(&ice, "ice-tcp", false);
    if let Some(agent) = ice
        .find_property("agent")
        .map(|_| ice.property::<gst::glib::Object>("agent"))
    {
        set_where_known(&agent, "upnp", false);
        set_where_known(&agent, "stun-pacing-timer", CHECK_PACING_MS);
        set_where_known(&agent, "stun-max-retransmissions", CHECK_RETRANSMISSIONS);
    }
    if let Some(address) = settings.local_address {
        let added = ice.emit_by_name::<bool>("add-local-ip-address", &[&address.to_string()]);
        added
            .then_some(())
            .with_context(|| format!("{address} cannot be used for ICE"))?;
    }
    Ok(webrtc)
}

/// Watches the elements webrtcbin makes for itself: packets that arrive are counted, frames that go
/// out do not wait for the clock a second time, empty messages get through, and `closed` hears when the peer ends DTLS, which
/// webrtcbin itself keeps to itself.
pub(super) fn prepare(
    webrtc: &gst::Element,
    arrivals: Arc<Arrivals>,
    closed: impl Fn() + Send + Sync + 'static,
) {
    let closed = Arc::new(closed);
    let Some(bin) = webrtc.downcast_ref::<gst::Bin>() else {
        return;
    };
    bin.connect_deep_element_added(move |_, _, element| {
        let factory = element.factory().map(|factory| factory.name());
        match factory.as_deref() {
            Some("nicesrc") => count_packets(element, Arc::clone(&arrivals)),
            Some("dtlsdec") => {
                certificate::show(element);
                watch_close(element, Arc::clone(&closed));
            }
            Some("rtpsession") => {
                element.set_property("rtcp-min-interval", RTCP_INTERVAL.nseconds());
            }
            // Of all elements in there, data channels alone have one.
            Some("appsrc") => data::fill_empty(element),
            Some("clocksync") => element.set_property("sync", false),
            _ => {}
        }
    });
}

/// The peer says good-bye by an alert ([RFC 5246, section 7.2.1](https://www.rfc-editor.org/rfc/rfc5246#section-7.2.1)).
fn watch_close(dtlsdec: &gst::Element, closed: Arc<impl Fn() + Send + Sync + 'static>) {
    dtlsdec.connect_notify(Some("connection-state"), move |dtlsdec, _| {
        let state = dtlsdec.property_value("connection-state");
        let state =
            gst::glib::EnumValue::from_value(&state).map(|(_, value)| value.nick().to_owned());
        tracing::debug!(?state, "DTLS");
        if state.as_deref() == Some("closed") {
            closed();
        }
    });
}

/// Ends DTLS, so that the peer knows at once: an end of stream into its encoder becomes the alert. True
/// once the alert is on its way; false when there is no connection to end.
pub(super) async fn say_goodbye(webrtc: &gst::Element) -> bool {
    let Some(bin) = webrtc.downcast_ref::<gst::Bin>() else {
        return false;
    };
    let mut encoders = bin
        .iterate_all_by_element_factory_name("dtlsenc")
        .into_iter()
        .flatten();
    let Some(encoder) = encoders.next() else {
        return false;
    };
    let (Some(source), Some(sink)) = (
        encoder.static_pad("src"),
        encoder
            .static_pad("sink")
            .or_else(|| encoder.request_pad_simple("sink")),
    ) else {
        return false;
    };
    let (sent, alert) = async_channel::bounded(1);
    source.add_probe(
        gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST,
        move |_, info| match alert_in(info) {
            Some(alert) => {
                let _ = sent.try_send(alert);
                gst::PadProbeReturn::Remove
            }
            // What data channels still have to say.
            None => gst::PadProbeReturn::Ok,
        },
    );
    if !sink.send_event(gst::event::Eos::new()) {
        return false;
    }
    let Ok(alert) = alert.recv().await else {
        return false;
    };
    // It is on its way, and not out yet. Nobody repeats one that is lost, and a copy of one that came is
    // ignored ([RFC 6347, section 4.1.2.6](https://www.rfc-editor.org/rfc/rfc6347#section-4.1.2.6)).
    for _ in 0..GOODBYES {
        let (source, alert) = (source.clone(), alert.copy());
        let _ = async_std::task::spawn_blocking(move || source.push(alert)).await;
    }
    true
}

/// The DTLS record of an alert, if it is one
/// ([RFC 5246, section 6.2.1](https://www.rfc-editor.org/rfc/rfc5246#section-6.2.1)).
fn alert_in(info: &gst::PadProbeInfo<'_>) -> Option<gst::Buffer> {
    let is_alert = |buffer: &gst::BufferRef| {
        let mut kind = [0];
        buffer.copy_to_slice(0, &mut kind).is_ok() && kind == [ALERT]
    };
    match &info.data {
        Some(gst::PadProbeData::Buffer(buffer)) => is_alert(buffer).then(|| buffer.clone()),
        Some(gst::PadProbeData::BufferList(list)) => {
            list.iter_owned().find(|buffer| is_alert(buffer))
        }
        _ => None,
    }
}

fn count_packets(nicesrc: &gst::Element, arrivals: Arc<Arrivals>) {
    let Some(pad) = nicesrc.static_pad("src") else {
        return;
    };
    let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
    let gst_clock = gst::SystemClock::obtain();
    let Ok(clock) = gst_clock.downcast::<gst::SystemClock>() else {
        return;
    };
    pad.add_probe(kinds, move |_, _| {
        arrivals.note(&clock);
        gst::PadProbeReturn::Ok
    });
}

/// Versions of libnice differ in what they have.
fn set_where_known(object: &gst::glib::Object, name: &str, value: impl Into<gst::glib::Value>) {
    if object.find_property(name).is_some() {
        object.set_property_from_value(name, &value.into());
    } else {
        tracing::debug!(name, "this libnice has no such property");
    }
}
