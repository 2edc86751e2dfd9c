//! The lines between a peer and the relay. `Display` is the inverse of `parse`.

use std::fmt::{self, Write as _};

use crate::id::{PeerId, RoomId, is_blank};

/// A word that a peer may say to the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Registers an id.
    Hello,
    /// Asks for a session with one peer.
    Session,
    /// Joins or makes a room.
    Room,
    /// Sends a message to one member of the room.
    RoomPeerMsg,
    /// Asks who else is in the room.
    RoomPeerList,
}

/// What a peer asks of the relay. Inside a session nothing is parsed: there every line is the
/// partner's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientMessage<'a> {
    /// `HELLO <id>`
    Hello(PeerId),
    /// `SESSION <id>`: the whole rest of the line is the id asked for, valid or not.
    Session(&'a str),
    /// `ROOM <id>`
    Room(RoomId),
    /// `ROOM_PEER_MSG <id> <payload>`
    RoomPeerMsg {
        /// Whom the payload is for, valid id or not.
        to: &'a str,
        /// What is passed on; blanks before it are not part of it.
        payload: &'a str,
    },
    /// `ROOM_PEER_LIST`
    RoomPeerList,
}

/// Why a line is no [`ClientMessage`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed<'a> {
    /// The verb is right and what has to follow it is not there.
    MissingArgument(Verb),
    /// `HELLO` with something that is no peer id.
    InvalidPeerId,
    /// `ROOM` with something that is no room id.
    InvalidRoomId(&'a str),
    /// No line of this protocol.
    Unknown,
}

/// What the relay says to a registered peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerMessage<'a> {
    /// `HELLO`: registered.
    Hello,
    /// `SESSION_OK`: every line from now on is the partner's.
    SessionOk,
    /// `SESSION_FROM <id>`: who called. Only for peers that asked for this notice.
    SessionFrom(PeerId),
    /// `ROOM_OK <ids>`: joined, with those who were there before, in order of joining.
    RoomOk(Vec<PeerId>),
    /// `ROOM_PEER_JOINED <id>`
    RoomPeerJoined(PeerId),
    /// `ROOM_PEER_LEFT <id>`
    RoomPeerLeft(PeerId),
    /// `ROOM_PEER_MSG <id> <payload>`
    RoomPeerMsg {
        /// Who sent the payload.
        from: PeerId,
        /// What was sent.
        payload: &'a str,
    },
    /// `ROOM_PEER_LIST <ids>`: everybody else in the room.
    RoomPeerList(Vec<PeerId>),
    /// `ERROR <text>`
    Error(&'a str),
}

/// What the text of an `ERROR` line means to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nobody is registered under that id.
    PeerNotFound,
    /// That peer is in a session or in a room.
    PeerBusy,
    /// The room's name is not allowed.
    InvalidRoomId,
    /// The room has as many members as the relay takes.
    RoomFull,
    /// The token does not allow it.
    NotAllowed,
    /// Anything else.
    Other,
}

/// Every reason for which the relay answers `ERROR`. Displays as the text behind that word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal<'a> {
    /// Nobody is registered under that id.
    PeerNotFound(&'a str),
    /// That peer is in a session or in a room, or is the caller.
    PeerBusy(&'a str),
    /// That peer is not in the room of the sender.
    PeerNotInRoom(&'a str),
    /// No room may have that name.
    InvalidRoomId(&'a str),
    /// The verb needs an argument.
    MissingArgument(Verb),
    /// A line that only has a meaning inside a room.
    NotInRoom,
    /// A line that has no meaning inside a room.
    AlreadyInRoom,
    /// The room has as many members as the relay takes.
    RoomFull(&'a str),
    /// The sender entered with a token that does not allow this.
    NotAllowed,
}

impl<'a> ClientMessage<'a> {
    /// Reads a line of a peer that is in no session.
    ///
    /// # Errors
    /// [`Malformed`] says which answer the line is owed.
    pub fn parse(line: &'a str) -> Result<Self, Malformed<'a>> {
        let Some((verb, rest)) = split_verb(line) else {
            // HELLO alone may have blanks before it: published clients send them.
            return match split_verb(line.trim_start_matches(is_blank)) {
                Some((Verb::Hello, id)) => parse_hello(id),
                _ => Err(Malformed::Unknown),
            };
        };
        match verb {
            Verb::Hello => parse_hello(rest),
            Verb::Session if rest.is_empty() => Err(Malformed::MissingArgument(verb)),
            Verb::Session => Ok(Self::Session(rest)),
            Verb::Room if rest.is_empty() => Err(Malformed::MissingArgument(verb)),
            Verb::Room => match rest.parse() {
                Ok(room) => Ok(Self::Room(room)),
                Err(_) => Err(Malformed::InvalidRoomId(rest)),
            },
            Verb::RoomPeerMsg => match split_word(rest) {
                (to, payload) if !payload.is_empty() => Ok(Self::RoomPeerMsg { to, payload }),
                _ => Err(Malformed::MissingArgument(verb)),
            },
            Verb::RoomPeerList if line.len() == verb.as_str().len() => Ok(Self::RoomPeerList),
            Verb::RoomPeerList => Err(Malformed::Unknown),
        }
    }
}

impl<'a> ServerMessage<'a> {
    /// Reads a line of the relay; `None` for a line this protocol does not know.
    ///
    /// Only for peers that are in no session: there, every line is the partner's.
    pub fn parse(line: &'a str) -> Option<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "HELLO" if rest.is_empty() => Some(Self::Hello),
            "SESSION_OK" if rest.is_empty() => Some(Self::SessionOk),
            "SESSION_FROM" => Some(Self::SessionFrom(rest.parse().ok()?)),
            "ROOM_OK" => Some(Self::RoomOk(parse_ids(rest)?)),
            "ROOM_PEER_JOINED" => Some(Self::RoomPeerJoined(rest.parse().ok()?)),
            "ROOM_PEER_LEFT" => Some(Self::RoomPeerLeft(rest.parse().ok()?)),
            "ROOM_PEER_MSG" => {
                let (from, payload) = rest.split_once(' ')?;
                Some(Self::RoomPeerMsg {
                    from: from.parse().ok()?,
                    payload,
                })
            }
            "ROOM_PEER_LIST" => Some(Self::RoomPeerList(parse_ids(rest)?)),
            "ERROR" => Some(Self::Error(rest)),
            _ => None,
        }
    }
}

impl ErrorKind {
    /// Classifies the text of an `ERROR` line.
    pub fn of(text: &str) -> Self {
        if text.starts_with("peer ") && text.ends_with(" not found") {
            Self::PeerNotFound
        } else if text.starts_with("peer ") && text.ends_with(" busy") {
            Self::PeerBusy
        } else if text.starts_with("invalid room id ") {
            Self::InvalidRoomId
        } else if text.starts_with("room ") && text.ends_with(" is full") {
            Self::RoomFull
        } else if text == "not allowed by this token" {
            Self::NotAllowed
        } else {
            Self::Other
        }
    }
}

impl Verb {
    /// The word as it travels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hello => "HELLO",
            Self::Session => "SESSION",
            Self::Room => "ROOM",
            Self::RoomPeerMsg => "ROOM_PEER_MSG",
            Self::RoomPeerList => "ROOM_PEER_LIST",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [
            Self::Hello,
            Self::Session,
            Self::Room,
            Self::RoomPeerMsg,
            Self::RoomPeerList,
        ]
        .into_iter()
        .find(|verb| verb.as_str() == word)
    }
}

impl fmt::Display for ClientMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello(id) => write!(f, "HELLO {id}"),
            Self::Session(callee) => write!(f, "SESSION {callee}"),
            Self::Room(room) => write!(f, "ROOM {room}"),
            Self::RoomPeerMsg { to, payload } => write!(f, "ROOM_PEER_MSG {to} {payload}"),
            Self::RoomPeerList => f.write_str("ROOM_PEER_LIST"),
        }
    }
}

impl fmt::Display for ServerMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello => f.write_str("HELLO"),
            Self::SessionOk => f.write_str("SESSION_OK"),
            Self::SessionFrom(id) => write!(f, "SESSION_FROM {id}"),
            Self::RoomOk(ids) => write_ids(f, "ROOM_OK ", ids),
            Self::RoomPeerJoined(id) => write!(f, "ROOM_PEER_JOINED {id}"),
            Self::RoomPeerLeft(id) => write!(f, "ROOM_PEER_LEFT {id}"),
            Self::RoomPeerMsg { from, payload } => write!(f, "ROOM_PEER_MSG {from} {payload}"),
            Self::RoomPeerList(ids) => write_ids(f, "ROOM_PEER_LIST ", ids),
            Self::Error(text) => write!(f, "ERROR {text}"),
        }
    }
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerNotFound(id) => write!(f, "peer {} not found", Repr(id)),
            Self::PeerBusy(id) => write!(f, "peer {} busy", Repr(id)),
            Self::PeerNotInRoom(id) => write!(f, "peer {} is not in the room", Repr(id)),
            Self::InvalidRoomId(id) => write!(f, "invalid room id {}", Repr(id)),
            Self::MissingArgument(Verb::RoomPeerMsg) => {
                write!(f, "invalid msg, ROOM_PEER_MSG needs a peer and a message")
            }
            Self::MissingArgument(verb) => {
                write!(f, "invalid msg, {} needs an id", verb.as_str())
            }
            Self::NotInRoom => f.write_str("invalid msg, not in a room"),
            Self::AlreadyInRoom => f.write_str("invalid msg, already in room"),
            Self::RoomFull(id) => write!(f, "room {} is full", Repr(id)),
            Self::NotAllowed => f.write_str("not allowed by this token"),
        }
    }
}

/// Quotes a text as Python's `repr` does: existing clients compare whole error lines.
///
/// See <https://docs.python.org/3/library/functions.html#repr>.
pub struct Repr<'a>(pub &'a str);

impl fmt::Display for Repr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = if self.0.contains('\'') && !self.0.contains('"') {
            '"'
        } else {
            '\''
        };
        f.write_char(quote)?;
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                _ if c == quote => write!(f, "\\{c}")?,
                _ if is_printable(c) => f.write_char(c)?,
                _ if (c as u32) < 0x100 => write!(f, "\\x{:02x}", c as u32)?,
                _ if (c as u32) < 0x10000 => write!(f, "\\u{:04x}", c as u32)?,
                _ => write!(f, "\\U{:08x}", c as u32)?,
            }
        }
        f.write_char(quote)
    }
}

/// Rust's and Python's notions of a printable character are the same list of Unicode categories;
/// Rust shows its own only by escaping, and spares combining marks behind a letter.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    let text = ['a', c].iter().collect::<String>();
    !text.escape_debug().any(|c| c == '\\')
}

fn parse_hello<'a>(rest: &str) -> Result<ClientMessage<'a>, Malformed<'a>> {
    rest.parse()
        .map(ClientMessage::Hello)
        .map_err(|_| Malformed::InvalidPeerId)
}

/// The verb a line begins with and what follows the blanks behind it.
fn split_verb(line: &str) -> Option<(Verb, &str)> {
    let (word, rest) = split_word(line);
    Some((Verb::of(word)?, rest))
}

fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_at(first_blank(text));
    (word, rest.trim_start_matches(is_blank))
}

/// Where the first blank begins, or the text ends. Bytes that are certainly no blank are passed over
/// quickly: this is done for every message in a room.
fn first_blank(text: &str) -> usize {
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let candidate = rest.bytes().position(|byte| byte <= b' ' || byte >= 0x80);
        let Some(candidate) = candidate else {
            return text.len();
        };
        match rest[candidate..].chars().next() {
            Some(c) if !is_blank(c) => at += candidate + c.len_utf8(),
            Some(_) | None => return at + candidate,
        }
    }
}

fn parse_ids(text: &str) -> Option<Vec<PeerId>> {
    text.split(' ')
        .filter(|id| !id.is_empty())
        .map(|id| id.parse().ok())
        .collect()
}

fn write_ids(f: &mut fmt::Formatter<'_>, prefix: &str, ids: &[PeerId]) -> fmt::Result {
    f.write_str(prefix)?;
    for (position, id) in ids.iter().enumerate() {
        let separator = if position == 0 { "" } else { " " };
        write!(f, "{separator}{id}")?;
    }
    Ok(())
}
