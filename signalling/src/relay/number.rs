//! The numbers of connections, and how one finds what belongs to them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A connection, from its acceptance to its end; never used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Finds what belongs to a connection. The numbers are ours, one after the other, so that nobody can
/// choose them to collide, and nothing is gained by scrambling them well.
pub(crate) type ByConnection<T> = HashMap<ConnectionId, T, BuildHasherDefault<NumberHasher>>;

/// Hashes one number. See [`ByConnection`].
#[derive(Default)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // Knuth's multiplier: both ends of the product differ from one number to the next.
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
