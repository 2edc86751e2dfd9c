//! What two peers say to one another to set up a call; the relay carries it unread.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The bare text that asks the other side to make the offer.
pub const OFFER_REQUEST: &str = "OFFER_REQUEST";

/// One message of the negotiation. `Display` is the inverse of [`Signal::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// An offer or an answer ([RFC 8829](https://www.rfc-editor.org/rfc/rfc8829)).
    Sdp(Description),
    /// A trickled ICE candidate ([RFC 8838](https://www.rfc-editor.org/rfc/rfc8838)).
    Ice(Candidate),
    /// The other side shall make the offer.
    OfferRequest,
}

/// A session description ([RFC 8866](https://www.rfc-editor.org/rfc/rfc8866)) and what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Offer or answer.
    #[serde(rename = "type")]
    pub kind: SdpType,
    /// The text of the description.
    pub sdp: String,
}

/// The kinds of description Aldis uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SdpType {
    /// Proposes a session.
    Offer,
    /// Accepts, or narrows down, what was offered.
    Answer,
}

/// An ICE candidate. An empty text means that there will be no more for this media line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// The text of the `candidate` attribute, or empty for the end of candidates.
    pub candidate: String,
    /// The media line it belongs to, counted from 0.
    #[serde(rename = "sdpMLineIndex")]
    pub sdp_m_line_index: u32,
    /// The same line by its `mid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdp_mid: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Envelope<D, C> {
    Sdp(D),
    Ice(C),
}

impl Signal {
    /// Reads a message of the other peer; `None` for one this version does not know, which is to be
    /// ignored.
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with(OFFER_REQUEST) {
            return Some(Self::OfferRequest);
        }
        match serde_json::from_str(text).ok()? {
            Envelope::Sdp(description) => Some(Self::Sdp(description)),
            Envelope::Ice(candidate) => Some(Self::Ice(candidate)),
        }
    }
}

impl Candidate {
    /// Whether this is the notice that no more candidates will come.
    pub fn is_end_of_candidates(&self) -> bool {
        self.candidate.is_empty()
    }

    /// Whether the address is a name of multicast DNS
    /// ([RFC 8828](https://www.rfc-editor.org/rfc/rfc8828), section 3.1), which hides the real one.
    pub fn is_mdns(&self) -> bool {
        self.candidate
            .split(' ')
            .nth(4)
            .is_some_and(|address| address.ends_with(".local"))
    }
}

impl fmt::Display for SdpType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Offer => "offer",
            Self::Answer => "answer",
        })
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let envelope = match self {
            Self::OfferRequest => return f.write_str(OFFER_REQUEST),
            Self::Sdp(description) => Envelope::Sdp(description),
            Self::Ice(candidate) => Envelope::Ice(candidate),
        };
        f.write_str(&serde_json::to_string(&envelope).map_err(|_| fmt::Error)?)
    }
}
