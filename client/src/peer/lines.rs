//! What our lines of media say: the caps of codecs, and the sentence when there is none in common.

use crate::failure::{Failure, FailureKind};
use crate::media::{Codec, Kind, Media, VideoCodec};
use crate::sdp::TWCC;
use crate::sdp::codecs::our_payload_type;

/// The caps of codecs in our own offers, one structure for each.
pub(super) fn offered(codecs: &[Codec]) -> gst::Caps {
    let mut caps = gst::Caps::new_empty();
    for codec in codecs {
        caps.merge(of_codec(*codec));
    }
    caps
}

fn of_codec(codec: Codec) -> gst::Caps {
    let builder = gst::Caps::builder("application/x-rtp")
        .field("media", codec.kind().as_str())
        .field("encoding-name", codec.encoding_name())
        .field("clock-rate", codec.clock_rate())
        .field("payload", i32::from(our_payload_type(codec)))
        .field("rtcp-fb-transport-cc", true);
    let Codec::Video(codec) = codec else {
        return builder
            .field("encoding-params", "2")
            .field("sprop-stereo", "1")
            .field("stereo", "1")
            .build();
    };
    let builder = builder
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
    .build()
}

/// Says what either side could have taken.
pub(super) fn none_in_common(kind: Kind, media: &Media, theirs: &[String]) -> Failure {
    let ours: Vec<_> = media.codecs(kind).iter().map(Codec::to_string).collect();
    let cure = match kind {
        Kind::Video => "name another with --video-codec",
        Kind::Audio => "send no sound with --audio none",
    };
    let theirs = match theirs {
        [] => "names none of its own".to_owned(),
        names => format!("could do {}", names.join(", ")),
    };
    Failure::new(
        FailureKind::CodecRefused,
        format!(
            "The other side does not take {}, and {theirs}; {cure}.",
            ours.join(" or "),
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_has_our_codecs_in_our_order_each_with_its_own_number() {
        gst::init().expect("GStreamer is installed");
        let codecs = [VideoCodec::Av1, VideoCodec::Vp8, VideoCodec::H264].map(Codec::Video);
        let caps = offered(&codecs);
        let told: Vec<_> = caps
            .iter()
            .filter_map(|codec| {
                let name = codec.get::<String>("encoding-name").ok()?;
                Some((name, codec.get::<i32>("payload").ok()?))
            })
            .collect();
        let expected = [("AV1", 102), ("VP8", 96), ("H264", 98)];
        assert_eq!(
            told,
            expected.map(|(name, number)| (name.to_owned(), number))
        );
    }
}
