//! The ways of encoded frames into a recorder: one for each track.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, ensure};
use gst::prelude::*;
use gst_app::{AppSink, AppSinkCallbacks, AppSrc};

use super::payload::{self, Encoding, Form};
use super::tape::{Piece, Place};
use crate::capture::{Timeline, size_of};
use crate::media::Codec;
use crate::report::Direction;
use crate::timeline::on_timeline;

/// What may wait for a parser, which does not block.
const MAX_WAITING_FRAMES: u64 = 64;

/// How many tracks there are at the most, all together, and by how many ways each may come at a time:
/// for a while by the connection that was and by the one that takes its place.
const MAX_WAYS: usize = 16;
const MAX_WAYS_OF_A_TRACK: usize = 2;

/// All ways into one recorder. Cheap to clone: all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Tracks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pipeline: gst::Pipeline,
    /// On no frame's way.
    ways: Mutex<Vec<Way>>,
    /// How many ways there were.
    count: AtomicUsize,
}

struct Way {
    elements: [gst::Element; 3],
    direction: Direction,
    place: Place,
    ask: Box<dyn Fn() + Send + Sync>,
}

impl Tracks {
    pub(super) fn new(timeline: &Timeline) -> Result<Self, anyhow::Error> {
        let pipeline = gst::Pipeline::with_name("recorder");
        timeline.rule(&pipeline);
        let bus = pipeline.bus().context("a pipeline has a bus")?;
        bus.set_sync_handler(|_, message| {
            if let gst::MessageView::Error(error) = message.view() {
                tracing::warn!("a track is recorded no further: {}", error.error());
            }
            gst::BusSyncReply::Drop
        });
        pipeline.set_state(gst::State::Playing)?;
        Ok(Self(Arc::new(Inner {
            pipeline,
            ways: Mutex::default(),
            count: AtomicUsize::new(0),
        })))
    }

    /// Whether there is a way for this track already.
    pub(super) fn has(&self, direction: Direction, place: Place) -> bool {
        let is_it = |way: &Way| way.direction == direction && way.place == place;
        self.0.ways().iter().any(is_it)
    }

    /// A way for the frames of a track. What comes out of it goes to `take`, on a thread of its own; where
    /// that says that it has no room, nothing more is taken until the next key frame. `ask` asks for
    /// one.
    pub(super) fn way(
        &self,
        direction: Direction,
        place: Place,
        codec: Codec,
        ask: impl Fn() + Send + Sync + 'static,
        take: impl Fn(Piece) -> bool + Send + Sync + 'static,
    ) -> Result<AppSrc, anyhow::Error> {
        // A connection that takes the place of another brings its own ways.
        self.make_room(direction, place);
        ensure!(self.0.ways().len() < MAX_WAYS, "there are too many tracks");
        let way = self.0.count.fetch_add(1, Ordering::Relaxed);
        let encoding = Encoding::of(codec);
        let source = AppSrc::builder()
            .format(gst::Format::Time)
            .is_live(true)
            .max_buffers(MAX_WAITING_FRAMES)
            .max_bytes(0)
            .leaky_type(gst_app::AppLeakyType::Downstream)
            .build();
        let parser = gst::parse::bin_from_description(parser(encoding), true)?;
        let sink = AppSink::builder()
            .sync(false)
            .async_(false)
            .max_buffers(4)
            .build();
        sink.set_callbacks(pieces(encoding, (place, way), take));
        let pipeline = &self.0.pipeline;
        let elements: [gst::Element; 3] = [source.clone().upcast(), parser.upcast(), sink.upcast()];
        pipeline.add_many(&elements)?;
        gst::Element::link_many(&elements)?;
        // What is behind is ready before what is in front of it.
        for element in elements.iter().rev() {
            element.sync_state_with_parent()?;
        }
        self.0.ways().push(Way {
            elements,
            direction,
            place,
            ask: Box::new(ask),
        });
        Ok(source)
    }

    /// Takes the ways of a track down of which there have to be fewer before one more can come: the
    /// connections they belong to are over.
    fn make_room(&self, direction: Direction, place: Place) {
        let mut ways = self.0.ways();
        let is_its = |way: &Way| way.direction == direction && way.place == place;
        let its = ways.iter().filter(|way| is_its(way)).count();
        let mut surplus = (its + 1).saturating_sub(MAX_WAYS_OF_A_TRACK);
        let over: Vec<_> = ways
            .extract_if(.., |way| {
                let is_over = surplus > 0 && is_its(way);
                surplus -= usize::from(is_over);
                is_over
            })
            .collect();
        drop(ways);
        for element in over.iter().flat_map(|way| &way.elements) {
            // The one in front comes first, so that nothing pushes into what is gone.
            let _ = element.set_state(gst::State::Null);
            let _ = self.0.pipeline.remove(element);
        }
    }

    /// Asks for a key frame of a track.
    pub(super) fn ask(&self, direction: Direction, place: Place) {
        let is_it = |way: &&Way| way.direction == direction && way.place == place;
        // Of several, the last one lives.
        if let Some(way) = self.0.ways().iter().rev().find(is_it) {
            (way.ask)();
        }
    }

    /// Lets nothing more come. Blocks.
    pub(super) fn stop(&self) {
        let _ = self.0.pipeline.set_state(gst::State::Null);
    }
}

impl Inner {
    fn ways(&self) -> MutexGuard<'_, Vec<Way>> {
        // Nothing in here panics half-way through a change.
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.direction, self.place)
    }
}

/// What brings frames into the form that files are written from.
fn parser(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Vp8 | Encoding::Opus => "identity",
        Encoding::Vp9 => "vp9parse",
        Encoding::H264 => {
            "h264parse config-interval=-1 \
             ! capsfilter caps=video/x-h264,stream-format=byte-stream,alignment=au"
        }
        Encoding::Av1 => {
            "av1parse ! capsfilter caps=video/x-av1,stream-format=obu-stream,alignment=tu"
        }
    }
}

fn pieces(
    encoding: Encoding,
    place: (Place, usize),
    take: impl Fn(Piece) -> bool + Send + Sync + 'static,
) -> AppSinkCallbacks {
    let mut is_behind = false;
    AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if let Some(piece) = piece(&sample, encoding, place) {
                is_behind &= !piece.is_key;
                if !is_behind {
                    let fits = take(piece);
                    // Sound goes on where it can; a picture needs the ones before it.
                    is_behind = !fits && encoding.is_picture();
                }
            }
            Ok(gst::FlowSuccess::Ok)
        })
        .build()
}

fn piece(sample: &gst::Sample, encoding: Encoding, (place, way): (Place, usize)) -> Option<Piece> {
    let frame = on_timeline(sample)?;
    let at = frame.pts()?;
    let is_key = !encoding.is_picture() || !frame.flags().contains(gst::BufferFlags::DELTA_UNIT);
    let bytes = frame.map_readable().ok()?;
    let form = if is_key {
        form(encoding, sample.caps(), &bytes)
    } else {
        None
    };
    Some(Piece {
        place,
        way,
        at,
        is_key,
        form,
        data: payload::stored(encoding, &bytes),
    })
}

/// What a file has to say of a track, by a key frame and its caps.
fn form(encoding: Encoding, caps: Option<&gst::CapsRef>, key_frame: &[u8]) -> Option<Form> {
    let size = || size_of(&caps?.to_owned());
    let (size, setup) = match encoding {
        Encoding::Opus => (None, payload::opus_head(channels(caps))),
        Encoding::Vp8 => (
            Some(payload::vp8_size(key_frame).or_else(size)?),
            Vec::new(),
        ),
        Encoding::Vp9 => (Some(size()?), Vec::new()),
        Encoding::H264 => (Some(size()?), payload::avcc(key_frame)?),
        Encoding::Av1 => (
            Some(size()?),
            codec_data(caps).or_else(|| payload::av1c(key_frame))?,
        ),
    };
    Some(Form {
        encoding,
        size,
        setup,
    })
}

fn channels(caps: Option<&gst::CapsRef>) -> u8 {
    let channels = caps.and_then(|caps| caps.structure(0)?.get::<i32>("channels").ok());
    channels
        .and_then(|channels| u8::try_from(channels).ok())
        .filter(|channels| *channels == 1)
        .unwrap_or(2)
}

fn codec_data(caps: Option<&gst::CapsRef>) -> Option<Vec<u8>> {
    let data = caps?.structure(0)?.get::<gst::Buffer>("codec_data").ok()?;
    Some(data.map_readable().ok()?.to_vec())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    use super::*;
    use crate::media::Kind;

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn as_many_connections_as_it_takes_bring_a_track_one_after_the_other() {
        gst::init().expect("GStreamer is installed");
        let tracks = Tracks::new(&Timeline::default()).expect("a pipeline");
        let (taken, pieces) = sync_channel(1);
        for number in 0..2 * MAX_WAYS {
            let taken = taken.clone();
            let way = tracks
                .way(
                    Direction::Received,
                    (Kind::Audio, 0),
                    Codec::Opus,
                    || {},
                    move |piece| taken.try_send(piece.way).is_ok(),
                )
                .expect("there is room for another way");
            way.set_caps(Some(
                &gst::Caps::builder("audio/x-opus")
                    .field("channels", 2)
                    .build(),
            ));
            let mut frame = gst::Buffer::from_slice([0_u8; 10]);
            let description = frame.get_mut().expect("nobody else has it");
            description.set_pts(gst::ClockTime::from_mseconds(20));
            way.push_buffer(frame).expect("it is taken");
            assert_eq!(pieces.recv_timeout(LIMIT), Ok(number));
            assert!(tracks.0.ways().len() <= MAX_WAYS_OF_A_TRACK);
            assert!(tracks.0.pipeline.children().len() <= 3 * MAX_WAYS_OF_A_TRACK);
        }
    }
}
