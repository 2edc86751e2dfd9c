//! What waits to be sent over one connection: frames of ours, bounded by their bytes.

use std::mem;

use crate::codec::{self, Opcode};

/// So many bytes that are out already are kept before the rest is moved to the front.
const COMPACT_ABOVE_BYTES: usize = 64 * 1024;

/// Encoded frames in their order, some bytes of the first of which may be out.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Begins where a frame begins.
    bytes: Vec<u8>,
    sent: usize,
}

/// There was no room for a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Outbox {
    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a frame whose payload is these parts.
    ///
    /// # Errors
    /// When more than `max_bytes` would wait. Nothing is appended then.
    pub(crate) fn push(
        &mut self,
        opcode: Opcode,
        parts: &[&[u8]],
        max_bytes: usize,
    ) -> Result<(), Full> {
        let payload: usize = parts.iter().map(|part| part.len()).sum();
        if self.len() + payload + codec::MAX_HEAD_BYTES > max_bytes {
            return Err(Full);
        }
        codec::encode(opcode, parts, &mut self.bytes);
        Ok(())
    }

    /// Appends frames that are encoded already.
    ///
    /// # Errors
    /// When more than `max_bytes` would wait. Nothing is appended then.
    pub(crate) fn push_run(&mut self, run: &[u8], max_bytes: usize) -> Result<(), Full> {
        if self.len() + run.len() > max_bytes {
            return Err(Full);
        }
        self.bytes.extend_from_slice(run);
        Ok(())
    }

    /// Appends a frame that there has to be room for: after it nothing comes.
    pub(crate) fn push_last(&mut self, opcode: Opcode, payload: &[u8]) {
        codec::encode(opcode, &[payload], &mut self.bytes);
    }

    /// What the network should take next.
    pub(crate) fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Uses this buffer, as long as it has none of its own.
    pub(crate) fn lend(&mut self, spare: Vec<u8>) {
        if self.bytes.capacity() == 0 {
            self.bytes = spare;
        }
    }

    /// Gives away the buffer of an empty outbox: most of them are empty nearly always, so that a few
    /// buffers do for all.
    pub(crate) fn take_spare(&mut self) -> Option<Vec<u8>> {
        if !self.is_empty() || self.bytes.capacity() == 0 {
            return None;
        }
        Some(mem::take(&mut self.bytes))
    }

    /// The network took so many bytes of [`unsent`](Self::unsent).
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.sent += bytes;
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
        } else if self.sent > COMPACT_ABOVE_BYTES && self.sent > self.bytes.len() / 2 {
            let begun = self.begun_frame().0;
            self.bytes.drain(..begun);
            self.sent -= begun;
        }
    }

    /// Drops every frame of which no byte is out: a slow consumer is not made to read what it did
    /// not read before.
    pub(crate) fn drop_unbegun(&mut self) {
        let (begun, end) = self.begun_frame();
        if begun < self.sent {
            self.bytes.truncate(end);
        } else {
            *self = Self::default();
        }
    }

    /// Where the first frame that is not all out begins and ends.
    fn begun_frame(&self) -> (usize, usize) {
        let mut start = 0;
        while start < self.bytes.len() {
            let end = start + codec::frame_bytes(&self.bytes[start..]);
            if end > self.sent {
                return (start, end);
            }
            start = end;
        }
        (start, start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: usize = 1 << 20;

    fn with(payloads: &[usize]) -> Outbox {
        let mut outbox = Outbox::default();
        for &bytes in payloads {
            let payload = vec![b'x'; bytes];
            outbox
                .push(Opcode::Binary, &[&payload], PLENTY)
                .expect("room");
        }
        outbox
    }

    #[test]
    fn what_waits_is_bounded_by_its_bytes_whatever_their_pieces() {
        for bytes in [0, 1, 125, 126, 1000, 70_000] {
            let (mut outbox, payload) = (Outbox::default(), vec![0; bytes]);
            let max = 200_000;
            let count = (0..)
                .take_while(|_| outbox.push(Opcode::Binary, &[&payload], max).is_ok())
                .count();
            assert!(outbox.len() <= max && outbox.len() + bytes + codec::MAX_HEAD_BYTES > max);
            // Room for one is room for another.
            let frame = outbox.len() / count;
            outbox.advance(frame + codec::MAX_HEAD_BYTES);
            outbox
                .push(Opcode::Binary, &[&payload], max)
                .expect("room again");
        }
    }

    #[test]
    fn what_is_out_is_forgotten_and_what_is_not_stays_in_its_order() {
        let mut outbox = Outbox::default();
        let mut expected = Vec::new();
        for number in 0..3000_u16 {
            let payload = number.to_be_bytes().repeat(40);
            outbox
                .push(Opcode::Text, &[&payload], PLENTY)
                .expect("room");
            codec::encode(Opcode::Text, &[&payload], &mut expected);
        }
        let mut seen = Vec::new();
        while !outbox.is_empty() {
            let step = outbox.len().min(4099);
            seen.extend_from_slice(&outbox.unsent()[..step]);
            outbox.advance(step);
            assert!(outbox.sent <= COMPACT_ABOVE_BYTES.max(outbox.bytes.len() / 2));
        }
        assert!(seen == expected);
        let spare = outbox.take_spare().expect("it had a buffer");
        assert!(spare.is_empty() && spare.capacity() > 0);
        assert_eq!(outbox.bytes.capacity(), 0, "an empty outbox costs nothing");
    }

    #[test]
    fn a_slow_consumer_is_spared_all_but_the_frame_it_has_begun_to_read() {
        for (sent, left) in [(0, 0), (1, 9), (10, 0), (11, 199), (10 + 200, 0)] {
            let mut outbox = with(&[8, 196, 50]);
            outbox.advance(sent);
            outbox.drop_unbegun();
            assert_eq!(outbox.len(), left, "with {sent} bytes out");
            outbox.push_last(Opcode::Close, b"");
            assert_eq!(outbox.len(), left + 2);
        }
    }
}
