//! What is told of connections that stand.

use std::fmt;

use serde::Serialize;

use super::as_optional_text;
use crate::safety_words::SafetyWords;

/// A connection that has just come up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Connection {
    /// The type of our candidate: host, srflx, prflx or relay.
    pub local: String,
    /// The type of the peer's candidate.
    pub remote: String,
    /// udp or tcp.
    pub transport: String,
    /// Time since the call began.
    pub setup_ms: u64,
    /// Words that are the same at both ends when nobody sits between them.
    #[serde(serialize_with = "as_optional_text")]
    pub safety_words: Option<SafetyWords>,
}

/// A connection that has taken the place of another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reconnection {
    /// How long nothing came from the other side, from the last thing that came over the old
    /// connection to the first over the new one.
    pub seconds: f64,
    /// Why it was made.
    pub why: Doubt,
    /// The type of our candidate.
    pub local: String,
    /// The type of the peer's candidate.
    pub remote: String,
    /// udp or tcp.
    pub transport: String,
}

/// Why a connection is not trusted to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Doubt {
    /// Nothing comes over it.
    Silence,
    /// An address of this machine is gone.
    Address,
    /// What we show to the TURN server expires.
    Credentials,
    /// The other side wants another one.
    Partner,
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            local,
            remote,
            transport,
            setup_ms,
            safety_words,
        } = self;
        write!(
            f,
            "connected after {setup_ms} ms ({local} to {remote} over {transport})"
        )?;
        match safety_words {
            Some(words) => write!(f, "; safety words: {words}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Reconnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seconds,
            why,
            local,
            remote,
            transport,
        } = self;
        write!(
            f,
            "reconnected because {why} ({local} to {remote} over {transport}); {seconds:.1} s \
             without anything from the other side"
        )
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silence => "nothing came",
            Self::Address => "an address of this machine is gone",
            Self::Credentials => "the credentials for TURN expire",
            Self::Partner => "the other side wanted to",
        })
    }
}
