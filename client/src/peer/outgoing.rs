//! The way of an encoded frame into webrtcbin: appsrc, payloader, sink pad.
//!
//! The payloader belongs to the peer, because payload types and sequence numbers do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use gst::prelude::*;
use gst_app::AppSrc;

use super::{Listener, PeerEvent};
use crate::encoder::Track;
use crate::media::{Codec, Kind, VideoCodec};

/// What may wait for a peer before frames are dropped: next to nothing, since nothing there blocks.
const MAX_WAITING_FRAMES: u64 = 8;

#[derive(Debug)]
pub(super) struct Outgoing {
    codec: Codec,
    ssrc: u32,
    source: AppSrc,
    sent: Arc<AtomicU64>,
}

impl Outgoing {
    /// Builds the way for one codec and links it to a sink pad of webrtcbin. Nothing flows yet.
    pub(super) fn build(
        pipeline: &gst::Pipeline,
        sink: &gst::Pad,
        codec: Codec,
        payload: u32,
        ssrc: u32,
    ) -> Result<Self, anyhow::Error> {
        let source = AppSrc::builder()
            .format(gst::Format::Time)
            .is_live(true)
            .min_latency(0)
            .max_buffers(MAX_WAITING_FRAMES)
            .max_bytes(0)
            .leaky_type(gst_app::AppLeakyType::Downstream)
            .build();
        let payloader = payloader(codec, payload, ssrc)?;
        pipeline.add_many([source.upcast_ref(), &payloader])?;
        source.link(&payloader)?;
        let out = payloader
            .static_pad("src")
            .context("a payloader has a source pad")?;
        out.link(sink)
            .with_context(|| format!("webrtcbin does not take {codec}"))?;
        payloader.sync_state_with_parent()?;
        source.sync_state_with_parent()?;
        Ok(Self {
            codec,
            ssrc,
            source,
            sent: Arc::default(),
        })
    }

    /// Lets frames flow, and key frames be asked for.
    pub(super) fn start(&self, track: &Track, listener: Listener) {
        let Some(pad) = self.source.static_pad("src") else {
            return;
        };
        let kind = self.kind();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            listener(PeerEvent::FirstSent(kind));
            gst::PadProbeReturn::Remove
        });
        let asked = track.clone();
        pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
            if let Some(gst::PadProbeData::Event(event)) = &info.data
                && gst_video::UpstreamForceKeyUnitEvent::parse(event).is_ok()
            {
                asked.request_key_frame();
            }
            gst::PadProbeReturn::Ok
        });
        track.join(&self.source, Arc::clone(&self.sent));
    }

    pub(super) fn codec(&self) -> Codec {
        self.codec
    }

    pub(super) fn kind(&self) -> Kind {
        self.codec.kind()
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

fn payloader(codec: Codec, payload: u32, ssrc: u32) -> Result<gst::Element, anyhow::Error> {
    let name = match codec {
        Codec::Video(VideoCodec::Vp8) => "rtpvp8pay",
        Codec::Video(VideoCodec::H264) => "rtph264pay",
        Codec::Video(VideoCodec::Vp9) => "rtpvp9pay",
        Codec::Video(VideoCodec::Av1) => "rtpav1pay",
        Codec::Opus => "rtpopuspay",
    };
    let ssrc = ssrc.to_string();
    let builder = gst::ElementFactory::make(name)
        .property("pt", payload)
        // Payloaders do not agree on its type.
        .property_from_str("ssrc", &ssrc);
    let builder = match codec {
        Codec::Video(VideoCodec::Vp8 | VideoCodec::Vp9) => {
            builder.property_from_str("picture-id-mode", "15-bit")
        }
        Codec::Video(VideoCodec::H264) => builder
            .property("config-interval", -1)
            .property_from_str("aggregate-mode", "zero-latency"),
        Codec::Video(VideoCodec::Av1) | Codec::Opus => builder,
    };
    Ok(builder.build()?)
}
