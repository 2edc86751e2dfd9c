//! What is meant, whatever was typed.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use protocol::PeerId;
use url::Url;

use crate::data::Data;
use crate::ice_servers::IceServers;
use crate::media::{Media, VideoSource};
use crate::observation::Observation;
use crate::receiving::Receiving;

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
    /// What data channels are for.
    pub data: Data,
    /// What else becomes of it.
    pub receiving: Receiving,
    /// How it can be looked into while it runs.
    pub observation: Observation,
    /// Whether reports are JSON.
    pub json: bool,
    /// Do what lines on standard input say ([`command`](crate::command)).
    pub commands: bool,
    /// Say what would be captured, as a command, and do nothing.
    pub print_pipeline: bool,
    /// Say which cameras, microphones, outputs, monitors and windows there are, and do nothing.
    pub list_devices: bool,
    /// Say which encoders there are and which of them work, and do nothing.
    pub list_encoders: bool,
    /// Look whether a call would work, and make none.
    pub check: bool,
    /// How long a peer from whom nothing comes is waited for, while other ways to it are tried.
    pub patience: Duration,
}

impl Config {
    /// An end that is known to a relay (`ws://HOST:PORT` or `wss://HOST:PORT`) by an id, waits to be
    /// called, sends nothing, and decodes and counts what comes in. Everything else is a matter of its
    /// fields.
    pub fn new(server: Url, our_id: PeerId) -> Self {
        Self {
            call: None,
            our_id,
            connection: Connection {
                relay: Relay {
                    server,
                    trust: Trust::System,
                    token: Token::None,
                },
                ice: IceServers::default(),
                turn_trust: Trust::System,
                ice_policy: IcePolicy::All,
                local_address: None,
            },
            media: Media::default(),
            show: Show::Nowhere,
            data: Data::default(),
            receiving: Receiving::default(),
            observation: Observation::default(),
            json: false,
            commands: false,
            print_pipeline: false,
            list_devices: false,
            list_encoders: false,
            check: false,
            patience: Duration::from_secs(10),
        }
    }
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
    /// The relay.
    pub relay: Relay,
    /// STUN and TURN servers given by hand; those the relay tells of come behind them.
    pub ice: IceServers,
    /// Who has to vouch for TURN servers that are spoken to by TLS.
    pub turn_trust: Trust,
    /// By which ways peers may be reached.
    pub ice_policy: IcePolicy,
    /// Use this address alone for ICE.
    pub local_address: Option<IpAddr>,
}

/// A relay, whom to trust there, and what to show at its door.
#[derive(Clone, Debug)]
pub struct Relay {
    /// Its address, `ws://host:port` or `wss://host:port`.
    pub server: Url,
    /// Who has to vouch for it; of no use without TLS.
    pub trust: Trust,
    /// What lets us in, where not everybody may enter.
    pub token: Token,
}

/// Who has to vouch for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// An authority that this system trusts.
    System,
    /// An authority in this PEM file, or a certificate there that vouches for itself.
    Authorities(PathBuf),
    /// Nobody: its certificate is this one.
    Certificate(Fingerprint),
}

/// Where a bearer token comes from ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// There is none.
    None,
    /// It was given.
    Given(Secret),
    /// It is the content of a file, which is read anew for every connection.
    File(PathBuf),
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// The SHA-256 of a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// By which ways peers may be reached ([W3C, `RTCIceTransportPolicy`](https://www.w3.org/TR/webrtc/#dom-rtcicetransportpolicy)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IcePolicy {
    /// By all.
    #[default]
    All,
    /// Through a TURN server alone.
    Relay,
}

impl Config {
    /// The X display that was named, whatever is captured of it.
    pub fn display(&self) -> Option<String> {
        if let VideoSource::Screen(screen) = &self.media.video {
            return screen.display.clone();
        }
        None
    }
}

impl Secret {
    /// Takes a text into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// As a relay prints it, `AA:BB:..`; colons and small letters do not matter.
impl FromStr for Fingerprint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = "a fingerprint has 64 hexadecimal digits, as the relay prints them";
        let digits: Option<Vec<_>> = text
            .chars()
            .filter(|&c| c != ':')
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        let digits = digits.ok_or(wanted)?;
        let bytes: Vec<_> = digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |sum, digit| sum << 4 | digit))
            .collect();
        match bytes.try_into() {
            Ok(bytes) if digits.len() == 64 => Ok(Self(bytes)),
            Ok(_) | Err(_) => Err(wanted),
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.0.iter().enumerate() {
            let colon = if position == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_is_printed() {
        let fingerprint = Fingerprint(std::array::from_fn(|n| u8::try_from(n * 8).unwrap_or(0)));
        let printed = fingerprint.to_string();
        assert!(printed.starts_with("00:08:10:18:"), "{printed}");
        for text in [&printed, &printed.replace(':', ""), &printed.to_lowercase()] {
            assert_eq!(text.parse(), Ok(fingerprint), "{text}");
        }
    }

    #[test]
    fn what_is_no_fingerprint_is_refused() {
        let digits = "0".repeat(63);
        for text in [
            "",
            "AA:BB",
            "x",
            &digits,
            &format!("{digits}g"),
            &format!("{digits}00"),
        ] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let token = Token::Given(Secret::new("swordfish"));
        assert_eq!(format!("{token:?}"), "Given(Secret)");
    }
}
