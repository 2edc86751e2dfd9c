//! How long to wait before the next try.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_millis(1600);

/// Delays that double up to a bound, each shortened by up to a half so that many clients of one
/// relay do not come back in the same instant.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// The delay before the next try; `chance` is a random number from 0 to 1.
    pub fn next_delay(&mut self, chance: f64) -> Duration {
        let delay = self.next.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0);
        self.next = (self.next * 2).min(LONGEST);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        let mut backoff = Backoff::default();
        let millis: Vec<_> = (0..5)
            .map(|_| backoff.next_delay(0.0).as_millis())
            .collect();
        assert_eq!(millis, [250, 500, 1000, 1600, 1600]);
    }

    #[test]
    fn chance_takes_up_to_half_away() {
        assert_eq!(Backoff::default().next_delay(1.0), FIRST / 2);
        assert_eq!(Backoff::default().next_delay(7.0), FIRST / 2);
    }
}
