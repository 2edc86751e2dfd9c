//! WebSocket frames as a client writes and reads them, no more of RFC 6455 than a load takes.

/// The mask of every frame. One and the same, so that frames are made before they are needed.
pub(crate) const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The longest head of a frame from a server.
const MAX_HEAD: usize = 10;

/// What kind of frame it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// The frame at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed<'a> {
    /// More bytes are needed.
    Incomplete,
    /// A whole frame, and how many bytes it takes with its head.
    Whole {
        kind: Kind,
        payload: &'a [u8],
        bytes: usize,
    },
    /// No relay may send this; the sentence says what is wrong.
    Broken(&'static str),
}

/// Looks at the first frame in what a server has sent.
pub(crate) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let &[first, second, ..] = bytes else {
        return Parsed::Incomplete;
    };
    let kind = match first {
        0x81 => Kind::Text,
        0x82 => Kind::Binary,
        0x88 => Kind::Close,
        0x89 => Kind::Ping,
        0x8a => Kind::Pong,
        _ => return Parsed::Broken("a frame that is in pieces, compressed or unknown"),
    };
    let (head, length) = match second {
        0..=125 => (2, Some(u64::from(second))),
        126 => (4, number(bytes, 2, 4)),
        127 => (MAX_HEAD, number(bytes, 2, MAX_HEAD)),
        _ => return Parsed::Broken("a masked frame from a server"),
    };
    let Some(length) = length else {
        return Parsed::Incomplete;
    };
    let end = usize::try_from(length)
        .ok()
        .and_then(|l| l.checked_add(head));
    let Some(end) = end else {
        return Parsed::Broken("a frame longer than any memory");
    };
    match bytes.get(head..end) {
        Some(payload) => Parsed::Whole {
            kind,
            payload,
            bytes: end,
        },
        None => Parsed::Incomplete,
    }
}

/// A number in network order, unless some of its bytes are still to come.
fn number(bytes: &[u8], from: usize, to: usize) -> Option<u64> {
    let digits = bytes.get(from..to)?;
    Some(digits.iter().fold(0, |n, &byte| n << 8 | u64::from(byte)))
}

/// A frame as a client sends it.
pub(crate) fn masked(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(kind, payload.len(), 0x80);
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(a, b)| a ^ b));
    frame
}

/// A frame as a server sends it.
pub(crate) fn unmasked(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(kind, payload.len(), 0);
    frame.extend(payload);
    frame
}

fn head(kind: Kind, length: usize, mask_bit: u8) -> Vec<u8> {
    let first = match kind {
        Kind::Text => 0x81,
        Kind::Binary => 0x82,
        Kind::Close => 0x88,
        Kind::Ping => 0x89,
        Kind::Pong => 0x8a,
    };
    let mut head = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ 0..=125), _) => head.push(mask_bit | length),
        (_, Ok(length)) => {
            head.push(mask_bit | 126);
            head.extend(length.to_be_bytes());
        }
        (_, Err(_)) => {
            head.push(mask_bit | 127);
            head.extend((length as u64).to_be_bytes());
        }
    }
    head
}

/// What a close frame says, for a sentence.
pub(crate) fn close_reason(payload: &[u8]) -> String {
    match payload {
        [high, low, text @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            format!("{code} {}", String::from_utf8_lossy(text))
        }
        _ => "without a reason".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [usize; 8] = [0, 1, 125, 126, 127, 65_535, 65_536, 70_000];

    #[test]
    fn a_frame_of_a_server_is_read_whole_and_from_no_part_of_it() {
        for length in LENGTHS {
            let payload = vec![b'x'; length];
            let frame = unmasked(Kind::Text, &payload);
            let mut bytes = frame.clone();
            bytes.extend(b"next");
            assert_eq!(
                parse(&bytes),
                Parsed::Whole {
                    kind: Kind::Text,
                    payload: &payload,
                    bytes: frame.len(),
                }
            );
            let cuts = [0, 1, 2, 3, 5, 9, frame.len() - 1];
            for cut in cuts.into_iter().filter(|&cut| cut < frame.len()) {
                assert_eq!(
                    parse(&frame[..cut]),
                    Parsed::Incomplete,
                    "{cut} of {length}"
                );
            }
        }
    }

    #[test]
    fn a_frame_of_a_client_is_masked_and_has_the_same_length_in_its_head() {
        for length in LENGTHS {
            let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let (ours, theirs) = (
                masked(Kind::Binary, &payload),
                unmasked(Kind::Binary, &payload),
            );
            let head = theirs.len() - length;
            assert_eq!(ours[0], theirs[0]);
            assert_eq!(ours[1], theirs[1] | 0x80);
            assert_eq!(ours[2..head], theirs[2..head]);
            assert_eq!(ours[head..head + 4], MASK);
            for (index, &byte) in ours[head + 4..].iter().enumerate() {
                assert_eq!(byte ^ MASK[index % 4], payload[index]);
            }
        }
    }

    #[test]
    fn what_no_relay_may_send_is_broken() {
        for bytes in [[0x01, 0], [0xc1, 0], [0x83, 0], [0x81, 0x80]] {
            assert!(matches!(parse(&bytes), Parsed::Broken(_)), "{bytes:x?}");
        }
        let endless = [0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255];
        assert!(matches!(parse(&endless), Parsed::Broken(_)));
    }

    #[test]
    fn a_close_frame_says_why() {
        assert_eq!(close_reason(b"\x03\xf0slow consumer"), "1008 slow consumer");
        assert_eq!(close_reason(b""), "without a reason");
    }
}
