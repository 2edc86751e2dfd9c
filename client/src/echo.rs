//! What this machine plays, taken out again of what its microphone hears.
//!
//! `webrtcdsp`, behind a microphone, takes out what its `webrtcechoprobe` was given, if it was given
//! it some ten milliseconds before it is heard, no more and no less. Left to themselves the two are
//! far from that: what is played is not played by its timestamps, and waits for as long as the sound
//! server likes. So what is played is kept on a `Tape` by the moment at which the sink's own clock
//! says that it is heard, what is heard is compared with it to learn the `Delay` that is left, and
//! with each piece that is heard the probe is given the piece that belongs to it.

mod delay;
mod tape;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use gst::prelude::*;

use crate::graph::{PLAYED_CHANNELS, VOICE, VOICE_RATE};
use delay::Delay;
use tape::{Head, Tape};

/// What this process plays. One machine has one air, whoever plays and listens.
static AIR: Mutex<Tape> = Mutex::new(Tape::new());

/// Bytes of a sample.
const BYTES: usize = 2;

/// Samples in a millisecond.
const MILLISECOND: i64 = VOICE_RATE as i64 / 1000;

/// How much sound may wait in a loudspeaker's queues.
const LONGEST_QUEUE: i64 = 1000 * MILLISECOND;

/// By how much it may be off when a loudspeaker says what it has played.
const PLAYED_TOLERANCE: i64 = 5 * MILLISECOND;

/// By how much the timestamp of what is heard may differ from a count of its samples.
const HEARD_TOLERANCE: i64 = 25 * MILLISECOND;

/// How long it takes, at the most, until what is played now is on the tape.
const WRITTEN: i64 = 50 * MILLISECOND;

/// So long before it is heard the probe is given what is played. What comes before the loudest of an
/// echo has a place in it; and so have small errors.
const GIVEN_EARLY: i64 = 30 * MILLISECOND;

/// What is taken for the delay until it is known: both ends say well enough what time it is, as long
/// as nothing is broken off.
const LIKELY_DELAY: i64 = 0;

/// What is said to `webrtcdsp` about it.
const SAID_DELAY: gst::ClockTime = gst::ClockTime::from_mseconds(30);

/// Puts on the tape what comes to a sink that plays it.
///
/// # Errors
/// When it is no sink.
pub fn hear(sink: &gst::Element) -> Result<(), anyhow::Error> {
    let pad = sink.static_pad("sink").context("a sink has a pad")?;
    let clock = gst::SystemClock::obtain();
    let weak = sink.downgrade();
    let (head, given) = (Mutex::new(Head::new(PLAYED_TOLERANCE)), AtomicU64::new(0));
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let Some(Ok(sound)) = info.buffer().map(|buffer| buffer.map_readable()) else {
            return gst::PadProbeReturn::Ok;
        };
        let frames = sound.chunks_exact(BYTES * PLAYED_CHANNELS);
        let before = given.fetch_add(frames.len() as u64, Ordering::Relaxed);
        // The clock of the sink counts what is heard, and goes on while there is nothing: what comes
        // after its moment is thrown away by the sound server.
        let heard = weak.upgrade().and_then(|sink| sink.provide_clock());
        let heard = heard.map_or(0, |heard| moment(heard.internal_time()));
        let waiting = i64::try_from(before).unwrap_or(0) - heard;
        let at = moment(clock.time()) + waiting.clamp(-LONGEST_QUEUE, LONGEST_QUEUE);
        let at = lock(&head).place(at, frames.len());
        lock(&AIR).add(at, frames.map(mixed));
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// Has a microphone's branch take out what is played. Does nothing where that is not asked for.
///
/// # Errors
/// When there is no plugin for it.
pub fn cancel(branch: &gst::Bin) -> Result<(), anyhow::Error> {
    let Some(voice) = branch.by_name(VOICE) else {
        return Ok(());
    };
    if !voice.property::<bool>("echo-cancel") {
        return Ok(());
    }
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    // It is looked for in the whole process, and each microphone needs its own.
    let name = format!("aldis-echo-probe-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let probe = gst::ElementFactory::make("webrtcechoprobe")
        .name(&name)
        .build()
        .context("making a probe for echoes")?;
    voice.set_property("probe", &name);
    branch.add(&probe)?;
    let ear = Arc::new(Ear::new(&probe)?);
    let pad = voice.static_pad("sink").context("a filter has a pad")?;
    let clock = gst::SystemClock::obtain();
    let weak = branch.downgrade();
    let mask = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    pad.add_probe(mask, move |_, info| {
        match &info.data {
            // The probe gets the form and the times of what is heard.
            Some(gst::PadProbeData::Event(event)) if event.is_sticky() => {
                ear.form(event);
            }
            Some(gst::PadProbeData::Buffer(heard)) => {
                let base = weak.upgrade().and_then(|branch| branch.base_time());
                let (base, pts) = (base.unwrap_or_default(), heard.pts());
                let at = pts.map_or_else(|| clock.time(), |pts| pts.saturating_add(base));
                ear.hear(heard, moment(at));
            }
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// What gives a probe what belongs to what a microphone hears.
#[derive(Debug)]
struct Ear {
    /// The pad that the probe is fed from.
    way: gst::Pad,
    /// Where what it hands on ends.
    end: gst::Pad,
    memory: Mutex<Memory>,
}

#[derive(Debug)]
struct Memory {
    head: Head,
    delay: Delay,
    /// The delay as it was last used.
    used: Option<i64>,
}

impl Ear {
    fn new(probe: &gst::Element) -> Result<Self, anyhow::Error> {
        let way = gst::Pad::builder(gst::PadDirection::Src)
            .name("played")
            .event_function(|_, _, _| true)
            .query_function(|_, _, query| answer(query))
            .build();
        let end = gst::Pad::builder(gst::PadDirection::Sink)
            .name("end")
            .chain_function(|_, _, _| Ok(gst::FlowSuccess::Ok))
            .event_function(|_, _, _| true)
            .build();
        way.link(&probe.static_pad("sink").context("a probe has pads")?)?;
        let out = probe.static_pad("src").context("a probe has pads")?;
        out.link(&end)?;
        end.set_active(true)?;
        way.set_active(true)?;
        Ok(Self {
            way,
            end,
            memory: Mutex::new(Memory {
                head: Head::new(HEARD_TOLERANCE),
                delay: Delay::default(),
                used: None,
            }),
        })
    }

    /// Tells the probe what it is told that form and times of what is heard are.
    fn form(&self, event: &gst::Event) {
        self.way.push_event(event.clone());
        if event.type_() == gst::EventType::Segment {
            // It counts this in when it looks for what belongs together, and hears it only while it
            // is started.
            self.end.push_event(gst::event::Latency::new(SAID_DELAY));
        }
    }

    /// Gives the probe what belongs to what is heard at that moment.
    fn hear(&self, heard: &gst::Buffer, at: i64) {
        let Ok(sound) = heard.map_readable() else {
            return;
        };
        let sound: Vec<i16> = sound.chunks_exact(BYTES).map(sample).collect();
        let mut played = vec![0; sound.len()];
        {
            let mut memory = lock(&self.memory);
            let at = memory.head.place(at, sound.len());
            lock(&AIR).read(at - WRITTEN, &mut played);
            memory.delay.compare(&sound, &played);
            let delay = memory.delay.samples().map(|delay| delay + WRITTEN);
            if delay != memory.used {
                memory.used = delay;
                let ms = delay.map(|delay| delay / MILLISECOND);
                tracing::debug!(ms, "what is played is heard after this time");
            }
            let delay = delay.unwrap_or(LIKELY_DELAY);
            lock(&AIR).read(at - delay + GIVEN_EARLY, &mut played);
        }
        let bytes: Vec<u8> = played.into_iter().flat_map(i16::to_le_bytes).collect();
        let mut piece = gst::Buffer::from_slice(bytes);
        if let Some(piece) = piece.get_mut() {
            piece.set_pts(heard.pts());
            piece.set_duration(heard.duration());
        }
        // It is on its way to nowhere: nothing follows from what becomes of it.
        let _ = self.way.push(piece);
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        for pad in [&self.way, &self.end] {
            let _ = pad.set_active(false);
        }
    }
}

/// Says to a probe how long what passes it is under way until it is heard. It says so to
/// `webrtcdsp`, which makes of it where to look for an echo.
fn answer(query: &mut gst::QueryRef) -> bool {
    let gst::QueryViewMut::Latency(latency) = query.view_mut() else {
        return false;
    };
    latency.set(true, SAID_DELAY, gst::ClockTime::NONE);
    true
}

/// A time of the clock as a number of samples.
fn moment(time: gst::ClockTime) -> i64 {
    let rate = u64::from(VOICE_RATE.unsigned_abs());
    let samples = time
        .nseconds()
        .mul_div_floor(rate, gst::ClockTime::SECOND.nseconds());
    samples
        .and_then(|samples| i64::try_from(samples).ok())
        .unwrap_or(0)
}

fn sample(bytes: &[u8]) -> i16 {
    match bytes {
        [low, high, ..] => i16::from_le_bytes([*low, *high]),
        _ => 0,
    }
}

/// All channels of a frame as one.
fn mixed(frame: &[u8]) -> i32 {
    let sum: i32 = frame
        .chunks_exact(BYTES)
        .map(|bytes| i32::from(sample(bytes)))
        .sum();
    sum / PLAYED_CHANNELS as i32
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is half done here is a moment of sound.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
