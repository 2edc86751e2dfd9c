//! The values both ends of Aldis agree on: who a peer is, what a line means, how large it may be.
//!
//! Nothing here does I/O, knows the time or keeps state. The normative text is `PROTOCOL.md` beside
//! this crate; `vectors.txt` holds lines with their meaning and is read by the tests of this crate
//! and of the browser page alike.

pub mod id;
pub mod limits;
pub mod message;
pub mod signal;

pub use id::{InvalidId, PeerId, RoomId};
pub use message::{ClientMessage, ErrorKind, Malformed, Refusal, ServerMessage, Verb};
pub use signal::{Candidate, Description, SdpType, Signal};
