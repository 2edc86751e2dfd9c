//! One simulated peer: what waits for it, how fast it reads, and what it makes of that.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use signalling::frame::CloseReason;
use signalling::relay::ConnectionId;

use crate::model::Sent;
use crate::words::Tag;
use crate::world::Tally;

/// What may wait for one peer: little, so that the slow ones are soon found out.
const OUTBOX_BYTES: usize = 16 * 1024;

/// What may wait for one side of a session before the other side is no longer read.
const BACKLOG_BYTES: usize = 4 * 1024;

/// What a message counts beside its payload.
const OVERHEAD_BYTES: usize = 64;

/// Where a peer is, told from outside by what the relay answered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Greeting,
    Lobby,
    Session(ConnectionId),
    Room(&'static str),
    /// The relay closed it.
    Gone,
}

/// How a peer reads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Speed {
    /// Everything, after a moment.
    Fast,
    /// So many bytes in a second.
    Slow(u32),
    /// Nothing at all.
    Deaf,
}

pub(crate) struct Peer {
    pub(crate) connection: ConnectionId,
    pub(crate) place: Place,
    /// The id or room it asked for last.
    pub(crate) asked: &'static str,
    /// The one id that its token is for.
    pub(crate) only_id: Option<&'static str>,
    /// The id it holds.
    pub(crate) id: Option<&'static str>,
    /// When in its room it came, among all who joined any.
    pub(crate) joined_as: u64,
    /// Since when it has to wait until its partner has read more.
    pub(crate) waits_since: Option<Duration>,
    /// Whether its next reading is planned.
    pub(crate) reads_soon: bool,
    pub(crate) speed: Speed,
    queue: VecDeque<Sent>,
    bytes: usize,
    greeted: bool,
    /// The others in its room, as it read of them.
    members: Option<Vec<String>>,
    /// The number of the last message of everybody it heard.
    heard: HashMap<ConnectionId, u64>,
}

/// There was no room for a message.
pub(crate) struct Full;

impl Peer {
    pub(crate) fn new(
        connection: ConnectionId,
        speed: Speed,
        only_id: Option<&'static str>,
    ) -> Self {
        Self {
            connection,
            place: Place::Greeting,
            asked: "",
            only_id,
            id: None,
            joined_as: 0,
            waits_since: None,
            reads_soon: false,
            speed,
            queue: VecDeque::new(),
            bytes: 0,
            greeted: false,
            members: None,
            heard: HashMap::new(),
        }
    }

    pub(crate) fn push(&mut self, sent: Sent) -> Result<(), Full> {
        let bytes = self.bytes + cost(&sent);
        if bytes > OUTBOX_BYTES {
            return Err(Full);
        }
        self.bytes = bytes;
        self.queue.push_back(sent);
        Ok(())
    }

    /// What is to be sent before a close is, but for those who have not read for too long.
    pub(crate) fn close(&mut self, reason: CloseReason) {
        self.place = Place::Gone;
        if reason == CloseReason::SlowConsumer {
            self.queue.clear();
            self.bytes = 0;
        }
    }

    pub(crate) fn is_congested(&self) -> bool {
        self.bytes > BACKLOG_BYTES && self.place != Place::Gone
    }

    /// When it reads next, from now on; `None` when there is nothing to read, or never.
    pub(crate) fn next_reading(&self) -> Option<Duration> {
        let next = self.queue.front()?;
        match self.speed {
            Speed::Fast => Some(Duration::from_millis(5)),
            Speed::Slow(bytes_per_second) => {
                let bytes = cost(next) as f64;
                Some(Duration::from_secs_f64(bytes / f64::from(bytes_per_second)))
            }
            Speed::Deaf => None,
        }
    }

    /// Reads one message, or all of them.
    pub(crate) fn read(&mut self, tally: &mut Tally) {
        let count = match self.speed {
            Speed::Fast => self.queue.len(),
            Speed::Slow(_) => 1,
            Speed::Deaf => 0,
        };
        for _ in 0..count {
            let Some(sent) = self.queue.pop_front() else {
                return;
            };
            self.bytes -= cost(&sent);
            if let Sent::Text(line) = sent {
                self.understand(&line, tally);
            }
        }
    }

    pub(crate) fn has_read_everything(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn members(&self) -> &[String] {
        self.members.as_deref().unwrap_or_default()
    }

    /// Checks a line against all that was read before.
    fn understand(&mut self, line: &str, tally: &mut Tally) {
        if line == "HELLO" {
            assert!(!self.greeted, "{:?} is greeted twice", self.connection);
            self.greeted = true;
            return;
        }
        assert!(self.greeted, "{:?} reads {line:?} first", self.connection);
        if let Some(others) = line.strip_prefix("ROOM_OK ") {
            assert_eq!(self.members, None, "{:?} joins twice", self.connection);
            self.members = Some(others.split_whitespace().map(str::to_owned).collect());
        } else if let Some(id) = line.strip_prefix("ROOM_PEER_JOINED ") {
            let members = self.members.as_mut().expect("ROOM_OK comes first");
            assert!(!members.iter().any(|member| member == id), "{id} is there");
            members.push(id.to_owned());
        } else if let Some(id) = line.strip_prefix("ROOM_PEER_LEFT ") {
            let members = self.members.as_mut().expect("ROOM_OK comes first");
            let position = members.iter().position(|member| member == id);
            members.remove(position.expect("only who joined can leave"));
        } else if let Some(others) = line.strip_prefix("ROOM_PEER_LIST ") {
            let others: Vec<_> = others.split_whitespace().collect();
            assert_eq!(others, self.members(), "{:?}", self.connection);
            tally.member_lists_read += 1;
        } else if let Some(rest) = line.strip_prefix("ROOM_PEER_MSG ") {
            let (from, payload) = rest.split_once(' ').expect("a sender and a payload");
            let from_room = self.members().iter().any(|member| member == from);
            assert!(from_room || self.id == Some(from), "{from} is not here");
            self.hear(payload, tally);
        } else if line.starts_with("ERROR room ") {
            assert!(line.ends_with(" is full"), "{line}");
            tally.full_rooms_read_of += 1;
        } else {
            self.hear(line, tally);
        }
    }

    /// A message of somebody else, perhaps. Those that carry a tag are for this peer, in order, and
    /// none of them is missing.
    fn hear(&mut self, payload: &str, tally: &mut Tally) {
        let Some(Tag { from, to, number }) = Tag::parse(payload) else {
            return;
        };
        assert_eq!(to, self.connection, "heard by {:?}", self.connection);
        let before = self.heard.insert(from, number).unwrap_or(0);
        assert_eq!(number, before + 1, "{from:?} to {to:?}");
        tally.tagged_messages_read += 1;
    }
}

fn cost(sent: &Sent) -> usize {
    let payload = match sent {
        Sent::Text(text) => text.len(),
        Sent::Binary(bytes) => bytes.len(),
    };
    payload + OVERHEAD_BYTES
}
