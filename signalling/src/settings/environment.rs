//! The environment: which of its variables say what.

use std::ffi::OsString;

use super::table::{Kind, SETTINGS, Setting};
use super::{Mistake, Said, Told, Whence, value};
use crate::config::Secret;

/// What the variables of the relay begin with.
pub const PREFIX: &str = "ALDIS_RELAY_";

/// The variable that names the file.
pub const CONFIG: &str = "ALDIS_RELAY_CONFIG";

/// The variable that holds the secret of the TURN servers itself.
pub const TURN_SECRET: &str = "ALDIS_RELAY_TURN_SECRET";

/// The variable programs in Rust share for their logs.
const RUST_LOG: &str = "RUST_LOG";

/// The variable of a setting: `ALDIS_RELAY_MAX_PEERS` of `max-peers`.
pub fn variable(setting: &str) -> String {
    format!("{PREFIX}{}", setting.replace('-', "_").to_ascii_uppercase())
}

/// What the environment says. A variable that is empty says nothing; one that looks like a mistyped
/// variable of the relay is noted.
///
/// # Errors
/// When a variable of the relay holds what is no text.
pub fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Told, Mistake> {
    let mut told = Told::default();
    let mut rust_log = None;
    for (name, content) in variables {
        let Ok(name) = name.into_string() else {
            continue;
        };
        if content.is_empty() || !(name.starts_with(PREFIX) || name == RUST_LOG) {
            continue;
        }
        let Ok(content) = content.into_string() else {
            return Err(Mistake(format!(
                "the variable {name} holds what is no text in UTF-8"
            )));
        };
        match SETTINGS.iter().find(|one| variable(one.name) == name) {
            Some(setting) => told.said.push(said(setting, name, &content)),
            None if name == RUST_LOG => rust_log = Some(content),
            None if name == TURN_SECRET => told.turn_secret = Some(Secret::new(content)),
            None if name == CONFIG => {}
            None => told.notes.extend(hint(&name)),
        }
    }
    if let Some(filter) = rust_log
        && !told.said.iter().any(|said| said.name == "log")
    {
        take_rust_log(&filter, &mut told);
    }
    Ok(told)
}

fn said(setting: &Setting, variable: String, content: &str) -> Said {
    let texts = match setting.kind {
        Kind::List | Kind::Names => split(content),
        Kind::Number | Kind::Text | Kind::Switch => vec![content.to_owned()],
    };
    Said {
        name: setting.name,
        texts,
        whence: Whence::Variable(variable),
    }
}

/// The texts between commas.
pub fn split(list: &str) -> Vec<String> {
    list.split(',').map(|text| text.trim().to_owned()).collect()
}

/// What the relay does not understand in it may be meant for another program, and is left out.
fn take_rust_log(filter: &str, told: &mut Told) {
    let (right, wrong): (Vec<_>, Vec<_>) = filter
        .split(',')
        .filter(|directive| !directive.trim().is_empty())
        .partition(|directive| !value::is_mistyped(directive) && value::filter(directive).is_ok());
    for directive in wrong {
        told.notes.push(format!(
            "left out of {RUST_LOG}: {directive:?} chooses nothing"
        ));
    }
    if !right.is_empty() {
        told.said.push(Said {
            name: "log",
            texts: vec![right.join(",")],
            whence: Whence::Variable(RUST_LOG.to_owned()),
        });
    }
}

/// Others name variables so too: Kubernetes does for a service that is called `aldis-relay`. So only
/// what is nearly right is spoken of.
fn hint(name: &str) -> Option<String> {
    let rest = name[PREFIX.len()..].to_ascii_lowercase().replace('_', "-");
    let names = SETTINGS.iter().map(|setting| setting.name);
    let meant = super::nearest(&rest, names.chain(["config", "turn-secret"]))?;
    let meant = variable(meant);
    Some(format!(
        "the variable {name} means nothing: did you mean {meant}?"
    ))
}
