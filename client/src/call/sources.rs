//! What a user types about sources while the client runs.

use super::Client;
use crate::command::{Command, HELP};
use crate::media::Kind;
use crate::report::{Report, SourceEntry};

impl Client {
    /// Does what was typed; what is wrong with it is said.
    pub(super) fn typed(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        let done = line.parse().and_then(|command| match command {
            Command::List => {
                let sources = self.source_list();
                self.report(Report::Sources { sources });
                Ok(())
            }
            Command::Switch(kind, choice) => {
                let index = choice.among(&self.capture.sources(kind))?;
                match self.capture.switch(kind, index) {
                    true => Ok(()),
                    false => Err(format!("no {kind} is sent")),
                }
            }
            Command::Help => Err(HELP.into()),
            Command::Quit => {
                self.ways.stop();
                Ok(())
            }
        });
        if let Err(text) = done {
            self.report(Report::Reply { text });
        }
    }

    fn source_list(&self) -> Vec<SourceEntry> {
        let entries = |kind| {
            let selected = self.capture.selected(kind);
            let names = self.capture.sources(kind).into_iter().enumerate();
            names.map(move |(index, source)| SourceEntry {
                kind,
                number: index + 1,
                source,
                selected: selected == Some(index),
            })
        };
        Kind::ALL.into_iter().flat_map(entries).collect()
    }
}
