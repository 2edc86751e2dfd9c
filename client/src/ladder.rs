//! The ladder: the few qualities in which a picture is to be encoded, each once, for however many who
//! watch. Pure. No encoder follows it yet.
//!
//! Every rung has a bit rate that it is encoded at, at the most, and a share of that below which its
//! picture is not worth having: whoever has less is better off one rung further down.

use std::str::FromStr;

use crate::encoding::{MAX_BITRATE_KBPS, MIN_BITRATE_KBPS};
use crate::media::VideoFormat;

/// One quality in which a picture is encoded; its bit rate is the most it is encoded at.
pub type Rung = VideoFormat;

/// So many rungs a ladder has at the most. Each that is watched is an encoder.
pub const MAX_RUNGS: usize = 4;

/// Fewer lines are no picture any more.
const LEAST_HEIGHT: u32 = 120;

/// With so many frames a second a screen can still be followed.
const LEAST_SCREEN_FRAMERATE: u32 = 5;

/// What the next rung of moving pictures takes of the bit rate of one, in a hundred: it has a quarter of
/// the pixels.
const SMALLER_PERCENT: u32 = 32;

/// What the next rung of a screen takes, in a hundred: it has a third of the frames. Most of the bits of
/// a screen are for what changes, however often it is shown.
const SLOWER_PERCENT: u32 = 40;

/// The rungs. They go by their numbers: 0 is the best.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladder {
    best: Rung,
    lower: Vec<Rung>,
}

impl Ladder {
    /// A ladder of one rung.
    pub fn single(best: Rung) -> Self {
        Self {
            best,
            lower: Vec::new(),
        }
    }

    /// Below `best`, two rungs of half the width and height each. Of a screen, where letters are to be
    /// read, the frame rate falls before the size does.
    pub fn below(best: Rung, is_screen: bool) -> Self {
        let (first, second) = match is_screen {
            true => (slower(best), slower(best).and_then(smaller)),
            false => (smaller(best), smaller(best).and_then(smaller)),
        };
        let lower = [first, second].into_iter().flatten().collect();
        Self { best, lower }
    }

    /// Below `best`, these rungs, the better before the worse.
    ///
    /// # Errors
    /// Says which rung is none, or not below the one before.
    pub fn of(best: Rung, lower: Vec<Rung>) -> Result<Self, String> {
        if lower.len() >= MAX_RUNGS {
            let most = MAX_RUNGS - 1;
            return Err(format!(
                "a ladder has {most} rungs below the best at the most"
            ));
        }
        let mut above = best;
        for rung in &lower {
            let is_below = rung.bitrate_kbps < above.bitrate_kbps
                && rung.width <= above.width
                && rung.height <= above.height
                && rung.framerate <= above.framerate;
            if !is_below {
                return Err(format!(
                    "{} is not below {}: a rung has a lower bit rate than the one before, and neither \
                     more pixels nor more frames",
                    text(rung),
                    text(&above)
                ));
            }
            above = *rung;
        }
        Ok(Self { best, lower })
    }

    /// The rungs, the best first.
    pub fn rungs(&self) -> Vec<Rung> {
        let mut rungs = vec![self.best];
        rungs.extend(&self.lower);
        rungs
    }

    /// The rung with this number, or the lowest.
    pub fn rung(&self, number: usize) -> Rung {
        let Some(below) = number.checked_sub(1) else {
            return self.best;
        };
        let rung = self.lower.get(below).or(self.lower.last());
        rung.copied().unwrap_or(self.best)
    }

    /// The number of the lowest rung.
    pub fn lowest(&self) -> usize {
        self.lower.len()
    }

    /// So many percent of a rung's bit rate, in kilobits a second.
    pub fn share(&self, number: usize, percent: u32) -> u32 {
        self::percent(self.rung(number).bitrate_kbps, percent)
    }
}

/// A rung as it is written: `640x360@30:800`.
pub fn text(rung: &Rung) -> String {
    let Rung {
        width,
        height,
        framerate,
        bitrate_kbps,
    } = rung;
    format!("{width}x{height}@{framerate}:{bitrate_kbps}")
}

/// Reads a rung as [`text`] writes it.
///
/// # Errors
/// Says how one is written.
pub fn parse(written: &str) -> Result<Rung, String> {
    let wanted = || {
        "a rung is WIDTHxHEIGHT@FRAMES:KBPS with even sizes, for example 640x360@30:800".to_owned()
    };
    let (size, rest) = written.split_once('@').ok_or_else(wanted)?;
    let (width, height) = size.split_once('x').ok_or_else(wanted)?;
    let (framerate, kbps) = rest.split_once(':').ok_or_else(wanted)?;
    let number = |text: &str| u32::from_str(text).map_err(|_| wanted());
    let rung = Rung {
        width: number(width)?,
        height: number(height)?,
        framerate: number(framerate)?,
        bitrate_kbps: number(kbps)?,
    };
    let is_even = rung.width.is_multiple_of(2) && rung.height.is_multiple_of(2);
    let is_bounded = (16..=7680).contains(&rung.width)
        && (16..=4320).contains(&rung.height)
        && (1..=120).contains(&rung.framerate)
        && (MIN_BITRATE_KBPS..=MAX_BITRATE_KBPS).contains(&rung.bitrate_kbps);
    (is_even && is_bounded).then_some(rung).ok_or_else(wanted)
}

/// Half the width and the height, or `None` where that is no picture.
fn smaller(rung: Rung) -> Option<Rung> {
    let even = |size: u32| size / 4 * 2;
    let smaller = Rung {
        width: even(rung.width),
        height: even(rung.height),
        bitrate_kbps: percent(rung.bitrate_kbps, SMALLER_PERCENT),
        ..rung
    };
    is_worth_it(smaller).then_some(smaller)
}

/// A third of the frames, or `None` where that is too slow.
fn slower(rung: Rung) -> Option<Rung> {
    let slower = Rung {
        framerate: rung.framerate / 3,
        bitrate_kbps: percent(rung.bitrate_kbps, SLOWER_PERCENT),
        ..rung
    };
    (slower.framerate >= LEAST_SCREEN_FRAMERATE && is_worth_it(slower)).then_some(slower)
}

fn is_worth_it(rung: Rung) -> bool {
    rung.height >= LEAST_HEIGHT && rung.bitrate_kbps >= MIN_BITRATE_KBPS
}

fn percent(kbps: u32, percent: u32) -> u32 {
    let share = u64::from(kbps) * u64::from(percent) / 100;
    u32::try_from(share).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(ladder: &Ladder) -> Vec<String> {
        ladder.rungs().iter().map(text).collect()
    }

    #[test]
    fn moving_pictures_become_smaller_and_screens_slower_first() {
        let best = Rung::default();
        assert_eq!(
            written(&Ladder::below(best, false)),
            ["1280x720@30:2500", "640x360@30:800", "320x180@30:256"]
        );
        assert_eq!(
            written(&Ladder::below(best, true)),
            ["1280x720@30:2500", "1280x720@10:1000", "640x360@10:320"]
        );
    }

    #[test]
    fn what_is_small_or_slow_already_has_fewer_rungs() {
        let small = parse("320x240@30:500").expect("it is one");
        assert_eq!(
            written(&Ladder::below(small, false)),
            ["320x240@30:500", "160x120@30:160"]
        );
        let slow = parse("1280x720@5:500").expect("it is one");
        assert_eq!(written(&Ladder::below(slow, true)), ["1280x720@5:500"]);
    }

    #[test]
    fn a_rung_is_written_as_it_is_read() {
        for rung in ["640x360@30:800", "16x16@1:50", "7680x4320@120:50000"] {
            assert_eq!(parse(rung).as_ref().map(text), Ok(rung.to_owned()));
        }
        for none in [
            "",
            "640x360",
            "640x360@30",
            "640x360:800",
            "641x360@30:800",
            "640x361@30:800",
            "0x0@30:800",
            "640x360@0:800",
            "640x360@30:1",
            "640x360@30:800 ",
            "-2x2@30:800",
        ] {
            let refused = parse(none).expect_err(none);
            assert!(refused.contains("for example 640x360@30:800"), "{refused}");
        }
    }

    #[test]
    fn a_ladder_leads_downwards_and_has_an_end() {
        let rungs = |written: &[&str]| {
            let rungs = written.iter().map(|rung| parse(rung).expect("it is one"));
            Ladder::of(Rung::default(), rungs.collect())
        };
        let ladder = rungs(&["1280x720@10:900", "640x360@10:300"]).expect("it leads down");
        assert_eq!((ladder.lowest(), ladder.rung(9)), (2, ladder.rung(2)));
        assert_eq!(ladder.rung(0), Rung::default());
        assert_eq!(ladder.share(1, 40), 360);
        for (lower, said) in [
            (
                &["640x360@30:2500"][..],
                "640x360@30:2500 is not below 1280x720@30:2500",
            ),
            (&["640x360@60:800"], "640x360@60:800 is not below"),
            (
                &["640x360@30:800", "1280x720@30:400"],
                "1280x720@30:400 is not below 640x360@30:800",
            ),
            (&["640x360@30:800"; 4], "3 rungs below the best at the most"),
        ] {
            let refused = rungs(lower).expect_err("it does not lead down");
            assert!(refused.contains(said), "{refused}");
        }
    }
}
