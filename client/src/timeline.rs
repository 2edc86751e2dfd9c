//! The clock that all pipelines of a process share.

use gst::prelude::*;

/// The clock and the zero that all pipelines of a process share, so that a frame's running time in
/// the capture is its running time at every viewer.
#[derive(Clone, Debug)]
pub struct Timeline {
    clock: gst::Clock,
    zero: gst::ClockTime,
}

impl Default for Timeline {
    fn default() -> Self {
        let clock = gst::SystemClock::obtain();
        let zero = clock.time();
        Self { clock, zero }
    }
}

impl Timeline {
    /// Makes a pipeline run on this timeline.
    pub fn rule(&self, pipeline: &gst::Pipeline) {
        pipeline.use_clock(Some(&self.clock));
        pipeline.set_start_time(gst::ClockTime::NONE);
        pipeline.set_base_time(self.zero);
    }
}

/// The frame with its running time as its timestamp: encoders may shift both timestamps and segment.
pub(crate) fn on_timeline(sample: &gst::Sample) -> Option<gst::Buffer> {
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    let mut frame = sample.buffer_owned()?;
    let pts = segment.to_running_time(frame.pts());
    let dts = segment.to_running_time(frame.dts());
    // The frame's memory is shared; only its description is copied, if anybody else holds it.
    let description = frame.make_mut();
    description.set_pts(pts);
    description.set_dts(dts);
    Some(frame)
}
