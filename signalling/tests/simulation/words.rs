//! What simulated peers call themselves, and what they say.

use std::fmt;
use std::sync::OnceLock;

use signalling::relay::ConnectionId;

const IDS: usize = 5000;
const ROOMS: usize = 60;

/// One in seven of those who join goes there, so that one room is large.
const ASSEMBLY: usize = 0;

/// Names the sender, the only peer that may hear it, and its place among those between these two.
pub(crate) struct Tag {
    pub(crate) from: ConnectionId,
    pub(crate) to: ConnectionId,
    pub(crate) number: u64,
}

/// To nobody: who hears this has heard what was not meant for it.
pub(crate) const NOBODY: ConnectionId = ConnectionId(0);

impl Tag {
    /// Reads what stands before the first blank; `None` when there is no tag.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (tag, _filler) = text.strip_prefix('#')?.split_once(' ')?;
        let mut numbers = tag.split('-').map(|number| number.parse().ok());
        Some(Self {
            from: ConnectionId(numbers.next()??),
            to: ConnectionId(numbers.next()??),
            number: numbers.next()??,
        })
    }

    /// A text with this tag that is about so long.
    pub(crate) fn text(&self, bytes: usize) -> String {
        format!("{self} {}", "x".repeat(bytes))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}-{}-{}", self.from.0, self.to.0, self.number)
    }
}

/// Any of the ids, more than there are peers.
pub(crate) fn some_id(chance: &mut fastrand::Rng) -> &'static str {
    static ALL: OnceLock<Vec<String>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let kinds = ["peer-", "o'", "Zoë/", "+", "\u{1F600}"];
        (0..IDS)
            .map(|n| format!("{}{n}", kinds[n % kinds.len()]))
            .collect()
    });
    &all[chance.usize(..IDS)]
}

/// Any of the rooms; one of them more often than the others.
pub(crate) fn some_room(chance: &mut fastrand::Rng) -> &'static str {
    static ALL: OnceLock<Vec<String>> = OnceLock::new();
    let all = ALL.get_or_init(|| (0..ROOMS).map(|n| format!("room-{n}")).collect());
    match chance.u32(..7) {
        0 => &all[ASSEMBLY],
        _ => &all[chance.usize(..ROOMS)],
    }
}

/// A line that means nothing to the relay outside of a session.
pub(crate) fn some_nonsense(chance: &mut fastrand::Rng) -> &'static str {
    let all = [
        "",
        " ",
        "hello",
        "{\"sdp\": 1}",
        "SESSIONX peer-1",
        "ROOM_PEER_LIST ",
        "\u{feff}HELLO",
        "SESSION_OK",
        "\0",
    ];
    all[chance.usize(..all.len())]
}
