//! Lines of standard input to be sent, and lines that came in for standard output, each on a thread
//! that may wait.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::thread;

use async_channel::{Receiver, Sender, bounded};

/// How many lines wait, each way, before whoever brings them waits.
const MAX_WAITING_LINES: usize = 256;

/// The lines of this process.
#[derive(Clone, Debug)]
pub struct Lines {
    input: Receiver<Line>,
    /// What was read and could not be sent: it goes first.
    returned: (Sender<Line>, Receiver<Line>),
    output: Sender<String>,
}

/// What standard input brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line, without its end.
    Text(String),
    /// There are no more.
    End,
}

impl Lines {
    /// Begins to read and to write. `longest` is how many bytes a line may have; one that has more, or is
    /// not UTF-8, is left out with a word about it.
    pub fn begin(longest: usize) -> Self {
        let (lines, input) = bounded(MAX_WAITING_LINES);
        let (output, printed) = bounded(MAX_WAITING_LINES);
        thread::spawn(move || read(&lines, longest));
        thread::spawn(move || {
            // Whoever sends more learns from the closed channel.
            let _ = print(&printed);
        });
        Self {
            input,
            returned: bounded(1),
            output,
        }
    }

    /// The next line to send.
    pub async fn next(&self) -> Line {
        if let Ok(line) = self.returned.1.try_recv() {
            return line;
        }
        self.input.recv().await.unwrap_or(Line::End)
    }

    /// Takes a line back that could not be sent: it is the next.
    pub fn give_back(&self, line: Line) {
        let _ = self.returned.0.try_send(line);
    }

    /// Prints a line that came in, once there is room. False when nobody reads any more.
    pub async fn print(&self, line: String) -> bool {
        self.output.send(line).await.is_ok()
    }

    /// Waits until all that was to be printed is, or nobody reads.
    pub async fn printed(&self) {
        while !self.output.is_empty() && !self.output.is_closed() {
            async_std::task::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

fn read(lines: &Sender<Line>, longest: usize) {
    let mut input = io::stdin().lock();
    for number in 1_u64.. {
        let mut line = Vec::new();
        // Its end, and one byte more than it may have.
        let limit = longest as u64 + 2;
        match input.by_ref().take(limit).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let ended = line.pop_if(|last| *last == b'\n').is_some();
        if line.len() > longest {
            tracing::warn!(
                "line {number} of standard input is longer than {longest} bytes and was not sent"
            );
            if !ended && input.skip_until(b'\n').is_err() {
                break;
            }
            continue;
        }
        let sent = match String::from_utf8(line) {
            Ok(text) if !text.contains('\0') => lines.send_blocking(Line::Text(text)),
            Ok(_) | Err(_) => {
                tracing::warn!("line {number} of standard input is no text and was not sent");
                continue;
            }
        };
        if sent.is_err() {
            return;
        }
    }
    // The closed channel says that there are no more.
}

fn print(lines: &Receiver<String>) -> io::Result<()> {
    let mut out = io::stdout();
    let is_terminal = out.is_terminal();
    while let Ok(line) = lines.recv_blocking() {
        // A stranger's text may do things to a terminal.
        match is_terminal {
            true => writeln!(out, "{}", harmless(&line))?,
            false => writeln!(out, "{line}")?,
        }
        out.flush()?;
    }
    Ok(())
}

/// Shows control characters instead of obeying them.
fn harmless(line: &str) -> String {
    let shown = |c: char| match c.is_control() && c != '\t' {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    line.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_told_nothing_but_text() {
        assert_eq!(harmless("gr\u{fc}\u{df}e\t\"x\""), "gr\u{fc}\u{df}e\t\"x\"");
        assert_eq!(harmless("\x1b[2Jx\r"), "\\u{1b}[2Jx\\r");
    }
}
