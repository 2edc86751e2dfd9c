//! The bit rate changes while an encoder runs, for every encoder that is installed; and an encoder that
//! everybody has left rests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_std::future::timeout;
use async_std::task::{block_on, sleep};
use client::capture::{Capture, Timeline};
use client::encoders::{CATALOGUE, Candidate};
use client::encoding::Encoding;
use client::media::{AudioSource, Codec, Media, Others, VideoFormat, VideoSource};
use client::plugins;
use gst::prelude::*;
use gst_app::AppSrc;

/// How long any of it may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

const RICH_KBPS: u32 = 1000;
const POOR_KBPS: u32 = 150;

/// One who watches a track and counts what comes.
struct Viewer {
    pipeline: gst::Pipeline,
    source: AppSrc,
    bytes: Arc<AtomicU64>,
    /// The time of the last frame, in nanoseconds.
    time: Arc<AtomicU64>,
}

impl Viewer {
    fn new(timeline: &Timeline) -> Self {
        let pipeline = gst::Pipeline::new();
        timeline.rule(&pipeline);
        let source = AppSrc::builder()
            .is_live(true)
            .format(gst::Format::Time)
            .build();
        let sink = gst::ElementFactory::make("fakesink")
            .property("sync", false)
            .property("async", false)
            .build()
            .expect("a fakesink");
        pipeline
            .add_many([source.upcast_ref(), &sink])
            .expect("both fit");
        source.link(&sink).expect("they link");
        let (bytes, time) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (size, last) = (Arc::clone(&bytes), Arc::clone(&time));
        let pad = source.static_pad("src").expect("a pad");
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let Some(gst::PadProbeData::Buffer(buffer)) = &info.data {
                size.fetch_add(buffer.size() as u64, Ordering::Relaxed);
                let time = buffer.pts().map_or(0, gst::ClockTime::nseconds);
                last.store(time, Ordering::Relaxed);
            }
            gst::PadProbeReturn::Ok
        });
        pipeline.set_state(gst::State::Playing).expect("it starts");
        Self {
            pipeline,
            source,
            bytes,
            time,
        }
    }

    /// How many bytes the frames of the next milliseconds have, waited for. An encoder may leave frames
    /// out to keep its rate.
    async fn bytes_of(&self, milliseconds: u64) -> u64 {
        until(|| self.time.load(Ordering::Relaxed) > 0).await;
        let end = self.time.load(Ordering::Relaxed) + milliseconds * 1_000_000;
        let before = self.bytes.load(Ordering::Relaxed);
        until(|| self.time.load(Ordering::Relaxed) >= end).await;
        self.bytes.load(Ordering::Relaxed) - before
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(DEADLINE, waiting).await.expect("in time");
}

/// A picture of which a part is noise, that no encoder can make small without making it worse.
fn noise(candidate: &'static Candidate) -> Media {
    Media {
        video: "test:smpte".parse::<VideoSource>().expect("a source"),
        format: VideoFormat {
            width: 320,
            height: 180,
            framerate: 30,
            bitrate_kbps: RICH_KBPS,
        },
        audio: AudioSource::None,
        others: Others::default(),
        voice: Default::default(),
        encoding: Encoding {
            codecs: vec![candidate.codec],
            chosen: vec![candidate],
            ..Encoding::default()
        },
    }
}

#[test]
fn every_encoder_follows_while_it_runs() {
    plugins::start().expect("GStreamer is installed");
    let installed = CATALOGUE
        .iter()
        .filter(|candidate| plugins::is_present(candidate.element));
    std::thread::scope(|scope| {
        for candidate in installed {
            scope.spawn(move || block_on(follows(candidate)));
        }
    });
}

async fn follows(candidate: &'static Candidate) {
    let timeline = Timeline::default();
    let capture = Capture::new(&noise(candidate), &timeline).expect("it can be built");
    capture.start().await;
    let track = capture
        .track(Codec::Video(candidate.codec))
        .expect("a track");
    let viewer = Viewer::new(&timeline);
    track.join(&viewer.source, Arc::default());
    // An encoder needs a while to come down to what it aims at.
    viewer.bytes_of(1000).await;
    let rich = viewer.bytes_of(1000).await;
    assert_eq!(capture.set_bitrate_kbps(POOR_KBPS), POOR_KBPS);
    viewer.bytes_of(1500).await;
    let poor = viewer.bytes_of(1000).await;
    capture.stop().await;
    assert!(
        poor < rich / 2,
        "{}: {rich}, then {poor}",
        candidate.element
    );
}

#[test]
fn the_bit_rate_keeps_its_bounds() {
    plugins::start().expect("GStreamer is installed");
    let capture = Capture::new(&Media::default(), &Timeline::default()).expect("it can be built");
    assert_eq!(capture.set_bitrate_kbps(0), 50);
    assert_eq!(capture.set_bitrate_kbps(u32::MAX), 50_000);
    assert_eq!(capture.set_bitrate_kbps(700), 700);
    assert_eq!(capture.bitrate_kbps(), 700);
}

#[test]
fn an_encoder_rests_when_everybody_has_left_and_goes_on_for_the_next() {
    plugins::start().expect("GStreamer is installed");
    let candidate = client::encoders::named("vp8enc").expect("it is known");
    block_on(async {
        let timeline = Timeline::default();
        let capture = Capture::new(&noise(candidate), &timeline).expect("it can be built");
        capture.start().await;
        let codec = Codec::Video(candidate.codec);
        let first = Viewer::new(&timeline);
        let track = capture.track(codec).expect("a track");
        track.join(&first.source, Arc::default());
        first.bytes_of(150).await;
        capture.rest();
        first.bytes_of(300).await;
        drop(first);
        until(|| {
            capture.rest();
            !track.is_encoded()
        })
        .await;
        let second = Viewer::new(&timeline);
        let track = capture.track(codec).expect("a track");
        capture.rest();
        track.join(&second.source, Arc::default());
        second.bytes_of(150).await;
        capture.stop().await;
    });
}
