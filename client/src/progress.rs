//! How far a file has come, on a terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

/// How often the line is drawn anew.
const REDRAW: Duration = Duration::from_millis(200);

/// How many characters the bar has.
const WIDTH: u64 = 24;

/// A line on the terminal that grows with a file; where standard error is none, nothing.
#[derive(Debug)]
pub struct Progress {
    name: String,
    size: u64,
    first: Option<u64>,
    drawn: Option<Duration>,
    is_terminal: bool,
}

impl Progress {
    /// For a file with this name and so many bytes.
    pub fn new(name: &str, size: u64) -> Self {
        Self {
            name: name.escape_debug().collect(),
            size,
            first: None,
            drawn: None,
            is_terminal: io::stderr().is_terminal(),
        }
    }

    /// So many bytes are there, so long after the beginning.
    pub fn show(&mut self, bytes: u64, elapsed: Duration) {
        let is_due = self.drawn.is_none_or(|drawn| elapsed >= drawn + REDRAW);
        if !self.is_terminal || !is_due {
            return;
        }
        self.drawn = Some(elapsed);
        let first = *self.first.get_or_insert(bytes);
        let rate = bytes.saturating_sub(first) as f64 / elapsed.as_secs_f64().max(0.001);
        let line = line(&self.name, bytes, self.size, rate);
        // A terminal that is gone shows nothing.
        let _ = write!(io::stderr(), "\r{line}\x1b[K");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn line(name: &str, bytes: u64, size: u64, rate: f64) -> String {
    let filled = (bytes.min(size) * WIDTH).checked_div(size).unwrap_or(WIDTH);
    let percent = (bytes.min(size) * 100).checked_div(size).unwrap_or(100);
    let bar: String = (0..WIDTH)
        .map(|place| if place < filled { '#' } else { '.' })
        .collect();
    let rate = rate / 1e6;
    format!("{name} [{bar}] {percent} % {rate:.1} MB/s")
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_line_says_how_far_and_how_fast() {
        let half = line("x", 50, 100, 2.55e6);
        assert_eq!(half, "x [############............] 50 % 2.5 MB/s");
        assert!(line("empty", 0, 0, 0.0).contains("100 %"));
        assert!(line("big", u64::MAX / 200, u64::MAX / 100, 0.0).contains("50 %"));
    }
}
