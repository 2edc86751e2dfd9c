//! The clock that all pipelines of a process share.

use std::sync::{Arc, Mutex, PoisonError};

use gst::glib::WeakRef;
use gst::prelude::*;

/// The clock and the zero that all pipelines of a process share, so that a frame's running time in
/// the capture is its running time at every viewer.
#[derive(Clone, Debug)]
pub struct Timeline {
    clock: gst::Clock,
    zero: gst::ClockTime,
    /// The pipelines on this timeline, to be drawn. On no frame's way.
    ruled: Arc<Mutex<Vec<WeakRef<gst::Pipeline>>>>,
}

impl Default for Timeline {
    fn default() -> Self {
        let clock = gst::SystemClock::obtain();
        let zero = clock.time();
        Self {
            clock,
            zero,
            ruled: Arc::default(),
        }
    }
}

impl Timeline {
    /// Makes a pipeline run on this timeline.
    pub fn rule(&self, pipeline: &gst::Pipeline) {
        pipeline.use_clock(Some(&self.clock));
        pipeline.set_start_time(gst::ClockTime::NONE);
        pipeline.set_base_time(self.zero);
        let mut ruled = self.ruled.lock().unwrap_or_else(PoisonError::into_inner);
        ruled.retain(|pipeline| pipeline.upgrade().is_some());
        ruled.push(pipeline.downgrade());
    }

    /// All pipelines on this timeline, each by its name and as Graphviz takes it. Properties of
    /// elements are in it, passwords too.
    pub fn drawings(&self) -> Vec<(String, String)> {
        let ruled = self.ruled.lock().unwrap_or_else(PoisonError::into_inner);
        let pipelines: Vec<_> = ruled.iter().filter_map(WeakRef::upgrade).collect();
        drop(ruled);
        let draw = |pipeline: &gst::Pipeline| {
            let graph = pipeline.debug_to_dot_data(gst::DebugGraphDetails::all());
            (pipeline.name().to_string(), graph.to_string())
        };
        pipelines.iter().map(draw).collect()
    }

    /// Makes a pipeline run at this clock's pace, with a zero of its own: the moment it begins.
    pub(crate) fn lend_clock(&self, pipeline: &gst::Pipeline) {
        pipeline.use_clock(Some(&self.clock));
    }

    /// The time since the zero.
    pub(crate) fn now(&self) -> std::time::Duration {
        self.clock.time().saturating_sub(self.zero).into()
    }

    /// The frame that came to `sink`, with its time on this timeline as its timestamp, whatever zero
    /// the sink's pipeline has.
    pub(crate) fn place(
        &self,
        sink: &gst_app::AppSink,
        sample: &gst::Sample,
    ) -> Option<gst::Buffer> {
        let mut frame = on_timeline(sample)?;
        let later = sink.base_time()?.saturating_sub(self.zero);
        if !later.is_zero() {
            let description = frame.make_mut();
            let pts = description.pts().map(|pts| pts + later);
            description.set_pts(pts);
            let dts = description.dts().map(|dts| dts + later);
            description.set_dts(dts);
        }
        Some(frame)
    }
}

/// The frame with its running time as its timestamp: encoders may shift both timestamps and segment.
pub(crate) fn on_timeline(sample: &gst::Sample) -> Option<gst::Buffer> {
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    let mut frame = sample.buffer_owned()?;
    let pts = segment.to_running_time(frame.pts());
    let dts = segment.to_running_time(frame.dts());
    if (pts, dts) != (frame.pts(), frame.dts()) {
        // The sink holds the frame as well, so its description is copied. Its memory is shared then,
        // and goes to no pool any more.
        let description = frame.make_mut();
        description.set_pts(pts);
        description.set_dts(dts);
    }
    Some(frame)
}
