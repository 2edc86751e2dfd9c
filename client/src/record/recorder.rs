//! Recording what is sent and what is received, as it is encoded.
//!
//! Frames reach a recorder as they reach a peer: by reference, into an appsrc. From there they go
//! through a parser of their codec and a channel to one thread that writes files. When that is slower
//! than the call, frames are missing in the file, and the call does not notice.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::Context as _;
use async_channel::{Receiver, Sender, bounded};
use gst::prelude::*;
use gst_app::AppSrc;

use super::plan::{self, Note, Recording};
use super::succession::{Succession, Verdict};
use super::tape::{self, Piece, Place, Tape};
use super::tracks::Tracks;
use crate::capture::{Timeline, Track};
use crate::failure::{Failure, FailureKind};
use crate::media::Codec;
use crate::report::Direction;

/// How many frames may wait to be written: some seconds of a call.
const MAX_WAITING: usize = 1024;

/// How many calls may bear the same name.
const MAX_CALLS: u32 = 100_000;

/// What comes to the thread that writes.
enum Item {
    Expect(Direction, usize),
    Frame(Direction, Piece),
    Finish,
}

/// Records one call. Cheap to clone: all clones are one.
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    what: plan::What,
    tracks: Tracks,
    items: Sender<Item>,
    dropped: [Arc<AtomicU64>; 2],
    last_words: Receiver<Vec<Note>>,
}

impl Recorder {
    /// A recorder that waits for frames. Files are made with the first of them. `told` hears what
    /// becomes of them while the call runs, on the thread that writes.
    ///
    /// # Errors
    /// When there can be no thread, or no pipeline.
    pub fn new(
        recording: &Recording,
        timeline: &Timeline,
        told: impl Fn(Note) + Send + 'static,
    ) -> Result<Self, anyhow::Error> {
        let (items, waiting) = bounded(MAX_WAITING);
        let (said, last_words) = bounded(1);
        let dropped: [Arc<AtomicU64>; 2] = Default::default();
        let writer = Writer {
            tapes: tapes(recording),
            zero: None,
            succession: Succession::default(),
            tracks: Tracks::new(timeline)?,
            dropped: dropped.clone(),
        };
        let tracks = writer.tracks.clone();
        thread::Builder::new()
            .name("recorder".into())
            .spawn(move || drop(said.try_send(writer.run(&waiting, told))))
            .context("a thread that writes")?;
        Ok(Self(Arc::new(Inner {
            what: recording.what,
            tracks,
            items,
            dropped,
            last_words,
        })))
    }

    /// Says how many tracks go either way: files are begun when so many have given a frame, or after
    /// some seconds.
    pub fn expect(&self, sent: usize, received: usize) {
        for (direction, tracks) in [(Direction::Sent, sent), (Direction::Received, received)] {
            let _ = self.0.items.try_send(Item::Expect(direction, tracks));
        }
    }

    /// Records what is sent; the first track of each kind.
    pub fn send(&self, track: &Track) {
        let place = (track.codec.kind(), 0);
        if !self.0.what.has(Direction::Sent) || self.0.tracks.has(Direction::Sent, place) {
            return;
        }
        let asked = track.clone();
        let ask = move || asked.request_key_frame();
        match self.way(Direction::Sent, place, track.codec, ask) {
            Ok(way) => track.join(&way, Arc::default()),
            Err(error) => tracing::warn!("what is sent is not recorded: {error:#}"),
        }
    }

    /// Records the encoded frames that come to a pad, which is that of a decoder: the track of its
    /// kind with this number, counted from 0.
    pub fn receive(&self, decoder: &gst::Pad, codec: Codec, number: usize) {
        if !self.0.what.has(Direction::Received) {
            return;
        }
        let pad = decoder.downgrade();
        let ask = move || {
            if let Some(pad) = pad.upgrade() {
                pad.push_event(
                    gst_video::UpstreamForceKeyUnitEvent::builder()
                        .all_headers(true)
                        .build(),
                );
            }
        };
        let way = match self.way(Direction::Received, (codec.kind(), number), codec, ask) {
            Ok(way) => way,
            Err(error) => {
                tracing::warn!("a track that came in is not recorded: {error:#}");
                return;
            }
        };
        decoder.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            if let Some(frame) = info.buffer().and_then(|frame| on_timeline(pad, frame)) {
                way.set_caps(pad.current_caps().as_ref());
                let _ = way.push_buffer(frame);
            }
            gst::PadProbeReturn::Ok
        });
    }

    /// Completes the files, and says what became of them. Blocks until they are written.
    pub fn finish(&self) -> Vec<Note> {
        self.0.tracks.stop();
        // There is room for it sooner or later: the thread takes one after the other.
        if self.0.items.send_blocking(Item::Finish).is_err() {
            return Vec::new();
        }
        self.0.last_words.recv_blocking().unwrap_or_default()
    }

    fn way(
        &self,
        direction: Direction,
        place: Place,
        codec: Codec,
        ask: impl Fn() + Send + Sync + 'static,
    ) -> Result<AppSrc, anyhow::Error> {
        let items = self.0.items.clone();
        let dropped = Arc::clone(&self.0.dropped[usize::from(direction == Direction::Received)]);
        self.0
            .tracks
            .way(direction, place, codec, ask, move |piece| {
                let fits = items.try_send(Item::Frame(direction, piece)).is_ok();
                if !fits {
                    dropped.fetch_add(1, Ordering::Relaxed);
                }
                fits
            })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tracks.stop();
        // Nothing more comes: the thread writes what waits, and completes the files. Whoever lets go of a
        // recorder does not wait for the disk.
        self.items.close();
    }
}

/// The thread that writes.
struct Writer {
    tapes: Vec<(Direction, Tape)>,
    /// The beginning of the recording.
    zero: Option<gst::ClockTime>,
    succession: Succession,
    tracks: Tracks,
    dropped: [Arc<AtomicU64>; 2],
}

impl Writer {
    /// Goes on until it is told to finish, or nobody is left who could tell.
    fn run(mut self, waiting: &Receiver<Item>, told: impl Fn(Note)) -> Vec<Note> {
        let mut notes = Vec::new();
        while let Ok(item) = waiting.recv_blocking() {
            match item {
                Item::Expect(direction, tracks) => {
                    if let Some(tape) = self.tape(direction) {
                        tape.expect(tracks);
                    }
                }
                Item::Frame(direction, piece) => self.take(direction, piece, &mut notes),
                Item::Finish => break,
            }
            notes.drain(..).for_each(&told);
        }
        let zero = self.zero.unwrap_or_default();
        for ((_, tape), dropped) in self.tapes.iter_mut().zip(&self.dropped) {
            tape.finish(zero, dropped.load(Ordering::Relaxed), &mut notes);
        }
        notes
    }

    fn take(&mut self, direction: Direction, mut piece: Piece, notes: &mut Vec<Note>) {
        let zero = *self.zero.get_or_insert(piece.at);
        let place = piece.place;
        match self.succession.judge(direction, &mut piece) {
            Verdict::Take => {}
            Verdict::Leave => return,
            Verdict::Ask => return self.tracks.ask(direction, place),
        }
        if let Some(tape) = self.tape(direction)
            && tape.take(piece, zero, notes)
        {
            self.tracks.ask(direction, place);
        }
    }

    fn tape(&mut self, direction: Direction) -> Option<&mut Tape> {
        let tapes = self.tapes.iter_mut();
        tapes
            .into_iter()
            .find(|(its, _)| *its == direction)
            .map(|(_, tape)| tape)
    }
}

/// Tries whether files can be made where they are wanted, before anybody calls.
///
/// # Errors
/// Says why not.
pub fn rehearse(recording: &Recording) -> Result<(), Failure> {
    let call = free_call(recording);
    let tried = recording.first_names(call).next().map(|name| {
        let made = tape::create_new(&name);
        made.and_then(|_| std::fs::remove_file(&name))
            .map_err(|error| (name, error))
    });
    match tried {
        None | Some(Ok(())) => Ok(()),
        Some(Err((name, error))) => Err(Failure::new(
            FailureKind::Other,
            format!(
                "A recording cannot be written to {name:?} ({error}); name another place with --record."
            ),
        )),
    }
}

/// The tapes in the order of the counters of dropped frames.
fn tapes(recording: &Recording) -> Vec<(Direction, Tape)> {
    let call = free_call(recording);
    let both = [Direction::Sent, Direction::Received];
    both.map(|direction| (direction, Tape::new(recording.clone(), call, direction)))
        .into()
}

/// The number of the first call none of whose files is there.
fn free_call(recording: &Recording) -> u32 {
    let is_free = |call: &u32| !recording.first_names(*call).any(|name| is_there(&name));
    (1..=MAX_CALLS).find(is_free).unwrap_or(MAX_CALLS)
}

/// Even a link that leads nowhere.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// The frame with its running time as its timestamp.
fn on_timeline(pad: &gst::Pad, frame: &gst::Buffer) -> Option<gst::Buffer> {
    let segment = pad.sticky_event::<gst::event::Segment>(0)?;
    let segment = segment.segment().downcast_ref::<gst::ClockTime>()?;
    let running = segment.to_running_time(frame.pts());
    let mut frame = frame.clone();
    let description = frame.make_mut();
    description.set_pts(running);
    description.set_dts(gst::ClockTime::NONE);
    Some(frame)
}
