//! What is played, by the moment at which it is played.
//!
//! A moment is counted in samples of the clock that all pipelines share.

use std::collections::VecDeque;

/// How many samples of what was played are kept: two seconds.
const LENGTH: usize = 96_000;

/// What was played of late, all of it in one channel.
#[derive(Debug, Default)]
pub(super) struct Tape {
    /// The moment of the first sample.
    begin: i64,
    /// Sums of what several play at once.
    samples: VecDeque<i32>,
}

impl Tape {
    /// A tape on which nothing is.
    pub(super) const fn new() -> Self {
        Self {
            begin: 0,
            samples: VecDeque::new(),
        }
    }

    /// Adds sound to what is played from that moment on. What is older than the tape is long is gone.
    pub(super) fn add(&mut self, at: i64, sound: impl ExactSizeIterator<Item = i32>) {
        let length = sound.len();
        let end = at.saturating_add_unsigned(length as u64);
        if self.end() < at - LENGTH as i64 || self.samples.is_empty() {
            self.samples.clear();
            self.begin = at;
        }
        if end > self.end() {
            let length = usize::try_from(end - self.begin).unwrap_or(0);
            self.samples.resize(length, 0);
        }
        let first = usize::try_from(at - self.begin);
        let (skipped, first) = match first {
            Ok(first) => (0, first),
            Err(_) => (usize::try_from(self.begin - at).unwrap_or(length), 0),
        };
        for (place, sample) in self.samples.iter_mut().skip(first).zip(sound.skip(skipped)) {
            *place = place.saturating_add(sample);
        }
        let old = self.samples.len().saturating_sub(LENGTH);
        self.samples.drain(..old);
        self.begin = self.begin.saturating_add_unsigned(old as u64);
    }

    /// What is played from that moment on; silence where nothing is known.
    pub(super) fn read(&self, from: i64, into: &mut [i16]) {
        into.fill(0);
        let (skipped, first) = match usize::try_from(from.saturating_sub(self.begin)) {
            Ok(first) => (0, first),
            Err(_) => {
                let missing = self.begin.saturating_sub(from);
                (usize::try_from(missing).unwrap_or(usize::MAX), 0)
            }
        };
        let known = self.samples.iter().skip(first);
        for (place, sample) in into.iter_mut().skip(skipped).zip(known) {
            let bounded = (*sample).clamp(i16::MIN.into(), i16::MAX.into());
            *place = i16::try_from(bounded).unwrap_or(0);
        }
    }

    /// The moment after the last sample.
    fn end(&self) -> i64 {
        self.begin
            .saturating_add_unsigned(self.samples.len() as u64)
    }
}

/// Where the next piece of a stream goes that has no gaps but those of its device.
///
/// Moments are measured, and a measure is not exact to the sample; that pieces follow one another is.
/// So their lengths are counted, until a measure says that something lies between two of them.
#[derive(Debug)]
pub(super) struct Head {
    /// How far a measure may be off.
    tolerance: i64,
    next: Option<i64>,
}

impl Head {
    /// For a stream whose measured moments are off by no more than this, in samples.
    pub(super) fn new(tolerance: i64) -> Self {
        Self {
            tolerance,
            next: None,
        }
    }

    /// The place of a piece of that length that has this moment as far as can be measured.
    pub(super) fn place(&mut self, measured: i64, length: usize) -> i64 {
        let follows = |next: &i64| (measured - next).abs() <= self.tolerance;
        let place = self.next.filter(follows).unwrap_or(measured);
        self.next = Some(place.saturating_add_unsigned(length as u64));
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tape: &Tape, from: i64, length: usize) -> Vec<i16> {
        let mut sound = vec![7; length];
        tape.read(from, &mut sound);
        sound
    }

    #[test]
    fn what_is_added_is_read_at_its_moment_and_the_rest_is_silence() {
        let mut tape = Tape::default();
        assert_eq!(read(&tape, 5, 2), [0, 0]);
        tape.add(1000, [1, 2, 3].into_iter());
        assert_eq!(read(&tape, 999, 5), [0, 1, 2, 3, 0]);
        assert_eq!(read(&tape, 1002, 2), [3, 0]);
        tape.add(1005, [9].into_iter());
        assert_eq!(read(&tape, 1001, 5), [2, 3, 0, 0, 9]);
        assert_eq!(read(&tape, i64::MIN, 1), [0]);
        assert_eq!(read(&tape, i64::MAX, 1), [0]);
    }

    #[test]
    fn what_two_play_at_once_is_the_sum_and_loud_is_as_loud_as_it_gets() {
        let mut tape = Tape::default();
        tape.add(0, [30_000, 1, 1].into_iter());
        tape.add(0, [30_000, 1].into_iter());
        assert_eq!(read(&tape, 0, 3), [i16::MAX, 2, 1]);
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let mut tape = Tape::default();
        tape.add(0, [5].into_iter());
        tape.add(LENGTH as i64, [6].into_iter());
        assert_eq!(read(&tape, 0, 1), [0]);
        assert_eq!(read(&tape, LENGTH as i64, 1), [6]);
        // Long before, partly before, and long after what is there.
        tape.add(-10, [1, 1].into_iter());
        tape.add(0, [1, 8].into_iter());
        assert_eq!(read(&tape, 0, 2), [0, 8]);
        tape.add(1 << 40, [4].into_iter());
        assert_eq!(read(&tape, (1 << 40) - 1, 3), [0, 4, 0]);
        assert!(tape.samples.len() <= LENGTH);
    }

    #[test]
    fn pieces_follow_one_another_until_that_cannot_be_true() {
        let mut head = Head::new(50);
        assert_eq!(head.place(1000, 480), 1000);
        assert_eq!(head.place(1435, 480), 1480, "a little early");
        assert_eq!(head.place(2009, 480), 1960, "a little late");
        assert_eq!(head.place(2491, 480), 2491, "after a gap");
        assert_eq!(head.place(2900, 480), 2900, "before its time");
        assert_eq!(head.place(3380, 480), 3380);
    }
}
