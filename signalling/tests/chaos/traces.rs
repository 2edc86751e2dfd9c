//! What a process takes of the system, as Linux tells it.

use std::fs;

use crate::running::{Running, eventually};

/// So much more memory than before may be in use when everything is over: a factor, and the least
/// that an allocator keeps.
const MEMORY_FACTOR: u64 = 2;
const MEMORY_KEPT_KIB: u64 = 16 * 1024;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Traces {
    pub(crate) resident_kib: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
}

impl Traces {
    pub(crate) fn of(relay: &Running) -> Self {
        let count = |what: &str| {
            let folder = format!("/proc/{}/{what}", relay.pid());
            fs::read_dir(folder).expect("the relay runs").count()
        };
        Self {
            resident_kib: relay.resident_kib(),
            descriptors: count("fd"),
            threads: count("task"),
        }
    }

    /// Waits until the relay takes no more than it took before.
    #[track_caller]
    pub(crate) fn expect_return(self, relay: &Running) {
        let mut now = Self::of(relay);
        let returned = eventually(|| {
            now = Self::of(relay);
            let most_kib = MEMORY_FACTOR * self.resident_kib + MEMORY_KEPT_KIB;
            let is_back = now.descriptors <= self.descriptors
                && now.threads <= self.threads
                && now.resident_kib <= most_kib;
            is_back.then_some(())
        });
        assert!(returned.is_some(), "before {self:?}, now {now:?}");
    }
}
