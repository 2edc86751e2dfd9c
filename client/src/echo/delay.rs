//! How long after it is played a sound is heard again.
//!
//! Devices say how long it takes, but not all, and not after they ran dry; an echo canceller bears
//! an error of some ten milliseconds. So what is heard is compared with what was played, at every
//! delay that can be.

use std::collections::VecDeque;

/// Of so many samples one is made for the comparison: 2000 a second are left of 48000. Half a
/// millisecond is exact enough, and it costs a hundredth of a core.
const THINNED: usize = 24;

/// How many thinned samples are compared at once: ten milliseconds.
const BLOCK: usize = 20;

/// The delays that are looked for, in thinned samples: from a fifth of a second too early, since what
/// is played may be given in late, to six tenths late.
const EARLIEST: i64 = -400;
const LATEST: i64 = 1200;
const DELAYS: usize = (LATEST - EARLIEST) as usize;

/// What a block more takes from what was found before: it has a weight of 1/e after half a second.
const FORGETTING: f32 = 0.98;

/// How far a delay must stand out from all others, as a multiple of what they are on an average. What
/// has nothing to do with one another reaches five or six, a steady tone one and a half.
const CLEAR: f32 = 8.0;

/// So near a peak, in thinned samples, everything belongs to it.
const BREADTH: usize = 10;

/// After how many blocks one looks.
const LOOK: usize = 10;

/// How many looks in a row have to agree, and how much they may differ.
const AGREEING: usize = 3;
const AGREEMENT: i64 = 2;

/// A delay that is off by less is left alone, in thinned samples: the canceller bears it, and has to
/// learn anew after every change.
const BORNE: i64 = 8;

/// What is quieter than this is silence, as a sum over the magnitudes of a block.
const SILENCE: f32 = 20.0 * BLOCK as f32;

/// Finds how long after it is played a sound is heard. Neither knows a clock nor is exact to the
/// sample: an answer is good to a few milliseconds.
#[derive(Debug)]
pub(super) struct Delay {
    heard: Thinner,
    played: Thinner,
    /// What was heard and waits for its turn, so that what is played later can be compared with it.
    waiting: VecDeque<f32>,
    /// What was played, up to now.
    past: VecDeque<f32>,
    /// The likeness for each delay, the earliest first.
    likeness: Vec<f32>,
    blocks: usize,
    /// For how many blocks nothing has been played.
    quiet: usize,
    candidate: Option<(i64, usize)>,
    found: Option<i64>,
}

impl Default for Delay {
    fn default() -> Self {
        Self {
            heard: Thinner::default(),
            played: Thinner::default(),
            waiting: VecDeque::from(vec![0.0; EARLIEST.unsigned_abs() as usize]),
            past: VecDeque::from(vec![0.0; DELAYS]),
            likeness: vec![0.0; DELAYS],
            blocks: 0,
            quiet: 0,
            candidate: None,
            found: None,
        }
    }
}

impl Delay {
    /// Takes what is heard, and what is played, at one and the same time. Both have 48000 samples a
    /// second and the same length.
    pub(super) fn compare(&mut self, heard: &[i16], played: &[i16]) {
        self.heard.thin(heard, &mut self.waiting);
        self.played.thin(played, &mut self.past);
        while self.past.len() >= DELAYS + BLOCK {
            self.compare_block();
            self.waiting.drain(..BLOCK);
            self.past.drain(..BLOCK);
            self.blocks += 1;
            if self.blocks.is_multiple_of(LOOK) {
                self.look();
            }
        }
    }

    /// The delay in samples, 48000 a second, once it is known.
    pub(super) fn samples(&self) -> Option<i64> {
        self.found.map(|delay| delay * THINNED as i64)
    }

    fn compare_block(&mut self) {
        let past = self.past.make_contiguous();
        let Some(past) = past.get(..DELAYS + BLOCK) else {
            return;
        };
        let heard = &self.waiting.make_contiguous()[..];
        let Some(heard) = heard.get(..BLOCK) else {
            return;
        };
        // Where nothing is played or heard nothing can be learned, and nothing need be forgotten.
        self.quiet = match is_silent(past.get(DELAYS..).unwrap_or_default()) {
            true => self.quiet.saturating_add(1),
            false => 0,
        };
        if self.quiet > DELAYS / BLOCK || is_silent(heard) {
            return;
        }
        // The window that ends last is what was played latest: the earliest delay.
        for (likeness, played) in self.likeness.iter_mut().rev().zip(past.windows(BLOCK)) {
            let product: f32 = heard
                .iter()
                .zip(played)
                .map(|(one, other)| one * other)
                .sum();
            *likeness = *likeness * FORGETTING + product;
        }
    }

    fn look(&mut self) {
        let peak = clear_peak(&self.likeness).map(|peak| peak as i64 + EARLIEST + 1);
        let Some(peak) = peak else {
            self.candidate = None;
            return;
        };
        let times = match self.candidate {
            Some((before, times)) if (before - peak).abs() <= AGREEMENT => times + 1,
            Some(_) | None => 1,
        };
        self.candidate = Some((peak, times));
        let is_borne = self
            .found
            .is_some_and(|found| (found - peak).abs() <= BORNE);
        if times >= AGREEING && !is_borne {
            self.found = Some(peak);
        }
    }
}

fn is_silent(sound: &[f32]) -> bool {
    sound.iter().map(|sample| sample.abs()).sum::<f32>() < SILENCE
}

/// The place of a peak that stands out from all the rest, if there is one.
fn clear_peak(likeness: &[f32]) -> Option<usize> {
    let (peak, highest) = likeness
        .iter()
        .map(|value| value.abs())
        .enumerate()
        .max_by(|one, other| one.1.total_cmp(&other.1))?;
    let (from, to) = (peak.saturating_sub(BREADTH), peak + BREADTH);
    let others = likeness
        .iter()
        .enumerate()
        .filter(|(place, _)| *place < from || *place > to);
    let (power, count) = others.fold((0.0, 0.0), |(power, count), (_, value)| {
        (power + value * value, count + 1.0_f32)
    });
    let average = (power / count.max(1.0)).sqrt();
    (average > 0.0 && highest > CLEAR * average).then_some(peak)
}

/// Makes one sample of many, and takes away what is the same in all voices: that there is more of low
/// notes than of high ones.
#[derive(Debug, Default)]
struct Thinner {
    sum: i32,
    count: usize,
    before: f32,
}

impl Thinner {
    fn thin(&mut self, sound: &[i16], into: &mut VecDeque<f32>) {
        for sample in sound {
            self.sum += i32::from(*sample);
            self.count += 1;
            if self.count == THINNED {
                let average = self.sum as f32 / THINNED as f32;
                into.push_back(average - 0.9 * self.before);
                self.before = average;
                (self.sum, self.count) = (0, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A noise, the same at every call.
    fn noise(length: usize, mut seed: u32) -> Vec<i16> {
        let mut low = 0.0;
        let sample = |_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            low = 0.9 * low + f32::from((seed >> 16) as i16) * 0.1;
            low as i16
        };
        (0..length).map(sample).collect()
    }

    /// What comes of a sound that is played and heard so many samples later, beside another one.
    fn found(played: &[i16], delay: i64, beside: &[i16]) -> Option<i64> {
        let mut compared = Delay::default();
        let at = |place: i64| {
            let sample = usize::try_from(place)
                .ok()
                .and_then(|place| played.get(place));
            sample.copied().unwrap_or(0)
        };
        let heard: Vec<i16> = (0_i64..)
            .zip(beside)
            .map(|(place, other)| at(place - delay) / 4 + other)
            .collect();
        // Pieces as no device gives them.
        for (heard, played) in heard.chunks(479).zip(played.chunks(479)) {
            compared.compare(heard, played);
        }
        compared.samples()
    }

    #[test]
    fn an_echo_is_found_wherever_it_is() {
        let played = noise(3 * 48_000, 1);
        let silence = vec![0; played.len()];
        for delay in [-7200, 0, 4801, 9600, 24_000] {
            let found = found(&played, delay, &silence).expect("a delay");
            assert!((found - delay).abs() <= 48, "{found} instead of {delay}");
        }
    }

    #[test]
    fn an_echo_is_found_while_somebody_speaks() {
        let played = noise(4 * 48_000, 2);
        let beside: Vec<i16> = noise(played.len(), 3)
            .iter()
            .map(|sample| sample / 2)
            .collect();
        let found = found(&played, 9600, &beside).expect("a delay");
        assert!((found - 9600).abs() <= 48, "{found}");
    }

    #[test]
    fn no_echo_is_found_where_there_is_none() {
        let played = noise(10 * 48_000, 4);
        assert_eq!(found(&played, 1 << 30, &noise(played.len(), 5)), None);
        let silence = vec![0; played.len()];
        assert_eq!(found(&played, 1 << 30, &silence), None);
        assert_eq!(found(&silence, 0, &played), None);
    }

    #[test]
    fn a_steady_tone_says_nothing() {
        let tone = |place: i32| ((place as f32 * 0.0576).sin() * 8000.0) as i16;
        let played: Vec<i16> = (0..4 * 48_000).map(tone).collect();
        assert_eq!(found(&played, 5000, &vec![0; played.len()]), None);
    }

    #[test]
    fn a_delay_that_changes_is_found_anew() {
        let mut compared = Delay::default();
        let played = noise(8 * 48_000, 6);
        for (delay, seconds) in [(4800, 0..4), (12_000, 4..8)] {
            for place in (seconds.start * 48_000..seconds.end * 48_000).step_by(480) {
                let Some(heard) = (place as usize).checked_sub(delay) else {
                    continue;
                };
                compared.compare(
                    &played[heard..heard + 480],
                    &played[place as usize..][..480],
                );
            }
            let found = compared.samples().expect("a delay");
            assert!((found - delay as i64).abs() <= 48, "{found}");
        }
    }
}
