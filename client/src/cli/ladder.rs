//! The option about the qualities in which a picture is encoded.

use crate::ladder::{self, Ladder, Rung};
use crate::media::{Media, VideoSource};

/// In which qualities the picture is there to be had.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct LadderArgs {
    /// The qualities below the best one, for those whose network does not carry that: auto, none, or up
    /// to three of WIDTHxHEIGHT@FRAMES:KBPS, the better before the worse. Each is encoded once, and only
    /// while somebody watches it. With auto there are two: of a camera's picture smaller ones, of a
    /// screen a slower one first
    #[arg(long, default_value = "auto", value_name = "RUNG,..", value_parser = read)]
    ladder: Wanted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Auto,
    Rungs(Vec<Rung>),
}

impl LadderArgs {
    /// Why the rungs make no sense below what `media` sends at best.
    pub(super) fn conflict(&self, media: &Media) -> Option<String> {
        let Wanted::Rungs(rungs) = &self.ladder else {
            return None;
        };
        let refused = Ladder::of(media.format, rungs.clone()).err()?;
        Some(format!("--ladder: {refused}"))
    }

    /// The rungs below what `media` sends at best.
    pub(super) fn into_lower(self, media: &Media) -> Vec<Rung> {
        match self.ladder {
            Wanted::Auto => {
                let is_screen = matches!(media.video, VideoSource::Screen(_));
                Ladder::below(media.format, is_screen).lower().to_vec()
            }
            Wanted::Rungs(rungs) => rungs,
        }
    }
}

fn read(text: &str) -> Result<Wanted, String> {
    match text {
        "auto" => Ok(Wanted::Auto),
        "none" => Ok(Wanted::Rungs(Vec::new())),
        rungs => {
            let rungs: Result<_, _> = rungs.split(',').map(ladder::parse).collect();
            Ok(Wanted::Rungs(rungs?))
        }
    }
}
