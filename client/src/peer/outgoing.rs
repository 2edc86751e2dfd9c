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
use crate::encoding::Opus;
use crate::graph;
use crate::media::{Codec, Kind, VideoCodec};

/// What may wait for a peer before frames are dropped: next to nothing, since nothing there blocks.
const MAX_WAITING_FRAMES: u64 = 8;

/// A sink pad of webrtcbin for one kind, and what is sent into it once the codec is agreed on.
#[derive(Debug)]
pub(super) struct Outgoing {
    kind: Kind,
    ssrc: u32,
    sink: gst::Pad,
    way: Option<Way>,
}

/// The way of the frames of one codec. Cheap to clone: all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) codec: Codec,
    source: AppSrc,
    sent: Arc<AtomicU64>,
}

impl Outgoing {
    /// Keeps a pad for a kind. Nothing is linked to it before [`Outgoing::link`].
    pub(super) fn new(kind: Kind, ssrc: u32, sink: gst::Pad) -> Self {
        Self {
            kind,
            ssrc,
            sink,
            way: None,
        }
    }

    /// Builds the way for the codec that was agreed on. Nothing flows yet.
    pub(super) fn link(
        &mut self,
        pipeline: &gst::Pipeline,
        codec: Codec,
        payload: u8,
        opus: &Opus,
    ) -> Result<(), anyhow::Error> {
        let source = AppSrc::builder()
            .format(gst::Format::Time)
            .is_live(true)
            .min_latency(0)
            .max_buffers(MAX_WAITING_FRAMES)
            .max_bytes(0)
            .leaky_type(gst_app::AppLeakyType::Downstream)
            .build();
        let payloader = payloader(codec, payload, self.ssrc, opus)?;
        pipeline.add_many([source.upcast_ref(), &payloader])?;
        source.link(&payloader)?;
        let out = payloader
            .static_pad("src")
            .context("a payloader has a source pad")?;
        out.link(&self.sink)
            .with_context(|| format!("webrtcbin does not take {codec}"))?;
        payloader.sync_state_with_parent()?;
        source.sync_state_with_parent()?;
        self.way = Some(Way {
            codec,
            source,
            sent: Arc::default(),
        });
        Ok(())
    }

    /// What was linked, if anything was.
    pub(super) fn way(&self) -> Option<&Way> {
        self.way.as_ref()
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// How many frames went out.
    pub(super) fn sent(&self) -> u64 {
        let sent = self.way().map(|way| way.sent.load(Ordering::Relaxed));
        sent.unwrap_or_default()
    }
}

impl Way {
    /// Lets frames flow, and key frames be asked for.
    pub(super) fn start(&self, track: &Track, listener: Listener) {
        let Some(pad) = self.source.static_pad("src") else {
            return;
        };
        let codec = self.codec;
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            listener(PeerEvent::FirstSent(codec));
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

    /// Has the picture begin anew, as a peer would that has lost one.
    pub(super) fn request_key_frame(&self) {
        if let Some(pad) = self.source.static_pad("src") {
            pad.send_event(gst_video::UpstreamForceKeyUnitEvent::builder().build());
        }
    }
}

fn payloader(
    codec: Codec,
    payload: u8,
    ssrc: u32,
    opus: &Opus,
) -> Result<gst::Element, anyhow::Error> {
    let ssrc = ssrc.to_string();
    let builder = gst::ElementFactory::make(graph::payloader(codec))
        .property("pt", u32::from(payload))
        // Payloaders do not agree on its type.
        .property_from_str("ssrc", &ssrc);
    let builder = match codec {
        Codec::Video(VideoCodec::Vp8 | VideoCodec::Vp9) => {
            builder.property_from_str("picture-id-mode", "15-bit")
        }
        Codec::Video(VideoCodec::H264) => builder
            .property("config-interval", -1)
            .property_from_str("aggregate-mode", "zero-latency"),
        Codec::Video(VideoCodec::Av1) => builder,
        // What the encoder says next to nothing about is not sent at all.
        Codec::Opus => builder.property("dtx", opus.dtx),
    };
    Ok(builder.build()?)
}
