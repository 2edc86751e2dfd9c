//! How a connection tells the forwarder without framing where its bytes go.

/// The length of a preamble, in bytes.
pub(crate) const PREAMBLE: usize = 16;

/// What a connection says before anything else, in [`PREAMBLE`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preamble {
    /// It wants these bytes back, and will say more.
    Echo,
    /// From now on its bytes go to whoever names the same pair.
    Pair { pair: u32 },
    /// From now on it sends messages of so many bytes, each of which begins with the number of the one
    /// it is for. It gets these bytes back as soon as others reach it.
    Member { number: u32, bytes: u32 },
}

impl Preamble {
    pub(crate) fn to_bytes(self) -> [u8; PREAMBLE] {
        let (kind, first, second) = match self {
            Self::Echo => (b'E', 0, 0),
            Self::Pair { pair } => (b'P', pair, 0),
            Self::Member { number, bytes } => (b'M', number, bytes),
        };
        let mut all = [0; PREAMBLE];
        all[0] = kind;
        all[4..8].copy_from_slice(&first.to_le_bytes());
        all[8..12].copy_from_slice(&second.to_le_bytes());
        all
    }

    /// `None` when nobody says that.
    pub(crate) fn from_bytes(all: &[u8; PREAMBLE]) -> Option<Self> {
        let &[kind, _, _, _, a, b, c, d, e, f, g, h, ..] = all;
        let first = u32::from_le_bytes([a, b, c, d]);
        let second = u32::from_le_bytes([e, f, g, h]);
        match kind {
            b'E' => Some(Self::Echo),
            b'P' => Some(Self::Pair { pair: first }),
            b'M' => Some(Self::Member {
                number: first,
                bytes: second,
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        for preamble in [
            Preamble::Echo,
            Preamble::Pair { pair: 70_000 },
            Preamble::Member {
                number: 3,
                bytes: 1500,
            },
        ] {
            assert_eq!(Preamble::from_bytes(&preamble.to_bytes()), Some(preamble));
        }
        assert_eq!(Preamble::from_bytes(b"GET / HTTP/1.1\r\n"), None);
    }
}
