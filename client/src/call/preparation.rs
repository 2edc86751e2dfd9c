//! What a program does once, before its first call.

use std::sync::Arc;

use async_channel::bounded;
use async_signal::{Signal, Signals};
use async_std::future::timeout;
use async_std::task::{self, JoinHandle};
use futures_util::StreamExt as _;

use super::CLOSE_DEADLINE;
use crate::capture::{Capture, Timeline};
use crate::config::{Config, Connection, Show, Trust};
use crate::devices;
use crate::encoder_probe;
use crate::encoders::CATALOGUE;
use crate::failure::{Failure, FailureKind};
use crate::graph;
use crate::ice_servers::IceServers;
use crate::media::{AudioSource, Kind, Media};
use crate::negotiation::Step;
use crate::peer::{PeerConnection, PeerEvent, PeerSettings};
use crate::plugins;
use crate::prescan;
use crate::receive::{self, Outputs};
use crate::receiving::{EchoCancellation, Play, Receiving};
use crate::turn_tls::TurnTls;

/// Chooses encoders and builds what will be captured and encoded, without starting any of it. What was
/// chosen is noted in `media`, where a codec goes first in which a source can be sent as it is. Blocks for as long as encoders in hardware take to prove themselves, if
/// there are any.
///
/// # Errors
/// Says what is missing: a plugin, or an element that takes what was asked of it.
pub fn build_capture(media: &mut Media, timeline: &Timeline) -> Result<Capture, Failure> {
    plugins::check(&graph::capture_elements(media))?;
    if media.sends(Kind::Video) {
        media.encoding = encoder_probe::choose(CATALOGUE, media)?;
        if let Some(codec) = prescan::passing_codec(media, timeline) {
            media.encoding.prefer(codec);
        }
    }
    Capture::new(media, timeline)
        .map_err(|error| Failure::new(FailureKind::Other, format!("{error:#}")))
}

/// Gets everything ready that a call will need, so that what cannot work fails now and the first call
/// is as quick as the tenth.
///
/// # Errors
/// Says what is missing: a display, a sound server, a device.
pub async fn prepare(
    capture: &Capture,
    timeline: Timeline,
    media: &Media,
    connection: &Connection,
    show: Show,
    receiving: &Receiving,
) -> Result<PeerSettings, Failure> {
    let turn_tls = turn_tls(&connection.turn_trust).await?;
    let settings = PeerSettings {
        media: media.clone(),
        timeline,
        outputs: outputs(show, receiving.clone(), media.voice.echo_cancellation).await?,
        ice: connection.ice.clone(),
        turn_tls,
        ice_policy: connection.ice_policy,
        local_address: connection.local_address,
        data: false,
        recorder: None,
        adapts: false,
    };
    let warm_up = task::spawn(warm_up(settings.clone()));
    // The first of each kind is tried; the others are only looked for.
    let others = Kind::ALL
        .into_iter()
        .flat_map(|kind| media.origins(kind).into_iter().skip(1));
    let looking = task::spawn(devices::warn_of_missing(others.collect()));
    let rehearsed = capture.rehearse().await;
    // Whatever came of it: a program must not end while plugins are being loaded.
    warm_up.await;
    looking.await;
    rehearsed.map(|()| settings)
}

/// Calls `stop` at every signal that asks a program to end, until it says that nothing is left to
/// stop, by false.
///
/// # Errors
/// When the system does not hand out signals.
pub fn watch_signals(stop: impl Fn() -> bool + Send + 'static) -> Result<JoinHandle<()>, Failure> {
    let mut signals = Signals::new([Signal::Int, Signal::Term, Signal::Hup])
        .map_err(|error| Failure::new(FailureKind::Other, format!("no signals: {error}")))?;
    Ok(task::spawn(async move {
        while signals.next().await.is_some() && stop() {}
    }))
}

/// What is named by hand is read now, so that it fails now. What the system trusts is read when a TURN
/// server needs it.
async fn turn_tls(trust: &Trust) -> Result<TurnTls, Failure> {
    let turn_tls = TurnTls::new(trust.clone());
    if *trust != Trust::System {
        let reading = turn_tls.clone();
        task::spawn_blocking(move || reading.connector()).await?;
    }
    Ok(turn_tls)
}

/// Where what comes in is shown and played.
async fn outputs(show: Show, receiving: Receiving, is_heard: bool) -> Result<Outputs, Failure> {
    let shows = match show {
        Show::Window => true,
        Show::WindowWherePossible => Outputs::display_is_there(),
        Show::Nowhere => false,
    };
    if !shows && receiving.play != Play::Yes {
        return Ok(Outputs::NONE);
    }
    task::spawn_blocking(move || {
        let outputs = match shows {
            true => Outputs::window(),
            false => Ok(Outputs::NONE),
        };
        let outputs = match outputs {
            // Nobody asked for a window; where none can be had, none is missed.
            Err(_) if show == Show::WindowWherePossible => Outputs::NONE,
            outputs => outputs?,
        };
        let outputs = outputs.with_sound(&receiving)?;
        Ok(match is_heard {
            true => outputs.heard(),
            false => outputs,
        })
    })
    .await
}

/// Whether the echo of what is played has to be taken out of what a microphone hears.
pub(super) fn has_echo(config: &Config) -> bool {
    let media = &config.media;
    let mut microphones = std::iter::once(&media.audio).chain(&media.others.audio);
    let plays = match config.receiving.play {
        Play::Yes => true,
        Play::No => false,
        Play::WithWindow => match config.show {
            Show::Window => true,
            Show::WindowWherePossible => Outputs::display_is_there(),
            Show::Nowhere => false,
        },
    };
    match config.receiving.echo {
        EchoCancellation::On => true,
        EchoCancellation::Off => false,
        EchoCancellation::Auto => {
            plays && microphones.any(|source| matches!(source, AudioSource::Mic(_)))
        }
    }
}

/// Makes one offer and the decoders for what it asks for, and throws them away: plugins are loaded
/// then, and the certificate that all connections of the process share is made. No server is asked.
async fn warm_up(mut settings: PeerSettings) {
    settings.ice = IceServers::default();
    let likely = |kind| settings.media.codecs(kind).first().copied();
    let codecs: Vec<_> = Kind::ALL.into_iter().filter_map(likely).collect();
    task::spawn_blocking(move || receive::warm_up(&codecs)).await;
    let (described, done) = bounded(1);
    let listener = Arc::new(move |event| {
        if let PeerEvent::Described(_) | PeerEvent::Failed(_) = event {
            let _ = described.try_send(());
        }
    });
    let Ok(mut peer) = PeerConnection::new(&settings, listener) else {
        return;
    };
    peer.negotiate(Step::CreateOffer);
    // Late or not at all, the first call will tell.
    let _ = timeout(CLOSE_DEADLINE, done.recv()).await;
    peer.close().await;
}
