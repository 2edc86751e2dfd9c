//! Keeps the C library's allocator from holding on to memory.
//!
//! Every call has threads of its own, and glibc gives each thread an arena of its own and, after the
//! first freed picture, keeps pictures in arenas too. A program that is called a hundred times would
//! grow by tens of megabytes a call without leaking a byte. Two settings keep it flat, and glibc
//! reads them only when a program starts:
//! <https://www.gnu.org/software/libc/manual/html_node/Memory-Allocation-Tunables.html>.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

const SETTINGS: [(&str, &str); 2] = [
    ("MALLOC_ARENA_MAX", "2"),
    ("MALLOC_MMAP_THRESHOLD_", "131072"),
];

/// Starts this program anew, in its own place and with its own arguments, unless the settings are
/// there already. To be called first of all; returns only when there is nothing to do.
///
/// # Errors
/// When the program could not be started anew. It may go on as it is.
pub fn settle() -> io::Result<()> {
    if SETTINGS
        .iter()
        .any(|(name, _)| std::env::var_os(name).is_some())
    {
        return Ok(());
    }
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| OsString::from("client"));
    let mut again = Command::new(std::env::current_exe()?);
    Err(again.arg0(name).args(arguments).envs(SETTINGS).exec())
}
