//! A connection to an X server that is given up when the server does not answer.

use std::io;

use anyhow::{Context as _, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use x11rb::reexports::x11rb_protocol::parse_display::parse_display;
use x11rb::reexports::x11rb_protocol::xauth::get_auth;
use x11rb::rust_connection::{DefaultStream, PollMode, RustConnection, Stream};
use x11rb::utils::RawFdContainer;

/// How long the server may take to answer, or to take what it is sent.
const PATIENCE: Timespec = Timespec {
    tv_sec: 2,
    tv_nsec: 0,
};

/// A connection whose every wait has an end.
pub(crate) type Connection = RustConnection<Patient>;

/// The stream below it.
#[derive(Debug)]
pub(crate) struct Patient(DefaultStream);

/// Connects to a display, or to that of the environment; with it comes the number of its screen.
///
/// # Errors
/// When there is none, or it does not answer.
pub(super) fn connect(display: Option<&str>) -> Result<(Connection, usize), anyhow::Error> {
    let parsed = parse_display(display)?;
    let screen = usize::from(parsed.screen);
    let mut refused = None;
    for address in parsed.connect_instruction() {
        match DefaultStream::connect(&address) {
            Ok((stream, (family, peer))) => {
                // Many a server asks for no authority.
                let authority = get_auth(family, &peer, parsed.display).ok().flatten();
                let (name, data) = authority.unwrap_or_default();
                let connection = Connection::connect_to_stream_with_auth_info(
                    Patient(stream),
                    screen,
                    name,
                    data,
                );
                return Ok((connection?, screen));
            }
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        Some(error) => Err(error).context("no server"),
        None => bail!("no address"),
    }
}

impl Stream for Patient {
    fn poll(&self, mode: PollMode) -> io::Result<()> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, mode.readable());
        flags.set(PollFlags::OUT, mode.writable());
        let mut watched = [PollFd::new(&self.0, flags)];
        match poll(&mut watched, Some(&PATIENCE)) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            // Whoever asked finds out whether there is something, and asks again.
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn read(&self, buffer: &mut [u8], descriptors: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.0.read(buffer, descriptors)
    }

    fn write(&self, buffer: &[u8], descriptors: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.0.write(buffer, descriptors)
    }

    fn write_vectored(
        &self,
        buffers: &[io::IoSlice<'_>],
        descriptors: &mut Vec<RawFdContainer>,
    ) -> io::Result<usize> {
        self.0.write_vectored(buffers, descriptors)
    }
}
