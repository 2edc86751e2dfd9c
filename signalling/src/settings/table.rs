//! Every setting of the relay, once. The command line, the environment, the file, what is printed
//! and what is checked all walk this table, so that none of them can forget one.

use std::path::{Path, PathBuf};

use toml::Value;

use super::{LogFormat, Settings, value};
use crate::config::Certificate;

/// One thing a relay can be told, as an option `--max-peers`, as a variable
/// `ALDIS_RELAY_MAX_PEERS` and as a key `max-peers` of the file.
pub struct Setting {
    /// What it is called.
    pub name: &'static str,
    /// The title it stands under in the help.
    pub heading: &'static str,
    /// What stands for its value in the help.
    pub value_name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// How its value is written.
    pub kind: Kind,
    /// Takes one text; of a list, once for each.
    pub(super) take: fn(&mut Draft, &str) -> Result<(), String>,
    /// What the file would say, if there is anything to say.
    pub show: fn(&Settings) -> Option<Value>,
}

impl Setting {
    /// What holds when nothing is said, for people; nothing where that is nothing.
    pub fn usual(&self) -> Option<String> {
        let usual = (self.show)(&Settings::default())?;
        if let Value::String(text) = usual {
            return Some(text);
        }
        (usual != Value::Boolean(false)).then(|| usual.to_string())
    }
}

/// How the value of a setting is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number; of a time, also a text with a unit.
    Number,
    /// A text.
    Text,
    /// Yes or no; on the command line, the option alone says yes.
    Switch,
    /// Texts: the option again and again, or commas between them.
    List,
    /// Texts with commas between them, or a mere yes or no, as for [`Kind::Switch`].
    Names,
}

/// Settings under way, with what cannot be judged before all of it is there.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) settings: Settings,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    /// Of a certificate made on the spot.
    pub(super) names: Option<Vec<String>>,
}

/// The setting of that name.
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

fn put<T>(place: &mut T, taken: Result<T, String>) -> Result<(), String> {
    *place = taken?;
    Ok(())
}

fn add<T>(list: &mut Vec<T>, taken: Result<T, String>) -> Result<(), String> {
    list.push(taken?);
    Ok(())
}

fn text(path: &Path) -> Option<Value> {
    Some(Value::String(path.display().to_string()))
}

fn list(texts: &[String]) -> Option<Value> {
    (!texts.is_empty()).then(|| texts.to_vec().into())
}

const LISTENING: &str = "Listening";
const TLS: &str = "TLS";
const ENTRY: &str = "Who may enter";
const LIMITS: &str = "Limits";
const DEADLINES: &str = "Deadlines";
const ICE: &str = "STUN and TURN, of which peers are told";
const LOG: &str = "Log, on stderr";

/// Every setting, in the order of the help.
pub static SETTINGS: &[Setting] = &[
    Setting {
        name: "listen",
        heading: LISTENING,
        value_name: "ADDR:PORT",
        help: "Where to listen; port 0 lets the system choose a free one",
        kind: Kind::Text,
        take: |to, text| put(&mut to.settings.config.listen, value::address(text)),
        show: |settings| Some(Value::String(settings.config.listen.to_string())),
    },
    Setting {
        name: "tls-cert",
        heading: TLS,
        value_name: "FILE",
        help: "The certificate, as PEM, with those that vouch for it behind it; read again when it changes",
        kind: Kind::Text,
        take: |to, text| put(&mut to.certificate, value::path(text).map(Some)),
        show: |settings| match &settings.config.tls {
            Some(Certificate::Files { certificate, .. }) => text(certificate),
            Some(Certificate::SelfSigned { .. }) | None => None,
        },
    },
    Setting {
        name: "tls-key",
        heading: TLS,
        value_name: "FILE",
        help: "Its private key, as PEM; read again when it changes",
        kind: Kind::Text,
        take: |to, text| put(&mut to.key, value::path(text).map(Some)),
        show: |settings| match &settings.config.tls {
            Some(Certificate::Files { key, .. }) => text(key),
            Some(Certificate::SelfSigned { .. }) | None => None,
        },
    },
    Setting {
        name: "tls-self-signed",
        heading: TLS,
        value_name: "NAME,...",
        help: "Make a certificate on the spot, for these names and addresses [default: this machine's]",
        kind: Kind::Names,
        take: |to, text| take_names(to, text),
        show: |settings| match &settings.config.tls {
            Some(Certificate::SelfSigned { names }) => list(names).or(Some(Value::Boolean(true))),
            Some(Certificate::Files { .. }) | None => None,
        },
    },
    Setting {
        name: "allow-origin",
        heading: ENTRY,
        value_name: "ORIGIN",
        help: "A web page that may connect, as https://example.org; may be repeated [default: every page]",
        kind: Kind::List,
        take: |to, text| {
            let origins = &mut to.settings.config.allowed_origins;
            add(origins.get_or_insert_default(), value::origin(text))
        },
        show: |settings| settings.config.allowed_origins.as_deref().and_then(list),
    },
    Setting {
        name: "token-file",
        heading: ENTRY,
        value_name: "FILE",
        help: "The secrets by which one may enter; read again when it changes [default: everybody may enter]",
        kind: Kind::Text,
        take: |to, text| {
            put(
                &mut to.settings.config.token_file,
                value::path(text).map(Some),
            )
        },
        show: |settings| settings.config.token_file.as_deref().and_then(text),
    },
    Setting {
        name: "max-message-bytes",
        heading: LIMITS,
        value_name: "BYTES",
        help: "The longest message of a peer, at least 1024",
        kind: Kind::Number,
        take: |to, text| {
            put(
                &mut to.settings.config.limits.message_bytes,
                value::size(text),
            )
        },
        show: |settings| Some(value::integer(settings.config.limits.message_bytes)),
    },
    Setting {
        name: "max-connections",
        heading: LIMITS,
        value_name: "COUNT",
        help: "Connections in all, whatever they are used for",
        kind: Kind::Number,
        take: |to, text| {
            put(
                &mut to.settings.config.limits.connections,
                value::size(text),
            )
        },
        show: |settings| Some(value::integer(settings.config.limits.connections)),
    },
    Setting {
        name: "max-connections-per-address",
        heading: LIMITS,
        value_name: "COUNT",
        help: "Connections of one address, of one /64 network for IPv6",
        kind: Kind::Number,
        take: |to, text| {
            put(
                &mut to.settings.config.limits.connections_per_address,
                value::size(text),
            )
        },
        show: |settings| {
            Some(value::integer(
                settings.config.limits.connections_per_address,
            ))
        },
    },
    Setting {
        name: "max-new-connections-per-second",
        heading: LIMITS,
        value_name: "COUNT",
        help: "New connections of one address in a second, with as many again at once",
        kind: Kind::Number,
        take: |to, text| {
            put(
                &mut to.settings.config.limits.new_connections_per_second,
                value::count(text),
            )
        },
        show: |settings| {
            Some(value::integer(
                settings.config.limits.new_connections_per_second,
            ))
        },
    },
    Setting {
        name: "max-handshakes",
        heading: LIMITS,
        value_name: "COUNT",
        help: "Connections that are neither a WebSocket yet nor done with their HTTP",
        kind: Kind::Number,
        take: |to, text| put(&mut to.settings.config.limits.handshakes, value::size(text)),
        show: |settings| Some(value::integer(settings.config.limits.handshakes)),
    },
    Setting {
        name: "max-peers",
        heading: LIMITS,
        value_name: "COUNT",
        help: "Registered peers",
        kind: Kind::Number,
        take: |to, text| put(&mut to.settings.config.limits.peers, value::size(text)),
        show: |settings| Some(value::integer(settings.config.limits.peers)),
    },
    Setting {
        name: "max-peers-per-room",
        heading: LIMITS,
        value_name: "COUNT",
        help: "Members of one room",
        kind: Kind::Number,
        take: |to, text| {
            put(
                &mut to.settings.config.limits.peers_per_room,
                value::size(text),
            )
        },
        show: |settings| Some(value::integer(settings.config.limits.peers_per_room)),
    },
    Setting {
        name: "max-messages-per-second",
        heading: LIMITS,
        value_name: "COUNT",
        help: "Messages of one peer in a second, with as many again at once",
        kind: Kind::Number,
        take: |to, text| {
            put(
                &mut to.settings.config.limits.messages_per_second,
                value::count(text),
            )
        },
        show: |settings| Some(value::integer(settings.config.limits.messages_per_second)),
    },
    Setting {
        name: "max-outbox-bytes",
        heading: LIMITS,
        value_name: "BYTES",
        help: "What may wait to be read by one peer; who lets more pile up is dropped",
        kind: Kind::Number,
        take: |to, text| {
            put(
                &mut to.settings.config.limits.outbox_bytes,
                value::size(text),
            )
        },
        show: |settings| Some(value::integer(settings.config.limits.outbox_bytes)),
    },
    Setting {
        name: "limit-loopback",
        heading: LIMITS,
        value_name: "true|false",
        help: "Keep the bounds per address for loopback addresses (127.0.0.1, ::1) too",
        kind: Kind::Switch,
        take: |to, text| {
            put(
                &mut to.settings.config.limits.loopback_too,
                value::switch(text),
            )
        },
        show: |settings| Some(Value::Boolean(settings.config.limits.loopback_too)),
    },
    Setting {
        name: "handshake-deadline",
        heading: DEADLINES,
        value_name: "SECONDS",
        help: "How long a connection may take for its HTTP request, TLS included",
        kind: Kind::Number,
        take: |to, text| {
            put(
                &mut to.settings.config.deadlines.handshake,
                value::duration(text),
            )
        },
        show: |settings| Some(value::seconds(settings.config.deadlines.handshake)),
    },
    Setting {
        name: "hello-deadline",
        heading: DEADLINES,
        value_name: "SECONDS",
        help: "How long a WebSocket may take to say HELLO",
        kind: Kind::Number,
        take: |to, text| {
            put(
                &mut to.settings.config.deadlines.hello,
                value::duration(text),
            )
        },
        show: |settings| Some(value::seconds(settings.config.deadlines.hello)),
    },
    Setting {
        name: "ping-interval",
        heading: DEADLINES,
        value_name: "SECONDS",
        help: "How often every peer is pinged",
        kind: Kind::Number,
        take: |to, text| {
            put(
                &mut to.settings.config.deadlines.ping_interval,
                value::duration(text),
            )
        },
        show: |settings| Some(value::seconds(settings.config.deadlines.ping_interval)),
    },
    Setting {
        name: "stall-limit",
        heading: DEADLINES,
        value_name: "SECONDS",
        help: "How long a peer may leave unread what waits for it",
        kind: Kind::Number,
        take: |to, text| {
            put(
                &mut to.settings.config.deadlines.stall,
                value::duration(text),
            )
        },
        show: |settings| Some(value::seconds(settings.config.deadlines.stall)),
    },
    Setting {
        name: "stun",
        heading: ICE,
        value_name: "URL",
        help: "A STUN server, as stun:HOST:PORT; may be repeated",
        kind: Kind::List,
        take: |to, text| add(&mut to.settings.config.ice.stun, value::stun_url(text)),
        show: |settings| list(&settings.config.ice.stun),
    },
    Setting {
        name: "turn",
        heading: ICE,
        value_name: "URL",
        help: "A TURN server, as turn:HOST:PORT?transport=udp; may be repeated",
        kind: Kind::List,
        take: |to, text| add(&mut to.settings.config.ice.turn, value::turn_url(text)),
        show: |settings| list(&settings.config.ice.turn),
    },
    Setting {
        name: "turn-secret-file",
        heading: ICE,
        value_name: "FILE",
        help: "The secret shared with the TURN servers, static-auth-secret of coturn",
        kind: Kind::Text,
        take: |to, text| {
            put(
                &mut to.settings.turn_secret_file,
                value::path(text).map(Some),
            )
        },
        show: |settings| settings.turn_secret_file.as_deref().and_then(text),
    },
    Setting {
        name: "turn-lifetime",
        heading: ICE,
        value_name: "SECONDS",
        help: "For how long credentials for TURN hold",
        kind: Kind::Number,
        take: |to, text| {
            put(
                &mut to.settings.config.ice.turn_lifetime,
                value::duration(text),
            )
        },
        show: |settings| Some(value::seconds(settings.config.ice.turn_lifetime)),
    },
    Setting {
        name: "log-format",
        heading: LOG,
        value_name: "text|json",
        help: "How a line of the log looks",
        kind: Kind::Text,
        take: |to, text| put(&mut to.settings.log.format, value::log_format(text)),
        show: |settings| {
            Some(Value::String(
                match settings.log.format {
                    LogFormat::Text => "text",
                    LogFormat::Json => "json",
                }
                .to_owned(),
            ))
        },
    },
    Setting {
        name: "log",
        heading: LOG,
        value_name: "FILTER",
        help: "What is logged, as debug or info,signalling=debug; RUST_LOG says it too",
        kind: Kind::Text,
        take: |to, text| put(&mut to.settings.log.filter, value::log_filter(text)),
        show: |settings| Some(Value::String(settings.log.filter.clone())),
    },
];

/// A mere yes is a certificate for the usual names.
fn take_names(to: &mut Draft, text: &str) -> Result<(), String> {
    match text {
        "true" => {
            to.names.get_or_insert_default();
        }
        "false" => to.names = None,
        name => add(to.names.get_or_insert_default(), value::host_name(name))?,
    }
    Ok(())
}
