//! Which processes hold a device open.

use std::fs;
use std::path::Path;

/// How many processes are named.
const MAX_NAMED: usize = 5;

/// The other processes that have `path` open, each as its name and number, as far as we may look: those of
/// other users only as root. Reads `/proc` ([proc(5)](https://man7.org/linux/man-pages/man5/proc.5.html)).
pub fn who_holds(path: &str) -> Vec<String> {
    let Ok(device) = fs::canonicalize(path) else {
        return Vec::new();
    };
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .filter_map(Result::ok)
        .filter(|process| holds(&process.path(), &device))
        .filter_map(|process| {
            let number: u32 = process.file_name().to_str()?.parse().ok()?;
            if number == std::process::id() {
                return None;
            }
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            Some(format!("{} (process {number})", name.trim().escape_debug()))
        })
        .take(MAX_NAMED)
        .collect()
}

fn holds(process: &Path, device: &Path) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    descriptors
        .filter_map(Result::ok)
        .any(|descriptor| fs::read_link(descriptor.path()).is_ok_and(|target| target == device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_holds_a_file_is_named() -> std::io::Result<()> {
        let own = std::env::current_exe()?;
        let path = own.to_string_lossy();
        assert!(who_holds("/nonexistent").is_empty());
        let ours = fs::File::open(&own)?;
        let mut holder = std::process::Command::new("sleep")
            .arg("300")
            .stdin(ours)
            .spawn()?;
        let held = who_holds(&path);
        holder.kill()?;
        holder.wait()?;
        let name = format!("sleep (process {})", holder.id());
        assert!(held.contains(&name), "{held:?}");
        assert!(!who_holds(&path).contains(&name));
        Ok(())
    }
}
