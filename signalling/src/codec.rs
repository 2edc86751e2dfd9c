//! WebSocket frames as they lie in a buffer
//! ([RFC 6455, section 5](https://www.rfc-editor.org/rfc/rfc6455#section-5)).
//!
//! What a client sends is unmasked where it lies, and what is passed on gets its new head right
//! before its payload, in the same place: the head of a client's frame has four bytes more. A
//! message that comes in one frame therefore takes no memory of its own on its way.

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

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 256 * 1024;

    /// What a client sends: a frame of ours with a mask.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        encode(Opcode::Text, &[payload], &mut plain);
        let head_bytes = plain.len() - payload.len();
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        let mut frame = plain[..head_bytes].to_vec();
        frame[0] = first;
        frame[1] |= 0x80;
        frame.extend(mask);
        let masked = payload.iter().zip(mask.into_iter().cycle());
        frame.extend(masked.map(|(byte, mask)| byte ^ mask));
        frame
    }

    fn next(decoder: &mut Decoder, bytes: &mut [u8]) -> Result<Option<Incoming>, CloseReason> {
        let length = bytes.len();
        let taken = decoder.next(bytes, MAX)?;
        Ok(taken.map(|(incoming, used)| {
            assert_eq!(used, length);
            incoming
        }))
    }

    #[test]
    fn the_examples_of_the_rfc_are_understood() {
        let mut hello = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
        let incoming = next(&mut Decoder::default(), &mut hello).expect("a frame");
        let is_text = true;
        let payload = 6..11;
        assert_eq!(incoming, Some(Incoming::Message { is_text, payload }));
        assert_eq!(&hello[6..], b"Hello");

        let start = encode_in_place(Opcode::Text, &mut hello, &(6..11));
        assert_eq!(&hello[start..], b"\x81\x05Hello");
    }

    #[test]
    fn frames_of_every_length_are_taken_out_whole_and_framed_anew_in_place() {
        for bytes in [0, 1, 7, 8, 9, 125, 126, 127, 65_535, 65_536, MAX] {
            let payload: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
            let mut frame = masked(0x82, &payload);
            for missing in [1, 2, frame.len() - 1] {
                let mut part = frame[..frame.len() - missing].to_vec();
                let taken = Decoder::default().next(&mut part, MAX);
                assert_eq!(taken, Ok(None), "{bytes} bytes, {missing} missing");
            }
            let incoming = next(&mut Decoder::default(), &mut frame).expect("a frame");
            let Some(Incoming::Message {
                is_text: false,
                payload: range,
            }) = incoming
            else {
                panic!("{bytes}: {incoming:?}");
            };
            assert!(frame[range.clone()] == payload);
            let start = encode_in_place(Opcode::Binary, &mut frame, &range);
            let mut expected = Vec::new();
            encode(Opcode::Binary, &[&payload], &mut expected);
            assert!(frame[start..] == expected);
            assert_eq!(frame_bytes(&expected), expected.len());
        }
    }

    #[test]
    fn a_message_may_come_in_pieces_with_control_frames_between_them() {
        let mut decoder = Decoder::default();
        let euro = "5 \u{20ac}".as_bytes();
        let mut steps = [
            (masked(0x01, &euro[..3]), Incoming::Fragment),
            (masked(0x89, b"?"), Incoming::Ping { payload: 6..7 }),
            (masked(0x00, &euro[3..4]), Incoming::Fragment),
            (masked(0x8a, b"!"), Incoming::Pong),
            (
                masked(0x80, &euro[4..]),
                Incoming::Assembled {
                    is_text: true,
                    payload: euro.to_vec(),
                },
            ),
        ];
        for (bytes, expected) in &mut steps {
            let incoming = next(&mut decoder, bytes).expect("a frame");
            assert_eq!(incoming.as_ref(), Some(&*expected));
        }
    }

    #[test]
    fn what_breaks_a_rule_is_told_apart_by_the_rule() {
        let unmasked = b"\x81\x05Hello".to_vec();
        let huge = b"\x82\xff\x80\0\0\0\0\0\0\0".to_vec();
        for (mut bytes, reason) in [
            (unmasked, CloseReason::BrokenFrame),
            (masked(0xc1, b"reserved bit"), CloseReason::BrokenFrame),
            (masked(0x83, b"reserved opcode"), CloseReason::BrokenFrame),
            (masked(0x09, b"ping in pieces"), CloseReason::BrokenFrame),
            (masked(0x89, &[0; 126]), CloseReason::BrokenFrame),
            (masked(0x80, b"continues nothing"), CloseReason::BrokenFrame),
            (masked(0x88, b"x"), CloseReason::BrokenFrame),
            (
                masked(0x88, &1005_u16.to_be_bytes()),
                CloseReason::BrokenFrame,
            ),
            (masked(0x88, b"\x03\xe8\xff"), CloseReason::InvalidUtf8),
            (masked(0x81, b"\xff"), CloseReason::InvalidUtf8),
            (masked(0x82, &vec![0; MAX + 1]), CloseReason::MessageTooBig),
            (huge, CloseReason::MessageTooBig),
        ] {
            let outcome = Decoder::default().next(&mut bytes, MAX);
            assert_eq!(
                outcome,
                Err(reason),
                "{:02x?}",
                &bytes[..bytes.len().min(12)]
            );
        }
    }

    #[test]
    fn pieces_together_are_bounded_like_a_message_in_one_piece() {
        let mut decoder = Decoder::default();
        let half = vec![b'x'; MAX / 2 + 1];
        let first = next(&mut decoder, &mut masked(0x01, &half));
        assert_eq!(first, Ok(Some(Incoming::Fragment)));
        let second = next(&mut decoder, &mut masked(0x80, &half));
        assert_eq!(second, Err(CloseReason::MessageTooBig));
    }

    #[test]
    fn a_new_message_may_not_begin_before_the_old_one_has_ended() {
        let mut decoder = Decoder::default();
        next(&mut decoder, &mut masked(0x01, b"begun")).expect("a beginning");
        let second = next(&mut decoder, &mut masked(0x81, b"another"));
        assert_eq!(second, Err(CloseReason::BrokenFrame));
    }

    #[test]
    fn a_close_is_understood_with_and_without_a_code() {
        for (payload, code) in [
            (&b""[..], None),
            (b"\x03\xe8", Some(1000)),
            (b"\x0f\xa0gone", Some(4000)),
        ] {
            let incoming = next(&mut Decoder::default(), &mut masked(0x88, payload));
            assert_eq!(incoming, Ok(Some(Incoming::Close { code })));
        }
    }
}
