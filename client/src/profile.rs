//! Named sets of options, in a file.
//!
//! A profile is read into the words of a command line, which then go before those that were typed: so
//! whatever the command line can say, a profile can, and it is checked by the same rules.

use std::fmt::Write as _;

use toml::{Table, Value};

use crate::redaction::{HIDDEN, redact};

/// An option as a profile may set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Its long name, without the dashes.
    pub name: String,
    /// What it takes.
    pub takes: Takes,
    /// Whether its value is nobody else's business.
    pub is_secret: bool,
}

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: it is there or not.
    Nothing,
    /// One value.
    One,
    /// A value, each time it is there.
    Many,
}

/// What a profile says of one option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The name of the option.
    pub name: String,
    /// Its values; none for one that takes none.
    pub values: Vec<String>,
}

/// What is in force for one option, and since where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// The option.
    pub shape: Shape,
    /// Its values; none for one that takes none.
    pub values: Vec<String>,
    /// Where it was said.
    pub whence: &'static str,
}

/// Reads one profile of a file.
///
/// # Errors
/// When the text is no such file, has no such profile, or sets what there is not. The sentence quotes no
/// value.
pub fn read(text: &str, profile: &str, shapes: &[Shape]) -> Result<Vec<Setting>, String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(0, |span| line_of(text, span.start));
        format!("line {line} is no TOML: {}", error.message())
    })?;
    if let Some(stranger) = table.keys().find(|key| *key != "profile") {
        return Err(format!(
            "{stranger:?} stands outside of a profile; options belong below [profile.NAME]"
        ));
    }
    let profiles = table.get("profile").and_then(Value::as_table);
    let names = || {
        profiles
            .into_iter()
            .flat_map(Table::keys)
            .map(String::as_str)
    };
    let options = profiles
        .and_then(|profiles| profiles.get(profile))
        .and_then(Value::as_table)
        .ok_or_else(|| {
            format!(
                "there is no profile {profile:?}{}",
                or_nearest(profile, names())
            )
        })?;
    let settings = options
        .iter()
        .map(|(name, value)| setting(name, value, shapes));
    Ok(settings
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .flatten()
        .collect())
}

/// Whether a file sets an option whose value is nobody else's business, in whatever profile.
pub fn holds_secrets(text: &str, shapes: &[Shape]) -> bool {
    let Ok(table) = text.parse::<Table>() else {
        return false;
    };
    let profiles = table.get("profile").and_then(Value::as_table);
    let options = profiles
        .into_iter()
        .flat_map(Table::values)
        .filter_map(Value::as_table)
        .flat_map(Table::keys);
    let is_secret = |name: &String| {
        let mut secrets = shapes.iter().filter(|shape| shape.is_secret);
        secrets.any(|shape| shape.name == *name)
    };
    options.into_iter().any(is_secret)
}

/// The words of a command line that say the same.
pub fn words(settings: &[Setting]) -> Vec<String> {
    let of_setting = |setting: &Setting| {
        let name = &setting.name;
        match setting.values.is_empty() {
            true => vec![format!("--{name}")],
            // A value that begins with a dash is one all the same.
            false => setting
                .values
                .iter()
                .map(|value| format!("--{name}={value}"))
                .collect(),
        }
    };
    settings.iter().flat_map(of_setting).collect()
}

/// Writes down what is in force, as a profile; secrets are left out.
pub fn print(name: &str, all: &[InForce]) -> String {
    let mut text = format!("[profile.{}]\n", quoted_key(name));
    for InForce {
        shape,
        values,
        whence,
    } in all
    {
        let (name, comment) = (&shape.name, format!("# {whence}"));
        // Writing into memory does not fail.
        let _ = match (shape.takes, shape.is_secret) {
            (_, true) => writeln!(text, "# {name} = {HIDDEN:?} {comment}, hidden"),
            (Takes::Nothing, _) => writeln!(text, "{name} = true {comment}"),
            (Takes::One, _) => {
                let value = values
                    .first()
                    .map(|value| literal(value))
                    .unwrap_or_default();
                writeln!(text, "{name} = {value} {comment}")
            }
            (Takes::Many, _) => {
                let values: Vec<_> = values.iter().map(|value| literal(value)).collect();
                writeln!(text, "{name} = [{}] {comment}", values.join(", "))
            }
        };
    }
    text
}

fn setting(name: &str, value: &Value, shapes: &[Shape]) -> Result<Option<Setting>, String> {
    let names = || shapes.iter().map(|shape| shape.name.as_str());
    let shape = shapes
        .iter()
        .find(|shape| shape.name == name)
        .ok_or_else(|| format!("there is no option {name:?}{}", or_nearest(name, names())))?;
    let wrong = |wanted: &str| Err(format!("{name} takes {wanted}"));
    let values = match (shape.takes, value) {
        (Takes::Nothing, Value::Boolean(true)) => Vec::new(),
        (Takes::Nothing, Value::Boolean(false)) => return Ok(None),
        (Takes::Nothing, _) => return wrong("true or false"),
        (Takes::Many, Value::Array(values)) if values.is_empty() => return Ok(None),
        (Takes::Many, Value::Array(values)) => match values.iter().map(one).collect() {
            Some(values) => values,
            None => return wrong("texts and numbers"),
        },
        (Takes::One | Takes::Many, value) => match one(value) {
            Some(value) => vec![value],
            None => return wrong("a text or a number"),
        },
    };
    // No command line can have one, and whoever reads it counts on that.
    if values.iter().any(|value| value.contains('\0')) {
        return wrong("no text with a NUL in it");
    }
    let name = name.to_owned();
    Ok(Some(Setting { name, values }))
}

fn one(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

/// A number stays one; all else is a text, without passwords in it.
fn literal(value: &str) -> String {
    match value.parse::<i64>() {
        Ok(number) => number.to_string(),
        Err(_) => Value::String(redact(value).into_owned()).to_string(),
    }
}

fn quoted_key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match !name.is_empty() && name.chars().all(is_bare) {
        true => name.to_owned(),
        false => Value::String(name.to_owned()).to_string(),
    }
}

/// The nearest of some names, if there is one that may have been meant.
fn or_nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let nearest = names
        .map(|other| (strsim::damerau_levenshtein(name, other), other))
        .filter(|(distance, other)| *distance <= other.len().max(name.len()) / 3 + 1)
        .min();
    match nearest {
        Some((_, other)) => format!("; is {other:?} meant?"),
        None => String::new(),
    }
}

fn line_of(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or(text);
    before.matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes() -> Vec<Shape> {
        [
            ("server", Takes::One, false),
            ("width", Takes::One, false),
            ("no-pointer", Takes::Nothing, false),
            ("turn", Takes::Many, true),
        ]
        .into_iter()
        .map(|(name, takes, is_secret)| Shape {
            name: name.into(),
            takes,
            is_secret,
        })
        .collect()
    }

    const FILE: &str = "\
[profile.robot]
server = \"wss://relay.example.org\"
width = 640
no-pointer = true
turn = [\"turn://a:b@h\", \"turn://c:d@h\"]
[profile.desk]
no-pointer = false
";

    #[test]
    fn a_profile_becomes_the_words_of_a_command_line() {
        let settings = read(FILE, "robot", &shapes()).expect("a profile");
        let mut words = words(&settings);
        words.sort();
        assert_eq!(
            words,
            [
                "--no-pointer",
                "--server=wss://relay.example.org",
                "--turn=turn://a:b@h",
                "--turn=turn://c:d@h",
                "--width=640"
            ]
        );
        assert_eq!(read(FILE, "desk", &shapes()), Ok(Vec::new()));
    }

    #[test]
    fn what_is_misspelt_is_told_with_the_nearest() {
        let mistake = |text: &str, profile| read(text, profile, &shapes()).expect_err("a mistake");
        assert_eq!(
            mistake(FILE, "robbot"),
            "there is no profile \"robbot\"; is \"robot\" meant?"
        );
        assert_eq!(
            mistake(FILE, "elephant"),
            "there is no profile \"elephant\""
        );
        assert_eq!(
            mistake("[profile.x]\nwitdh = 1", "x"),
            "there is no option \"witdh\"; is \"width\" meant?"
        );
        assert_eq!(
            mistake("[profile.x]\nwidth = true", "x"),
            "width takes a text or a number"
        );
        assert_eq!(
            mistake("[profile.x]\nno-pointer = 1", "x"),
            "no-pointer takes true or false"
        );
        assert_eq!(
            mistake("[profile.x]\nserver = \"a\\u0000b\"", "x"),
            "server takes no text with a NUL in it"
        );
        assert!(mistake("width = 1", "x").contains("outside of a profile"));
        assert!(mistake("[profile.x]\nwidth = swordfish", "x").starts_with("line 2 is no TOML"));
        assert!(!mistake("[profile.x]\nturn = swordfish", "x").contains("swordfish"));
    }

    #[test]
    fn secrets_are_found_and_never_printed() {
        assert!(holds_secrets(FILE, &shapes()));
        assert!(!holds_secrets("[profile.x]\nwidth = 1", &shapes()));
        let in_force = |name: &str, values: &[&str]| InForce {
            shape: shapes()
                .into_iter()
                .find(|shape| shape.name == name)
                .expect("a shape"),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            whence: "profile",
        };
        let text = print(
            "robot",
            &[
                in_force("server", &["wss://u:p@relay"]),
                in_force("width", &["640"]),
                in_force("no-pointer", &[]),
                in_force("turn", &["turn://a:b@h"]),
            ],
        );
        assert_eq!(
            text,
            "[profile.robot]\n\
             server = \"wss://...@relay\" # profile\n\
             width = 640 # profile\n\
             no-pointer = true # profile\n\
             # turn = \"...\" # profile, hidden\n"
        );
        let again = read(&text, "robot", &shapes()).expect("what is printed can be read");
        assert_eq!(again.len(), 3);
    }
}
