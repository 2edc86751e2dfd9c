//! Messages that have come in and wait to be taken, within bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_channel::{Receiver, Sender, bounded};

use super::Message;

/// How many messages of a channel may wait to be taken.
const MAX_MESSAGES: usize = 16_384;

/// How many bytes of them, on all channels of a connection together: a peer opens as many as it likes.
const MAX_BYTES: usize = 32 << 20;

/// What a message takes beside its bytes, or more.
const OVERHEAD_BYTES: usize = 64;

/// The bytes that wait on the channels of one connection.
#[derive(Clone, Debug, Default)]
pub(in crate::peer) struct Allowance(Arc<AtomicUsize>);

/// A message, which counts until it is taken or thrown away.
#[derive(Debug)]
pub(super) struct Waiting {
    message: Message,
    _share: Share,
}

#[derive(Debug)]
struct Share {
    of: Allowance,
    bytes: usize,
}

/// The two ends at which messages wait.
pub(super) fn queue() -> (Sender<Waiting>, Receiver<Waiting>) {
    bounded(MAX_MESSAGES)
}

impl Waiting {
    /// One more; `None` when no more fit.
    pub(super) fn new(message: Message, allowance: &Allowance) -> Option<Self> {
        let bytes = message.len() + OVERHEAD_BYTES;
        // Made first, so that what does not fit is given back.
        let share = Share {
            of: allowance.clone(),
            bytes,
        };
        let before = allowance.0.fetch_add(bytes, Ordering::Relaxed);
        (before + bytes <= MAX_BYTES).then_some(Self {
            message,
            _share: share,
        })
    }

    /// It does not wait any more.
    pub(super) fn take(self) -> Message {
        self.message
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_share_the_room_and_give_it_back() {
        let allowance = Allowance::default();
        let half = || Message::binary(vec![0; MAX_BYTES / 2 - OVERHEAD_BYTES]);
        let first = Waiting::new(half(), &allowance).expect("there is room");
        let second = Waiting::new(half(), &allowance).expect("there is room");
        assert!(Waiting::new(Message::text(""), &allowance).is_none());
        let (to, from) = queue();
        assert!(to.try_send(first).is_ok());
        drop((to, from));
        assert_eq!(second.take().len(), MAX_BYTES / 2 - OVERHEAD_BYTES);
        assert_eq!(allowance.0.load(Ordering::Relaxed), 0);
    }
}
