//! One peer that reads no more: what is sent to it, and how the server ends it.

use std::time::Duration;

/// How long others go on after the end of the one who stopped, in nanoseconds.
const AFTERWARDS: u64 = 500_000_000;

/// What is meant to happen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    /// Who will read no more.
    pub(crate) peer: usize,
    /// Messages in a second to it from then on.
    pub(crate) rate: u32,
}

/// What has happened so far.
#[derive(Debug)]
pub(crate) struct Stopping {
    stop: Option<Stop>,
    /// Its id at the server.
    id: String,
    group: usize,
    stopped_at: Option<u64>,
    cut_at: Option<u64>,
    /// Peers that were told of the end.
    told: Vec<usize>,
    sent: u32,
    least_nanos: u64,
}

impl Stopping {
    pub(crate) fn new(stop: Option<Stop>, id: String, group: usize) -> Self {
        Self {
            stop,
            id,
            group,
            stopped_at: None,
            cut_at: None,
            told: Vec::new(),
            sent: 0,
            least_nanos: 0,
        }
    }

    /// From now on the peer reads no more. The load goes on for so long at least.
    pub(crate) fn begin(&mut self, now: u64, at_least: Duration) {
        self.stopped_at = Some(now);
        self.least_nanos = u64::try_from(at_least.as_nanos()).unwrap_or(u64::MAX);
    }

    /// Whether a peer reads no more.
    pub(crate) fn has_stopped(&self, peer: usize) -> bool {
        self.stopped_at.is_some() && self.stop.is_some_and(|stop| stop.peer == peer)
    }

    /// Whether messages from one peer to another have nothing to do with the one that will stop.
    pub(crate) fn is_beside(&self, from: usize, to: usize) -> bool {
        self.stop
            .is_none_or(|stop| stop.peer != from && stop.peer != to)
    }

    /// The next message to the one that has stopped, if it is due: from whom and to whom.
    pub(crate) fn next(&mut self, now: u64) -> Option<(usize, usize)> {
        let (stop, since) = (self.stop?, self.stopped_at?);
        let due = since + u64::from(self.sent) * 1_000_000_000 / u64::from(stop.rate);
        if self.cut_at.is_some() || due > now {
            return None;
        }
        let others = self.group - 1;
        let first = stop.peer - stop.peer % self.group;
        let step = 1 + self.sent as usize % others;
        let from = first + (stop.peer - first + step) % self.group;
        self.sent = self.sent.wrapping_add(1);
        Some((from, stop.peer))
    }

    /// How many messages were due to the one that has stopped.
    pub(crate) fn sent(&self) -> u32 {
        self.sent
    }

    /// Whether a line is about the end of the one that has stopped; takes note of it.
    pub(crate) fn notice(&mut self, peer: usize, line: &str, now: u64) -> bool {
        let (Some(stop), Some(_)) = (self.stop, self.stopped_at) else {
            return false;
        };
        let id = &self.id;
        if line == format!("ROOM_PEER_LEFT {id}") {
            self.cut_at.get_or_insert(now);
            let is_first = !self.told.contains(&peer);
            self.told.push(peer);
            return is_first && peer / self.group == stop.peer / self.group;
        }
        // What was on its way to it.
        line == format!("ERROR peer '{id}' not found")
    }

    /// Whether the end of a connection is that of the session with the one that has stopped.
    pub(crate) fn may_end(&mut self, peer: usize, now: u64) -> bool {
        let (Some(stop), Some(_)) = (self.stop, self.stopped_at) else {
            return false;
        };
        let is_partner = self.group == 2 && peer == stop.peer ^ 1;
        if is_partner {
            self.cut_at.get_or_insert(now);
        }
        is_partner
    }

    /// Whether everything has been seen.
    pub(crate) fn is_over(&self, now: u64) -> bool {
        let (Some(stopped), Some(cut)) = (self.stopped_at, self.cut_at) else {
            return false;
        };
        now >= (cut + AFTERWARDS).max(stopped + self.least_nanos)
    }

    /// How long it took until the one that had stopped was cut.
    pub(crate) fn cut_after(&self) -> Option<Duration> {
        let (stopped, cut) = (self.stopped_at?, self.cut_at?);
        Some(Duration::from_nanos(cut.saturating_sub(stopped)))
    }

    /// Whether everybody in the room of the one that was cut was told so.
    pub(crate) fn all_were_told(&self) -> bool {
        self.group == 2 || self.cut_at.is_none() || self.told.len() == self.group - 1
    }
}
