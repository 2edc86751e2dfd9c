//! The bit rate of the picture that is sent: what was asked for, unless the peer wants less or the
//! network carries less. Pure.

use crate::encoding::MIN_BITRATE_KBPS;

/// Of what the network carries, in a hundred, so much is filled: packets have headers, some are sent
/// again, and key frames are larger than others.
const FILLED_PERCENT: u32 = 90;

/// So many packets of a hundred may be lost for other reasons than that there are too many
/// ([draft-ietf-rmcat-gcc-02, section 6](https://datatracker.ietf.org/doc/html/draft-ietf-rmcat-gcc-02#section-6)).
const LOSS_BY_CHANCE: f64 = 10.0;

/// With fewer lost than so many of a hundred there is room for more.
const LOSS_WITH_ROOM: f64 = 2.0;

/// By how much more is tried every second then.
const GROWTH: f64 = 1.08;

/// The bit rate of the picture that is sent. All rates are in kilobits a second.
#[derive(Clone, Debug)]
pub struct PictureRate {
    asked: u32,
    sound: u32,
    cap: Option<u32>,
    /// What the network carries besides sound, as far as anything speaks for less than was asked for.
    room: Option<u32>,
    /// What the network carries of everything, where the peer's feedback tells; then losses do not count.
    estimate: Option<u32>,
}

impl PictureRate {
    /// For pictures of which `asked` was asked for, beside sound of another rate.
    pub fn new(asked: u32, sound: u32) -> Self {
        Self {
            asked,
            sound,
            cap: None,
            room: None,
            estimate: None,
        }
    }

    /// The rate at which pictures are to be encoded.
    pub fn kbps(&self) -> u32 {
        let limits = [self.cap, self.room];
        let least = limits.into_iter().flatten().fold(self.asked, u32::min);
        // What was asked for may be less than anybody would ask for.
        least.max(MIN_BITRATE_KBPS.min(self.asked))
    }

    /// What the network has to carry, of everything, for the picture to have what was asked for.
    pub fn demand(&self) -> u32 {
        self.demand_of(self.asked)
    }

    /// The same for a picture of another rate.
    pub fn demand_of(&self, kbps: u32) -> u32 {
        let all = u64::from(kbps) + u64::from(self.sound);
        u32::try_from(all * 100 / u64::from(FILLED_PERCENT) + 1).unwrap_or(u32::MAX)
    }

    /// Whether the network is what keeps it below what was asked for.
    pub fn is_held_back(&self) -> bool {
        self.room.is_some_and(|room| room < self.asked)
    }

    /// What the network carries of everything, as estimated; `None` where nothing tells.
    pub fn carried(&self) -> Option<u32> {
        self.estimate
    }

    /// What the peer wants at most; `None` for no bound.
    pub fn cap(&mut self, kbps: Option<u32>) {
        self.cap = kbps;
    }

    /// What the network carries of everything, by the peer's transport-wide feedback.
    pub fn carries(&mut self, kbps: u32) {
        let filled = u64::from(kbps) * u64::from(FILLED_PERCENT) / 100;
        let filled = u32::try_from(filled).unwrap_or(u32::MAX);
        self.room = Some(filled.saturating_sub(self.sound));
        self.estimate = Some(kbps);
    }

    /// Of a hundred packets of a picture with `sent` at the most, so many were lost in the last second:
    /// all that is known of a network to a peer that gives receiver reports alone (RFC 3550, section
    /// 6.4.1).
    pub fn lost(&mut self, percent: f64, sent: u32) {
        if self.estimate.is_some() {
            return;
        }
        let rate = self.kbps();
        let rate = if percent > LOSS_BY_CHANCE {
            f64::from(rate.min(sent)) * (1.0 - percent.min(100.0) / 200.0)
        } else if percent < LOSS_WITH_ROOM {
            f64::from(rate) * GROWTH + 1.0
        } else {
            return;
        };
        let room = rate as u32;
        self.room = (room < self.asked).then_some(room.max(MIN_BITRATE_KBPS));
    }

    /// Another connection begins: nothing is known of its network.
    pub fn begin(&mut self) {
        self.room = None;
        self.estimate = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_what_is_asked_wanted_and_carried_holds() {
        let mut rate = PictureRate::new(2500, 64);
        assert_eq!((rate.kbps(), rate.is_held_back()), (2500, false));
        rate.carries(10_000);
        assert_eq!((rate.kbps(), rate.is_held_back()), (2500, false));
        rate.carries(1000);
        assert_eq!((rate.kbps(), rate.is_held_back()), (836, true));
        rate.cap(Some(500));
        assert_eq!(rate.kbps(), 500);
        rate.carries(400);
        assert_eq!(rate.kbps(), 296);
        rate.cap(None);
        rate.begin();
        assert_eq!(rate.kbps(), 2500);
    }

    #[test]
    fn what_is_demanded_is_enough() {
        for asked in [50, 500, 2500, 2501, 2509, 50_000] {
            let mut rate = PictureRate::new(asked, 64);
            rate.carries(rate.demand());
            assert_eq!((rate.kbps(), rate.is_held_back()), (asked, false));
        }
    }

    #[test]
    fn there_is_always_some_picture_and_never_more_than_was_asked_for() {
        let mut rate = PictureRate::new(2500, 64);
        rate.carries(0);
        assert_eq!(rate.kbps(), MIN_BITRATE_KBPS);
        rate.carries(u32::MAX);
        assert_eq!(rate.kbps(), 2500);
        let mut little = PictureRate::new(20, 64);
        little.carries(10);
        assert_eq!(little.kbps(), 20);
    }

    #[test]
    fn without_an_estimate_losses_tell() {
        let mut rate = PictureRate::new(2000, 64);
        rate.lost(5.0, u32::MAX);
        assert_eq!((rate.kbps(), rate.is_held_back()), (2000, false));
        rate.lost(50.0, u32::MAX);
        assert_eq!((rate.kbps(), rate.is_held_back()), (1500, true));
        rate.lost(5.0, u32::MAX);
        assert_eq!(rate.kbps(), 1500);
        rate.lost(0.0, u32::MAX);
        assert_eq!(rate.kbps(), 1621);
        for _ in 0..3 {
            rate.lost(0.0, u32::MAX);
        }
        assert_eq!((rate.kbps(), rate.is_held_back()), (2000, false));
        for _ in 0..100 {
            rate.lost(100.0, u32::MAX);
        }
        assert_eq!(rate.kbps(), MIN_BITRATE_KBPS);
        let mut rate = PictureRate::new(2000, 64);
        rate.lost(20.0, 500);
        assert_eq!(
            rate.kbps(),
            450,
            "a part of what was sent, not of what was asked for"
        );
        rate.carries(1000);
        rate.lost(100.0, u32::MAX);
        assert_eq!(rate.kbps(), 836, "the estimate knows better");
    }
}
