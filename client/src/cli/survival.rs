//! How long a call is held on to.

use std::time::Duration;

/// How long a call is held on to.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct SurvivalArgs {
    /// How long to wait for a peer from whom nothing comes any more, and to look for another way to it
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(5..=86_400))]
    patience: u32,
}

impl SurvivalArgs {
    pub(super) fn patience(self) -> Duration {
        Duration::from_secs(self.patience.into())
    }
}
