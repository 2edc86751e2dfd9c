//! The names of peers and rooms.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::limits::MAX_ID_BYTES;

/// The name under which a peer registered; unique on its relay. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(Arc<str>);

/// The name of a room; the room exists while somebody is in it. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomId(Arc<str>);

/// Why a text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidId {
    /// There is no character in it.
    Empty,
    /// There is white space in it, of Unicode's kinds or of Python's.
    Blank,
    /// It is longer than [`MAX_ID_BYTES`].
    TooLong,
    /// It is a word that the protocol keeps for itself (the room `session`).
    Reserved,
}

impl PeerId {
    /// The id as the text it travels as.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RoomId {
    /// The id as the text it travels as.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PeerId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        check(text)?;
        Ok(Self(text.into()))
    }
}

impl FromStr for RoomId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        check(text)?;
        if text == "session" {
            return Err(InvalidId::Reserved);
        }
        Ok(Self(text.into()))
    }
}

/// White space as the protocol counts it: Unicode's, and the four ASCII separators that Python adds.
pub fn is_blank(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn check(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        Err(InvalidId::Empty)
    } else if text.len() > MAX_ID_BYTES {
        Err(InvalidId::TooLong)
    } else if text.chars().any(is_blank) {
        Err(InvalidId::Blank)
    } else {
        Ok(())
    }
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "an id needs at least one character"),
            Self::Blank => write!(f, "an id must not contain white space"),
            Self::TooLong => write!(f, "an id has at most {MAX_ID_BYTES} bytes"),
            Self::Reserved => write!(f, "no room may be called 'session'"),
        }
    }
}

impl std::error::Error for InvalidId {}

macro_rules! text_traits {
    ($($id:ty),*) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        /// Escaped, since an id is a stranger's text: fit for a log.
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Borrow<str> for $id {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

text_traits!(PeerId, RoomId);
