//! When to try whether a network carries more than it did. Pure.
//!
//! What is estimated from feedback grows by some percent a second, for it knows nothing of what is not
//! sent. A network that was thin for a moment would be used as a thin one for a minute: so, when it has
//! been calm for a while, much more is tried at once, and what comes of it is known within a second.

use std::time::Duration;

/// A network has to be calm for so long before more is tried.
const FIRST_WAIT: Duration = Duration::from_secs(3);

/// However often it did not carry more, it is tried again after so long.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Within so long it shows whether more is carried: whoever is to send more may have to change over to
/// another rung first.
const TRIAL: Duration = Duration::from_secs(3);

/// Less than so many percent of what was carried is a step down.
const STEP_DOWN_PERCENT: u32 = 95;

/// When to try whether a network carries more. Rates are in kilobits a second, and times are since a
/// moment of the caller's choice.
#[derive(Clone, Debug)]
pub struct Probing {
    most: u32,
    carried: u32,
    calm_since: Duration,
    tried: Option<Duration>,
    wait: Duration,
}

impl Probing {
    /// For a connection that begins now; more than `most` is never tried.
    pub fn new(most: u32, now: Duration) -> Self {
        Self {
            most,
            carried: most,
            calm_since: now,
            tried: None,
            wait: FIRST_WAIT,
        }
    }

    /// So much is carried, as estimated.
    pub fn carries(&mut self, kbps: u32, now: Duration) {
        let step_down = u64::from(self.carried) * u64::from(STEP_DOWN_PERCENT) / 100;
        if u64::from(kbps) < step_down {
            self.calm_since = now;
            if self
                .tried
                .take()
                .is_some_and(|tried| now.saturating_sub(tried) < TRIAL)
            {
                self.wait = (self.wait * 2).min(LONGEST_WAIT);
            }
        }
        self.carried = kbps;
    }

    /// What is to be taken for carried from now on, when it is time to try more: half as much again, or
    /// `enough` if that is more.
    pub fn next(&mut self, enough: u32, now: Duration) -> Option<u32> {
        if self
            .tried
            .is_some_and(|tried| now.saturating_sub(tried) >= TRIAL)
        {
            // It was carried.
            self.tried = None;
            self.wait = FIRST_WAIT;
        }
        if self.carried >= self.most || now.saturating_sub(self.calm_since) < self.wait {
            return None;
        }
        (self.tried, self.calm_since) = (Some(now), now);
        self.carried = self
            .carried
            .saturating_add(self.carried / 2 + 1)
            .max(enough)
            .min(self.most);
        Some(self.carried)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn nothing_is_tried_where_all_is_carried() {
        let mut probing = Probing::new(2500, at(0.0));
        probing.carries(2500, at(1.0));
        assert_eq!(probing.next(0, at(100.0)), None);
    }

    #[test]
    fn a_calm_network_is_back_at_the_most_within_some_trials() {
        let mut probing = Probing::new(2500, at(0.0));
        probing.carries(500, at(1.0));
        let mut tried = Vec::new();
        for second in 2..20 {
            tried.extend(
                probing
                    .next(0, at(second.into()))
                    .map(|kbps| (second, kbps)),
            );
        }
        assert_eq!(tried, [(4, 751), (7, 1127), (10, 1691), (13, 2500)]);
    }

    #[test]
    fn a_network_that_carries_no_more_is_tried_ever_less_often() {
        let mut probing = Probing::new(2500, at(0.0));
        probing.carries(500, at(0.0));
        let mut tried = Vec::new();
        for second in 1..130 {
            if probing.next(0, at(second.into())).is_some() {
                tried.push(second);
                probing.carries(500, at(f64::from(second) + 0.5));
            }
        }
        assert_eq!(tried, [3, 10, 23, 48, 79, 110]);
        // What is enough for something may be far.
        let mut probing = Probing::new(2500, at(0.0));
        probing.carries(500, at(0.0));
        assert_eq!(probing.next(1800, at(3.0)), Some(1800));
        // A step down of another origin puts it off, and is no sign of a vain trial.
        let mut probing = Probing::new(2500, at(0.0));
        probing.carries(500, at(0.0));
        assert!(probing.next(0, at(3.0)).is_some());
        probing.carries(600, at(6.5));
        assert_eq!(probing.next(0, at(9.0)), None);
        assert!(probing.next(0, at(9.5)).is_some());
    }
}
