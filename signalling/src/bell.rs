//! Calls the thread that waits for WebSockets when something else is to be done on it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use rustix::event::{EventfdFlags, eventfd};

/// A waker that can be waited for by epoll. It rings once, however often it is pulled before it is
/// heard. To be watched for changes: nobody reads its counter, which would take centuries to be full.
pub(crate) struct Bell {
    counter: OwnedFd,
    is_rung: AtomicBool,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            counter: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            is_rung: AtomicBool::new(false),
        }))
    }

    /// Whether it was rung since this was asked last.
    pub(crate) fn was_rung(&self) -> bool {
        self.is_rung.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_rung.swap(true, Ordering::AcqRel) {
            let _ = rustix::io::write(&self.counter, &1_u64.to_ne_bytes());
        }
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.counter.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ready::Watch;

    #[test]
    fn it_is_heard_once_for_each_time_it_was_asked_about() {
        let (bell, watch) = (Bell::new().expect("a bell"), Watch::new().expect("epoll"));
        watch.add_bell(&*bell, 7).expect("it can be watched");
        let mut events = Vec::with_capacity(4);
        for _ in 0..3 {
            assert!(!bell.was_rung());
            for _ in 0..5 {
                bell.wake_by_ref();
            }
            watch.wait(&mut events).expect("an event");
            let numbers: Vec<_> = events.iter().map(|event| event.data.u64()).collect();
            assert_eq!(numbers, [7]);
            assert!(bell.was_rung());
        }
        // Rung while it is being looked at, it does not go on ringing afterwards.
        bell.wake_by_ref();
        assert!(bell.was_rung());
        bell.wake_by_ref();
        watch.wait(&mut events).expect("an event");
        assert!(bell.was_rung());
        let other = Bell::new().expect("a bell");
        watch.add_bell(&*other, 8).expect("it can be watched");
        other.wake_by_ref();
        watch.wait(&mut events).expect("an event");
        assert_eq!(events.len(), 1, "only the other one rings");
    }
}
