//! A relay in a process of its own, on a port of its own, gone with the test.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Longer than anything here takes on a busy machine, shorter than anybody's patience.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Running {
    child: Child,
    pub(crate) ready_line: String,
    pub(crate) address: SocketAddr,
    rest_of_stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
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
        .env_remove("RUST_LOG");
    command
}

/// A relay on a free port, with the options given.
pub(crate) fn relay(options: &str) -> Running {
    start(&mut command(&format!("--listen 127.0.0.1:0 {options}")))
}

pub(crate) fn start(command: &mut Command) -> Running {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut stderr = child.stderr.take().expect("a pipe");
    let stderr = thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).expect("logs are text");
        text
    });
    let (ready, is_ready) = channel();
    let rest_of_stdout = thread::spawn(move || {
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line of text");
        ready.send(line).expect("the test waits for it");
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).expect("text");
        rest
    });
    let ready_line = is_ready.recv_timeout(PATIENCE).expect("a ready line");
    let address = ready_line
        .split_once("page http://")
        .and_then(|(_, rest)| rest.split_once('/'))
        .unwrap_or_else(|| panic!("no address in {ready_line:?}"))
        .0
        .parse()
        .expect("an address");
    Running {
        child,
        ready_line,
        address,
        rest_of_stdout: Some(rest_of_stdout),
        stderr: Some(stderr),
    }
}

impl Running {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the relay runs");
    }

    /// Waits for the end of the process, which something else has to bring about.
    pub(crate) fn remains(mut self) -> Remains {
        let stdout = joined(self.rest_of_stdout.take());
        let stderr = joined(self.stderr.take());
        Remains {
            status: self.child.wait().expect("the relay was ours"),
            stdout,
            stderr,
        }
    }

    /// The resident memory of the process, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .expect("the relay runs");
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

/// What the thread read; the pipe ends with the process, for which the wait is bounded.
fn joined(reader: Option<JoinHandle<String>>) -> String {
    let reader = reader.expect("asked for once");
    let (done, is_done): (_, Receiver<()>) = channel();
    let waiter = thread::spawn(move || {
        let text = reader.join().expect("the pipe holds text");
        drop(done);
        text
    });
    assert!(
        is_done.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Disconnected),
        "the relay does not end"
    );
    waiter.join().expect("the pipe holds text")
}
