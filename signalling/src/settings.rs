//! What a relay is told by options, variables and a file, and what is meant by all of it.
//!
//! Every setting stands once, in [`table`]: its name, how it is taken from a text, how it is shown.
//! An option, a variable and a key of the file each say texts; [`resolve`] lets the strongest of
//! them count and turns them into [`Settings`].

use std::fmt;
use std::path::PathBuf;

use crate::config::{Certificate, Config, Limits, Secret};

pub mod environment;
pub mod file;
pub mod table;
pub mod value;

use table::{Draft, Setting};

/// Everything a relay is told when it is started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// What the relay does.
    pub config: Config,
    /// The file that holds the secret of the TURN servers, to be read into `config.ice.turn_secret`.
    pub turn_secret_file: Option<PathBuf>,
    /// What is logged, and how.
    pub log: Log,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// Which lines there are, as `info,signalling=debug`.
    pub filter: String,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: an object of JSON on each line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".to_owned(),
        }
    }
}

/// What was said of one setting in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The name of the setting.
    pub name: &'static str,
    /// One text, or as many as the list has.
    pub texts: Vec<String>,
    /// Where it was said.
    pub whence: Whence,
}

/// Where something was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whence {
    /// In the file, in a line counted from 1.
    File {
        /// As it was named.
        path: String,
        /// Of its key.
        line: usize,
    },
    /// By a variable of the environment, which has this name.
    Variable(String),
    /// By an option.
    Option,
}

impl Whence {
    /// What was said at the higher rank counts.
    fn rank(&self) -> u8 {
        match self {
            Self::File { .. } => 0,
            Self::Variable(_) => 1,
            Self::Option => 2,
        }
    }
}

/// Everything that was said, wherever.
#[derive(Debug, Default)]
pub struct Told {
    /// Of settings, each at most once in one place.
    pub said: Vec<Said>,
    /// The secret of the TURN servers, which only the environment may say itself.
    pub turn_secret: Option<Secret>,
    /// What is odd about it and no reason not to start.
    pub notes: Vec<String>,
}

/// What was said cannot be meant: a sentence for whoever said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake(pub String);

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mistake {}

/// Lets for each setting the strongest word count: that of an option before that of the environment
/// before that of the file before the default.
///
/// # Errors
/// When a text has no meaning for its setting, or settings contradict one another.
pub fn resolve(told: Told) -> Result<Settings, Mistake> {
    let mut strongest = strongest(told.said);
    forget_weaker_certificate(&mut strongest);
    let mut draft = Draft::default();
    for said in &strongest {
        let Some(setting) = table::find(said.name) else {
            continue;
        };
        for text in &said.texts {
            (setting.take)(&mut draft, text).map_err(|why| wrong(setting, said, text, &why))?;
        }
    }
    let mut settings = finish(draft).map_err(Mistake)?;
    if let Some(secret) = told.turn_secret {
        take_turn_secret(&mut settings, secret, &strongest)?;
    }
    let is_said = |name: &str| strongest.iter().any(|said| said.name == name);
    follow(&mut settings.config.limits, is_said);
    check(&settings).map_err(Mistake)?;
    Ok(settings)
}

fn strongest(said: Vec<Said>) -> Vec<Said> {
    let mut strongest: Vec<Said> = Vec::new();
    for one in said {
        match strongest.iter_mut().find(|other| other.name == one.name) {
            Some(other) if other.whence.rank() > one.whence.rank() => {}
            Some(other) => *other = one,
            None => strongest.push(one),
        }
    }
    strongest
}

/// A certificate made on the spot and one from files exclude one another: the stronger word counts.
/// Both in one place are a contradiction, which is left for [`finish`].
fn forget_weaker_certificate(said: &mut Vec<Said>) {
    // That it is not made on the spot does not say that there is none.
    said.retain(|one| one.name != "tls-self-signed" || one.texts != ["false"]);
    let rank = |names: &[&str]| {
        let of_names = said.iter().filter(|one| names.contains(&one.name));
        of_names.map(|one| one.whence.rank()).max()
    };
    let (made, read) = (rank(&["tls-self-signed"]), rank(&["tls-cert", "tls-key"]));
    if made.is_some() && read.is_some() && made != read {
        let weaker: &[&str] = if made > read {
            &["tls-cert", "tls-key"]
        } else {
            &["tls-self-signed"]
        };
        said.retain(|one| !weaker.contains(&one.name));
    }
}

fn finish(draft: Draft) -> Result<Settings, String> {
    let mut settings = draft.settings;
    settings.config.tls = match (draft.certificate, draft.key, draft.names) {
        (None, None, None) => None,
        (Some(certificate), Some(key), None) => Some(Certificate::Files { certificate, key }),
        (None, None, Some(names)) => Some(Certificate::SelfSigned { names }),
        (Some(_), None, None) => return Err("--tls-cert needs its private key: --tls-key".into()),
        (None, Some(_), None) => return Err("--tls-key needs its certificate: --tls-cert".into()),
        (_, _, Some(_)) => {
            return Err(
                "--tls-self-signed makes a certificate and --tls-cert and --tls-key name one: \
                 leave one of them away"
                    .into(),
            );
        }
    };
    Ok(settings)
}

fn take_turn_secret(settings: &mut Settings, secret: Secret, said: &[Said]) -> Result<(), Mistake> {
    let rank = said
        .iter()
        .find(|one| one.name == "turn-secret-file")
        .map(|one| one.whence.rank());
    let own_rank = Whence::Variable(String::new()).rank();
    if rank == Some(own_rank) {
        return Err(Mistake(format!(
            "the variables {} and {} both say the secret of the TURN servers: leave one of them away",
            environment::TURN_SECRET,
            environment::variable("turn-secret-file"),
        )));
    }
    if rank < Some(own_rank) {
        settings.turn_secret_file = None;
        settings.config.ice.turn_secret = Some(secret);
    }
    Ok(())
}

/// A bound of which nothing was said follows those of which something was said, so that raising or
/// lowering one bound is no contradiction by itself.
fn follow(limits: &mut Limits, is_said: impl Fn(&str) -> bool) {
    let lower = |name, bound: &mut usize, by: usize| {
        if !is_said(name) {
            *bound = (*bound).min(by);
        }
    };
    let connections = limits.connections;
    lower("max-handshakes", &mut limits.handshakes, connections);
    lower(
        "max-connections-per-address",
        &mut limits.connections_per_address,
        connections,
    );
    lower("max-peers", &mut limits.peers, connections);
    lower(
        "max-peers-per-room",
        &mut limits.peers_per_room,
        limits.peers,
    );
    if !is_said("max-outbox-bytes") {
        limits.outbox_bytes = limits.outbox_bytes.max(limits.least_outbox_bytes());
    }
}

fn check(settings: &Settings) -> Result<(), String> {
    settings.config.check()?;
    let ice = &settings.config.ice;
    if !ice.turn.is_empty() && ice.turn_secret.is_none() && settings.turn_secret_file.is_none() {
        return Err(format!(
            "--turn needs the secret shared with the TURN servers: --turn-secret-file, or the \
             variable {}",
            environment::TURN_SECRET
        ));
    }
    Ok(())
}

/// A text in which there may be credentials is not repeated.
fn wrong(setting: &Setting, said: &Said, text: &str, why: &str) -> Mistake {
    let value = if text.contains('@') {
        "invalid value".to_owned()
    } else {
        format!("invalid value '{}'", text.escape_debug())
    };
    let name = setting.name;
    Mistake(match &said.whence {
        Whence::Option => format!("{value} for --{name}: {why}"),
        Whence::Variable(variable) => format!("{value} in the variable {variable}: {why}"),
        Whence::File { path, line } => format!("{path}:{line}: {value} for {name}: {why}"),
    })
}

/// The settings as a file that says the same, without secrets.
pub fn print(settings: &Settings) -> String {
    table::SETTINGS
        .iter()
        .filter_map(|setting| {
            Some(format!(
                "{} = {}\n",
                setting.name,
                (setting.show)(settings)?
            ))
        })
        .collect()
}

/// The one of these names that was probably meant.
fn nearest(name: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    /// Of 1, which is the name itself: two letters of seven may be wrong.
    const LIKENESS: f64 = 0.7;
    names
        .map(|other| (strsim::normalized_damerau_levenshtein(name, other), other))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, other)| other)
}
