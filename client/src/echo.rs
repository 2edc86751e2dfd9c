//! The ears that hear what this machine plays, so that it can be taken out of what its microphone
//! hears.
//!
//! `webrtcdsp`, behind a microphone, looks for a `webrtcechoprobe` of a certain name in the whole
//! process when it is started, and has it for itself. The probes are therefore made before any
//! microphone is opened, and outlive every call; the sound of a call is led through them while it is
//! played.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use gst::prelude::*;

use crate::graph::{ECHO_PROBE, VOICE_RATE};

/// How many microphones may be open at once: when one takes the place of another, two are.
const PROBES: usize = 2;

/// The probes of this process. Cheap to clone: all clones are one.
#[derive(Clone, Debug)]
pub struct Probes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    probes: Vec<gst::Element>,
    /// The elements around the probes at the moment. On no frame's way.
    place: Mutex<Vec<gst::Bin>>,
}

impl Probes {
    /// Makes the probes, which hear nothing yet.
    ///
    /// # Errors
    /// When there is no plugin for it.
    pub fn new() -> Result<Self, anyhow::Error> {
        let probe = |_| {
            gst::ElementFactory::make("webrtcechoprobe")
                .name(ECHO_PROBE)
                .build()
        };
        let probes: Result<Vec<_>, _> = (0..PROBES).map(probe).collect();
        Ok(Self(Arc::new(Inner {
            probes: probes.context("making a probe for echoes")?,
            place: Mutex::default(),
        })))
    }

    /// Puts the probes into a branch before its sink; false when they are still in another one.
    ///
    /// # Errors
    /// When they do not fit in.
    pub(crate) fn put_before(
        &self,
        sink: &gst::Element,
        branch: &gst::Bin,
    ) -> Result<bool, anyhow::Error> {
        let mut place = self.0.place();
        if !self.0.are_free() {
            return Ok(false);
        }
        for old in place.drain(..) {
            for probe in &self.0.probes {
                // It is in one of them at the most.
                let _ = old.remove(probe);
            }
        }
        let entrance = sink.static_pad("sink").context("a sink has a pad")?;
        let before = entrance.peer().context("a sink at the end of a branch")?;
        before.unlink(&entrance)?;
        let filter = gst::ElementFactory::make("capsfilter")
            .property("caps", form())
            .build()?;
        branch.add(&filter)?;
        let mut out = filter.static_pad("src").context("a filter has pads")?;
        before.link(&filter.static_pad("sink").context("a filter has pads")?)?;
        for probe in &self.0.probes {
            // Two elements of one name cannot be in one bin.
            let around = gst::Bin::new();
            around.add(probe)?;
            for side in ["sink", "src"] {
                let inner = probe.static_pad(side).context("a probe has pads")?;
                around.add_pad(&gst::GhostPad::with_target(&inner)?)?;
            }
            branch.add(&around)?;
            out.link(&around.static_pad("sink").context("a ghost")?)?;
            out = around.static_pad("src").context("a ghost")?;
            place.push(around);
        }
        out.link(&entrance)?;
        Ok(true)
    }
}

/// The form in which sound is compared.
fn form() -> gst::Caps {
    gst::Caps::builder("audio/x-raw")
        .field("format", "S16LE")
        .field("layout", "interleaved")
        .field("rate", VOICE_RATE)
        .field("channels", 2)
        .build()
}

impl Inner {
    /// Whether no call uses them any more.
    fn are_free(&self) -> bool {
        self.probes
            .iter()
            .all(|probe| probe.current_state() == gst::State::Null)
    }

    fn place(&self) -> MutexGuard<'_, Vec<gst::Bin>> {
        // What is half done here is a branch that plays nothing.
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
