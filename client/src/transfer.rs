//! How a file goes over a data channel, as machines without channel, disk or clock: one for the end
//! that sends, one for the end that receives. `protocol/FILES.md` is the normative text.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many bytes a message with a piece of a file has at the most, its head included.
pub const MAX_PIECE_BYTES: usize = 60 << 10;

/// How many bytes the head of a piece has: the number of the transfer and where the piece belongs.
pub const HEAD_BYTES: usize = 12;

/// How far the sender may be ahead of what the receiver says it has.
pub const WINDOW_BYTES: u64 = 16 << 20;

/// How often the receiver says how much it has.
pub const RECEIPT_BYTES: u64 = 1 << 20;

/// How many bytes a name may have.
pub const MAX_NAME_BYTES: usize = 200;

/// What the ends say to one another about files, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Note {
    /// The sender has a file.
    Offer {
        /// The number of this transfer, chosen by the sender.
        id: u32,
        /// The name, without directories.
        name: String,
        /// How many bytes.
        size: u64,
        /// The SHA-256 of all of it.
        sha256: Sha256,
    },
    /// The receiver looks at what it has of it, which may take a while.
    Checking {
        /// Of which transfer.
        id: u32,
    },
    /// The receiver wants the file from here on.
    Accept {
        /// Of which transfer.
        id: u32,
        /// How many bytes it has already.
        offset: u64,
    },
    /// The receiver has so many bytes now.
    Received {
        /// Of which transfer.
        id: u32,
        /// How many.
        offset: u64,
    },
    /// The receiver has it all, and its SHA-256 is the announced one.
    Done {
        /// Of which transfer.
        id: u32,
    },
    /// The receiver does not take it, or not to the end.
    Refuse {
        /// Of which transfer.
        id: u32,
        /// Why.
        reason: Refusal,
    },
}

/// Why a file is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// No files are taken at all.
    NotWanted,
    /// The name is no plain name of a file.
    Name,
    /// It would be more than the receiver takes.
    TooMuch,
    /// There is no room for it.
    DiskFull,
    /// Something is in its place, or the same file comes in twice at once.
    Busy,
    /// What arrived is not what was announced.
    Checksum,
    /// The sender does not keep to the protocol.
    Protocol,
    /// The disk does not take it, for another reason.
    Disk,
}

/// A SHA-256, which is written in hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256(pub [u8; 32]);

/// One file on its way to the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sending {
    id: u32,
    size: u64,
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Offered,
    Checking,
    Flowing { next: u64, received: u64 },
    Over(Result<(), Refusal>),
}

/// What the sender is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Wait for the first word of the peer, which may know nothing of files.
    AwaitAnswer,
    /// Wait for a word of the peer.
    Await,
    /// Send this piece.
    Send {
        /// From where in the file.
        offset: u64,
        /// How many bytes.
        length: usize,
    },
    /// It is over.
    Over(Result<(), Refusal>),
}

/// One file that comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiving {
    id: u32,
    size: u64,
    offset: u64,
    receipted: u64,
}

/// What becomes of a piece that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// It goes to the end of what there is, and the sender is told so.
    Append(&'a [u8], Option<Note>),
    /// It is of another transfer, which may be over.
    Stray,
    /// It is not what comes next.
    Breach,
}

impl Note {
    /// Reads a note; `None` for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// Inverse of [`Note::parse`].
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl Sending {
    /// A file of so many bytes that has just been offered.
    pub fn new(id: u32, size: u64) -> Self {
        let stage = Stage::Offered;
        Self { id, size, stage }
    }

    /// What is to be done now. A piece counts as sent once [`Sending::sent`] says so.
    pub fn turn(&self) -> Turn {
        match self.stage {
            Stage::Offered => Turn::AwaitAnswer,
            Stage::Checking => Turn::Await,
            Stage::Over(outcome) => Turn::Over(outcome),
            Stage::Flowing { next, received } => {
                let end = self.size.min(received.saturating_add(WINDOW_BYTES));
                let longest = (MAX_PIECE_BYTES - HEAD_BYTES) as u64;
                match usize::try_from(end.saturating_sub(next).min(longest)) {
                    Ok(length) if length > 0 => Turn::Send {
                        offset: next,
                        length,
                    },
                    Ok(_) | Err(_) => Turn::Await,
                }
            }
        }
    }

    /// So many bytes have been sent.
    pub fn sent(&mut self, length: usize) {
        if let Stage::Flowing { next, .. } = &mut self.stage {
            *next = next.saturating_add(length as u64);
        }
    }

    /// How many bytes the peer has, as far as we know.
    pub fn received(&self) -> u64 {
        match self.stage {
            Stage::Flowing { received, .. } => received,
            Stage::Over(Ok(())) => self.size,
            Stage::Offered | Stage::Checking | Stage::Over(Err(_)) => 0,
        }
    }

    /// The peer said something. What is about another transfer, or makes no sense now, is ignored; a
    /// peer that has what was not sent is not believed.
    pub fn heard(&mut self, note: &Note) {
        match (note, &mut self.stage) {
            (Note::Checking { id }, Stage::Offered) if *id == self.id => {
                self.stage = Stage::Checking;
            }
            (Note::Accept { id, offset }, Stage::Offered | Stage::Checking) if *id == self.id => {
                let (next, received) = (*offset, *offset);
                self.stage = match *offset <= self.size {
                    true => Stage::Flowing { next, received },
                    false => Stage::Over(Err(Refusal::Protocol)),
                };
            }
            (Note::Received { id, offset }, Stage::Flowing { next, received })
                if *id == self.id && offset <= next =>
            {
                *received = (*offset).max(*received);
            }
            (Note::Done { id }, Stage::Flowing { next, .. })
                if *id == self.id && *next == self.size =>
            {
                self.stage = Stage::Over(Ok(()));
            }
            (
                Note::Refuse { id, reason },
                Stage::Offered | Stage::Checking | Stage::Flowing { .. },
            ) if *id == self.id => {
                self.stage = Stage::Over(Err(*reason));
            }
            _ => {}
        }
    }
}

impl Receiving {
    /// A file of which there is so much already.
    pub fn new(id: u32, size: u64, offset: u64) -> Self {
        Self {
            id,
            size,
            offset,
            receipted: offset,
        }
    }

    /// Whether all of it is there.
    pub fn is_complete(&self) -> bool {
        self.offset >= self.size
    }

    /// The number of the transfer.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// How many bytes there are.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// A message with a piece came.
    pub fn piece<'a>(&mut self, message: &'a [u8]) -> Piece<'a> {
        let Some((id, offset, bytes)) = split(message) else {
            return Piece::Breach;
        };
        if id != self.id {
            return Piece::Stray;
        }
        let end = offset.saturating_add(bytes.len() as u64);
        if offset != self.offset || bytes.is_empty() || end > self.size {
            return Piece::Breach;
        }
        self.offset = end;
        let is_due = self.offset - self.receipted >= RECEIPT_BYTES;
        if is_due {
            self.receipted = self.offset;
        }
        let (id, offset) = (self.id, self.offset);
        Piece::Append(bytes, is_due.then_some(Note::Received { id, offset }))
    }
}

/// The message with a piece of a file.
pub fn join(id: u32, offset: u64, bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEAD_BYTES + bytes.len());
    message.extend(id.to_be_bytes());
    message.extend(offset.to_be_bytes());
    message.extend(bytes);
    message
}

fn split(message: &[u8]) -> Option<(u32, u64, &[u8])> {
    let (id, rest) = message.split_first_chunk()?;
    let (offset, bytes) = rest.split_first_chunk()?;
    Some((u32::from_be_bytes(*id), u64::from_be_bytes(*offset), bytes))
}

/// The name under which a file may be written: what stands behind the last slash, of either kind, if
/// that is a plain name. What is hidden, empty, too long or has control characters is none.
pub fn plain_name(name: &str) -> Option<&str> {
    let last = name.rsplit(['/', '\\']).next()?;
    let is_plain = !last.is_empty()
        && last.len() <= MAX_NAME_BYTES
        && !last.starts_with('.')
        && !last.chars().any(char::is_control);
    is_plain.then_some(last)
}

/// The name for the `attempt`th try to find one that is not taken: `x.txt`, `x (2).txt`, and so on.
pub fn numbered(name: &str, attempt: u32) -> String {
    if attempt < 2 {
        return name.to_owned();
    }
    match name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) {
        Some((stem, extension)) => format!("{stem} ({attempt}).{extension}"),
        None => format!("{name} ({attempt})"),
    }
}

/// Where a file waits that is not complete: the name tells what it will be.
pub fn partial_name(name: &str, size: u64, sha256: Sha256) -> String {
    let digits: String = sha256.to_string().chars().take(16).collect();
    format!("{name}.{size}-{digits}.part")
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl From<Sha256> for String {
    fn from(sha256: Sha256) -> Self {
        sha256.to_string()
    }
}

impl TryFrom<String> for Sha256 {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wanted = "a SHA-256 has 64 hexadecimal digits";
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wanted);
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = str::from_utf8(digits).map_err(|_| wanted)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wanted)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotWanted => "the other side takes no files; start it with --receive-dir",
            Self::Name => "the other side does not take a file of that name; rename it",
            Self::TooMuch => "it is more than the other side takes; raise its --receive-max",
            Self::DiskFull => "the disk of the other side is full; make room there",
            Self::Busy => "something on the other side is in its place; move that, or wait for it",
            Self::Checksum => "it arrived damaged, or changed while it was sent; send it again",
            Self::Protocol => "the two ends do not understand one another about files",
            Self::Disk => "the other side cannot write it; its log says why",
        })
    }
}
