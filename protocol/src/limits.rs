//! Bounds that both ends enforce, whoever is at the other one.

use std::time::Duration;

/// The longest peer or room id, in bytes of UTF-8.
pub const MAX_ID_BYTES: usize = 256;

/// The largest message either end accepts, in bytes, unless configured otherwise.
pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// How long a connection may wait before its `HELLO` has arrived.
pub const HELLO_DEADLINE: Duration = Duration::from_secs(10);

/// How often the relay pings a quiet connection.
pub const PING_INTERVAL: Duration = Duration::from_secs(15);

/// How many pings in a row may stay unanswered before the relay lets a connection go.
pub const MISSED_PINGS: u32 = 2;
