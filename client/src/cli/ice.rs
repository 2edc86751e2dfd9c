//! By which servers peers are reached.

use std::path::PathBuf;

use url::Url;

use crate::config::Trust;
use crate::ice_servers::{IceServers, tls_server};

/// STUN and TURN servers.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct IceArgs {
    /// A STUN server, as stun://HOST:PORT, beside those the relay tells of
    #[arg(long, value_name = "URL", value_parser = stun_server)]
    stun: Option<String>,

    /// A TURN server, as turn://USER:PASSWORD@HOST:PORT with both percent-encoded, or turns://
    /// to reach it by TLS; may be repeated.
    /// Other users of this machine can read a command line; the variable ALDIS_TURN they cannot
    #[arg(long, env = "ALDIS_TURN", hide_env_values = true, value_delimiter = ' ', value_name = "URL", value_parser = turn_server)]
    turn: Vec<String>,

    /// Trust TURN servers by TLS if this PEM file vouches for them, and not if the authorities of this
    /// system do
    #[arg(long, value_name = "FILE")]
    turn_ca: Option<PathBuf>,
}

impl IceArgs {
    /// The servers, and who has to vouch for those that are spoken to by TLS.
    pub(super) fn into_servers(self) -> (IceServers, Trust) {
        let servers = IceServers {
            stun: self.stun.into_iter().collect(),
            turn: self.turn,
        };
        let trust = self.turn_ca.map_or(Trust::System, Trust::Authorities);
        (servers, trust)
    }
}

fn stun_server(text: &str) -> Result<String, String> {
    match has_scheme(text, "stun") {
        true => Ok(text.into()),
        false => Err("the address has to begin with stun://".into()),
    }
}

/// A refusal quotes nothing: there may be a password in it.
fn turn_server(text: &str) -> Result<String, String> {
    if has_scheme(text, "turn") || tls_server(text).is_some() {
        return Ok(text.into());
    }
    Err(match has_scheme(text, "turns") {
        true => "TURN by TLS needs turns://USER:PASSWORD@HOST:PORT, and goes by TCP".into(),
        false => "the address has to begin with turn:// or turns://".into(),
    })
}

fn has_scheme(text: &str, scheme: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.scheme() == scheme && url.host_str().is_some())
}
