//! Asks Linux about this process.

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use crate::metrics::Process;

/// What the system says at this moment of this process, which began so many seconds after 1970; `None`
/// where it says nothing.
///
/// Only what lies in the folder of the process is asked: of the rest a service may see nothing.
pub(crate) fn read(started_unix: u64) -> Option<Process> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let mut process = parse(&stat, clock_ticks_per_second(), page_size() as u64)?;
    process.started_unix = started_unix as f64;
    process.open_descriptors = open_descriptors()?;
    process.max_descriptors = getrlimit(Resource::Nofile).current;
    Some(process)
}

/// Linux 6.2 and later say how many there are; before, they have to be counted.
fn open_descriptors() -> Option<u64> {
    const FOLDER: &str = "/proc/self/fd";
    match fs::metadata(FOLDER).ok()?.len() {
        // One of them is for the counting.
        0 => Some(fs::read_dir(FOLDER).ok()?.count() as u64 - 1),
        count => Some(count),
    }
}

/// Reads what [proc(5)](https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html) says of
/// `/proc/self/stat`.
fn parse(stat: &str, ticks_per_second: u64, page_bytes: u64) -> Option<Process> {
    // The name of the program comes second, in brackets, and may hold anything.
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let seconds = |ticks: u64| ticks as f64 / ticks_per_second as f64;
    Some(Process {
        cpu_seconds: seconds(field(14)? + field(15)?),
        threads: field(20)?,
        virtual_bytes: field(23)?,
        resident_bytes: field(24)? * page_bytes,
        started_unix: 0.0,
        open_descriptors: 0,
        max_descriptors: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_system_is_understood_whatever_the_program_is_called() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 90 0 0 0 150 50 0 0 20 0 3 0 1000 \
            8192000 500 18446744073709551615 1 1 0 0";
        let process = parse(stat, 100, 4096).expect("it is understood");
        assert_eq!(
            process,
            Process {
                cpu_seconds: 2.0,
                threads: 3,
                virtual_bytes: 8_192_000,
                resident_bytes: 2_048_000,
                ..Process::default()
            }
        );
        for broken in [
            "",
            "7",
            "7 (a) S 1",
            "7 (a) S x x x x x x x x x x x x x x x x",
        ] {
            assert_eq!(parse(broken, 100, 4096), None, "{broken}");
        }
    }

    #[test]
    fn this_process_is_known() {
        let process = read(1_790_000_000).expect("Linux knows it");
        assert!(process.open_descriptors >= 3, "{process:?}");
        assert!(process.resident_bytes > 100_000, "{process:?}");
        assert!(
            process.virtual_bytes >= process.resident_bytes,
            "{process:?}"
        );
        assert!(process.threads >= 1, "{process:?}");
        assert_eq!(process.started_unix, 1_790_000_000.0);
    }
}
