//! The certificate that this process shows its peers.
//!
//! Left to itself GStreamer makes one with an RSA key, and a peer that takes none but elliptic curves,
//! as aiortc does, cannot connect. Every peer has to take the curve used here
//! ([RFC 8827, section 6.5](https://www.rfc-editor.org/rfc/rfc8827#section-6.5)).

use std::sync::OnceLock;

use anyhow::Context as _;
use gst::prelude::*;
use gst_sdp::SDPMessage;
use gst_webrtc::WebRTCSessionDescription;
use sha2::{Digest as _, Sha256};

/// One for the whole process, so that the fingerprint stays the same from one connection with a peer
/// to the next.
static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();

/// What peers read as its name; it says nothing of this machine.
const NAME: &str = "WebRTC";

/// How a description announces a certificate
/// ([RFC 8122, section 5](https://www.rfc-editor.org/rfc/rfc8122#section-5)).
const ATTRIBUTE: &str = "a=fingerprint:";

struct Certificate {
    /// Itself and, behind it, its key.
    pem: String,
    fingerprint: String,
}

/// Has a dtlsdec that has just been made show our certificate. It is given before its dtlsenc looks
/// for the connection they share.
pub(super) fn show(dtlsdec: &gst::Element) {
    let Some(certificate) = certificate() else {
        return;
    };
    let shown = dtlsdec.property::<Option<String>>("pem");
    if shown.as_ref() == Some(&certificate.pem) {
        return;
    }
    // A connection keeps the certificate that there was when it got its id.
    let id = dtlsdec.property::<Option<String>>("connection-id");
    dtlsdec.set_property("pem", &certificate.pem);
    dtlsdec.set_property("connection-id", id);
}

/// A description of ours with the fingerprint of our certificate. webrtcbin hashes the whole text it
/// was given, the key included.
pub(super) fn announce(
    description: WebRTCSessionDescription,
) -> Result<WebRTCSessionDescription, anyhow::Error> {
    let Some(certificate) = certificate() else {
        return Ok(description);
    };
    let text = with_fingerprint(&description.sdp().as_text()?, &certificate.fingerprint);
    let sdp = SDPMessage::parse_buffer(text.as_bytes())?;
    Ok(WebRTCSessionDescription::new(description.type_(), sdp))
}

/// `None` where it cannot be made: GStreamer's own will do for most peers.
fn certificate() -> Option<&'static Certificate> {
    if let Some(certificate) = CERTIFICATE.get() {
        return Some(certificate);
    }
    match Certificate::make() {
        Ok(certificate) => Some(CERTIFICATE.get_or_init(|| certificate)),
        Err(error) => {
            tracing::warn!("no certificate of our own: {error:#}");
            None
        }
    }
}

impl Certificate {
    /// On the curve P-256.
    fn make() -> Result<Self, anyhow::Error> {
        let key = rcgen::KeyPair::generate().context("making a key")?;
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, NAME);
        let certificate = params.self_signed(&key).context("making a certificate")?;
        let digest = Sha256::digest(certificate.der());
        let digits: Vec<_> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        Ok(Self {
            pem: certificate.pem() + &key.serialize_pem(),
            fingerprint: format!("sha-256 {}", digits.join(":")),
        })
    }
}

fn with_fingerprint(sdp: &str, fingerprint: &str) -> String {
    let lines = sdp.split_inclusive('\n').map(|line| {
        if line.starts_with(ATTRIBUTE) {
            format!("{ATTRIBUTE}{fingerprint}\r\n")
        } else {
            line.to_owned()
        }
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fingerprint_of_a_description_becomes_ours() {
        let sdp = "v=0\r\na=fingerprint:sha-256 AA\r\nm=audio 9 X 0\r\n\
                   a=fingerprint:sha-1 BB\r\na=mid:0\r\n";
        let ours = "v=0\r\na=fingerprint:sha-256 CC\r\nm=audio 9 X 0\r\n\
                    a=fingerprint:sha-256 CC\r\na=mid:0\r\n";
        assert_eq!(with_fingerprint(sdp, "sha-256 CC"), ours);
    }

    #[test]
    fn the_certificate_is_the_one_that_is_announced() {
        gst::init().expect("GStreamer is installed");
        let made = Certificate::make().expect("a certificate");
        let (certificate, _key) = made
            .pem
            .split_at(made.pem.find("-----BEGIN P").expect("a key"));
        let announced = made.fingerprint.to_ascii_lowercase();
        assert!(crate::sdp::is_announced(
            &crate::sdp::der(certificate),
            &[announced]
        ));
    }
}
