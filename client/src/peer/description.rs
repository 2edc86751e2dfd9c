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

use super::lines;
use super::outgoing::Outgoing;
use super::promise::ask;
use super::{PeerConnection, PeerEvent, certificate};
use crate::encoding::Opus;
use crate::failure::{Failure, FailureKind};
use crate::media::{Codec, Kind};
use crate::plugins;
use crate::receive::MAX_TRACKS;
use crate::sdp::{self, codecs};

/// How we use one media line.
struct Line {
    kind: Kind,
    direction: Direction,
    /// One structure for each codec, the one we like best first; one alone in an answer.
    caps: gst::Caps,
    /// What is sent, where that is agreed on already.
    agreed: Option<(Codec, u8)>,
}

impl PeerConnection {
    /// Makes an offer: a line for pictures, then one for sound, each both ways as far as we can, with
    /// every codec that we can do.
    ///
    /// # Errors
    /// When webrtcbin cannot make one.
    pub(super) fn create_offer(&mut self) -> Result<(), Failure> {
        for kind in Kind::ALL {
            let (codecs, direction) = self.offered_codecs(kind);
            if codecs.is_empty() {
                continue;
            }
            let line = Line {
                kind,
                direction,
                caps: lines::offered(&codecs),
                agreed: None,
            };
            self.add_line(None, &line).map_err(internal)?;
        }
        let (webrtc, opus) = (self.webrtc.clone(), self.media.encoding.opus);
        self.negotiating(async move { described(describe(&webrtc, SdpType::Offer, opus).await) });
        Ok(())
    }

    /// The codecs of one line of ours, and which way it goes. Either side may be sent any codec in a
    /// line, so what goes both ways must be something we can do both ways.
    fn offered_codecs(&self, kind: Kind) -> (Vec<Codec>, Direction) {
        let preferred = self.media.codecs(kind);
        let both = preferred
            .iter()
            .copied()
            .filter(|codec| plugins::can_receive(*codec));
        let both: Vec<_> = both.collect();
        match (self.media.sends(kind), both.is_empty()) {
            (true, false) => (both, Direction::Sendrecv),
            (true, true) => (preferred, Direction::Sendonly),
            (false, _) => (self.receivable(kind), Direction::Recvonly),
        }
    }

    /// The codecs we can take, those we like first.
    fn receivable(&self, kind: Kind) -> Vec<Codec> {
        let mut codecs = self.media.codecs(kind);
        codecs.extend(
            Codec::ALL
                .into_iter()
                .filter(|codec| codec.kind() == kind && !self.media.codecs(kind).contains(codec)),
        );
        codecs.retain(|codec| plugins::can_receive(*codec));
        codecs
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
            let sdp = codecs::rejection(&offer, |kind| self.media.codecs(kind));
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
        let (webrtc, opus) = (self.webrtc.clone(), self.media.encoding.opus);
        let answer = async move {
            set_remote(&webrtc, WebRTCSDPType::Offer, offer).await?;
            describe(&webrtc, SdpType::Answer, opus).await
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
        if let Some((kind, media)) = lines().find(|(_, media)| sdp::is_rejected(media)) {
            // A rejected line in a bundle would leave webrtcbin connecting for ever.
            return Err(self.none_in_common(kind, media));
        }
        let directions = || lines().map(|(_, media)| sdp::directions(media));
        if !self.takes_data && !directions().any(|theirs| theirs.sends || theirs.receives) {
            return Err(nothing_to_do());
        }
        self.gate.expect(sdp::fingerprints(&answer));
        self.incoming = directions().filter(|theirs| theirs.sends).count();
        for (kind, media) in lines() {
            self.agree(kind, media)?;
        }
        let webrtc = self.webrtc.clone();
        self.negotiating(async move {
            match set_remote(&webrtc, WebRTCSDPType::Answer, answer).await {
                Ok(()) => PeerEvent::RemoteDescriptionSet,
                Err(failure) => PeerEvent::Failed(failure),
            }
        });
        Ok(())
    }

    /// Prepares what is sent for the codec that the answer chose.
    fn agree(&mut self, kind: Kind, answer: &SDPMediaRef) -> Result<(), Failure> {
        let (ours, _) = self.offered_codecs(kind);
        let Some((codec, payload)) = codecs::chosen(answer, &ours) else {
            return Err(self.none_in_common(kind, answer));
        };
        tracing::debug!(%kind, %codec, payload, "the other side chose");
        let outgoing = self
            .outgoing
            .iter_mut()
            .find(|outgoing| outgoing.kind() == kind);
        match outgoing.filter(|_| sdp::directions(answer).receives) {
            Some(outgoing) => outgoing
                .link(&self.pipeline, codec, payload, &self.media.encoding.opus)
                .map_err(internal),
            None => Ok(()),
        }
    }

    /// What we answer to each offered line of media.
    fn plan(&self, offer: &SDPMessageRef) -> Result<Vec<(u32, Line)>, Failure> {
        let mut plan: Vec<(u32, Line)> = Vec::new();
        for (index, media) in (0..).zip(offer.medias()) {
            let Some(kind) = sdp::kind(media).filter(|_| !sdp::is_rejected(media)) else {
                continue;
            };
            let before = plan.iter().filter(|(_, line)| line.kind == kind).count();
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
    /// its kind come before a line. Of its codecs, we take the one we like best; what we only receive
    /// may be any that we can decode.
    fn plan_line(&self, media: &SDPMediaRef, kind: Kind, before: usize) -> Result<Line, Failure> {
        let theirs = sdp::directions(media);
        let sends = before == 0 && theirs.receives && self.media.sends(kind);
        let ours = match sends {
            true => self.media.codecs(kind),
            false => self.receivable(kind),
        };
        let found = ours
            .iter()
            .find_map(|codec| Some((*codec, codecs::offered(media, *codec)?)));
        let Some((codec, (payload, caps))) = found else {
            return Err(self.none_in_common(kind, media));
        };
        let receives = before < MAX_TRACKS && theirs.sends && plugins::can_receive(codec);
        let direction = match (sends, receives) {
            (true, true) => Direction::Sendrecv,
            (true, false) => Direction::Sendonly,
            (false, true) => Direction::Recvonly,
            (false, false) => Direction::Inactive,
        };
        Ok(Line {
            kind,
            direction,
            caps,
            agreed: Some((codec, payload)),
        })
    }

    /// Prepares a line, at a place of the remote offer or at the end of ours.
    fn add_line(&mut self, index: Option<u32>, line: &Line) -> Result<(), anyhow::Error> {
        let sends = matches!(line.direction, Direction::Sendrecv | Direction::Sendonly);
        let ssrc = fastrand::u32(1..);
        let mut caps = line.caps.clone();
        if sends {
            // Once: webrtcbin describes it as often as it finds it.
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
            let mut outgoing = Outgoing::new(line.kind, ssrc, sink);
            if let Some((codec, payload)) = line.agreed {
                outgoing.link(&self.pipeline, codec, payload, &self.media.encoding.opus)?;
            }
            self.outgoing.push(outgoing);
            transceiver
        } else {
            self.webrtc
                .emit_by_name::<WebRTCRTPTransceiver>("add-transceiver", &[&line.direction, &caps])
        };
        if line.kind == Kind::Video {
            transceiver.set_property("do-nack", true);
        }
        Ok(())
    }

    /// Says what either side could have taken.
    fn none_in_common(&self, kind: Kind, theirs: &SDPMediaRef) -> Failure {
        lines::none_in_common(kind, &self.media, &codecs::named(theirs))
    }
}

/// Has webrtcbin make a description and take it as the local one.
async fn describe(
    webrtc: &gst::Element,
    kind: SdpType,
    opus: Opus,
) -> Result<Description, Failure> {
    let (signal, field) = match kind {
        SdpType::Offer => ("create-offer", "offer"),
        SdpType::Answer => ("create-answer", "answer"),
    };
    let make = async {
        let reply = ask(webrtc, signal, &None::<gst::Structure>)
            .await?
            .context("no reply")?;
        let mut description = certificate::announce(reply.get::<WebRTCSessionDescription>(field)?)?;
        if kind == SdpType::Offer {
            let text = codecs::with_retransmission(description.sdp())?;
            let sdp = SDPMessage::parse_buffer(text.as_bytes())?;
            description = WebRTCSessionDescription::new(WebRTCSDPType::Offer, sdp);
        }
        ask(webrtc, "set-local-description", &description).await?;
        let sdp = codecs::with_wishes(&description.sdp().as_text()?, &opus);
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

fn internal(error: anyhow::Error) -> Failure {
    Failure::new(
        FailureKind::Other,
        format!("The connection could not be described: {error:#}"),
    )
}
