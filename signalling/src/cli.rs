//! The command line: what was typed. What is meant by it, the environment and the file are
//! [`Settings`].

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};
use protocol::{PeerId, RoomId};

use crate::relay::Pass;
use crate::settings::table::{Kind, SETTINGS, Setting};
use crate::settings::{Mistake, Said, Settings, Told, Whence, environment, file, resolve, value};

/// What the program is to do.
#[derive(Debug)]
pub enum Task {
    /// To be a relay.
    Serve {
        /// In this way.
        settings: Box<Settings>,
        /// What is odd about the way it was told, for the log.
        notes: Vec<String>,
    },
    /// To print what it would do.
    PrintConfig(Box<Settings>),
    /// To print a token.
    Token(TokenOrder),
}

/// A token somebody wants to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenOrder {
    /// The file that holds the secret to sign it with.
    pub token_file: PathBuf,
    /// The name of that secret.
    pub name: String,
    /// What it shall allow.
    pub pass: Pass,
    /// For how long.
    pub lifetime: Duration,
}

const ABOUT: &str =
    "The relay of Aldis: introduces peers to one another and serves the page for the browser.";

const WAYS: &str = "\
Every option is also a variable of the environment and a key of the file: --max-peers 500 is
ALDIS_RELAY_MAX_PEERS=500 and max-peers = 500. An option counts before a variable, a variable before
the file. Lists are repeated options, or values with commas between them. A time is in seconds, or
has a unit: 500ms, 10s, 5m, 1h, 7d.";

const TOKENS: &str = "\
The file has a secret on each line, as NAME SECRET, or NAME SECRET admin for one who may see
everything. A secret has at least 16 bytes; openssl rand -hex 32 makes a good one. A token is shown
by client --token, and by the page when it is opened at #token=TOKEN.";

/// The command line, made of the table of settings.
pub fn command() -> Command {
    Command::new("signalling")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(WAYS)
        .args_override_self(true)
        .args(SETTINGS.iter().map(option))
        .next_help_heading("Settings")
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .help("The file of the settings, TOML with the names of the options as keys"),
        )
        .arg(
            Arg::new("print-config")
                .long("print-config")
                .action(ArgAction::SetTrue)
                .help("Print all settings as such a file, without secrets, and end"),
        )
        .subcommand(token())
        .args_conflicts_with_subcommands(true)
}

fn token() -> Command {
    let option =
        |name, value_name, help| Arg::new(name).long(name).value_name(value_name).help(help);
    Command::new("token")
        .about("Print a token by which somebody may enter")
        .after_help(TOKENS)
        .arg(option(
            "token-file",
            "FILE",
            "The file of the secrets the relay has [env: ALDIS_RELAY_TOKEN_FILE]",
        ))
        .arg(
            option(
                "name",
                "NAME",
                "The secret to sign it with, by its name there",
            )
            .required(true),
        )
        .arg(
            option("peer", "ID", "Let register only as this peer")
                .value_parser(|text: &str| text.parse::<PeerId>()),
        )
        .arg(
            option(
                "room",
                "ID",
                "Let join only this room, and start no session",
            )
            .value_parser(|text: &str| text.parse::<RoomId>()),
        )
        .arg(
            option("lifetime", "TIME", "For how long it holds")
                .default_value("1h")
                .value_parser(value::duration),
        )
}

fn option(setting: &'static Setting) -> Arg {
    let usual = setting.usual();
    let help = match usual {
        Some(usual) => format!("{} [default: {usual}]", setting.help),
        None => setting.help.to_owned(),
    };
    let option = Arg::new(setting.name)
        .long(setting.name)
        .help_heading(setting.heading)
        .value_name(setting.value_name)
        .help(help);
    match setting.kind {
        Kind::Number | Kind::Text => option.allow_hyphen_values(setting.kind == Kind::Number),
        Kind::List => option.action(ArgAction::Append),
        Kind::Switch | Kind::Names => option
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
    }
}

/// What this process was told to do; ends it where there is nothing to do, or not that.
pub fn task() -> Task {
    let matches = command().get_matches();
    let variables = std::env::vars_os();
    understand(&matches, variables, |path| std::fs::read_to_string(path)).unwrap_or_else(
        |mistake| {
            // Alone, without how the program is used: most of it is no matter of the command line.
            clap::Error::raw(ErrorKind::ValueValidation, format!("{mistake}\n")).exit()
        },
    )
}

/// What is meant by options, variables and the file that one of them names.
///
/// # Errors
/// When something of it has no meaning, or the file cannot be read.
pub fn understand(
    matches: &ArgMatches,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    read_file: impl Fn(&Path) -> io::Result<String>,
) -> Result<Task, Mistake> {
    let variables: Vec<_> = variables.into_iter().collect();
    let path = matches.get_one("config").cloned().or_else(|| {
        let (_, path) = variables
            .iter()
            .find(|(name, _)| name == environment::CONFIG)?;
        Some(path.to_string_lossy().into_owned()).filter(|path| !path.is_empty())
    });
    let Told {
        mut said,
        turn_secret,
        notes,
    } = environment::read(variables)?;
    if let Some(("token", matches)) = matches.subcommand() {
        return order(matches, &said).map(Task::Token);
    }
    if let Some(path) = path {
        let content = read_file(Path::new(&path))
            .map_err(|error| Mistake(format!("cannot read the settings in {path}: {error}")))?;
        said.extend(file::read(&path, &content)?);
    }
    said.extend(
        SETTINGS
            .iter()
            .filter_map(|setting| typed(setting, matches)),
    );
    let settings = Box::new(resolve(Told {
        said,
        turn_secret,
        notes: Vec::new(),
    })?);
    Ok(if matches.get_flag("print-config") {
        Task::PrintConfig(settings)
    } else {
        Task::Serve { settings, notes }
    })
}

fn order(matches: &ArgMatches, said: &[Said]) -> Result<TokenOrder, Mistake> {
    let typed = matches.get_one("token-file");
    let in_environment = || {
        let said = said.iter().find(|one| one.name == "token-file")?;
        said.texts.first()
    };
    let token_file: &String = typed.or_else(in_environment).ok_or_else(|| {
        Mistake("--token-file is needed: the file that holds the secret to sign with".into())
    })?;
    Ok(TokenOrder {
        token_file: token_file.into(),
        name: matches.get_one("name").cloned().unwrap_or_default(),
        pass: Pass {
            peer: matches.get_one("peer").cloned(),
            room: matches.get_one("room").cloned(),
        },
        lifetime: matches.get_one("lifetime").copied().unwrap_or_default(),
    })
}

fn typed(setting: &'static Setting, matches: &ArgMatches) -> Option<Said> {
    let values = matches.get_many::<String>(setting.name)?;
    let texts = match setting.kind {
        Kind::List | Kind::Names => values.flat_map(|text| environment::split(text)).collect(),
        Kind::Number | Kind::Text | Kind::Switch => values.cloned().collect(),
    };
    Some(Said {
        name: setting.name,
        texts,
        whence: Whence::Option,
    })
}

#[cfg(test)]
mod tests;
