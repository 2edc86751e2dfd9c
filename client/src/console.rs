//! Lines that are typed while the client runs.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// No command is longer, in bytes.
const MAX_LINE: u64 = 1024;

/// How often a program in the background looks whether it is in the foreground again.
const BACKGROUND_LOOK: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// Whether somebody may type.
pub fn is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Has `typed` hear every line of standard input, on a thread that lives as long as the program,
/// until it says that nobody listens any more, by false.
pub fn listen(typed: impl Fn(String) -> bool + Send + 'static) {
    thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            if input.is_terminal() {
                wait_for_terminal();
            }
            let mut line = Vec::new();
            let read = input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
            // Nothing is left, or nothing can be read: nobody types any more.
            if !matches!(read, Ok(1..)) || !typed(String::from_utf8_lossy(&line).into_owned()) {
                return;
            }
        }
    });
}

/// Waits until there is a line for this program. One that is in the background must not even try to
/// read from its terminal: the system would stop it.
fn wait_for_terminal() {
    loop {
        let input = io::stdin();
        let mut waiting = [PollFd::new(&input, PollFlags::IN)];
        let polled = poll(&mut waiting, None);
        if polled.is_err() || is_in_foreground().unwrap_or(true) {
            return;
        }
        let _ = poll(&mut [], Some(&BACKGROUND_LOOK));
    }
}

/// Whether the terminal is ours; `None` where the system does not say.
fn is_in_foreground() -> Option<bool> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name before the parenthesis may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<_> = rest.split_whitespace().collect();
    Some(fields.get(2)? == fields.get(5)?)
}
