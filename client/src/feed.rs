//! The way of frames from the sources of a kind to its encoders, or past them.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::intake::Intake;
use crate::media::Codec;

/// The way from the sources of a kind to its encoders. The frames of one source pass, in the order of
/// their time; those of the others do not. A source that has its frames encoded already gives them
/// beside the raw ones: they are handed on past the encoder of their codec, which gets nothing then.
#[derive(Debug)]
pub struct Feed {
    intakes: Vec<Intake>,
    /// The number of the source whose frames pass.
    current: AtomicU64,
    /// The number of the source that takes over with its first frame.
    wanted: AtomicU64,
    /// The number of the source in whose place the sound of a picture passes; 0 for none.
    following: AtomicU64,
    /// The time of the last sound of a picture, in nanoseconds of running time.
    followed: AtomicU64,
    /// The time of the last frame that passed, in nanoseconds of running time.
    last: AtomicU64,
    /// The same of frames that were encoded already.
    last_encoded: AtomicU64,
    /// The most that encoded frames may have, in kilobits a second.
    cap_kbps: AtomicU32,
    /// In a rehearsal encoders are tried, and nothing goes past them.
    is_rehearsal: AtomicBool,
}

/// What a source may hand on as it is.
#[derive(Debug)]
pub(crate) struct Passage {
    codec: Codec,
    /// How much it has, in kilobits a second; what is not known to fit has more than anything.
    kbps: AtomicU32,
    /// The time until which it is encoded, in nanoseconds of running time, since it was more than may be
    /// sent.
    held: AtomicU64,
}

/// For how long the sound of a picture may pause before silence takes its place.
const FOLLOWING_PAUSE: u64 = 300_000_000;

/// More than anything.
const UNKNOWN_KBPS: u32 = u32::MAX;

/// For how long more may be sent than a source has, before its frames are handed on as they are again: a
/// network that is full comes and goes.
const STEADY: u64 = 3_000_000_000;

impl Passage {
    /// Frames of this codec, with so many kilobits a second; `None` while that is not known.
    pub(crate) fn new(codec: Codec, kbps: Option<u32>) -> Self {
        Self {
            codec,
            kbps: AtomicU32::new(kbps.unwrap_or(UNKNOWN_KBPS)),
            held: AtomicU64::new(0),
        }
    }

    /// Notes how much it has now; with `None` it does not fit any more.
    pub(crate) fn set_kbps(&self, kbps: Option<u32>) {
        let kbps = kbps.unwrap_or(UNKNOWN_KBPS);
        self.kbps.store(kbps, Ordering::Relaxed);
    }
}

impl Feed {
    /// A way into these encoders. Nothing passes until a source is wanted.
    pub(crate) fn new(intakes: Vec<Intake>) -> Self {
        Self {
            intakes,
            current: AtomicU64::new(0),
            wanted: AtomicU64::new(0),
            following: AtomicU64::new(0),
            followed: AtomicU64::new(0),
            last: AtomicU64::new(0),
            last_encoded: AtomicU64::new(0),
            cap_kbps: AtomicU32::new(UNKNOWN_KBPS - 1),
            is_rehearsal: AtomicBool::new(false),
        }
    }

    /// From now on frames with more than this are not handed on as they are.
    pub(crate) fn set_cap(&self, kbps: u32) {
        self.cap_kbps.store(kbps, Ordering::Relaxed);
    }

    /// Whether what comes now is to try the encoders.
    pub(crate) fn rehearse(&self, is_rehearsal: bool) {
        self.is_rehearsal.store(is_rehearsal, Ordering::Relaxed);
    }

    /// Lets the source with this number take over with its first frame; until then the one before it
    /// goes on. Numbers of sources begin at 1; with 0 nothing takes over. `follows` is whether the
    /// sound of a picture passes in its place.
    pub(crate) fn want(&self, number: u64, follows: bool) {
        let following = if follows { number } else { 0 };
        self.following.store(following, Ordering::Relaxed);
        self.wanted.store(number, Ordering::Relaxed);
    }

    /// The source with this number is being stopped: should it be the one that was to take over, or
    /// just has, the one that is seen has its place again.
    pub(crate) fn leave(&self, number: u64, seen: u64, follows: bool) {
        if self.wanted.load(Ordering::Relaxed) == number {
            self.want(seen, follows);
        }
    }

    /// Nothing passes any more.
    pub(crate) fn close(&self) {
        self.want(0, false);
        let current = self.current.swap(0, Ordering::Relaxed);
        self.intakes
            .iter()
            .for_each(|intake| intake.take_from(current));
    }

    /// The number of the source whose frames pass; 0 before the first.
    pub fn current(&self) -> u64 {
        self.current.load(Ordering::Relaxed)
    }

    /// The time of the last frame that passed, in nanoseconds of running time.
    pub(crate) fn last(&self) -> u64 {
        let last = |time: &AtomicU64| time.load(Ordering::Relaxed);
        last(&self.last).max(last(&self.last_encoded))
    }

    /// Passes a raw frame of a source on, and says whether the source has taken over with it. Called on
    /// the source's own thread.
    pub(crate) fn pass(&self, number: u64, frame: &gst::Buffer) -> bool {
        let Some(before) = self.take_over(number) else {
            return false;
        };
        let is_first = before != number;
        if is_first {
            self.intakes
                .iter()
                .for_each(|intake| intake.take_from(before));
        }
        let time = frame.pts().map_or(0, gst::ClockTime::nseconds);
        if self.following.load(Ordering::Relaxed) == number && self.is_followed(time) {
            return is_first;
        }
        self.push(time, frame, None);
        is_first
    }

    /// Passes a raw frame on of a source that gives encoded ones as well: to the encoders of other
    /// codecs, and to that of its own while it may not be handed on as it is. Says whether the source
    /// has taken over with it.
    pub(crate) fn pass_decoded(&self, number: u64, passage: &Passage, frame: &gst::Buffer) -> bool {
        if !self.lets(passage) {
            if let Some(intake) = self.intake(passage).filter(|_| self.current() == number) {
                intake.take_from(number);
            }
            return self.pass(number, frame);
        }
        // It takes over with an encoded one.
        if self.current() == number {
            let time = frame.pts().map_or(0, gst::ClockTime::nseconds);
            self.push(time, frame, Some(number));
        }
        false
    }

    /// Hands an encoded frame of a source on, and says whether the source has taken over with it. It
    /// begins with a key frame; where the encoder is to take over, it ends when that has a frame.
    pub(crate) fn pass_encoded(
        &self,
        number: u64,
        passage: &Passage,
        frame: &gst::Buffer,
        caps: &gst::Caps,
    ) -> bool {
        let Some(intake) = self.intake(passage) else {
            return false;
        };
        let is_key = !frame.flags().contains(gst::BufferFlags::DELTA_UNIT);
        let time = frame.pts().map_or(0, gst::ClockTime::nseconds);
        if self.exceeds(passage) {
            passage.held.store(time + STEADY, Ordering::Relaxed);
        }
        let is_held = time < passage.held.load(Ordering::Relaxed) && !intake.passes(number);
        let begins = is_key && self.lets(passage) && !is_held;
        let goes_on = intake.passes(number) && self.current() == number;
        if !begins && !goes_on {
            return false;
        }
        let Some(before) = self.take_over(number) else {
            return false;
        };
        if before != number {
            self.intakes
                .iter()
                .for_each(|intake| intake.take_from(before));
        }
        if begins {
            intake.audience.giver.store(number, Ordering::Relaxed);
        }
        self.last_encoded.fetch_max(time, Ordering::Relaxed);
        intake.pass(frame, caps);
        before != number
    }

    /// Whether a source that gives encoded frames has to give raw ones as well: for who watches in
    /// another codec, or could come and do so, and while its own do not pass.
    pub(crate) fn wants_decoded(&self, number: u64, passage: &Passage) -> bool {
        let watched = |intake: &&Intake| intake.is_watched();
        let is_other = |intake: &Intake| intake.codec != passage.codec;
        let own = self.intake(passage);
        let passes = self.lets(passage) && own.is_some_and(|own| own.passes(number));
        !passes
            || self.intakes.iter().filter(watched).any(is_other)
            || !own.is_some_and(Intake::is_watched)
    }

    /// Whether the source with this number passes; the number of the one that did until now.
    fn take_over(&self, number: u64) -> Option<u64> {
        if self.wanted.load(Ordering::Relaxed) == number {
            return Some(self.current.swap(number, Ordering::Relaxed));
        }
        (self.current() == number).then_some(number)
    }

    fn lets(&self, passage: &Passage) -> bool {
        passage.kbps.load(Ordering::Relaxed) <= self.cap_kbps.load(Ordering::Relaxed)
            && !self.is_rehearsal.load(Ordering::Relaxed)
    }

    /// Whether it is known to be more than may be sent now.
    fn exceeds(&self, passage: &Passage) -> bool {
        let kbps = passage.kbps.load(Ordering::Relaxed);
        kbps != UNKNOWN_KBPS && kbps > self.cap_kbps.load(Ordering::Relaxed)
    }

    fn intake(&self, passage: &Passage) -> Option<&Intake> {
        self.intakes
            .iter()
            .find(|intake| intake.codec == passage.codec)
    }

    /// Passes sound that belongs to a picture on, where it is wanted.
    pub(crate) fn pass_sound_of_picture(&self, frame: &gst::Buffer) {
        let number = self.following.load(Ordering::Relaxed);
        if number != 0 && self.current() == number {
            let time = frame.pts().map_or(0, gst::ClockTime::nseconds);
            self.followed.store(time, Ordering::Relaxed);
            self.push(time, frame, None);
        }
    }

    fn is_followed(&self, time: u64) -> bool {
        let followed = self.followed.load(Ordering::Relaxed);
        followed > 0 && time < followed + FOLLOWING_PAUSE
    }

    /// Into every encoder but the one whose frames this source gives itself.
    fn push(&self, time: u64, frame: &gst::Buffer, giver: Option<u64>) {
        // Encoders take no step back in time, and two sources are not quite in step.
        if self.last.fetch_max(time, Ordering::Relaxed) >= time && time > 0 {
            return;
        }
        for intake in &self.intakes {
            if !giver.is_some_and(|giver| intake.passes(giver)) {
                // One whose encoder is not running does not take it.
                let _ = intake.raw.push_buffer(frame.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::VideoCodec;

    fn frame(ms: u64) -> gst::Buffer {
        let mut frame = gst::Buffer::new();
        frame.make_mut().set_pts(gst::ClockTime::from_mseconds(ms));
        frame
    }

    #[test]
    fn a_source_takes_over_with_its_first_frame() {
        gst::init().expect("GStreamer is installed");
        let feed = Feed::new(Vec::new());
        feed.want(1, false);
        assert!(feed.pass(1, &frame(10)) && !feed.pass(1, &frame(20)));
        feed.want(2, false);
        assert!(!feed.pass(1, &frame(30)));
        assert!(feed.pass(2, &frame(40)));
        assert!(!feed.pass(1, &frame(50)) && feed.last() == 40_000_000);
    }

    #[test]
    fn one_that_is_stopped_as_it_takes_over_gives_its_place_back() {
        gst::init().expect("GStreamer is installed");
        let feed = Feed::new(Vec::new());
        feed.want(1, false);
        feed.pass(1, &frame(10));
        feed.want(2, false);
        feed.pass(2, &frame(20));
        feed.leave(2, 1, false);
        feed.pass(1, &frame(30));
        assert_eq!((feed.current(), feed.last()), (1, 30_000_000));
        // One that has been replaced gives nothing back.
        feed.want(3, false);
        feed.pass(3, &frame(40));
        feed.leave(1, 0, false);
        feed.pass(3, &frame(50));
        assert_eq!((feed.current(), feed.last()), (3, 50_000_000));
    }

    /// A way for pictures in VP8 and H.264.
    fn pictures() -> (Feed, Passage) {
        gst::init().expect("GStreamer is installed");
        let media = crate::media::Media::default();
        let intakes = [VideoCodec::Vp8, VideoCodec::H264];
        let intakes = intakes.map(|codec| Intake::new(Codec::Video(codec), &media));
        let passage = Passage::new(Codec::Video(VideoCodec::H264), Some(500));
        (Feed::new(intakes.into()), passage)
    }

    fn delta(ms: u64) -> gst::Buffer {
        let mut delta = frame(ms);
        delta.make_mut().set_flags(gst::BufferFlags::DELTA_UNIT);
        delta
    }

    #[test]
    fn encoded_frames_take_over_at_a_key_frame() {
        let (feed, passage) = pictures();
        let caps = gst::Caps::new_any();
        feed.want(1, false);
        assert!(feed.pass(1, &frame(10)));
        feed.want(2, false);
        assert!(!feed.pass_encoded(2, &passage, &delta(20), &caps));
        assert!(!feed.pass_decoded(2, &passage, &frame(20)));
        assert_eq!(feed.current(), 1, "the one before goes on");
        assert!(feed.pass_encoded(2, &passage, &frame(30), &caps));
        assert!(!feed.pass_encoded(2, &passage, &delta(40), &caps));
        assert!(!feed.pass(1, &frame(50)));
        assert!(feed.intakes[1].passes(2) && !feed.intakes[0].passes(2));
        assert_eq!(feed.last(), 40_000_000);
        // The next source is raw.
        feed.want(3, false);
        assert!(feed.pass(3, &frame(60)));
        assert!(!feed.pass_encoded(2, &passage, &frame(70), &caps));
        assert!(feed.intakes.iter().all(|intake| intake.passes(0)));
    }

    #[test]
    fn a_cap_has_the_encoder_take_over_and_give_back() {
        let (feed, passage) = pictures();
        let caps = gst::Caps::new_any();
        let passes = || feed.intakes[1].passes(1);
        feed.want(1, false);
        feed.pass_encoded(1, &passage, &frame(10), &caps);
        feed.set_cap(499);
        feed.pass_encoded(1, &passage, &frame(20), &caps);
        assert!(passes(), "until the encoder has a frame");
        feed.pass_decoded(1, &passage, &frame(30));
        assert!(!passes());
        feed.pass_encoded(1, &passage, &frame(40), &caps);
        assert!(!passes());
        feed.set_cap(500);
        feed.pass_encoded(1, &passage, &delta(50), &caps);
        assert!(!passes() && feed.wants_decoded(1, &passage));
        feed.pass_encoded(1, &passage, &frame(3000), &caps);
        assert!(!passes(), "it may be less again in a moment");
        feed.pass_encoded(1, &passage, &frame(3100), &caps);
        assert!(passes());
    }

    #[test]
    fn raw_frames_are_wanted_for_other_codecs_and_while_nobody_watches() {
        let (feed, passage) = pictures();
        let caps = gst::Caps::new_any();
        let watch = |at: usize, many| {
            let audience = &feed.intakes[at].audience;
            audience.size.store(many, Ordering::Relaxed);
        };
        assert!(feed.wants_decoded(1, &passage), "nothing passes yet");
        feed.want(1, false);
        feed.pass_encoded(1, &passage, &frame(10), &caps);
        assert!(
            feed.wants_decoded(1, &passage),
            "who comes may want anything"
        );
        watch(1, 1);
        assert!(!feed.wants_decoded(1, &passage));
        watch(0, 1);
        assert!(feed.wants_decoded(1, &passage));
        watch(0, 0);
        feed.rehearse(true);
        assert!(feed.wants_decoded(1, &passage));
    }

    #[test]
    fn silence_gives_way_to_the_sound_of_a_picture() {
        gst::init().expect("GStreamer is installed");
        let feed = Feed::new(Vec::new());
        feed.want(1, true);
        feed.pass(1, &frame(10));
        feed.pass_sound_of_picture(&frame(20));
        feed.pass(1, &frame(30));
        assert_eq!(feed.last(), 20_000_000, "there is sound");
        feed.pass(1, &frame(400));
        assert_eq!(feed.last(), 400_000_000, "there is none any more");
        feed.want(2, false);
        feed.pass(2, &frame(500));
        feed.pass_sound_of_picture(&frame(510));
        assert_eq!(feed.last(), 500_000_000, "it is not wanted");
    }
}
