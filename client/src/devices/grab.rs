//! The picture of an X display, frame by frame, for an appsrc.
//!
//! GStreamer's own `ximagesrc` asks through Xlib, which ends the whole process when the display goes
//! away or the window that is captured is closed, and takes a window together with whatever lies over
//! it. Here either is a failure like any other, and of a window nothing is seen but the window.

mod picture;

use gst::prelude::*;
use gst_app::{AppSrc, AppSrcCallbacks};

use self::picture::Picture;
use crate::failure::Failure;
use crate::inventory::{MonitorName, WindowName};
use crate::media::Region;

/// What of a display is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The display, or the one of the environment.
    pub display: Option<String>,
    /// Which part of it.
    pub part: Part,
    /// Whether the mouse pointer is part of the picture.
    pub pointer: bool,
    /// Frames a second, at least 1.
    pub framerate: u32,
}

/// Which part of a display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of the screen, whatever size it has or takes on.
    Screen,
    /// A rectangle of the screen.
    Region(Region),
    /// What a monitor shows.
    Monitor(MonitorName),
    /// A window, wherever it is, and nothing that lies over it.
    Window(WindowName),
}

/// Has `source` give the picture, as BGRx in the size that the display has. The display is opened by
/// the first frame, and anew after a failure; `failed` hears of failures on a thread of GStreamer.
pub fn feed(source: &AppSrc, wanted: Wanted, failed: impl Fn(Failure) + Send + 'static) {
    let interval = gst::ClockTime::SECOND.nseconds() / u64::from(wanted.framerate.max(1));
    let mut grab = Grab {
        wanted,
        interval,
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
    wanted: Wanted,
    /// Between two frames, in nanoseconds.
    interval: u64,
    picture: Option<Picture>,
    /// What the frames so far have said of their size.
    size: Option<(u32, u32)>,
}

impl Grab {
    /// Waits until it is time for a frame, and pushes it. Nothing is pushed while the source stops.
    fn next(&mut self, source: &AppSrc) -> Result<(), Failure> {
        if self.picture.is_none() {
            self.picture = Some(Picture::open(&self.wanted)?);
            self.size = None;
        }
        let Some(picture) = &mut self.picture else {
            return Ok(());
        };
        wait(source, self.interval);
        let time = source.current_running_time();
        let (mut frame, size) = picture.grab()?;
        if let Some(frame) = frame.get_mut() {
            frame.set_pts(time);
        }
        if self.size != Some(size) {
            source.set_caps(Some(&caps(size, self.wanted.framerate)));
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
