//! What waits to be sent over one connection: a queue bounded by bytes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::config::{MESSAGE_OVERHEAD_BYTES, OUTBOX_BYTES, SESSION_BACKLOG_BYTES};
use crate::frame::{CloseReason, Frame};

/// The queue of one connection, shared by the hub, which fills it, and the connection's own task,
/// which empties it. Cloning shares the queue.
#[derive(Clone, Default)]
pub(crate) struct Outbox(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    queue: VecDeque<Frame>,
    bytes: usize,
    /// The last thing to be sent. Once set, it stays.
    close: Option<CloseReason>,
    /// The task that empties the queue.
    owner: Option<Waker>,
    /// The task that would read the partner, were this queue shorter.
    sender: Option<Waker>,
}

/// The next thing to send.
pub(crate) enum Outgoing {
    Frame(Frame),
    /// Nothing comes after it.
    Close(CloseReason),
}

/// There was no room for a message.
#[derive(Debug)]
pub(crate) struct Full;

impl Outbox {
    /// Appends a message; what comes after a close is dropped.
    pub(crate) fn push(&self, frame: Frame) -> Result<(), Full> {
        let mut state = self.0.borrow_mut();
        if state.close.is_some() {
            return Ok(());
        }
        let bytes = state.bytes + cost(&frame);
        if bytes > OUTBOX_BYTES {
            return Err(Full);
        }
        state.bytes = bytes;
        state.queue.push_back(frame);
        state.wake_owner();
        Ok(())
    }

    /// Appends the close. A slow consumer is not made to read what it did not read before.
    pub(crate) fn close(&self, reason: CloseReason) {
        let mut state = self.0.borrow_mut();
        if state.close.is_some() {
            return;
        }
        state.close = Some(reason);
        if reason == CloseReason::SlowConsumer {
            state.queue.clear();
            state.bytes = 0;
        }
        state.wake_owner();
        state.wake_sender();
    }

    /// Why this connection is to be closed, if it is.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.0.borrow().close
    }

    /// Whether the partner should not be read now.
    pub(crate) fn is_congested(&self) -> bool {
        self.0.borrow().is_congested()
    }

    /// The next message of those that are there.
    pub(crate) fn try_frame(&self) -> Option<Frame> {
        self.0.borrow_mut().pop()
    }

    /// Waits for something to send.
    pub(crate) async fn next(&self) -> Outgoing {
        poll_fn(|cx| {
            let mut state = self.0.borrow_mut();
            if let Some(frame) = state.pop() {
                return Poll::Ready(Outgoing::Frame(frame));
            }
            if let Some(reason) = state.close {
                return Poll::Ready(Outgoing::Close(reason));
            }
            remember(&mut state.owner, cx);
            Poll::Pending
        })
        .await
    }

    /// Waits until the owner is told to go as a slow consumer. For the owner's task.
    pub(crate) async fn cut(&self) {
        poll_fn(|cx| {
            let mut state = self.0.borrow_mut();
            if state.close == Some(CloseReason::SlowConsumer) {
                return Poll::Ready(());
            }
            remember(&mut state.owner, cx);
            Poll::Pending
        })
        .await;
    }

    /// Waits until the partner may be read again. For the partner's task.
    pub(crate) async fn relieved(&self) {
        poll_fn(|cx| {
            let mut state = self.0.borrow_mut();
            if !state.is_congested() {
                return Poll::Ready(());
            }
            remember(&mut state.sender, cx);
            Poll::Pending
        })
        .await;
    }
}

impl State {
    fn is_congested(&self) -> bool {
        self.bytes > SESSION_BACKLOG_BYTES && self.close.is_none()
    }

    fn pop(&mut self) -> Option<Frame> {
        let frame = self.queue.pop_front()?;
        self.bytes -= cost(&frame);
        if !self.is_congested() {
            self.wake_sender();
        }
        Some(frame)
    }

    fn wake_owner(&mut self) {
        if let Some(owner) = self.owner.take() {
            owner.wake();
        }
    }

    fn wake_sender(&mut self) {
        if let Some(sender) = self.sender.take() {
            sender.wake();
        }
    }
}

fn cost(frame: &Frame) -> usize {
    frame.len() + MESSAGE_OVERHEAD_BYTES
}

fn remember(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use futures_util::FutureExt;

    use super::*;

    fn frame(bytes: usize) -> Frame {
        Frame::Binary(vec![0; bytes].into())
    }

    #[test]
    fn the_close_comes_behind_all_that_was_sent_before_and_nothing_behind_it() {
        let outbox = Outbox::default();
        outbox.push(frame(1)).expect("room");
        outbox.close(CloseReason::PartnerLeft);
        outbox.push(frame(2)).expect("dropped without a word");
        outbox.close(CloseReason::Stopping);
        for last_of_all in [false, true, true] {
            match outbox.next().now_or_never() {
                Some(Outgoing::Frame(frame)) => assert_eq!((frame.len(), last_of_all), (1, false)),
                Some(Outgoing::Close(reason)) => {
                    assert_eq!((reason, last_of_all), (CloseReason::PartnerLeft, true));
                }
                None => panic!("there is more to send"),
            }
        }
    }

    #[test]
    fn a_slow_consumer_need_not_read_what_it_did_not_read_before() {
        let outbox = Outbox::default();
        outbox.push(frame(1)).expect("room");
        assert!(outbox.cut().now_or_never().is_none());
        outbox.close(CloseReason::SlowConsumer);
        assert!(outbox.cut().now_or_never().is_some());
        assert!(outbox.try_frame().is_none());
    }

    #[test]
    fn messages_are_bounded_by_their_bytes_and_by_their_number() {
        for bytes in [0, 1000, 100_000] {
            let outbox = Outbox::default();
            let count = (0..)
                .take_while(|_| outbox.push(frame(bytes)).is_ok())
                .count();
            assert_eq!(count, OUTBOX_BYTES / (bytes + MESSAGE_OVERHEAD_BYTES));
            // Room for one is room for another.
            assert!(outbox.try_frame().is_some());
            outbox.push(frame(bytes)).expect("room");
            outbox.push(frame(bytes)).expect_err("no room");
        }
    }

    /// Counts how often a task would be woken.
    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn whoever_waits_is_woken_by_what_it_waits_for() {
        let outbox = Outbox::default();
        let (owner, sender) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
        let wakes = |wakes: &Wakes| wakes.0.load(Ordering::Relaxed);
        let next = pin!(outbox.next());
        let waker = Arc::clone(&owner).into();
        assert!(next.poll(&mut Context::from_waker(&waker)).is_pending());
        outbox.push(frame(SESSION_BACKLOG_BYTES)).expect("room");
        assert_eq!(wakes(&owner), 1);
        let relieved = pin!(outbox.relieved());
        let waker = Arc::clone(&sender).into();
        assert!(relieved.poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(wakes(&sender), 0);
        outbox.try_frame().expect("a message");
        assert_eq!((wakes(&owner), wakes(&sender)), (1, 1));
    }

    #[test]
    fn the_partner_waits_while_much_is_there_and_no_longer() {
        let outbox = Outbox::default();
        outbox.push(frame(SESSION_BACKLOG_BYTES)).expect("room");
        assert!(outbox.relieved().now_or_never().is_none());
        outbox.push(frame(1)).expect("room");
        outbox.try_frame().expect("the large one");
        assert!(outbox.relieved().now_or_never().is_some());
        outbox.push(frame(SESSION_BACKLOG_BYTES)).expect("room");
        assert!(outbox.is_congested());
        outbox.close(CloseReason::PartnerLeft);
        assert!(outbox.relieved().now_or_never().is_some());
    }
}
