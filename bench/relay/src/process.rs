//! What a process takes, from `/proc`, and how many files this one may open.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A process to be watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched(u32);

/// The memory of a process, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Its own, not backed by a file: what it has allocated and touched.
    pub(crate) anonymous: u64,
    /// All that is resident, libraries included.
    pub(crate) resident: u64,
}

impl Watched {
    /// # Errors
    /// When there is no such process or it cannot be watched.
    pub(crate) fn new(pid: u32) -> anyhow::Result<Self> {
        let watched = Self(pid);
        watched.cpu()?;
        Ok(watched)
    }

    /// This process.
    pub(crate) fn ourselves() -> Self {
        Self(std::process::id())
    }

    /// The processor time of all its threads, to a hundredth of a second.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn cpu(self) -> anyhow::Result<Duration> {
        let stat = self.read("stat")?;
        let ticks = cpu_ticks(&stat).context("/proc tells a processor time nobody understands")?;
        Ok(Duration::from_secs_f64(
            ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
        ))
    }

    /// # Errors
    /// When the process is gone or is another user's.
    pub(crate) fn memory(self) -> anyhow::Result<Memory> {
        let rollup = self.read("smaps_rollup")?;
        let field = |name| kilobytes(&rollup, name).map(|kb| kb * 1024);
        Ok(Memory {
            anonymous: field("Anonymous:").context("/proc tells no anonymous memory")?,
            resident: field("Rss:").context("/proc tells no resident memory")?,
        })
    }

    /// What is resident, in bytes: cheap enough to be asked often.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn resident(self) -> anyhow::Result<u64> {
        let statm = self.read("statm")?;
        let pages = statm
            .split_whitespace()
            .nth(1)
            .and_then(|n| n.parse::<u64>().ok());
        let pages = pages.context("/proc tells a memory nobody understands")?;
        Ok(pages * rustix::param::page_size() as u64)
    }

    fn read(self, file: &str) -> anyhow::Result<String> {
        let Self(pid) = self;
        fs::read_to_string(format!("/proc/{pid}/{file}"))
            .with_context(|| format!("process {pid} cannot be watched"))
    }
}

/// The 14th and the 15th field; the 2nd stands in brackets and may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Lets this process, and those it starts, open so many files.
///
/// # Errors
/// When the system allows fewer.
pub(crate) fn allow_files(count: u64) -> anyhow::Result<()> {
    let now = getrlimit(Resource::Nofile);
    let is_enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= count);
    if is_enough(now.current) {
        return Ok(());
    }
    // Beyond the hard limit only with the right to do so.
    let maximum = if is_enough(now.maximum) {
        now.maximum
    } else {
        Some(count)
    };
    let wanted = Rlimit {
        current: Some(count),
        maximum,
    };
    setrlimit(Resource::Nofile, wanted)
        .with_context(|| format!("this process may not open {count} files: raise `ulimit -Hn`"))
}

/// Lets this process open as many files as the system allows without further rights.
///
/// # Errors
/// Never where limits can be set at all.
pub(crate) fn allow_all_files() -> anyhow::Result<()> {
    let now = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: now.maximum,
        maximum: now.maximum,
    };
    setrlimit(Resource::Nofile, all).context("the limit of open files cannot be raised")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_time_is_found_behind_any_name() {
        let stat = "7 (a) b) c) R 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 5 6 7";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(cpu_ticks("nothing"), None);
    }

    #[test]
    fn this_process_has_memory_and_processor_time() {
        let ourselves = Watched::ourselves();
        let memory = ourselves.memory().expect("our own");
        assert!(
            memory.resident >= memory.anonymous && memory.anonymous > 0,
            "{memory:?}"
        );
        assert!(ourselves.resident().expect("our own") > 0);
        assert!(ourselves.cpu().is_ok());
    }

    #[test]
    fn kilobytes_are_found_by_their_name() {
        let rollup = "Rss:   100 kB\nAnonymous:    8 kB\n";
        assert_eq!(kilobytes(rollup, "Anonymous:"), Some(8));
        assert_eq!(kilobytes(rollup, "Swap:"), None);
    }

    #[test]
    fn files_that_are_allowed_already_are_asked_for_in_vain() {
        assert!(allow_files(3).is_ok());
    }
}
