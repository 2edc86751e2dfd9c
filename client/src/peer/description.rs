//! Offers and answers.
//!
//! Both are made from codec preferences, before any frame flows: what was queued up before the
//! connection would otherwise arrive as a burst that the other side's jitter buffer never forgets.

use std::sync::Arc;

use anyhow::Context as _;
use gst::prelude::*;
use gst_sdp::{SDPMediaRef, SDPMessage, SDPMessageRef};
use gst_webrtc::{
    WebRTCRTPTransceiver, WebRTCRTPTransceiverDirection as Direction, WebRTCSDPType,
    WebRTCSessionDescription,
};
use protocol::{Description, SdpType};

use super::outgoing::Outgoing;
use super::promise::ask;
use super::{PeerConnection, PeerEvent, certificate};
use crate::failure::{Failure, FailureKind};
use crate::media::{Codec, Kind, VideoCodec};
use crate::plugins;
use crate::receive::MAX_TRACKS;
use crate::sdp::{self, TWCC};

/// How we use one media line.
struct Line {
    codec: Codec,
    direction: Direction,
    caps: gst::Caps,
}

impl PeerConnection {
    /// Makes an offer: a line for pictures, then one for sound, each both ways as far as we can.
    ///
    /// # Errors
    /// When webrtcbin cannot make one.
    pub(super) fn create_offer(&mut self) -> Result<(), Failure> {
        for kind in Kind::ALL {
            let codec = self.media.preferred(kind);
            let receives = plugins::can_receive(codec);
            let direction = match (self.media.sent(kind).is_some(), receives) {
                (true, true) => Direction::Sendrecv,
                (true, false) => Direction::Sendonly,
                (false, true) => Direction::Recvonly,
                (false, false) => continue,
            };
            let line = Line {
                codec,
                direction,
                caps: offered_caps(codec),
            };
            self.add_line(None, &line).map_err(internal)?;
        }
        let webrtc = self.webrtc.clone();
        self.negotiating(async move { described(describe(&webrtc, SdpType::Offer).await) });
        Ok(())
    }

    /// Takes the peer's offer and makes the answer to it.
    ///
    /// # Errors
    /// When the offer cannot be read, or no codec of ours is in it.
    pub(super) fn accept_offer(&mut self, offer: &str) -> Result<(), Failure> {
        let offer = sdp::parse(offer)?;
        self.gate.expect(sdp::fingerprints(&offer));
        let plan = self.plan(&offer);
        if let Err(Failure {
            kind: FailureKind::CodecRefused,
            ..
        }) = &plan
        {
            // The peer shall know why: nobody can tell from a mere hanging up.
            let sdp = sdp::rejection(&offer);
            (self.listener)(PeerEvent::Described(Description {
                kind: SdpType::Answer,
                sdp,
            }));
        }
        let plan = plan?;
        let receives =
            |line: &Line| matches!(line.direction, Direction::Sendrecv | Direction::Recvonly);
        self.incoming = plan.iter().filter(|(_, line)| receives(line)).count();
        for (index, line) in plan {
            self.add_line(Some(index), &line).map_err(internal)?;
        }
        let webrtc = self.webrtc.clone();
        let answer = async move {
            set_remote(&webrtc, WebRTCSDPType::Offer, offer).await?;
            describe(&webrtc, SdpType::Answer).await
        };
        let listener = Arc::clone(&self.listener);
        self.negotiating(async move {
            let answer = answer.await;
            if answer.is_ok() {
                listener(PeerEvent::RemoteDescriptionSet);
            }
            described(answer)
        });
        Ok(())
    }

    /// Takes the peer's answer to our offer.
    ///
    /// # Errors
    /// When the answer cannot be read, or rejects a line of ours.
    pub(super) fn accept_answer(&mut self, answer: &str) -> Result<(), Failure> {
        let answer = sdp::parse(answer)?;
        let lines = || {
            answer
                .medias()
                .filter_map(|media| Some((sdp::kind(media)?, media)))
        };
        if let Some((kind, _)) = lines().find(|(_, media)| sdp::is_rejected(media)) {
            // A rejected line in a bundle would leave webrtcbin connecting for ever.
            return Err(codec_refused(kind, self.media.preferred(kind)));
        }
        let directions = || lines().map(|(_, media)| sdp::directions(media));
        if !self.takes_data && !directions().any(|theirs| theirs.sends || theirs.receives) {
            return Err(nothing_to_do());
        }
        self.gate.expect(sdp::fingerprints(&answer));
        self.incoming = directions().filter(|theirs| theirs.sends).count();
        let webrtc = self.webrtc.clone();
        self.negotiating(async move {
            match set_remote(&webrtc, WebRTCSDPType::Answer, answer).await {
                Ok(()) => PeerEvent::RemoteDescriptionSet,
                Err(failure) => PeerEvent::Failed(failure),
            }
        });
        Ok(())
    }

    /// What we answer to each offered line of media.
    fn plan(&self, offer: &SDPMessageRef) -> Result<Vec<(u32, Line)>, Failure> {
        let mut plan: Vec<(u32, Line)> = Vec::new();
        for (index, media) in (0..).zip(offer.medias()) {
            let Some(kind) = sdp::kind(media).filter(|_| !sdp::is_rejected(media)) else {
                continue;
            };
            let before = plan
                .iter()
                .filter(|(_, line)| line.codec.kind() == kind)
                .count();
            plan.push((index, self.plan_line(media, kind, before)?));
        }
        match plan
            .iter()
            .any(|(_, line)| line.direction != Direction::Inactive)
        {
            true => Ok(plan),
            false if self.takes_data && sdp::has_data(offer) => Ok(plan),
            false => Err(nothing_to_do()),
        }
    }

    /// Of each kind, we send on the first line alone, and receive on some more. `before` is how many of
    /// its kind come before a line.
    fn plan_line(&self, media: &SDPMediaRef, kind: Kind, before: usize) -> Result<Line, Failure> {
        let theirs = sdp::directions(media);
        let sends = before == 0 && theirs.receives && self.media.sent(kind).is_some();
        let preferred = self.media.preferred(kind);
        // What we send is encoded already; what we only receive may be any codec we know.
        let choice = std::iter::once(preferred)
            .chain(Codec::ALL.into_iter().filter(|_| !sends))
            .filter(|codec| codec.kind() == kind)
            .find_map(|codec| Some((codec, sdp::offered(media, codec)?)));
        let Some((codec, caps)) = choice else {
            return Err(codec_refused(kind, preferred));
        };
        let receives = before < MAX_TRACKS && theirs.sends && plugins::can_receive(codec);
        let direction = match (sends, receives) {
            (true, true) => Direction::Sendrecv,
            (true, false) => Direction::Sendonly,
            (false, true) => Direction::Recvonly,
            (false, false) => Direction::Inactive,
        };
        Ok(Line {
            codec,
            direction,
            caps,
        })
    }

    /// Prepares a line, at a place of the remote offer or at the end of ours.
    fn add_line(&mut self, index: Option<u32>, line: &Line) -> Result<(), anyhow::Error> {
        let sends = matches!(line.direction, Direction::Sendrecv | Direction::Sendonly);
        let ssrc = fastrand::u32(1..);
        let mut caps = line.caps.clone();
        if sends {
            caps.make_mut().set("ssrc", ssrc);
        }
        let transceiver = if sends {
            let name = index.map_or("sink_%u".to_owned(), |index| format!("sink_{index}"));
            let sink = self
                .webrtc
                .request_pad_simple(&name)
                .context("webrtcbin gives no pad")?;
            let transceiver = sink.property::<WebRTCRTPTransceiver>("transceiver");
            transceiver.set_direction(line.direction);
            transceiver.set_codec_preferences(Some(&caps));
            let payload = caps
                .structure(0)
                .and_then(|caps| caps.get::<i32>("payload").ok())
                .and_then(|payload| u32::try_from(payload).ok())
                .context("caps without a payload type")?;
            let outgoing = Outgoing::build(&self.pipeline, &sink, line.codec, payload, ssrc)?;
            self.outgoing.push(outgoing);
            transceiver
        } else {
            self.webrtc
                .emit_by_name::<WebRTCRTPTransceiver>("add-transceiver", &[&line.direction, &caps])
        };
        if line.codec.kind() == Kind::Video {
            transceiver.set_property("do-nack", true);
        }
        Ok(())
    }
}

/// The caps of a codec in our own offers.
fn offered_caps(codec: Codec) -> gst::Caps {
    let builder = gst::Caps::builder("application/x-rtp")
        .field("media", codec.kind().as_str())
        .field("encoding-name", codec.encoding_name())
        .field("clock-rate", codec.clock_rate())
        .field("rtcp-fb-transport-cc", true);
    match codec {
        Codec::Opus => builder
            .field("payload", 111)
            .field("encoding-params", "2")
            .field("useinbandfec", "1")
            .field("sprop-stereo", "1")
            .field("stereo", "1"),
        Codec::Video(codec) => {
            let builder = builder
                .field("payload", 96)
                .field("extmap-1", TWCC)
                .field("rtcp-fb-nack-pli", true)
                .field("rtcp-fb-ccm-fir", true);
            match codec {
                VideoCodec::Vp8 => builder,
                VideoCodec::H264 => builder
                    .field("packetization-mode", "1")
                    .field("profile-level-id", "42e01f")
                    .field("level-asymmetry-allowed", "1"),
                VideoCodec::Vp9 => builder.field("profile-id", "0"),
                VideoCodec::Av1 => builder
                    .field("profile", "0")
                    .field("level-idx", "5")
                    .field("tier", "0"),
            }
        }
    }
    .build()
}

/// Has webrtcbin make a description and take it as the local one.
async fn describe(webrtc: &gst::Element, kind: SdpType) -> Result<Description, Failure> {
    let (signal, field) = match kind {
        SdpType::Offer => ("create-offer", "offer"),
        SdpType::Answer => ("create-answer", "answer"),
    };
    let make = async {
        let reply = ask(webrtc, signal, &None::<gst::Structure>)
            .await?
            .context("no reply")?;
        let description = certificate::announce(reply.get::<WebRTCSessionDescription>(field)?)?;
        ask(webrtc, "set-local-description", &description).await?;
        let sdp = description.sdp().as_text()?;
        tracing::trace!("our {kind}:\n{sdp}");
        Ok(Description { kind, sdp })
    };
    make.await.map_err(internal)
}

async fn set_remote(
    webrtc: &gst::Element,
    kind: WebRTCSDPType,
    sdp: SDPMessage,
) -> Result<(), Failure> {
    let description = WebRTCSessionDescription::new(kind, sdp);
    let taken = ask(webrtc, "set-remote-description", &description).await;
    taken.map(|_| ()).map_err(|error| {
        tracing::debug!("{error:#}");
        Failure::new(
            FailureKind::ConnectionFailed,
            "The other side sent a session description that does not fit this call.",
        )
    })
}

fn described(result: Result<Description, Failure>) -> PeerEvent {
    match result {
        Ok(description) => PeerEvent::Described(description),
        Err(failure) => PeerEvent::Failed(failure),
    }
}

fn nothing_to_do() -> Failure {
    let sentence = "Neither side sends what the other would take; there is nothing to do.";
    Failure::new(FailureKind::ConnectionFailed, sentence)
}

fn codec_refused(kind: Kind, codec: Codec) -> Failure {
    let cure = match kind {
        Kind::Video => "try another --video-codec",
        Kind::Audio => "send no sound with --audio none",
    };
    Failure::new(
        FailureKind::CodecRefused,
        format!("The other side does not take {codec}; {cure}."),
    )
}

fn internal(error: anyhow::Error) -> Failure {
    Failure::new(
        FailureKind::Other,
        format!("The connection could not be described: {error:#}"),
    )
}
