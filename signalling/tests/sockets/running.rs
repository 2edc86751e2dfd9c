//! A relay in a process of its own, on a port of its own, gone with the test.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

/// Longer than anything here takes on a busy machine, shorter than anybody's patience.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Running {
    child: Child,
    pub(crate) ready_line: String,
    pub(crate) address: SocketAddr,
    rest_of_stdout: Receiver<String>,
    stderr: Receiver<String>,
}

/// What a relay left behind.
pub(crate) struct Remains {
    pub(crate) status: ExitStatus,
    /// Without the ready line.
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn command(options: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signalling"));
    command
        .args(options.split_whitespace())
        .env_remove("RUST_LOG")
        .stdin(Stdio::null());
    command
}

/// Runs it to its end, which it finds by itself.
pub(crate) fn run(command: &mut Command) -> Output {
    command.output().expect("the binary starts")
}

/// A relay on a free port, with the options given.
pub(crate) fn relay(options: &str) -> Running {
    start(&mut command(&format!("--listen 127.0.0.1:0 {options}")))
}

pub(crate) fn start(command: &mut Command) -> Running {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let (ready_line, is_ready) = channel();
    let (all_stdout, rest_of_stdout) = channel();
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    thread::spawn(move || {
        let (mut line, mut rest) = (String::new(), String::new());
        stdout.read_line(&mut line).expect("a line of text");
        // A test that has ended no longer listens.
        let _ = ready_line.send(line);
        stdout.read_to_string(&mut rest).expect("text");
        let _ = all_stdout.send(rest);
    });
    let (all_stderr, stderr) = channel();
    let mut log = child.stderr.take().expect("a pipe");
    thread::spawn(move || {
        let mut text = String::new();
        log.read_to_string(&mut text).expect("logs are text");
        let _ = all_stderr.send(text);
    });
    let ready_line: String = is_ready.recv_timeout(PATIENCE).expect("a ready line");
    let address = ready_line
        .split_once("page http")
        .and_then(|(_, rest)| rest.split_once("://")?.1.split_once('/'))
        .unwrap_or_else(|| panic!("no address in {ready_line:?}"))
        .0
        .parse()
        .expect("an address");
    Running {
        child,
        ready_line,
        address,
        rest_of_stdout,
        stderr,
    }
}

impl Running {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the relay runs");
    }

    /// Waits for the end of the process, which something else has to bring about.
    pub(crate) fn remains(mut self) -> Remains {
        // The pipes end with the process.
        let ended = "the relay ends in time";
        let stdout = self.rest_of_stdout.recv_timeout(PATIENCE).expect(ended);
        let stderr = self.stderr.recv_timeout(PATIENCE).expect(ended);
        Remains {
            status: self.child.wait().expect("the relay was ours"),
            stdout,
            stderr,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How many descriptors it may have, and how many it may permit itself; nothing is no bound.
    pub(crate) fn descriptors(&self) -> (Option<u64>, Option<u64>) {
        let limits = fs::read_to_string(format!("/proc/{}/limits", self.pid()));
        let limits = limits.expect("the relay runs");
        let line = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max open files"))
            .expect("Linux says how many descriptors a process may have");
        let mut columns = line.split_whitespace().map(|column| column.parse().ok());
        let mut next = || columns.next().expect("two numbers");
        (next(), next())
    }

    /// Lets it have no more descriptors than so many from now on.
    pub(crate) fn bound_descriptors(&self, most: u64) {
        let bound = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Nofile, bound)
            .expect("the relay is ours");
    }

    /// The resident memory of the process, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the relay runs");
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next())
            .and_then(|kib| kib.parse().ok())
            .expect("Linux says how much memory a process has")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only this one child, and also when a test fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tries again and again, but not for ever.
pub(crate) fn eventually<T>(mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = now() + PATIENCE;
    loop {
        match attempt() {
            None if now() < deadline => thread::yield_now(),
            outcome => return outcome,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the patience of the relay is measured"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
