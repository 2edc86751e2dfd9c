//! Connections before the load: opened, registered and brought together one after the other, waiting
//! for each answer.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::frame::{self, Kind, Parsed};
use crate::pattern::Framing;
use crate::preamble::Preamble;
use crate::target::{ACCEPT, Target};

/// How long an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The longest answer, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// One peer, spoken to in turns.
pub(crate) struct Opening {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// Makes a socket that is connected or about to be; `is_waiting` says whether calls on it wait.
///
/// # Errors
/// When the server does not listen, or this machine has no sockets left.
pub(crate) fn connect(
    target: &Target,
    connection: u32,
    is_waiting: bool,
) -> anyhow::Result<TcpStream> {
    let family = match target.address.is_ipv4() {
        true => AddressFamily::INET,
        false => AddressFamily::INET6,
    };
    let flags = match is_waiting {
        true => SocketFlags::CLOEXEC,
        false => SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
    };
    let socket: OwnedFd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    if let Some(source) = target.source(connection) {
        rustix::net::bind(&socket, &source)?;
    }
    match rustix::net::connect(&socket, &target.address) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket.into()),
        Err(error) => Err(error).with_context(|| format!("nobody answers at {}", target.address)),
    }
}

impl Opening {
    /// Connects, and opens the WebSocket where there is one.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) fn new(target: &Target, connection: u32) -> anyhow::Result<Self> {
        let stream = connect(target, connection, true)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        stream.set_write_timeout(Some(ANSWER_LIMIT))?;
        let mut opening = Self {
            stream,
            unread: Vec::new(),
        };
        if target.framing == Framing::Frames {
            opening.upgrade(&target.request)?;
        }
        Ok(opening)
    }

    fn upgrade(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(request)?;
        loop {
            if let Some(bytes) = upgraded(&self.unread)? {
                self.unread.drain(..bytes);
                return Ok(());
            }
            self.read_more()?;
        }
    }

    /// Registers.
    ///
    /// # Errors
    /// When the server says anything but `HELLO`.
    pub(crate) fn register(&mut self, id: &str) -> anyhow::Result<()> {
        self.ask(&format!("HELLO {id}"), "HELLO")
    }

    /// Says a line, and sees to it that the answer is as it should be.
    ///
    /// # Errors
    /// When the answer is another.
    pub(crate) fn ask(&mut self, line: &str, owed: &str) -> anyhow::Result<()> {
        self.say(line)?;
        let answer = self.hear()?;
        ensure!(
            answer == owed,
            "the server answers {line:?} with {answer:?} instead of {owed:?}"
        );
        Ok(())
    }

    /// # Errors
    /// When the server is gone.
    pub(crate) fn say(&mut self, line: &str) -> anyhow::Result<()> {
        let frame = frame::masked(Kind::Text, line.as_bytes());
        self.stream.write_all(&frame).context("the server is gone")
    }

    /// The next line.
    ///
    /// # Errors
    /// When none comes in time, or something that is no line.
    pub(crate) fn hear(&mut self) -> anyhow::Result<String> {
        loop {
            match frame::parse(&self.unread) {
                Parsed::Incomplete => self.read_more()?,
                Parsed::Broken(what) => bail!("the server sends {what}"),
                Parsed::Whole {
                    kind,
                    payload,
                    bytes,
                } => {
                    let payload = payload.to_vec();
                    self.unread.drain(..bytes);
                    match kind {
                        Kind::Text => return Ok(String::from_utf8(payload)?),
                        Kind::Ping => self
                            .stream
                            .write_all(&frame::masked(Kind::Pong, &payload))?,
                        Kind::Pong => {}
                        Kind::Binary => bail!("the server sends a binary message nobody sent"),
                        Kind::Close => {
                            bail!("the server closes: {}", frame::close_reason(&payload))
                        }
                    }
                }
            }
        }
    }

    /// Says to a forwarder without framing where the bytes go.
    ///
    /// # Errors
    /// When it is gone.
    pub(crate) fn precede(&mut self, preamble: Preamble) -> anyhow::Result<()> {
        self.stream
            .write_all(&preamble.to_bytes())
            .context("the server is gone")
    }

    /// Waits until the forwarder says the same.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) fn hear_preamble(&mut self, preamble: Preamble) -> anyhow::Result<()> {
        let owed = preamble.to_bytes();
        while self.unread.len() < owed.len() {
            self.read_more()?;
        }
        ensure!(
            self.unread.starts_with(&owed),
            "the forwarder answers a preamble with another"
        );
        self.unread.drain(..owed.len());
        Ok(())
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the server is gone.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(bytes).context("the server is gone")
    }

    /// The next so many bytes.
    ///
    /// # Errors
    /// When they do not come in time.
    pub(crate) fn receive(&mut self, bytes: usize) -> anyhow::Result<Vec<u8>> {
        while self.unread.len() < bytes {
            self.read_more()?;
        }
        Ok(self.unread.drain(..bytes).collect())
    }

    fn read_more(&mut self) -> anyhow::Result<()> {
        ensure!(
            self.unread.len() <= MAX_ANSWER,
            "the server never ends its answer"
        );
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => bail!("the server closes the connection instead of answering"),
            Ok(count) => self.unread.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                bail!(
                    "the server does not answer within {} s",
                    ANSWER_LIMIT.as_secs()
                )
            }
            Err(error) => return Err(error).context("the server is gone"),
        }
        Ok(())
    }

    /// The connection, for a load. Nothing may be waiting in it.
    ///
    /// # Errors
    /// When the server has said more than it was asked.
    pub(crate) fn finish(self) -> anyhow::Result<TcpStream> {
        ensure!(
            self.unread.is_empty(),
            "the server says what nobody asked: {:?}",
            String::from_utf8_lossy(&self.unread)
        );
        Ok(self.stream)
    }
}

/// Of how many bytes the answer to a WebSocket's request consists; `None` when it is not whole yet.
///
/// # Errors
/// When it is a refusal.
pub(crate) fn upgraded(answer: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(answer.get(..end).unwrap_or_default());
    let status = head.lines().next().unwrap_or_default();
    ensure!(
        status.starts_with("HTTP/1.1 101"),
        "the server refuses the WebSocket: {status}"
    );
    ensure!(
        head.contains(ACCEPT),
        "the server's answer belongs to another WebSocket"
    );
    Ok(Some(end + 4))
}

/// Opens a peer and registers it.
///
/// # Errors
/// When the server refuses.
pub(crate) fn open_peer(target: &Target, peer: usize) -> anyhow::Result<Opening> {
    let mut opening = Opening::new(target, target.number(peer))?;
    if target.framing == Framing::Frames {
        opening.register(&target.id(peer))?;
    }
    Ok(opening)
}

/// Opens pairs, each in a session: one behind the other, the caller first.
///
/// # Errors
/// When the server refuses.
pub(crate) fn open_sessions(target: &Target, pairs: usize) -> anyhow::Result<Vec<Opening>> {
    let mut openings = Vec::with_capacity(2 * pairs);
    for pair in 0..pairs {
        let mut caller = open_peer(target, 2 * pair)?;
        let mut callee = open_peer(target, 2 * pair + 1)?;
        match target.framing {
            Framing::Frames => {
                caller.ask(
                    &format!("SESSION {}", target.id(2 * pair + 1)),
                    "SESSION_OK",
                )?;
            }
            Framing::Raw => {
                let pair = Preamble::Pair { pair: pair as u32 };
                caller.precede(pair)?;
                callee.precede(pair)?;
            }
        }
        openings.extend([caller, callee]);
    }
    Ok(openings)
}

/// Opens rooms full of peers, one room behind the other.
///
/// # Errors
/// When the server refuses.
pub(crate) fn open_rooms(
    target: &Target,
    rooms: usize,
    size: usize,
    bytes: usize,
) -> anyhow::Result<Vec<Opening>> {
    let mut openings: Vec<Opening> = Vec::with_capacity(rooms * size);
    for peer in 0..rooms * size {
        let first = peer - peer % size;
        let mut opening = open_peer(target, peer)?;
        match target.framing {
            Framing::Frames => {
                opening.say(&format!("ROOM bench{}", target.number(first)))?;
                let answer = opening.hear()?;
                check_room(target, &answer, first..peer)?;
                let notice = format!("ROOM_PEER_JOINED {}", target.id(peer));
                for other in openings.get_mut(first..).unwrap_or_default() {
                    let heard = other.hear()?;
                    ensure!(
                        heard == notice,
                        "the server says {heard:?} instead of {notice:?}"
                    );
                }
            }
            Framing::Raw => {
                let member = Preamble::Member {
                    number: target.number(peer),
                    bytes: bytes as u32,
                };
                opening.precede(member)?;
                opening.hear_preamble(member)?;
            }
        }
        openings.push(opening);
    }
    Ok(openings)
}

/// The members may be named in any order.
fn check_room(
    target: &Target,
    answer: &str,
    members: std::ops::Range<usize>,
) -> anyhow::Result<()> {
    let named = answer.strip_prefix("ROOM_OK");
    let mut named: Vec<&str> = named
        .context("the server lets nobody into a room")?
        .split_whitespace()
        .collect();
    named.sort_unstable();
    let owed: Vec<String> = members.map(|peer| target.id(peer)).collect();
    ensure!(
        named == owed,
        "the server says {answer:?} where {owed:?} are in the room"
    );
    Ok(())
}
