//! Which encoders truly work here: each is given frames, and what comes out is looked at.
//!
//! A driver may be installed without its chip, open and then encode nothing, hold frames back, or never
//! make the key frame it is asked for. Nothing but a proof tells.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use gst::prelude::*;
use gst_app::{AppSink, AppSrc};

use crate::encoder;
use crate::encoder_list::{EncoderList, Row, State};
use crate::encoders::{CATALOGUE, Candidate, KeyFrames};
use crate::encoding::Encoding;
use crate::failure::{Failure, FailureKind};
use crate::graph;
use crate::media::{Codec, Kind, Media, VideoCodec};
use crate::plugins;
use crate::printer::Printer;

/// How many frames an encoder is given before its first must have come out.
const FRAMES_BEFORE: u32 = 10;

/// How many it is given after it was asked for a key frame. More than a second of them, so that one
/// that makes key frames by itself makes one.
const FRAMES_AFTER: u32 = 10;

/// How long it may take to give the next frame.
const FRAME_DEADLINE: gst::ClockTime = gst::ClockTime::from_seconds(3);

/// How long the proof may take. A driver that hangs is left behind on its thread.
const PROOF_DEADLINE: Duration = Duration::from_secs(10);

/// What became of an encoder that was to prove itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It is not installed.
    Missing,
    /// It works, and takes so long for a frame.
    Proven {
        /// Milliseconds a frame, by the clock on the wall.
        ms_per_frame: f64,
    },
    /// It does not work, for this reason.
    Rejected(String),
}

/// Chooses an encoder for each codec out of a catalogue, and leaves codecs out for which there is none.
/// What is made of hardware has to prove itself; the rest is taken as it is, so that a machine
/// without such hardware starts at once. Blocks.
///
/// # Errors
/// When a codec or an encoder that was asked for cannot be had, or nothing at all.
pub fn choose(catalogue: &'static [Candidate], media: &Media) -> Result<Encoding, Failure> {
    let asked = &media.encoding;
    if let Some(encoder) = asked.encoder
        && !asked.codecs.contains(&encoder.codec)
    {
        let codec = Codec::Video(encoder.codec);
        let sentence = format!(
            "{} makes {codec}, which --video-codec leaves out; add it there, or name another --encoder.",
            encoder.element
        );
        return Err(Failure::new(FailureKind::CodecRefused, sentence));
    }
    let mut encoding = asked.clone();
    encoding.codecs.clear();
    encoding.chosen.clear();
    let mut lacking = Vec::new();
    for codec in asked.codecs.iter().copied() {
        match choose_one(catalogue, codec, media)? {
            Some(candidate) => {
                tracing::debug!(codec = %Codec::Video(codec), encoder = candidate.element, "chosen");
                encoding.codecs.push(codec);
                encoding.chosen.push(candidate);
            }
            None => lacking.extend(needed(catalogue, codec)),
        }
    }
    match encoding.codecs.is_empty() || (asked.are_named && !lacking.is_empty()) {
        true => Err(plugins::lacking(&lacking)),
        false => Ok(encoding),
    }
}

/// Has every encoder of the catalogue prove itself with frames of the form that would be sent, and
/// prints what became of each.
///
/// # Errors
/// Never: what does not work is said in the list.
pub async fn list(media: Media, printer: Printer) -> Result<(), Failure> {
    let list = async_std::task::spawn_blocking(move || look(&media)).await;
    // Nobody reads it: then there is nothing to say.
    let _ = printer.print(&list);
    Ok(())
}

fn look(media: &Media) -> EncoderList {
    let row = |candidate: &'static Candidate| Row {
        codec: Codec::Video(candidate.codec).to_string(),
        encoder: candidate.element,
        engine: candidate.engine.as_str(),
        used: false,
        state: match prove(candidate, media) {
            Verdict::Missing => State::Missing,
            Verdict::Proven { ms_per_frame } => State::Proven {
                ms_per_frame: (ms_per_frame * 10.0).round() / 10.0,
            },
            Verdict::Rejected(reason) => State::Rejected { reason },
        },
    };
    let mut list = EncoderList {
        encoders: CATALOGUE.iter().map(row).collect(),
    };
    list.mark_used();
    list
}

fn choose_one(
    catalogue: &'static [Candidate],
    codec: VideoCodec,
    media: &Media,
) -> Result<Option<&'static Candidate>, Failure> {
    if !plugins::is_present(graph::payloader(Codec::Video(codec))) {
        return Ok(None);
    }
    if let Some(encoder) = media
        .encoding
        .encoder
        .filter(|encoder| encoder.codec == codec)
    {
        return match prove(encoder, media) {
            Verdict::Proven { .. } => Ok(Some(encoder)),
            Verdict::Missing => Err(plugins::lacking(&[encoder.element])),
            Verdict::Rejected(reason) => Err(Failure::new(
                FailureKind::Other,
                format!(
                    "The encoder {} does not work here: {reason}; --list-encoders shows those that do.",
                    encoder.element
                ),
            )),
        };
    }
    let mut present = catalogue
        .iter()
        .filter(|candidate| candidate.codec == codec && plugins::is_present(candidate.element));
    Ok(present.find(|candidate| {
        if !candidate.needs_proof() {
            return true;
        }
        match prove(candidate, media) {
            Verdict::Proven { .. } => true,
            Verdict::Missing => false,
            Verdict::Rejected(reason) => {
                tracing::info!(encoder = candidate.element, "not used: {reason}");
                false
            }
        }
    }))
}

/// What to install for a codec: the first library, and the payloader.
fn needed(
    catalogue: &'static [Candidate],
    codec: VideoCodec,
) -> impl Iterator<Item = &'static str> {
    let library = catalogue
        .iter()
        .find(|candidate| candidate.codec == codec && !candidate.needs_proof());
    let payloader = graph::payloader(Codec::Video(codec));
    library
        .map(|candidate| candidate.element)
        .into_iter()
        .chain([payloader])
        .filter(|element| !plugins::is_present(element))
}

/// What [`trial`] makes of an encoder, without the frames.
pub fn prove(candidate: &'static Candidate, media: &Media) -> Verdict {
    match trial(candidate, media) {
        Ok(Trial { ms_per_frame, .. }) => Verdict::Proven { ms_per_frame },
        Err(verdict) => verdict,
    }
}

/// Gives an encoder frames of the form that will be sent, asks it for a key frame in between, and looks
/// at what comes out. Blocks, for `PROOF_DEADLINE` at the longest.
///
/// # Errors
/// What is said of it when it does not work.
pub fn trial(candidate: &'static Candidate, media: &Media) -> Result<Trial, Verdict> {
    if !plugins::is_present(candidate.element) {
        return Err(Verdict::Missing);
    }
    let media = Media {
        encoding: Encoding {
            codecs: vec![candidate.codec],
            chosen: vec![candidate],
            ..media.encoding.clone()
        },
        ..media.clone()
    };
    let (proven, proof) = mpsc::channel();
    thread::spawn(move || {
        let outcome = Proof::begin(candidate, &media).and_then(|proof| proof.conclude(candidate));
        // Nobody waits any more when it took too long.
        let _ = proven.send(outcome);
    });
    match proof.recv_timeout(PROOF_DEADLINE) {
        Ok(outcome) => outcome.map_err(Verdict::Rejected),
        Err(_) => Err(Verdict::Rejected(format!(
            "it hangs for {} s",
            PROOF_DEADLINE.as_secs()
        ))),
    }
}

/// What came of an encoder that works.
#[derive(Debug)]
pub struct Trial {
    /// Milliseconds a frame, by the clock on the wall.
    pub ms_per_frame: f64,
    /// What it made of the frames it was given: one of each.
    pub frames: Vec<gst::Sample>,
}

/// A small pipeline around an encoder.
struct Proof {
    pipeline: gst::Pipeline,
    bus: gst::Bus,
    source: AppSrc,
    sink: AppSink,
    size: (usize, usize),
    framerate: u32,
}

impl Proof {
    fn begin(candidate: &Candidate, media: &Media) -> Result<Self, String> {
        let branch = graph::encoder_branch(Codec::Video(candidate.codec), media);
        let bin = encoder::build(&branch).map_err(|error| format!("{error:#}"))?;
        let sink = bin
            .by_name(graph::ENCODED)
            .and_then(|sink| sink.downcast::<AppSink>().ok())
            .ok_or("it has no end")?;
        // Every frame counts here, however late.
        sink.set_drop(false);
        sink.set_max_buffers(0);
        let caps = graph::raw_form(Kind::Video, media).parse::<gst::Caps>();
        let source = AppSrc::builder()
            .format(gst::Format::Time)
            .caps(&caps.map_err(|error| error.to_string())?)
            .max_bytes(0)
            .build();
        let pipeline = gst::Pipeline::new();
        let bus = pipeline.bus().ok_or("a pipeline without a bus")?;
        pipeline
            .add_many([source.upcast_ref::<gst::Element>(), bin.upcast_ref()])
            .and_then(|()| source.link(&bin))
            .map_err(|error| error.to_string())?;
        let side = |pixels| usize::try_from(pixels).unwrap_or_default();
        let proof = Self {
            pipeline,
            bus,
            source,
            sink,
            size: (side(media.format.width), side(media.format.height)),
            framerate: media.format.framerate,
        };
        match proof.pipeline.set_state(gst::State::Playing) {
            Ok(_) => Ok(proof),
            Err(_) => Err(proof.error().unwrap_or_else(|| "it does not start".into())),
        }
    }

    /// What came out, or what is wrong.
    fn conclude(self, candidate: &Candidate) -> Result<Trial, String> {
        // One that makes key frames every second has to be given more than a second.
        let after = match candidate.key_frames {
            KeyFrames::OnRequest(_) => FRAMES_AFTER,
            KeyFrames::Regularly(_) => FRAMES_AFTER.max(self.framerate + 2),
        };
        self.push(0..FRAMES_BEFORE)?;
        let first = self.pull()?.ok_or_else(|| {
            format!("it holds back {FRAMES_BEFORE} frames, which is too late for a conversation")
        })?;
        if is_delta(&first) {
            return Err("it does not begin with a key frame".into());
        }
        let clock = gst::SystemClock::obtain();
        let began = clock.time();
        let ask = gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true);
        self.sink.send_event(ask.build());
        self.push(FRAMES_BEFORE..FRAMES_BEFORE + after)?;
        self.source
            .end_of_stream()
            .map_err(|error| error.to_string())?;
        let mut frames = vec![first];
        while let Some(sample) = self.pull()? {
            frames.push(sample);
        }
        let took = clock.time().saturating_sub(began);
        let given = FRAMES_BEFORE + after;
        if usize::try_from(given) != Ok(frames.len()) {
            return Err(format!("of {given} frames {} came out", frames.len()));
        }
        if frames.iter().skip(1).all(is_delta) {
            return Err(match candidate.key_frames {
                KeyFrames::OnRequest(_) => "it makes no key frame when it is asked for one".into(),
                KeyFrames::Regularly(_) => "it makes no key frame within a second".into(),
            });
        }
        let milliseconds = took.useconds() as f64 / 1000.0;
        Ok(Trial {
            ms_per_frame: milliseconds / f64::from(given - 1),
            frames,
        })
    }

    fn push(&self, numbers: std::ops::Range<u32>) -> Result<(), String> {
        for number in numbers {
            let mut frame = gst::Buffer::from_mut_slice(picture(self.size, number));
            let second = gst::ClockTime::SECOND;
            let at = |number: u32| second.mul_div_floor(number.into(), self.framerate.into());
            if let Some(frame) = frame.get_mut() {
                frame.set_pts(at(number));
                frame.set_duration(at(1));
            }
            let pushed = self.source.push_buffer(frame);
            pushed.map_err(|error| self.error().unwrap_or_else(|| error.to_string()))?;
        }
        Ok(())
    }

    /// The next frame; `None` at the end, or when none comes in time.
    fn pull(&self) -> Result<Option<gst::Sample>, String> {
        match self.sink.try_pull_sample(FRAME_DEADLINE) {
            Some(sample) => Ok(Some(sample)),
            None => self.error().map_or(Ok(None), Err),
        }
    }

    /// What an element complained of.
    fn error(&self) -> Option<String> {
        let message = self.bus.pop_filtered(&[gst::MessageType::Error])?;
        if let gst::MessageView::Error(error) = message.view() {
            Some(one_line(&error.error().to_string()))
        } else {
            None
        }
    }
}

impl Drop for Proof {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// A table has lines, and drivers say what they like.
fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").trim_end_matches('.').to_owned()
}

fn is_delta(sample: &gst::Sample) -> bool {
    let flags = sample.buffer().map(gst::BufferRef::flags);
    flags.is_none_or(|flags| flags.contains(gst::BufferFlags::DELTA_UNIT))
}

/// A slope of grey that moves, as I420, with the strides GStreamer expects.
fn picture((width, height): (usize, usize), number: u32) -> Vec<u8> {
    let stride = |width: usize| width.div_ceil(4) * 4;
    let (luma, chroma) = (stride(width), stride(width.div_ceil(2)));
    let number = usize::try_from(number).unwrap_or_default();
    let slope: Vec<u8> = (0..=255).cycle().take(luma + 256).collect();
    let mut picture = Vec::with_capacity((luma + chroma) * height);
    for row in 0..height {
        let from = (row + 4 * number) % 256;
        picture.extend_from_slice(&slope[from..from + luma]);
    }
    picture.resize(luma * height + 2 * chroma * height.div_ceil(2), 128);
    picture
}
