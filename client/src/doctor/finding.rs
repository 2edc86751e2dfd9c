//! What was found out about one thing, and about all of them.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::failure::{Failure, FailureKind};

/// What was found out about one thing. Serializes to the JSON object of `--json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename = "check")]
pub struct Finding {
    /// Which thing, as a word for scripts.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub state: State,
    /// What was seen, in one sentence.
    pub seen: String,
    /// What to do about it, in one sentence.
    pub fix: Option<String>,
}

/// Whether something is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nobody looked: it is not needed, or cannot be known.
    Skipped,
    /// It is as it should be.
    Ok,
    /// A call may work all the same.
    Warning,
    /// A call will not work, or not as it was asked for.
    Problem,
}

/// All that was found out. Its text is a table for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// In the order in which a call needs the things.
    pub findings: Vec<Finding>,
}

/// The last line of a diagnosis, with its counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename = "checked")]
pub struct Summary {
    /// Whether a call should work.
    pub healthy: bool,
    /// How many things a call will fail for.
    pub problems: usize,
    /// How many things deserve a look.
    pub warnings: usize,
}

impl Finding {
    /// Something that is as it should be.
    pub fn ok(name: &'static str, seen: impl Into<String>) -> Self {
        Self::new(name, State::Ok, seen, None)
    }

    /// Something that nobody looked at, and why.
    pub fn skipped(name: &'static str, why: impl Into<String>) -> Self {
        Self::new(name, State::Skipped, why, None)
    }

    /// Something without which a call may work.
    pub fn warning(name: &'static str, seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(name, State::Warning, seen, Some(fix.into()))
    }

    /// Something without which a call will not work.
    pub fn problem(name: &'static str, seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(name, State::Problem, seen, Some(fix.into()))
    }

    /// A failure as a call would have met it: its sentence says what to do.
    pub fn failed(name: &'static str, failure: &Failure) -> Self {
        let (seen, fix) = match failure.sentence.split_once("; ") {
            Some((seen, fix)) => (format!("{seen}."), capitalised(fix)),
            None => {
                let fix = "Its log may say more: RUST_LOG=debug, and --gst-log 3.";
                (failure.sentence.clone(), fix.to_owned())
            }
        };
        // Some of what GStreamer says has several lines.
        Self::problem(name, seen.replace('\n', " "), fix)
    }

    /// The same, where a call may do without.
    #[must_use]
    pub fn softened(self) -> Self {
        Self {
            state: self.state.min(State::Warning),
            ..self
        }
    }

    /// Something that did not come to an end.
    pub fn unanswered(name: &'static str, seconds: u64) -> Self {
        Self::problem(
            name,
            format!("This could not be found out within {seconds} s."),
            "Try again while the machine is less busy.",
        )
    }

    fn new(name: &'static str, state: State, seen: impl Into<String>, fix: Option<String>) -> Self {
        Self {
            name,
            state,
            seen: seen.into(),
            fix,
        }
    }
}

impl Diagnosis {
    /// The counts.
    pub fn summary(&self) -> Summary {
        let count = |state| self.findings.iter().filter(|f| f.state == state).count();
        let problems = count(State::Problem);
        Summary {
            healthy: problems == 0,
            problems,
            warnings: count(State::Warning),
        }
    }

    /// What the program ends with: an error where a call will not work.
    ///
    /// # Errors
    /// When there is a problem; warnings are none.
    pub fn verdict(&self) -> Result<(), Failure> {
        let names: Vec<_> = self
            .findings
            .iter()
            .filter(|finding| finding.state == State::Problem)
            .map(|finding| finding.name)
            .collect();
        match names.as_slice() {
            [] => Ok(()),
            names => Err(Failure::new(
                FailureKind::Other,
                format!("A call will not work as it is: see {}.", names.join(", ")),
            )),
        }
    }
}

impl Serialize for Diagnosis {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(&self.findings)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "PROBLEM",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8} {:<11} {}", self.state, self.name, self.seen)?;
        match &self.fix {
            Some(fix) => write!(f, "\n{:21}-> {fix}", ""),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        let (problems, warnings) = (
            number(self.problems, "problem"),
            number(self.warnings, "warning"),
        );
        match self.healthy {
            true => write!(f, "A call should work: no problem, {warnings}."),
            false => write!(f, "A call will not work as it is: {problems}, {warnings}."),
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    match rest.next() {
        Some(first) => first.to_uppercase().chain(rest).collect(),
        None => String::new(),
    }
}
