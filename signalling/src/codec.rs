//! WebSocket frames as they lie in a buffer
//! ([RFC 6455, section 5](https://www.rfc-editor.org/rfc/rfc6455#section-5)).
//!
//! What a client sends is unmasked where it lies, and what is passed on gets its new head right
//! before its payload, in the same place: the head of a client's frame has four bytes more. A
//! message that comes in one frame is therefore neither copied nor allocated on its way.

use std::ops::Range;

use crate::frame::CloseReason;

/// The longest head of a frame in bytes, mask included.
pub const MAX_HEAD_BYTES: usize = 14;

/// The longest payload of a control frame in bytes (section 5.5).
pub const MAX_CONTROL_BYTES: usize = 125;

/// What a frame is (section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// More of the message before.
    Continuation = 0,
    /// A text message, or its beginning.
    Text = 1,
    /// A binary message, or its beginning.
    Binary = 2,
    /// The end.
    Close = 8,
    /// To be answered with a pong.
    Ping = 9,
    /// The answer to a ping.
    Pong = 10,
}

/// One frame that has been taken out of a buffer. Ranges are of that buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A whole message, where it lies.
    Message {
        /// Whether it is text, which is then known to be UTF-8.
        is_text: bool,
        /// Where it lies.
        payload: Range<usize>,
    },
    /// A whole message that came in several frames.
    Assembled {
        /// Whether it is text, which is then known to be UTF-8.
        is_text: bool,
        /// What it is.
        payload: Vec<u8>,
    },
    /// A part of a message.
    Fragment,
    /// To be answered with the same payload.
    Ping {
        /// Where that lies.
        payload: Range<usize>,
    },
    /// Somebody is there.
    Pong,
    /// The peer ends the connection.
    Close {
        /// The code it gave, if any.
        code: Option<u16>,
    },
}

/// What is known of a message that comes in several frames.
#[derive(Debug, Default)]
pub struct Decoder {
    begun: Option<Box<Begun>>,
}

#[derive(Debug)]
struct Begun {
    is_text: bool,
    payload: Vec<u8>,
}

#[derive(Debug)]
struct Head {
    is_final: bool,
    opcode: Opcode,
    mask: [u8; 4],
    payload: Range<usize>,
}

impl Decoder {
    /// Takes the first frame out of a buffer, if all of it is there, and says how many bytes it had.
    /// Its payload is unmasked in place.
    ///
    /// # Errors
    /// The reason for which the connection has to be closed. Nothing more can be made of its bytes.
    pub fn next(
        &mut self,
        bytes: &mut [u8],
        max_message_bytes: usize,
    ) -> Result<Option<(Incoming, usize)>, CloseReason> {
        let Some(head) = Head::parse(bytes, max_message_bytes)? else {
            return Ok(None);
        };
        let end = head.payload.end;
        let Some(payload) = bytes.get_mut(head.payload.clone()) else {
            return Ok(None);
        };
        unmask(payload, head.mask);
        Ok(Some((self.take(head, payload, max_message_bytes)?, end)))
    }

    /// Whether a message has begun that has not ended.
    pub fn is_between(&self) -> bool {
        self.begun.is_some()
    }

    fn take(
        &mut self,
        head: Head,
        payload: &[u8],
        max_message_bytes: usize,
    ) -> Result<Incoming, CloseReason> {
        match head.opcode {
            Opcode::Ping => Ok(Incoming::Ping {
                payload: head.payload,
            }),
            Opcode::Pong => Ok(Incoming::Pong),
            Opcode::Close => Ok(Incoming::Close {
                code: close_code(payload)?,
            }),
            Opcode::Text | Opcode::Binary if self.begun.is_some() => Err(CloseReason::BrokenFrame),
            Opcode::Text | Opcode::Binary => {
                let is_text = head.opcode == Opcode::Text;
                if head.is_final {
                    check_text(is_text, payload)?;
                    let payload = head.payload;
                    return Ok(Incoming::Message { is_text, payload });
                }
                let payload = payload.to_vec();
                self.begun = Some(Box::new(Begun { is_text, payload }));
                Ok(Incoming::Fragment)
            }
            Opcode::Continuation => {
                let mut begun = self.begun.take().ok_or(CloseReason::BrokenFrame)?;
                if begun.payload.len() + payload.len() > max_message_bytes {
                    return Err(CloseReason::MessageTooBig);
                }
                begun.payload.extend_from_slice(payload);
                if !head.is_final {
                    self.begun = Some(begun);
                    return Ok(Incoming::Fragment);
                }
                let Begun { is_text, payload } = *begun;
                check_text(is_text, &payload)?;
                Ok(Incoming::Assembled { is_text, payload })
            }
        }
    }
}

impl Head {
    /// Reads the head of a client's frame; `None` when not all of it is there.
    fn parse(bytes: &[u8], max_message_bytes: usize) -> Result<Option<Self>, CloseReason> {
        let &[first, second, ref rest @ ..] = bytes else {
            return Ok(None);
        };
        let opcode = Opcode::of(first & 0x0f).ok_or(CloseReason::BrokenFrame)?;
        let is_final = first & 0x80 != 0;
        let (is_reserved, is_masked) = (first & 0x70 != 0, second & 0x80 != 0);
        let is_control = first & 0x08 != 0;
        let short = usize::from(second & 0x7f);
        let is_bad_control = is_control && (!is_final || short > MAX_CONTROL_BYTES);
        if is_reserved || !is_masked || is_bad_control {
            return Err(CloseReason::BrokenFrame);
        }
        let (payload_bytes, length_bytes) = match (short, rest) {
            (126, &[a, b, ..]) => (u64::from(u16::from_be_bytes([a, b])), 2),
            (127, &[a, b, c, d, e, f, g, h, ..]) => {
                (u64::from_be_bytes([a, b, c, d, e, f, g, h]), 8)
            }
            (126 | 127, _) => return Ok(None),
            (short, _) => (short as u64, 0),
        };
        let payload_bytes = usize::try_from(payload_bytes)
            .ok()
            .filter(|&bytes| bytes <= max_message_bytes.max(MAX_CONTROL_BYTES))
            .ok_or(CloseReason::MessageTooBig)?;
        if !is_control && payload_bytes > max_message_bytes {
            return Err(CloseReason::MessageTooBig);
        }
        let Some(&[a, b, c, d]) = rest.get(length_bytes..length_bytes + 4) else {
            return Ok(None);
        };
        let start = 2 + length_bytes + 4;
        Ok(Some(Self {
            is_final,
            opcode,
            mask: [a, b, c, d],
            payload: start..start + payload_bytes,
        }))
    }
}

impl Opcode {
    fn of(number: u8) -> Option<Self> {
        [
            Self::Continuation,
            Self::Text,
            Self::Binary,
            Self::Close,
            Self::Ping,
            Self::Pong,
        ]
        .into_iter()
        .find(|opcode| *opcode as u8 == number)
    }
}

/// Appends a frame whose payload is these parts, one behind the other.
pub fn encode(opcode: Opcode, parts: &[&[u8]], out: &mut Vec<u8>) {
    let payload_bytes = parts.iter().map(|part| part.len()).sum();
    let mut head = [0; MAX_HEAD_BYTES];
    let head_bytes = write_head(opcode, payload_bytes, &mut head);
    out.reserve(head_bytes + payload_bytes);
    out.extend_from_slice(&head[..head_bytes]);
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Makes a frame of a payload where it lies, the head going right before it, and says where the
/// frame begins. There is always room, since the payload came with a head and a mask.
pub fn encode_in_place(opcode: Opcode, bytes: &mut [u8], payload: &Range<usize>) -> usize {
    let mut head = [0; MAX_HEAD_BYTES];
    let head_bytes = write_head(opcode, payload.len(), &mut head);
    let start = payload.start - head_bytes;
    bytes[start..payload.start].copy_from_slice(&head[..head_bytes]);
    start
}

/// The payload of a close frame (section 5.5.1).
pub fn close_payload(code: u16, text: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(text.as_bytes());
    payload
}

/// The bytes of the frame of ours that begins here.
pub fn frame_bytes(frame: &[u8]) -> usize {
    let long = |count: usize| {
        frame[2..2 + count]
            .iter()
            .fold(0, |length, &byte| length << 8 | usize::from(byte))
    };
    match frame[1] {
        126 => 4 + long(2),
        127 => 10 + long(8),
        short => 2 + usize::from(short),
    }
}

fn write_head(opcode: Opcode, payload_bytes: usize, head: &mut [u8; MAX_HEAD_BYTES]) -> usize {
    head[0] = 0x80 | opcode as u8;
    match payload_bytes {
        0..=125 => {
            head[1] = payload_bytes as u8;
            2
        }
        126..=0xffff => {
            head[1] = 126;
            head[2..4].copy_from_slice(&(payload_bytes as u16).to_be_bytes());
            4
        }
        _ => {
            head[1] = 127;
            head[2..10].copy_from_slice(&(payload_bytes as u64).to_be_bytes());
            10
        }
    }
}

/// Section 5.3, eight bytes at a time.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= mask;
    }
}

fn check_text(is_text: bool, payload: &[u8]) -> Result<(), CloseReason> {
    if is_text && std::str::from_utf8(payload).is_err() {
        return Err(CloseReason::InvalidUtf8);
    }
    Ok(())
}

/// The code in the payload of a close frame. Section 7.4 says which may be sent.
fn close_code(payload: &[u8]) -> Result<Option<u16>, CloseReason> {
    let &[a, b, ref reason @ ..] = payload else {
        return match payload {
            [] => Ok(None),
            _ => Err(CloseReason::BrokenFrame),
        };
    };
    check_text(true, reason)?;
    match u16::from_be_bytes([a, b]) {
        code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => Ok(Some(code)),
        _ => Err(CloseReason::BrokenFrame),
    }
}
