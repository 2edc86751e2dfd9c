//! Looks at this machine: what is installed, what is shown and heard here.

use std::env;

use gst::prelude::*;

use super::{Finding, level};
use crate::capture::{Capture, Timeline};
use crate::config::Show;
use crate::devices;
use crate::failure::{Failure, FailureKind};
use crate::graph;
use crate::media::{AudioSource, Kind, Media, VideoSource};
use crate::plugins;
use crate::receive::Outputs;

/// How long a message of the level may take.
const LEVEL_DEADLINE: gst::ClockTime = gst::ClockTime::from_seconds(5);

/// For how long the microphone is listened to, in messages of a tenth of a second.
const LEVELS: usize = 5;

/// Whether every element is there that a call needs.
pub fn plugins(media: &Media) -> Finding {
    const NAME: &str = "plugins";
    match plugins::check(&graph::capture_elements(media)) {
        Ok(()) => Finding::ok(
            NAME,
            format!("All elements are there; {}.", gst::version_string()),
        ),
        Err(failure) => Finding::failed(NAME, &failure),
    }
}

/// Whether there is a display that can be captured, and one to show windows on.
pub async fn display(media: &Media, show: Show) -> Finding {
    const NAME: &str = "display";
    if let VideoSource::Screen(_) = media.video {
        return match rehearse(&of_kind(media, Kind::Video)).await {
            Err(failure) => without_display(NAME, &failure),
            Ok(()) if is_wayland() => Finding::warning(
                NAME,
                "An X display can be captured, but this session is one of Wayland: only programs \
                 that use X are seen in the picture.",
                "Log in to a session of X11 to send the whole screen.",
            ),
            Ok(()) => Finding::ok(NAME, "The X display can be captured."),
        };
    }
    match (show, Outputs::display_is_there()) {
        (Show::Nowhere, _) => {
            Finding::skipped(NAME, "Neither is the screen sent nor a window shown.")
        }
        (_, true) => Finding::ok(NAME, "There is a display for windows."),
        (Show::Window, false) => Finding::problem(
            NAME,
            "There is no display for a window.",
            "Set DISPLAY or WAYLAND_DISPLAY, or show nothing with --show none.",
        ),
        (_, false) => Finding::skipped(NAME, "There is no display, and none is asked for."),
    }
}

fn without_display(name: &'static str, failure: &Failure) -> Finding {
    if is_wayland() && failure.kind == FailureKind::Display {
        return Finding::problem(
            name,
            failure.sentence.clone(),
            "This session is one of Wayland, whose screen cannot be captured; log in to a session \
             of X11, or send another picture with --video.",
        );
    }
    Finding::failed(name, failure)
}

fn is_wayland() -> bool {
    env::var("XDG_SESSION_TYPE").is_ok_and(|kind| kind == "wayland")
        || env::var_os("WAYLAND_DISPLAY").is_some_and(|name| !name.is_empty())
}

/// Whether there is a sound server, and a microphone that is heard.
pub async fn sound(media: &Media, show: Show) -> Vec<Finding> {
    const NAME: &str = "sound";
    let AudioSource::Mic(device) = &media.audio else {
        let microphone = Finding::skipped("microphone", "No microphone is sent.");
        return vec![playing(show).await, microphone];
    };
    match rehearse(&of_kind(media, Kind::Audio)).await {
        Err(failure) if failure.kind == FailureKind::Device => vec![
            Finding::ok(NAME, "The sound server answers."),
            Finding::failed("microphone", &failure),
        ],
        Err(failure) => vec![
            Finding::failed(NAME, &failure),
            Finding::skipped("microphone", "There is no sound server to ask for it."),
        ],
        Ok(()) => {
            let device = device.clone();
            let heard = async_std::task::spawn_blocking(move || loudest(device.as_deref())).await;
            vec![
                Finding::ok(NAME, "The sound server answers."),
                match heard {
                    Some(decibels) => level(decibels),
                    None => Finding::skipped("microphone", "Its level cannot be measured."),
                },
            ]
        }
    }
}

/// Whether what comes in could be played.
async fn playing(show: Show) -> Finding {
    const NAME: &str = "sound";
    // What is shown nowhere is played nowhere.
    let is_shown = match show {
        Show::Window => true,
        Show::WindowWherePossible => Outputs::display_is_there(),
        Show::Nowhere => false,
    };
    if !is_shown {
        return Finding::skipped(NAME, "No sound server is asked for.");
    }
    let opens = async_std::task::spawn_blocking(|| {
        let sink = gst::ElementFactory::make("pulsesink").build().ok()?;
        let opened = sink.set_state(gst::State::Ready);
        let _ = sink.set_state(gst::State::Null);
        opened.ok()
    });
    match opens.await {
        Some(_) => Finding::ok(NAME, "The sound server answers."),
        None => Finding::warning(
            NAME,
            "No sound server can be reached: what comes in will not be heard.",
            "Start PulseAudio or PipeWire.",
        ),
    }
}

async fn rehearse(media: &Media) -> Result<(), Failure> {
    let elements = graph::capture_elements(media);
    plugins::check(&elements)?;
    let capture = Capture::new(media, &Timeline::default())
        .map_err(|error| Failure::new(FailureKind::Other, format!("{error:#}")))?;
    capture.rehearse().await
}

/// The loudest level of a source in half a second, in decibels of full scale. Blocks.
fn loudest(device: Option<&str>) -> Option<f64> {
    let launch = "pulsesrc name=source ! audioconvert ! level interval=100000000 ! fakesink";
    let pipeline = pipeline(launch).ok()?;
    if let Some(device) = device {
        pipeline.by_name("source")?.set_property("device", device);
    }
    let bus = pipeline.bus()?;
    let _ = pipeline.set_state(gst::State::Playing);
    let kinds = [gst::MessageType::Element, gst::MessageType::Error];
    let loudest = (0..LEVELS)
        .map_while(|_| {
            peak(
                bus.timed_pop_filtered(LEVEL_DEADLINE, &kinds)?
                    .structure()?,
            )
        })
        .reduce(f64::max);
    let _ = pipeline.set_state(gst::State::Null);
    loudest
}

/// A pipeline out of a text of ours.
pub(super) fn pipeline(launch: &str) -> Result<gst::Pipeline, String> {
    let element = gst::parse::launch(launch).map_err(|error| error.to_string())?;
    element
        .downcast::<gst::Pipeline>()
        .map_err(|_| "it is no pipeline".to_owned())
}

/// The loudest channel of a message of `level`.
fn peak(message: &gst::StructureRef) -> Option<f64> {
    let peaks = message.get::<gst::glib::ValueArray>("peak").ok()?;
    let peaks = peaks.iter().filter_map(|peak| peak.get::<f64>().ok());
    peaks.reduce(f64::max)
}

/// Which cameras there are, who holds them, and whether the one that is to be sent gives a picture.
pub async fn camera(media: &Media) -> Finding {
    const NAME: &str = "camera";
    let found = async_std::task::spawn_blocking(|| {
        let cameras = devices::cameras::cameras();
        let said = cameras.iter().map(|camera| {
            let holders = devices::who_holds(&camera.path);
            match holders.is_empty() {
                true => camera.to_string(),
                false => format!("{camera}, held by {}", holders.join(" and ")),
            }
        });
        said.collect::<Vec<_>>().join("; ")
    });
    let found = found.await;
    if let VideoSource::Camera(_) = media.video {
        return match rehearse(&of_kind(media, Kind::Video)).await {
            Ok(()) => Finding::ok(NAME, format!("It gives a picture: {found}.")),
            Err(failure) => Finding::failed(NAME, &failure),
        };
    }
    match found.is_empty() {
        true => Finding::skipped(NAME, "There is no camera, and none is asked for."),
        false => Finding::ok(NAME, format!("There is {found}; none is asked for.")),
    }
}

/// Whether a source that is neither screen, camera nor microphone gives frames.
pub async fn sources(media: &Media) -> Vec<Finding> {
    const NAME: &str = "source";
    let mut findings = Vec::new();
    let of_pictures = matches!(
        media.video,
        VideoSource::File(_) | VideoSource::Uri(_) | VideoSource::Pipeline(_)
    );
    let of_sound = matches!(
        media.audio,
        AudioSource::File(_) | AudioSource::Uri(_) | AudioSource::Pipeline(_)
    );
    for (kind, _) in [(Kind::Video, of_pictures), (Kind::Audio, of_sound)]
        .into_iter()
        .filter(|(_, is_looked_at)| *is_looked_at)
    {
        findings.push(match rehearse(&of_kind(media, kind)).await {
            Ok(()) => Finding::ok(NAME, format!("The source of {kind} gives frames.")),
            Err(failure) => Finding::failed(NAME, &failure),
        });
    }
    findings
}

/// What is sent, without the other kind.
fn of_kind(media: &Media, kind: Kind) -> Media {
    let mut alone = media.clone();
    match kind {
        Kind::Video => alone.audio = AudioSource::None,
        Kind::Audio => alone.video = VideoSource::None,
    }
    alone
}
