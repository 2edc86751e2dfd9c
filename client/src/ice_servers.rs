//! The STUN and TURN servers of a connection: those given by hand, and those a relay tells of.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::Deserialize;
use url::{Host, Url};

/// The most servers of each kind that are taken from a relay.
pub const MAX_SERVERS: usize = 16;

/// The port of STUN and TURN where none is named.
const USUAL_PORT: u16 = 3478;

/// The port of TURN by TLS where none is named.
const USUAL_TLS_PORT: u16 = 5349;

/// How often a relay is asked at the most, whatever it says about the lifetime of its answer.
const SHORTEST_REFRESH: Duration = Duration::from_secs(1);

/// How often a relay is asked at the least: what it answers may have changed.
const LONGEST_REFRESH: Duration = Duration::from_secs(24 * 3600);

/// Servers as webrtcbin takes them. What they hold may be secret, so `Debug` only counts them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct IceServers {
    /// `stun://host:port`
    pub stun: Vec<String>,
    /// `turn://user:password@host:port?transport=udp`, user and password percent-encoded; `turns://`
    /// for TLS.
    pub turn: Vec<String>,
}

/// What a relay tells of, and for how long it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// The servers.
    pub servers: IceServers,
    /// For how long their credentials hold; `None` when the relay does not say.
    pub lifetime: Option<Duration>,
}

/// A TURN server that is spoken to by TLS. The credentials are secret, so there is no `Debug`.
pub struct TlsServer {
    /// `user:password`, both percent-encoded.
    pub credentials: String,
    /// Its name or address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl TlsServer {
    /// Where it is, for people.
    pub fn place(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Reads `turns://user:password@host:port?transport=tcp`; `None` when it is something else.
pub fn tls_server(url: &str) -> Option<TlsServer> {
    let url = Url::parse(url).ok()?;
    let goes_by_tcp = matches!(url.query(), None | Some("transport=tcp"));
    if url.scheme() != "turns" || !goes_by_tcp {
        return None;
    }
    Some(TlsServer {
        credentials: format!("{}:{}", url.username(), url.password()?),
        host: url.host_str()?.trim_matches(['[', ']']).to_owned(),
        port: url.port().unwrap_or(USUAL_TLS_PORT),
    })
}

impl IceServers {
    /// These servers and, behind them, others.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        Self {
            stun: [self.stun.as_slice(), &others.stun].concat(),
            turn: [self.turn.as_slice(), &others.turn].concat(),
        }
    }
}

impl fmt::Debug for IceServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceServers")
            .field("stun", &self.stun.len())
            .field("turn", &self.turn.len())
            .finish()
    }
}

impl Lease {
    /// Reads the answer of a relay. What cannot be used of it is left out.
    ///
    /// # Errors
    /// When it is no such answer. The sentence quotes nothing of it.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let answer: Answer = serde_json::from_slice(json).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("no list of ICE servers, from line {line}, column {column} on")
        })?;
        let mut servers = IceServers::default();
        for entry in &answer.ice_servers {
            for url in entry.urls.as_slice() {
                entry.add(url, &mut servers);
            }
        }
        servers.stun.truncate(MAX_SERVERS);
        servers.turn.truncate(MAX_SERVERS);
        Ok(Self {
            servers,
            lifetime: answer.lifetime_seconds.map(Duration::from_secs),
        })
    }

    /// How long to wait until the relay is asked again: three quarters of the lifetime. `None` when
    /// nothing expires.
    pub fn refresh_after(&self) -> Option<Duration> {
        let wait = self.lifetime?.mul_f64(0.75);
        Some(wait.clamp(SHORTEST_REFRESH, LONGEST_REFRESH))
    }
}

/// As a browser takes it ([W3C, `RTCIceServer`](https://www.w3.org/TR/webrtc/#rtciceserver-dictionary)).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    ice_servers: Vec<Entry>,
    lifetime_seconds: Option<u64>,
}

#[derive(Deserialize)]
struct Entry {
    urls: Urls,
    username: Option<String>,
    credential: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Urls {
    One(String),
    Several(Vec<String>),
}

impl Urls {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(url) => std::slice::from_ref(url),
            Self::Several(urls) => urls,
        }
    }
}

impl Entry {
    fn add(&self, url: &str, servers: &mut IceServers) {
        match (parse_url(url), &self.username, &self.credential) {
            (Some(("stun", place)), ..) => servers.stun.push(format!("stun://{place}")),
            (Some((scheme @ ("turn" | "turns"), place)), Some(user), Some(password)) => {
                let (user, password) = (Encoded(user), Encoded(password));
                servers
                    .turn
                    .push(format!("{scheme}://{user}:{password}@{place}"));
            }
            _ => tracing::debug!("an ICE server of the relay cannot be used"),
        }
    }
}

/// The scheme of a STUN or TURN address and what is behind it, made anew from its parts
/// ([RFC 7064](https://www.rfc-editor.org/rfc/rfc7064#section-3.1),
/// [RFC 7065](https://www.rfc-editor.org/rfc/rfc7065#section-3.1)). TURN by DTLS, `turns:` by UDP, is
/// left out: nobody here speaks it.
fn parse_url(url: &str) -> Option<(&str, String)> {
    let (scheme, rest) = url.split_once(':')?;
    let (place, query) = match rest.split_once('?') {
        Some((place, query)) => (place, Some(query)),
        None => (rest, None),
    };
    let usual_port = match scheme {
        "stun" | "turn" => USUAL_PORT,
        "turns" => USUAL_TLS_PORT,
        _ => return None,
    };
    let (host, port) = match place.rsplit_once(':') {
        // The colons of an address of IPv6 are inside of brackets.
        Some((host, port)) if !port.contains(']') => (host, port.parse::<u16>().ok()?),
        _ => (place, usual_port),
    };
    let host = Host::parse(host).ok()?;
    let transport = match (scheme, query) {
        (_, None) => "",
        ("turn", Some("transport=udp")) => "?transport=udp",
        ("turn" | "turns", Some("transport=tcp")) => "?transport=tcp",
        (_, Some(_)) => return None,
    };
    (port != 0).then(|| (scheme, format!("{host}:{port}{transport}")))
}

/// Writes a text so that nothing in it is taken for a part of an address
/// ([RFC 3986, section 2.3](https://www.rfc-editor.org/rfc/rfc3986#section-2.3)).
struct Encoded<'a>(&'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.bytes().try_for_each(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                f.write_char(char::from(byte))
            }
            _ => write!(f, "%{byte:02X}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(json: &str) -> IceServers {
        Lease::parse(json.as_bytes()).expect("servers").servers
    }

    fn turn(url: &str) -> Vec<String> {
        let json =
            format!(r#"{{"iceServers":[{{"urls":"{url}","username":"u","credential":"p"}}]}}"#);
        parse(&json).turn
    }

    #[test]
    fn what_a_relay_answers_is_made_into_what_webrtcbin_takes() {
        let lease = Lease::parse(
            br#"{"iceServers":[
                {"urls":["stun:stun.example.org:3478"]},
                {"urls":["turn:turn.example.org:3478?transport=udp","turn:[2001:db8::1]"],
                 "username":"1790000000:cam","credential":"a+b/c=@"}],
               "lifetimeSeconds":3600}"#,
        )
        .expect("servers");
        assert_eq!(lease.servers.stun, ["stun://stun.example.org:3478"]);
        assert_eq!(
            lease.servers.turn,
            [
                "turn://1790000000%3Acam:a%2Bb%2Fc%3D%40@turn.example.org:3478?transport=udp",
                "turn://1790000000%3Acam:a%2Bb%2Fc%3D%40@[2001:db8::1]:3478",
            ]
        );
        assert_eq!(lease.lifetime, Some(Duration::from_secs(3600)));
    }

    #[test]
    fn what_cannot_be_used_is_left_out() {
        assert_eq!(turn("turn:h"), ["turn://u:p@h:3478"]);
        assert_eq!(turn("turns:h"), ["turns://u:p@h:5349"]);
        for url in [
            "turn:",
            "turn:h:0",
            "turn:h:70000",
            "turn:h:x",
            "turn://h",
            "turn:a@h",
            "turns:h?transport=udp",
            "turn:h?transport=quic",
            "turn:h?transport=tcp&x=1",
            "turn:two words",
            "http:h",
            "TURN",
            "",
        ] {
            assert!(turn(url).is_empty(), "{url}: {:?}", turn(url));
        }
        let no_credentials = parse(r#"{"iceServers":[{"urls":"turn:h"},{"urls":["stun:h"]}]}"#);
        assert!(no_credentials.turn.is_empty());
        assert_eq!(no_credentials.stun, ["stun://h:3478"]);
    }

    #[test]
    fn a_server_by_tls_is_taken_apart() {
        let parts = |url: &str| {
            let server = tls_server(url)?;
            Some((server.credentials.clone(), server.place(), server.port))
        };
        let some =
            |credentials: &str, place: &str, port| Some((credentials.into(), place.into(), port));
        assert_eq!(
            parts("turns://1790%3Acam:a%2Bb%40@h.example.org:443?transport=tcp"),
            some("1790%3Acam:a%2Bb%40", "h.example.org:443", 443)
        );
        assert_eq!(parts("turns://u:p@h"), some("u:p", "h:5349", 5349));
        assert_eq!(
            parts("turns://u:p@[2001:db8::1]:1"),
            some("u:p", "[2001:db8::1]:1", 1)
        );
        for url in [
            "turn://u:p@h",
            "turns://h",
            "turns://u@h",
            "turns://u:p@h?transport=udp",
            "",
        ] {
            assert_eq!(parts(url), None, "{url}");
        }
    }

    #[test]
    fn there_are_only_so_many() {
        let urls: Vec<_> = (0..100).map(|n| format!("\"stun:h{n}\"")).collect();
        let json = format!(r#"{{"iceServers":[{{"urls":[{}]}}]}}"#, urls.join(","));
        assert_eq!(parse(&json).stun.len(), MAX_SERVERS);
    }

    #[test]
    fn what_is_no_answer_is_refused_without_being_quoted() {
        for json in ["", "[]", "{}", "<html>", r#"{"iceServers":["swordfish"]}"#] {
            let refusal = Lease::parse(json.as_bytes()).expect_err(json);
            assert!(!refusal.contains("swordfish"), "{refusal}");
        }
    }

    #[test]
    fn a_relay_is_asked_again_before_its_answer_expires() {
        let after = |lifetime: Option<u64>| {
            let lifetime = lifetime.map(Duration::from_secs);
            let lease = Lease {
                lifetime,
                ..Lease::default()
            };
            lease.refresh_after().map(|wait| wait.as_secs())
        };
        assert_eq!(after(None), None);
        assert_eq!(after(Some(3600)), Some(2700));
        assert_eq!(after(Some(0)), Some(1));
        assert_eq!(after(Some(u64::MAX / 2)), Some(24 * 3600));
    }

    #[test]
    fn what_was_given_by_hand_comes_first_and_nothing_is_shown() {
        let servers = |name: &str| IceServers {
            stun: vec![format!("stun://{name}")],
            turn: vec![format!("turn://{name}:secret@h")],
        };
        let all = servers("hand").and(&servers("relay"));
        assert_eq!(all.stun, ["stun://hand", "stun://relay"]);
        assert_eq!(all.turn, ["turn://hand:secret@h", "turn://relay:secret@h"]);
        assert_eq!(format!("{all:?}"), "IceServers { stun: 2, turn: 2 }");
    }

    proptest! {
        #[test]
        fn credentials_arrive_as_they_were_sent(user in ".{0,40}", password in ".{0,40}") {
            let entry = Entry {
                urls: Urls::One("turn:h:1".into()),
                username: Some(user.clone()),
                credential: Some(password.clone()),
            };
            let mut servers = IceServers::default();
            entry.add("turn:h:1", &mut servers);
            let url = Url::parse(&servers.turn[0]).expect("an address");
            let decoded = |text: &str| {
                let form = format!("x={}", text.replace('+', "%2B"));
                let (_, value) = url::form_urlencoded::parse(form.as_bytes()).next().expect("one");
                value.into_owned()
            };
            prop_assert_eq!(decoded(url.username()), user);
            prop_assert_eq!(decoded(url.password().unwrap_or_default()), password);
        }

        #[test]
        fn no_answer_is_too_strange(json in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Lease::parse(&json);
        }
    }
}
