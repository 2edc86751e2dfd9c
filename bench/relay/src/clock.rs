//! The one clock of a load.

use std::time::{Duration, Instant};

/// Nanoseconds since the load began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    began: Instant,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "every load owns a clock: this one"
    )]
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    /// How long the load has been going on, in nanoseconds.
    pub(crate) fn now(&self) -> u64 {
        nanos(self.began.elapsed())
    }
}

/// A duration in nanoseconds.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
