//! The one message of a load: made once, and only its fields change.

use crate::frame::{self, Kind, MASK};

/// How messages lie in the bytes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// As frames of a WebSocket.
    Frames,
    /// One behind the other: all have the same length.
    Raw,
}

/// The length of a field, in bytes.
pub(crate) const FIELD: usize = 8;

/// A field of a message: a sequence number or the number of a peer.
pub(crate) type Field = [u8; FIELD];

/// What a message in a room begins with, for a relay.
const VERB: &str = "ROOM_PEER_MSG ";

/// The shortest message that holds every field.
pub(crate) const MIN_BYTES: usize = VERB.len() + FIELD + 1 + FIELD;

/// A message as it leaves and as it arrives.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    /// As it leaves, with `0` in place of the fields.
    leaving: Vec<u8>,
    /// As it arrives.
    arriving: Vec<u8>,
    /// Where the payload begins in either.
    heads: (usize, usize),
    /// Where in the payload it says for whom it is, or, arrived, from whom.
    peer_at: Option<usize>,
    /// Where in the payload its number stands.
    stamp_at: usize,
    framing: Framing,
}

impl Pattern {
    /// A message of so many bytes from one peer of a session to the other.
    pub(crate) fn session(framing: Framing, bytes: usize) -> Self {
        Self::new(framing, bytes, "", None)
    }

    /// A message of so many bytes in a room, from one peer to another.
    pub(crate) fn room(framing: Framing, bytes: usize) -> Self {
        match framing {
            Framing::Frames => {
                Self::new(framing, bytes, "ROOM_PEER_MSG 00000000 ", Some(VERB.len()))
            }
            Framing::Raw => Self::new(framing, bytes, "00000000", Some(0)),
        }
    }

    fn new(framing: Framing, bytes: usize, start: &str, peer_at: Option<usize>) -> Self {
        let mut payload = start.as_bytes().to_vec();
        let stamp_at = payload.len();
        payload.extend([b'0'; FIELD]);
        payload.extend(
            (b'a'..=b'z')
                .cycle()
                .take(bytes.saturating_sub(payload.len())),
        );
        let (leaving, arriving) = match framing {
            Framing::Frames => (
                frame::masked(Kind::Text, &payload),
                frame::unmasked(Kind::Text, &payload),
            ),
            Framing::Raw => (payload.clone(), payload.clone()),
        };
        Self {
            heads: (
                leaving.len() - payload.len(),
                arriving.len() - payload.len(),
            ),
            leaving,
            arriving,
            peer_at,
            stamp_at,
            framing,
        }
    }

    pub(crate) fn framing(&self) -> Framing {
        self.framing
    }

    /// The length of a message as it arrives, in bytes.
    pub(crate) fn arriving_bytes(&self) -> usize {
        self.arriving.len()
    }

    /// Room for so many messages, to be filled by [`Self::fill`].
    pub(crate) fn sheet(&self, messages: usize) -> Sheet {
        Sheet {
            bytes: self.leaving.repeat(messages.max(1)),
            filled: 0,
        }
    }

    /// Writes the next message of a sheet; `false` when the sheet is full.
    pub(crate) fn fill(&self, sheet: &mut Sheet, to: Field, stamp: u32) -> bool {
        let end = sheet.filled + self.leaving.len();
        let Some(message) = sheet.bytes.get_mut(sheet.filled..end) else {
            return false;
        };
        sheet.filled = end;
        if let Some(at) = self.peer_at {
            self.set(message, at, to);
        }
        self.set(message, self.stamp_at, stamp_field(stamp));
        true
    }

    fn set(&self, message: &mut [u8], at: usize, mut field: Field) {
        if self.framing == Framing::Frames {
            for (index, byte) in field.iter_mut().enumerate() {
                *byte ^= MASK[(at + index) % MASK.len()];
            }
        }
        let at = self.heads.0 + at;
        if let Some(place) = message.get_mut(at..at + FIELD) {
            place.copy_from_slice(&field);
        }
    }

    /// The fields of a message at the beginning of some bytes: from whom it is, if it says so, and its
    /// number. `None` when these bytes begin with anything else, or with a part of a message.
    pub(crate) fn read(&self, bytes: &[u8]) -> Option<(Option<Field>, Field)> {
        let arrived = bytes.get(..self.arriving.len())?;
        let stamp_at = self.heads.1 + self.stamp_at;
        let (before, stamp, after) = around(arrived, stamp_at)?;
        let (expected_before, _, expected_after) = around(&self.arriving, stamp_at)?;
        if after != expected_after {
            return None;
        }
        let Some(peer_at) = self.peer_at else {
            return (before == expected_before).then_some((None, stamp));
        };
        let peer_at = self.heads.1 + peer_at;
        let (head, peer, between) = around(before, peer_at)?;
        let (expected_head, _, expected_between) = around(expected_before, peer_at)?;
        (head == expected_head && between == expected_between).then_some((Some(peer), stamp))
    }
}

/// What stands before a field, the field, and what stands behind it.
fn around(bytes: &[u8], at: usize) -> Option<(&[u8], Field, &[u8])> {
    let (before, rest) = bytes.split_at_checked(at)?;
    let (field, after) = rest.split_first_chunk::<FIELD>()?;
    Some((before, *field, after))
}

/// Messages on their way into one write.
#[derive(Debug)]
pub(crate) struct Sheet {
    bytes: Vec<u8>,
    filled: usize,
}

impl Sheet {
    /// The messages written since the last time.
    pub(crate) fn take(&mut self) -> &[u8] {
        let filled = std::mem::take(&mut self.filled);
        self.bytes.get(..filled).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.filled == 0
    }
}

/// A sequence number as a field.
pub(crate) fn stamp_field(stamp: u32) -> Field {
    let mut field = [0; FIELD];
    for (index, byte) in field.iter_mut().enumerate() {
        let digit = (stamp >> (28 - 4 * index) & 0xf) as u8;
        *byte = if digit < 10 {
            b'0' + digit
        } else {
            b'a' + digit - 10
        };
    }
    field
}

/// The number of a peer as a field: existing clients take only decimal ids.
pub(crate) fn peer_field(mut peer: u32) -> Field {
    let mut field = [b'0'; FIELD];
    for byte in field.iter_mut().rev() {
        *byte += (peer % 10) as u8;
        peer /= 10;
    }
    field
}

/// Which peer a field names.
pub(crate) fn peer_of(field: Field) -> Option<u32> {
    field.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + u32::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server makes of a masked frame.
    fn forwarded(bytes: &[u8], pattern: &Pattern) -> Vec<u8> {
        let payload = &bytes[pattern.heads.0..];
        let plain: Vec<u8> = payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(a, b)| a ^ b)
            .collect();
        frame::unmasked(Kind::Text, &plain)
    }

    #[test]
    fn what_is_filled_in_is_read_again() {
        for bytes in [MIN_BYTES, 150, 1500, 60_000] {
            for pattern in [
                Pattern::session(Framing::Frames, bytes),
                Pattern::room(Framing::Frames, bytes),
                Pattern::session(Framing::Raw, bytes),
                Pattern::room(Framing::Raw, bytes),
            ] {
                let mut sheet = pattern.sheet(2);
                let to = peer_field(1234);
                assert!(pattern.fill(&mut sheet, peer_field(7), 1));
                assert!(pattern.fill(&mut sheet, to, 0xdead_beef));
                assert!(!pattern.fill(&mut sheet, to, 2), "only two fit");
                let sent = sheet.take();
                let second = &sent[sent.len() / 2..];
                let arrived = match pattern.framing {
                    Framing::Frames => forwarded(second, &pattern),
                    Framing::Raw => second.to_vec(),
                };
                assert_eq!(arrived.len(), pattern.arriving_bytes());
                let (peer, stamp) = pattern.read(&arrived).expect("a message");
                assert_eq!(peer, pattern.peer_at.map(|_| to));
                assert_eq!(stamp, *b"deadbeef");
                assert_eq!(pattern.read(&arrived[..arrived.len() - 1]), None);
            }
        }
    }

    #[test]
    fn a_message_with_any_byte_altered_is_none() {
        for pattern in [
            Pattern::session(Framing::Raw, 64),
            Pattern::room(Framing::Raw, 64),
        ] {
            let fields = (
                pattern.peer_at.unwrap_or(pattern.stamp_at),
                pattern.stamp_at + FIELD,
            );
            for index in (0..64).filter(|index| !(fields.0..fields.1).contains(index)) {
                let mut altered = pattern.arriving.clone();
                altered[index] ^= 1;
                assert_eq!(pattern.read(&altered), None, "byte {index}");
            }
        }
    }

    #[test]
    fn a_room_message_is_a_line_of_the_protocol() {
        let pattern = Pattern::room(Framing::Frames, 40);
        assert_eq!(
            &pattern.arriving[2..],
            b"ROOM_PEER_MSG 00000000 00000000abcdefghi"
        );
    }

    #[test]
    fn numbers_of_peers_survive_being_a_field() {
        for peer in [0, 1, 9, 10, 12_345_678, 99_999_999] {
            assert_eq!(peer_of(peer_field(peer)), Some(peer));
        }
        assert_eq!(peer_of(*b"1234567x"), None);
        assert_eq!(&stamp_field(0x0123_abcd), b"0123abcd");
    }
}
