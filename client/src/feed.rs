//! The way of raw frames from the sources of a kind to its encoders.

use std::sync::atomic::{AtomicU64, Ordering};

use gst_app::AppSrc;

/// The way from the sources of a kind to its encoders. The frames of one source pass, in the order of
/// their time; those of the others do not.
#[derive(Debug)]
pub struct Feed {
    inputs: Vec<AppSrc>,
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
}

/// For how long the sound of a picture may pause before silence takes its place.
const FOLLOWING_PAUSE: u64 = 300_000_000;

impl Feed {
    /// A way into these encoders. Nothing passes until a source is wanted.
    pub(crate) fn new(inputs: Vec<AppSrc>) -> Self {
        Self {
            inputs,
            current: AtomicU64::new(0),
            wanted: AtomicU64::new(0),
            following: AtomicU64::new(0),
            followed: AtomicU64::new(0),
            last: AtomicU64::new(0),
        }
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
        self.current.store(0, Ordering::Relaxed);
    }

    /// The number of the source whose frames pass; 0 before the first.
    pub fn current(&self) -> u64 {
        self.current.load(Ordering::Relaxed)
    }

    /// The time of the last frame that passed, in nanoseconds of running time.
    pub(crate) fn last(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }

    /// Passes a frame of a source on, and says whether the source has taken over with it. Called on
    /// the source's own thread.
    pub(crate) fn pass(&self, number: u64, frame: &gst::Buffer) -> bool {
        let mut is_first = false;
        if self.wanted.load(Ordering::Relaxed) == number {
            is_first = self.current.swap(number, Ordering::Relaxed) != number;
        } else if self.current() != number {
            return false;
        }
        let time = frame.pts().map_or(0, gst::ClockTime::nseconds);
        if self.following.load(Ordering::Relaxed) == number && self.is_followed(time) {
            return is_first;
        }
        self.push(time, frame);
        is_first
    }

    /// Passes sound that belongs to a picture on, where it is wanted.
    pub(crate) fn pass_sound_of_picture(&self, frame: &gst::Buffer) {
        let number = self.following.load(Ordering::Relaxed);
        if number != 0 && self.current() == number {
            let time = frame.pts().map_or(0, gst::ClockTime::nseconds);
            self.followed.store(time, Ordering::Relaxed);
            self.push(time, frame);
        }
    }

    fn is_followed(&self, time: u64) -> bool {
        let followed = self.followed.load(Ordering::Relaxed);
        followed > 0 && time < followed + FOLLOWING_PAUSE
    }

    fn push(&self, time: u64, frame: &gst::Buffer) {
        // Encoders take no step back in time, and two sources are not quite in step.
        if self.last.fetch_max(time, Ordering::Relaxed) >= time && time > 0 {
            return;
        }
        for input in &self.inputs {
            // One whose encoder is not running does not take it.
            let _ = input.push_buffer(frame.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
