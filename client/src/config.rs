//! What is meant, whatever was typed.

use std::net::IpAddr;

use protocol::PeerId;
use url::Url;

use crate::media::Media;

/// All that one client is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whom to call; `None` to be called.
    pub call: Option<Callee>,
    /// The id under which we are known.
    pub our_id: PeerId,
    /// How the relay and the peers are reached.
    pub connection: Connection,
    /// What is sent.
    pub media: Media,
    /// Where what comes in is shown.
    pub show: Show,
    /// Whether reports are JSON.
    pub json: bool,
    /// Say what would be captured, as a command, and do nothing.
    pub print_pipeline: bool,
}

/// A peer to be called.
#[derive(Clone, Debug)]
pub struct Callee {
    /// Its id.
    pub peer: PeerId,
    /// Whether it is asked to make the offer.
    pub request_offer: bool,
}

/// How the relay and the peers are reached.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The relay's address, `ws://host:port`.
    pub server: Url,
    /// `stun://host:port`
    pub stun: Option<String>,
    /// `turn://user:password@host:port`, percent-encoded.
    pub turn: Vec<String>,
    /// Use this address alone for ICE.
    pub local_address: Option<IpAddr>,
}

/// Where what comes in is shown. Wherever that is, it is decoded and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// In a window, with sound; without a display the client fails.
    Window,
    /// In a window, where there is a display.
    WindowWherePossible,
    /// Nowhere.
    Nowhere,
}
