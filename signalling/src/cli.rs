//! The command line: what was typed. What is meant by it, the environment and the file are
//! [`Settings`].

use std::ffi::OsString;
use std::io;
use std::path::Path;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::settings::table::{Kind, SETTINGS, Setting};
use crate::settings::{Mistake, Said, Settings, Told, Whence, environment, file, resolve};

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
}

const ABOUT: &str =
    "The relay of Aldis: introduces peers to one another and serves the page for the browser.";

const WAYS: &str = "\
Every option is also a variable of the environment and a key of the file: --max-peers 500 is
ALDIS_RELAY_MAX_PEERS=500 and max-peers = 500. An option counts before a variable, a variable before
the file. Lists are repeated options, or values with commas between them. A time is in seconds, or
has a unit: 500ms, 10s, 5m, 1h, 7d.";

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
    understand(&matches, variables, |path| std::fs::read_to_string(path))
        .unwrap_or_else(|mistake| command().error(ErrorKind::ValueValidation, mistake).exit())
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
