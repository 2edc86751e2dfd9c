//! Readiness of many sockets, by epoll itself: one call for each wait and nothing beside it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{Timespec, epoll};

/// Events taken from the kernel at once.
const EVENTS: usize = 1024;

/// What of a socket is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Only its end.
    Nothing,
    Readable,
    Writable,
    Both,
}

impl Interest {
    fn flags(self) -> epoll::EventFlags {
        match self {
            Self::Nothing => epoll::EventFlags::empty(),
            Self::Readable => epoll::EventFlags::IN,
            Self::Writable => epoll::EventFlags::OUT,
            Self::Both => epoll::EventFlags::IN | epoll::EventFlags::OUT,
        }
    }
}

/// A socket that is ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    /// The number under which it was added.
    pub(crate) token: usize,
    /// There is something to read, or it has ended.
    pub(crate) readable: bool,
    /// It takes more bytes.
    pub(crate) writable: bool,
}

/// Sockets and what is waited for of each; level-triggered.
pub(crate) struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    count: usize,
}

impl Poll {
    /// # Errors
    /// When the process has no descriptor left.
    pub(crate) fn new() -> io::Result<Self> {
        let nothing = epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        };
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            events: vec![nothing; EVENTS],
            count: 0,
        })
    }

    /// Begins to watch a socket, which is forgotten when it is closed.
    ///
    /// # Errors
    /// When it is watched already.
    pub(crate) fn add(
        &self,
        socket: impl AsFd,
        token: usize,
        interest: Interest,
    ) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token as u64);
        Ok(epoll::add(&self.epoll, socket, data, interest.flags())?)
    }

    /// Waits for something else of a socket from now on.
    ///
    /// # Errors
    /// When it is not watched.
    pub(crate) fn modify(
        &self,
        socket: impl AsFd,
        token: usize,
        interest: Interest,
    ) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token as u64);
        Ok(epoll::modify(&self.epoll, socket, data, interest.flags())?)
    }

    /// Watches a socket no more.
    ///
    /// # Errors
    /// When it is not watched.
    pub(crate) fn remove(&self, socket: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, socket)?)
    }

    /// Waits until a socket is ready, at most so long; [`Self::ready`] tells which. Returns their count.
    ///
    /// # Errors
    /// Only when the kernel has none of this.
    pub(crate) fn wait(&mut self, limit: Option<Duration>) -> io::Result<usize> {
        let limit = limit.map(|limit| Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        let waited = epoll::wait(&self.epoll, self.events.as_mut_slice(), limit.as_ref());
        self.count = match waited {
            Ok(count) => count,
            Err(rustix::io::Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        Ok(self.count)
    }

    /// One of the sockets that the last wait found.
    pub(crate) fn ready(&self, index: usize) -> Ready {
        let event = self.events[index];
        let flags = event.flags;
        let ended = epoll::EventFlags::HUP | epoll::EventFlags::ERR;
        Ready {
            token: event.data.u64() as usize,
            readable: flags.intersects(epoll::EventFlags::IN | ended),
            writable: flags.contains(epoll::EventFlags::OUT),
        }
    }
}
