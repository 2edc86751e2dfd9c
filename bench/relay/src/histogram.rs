//! Times, counted in classes that are never wider than a hundredth of the time.

use std::time::Duration;

/// Classes between a power of two and the next.
const STEPS: u64 = 128;

/// Classes in all: enough for every `u64`.
const CLASSES: usize = (STEPS as usize) * 58;

/// How often which time was seen, in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![0; CLASSES],
            total: 0,
            longest: 0,
        }
    }

    /// Counts a time in nanoseconds.
    pub(crate) fn record(&mut self, nanos: u64) {
        if let Some(count) = self.counts.get_mut(class_of(nanos)) {
            *count += 1;
        }
        self.total += 1;
        self.longest = self.longest.max(nanos);
    }

    /// Counts everything that another has counted.
    pub(crate) fn add(&mut self, other: &Self) {
        for (count, others) in self.counts.iter_mut().zip(&other.counts) {
            *count += others;
        }
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }

    /// How many times were counted.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The longest of all times, to the nanosecond.
    pub(crate) fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest)
    }

    /// The time that so many percent do not exceed, at most a hundredth too long; `None` of nothing.
    pub(crate) fn percentile(&self, percent: f64) -> Option<Duration> {
        let rank = ((percent / 100.0 * self.total as f64).ceil() as u64).max(1);
        let mut below = 0;
        for (class, count) in self.counts.iter().enumerate() {
            below += count;
            if below >= rank {
                return Some(Duration::from_nanos(end_of(class).min(self.longest)));
            }
        }
        None
    }
}

/// Below `STEPS` every number has a class of its own; above, every power of two has `STEPS` of them.
fn class_of(nanos: u64) -> usize {
    let shift = (64 - STEPS.trailing_zeros() - 1).saturating_sub(nanos.leading_zeros());
    // Shifted, the number lies between STEPS and 2 * STEPS, or below both.
    (u64::from(shift) * STEPS + (nanos >> shift)) as usize
}

/// The largest number of a class.
fn end_of(class: usize) -> u64 {
    let (class, steps) = (class as u64, STEPS);
    if class < 2 * steps {
        return class;
    }
    let shift = class / steps - 1;
    let start = (class - shift * steps) << shift;
    start + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_lies_in_its_class_and_the_class_is_narrow() {
        let numbers = (0..64).flat_map(|bit| {
            let power = 1_u64 << bit;
            [
                power - 1,
                power,
                power + 1,
                power + power / 3,
                power | (power - 1),
            ]
        });
        for number in numbers {
            let class = class_of(number);
            assert!(class < CLASSES, "{number}: {class}");
            let end = end_of(class);
            assert!(number <= end, "{number}: {end}");
            assert!(end - number <= number / 100, "{number}: {end}");
            assert!(class == 0 || end_of(class - 1) < number, "{number}");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_times() {
        let mut histogram = Histogram::new();
        for number in (1..=1000).rev() {
            histogram.record(number * 1000);
        }
        assert_eq!(histogram.total(), 1000);
        assert_eq!(histogram.longest(), Duration::from_micros(1000));
        assert_eq!(
            histogram.percentile(100.0),
            Some(Duration::from_micros(1000))
        );
        for percent in [1.0, 50.0, 99.0, 99.9] {
            let exact = percent * 10.0;
            let found = histogram.percentile(percent).expect("some").as_secs_f64() * 1e6;
            assert!(
                (exact..=exact * 1.01).contains(&found),
                "{percent}: {found}"
            );
        }
    }

    #[test]
    fn what_another_counted_counts_too() {
        let (mut one, mut other) = (Histogram::new(), Histogram::new());
        one.record(1000);
        other.record(9);
        other.record(5);
        one.add(&other);
        assert_eq!(one.total(), 3);
        assert_eq!(one.longest(), Duration::from_nanos(1000));
        assert_eq!(one.percentile(50.0), Some(Duration::from_nanos(9)));
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(Histogram::new().percentile(50.0), None);
    }
}
