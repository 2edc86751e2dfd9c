//! Where profiles come from, and how they go together with what was typed.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::profile::{self, InForce, Setting, Shape, Takes};

/// Options that are about options.
const ABOUT_OPTIONS: [&str; 6] = [
    "help",
    "version",
    "config",
    "profile",
    "print-config",
    "generate",
];

/// Which profile is used, and of which file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ProfileArgs {
    /// Take options from this profile: the keys below [profile.NAME] in the file of --config. Options
    /// on the command line and variables of the environment go before it
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,

    /// The file with the profiles [default: aldis/client.toml in $XDG_CONFIG_HOME or ~/.config]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print all options that are in force, and where each was said, as a profile, and end; secrets are
    /// hidden
    #[arg(long)]
    pub print_config: bool,
}

/// Reads the command line, with the profile it names before it. What makes no sense ends the program,
/// as does printing what is in force.
pub fn matches(command: Command) -> ArgMatches {
    let typed: Vec<_> = env::args_os().collect();
    match layered(command.clone(), typed) {
        Ok((matches, settings)) => {
            if matches.get_flag("print_config") {
                // When nobody reads it, that is no failure.
                let _ = io::stdout().write_all(in_force(&command, &matches, &settings).as_bytes());
                std::process::exit(0);
            }
            matches
        }
        Err(error) => error.exit(),
    }
}

/// What was typed, with the profile it names before it, and what of that profile counts.
fn layered(
    command: Command,
    typed: Vec<OsString>,
) -> Result<(ArgMatches, Vec<Setting>), clap::Error> {
    // What is typed may be sensible with the profile only: here it is but looked at.
    let looked_at = command
        .clone()
        .ignore_errors(true)
        .try_get_matches_from(&typed);
    let named = looked_at.ok().and_then(|looked_at| {
        let name = looked_at.get_one::<String>("profile").cloned()?;
        Some((name, looked_at))
    });
    let Some((name, looked_at)) = named else {
        return command
            .try_get_matches_from(typed)
            .map(|matches| (matches, Vec::new()));
    };
    let path = looked_at
        .get_one::<PathBuf>("config")
        .cloned()
        .unwrap_or_else(usual_file);
    let mut settings = load(&command, &path, &name)
        .map_err(|why| command.clone().error(ErrorKind::InvalidValue, why))?;
    settings.retain(|setting| is_weaker(&command, setting, &looked_at));
    check(&command, &settings, &path, &name)?;
    let (program, rest) = typed.split_at(typed.len().min(1));
    let words = profile::words(&settings).into_iter().map(OsString::from);
    let all = program
        .iter()
        .cloned()
        .chain(words)
        .chain(rest.iter().cloned());
    command
        .try_get_matches_from(all)
        .map(|matches| (matches, settings))
}

fn usual_file() -> PathBuf {
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let folder = absolute("XDG_CONFIG_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".config")))
        .unwrap_or_default();
    folder.join("aldis/client.toml")
}

fn load(command: &Command, path: &Path, name: &str) -> Result<Vec<Setting>, String> {
    let place = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| format!("the profiles in {place} cannot be read: {error}"))?;
    let shapes = shapes(command);
    warn_of_readers(path, &text, &shapes);
    profile::read(&text, name, &shapes).map_err(|why| format!("{place}: {why}"))
}

/// Says so when a file with secrets can be read by everybody.
fn warn_of_readers(path: &Path, text: &str, shapes: &[Shape]) {
    let is_open = fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0);
    if is_open && profile::holds_secrets(text, shapes) {
        let place = path.display();
        let _ = writeln!(
            io::stderr(),
            "warning: {place} holds secrets, and others can read it; chmod 600 {place}"
        );
    }
}

/// Whether nothing that was typed, and no variable, speaks against what a profile says.
fn is_weaker(command: &Command, setting: &Setting, typed: &ArgMatches) -> bool {
    let Some(option) = find(command, &setting.name) else {
        return true;
    };
    let is_said = |option: &Arg| {
        let id = option.get_id().as_str();
        typed.value_source(id) == Some(ValueSource::CommandLine)
    };
    let variable = option.get_env().and_then(env::var_os);
    let conflicts = command.get_arg_conflicts_with(option);
    variable.is_none_or(|value| value.is_empty())
        && !is_said(option)
        && !conflicts.into_iter().any(is_said)
}

/// What a profile says wrongly is said to be of the profile.
fn check(
    command: &Command,
    settings: &[Setting],
    path: &Path,
    name: &str,
) -> Result<(), clap::Error> {
    let words = [command.get_name().to_owned()]
        .into_iter()
        .chain(profile::words(settings));
    let Err(error) = command.clone().try_get_matches_from(words) else {
        return Ok(());
    };
    // What is missing may be typed.
    if error.kind() == ErrorKind::MissingRequiredArgument {
        return Ok(());
    }
    let all = error.to_string();
    let first = all.lines().next().unwrap_or_default();
    let why = first.strip_prefix("error: ").unwrap_or(first);
    let sentence = format!("{}: the profile {name:?}: {why}", path.display());
    Err(command.clone().error(error.kind(), sentence))
}

/// What can be said in a profile.
fn shapes(command: &Command) -> Vec<Shape> {
    command
        .get_arguments()
        .filter_map(|option| {
            let name = option.get_long()?;
            let is_about_options = ABOUT_OPTIONS.contains(&name);
            (!is_about_options).then(|| shape(option, name))
        })
        .collect()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "no other action sets a value"
)]
fn shape(option: &Arg, name: &str) -> Shape {
    Shape {
        name: name.to_owned(),
        takes: match option.get_action() {
            ArgAction::SetTrue => Takes::Nothing,
            ArgAction::Append => Takes::Many,
            _ => Takes::One,
        },
        // What help does not show of a variable is nobody's business here either.
        is_secret: option.is_hide_env_values_set(),
    }
}

fn find<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command
        .get_arguments()
        .find(|option| option.get_long() == Some(name))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the default is what nobody said"
)]
fn in_force(command: &Command, matches: &ArgMatches, settings: &[Setting]) -> String {
    let all: Vec<_> = shapes(command)
        .into_iter()
        .filter_map(|shape| {
            let id = find(command, &shape.name)?.get_id().as_str();
            let is_of_profile = settings.iter().any(|setting| setting.name == shape.name);
            let whence = match matches.value_source(id)? {
                ValueSource::CommandLine if is_of_profile => "profile",
                ValueSource::CommandLine => "command line",
                ValueSource::EnvVariable => "environment",
                _ if shape.takes == Takes::Nothing => return None,
                _ => "default",
            };
            let raw = matches.get_raw(id).into_iter().flatten();
            let values = raw
                .map(|value| value.to_string_lossy().into_owned())
                .collect();
            Some(InForce {
                shape,
                values,
                whence,
            })
        })
        .collect();
    let name = matches
        .get_one::<String>("profile")
        .map_or("default", String::as_str);
    profile::print(name, &all)
}
