//! Which connections can be read or written now.
//!
//! The runtime arms its interest in a socket anew for every event, and runs a task for each. With
//! thousands of messages in a second that costs more than the messages, so WebSockets are watched by
//! an epoll instance of their own, which stays armed.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
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

/// An epoll instance (`man 7 epoll`), level-triggered but for the bell. A socket that is closed is no
/// longer in it.
pub(crate) struct Watch {
    epoll: OwnedFd,
}

impl Watch {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
        })
    }

    pub(crate) fn add(&self, socket: impl AsFd, number: u64, interest: Interest) -> io::Result<()> {
        let data = EventData::new_u64(number);
        Ok(epoll::add(&self.epoll, socket, data, interest.flags())?)
    }

    /// Watches for a change, which is told once.
    pub(crate) fn add_bell(&self, bell: impl AsFd, number: u64) -> io::Result<()> {
        let data = EventData::new_u64(number);
        let flags = EventFlags::IN | EventFlags::ET;
        Ok(epoll::add(&self.epoll, bell, data, flags)?)
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
            return Ok(epoll::delete(&self.epoll, socket)?);
        }
        let data = EventData::new_u64(number);
        Ok(epoll::modify(&self.epoll, socket, data, after.flags())?)
    }

    /// Waits until there is something. At most as much as there is room for in `events`, which is
    /// emptied first; nothing, if a signal came.
    pub(crate) fn wait(&self, events: &mut Vec<Event>) -> io::Result<()> {
        events.clear();
        match epoll::wait(&self.epoll, spare_capacity(events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Interest {
    /// What is waited for of whoever may speak and has been told everything.
    pub(crate) const READING: Self = Self {
        reading: true,
        writing: false,
    };

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
