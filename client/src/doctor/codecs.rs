//! Proves with frames that what may be sent can be encoded here, and decoded again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_channel::Sender;
use gst::prelude::*;
use gst_app::{AppSink, AppSrc};

use super::machine::pipeline;
use super::{Finding, frames};
use crate::capture::set_property;
use crate::encoder_probe::{self, Verdict};
use crate::encoders::CATALOGUE;
use crate::graph::{self, Setting};
use crate::media::{Codec, Kind, Media, VideoCodec};
use crate::plugins;

/// How many pieces of sound are encoded.
const PIECES: u32 = 10;

/// How long one of the small pipelines may take.
const PIPELINE_DEADLINE: gst::ClockTime = gst::ClockTime::from_seconds(5);

/// What can be done about a codec that does not work.
const OTHER_CODEC: &str = "Install what `plugins` says, or choose another codec with --video-codec; \
                           --list-encoders says more.";

/// Looks at every codec that may be sent, and says of one after the other what was found: of those first
/// without which there is no call, one of each kind. Blocks.
pub(super) fn prove(media: &Media, tell: &Sender<Vec<Finding>>) {
    let mut media = media.clone();
    if media.sends(Kind::Video) {
        match encoder_probe::choose(CATALOGUE, &media) {
            Ok(encoding) => media.encoding = encoding,
            Err(failure) => {
                let _ = tell.send_blocking(vec![Finding::failed("encoder", &failure)]);
                return;
            }
        }
    }
    let kinds = Kind::ALL.into_iter().filter(|kind| media.sends(*kind));
    let of_kinds: Vec<_> = kinds.map(|kind| media.codecs(kind)).collect();
    let first = of_kinds.iter().filter_map(|codecs| codecs.first());
    let needed = first.map(|codec| prove_one(&media, *codec));
    let others = of_kinds.iter().flat_map(|codecs| codecs.iter().skip(1));
    let others = others.map(|codec| {
        let of_codec = prove_one(&media, *codec).into_iter();
        of_codec.map(Finding::softened).collect()
    });
    for findings in needed.chain(others) {
        if tell.send_blocking(findings).is_err() {
            return;
        }
    }
}

fn prove_one(media: &Media, codec: Codec) -> Vec<Finding> {
    let (finding, encoded) = match codec {
        Codec::Video(codec) => encode_pictures(media, codec),
        Codec::Opus => encode_sound(media),
    };
    // Without frames there is nothing to decode.
    let decoder = (!encoded.is_empty()).then(|| decode(codec, &encoded));
    [finding].into_iter().chain(decoder).collect()
}

/// By the same proof by which a call chooses its encoder.
fn encode_pictures(media: &Media, codec: VideoCodec) -> (Finding, Vec<gst::Sample>) {
    const NAME: &str = "encoder";
    let candidate = media.encoding.encoder_of(codec);
    let element = candidate.element;
    let reason = match encoder_probe::trial(candidate, media) {
        Ok(trial) => {
            let seen = format!(
                "{element} works: {} frames went in and came out, {:.1} ms each.",
                trial.frames.len(),
                trial.ms_per_frame
            );
            return (Finding::ok(NAME, seen), trial.frames);
        }
        Err(Verdict::Rejected(reason)) => reason,
        Err(Verdict::Missing | Verdict::Proven { .. }) => "it is not installed".to_owned(),
    };
    let seen = format!("{element} does not encode here: {reason}.");
    (Finding::problem(NAME, seen, OTHER_CODEC), Vec::new())
}

fn encode_sound(media: &Media) -> (Finding, Vec<gst::Sample>) {
    const NAME: &str = "encoder";
    let encoder = graph::encoder(Codec::Opus, media);
    // Each as long as a frame of Opus.
    let launch = format!(
        "audiotestsrc num-buffers={PIECES} samplesperbuffer=960 \
         ! audio/x-raw,format=S16LE,rate=48000,channels=2 ! {} \
         ! appsink name=encoded sync=false wait-on-eos=false",
        encoder.launch
    );
    match run_encoder(&launch, &encoder.settings) {
        Ok(encoded) => {
            let finding = frames(NAME, "opusenc", PIECES as usize, encoded.len());
            (finding, encoded)
        }
        Err(reason) => {
            let seen = format!("opusenc does not encode here: {reason}.");
            let fix = "Install what `plugins` says.";
            (Finding::problem(NAME, seen, fix), Vec::new())
        }
    }
}

/// Runs a pipeline to its end and returns what came to its appsink.
fn run_encoder(launch: &str, settings: &[Setting]) -> Result<Vec<gst::Sample>, String> {
    let pipeline = pipeline(launch)?;
    for Setting {
        element,
        property,
        value,
    } in settings
    {
        if let Some(element) = pipeline.by_name(element) {
            // Versions differ in what they know, and a call goes without what they do not.
            let _ = set_property(&element, property, value);
        }
    }
    let sink = pipeline.by_name("encoded");
    let sink = sink.and_then(|sink| sink.downcast::<AppSink>().ok());
    let sink = sink.ok_or("it has no end")?;
    let outcome = finish(&pipeline);
    let pieces = std::iter::from_fn(|| sink.try_pull_sample(gst::ClockTime::ZERO)).collect();
    let _ = pipeline.set_state(gst::State::Null);
    outcome.map(|()| pieces)
}

/// Gives frames to the decoder that a call would use.
fn decode(codec: Codec, encoded: &[gst::Sample]) -> Finding {
    const NAME: &str = "decoder";
    let Some(decoder) = plugins::decoder(codec) else {
        let seen = format!("Nothing is installed that decodes {codec}.");
        return Finding::problem(NAME, seen, OTHER_CODEC);
    };
    let element = decoder.split(' ').next().unwrap_or(decoder);
    match run_decoder(codec, decoder, encoded) {
        Ok(decoded) => frames(NAME, element, encoded.len(), decoded),
        Err(reason) => {
            let seen = format!("{element} does not decode {codec} here: {reason}.");
            Finding::problem(NAME, seen, OTHER_CODEC)
        }
    }
}

/// How many frames come out.
fn run_decoder(codec: Codec, decoder: &str, encoded: &[gst::Sample]) -> Result<usize, String> {
    let parser = match codec {
        Codec::Video(VideoCodec::H264) => "h264parse ! ",
        Codec::Video(_) | Codec::Opus => "",
    };
    let pipeline = pipeline(&format!(
        "appsrc name=encoded format=time max-bytes=0 ! {parser}{decoder} \
         ! fakesink name=decoded sync=false"
    ))?;
    let source = pipeline.by_name("encoded");
    let source = source.and_then(|source| source.downcast::<AppSrc>().ok());
    let source = source.ok_or("it has no beginning")?;
    let decoded = count(&pipeline, "decoded");
    let pushed = encoded
        .iter()
        .try_for_each(|sample| source.push_sample(sample).map(|_| ()))
        .and_then(|()| source.end_of_stream().map(|_| ()));
    let outcome = pushed
        .map_err(|error| error.to_string())
        .and_then(|()| finish(&pipeline));
    let _ = pipeline.set_state(gst::State::Null);
    outcome.map(|()| decoded.load(Ordering::Relaxed))
}

fn count(pipeline: &gst::Pipeline, name: &str) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    if let Some(pad) = pipeline.by_name(name).and_then(|e| e.static_pad("sink")) {
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            counting.fetch_add(1, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
    }
    count
}

fn finish(pipeline: &gst::Pipeline) -> Result<(), String> {
    let bus = pipeline.bus().ok_or("it has no bus")?;
    let started = pipeline.set_state(gst::State::Playing);
    let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
    let last = bus.timed_pop_filtered(PIPELINE_DEADLINE, &kinds);
    match last.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Error(error)) => Err(error.error().to_string()),
        Some(_) if started.is_ok() => Ok(()),
        _ => Err("it did not come to its end in time".into()),
    }
}
