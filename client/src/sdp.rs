//! What a session description says, as far as we have to know it.

pub mod codecs;

use gst_sdp::{SDPMediaRef, SDPMessage, SDPMessageRef};
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::failure::{Failure, FailureKind};
use crate::media::Kind;

/// The header extension for transport-wide congestion control. Without it a browser guesses what
/// the path carries, and starts low.
pub const TWCC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// How many lines a description may have. Each costs threads, and ours have two.
const MAX_LINES: u32 = 8;

/// What the other side can do on a media line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directions {
    /// It wants to send.
    pub sends: bool,
    /// It wants to receive.
    pub receives: bool,
}

/// Reads a description.
///
/// # Errors
/// When it is no session description, or one with more lines than a call has any use for.
pub fn parse(text: &str) -> Result<SDPMessage, Failure> {
    let unreadable = || {
        Failure::new(
            FailureKind::ConnectionFailed,
            "The other side sent a session description that cannot be read.",
        )
    };
    if text.is_empty() {
        return Err(unreadable());
    }
    let sdp = SDPMessage::parse_buffer(text.as_bytes()).map_err(|_| unreadable())?;
    if (1..=MAX_LINES).contains(&sdp.medias_len()) {
        Ok(sdp)
    } else {
        Err(unreadable())
    }
}

/// The kind of a media line; `None` for data and for what we do not know.
pub fn kind(media: &SDPMediaRef) -> Option<Kind> {
    Kind::ALL
        .into_iter()
        .find(|kind| media.media() == Some(kind.as_str()))
}

/// Whether data channels are offered, or agreed to.
pub fn has_data(sdp: &SDPMessageRef) -> bool {
    sdp.medias()
        .any(|media| media.media() == Some("application") && !is_rejected(media))
}

/// Whether the other side wants nothing of this line.
pub fn is_rejected(media: &SDPMediaRef) -> bool {
    media.port() == 0 && media.attribute_val("bundle-only").is_none()
}

/// Which way media may flow, as the other side sees it
/// ([RFC 8866, section 6.7](https://www.rfc-editor.org/rfc/rfc8866#section-6.7)).
pub fn directions(media: &SDPMediaRef) -> Directions {
    let has = |name| media.attribute_val(name).is_some();
    let inactive = has("inactive");
    Directions {
        sends: !inactive && !has("recvonly"),
        receives: !inactive && !has("sendonly"),
    }
}

/// Every fingerprint in a description, wherever it stands
/// ([RFC 8122](https://www.rfc-editor.org/rfc/rfc8122)).
pub fn fingerprints(sdp: &SDPMessageRef) -> Vec<String> {
    let of_session = sdp.attributes();
    let of_media = sdp.medias().flat_map(SDPMediaRef::attributes);
    let mut found: Vec<_> = of_session
        .chain(of_media)
        .filter(|attribute| attribute.key() == "fingerprint")
        .filter_map(|attribute| Some(attribute.value()?.trim().to_ascii_lowercase()))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether a certificate (DER) is the one that the fingerprints announce. There must be one at the
/// least whose hash is still trusted, and every such one must fit.
pub fn is_announced(certificate: &[u8], fingerprints: &[String]) -> bool {
    let mut trusted = fingerprints.iter().filter_map(|fingerprint| {
        let (hash, announced) = fingerprint.split_once(' ')?;
        let actual = match hash {
            "sha-256" => Sha256::digest(certificate).to_vec(),
            "sha-384" => Sha384::digest(certificate).to_vec(),
            "sha-512" => Sha512::digest(certificate).to_vec(),
            _ => return None,
        };
        let actual: Vec<_> = actual.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(actual.join(":") == announced.trim())
    });
    trusted
        .next()
        .is_some_and(|first| first && trusted.all(|fits| fits))
}

/// The certificate inside PEM text, as DER.
pub fn der(pem: &str) -> Vec<u8> {
    let base64: String = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    gst::glib::base64_decode(&base64)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
        a=fingerprint:sha-256 AA:BB\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 104\r\n\
        a=fingerprint:sha-256 AA:BB\r\n\
        a=recvonly\r\n\
        a=extmap:3/recvonly http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
        a=rtpmap:96 VP8/90000\r\n\
        a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n\
        a=rtpmap:102 H264/90000\r\n\
        a=fmtp:102 packetization-mode=1;profile-level-id=42001f\r\n\
        a=rtpmap:104 H264/90000\r\n\
        a=fmtp:104 packetization-mode=1;profile-level-id=42e01f\r\n\
        m=audio 0 UDP/TLS/RTP/SAVPF 111\r\n\
        a=inactive\r\n\
        a=rtpmap:111 opus/48000/2\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n";

    pub(super) fn offer() -> SDPMessage {
        gst::init().expect("GStreamer is installed");
        parse(OFFER).expect("a description")
    }

    #[test]
    fn lines_say_which_way_and_whether_at_all() {
        let offer = offer();
        let lines: Vec<_> = offer.medias().collect();
        assert_eq!(
            lines.iter().map(|line| kind(line)).collect::<Vec<_>>(),
            [Some(Kind::Video), Some(Kind::Audio), None]
        );
        assert_eq!(
            directions(lines[0]),
            Directions {
                sends: false,
                receives: true
            }
        );
        assert_eq!(
            directions(lines[1]),
            Directions {
                sends: false,
                receives: false
            }
        );
        assert_eq!(
            directions(lines[2]),
            Directions {
                sends: true,
                receives: true
            }
        );
        assert_eq!(
            lines
                .iter()
                .map(|line| is_rejected(line))
                .collect::<Vec<_>>(),
            [false, true, false]
        );
    }

    #[test]
    fn what_is_no_description_is_refused() {
        gst::init().expect("GStreamer is installed");
        let line = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n";
        let crowd = format!("v=0\r\ns=-\r\nt=0 0\r\n{}", line.repeat(9));
        for text in ["", "v=0", "hello", "m=", "\0", &crowd] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_the_announced_certificate_passes() {
        let hash = |bytes: &[u8]| {
            let digest = Sha256::digest(bytes);
            digest
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<Vec<_>>()
                .join(":")
        };
        let right = format!("sha-256 {}", hash(b"certificate"));
        let wrong = format!("sha-256 {}", hash(b"another"));
        assert!(is_announced(b"certificate", std::slice::from_ref(&right)));
        assert!(!is_announced(b"certificate", std::slice::from_ref(&wrong)));
        assert!(
            !is_announced(b"certificate", &[right.clone(), wrong]),
            "each one must fit"
        );
        assert!(
            !is_announced(b"certificate", &[]),
            "no fingerprint is no proof"
        );
        assert!(
            !is_announced(b"certificate", &["sha-1 00".into()]),
            "SHA-1 proves nothing"
        );
        let both = ["sha-1 00".to_owned(), right.clone()];
        assert!(
            is_announced(b"certificate", &both),
            "nor does it disprove anything"
        );
        assert!(!is_announced(b"certificate", &[right.replace(' ', "")]));
        assert_eq!(fingerprints(&offer()), ["sha-256 aa:bb"]);
    }

    #[test]
    fn pem_is_read_as_der() {
        assert_eq!(
            der("-----BEGIN CERTIFICATE-----\naGk=\n-----END CERTIFICATE-----\n"),
            b"hi"
        );
    }
}
