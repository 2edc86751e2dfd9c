//! What a channel carries, and how.

use std::fmt;

use gst::glib;

/// The longest message, in bytes: webrtcbin sends no longer ones, and takes them in pieces.
pub const MAX_MESSAGE_BYTES: usize = 65_536;

/// How a channel carries its messages
/// ([W3C, `RTCDataChannelInit`](https://www.w3.org/TR/webrtc/#dom-rtcdatachannelinit)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataChannelInit {
    /// Whether messages arrive in the order in which they were sent.
    pub ordered: bool,
    /// Give a message up after so many milliseconds; not together with `max_retransmits`.
    pub max_packet_lifetime: Option<u16>,
    /// Give a message up after so many repetitions; not together with `max_packet_lifetime`.
    pub max_retransmits: Option<u16>,
    /// The name of what is spoken on it, if it has one.
    pub protocol: String,
}

/// What a channel carries.
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(glib::Bytes),
}

/// Why a message is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The channel, or the whole connection, is over.
    Closed,
    /// The message is longer than [`MAX_MESSAGE_BYTES`]; it has so many bytes.
    TooLong(usize),
    /// The text has a NUL in it, which GStreamer takes for its end. Bytes may have any.
    Nul,
    /// GStreamer does not take it.
    Refused(String),
}

impl Default for DataChannelInit {
    fn default() -> Self {
        Self {
            ordered: true,
            max_packet_lifetime: None,
            max_retransmits: None,
            protocol: String::new(),
        }
    }
}

impl Message {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Bytes.
    pub fn binary(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Binary(glib::Bytes::from_owned(bytes.into()))
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Says how long it is, and not what: that is the peers' own business.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Text(_) => "Text",
            Self::Binary(_) => "Binary",
        };
        write!(f, "{kind}({} bytes)", self.len())
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the data channel is closed"),
            Self::TooLong(bytes) => write!(
                f,
                "a message of {bytes} bytes is too long; {MAX_MESSAGE_BYTES} may be sent"
            ),
            Self::Nul => f.write_str("a text with a NUL in it cannot be sent; send it as bytes"),
            Self::Refused(reason) => write!(f, "GStreamer does not send the message: {reason}"),
        }
    }
}

impl std::error::Error for SendError {}
