//! Which connections can be read or written now.
//!
//! The runtime arms its interest in a socket anew for every event, and runs a task for each. With
//! thousands of messages in a second that costs more than the messages, so WebSockets are watched by
//! an epoll instance of their own, which stays armed, and which is all that the runtime sees.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use async_io::Async;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// What is waited for at one connection. By default, nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    /// For bytes that come in.
    pub(crate) reading: bool,
    /// For room for bytes that go out.
    pub(crate) writing: bool,
}

/// What has become possible at one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Readiness {
    /// The number under which it was added.
    pub(crate) number: u64,
    /// There is something to read, the end or a failure included.
    pub(crate) reading: bool,
    /// There is room to write, or a failure to be learnt of.
    pub(crate) writing: bool,
}

/// An epoll instance (`man 7 epoll`), level-triggered. A socket that is closed is no longer in it.
pub(crate) struct Watch {
    epoll: Async<OwnedFd>,
}

impl Watch {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self {
            epoll: Async::new_nonblocking(epoll)?,
        })
    }

    pub(crate) fn add(&self, socket: impl AsFd, number: u64, interest: Interest) -> io::Result<()> {
        let data = EventData::new_u64(number);
        Ok(epoll::add(
            self.epoll.get_ref(),
            socket,
            data,
            interest.flags(),
        )?)
    }

    /// Who is waited for in no way is taken out, since failures would be told all the time.
    pub(crate) fn change(
        &self,
        socket: impl AsFd,
        number: u64,
        (before, after): (Interest, Interest),
    ) -> io::Result<()> {
        let nothing = Interest::default();
        if before == nothing {
            return self.add(socket, number, after);
        }
        if after == nothing {
            return Ok(epoll::delete(self.epoll.get_ref(), socket)?);
        }
        let data = EventData::new_u64(number);
        Ok(epoll::modify(
            self.epoll.get_ref(),
            socket,
            data,
            after.flags(),
        )?)
    }

    /// Waits until there is something, and lets other tasks run.
    pub(crate) async fn some(&self) -> io::Result<()> {
        self.epoll.readable().await
    }

    /// What there is now, or within a time for which nothing else runs on this thread. At most as much
    /// as there is room for in `events`, which is emptied first.
    pub(crate) fn wait(&self, events: &mut Vec<Event>, patience: Duration) -> io::Result<()> {
        events.clear();
        let patience = Timespec {
            tv_sec: patience.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: patience.subsec_nanos().into(),
        };
        match epoll::wait(
            self.epoll.get_ref(),
            spare_capacity(events),
            Some(&patience),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Interest {
    fn flags(self) -> EventFlags {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, self.reading);
        flags.set(EventFlags::OUT, self.writing);
        flags
    }
}

impl From<&Event> for Readiness {
    fn from(event: &Event) -> Self {
        let (flags, data) = (event.flags, event.data);
        // Told without being asked for: whoever tries learns what it is.
        let is_over = flags.intersects(EventFlags::ERR | EventFlags::HUP);
        Self {
            number: data.u64(),
            reading: is_over || flags.contains(EventFlags::IN),
            writing: is_over || flags.contains(EventFlags::OUT),
        }
    }
}
