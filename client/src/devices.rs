//! What this machine has to capture and to play with: asked of the X server, of the sound server and
//! of the kernel, each off the loop and for a bounded time.

pub mod cameras;
pub mod grab;
mod holders;
mod missing;
mod sound;
pub mod x11;

use std::time::Duration;

use crate::failure::Failure;
use crate::inventory::{Inventory, Note, Section};
use crate::media::Origin;
use crate::printer::Printer;

pub use holders::who_holds;
pub use missing::missing;
pub use sound::has_sound_server;
use x11::{Display, DisplayKind, display_kind};

/// How long each of them is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Prints what there is.
///
/// # Errors
/// Never: what is missing is said in the list.
pub async fn list(display: Option<String>, printer: Printer) -> Result<(), Failure> {
    // Nobody reads it: then there is nothing to say.
    let _ = printer.print(&inventory(display).await);
    Ok(())
}

/// What there is, and a sentence for each kind of which there is nothing.
pub async fn inventory(display: Option<String>) -> Inventory {
    let mut inventory = Inventory::default();
    let sections = Section::ALL.map(|section| {
        let display = display.clone();
        async move { (section, part(section, display).await) }
    });
    for (section, part) in futures_util::future::join_all(sections).await {
        match part {
            Ok(part) => inventory.merge(part),
            Err(sentence) => inventory.notes.push(Note {
                about: section,
                sentence,
            }),
        }
    }
    inventory
}

/// Warns of those of these sources that could not be opened just now. They may be there by the time they
/// are wanted, so that nothing else comes of it.
pub async fn warn_of_missing(origins: Vec<Origin>) {
    let looking = origins.into_iter().map(|origin| async move {
        let label = origin.label();
        let looked = async_std::task::spawn_blocking(move || missing(&origin));
        if let Ok(Some(sentence)) = async_std::future::timeout(PATIENCE, looked).await {
            tracing::warn!("the source {label:?} cannot be sent as it is: {sentence}");
        }
    });
    futures_util::future::join_all(looking).await;
}

/// What there is of one kind, or why there is nothing.
async fn part(section: Section, display: Option<String>) -> Result<Inventory, String> {
    let looking = async_std::task::spawn_blocking(move || look(section, display.as_deref()));
    async_std::future::timeout(PATIENCE, looking)
        .await
        .unwrap_or_else(|_| Err(format!("Nothing answered for {} s.", PATIENCE.as_secs())))
}

fn look(section: Section, display: Option<&str>) -> Result<Inventory, String> {
    let mut found = Inventory::default();
    let nothing = |is_empty: bool, sentence: &str| match is_empty {
        true => Err(sentence.to_owned()),
        false => Ok(()),
    };
    match section {
        Section::Cameras => {
            found.cameras = cameras::cameras();
            nothing(
                found.cameras.is_empty(),
                "There is no camera that this user can see; those of the group video see all.",
            )?;
        }
        Section::Microphones => {
            found.microphones = sounds(sound::INPUTS)?;
            nothing(
                found.microphones.is_empty(),
                "The sound server has no microphone.",
            )?;
        }
        Section::Outputs => {
            found.outputs = sounds(sound::OUTPUTS)?;
            nothing(found.outputs.is_empty(), "The sound server has no output.")?;
        }
        Section::Monitors => {
            let display = Display::open(display).map_err(|failure| failure.sentence)?;
            found.monitors = display
                .monitors()
                .map_err(|error| x11::silent(&error).sentence)?;
            nothing(
                found.monitors.is_empty(),
                "The X display has no monitor, only a screen.",
            )?;
        }
        Section::Windows => {
            let display = Display::open(display).map_err(|failure| failure.sentence)?;
            found.windows = display
                .windows()
                .map_err(|error| x11::silent(&error).sentence)?;
            nothing(found.windows.is_empty(), no_window())?;
        }
    }
    Ok(found)
}

fn sounds(class: &str) -> Result<Vec<crate::inventory::SoundDevice>, String> {
    match has_sound_server() {
        true => Ok(sound::devices(class)),
        false => Err("There is no sound server; start PulseAudio or PipeWire.".into()),
    }
}

fn no_window() -> &'static str {
    match display_kind() {
        DisplayKind::WaylandWithX11 | DisplayKind::Wayland => {
            "There is no X11 window; those of Wayland cannot be seen by another program."
        }
        DisplayKind::X11 | DisplayKind::None => "There is no window with a title.",
    }
}
