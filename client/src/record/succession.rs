//! Which frames count where one connection takes the place of another: for a while both may bring the
//! same track.

use super::tape::{Piece, Place};
use crate::media::Kind;
use crate::report::Direction;

/// How far two pictures are apart at least where their times say otherwise.
const SMALLEST_STEP: gst::ClockTime = gst::ClockTime::from_mseconds(1);

/// The ways that tracks have come by, each by its number: a later one has a higher number.
#[derive(Debug, Default)]
pub(super) struct Succession {
    tracks: Vec<(Direction, Place, Standing)>,
}

#[derive(Clone, Copy, Debug)]
struct Standing {
    /// The way that counts.
    way: usize,
    /// A later one that was asked for the key frame it has to begin with.
    asked: usize,
    last: gst::ClockTime,
}

/// What to do with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the next one.
    Take,
    /// It has come by another way already, or cannot be shown.
    Leave,
    /// The same, and its way is to be asked for a key frame.
    Ask,
}

impl Succession {
    /// Judges a frame. A later way takes over with a frame that needs no others; from then on nothing
    /// that still comes by an earlier one counts. No frame that counts comes before another.
    pub(super) fn judge(&mut self, direction: Direction, piece: &mut Piece) -> Verdict {
        let known = self
            .tracks
            .iter_mut()
            .find(|(its, place, _)| *its == direction && *place == piece.place);
        let Some((_, _, standing)) = known else {
            let standing = Standing {
                way: piece.way,
                asked: piece.way,
                last: piece.at,
            };
            self.tracks.push((direction, piece.place, standing));
            return Verdict::Take;
        };
        if piece.way < standing.way {
            return Verdict::Leave;
        }
        if piece.way > standing.way && !piece.is_key {
            if piece.way <= standing.asked {
                return Verdict::Leave;
            }
            standing.asked = piece.way;
            return Verdict::Ask;
        }
        if piece.at <= standing.last {
            match piece.place {
                // What is told by now was heard by the earlier way.
                (Kind::Audio, _) if piece.way > standing.way => return Verdict::Leave,
                (Kind::Audio, _) => {}
                (Kind::Video, _) => piece.at = standing.last + SMALLEST_STEP,
            }
        }
        standing.way = piece.way;
        standing.last = standing.last.max(piece.at);
        Verdict::Take
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: Place = (Kind::Video, 0);
    const SOUND: Place = (Kind::Audio, 0);

    /// What becomes of frames: of each its track, its way, when it is in milliseconds, and whether it
    /// is a key frame; of those that count, when they are in the file.
    fn judged(frames: &[(Place, usize, u64, bool)]) -> Vec<Result<u64, Verdict>> {
        let mut succession = Succession::default();
        frames
            .iter()
            .map(|&(place, way, at, is_key)| {
                let at = gst::ClockTime::from_mseconds(at);
                let (form, data) = (None, Vec::new());
                let mut piece = Piece {
                    place,
                    way,
                    at,
                    is_key,
                    form,
                    data,
                };
                match succession.judge(Direction::Received, &mut piece) {
                    Verdict::Take => Ok(piece.at.mseconds()),
                    verdict @ (Verdict::Leave | Verdict::Ask) => Err(verdict),
                }
            })
            .collect()
    }

    #[test]
    fn a_later_way_takes_over_with_a_key_frame_that_it_is_asked_for_once() {
        let frames = [
            (PICTURE, 0, 0, true),
            (PICTURE, 0, 33, false),
            (PICTURE, 2, 60, false),
            (PICTURE, 0, 66, false),
            (PICTURE, 2, 93, false),
            (PICTURE, 2, 100, true),
            (PICTURE, 0, 133, true),
            (PICTURE, 2, 133, false),
        ];
        let (ask, leave) = (Err(Verdict::Ask), Err(Verdict::Leave));
        let expected = [Ok(0), Ok(33), ask, Ok(66), leave, Ok(100), leave, Ok(133)];
        assert_eq!(judged(&frames), expected);
    }

    #[test]
    fn nothing_goes_back_in_time() {
        let frames = [
            (PICTURE, 0, 100, true),
            (SOUND, 1, 100, true),
            (PICTURE, 2, 70, true),
            (PICTURE, 2, 103, false),
            (SOUND, 3, 90, true),
            (SOUND, 1, 120, true),
            (SOUND, 3, 130, true),
            (SOUND, 1, 140, true),
        ];
        let leave = Err(Verdict::Leave);
        let expected = [
            Ok(100),
            Ok(100),
            Ok(101),
            Ok(103),
            leave,
            Ok(120),
            Ok(130),
            leave,
        ];
        assert_eq!(judged(&frames), expected);
    }
}
