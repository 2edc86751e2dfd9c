//! What a user may type, or send in, while the client runs.

use std::str::FromStr;

use crate::media::Kind;

/// What may be typed, as `help` says it.
pub const HELP: &str = "\
list          the sources that may be sent
video N       send picture source N (or its name) from now on
audio N       send sound source N (or its name) from now on
quit          end the call and the program";

/// One line, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Say which sources there are.
    List,
    /// Send another source.
    Switch(Kind, Choice),
    /// Say what may be typed.
    Help,
    /// End the program.
    Quit,
}

/// A source as a user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Its place in the list, from 1.
    Number(usize),
    /// Its name there, or the beginning of it.
    Name(String),
}

impl Choice {
    /// The source that is meant, counted from 0.
    ///
    /// # Errors
    /// Says that there is none, or more than one.
    pub fn among(&self, names: &[String]) -> Result<usize, String> {
        match self {
            Self::Number(number) => match number.checked_sub(1) {
                Some(index) if index < names.len() => Ok(index),
                Some(_) | None => Err(format!("there is no source {number}; list has them")),
            },
            Self::Name(name) => {
                if let Some(index) = names.iter().position(|there| there == name) {
                    return Ok(index);
                }
                let mut begun = names.iter().enumerate();
                let mut begun = begun.by_ref().filter(|(_, there)| there.starts_with(name));
                match (begun.next(), begun.next()) {
                    (Some((index, _)), None) => Ok(index),
                    (Some(_), Some(_)) => Err(format!("{name:?} begins more than one source")),
                    (None, _) => Err(format!("there is no source {name:?}; list has them")),
                }
            }
        }
    }
}

impl FromStr for Command {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let choice = || match rest.parse() {
            Ok(number) => Ok(Choice::Number(number)),
            Err(_) if rest.is_empty() => Err(format!("which {word} source? list has them")),
            Err(_) => Ok(Choice::Name(rest.into())),
        };
        match (word, rest) {
            ("list", "") => Ok(Self::List),
            ("help" | "?", "") => Ok(Self::Help),
            ("quit" | "exit", "") => Ok(Self::Quit),
            ("video", _) => Ok(Self::Switch(Kind::Video, choice()?)),
            ("audio", _) => Ok(Self::Switch(Kind::Audio, choice()?)),
            _ => Err(format!("{line:?} is no command; help has them")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_understood() {
        let name = |name: &str| Choice::Name(name.into());
        for (line, command) in [
            ("list", Command::List),
            (" help\r", Command::Help),
            ("quit", Command::Quit),
            ("video 2", Command::Switch(Kind::Video, Choice::Number(2))),
            ("audio  test ", Command::Switch(Kind::Audio, name("test"))),
            (
                "video window:a b",
                Command::Switch(Kind::Video, name("window:a b")),
            ),
        ] {
            assert_eq!(line.parse(), Ok(command), "{line}");
        }
        for line in ["", "video", "list 2", "Video 2", "picture 2"] {
            assert!(line.parse::<Command>().is_err(), "{line}");
        }
    }

    #[test]
    fn a_source_is_found_by_its_number_and_by_its_name() {
        let names = ["screen", "screen:0,0,1x1", "test", "camera"].map(str::to_owned);
        let find = |choice: Choice| choice.among(&names).ok();
        assert_eq!(find(Choice::Number(2)), Some(1));
        assert_eq!(find(Choice::Number(0)), None);
        assert_eq!(find(Choice::Number(5)), None);
        assert_eq!(find(Choice::Name("screen".into())), Some(0));
        assert_eq!(find(Choice::Name("cam".into())), Some(3));
        assert_eq!(find(Choice::Name("scr".into())), None);
        assert_eq!(find(Choice::Name("x".into())), None);
    }
}
