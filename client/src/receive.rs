//! What becomes of a track that comes in: it is decoded, counted, and shown or played.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use anyhow::{Context as _, ensure};
use gst::prelude::*;
use protocol::PeerId;

use crate::capture::size_of;
use crate::echo;
use crate::failure::{Failure, FailureKind};
use crate::graph;
use crate::media::{Codec, Kind};
use crate::plugins;
use crate::receiving::{self, Play, Receiving};
use crate::record::recorder::Recorder;

/// Where decoded pictures and sound go.
#[derive(Clone, Debug)]
pub struct Outputs {
    video: Option<&'static str>,
    audio: Option<Loudspeaker>,
    /// Whether what is played is taken out of what a microphone hears.
    is_heard: bool,
    /// Whose pictures they are.
    peer: Option<PeerId>,
    /// Held, never read: see [`Outputs::window`].
    _display: Option<Arc<Opened>>,
}

/// How sound is played.
#[derive(Clone, Debug)]
struct Loudspeaker {
    /// `None` is the sound server's default one.
    output: Option<String>,
    volume: Option<f64>,
}

/// A sink that is open, until it is dropped.
#[derive(Debug)]
struct Opened(gst::Element);

/// How many tracks of each kind are decoded, shown, played and recorded; more are thrown away, or a
/// peer could have us build as many decoders, and open as many windows, as it likes.
pub const MAX_TRACKS: usize = 4;

/// The queue before it.
const BACKLOG: &str = "backlog";

/// The same before a window.
const PICTURES: &str = "pictures";

/// When so much sound waits to be played it is cut down to so little, in nanoseconds: one gap instead
/// of many small ones, or of everything being late from then on.
const LONG_BACKLOG: u64 = 160_000_000;
const SHORT_BACKLOG: u64 = 40_000_000;

/// What plays sound.
const LOUDSPEAKER: &str = "pulsesink";

/// Counts what is decoded, and what arrives. Of each kind, the first track counts.
#[derive(Debug, Default)]
pub struct ReceiveCounters {
    /// Decoded pictures.
    pub frames: AtomicU64,
    /// Decoded buffers of sound.
    pub audio_buffers: AtomicU64,
    /// The SSRC of the picture that comes in, 0 until there is one.
    pub video_ssrc: AtomicU64,
    /// The SSRC of the sound that comes in, 0 until there is one.
    pub audio_ssrc: AtomicU64,
    video_tracks: AtomicUsize,
    audio_tracks: AtomicUsize,
}

/// The first decoded frame of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstFrame {
    /// How it was encoded.
    pub codec: Codec,
    /// Width and height, for pictures.
    pub size: Option<(u32, u32)>,
    /// Which track of its kind it is, counted from 1.
    pub track: usize,
}

/// Sinks for windows that can be tried, by the variable that says their display is there. What comes
/// later is better where it can be opened.
const WINDOWS: [(&str, &[&str]); 2] = [
    ("WAYLAND_DISPLAY", &["waylandsink"]),
    ("DISPLAY", &["ximagesink", "xvimagesink"]),
];

impl Outputs {
    /// Nothing is shown or played; everything is decoded and counted all the same.
    pub const NONE: Self = Self {
        video: None,
        audio: None,
        is_heard: false,
        peer: None,
        _display: None,
    };

    /// A window where there is a display, without sound.
    ///
    /// An X server whose last client leaves starts anew, and refuses whoever comes in that moment. The
    /// plainest sink that opens is therefore kept open, so that trying the next one, and the first
    /// window later, find the server as it was.
    ///
    /// Blocks while displays are asked.
    ///
    /// # Errors
    /// When there is no display, or no plugin that could show anything on it.
    pub fn window() -> Result<Self, Failure> {
        let sinks: Vec<_> = WINDOWS
            .iter()
            .filter(|(variable, _)| is_set(variable))
            .flat_map(|(_, sinks)| sinks.iter().copied())
            .collect();
        if !sinks.is_empty() && !sinks.iter().any(|sink| plugins::is_present(sink)) {
            return Err(plugins::lacking(&sinks));
        }
        let mut opened = sinks
            .into_iter()
            .filter_map(|sink| Some((sink, Opened::new(sink)?)));
        let (plainest, display) = opened.next().ok_or_else(|| {
            Failure::new(
                FailureKind::Display,
                "There is no display on which a window could be shown; use --show none.",
            )
        })?;
        let video = opened.next_back().map_or(plainest, |(best, _)| best);
        Ok(Self {
            video: Some(video),
            audio: None,
            is_heard: false,
            peer: None,
            _display: Some(Arc::new(display)),
        })
    }

    /// The same with sound, where it is wanted and there is a sound server. Blocks while that is asked.
    ///
    /// # Errors
    /// When sound has to be played and there is no sound server, or no plugin for it.
    pub fn with_sound(self, receiving: &Receiving) -> Result<Self, Failure> {
        if receiving.play == Play::No {
            return Ok(self);
        }
        let is_reached = Opened::new(LOUDSPEAKER).is_some();
        if !is_reached && receiving.play == Play::Yes {
            return Err(match plugins::is_present(LOUDSPEAKER) {
                false => plugins::lacking(&[LOUDSPEAKER]),
                true => Failure::new(
                    FailureKind::SoundServer,
                    "No sound server can be reached to play what comes in; start PulseAudio or \
                     PipeWire, or leave out --play.",
                ),
            });
        }
        if !is_reached {
            tracing::warn!("no sound server can be reached: what comes in is not played");
            return Ok(self);
        }
        let audio = Some(Loudspeaker {
            output: receiving.output.clone(),
            volume: receiving.volume,
        });
        Ok(Self { audio, ..self })
    }

    /// The same, and what is played is taken out of what microphones hear.
    #[must_use]
    pub fn heard(self) -> Self {
        let is_heard = true;
        Self { is_heard, ..self }
    }

    /// The same for this peer, whose name is in the title of windows.
    #[must_use]
    pub fn of_peer(self, peer: Option<PeerId>) -> Self {
        Self { peer, ..self }
    }

    /// Whether sound is played.
    pub fn plays(&self) -> bool {
        self.audio.is_some()
    }

    /// Whether this machine says that it has a display.
    pub fn display_is_there() -> bool {
        WINDOWS.iter().any(|(variable, _)| is_set(variable))
    }

    fn branch(&self, kind: Kind) -> String {
        match (kind, self.video, &self.audio) {
            // The newest picture is shown at once; sound keeps its own, steady time.
            (Kind::Video, Some(sink), _) => format!(
                "queue name={PICTURES} leaky=downstream max-size-buffers=2 max-size-bytes=0 max-size-time=0 \
                 ! videoconvert ! {sink} sync=false async=false force-aspect-ratio=true"
            ),
            // Not by its timestamps: a sound server that needs a second to begin would make it a second
            // late for ever. What comes is played as soon as there is room.
            (Kind::Audio, _, Some(_)) => format!(
                "queue name={BACKLOG} leaky=downstream max-size-buffers=0 max-size-bytes=0 \
                 max-size-time=400000000 ! audioconvert ! audioresample ! {} \
                 ! {LOUDSPEAKER} name={LOUDSPEAKER} client-name=Aldis async=false sync=false \
                 buffer-time=80000 latency-time=20000",
                graph::played_form()
            ),
            (Kind::Video, None, _) | (Kind::Audio, _, None) => {
                "fakesink sync=false async=false".into()
            }
        }
    }
}

/// Decodes what a pad of webrtcbin hands out. Called on GStreamer's streaming thread.
///
/// # Errors
/// When the codec is not one we can decode, or an element cannot be made. The pad must then be given
/// to [`discard`]: an unlinked one stops everything that is bundled with it.
pub fn attach(
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    outputs: &Outputs,
    counters: &Arc<ReceiveCounters>,
    recorder: Option<&Recorder>,
    first_frame: impl Fn(FirstFrame) + Send + Sync + 'static,
) -> Result<(), anyhow::Error> {
    let caps = pad.current_caps().context("a track without caps")?;
    let description = caps.structure(0).context("a track with empty caps")?;
    let name = description
        .get::<String>("encoding-name")
        .unwrap_or_default();
    let codec = Codec::of_encoding_name(&name)
        .filter(|codec| plugins::can_receive(*codec))
        .with_context(|| format!("there is no decoder for {name:?}"))?;
    let ssrc = u64::from(description.get::<u32>("ssrc").unwrap_or(u32::MAX));
    let kind = codec.kind();
    let number = counters.tracks(kind).fetch_add(1, Ordering::Relaxed);
    ensure!(
        number < MAX_TRACKS,
        "of each kind {MAX_TRACKS} tracks are used, and this is one more"
    );
    if number == 0 {
        counters.ssrc(kind).store(ssrc, Ordering::Relaxed);
    }
    let bin = decoder(codec, outputs)?;
    if let (true, Some(sink)) = (outputs.is_heard, bin.by_name(LOUDSPEAKER)) {
        echo::hear(&sink)?;
    }
    if let Some(queue) = bin.by_name(PICTURES) {
        let title = receiving::title(outputs.peer.as_ref(), number + 1);
        give_title(&queue, title);
    }
    count(&bin, codec, number, Arc::clone(counters), first_frame)?;
    if let Some(recorder) = recorder {
        let decoder = bin.by_name("decoder").context("a decoder")?;
        let encoded = decoder
            .static_pad("sink")
            .context("a decoder has a sink pad")?;
        recorder.receive(&encoded, codec, number);
    }
    link(pipeline, pad, &bin)
}

/// Loads the decoders of these codecs once, so that the first picture of the first call does not wait
/// for them. Blocks. A library of decoders may take tens of megabytes, so only what is likely to be
/// used is loaded.
pub fn warm_up(codecs: &[Codec]) {
    for codec in codecs
        .iter()
        .copied()
        .filter(|codec| plugins::can_receive(*codec))
    {
        if let Ok(bin) = decoder(codec, &Outputs::NONE) {
            let _ = bin.set_state(gst::State::Ready);
            let _ = bin.set_state(gst::State::Null);
        }
    }
}

/// Takes what a pad hands out and throws it away.
///
/// # Errors
/// When even that cannot be built.
pub fn discard(pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<(), anyhow::Error> {
    let bin = gst::parse::bin_from_description("fakesink sync=false async=false", true)?;
    link(pipeline, pad, &bin)
}

impl Loudspeaker {
    /// Sets on a sink what was asked for.
    fn set(&self, sink: &gst::Element) {
        if let Some(output) = &self.output {
            sink.set_property("device", output);
        }
        if let Some(volume) = self.volume {
            sink.set_property("volume", volume);
        }
    }
}

impl ReceiveCounters {
    fn decoded(&self, kind: Kind) -> &AtomicU64 {
        match kind {
            Kind::Video => &self.frames,
            Kind::Audio => &self.audio_buffers,
        }
    }

    fn tracks(&self, kind: Kind) -> &AtomicUsize {
        match kind {
            Kind::Video => &self.video_tracks,
            Kind::Audio => &self.audio_tracks,
        }
    }

    fn ssrc(&self, kind: Kind) -> &AtomicU64 {
        match kind {
            Kind::Video => &self.video_ssrc,
            Kind::Audio => &self.audio_ssrc,
        }
    }
}

fn decoder(codec: Codec, outputs: &Outputs) -> Result<gst::Bin, anyhow::Error> {
    let chain = graph::receive_chain(codec, plugins::decoder(codec).context("no decoder")?);
    let launch = format!("{chain} ! {}", outputs.branch(codec.kind()));
    let bin = gst::parse::bin_from_description(&launch, true)
        .with_context(|| format!("building the {codec} decoder"))?;
    if let (Some(loudspeaker), Some(sink)) = (&outputs.audio, bin.by_name(LOUDSPEAKER)) {
        loudspeaker.set(&sink);
    }
    if let Some(queue) = bin.by_name(BACKLOG) {
        keep_short(&queue);
    }
    Ok(bin)
}

fn count(
    bin: &gst::Bin,
    codec: Codec,
    number: usize,
    counters: Arc<ReceiveCounters>,
    first_frame: impl Fn(FirstFrame) + Send + Sync + 'static,
) -> Result<(), anyhow::Error> {
    let decoder = bin.by_name("decoder").context("a decoder")?;
    let decoded = decoder
        .static_pad("src")
        .context("a decoder has a source pad")?;
    let seen = AtomicBool::new(false);
    decoded.add_probe(gst::PadProbeType::BUFFER, move |pad, _| {
        if number == 0 {
            let decoded = counters.decoded(codec.kind());
            decoded.fetch_add(1, Ordering::Relaxed);
        }
        if !seen.swap(true, Ordering::Relaxed) {
            let size = pad.current_caps().and_then(|caps| size_of(&caps));
            let track = number + 1;
            first_frame(FirstFrame { codec, size, track });
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// Lets the window behind a queue have a title, before its first picture. Windows of Wayland have none.
fn give_title(queue: &gst::Element, title: String) {
    let Some(pad) = queue.static_pad("src") else {
        return;
    };
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, _| {
        let mut tags = gst::TagList::new();
        tags.make_mut()
            .add::<gst::tags::Title>(&title.as_str(), gst::TagMergeMode::Replace);
        pad.push_event(gst::event::Tag::new(tags));
        gst::PadProbeReturn::Remove
    });
}

/// Throws sound away while too much of it waits.
fn keep_short(queue: &gst::Element) {
    let Some(pad) = queue.static_pad("sink") else {
        return;
    };
    let waits = queue.downgrade();
    let is_cut = AtomicBool::new(false);
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        let waiting = waits
            .upgrade()
            .map_or(0, |queue| queue.property::<u64>("current-level-time"));
        let cut = match is_cut.load(Ordering::Relaxed) {
            true => waiting > SHORT_BACKLOG,
            false => waiting > LONG_BACKLOG,
        };
        is_cut.store(cut, Ordering::Relaxed);
        match cut {
            // It is freed all the same; told to drop it, GStreamer 1.22 complains that it is gone.
            true => gst::PadProbeReturn::Handled,
            false => gst::PadProbeReturn::Ok,
        }
    });
}

fn link(pipeline: &gst::Pipeline, pad: &gst::Pad, bin: &gst::Bin) -> Result<(), anyhow::Error> {
    pipeline.add(bin)?;
    bin.sync_state_with_parent()?;
    let sink = bin.static_pad("sink").context("a branch has a sink pad")?;
    pad.link(&sink)?;
    Ok(())
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

impl Opened {
    /// A sink opened here and now, if it can be.
    fn new(sink: &str) -> Option<Self> {
        let opened = Self(gst::ElementFactory::make(sink).build().ok()?);
        opened.0.set_state(gst::State::Ready).ok()?;
        Some(opened)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}
