//! The picture of an X display, frame by frame, for an appsrc.
//!
//! GStreamer's own `ximagesrc` asks through Xlib, which ends the whole process when the display goes
//! away or the window that is captured is closed, and takes a window together with whatever lies over
//! it. Here either is a failure like any other, and of a window nothing is seen but the window.

mod memory;
mod picture;

use gst::prelude::*;
use gst_app::{AppSrc, AppSrcCallbacks};

use self::picture::Picture;
use crate::failure::Failure;
use crate::media::Screen;

/// Has `source` give the picture of a screen so many times a second, as BGRx in the size that it has
/// there. The display is opened by the first frame after every start; `failed` hears of what keeps it
/// from going on, on a thread of GStreamer.
pub fn feed(
    source: &AppSrc,
    screen: Screen,
    framerate: u32,
    failed: impl Fn(Failure) + Send + 'static,
) {
    let framerate = framerate.max(1);
    let mut grab = Grab {
        screen,
        framerate,
        interval: gst::ClockTime::SECOND.nseconds() / u64::from(framerate),
        picture: None,
        size: None,
    };
    let need_data = move |source: &AppSrc, _| {
        if let Err(failure) = grab.next(source) {
            grab.picture = None;
            failed(failure);
        }
    };
    source.set_callbacks(AppSrcCallbacks::builder().need_data(need_data).build());
}

struct Grab {
    screen: Screen,
    framerate: u32,
    /// Between two frames, in nanoseconds.
    interval: u64,
    picture: Option<Picture>,
    /// What the frames so far have said of their size.
    size: Option<(u32, u32)>,
}

impl Grab {
    /// Waits until it is time for a frame, and pushes it. Nothing is pushed while the source stops.
    fn next(&mut self, source: &AppSrc) -> Result<(), Failure> {
        let is_started = source
            .static_pad("src")
            .is_some_and(|pad| pad.has_current_caps());
        let picture = match self.picture.take() {
            Some(picture) if is_started => self.picture.insert(picture),
            Some(_) | None => {
                self.size = None;
                self.picture.insert(Picture::open(&self.screen)?)
            }
        };
        wait(source, self.interval);
        let time = source.current_running_time();
        let (mut frame, size) = picture.grab()?;
        if let Some(frame) = frame.get_mut() {
            frame.set_pts(time);
        }
        if self.size != Some(size) {
            source.set_caps(Some(&caps(size, self.framerate)));
            self.size = Some(size);
        }
        // Refused while the source stops.
        let _ = source.push_buffer(frame);
        Ok(())
    }
}

/// Waits for the next multiple of the interval on the source's timeline; for no longer than that.
fn wait(source: &AppSrc, interval: u64) {
    let (Some(clock), Some(base)) = (source.clock(), source.base_time()) else {
        return;
    };
    let Some(now) = source.current_running_time() else {
        return;
    };
    let due = (now.nseconds() / interval + 1) * interval;
    let due = base + gst::ClockTime::from_nseconds(due);
    let _ = clock.new_single_shot_id(due).wait();
}

fn caps((width, height): (u32, u32), framerate: u32) -> gst::Caps {
    let whole = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    gst::Caps::builder("video/x-raw")
        .field("format", "BGRx")
        .field("width", whole(width))
        .field("height", whole(height))
        .field("framerate", gst::Fraction::new(whole(framerate), 1))
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        .build()
}
