//! The STUN and TURN servers as peers are told about them.
//!
//! Credentials for TURN are made on the spot, by the scheme that coturn calls `use-auth-secret`
//! ([draft-uberti-behave-turn-rest](https://datatracker.ietf.org/doc/html/draft-uberti-behave-turn-rest-00)):
//! the user's name says until when it holds, and the password proves that who shares a secret with
//! the TURN server has said so.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde::Serialize;

use crate::config::IceConfig;

/// What an application needs to reach its peers, for as long as the credentials hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IceServers {
    /// As W3C's `RTCConfiguration` has them.
    pub(crate) ice_servers: Vec<IceServer>,
    /// For how long they hold.
    pub(crate) lifetime_seconds: u64,
}

/// Some servers with the same credentials: W3C's `RTCIceServer`.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub(crate) struct IceServer {
    /// As `stun:stun.example.org:3478`.
    pub(crate) urls: Vec<String>,
    /// The user, for TURN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<String>,
    /// The password, for TURN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) credential: Option<String>,
}

/// The servers for somebody of that name. Without a secret there are no TURN servers: to a browser
/// one without credentials is an error.
pub(crate) fn ice_servers(config: &IceConfig, name: &str, now_unix: u64) -> IceServers {
    let lifetime_seconds = config.turn_lifetime.as_secs();
    let mut ice_servers = Vec::new();
    if !config.stun.is_empty() {
        ice_servers.push(IceServer {
            urls: config.stun.clone(),
            username: None,
            credential: None,
        });
    }
    if let Some(secret) = config
        .turn_secret
        .as_ref()
        .filter(|_| !config.turn.is_empty())
    {
        let expiry = now_unix.saturating_add(lifetime_seconds);
        let username = format!("{expiry}:{name}");
        let key = hmac::Key::new(
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            secret.reveal().as_bytes(),
        );
        let credential = STANDARD.encode(hmac::sign(&key, username.as_bytes()));
        ice_servers.push(IceServer {
            urls: config.turn.clone(),
            username: Some(username),
            credential: Some(credential),
        });
    }
    IceServers {
        ice_servers,
        lifetime_seconds,
    }
}

/// Without the password.
impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceServer")
            .field("urls", &self.urls)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::config::Secret;

    fn config() -> IceConfig {
        IceConfig {
            stun: vec!["stun:stun.example.org:3478".into()],
            turn: vec![
                "turn:turn.example.org:3478?transport=udp".into(),
                "turns:turn.example.org:5349".into(),
            ],
            turn_secret: Some(Secret::new("north")),
            turn_lifetime: Duration::from_secs(3600),
        }
    }

    /// The credential is what `printf 1790003600:alice | openssl dgst -sha1 -hmac north -binary |
    /// base64` prints.
    #[test]
    fn credentials_are_what_a_turn_server_with_the_same_secret_expects() {
        let servers = ice_servers(&config(), "alice", 1_790_000_000);
        assert_eq!(
            serde_json::to_value(servers).expect("JSON"),
            json!({
                "iceServers": [
                    { "urls": ["stun:stun.example.org:3478"] },
                    {
                        "urls": [
                            "turn:turn.example.org:3478?transport=udp",
                            "turns:turn.example.org:5349",
                        ],
                        "username": "1790003600:alice",
                        "credential": "pgAHc3R4FaJCY/vrj638BD7odJ0=",
                    },
                ],
                "lifetimeSeconds": 3600,
            })
        );
    }

    #[test]
    fn a_turn_server_without_a_secret_is_not_told_of() {
        let without = IceConfig {
            turn_secret: None,
            ..config()
        };
        let servers = ice_servers(&without, "alice", 1_790_000_000);
        assert_eq!(servers.ice_servers.len(), 1);
        assert_eq!(servers.ice_servers[0].username, None);
    }

    #[test]
    fn a_relay_that_knows_no_servers_tells_of_none() {
        let only_a_secret = IceConfig {
            turn_secret: config().turn_secret,
            ..IceConfig::default()
        };
        for config in [IceConfig::default(), only_a_secret] {
            let servers = ice_servers(&config, "alice", 1_790_000_000);
            assert_eq!(
                serde_json::to_value(servers).expect("JSON"),
                json!({ "iceServers": [], "lifetimeSeconds": 3600 })
            );
        }
    }

    #[test]
    fn neither_secret_nor_credential_is_printed_for_debugging() {
        let (config, servers) = (config(), ice_servers(&config(), "alice", 1_790_000_000));
        let printed = format!("{config:?} {servers:?}");
        assert!(!printed.contains("north"), "{printed}");
        assert!(
            !printed.contains("pgAHc3R4FaJCY/vrj638BD7odJ0="),
            "{printed}"
        );
    }
}
