//! What one viewer gets: which rung of the ladder, and how many bits of it. Pure. No call asks it yet.
//!
//! A rung is encoded once for all who are on it, at what the weakest of them can take. So whoever has too
//! little for its rung leaves it soon, before the others see the difference; and comes back only when the
//! network has been calm for a while, for every climb that fails is a stumble.

use std::time::Duration;

use crate::ladder::Ladder;
use crate::picture_rate::PictureRate;
use crate::probing::Probing;

/// Of a rung's bit rate, in a hundred, so much makes a picture worth having where nobody else is held
/// back by it.
const ALONE: Bounds = Bounds {
    stay: 40,
    climb: 60,
};

/// The same where others watch too.
const SHARED: Bounds = Bounds {
    stay: 60,
    climb: 75,
};

/// For so long a viewer may have less than its rung takes: estimates of a busy machine dip.
const DIP: Duration = Duration::from_millis(300);

/// With so many percent of the least that its rung takes, a viewer leaves it at once.
const DEEP_PERCENT: u32 = 70;

/// So long a viewer has to have enough for the rung above before it climbs: an estimate may be on its way
/// down. Whether the network has been calm for long enough is the business of [`Probing`].
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// However often it fell down again, it climbs again after so long.
const LONGEST_WAIT: Duration = Duration::from_secs(32);

/// A fall within so long after a climb shows that the climb was a mistake.
const TRIAL: Duration = Duration::from_secs(8);

/// In percent of a rung's bit rate: with less than `stay` a viewer leaves it, with `climb` it may come to
/// it. Between them nothing changes.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    stay: u32,
    climb: u32,
}

/// One viewer. Rates are in kilobits a second; times are since a moment of the caller's choice.
#[derive(Clone, Debug)]
pub struct Viewing {
    ladder: Ladder,
    rate: PictureRate,
    probing: Probing,
    /// The best rung it wants.
    wish: usize,
    is_shared: bool,
    rung: usize,
    /// Since when it has had less than its rung takes.
    short_since: Option<Duration>,
    /// Since when it has had enough for the rung above.
    rich_since: Option<Duration>,
    climbed: Option<Duration>,
    wait: Duration,
}

impl Viewing {
    /// Somebody who begins to watch now, on the best rung, beside sound of `sound_kbps`.
    pub fn new(ladder: &Ladder, sound_kbps: u32, now: Duration) -> Self {
        let rate = PictureRate::new(ladder.rung(0).bitrate_kbps, sound_kbps);
        Self {
            ladder: ladder.clone(),
            probing: Probing::new(rate.demand(), now),
            rate,
            wish: 0,
            is_shared: false,
            rung: 0,
            short_since: None,
            rich_since: None,
            climbed: None,
            wait: FIRST_WAIT,
        }
    }

    /// Another connection to the same viewer begins: nothing is known of its network. What the viewer
    /// wants holds on.
    pub fn begin(&mut self, now: Duration) {
        self.rate.begin();
        self.probing = Probing::new(self.rate.demand(), now);
        (self.short_since, self.rich_since, self.climbed) = (None, None, None);
        (self.wait, self.rung) = (FIRST_WAIT, self.wish);
    }

    /// What the network carries of everything, by the viewer's transport-wide feedback.
    pub fn estimated(&mut self, kbps: u32, now: Duration) {
        self.rate.carries(kbps);
        self.probing.carries(kbps, now);
    }

    /// Of a hundred packets, so many were lost in the last second; of no account where there are
    /// estimates.
    pub fn lost(&mut self, percent: f64) {
        let most = self.ladder.rung(self.rung).bitrate_kbps;
        self.rate.lost(percent, most);
    }

    /// What the viewer wants at most; `None` for no bound.
    pub fn cap(&mut self, kbps: Option<u32>) {
        self.rate.cap(kbps);
    }

    /// The best rung that the viewer wants; `None` for the best there is.
    pub fn wish(&mut self, rung: Option<usize>) {
        self.wish = rung.unwrap_or(0).min(self.ladder.lowest());
        // What it wishes it gets at once, as far as its network allows.
        self.rich_since = None;
        if self.wish > self.rung || self.has_enough_for(self.wish, self.bounds().climb) {
            self.move_to(self.wish);
        }
    }

    /// Whether others watch too, who would be held back.
    pub fn share(&mut self, is_shared: bool) {
        self.is_shared = is_shared;
    }

    /// The rung it is to be on now. To be asked whenever something has changed, and several times a
    /// second.
    pub fn rung(&mut self, now: Duration) -> usize {
        let Bounds { stay, climb } = self.bounds();
        let available = self.rate.kbps();
        let least = self.ladder.share(self.rung, stay);
        if self.rung < self.ladder.lowest() && available < least {
            let since = *self.short_since.get_or_insert(now);
            let is_deep = u64::from(available) * 100 < u64::from(least) * u64::from(DEEP_PERCENT);
            if is_deep || now.saturating_sub(since) >= DIP {
                self.fall(now, stay);
            }
            self.rich_since = None;
            return self.rung;
        }
        self.short_since = None;
        if self.rung > self.wish && self.has_enough_for(self.rung - 1, climb) {
            let since = *self.rich_since.get_or_insert(now);
            if now.saturating_sub(since) >= self.wait {
                self.move_to(self.rung - 1);
                self.climbed = Some(now);
            }
        } else {
            self.rich_since = None;
        }
        if self
            .climbed
            .is_some_and(|at| now.saturating_sub(at) >= TRIAL)
        {
            // It was carried.
            (self.climbed, self.wait) = (None, FIRST_WAIT);
        }
        self.rung
    }

    /// How many kilobits a second its rung may be encoded at for this viewer.
    pub fn kbps(&self) -> u32 {
        let most = self.ladder.rung(self.rung).bitrate_kbps;
        self.rate.kbps().min(most)
    }

    /// What is to be taken for carried from now on, when it is time to try more: enough for the rung
    /// above, or half as much again. Nothing is tried that nobody wants.
    pub fn probe(&mut self, now: Duration) -> Option<u32> {
        if !self.rate.is_held_back() {
            return None;
        }
        let enough = match self.rung.checked_sub(1) {
            Some(above) if above >= self.wish => {
                let kbps = self.ladder.share(above, self.bounds().climb);
                self.rate.demand_of(kbps)
            }
            _ => 0,
        };
        self.probing.next(enough, now)
    }

    /// Whether the network is what keeps the picture below what was asked for.
    pub fn is_held_back(&self) -> bool {
        self.rate.is_held_back()
    }

    /// What the network carries of everything, as estimated; `None` where nothing tells.
    pub fn carried(&self) -> Option<u32> {
        self.rate.carried()
    }

    fn bounds(&self) -> Bounds {
        match self.is_shared {
            true => SHARED,
            false => ALONE,
        }
    }

    fn has_enough_for(&self, rung: usize, percent: u32) -> bool {
        self.rate.kbps() >= self.ladder.share(rung, percent)
    }

    /// Goes down to the first rung that its network carries.
    fn fall(&mut self, now: Duration, stay: u32) {
        let below = self.rung + 1..self.ladder.lowest();
        let fitting = below
            .into_iter()
            .find(|&rung| self.has_enough_for(rung, stay));
        self.move_to(fitting.unwrap_or(self.ladder.lowest()));
        if self
            .climbed
            .take()
            .is_some_and(|at| now.saturating_sub(at) < TRIAL)
        {
            self.wait = (self.wait * 2).min(LONGEST_WAIT);
        }
    }

    fn move_to(&mut self, rung: usize) {
        self.rung = rung;
        (self.short_since, self.rich_since) = (None, None);
    }
}

/// The bit rate of each rung, by the rungs that viewers are on and what they can take: that of the
/// weakest. One that is about to leave a rung holds nobody else back, though; and a rung that nobody
/// watches is ready for somebody who can take all of it.
pub fn rates(ladder: &Ladder, viewers: impl IntoIterator<Item = (usize, u32)>) -> Vec<u32> {
    let rungs = ladder.rungs();
    let mut least: Vec<(u32, usize)> = rungs.iter().map(|rung| (rung.bitrate_kbps, 0)).collect();
    for (rung, kbps) in viewers {
        if let Some((rate, count)) = least.get_mut(rung) {
            *rate = (*rate).min(kbps);
            *count += 1;
        }
    }
    let lowest = ladder.lowest();
    let bounded = least.into_iter().enumerate().map(|(rung, (rate, count))| {
        match count > 1 && rung < lowest {
            true => rate.max(ladder.share(rung, SHARED.stay)),
            false => rate,
        }
    });
    bounded.collect()
}

#[cfg(test)]
mod tests;
