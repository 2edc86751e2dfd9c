//! The file: TOML, flat, with the names of the options.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::table::{Kind, SETTINGS, Setting, find};
use super::{Mistake, Said, Whence};

/// What a file of this content says; `path` names it in what is said about it.
///
/// # Errors
/// When it is no TOML, a key is no setting, or a value is of another kind than the setting has.
pub fn read(path: &str, content: &str) -> Result<Vec<Said>, Mistake> {
    let line = |span: Range<usize>| 1 + content[..span.start].matches('\n').count();
    let table = DeTable::parse(content).map_err(|error| {
        let line = error.span().map_or(1, line);
        Mistake(format!("{path}:{line}: {}", error.message()))
    })?;
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
        .into_iter()
        .map(|(key, content)| {
            let line = line(key.span());
            let said = find(key.get_ref())
                .ok_or_else(|| unknown(key.get_ref(), content.get_ref()))
                .and_then(|setting| Ok((setting, texts(setting, content.get_ref())?)));
            let (setting, texts) = said.map_err(|why| Mistake(format!("{path}:{line}: {why}")))?;
            let path = path.to_owned();
            Ok(Said {
                name: setting.name,
                texts,
                whence: Whence::File { path, line },
            })
        })
        .collect()
}

fn unknown(key: &str, content: &DeValue<'_>) -> String {
    if content.is_table() {
        return format!("the file has no tables, only keys: {key:?} is not one");
    }
    if key == "turn-secret" {
        return "no secret belongs into this file: turn-secret-file names one that holds it".into();
    }
    match super::nearest(key, SETTINGS.iter().map(|setting| setting.name)) {
        Some(meant) => format!("there is no setting {key:?}: did you mean {meant:?}?"),
        None => format!("there is no setting {key:?}; signalling --help names all of them"),
    }
}

/// The texts of a value, if its kind is right.
fn texts(setting: &Setting, content: &DeValue<'_>) -> Result<Vec<String>, String> {
    let texts = match (setting.kind, content) {
        (Kind::List | Kind::Names, DeValue::Array(items)) if !items.is_empty() => {
            items.iter().map(item).collect()
        }
        (Kind::Switch | Kind::Names, DeValue::Boolean(yes)) => Some(vec![yes.to_string()]),
        (Kind::Number, DeValue::Integer(number)) => {
            i128::from_str_radix(number.as_str(), number.radix())
                .ok()
                .map(|number| vec![number.to_string()])
        }
        (Kind::Number, DeValue::Float(number)) => Some(vec![number.as_str().to_owned()]),
        (Kind::Number | Kind::Text | Kind::List | Kind::Names, DeValue::String(text)) => {
            Some(vec![text.to_string()])
        }
        _ => None,
    };
    texts.ok_or_else(|| {
        format!(
            "{} is {}, and {} belongs there",
            setting.name,
            found(content),
            belongs(setting.kind)
        )
    })
}

fn item(content: &Spanned<DeValue<'_>>) -> Option<String> {
    content.get_ref().as_str().map(str::to_owned)
}

fn found(content: &DeValue<'_>) -> &'static str {
    match content {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(items) if items.is_empty() => "an empty list",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn belongs(kind: Kind) -> &'static str {
    match kind {
        Kind::Number => "a number",
        Kind::Text => "a text in quotes",
        Kind::Switch => "true or false",
        Kind::List => "a list of texts, as [\"...\"],",
        Kind::Names => "true, or a list of texts, as [\"...\"],",
    }
}
