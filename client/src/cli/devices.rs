//! The options about devices: which there are, and which part of a screen is meant.

use crate::inventory::{MonitorName, WindowName};

/// Says what there is.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ListingArgs {
    /// List cameras, microphones, outputs, monitors and windows, and end; with --json as one JSON
    /// object
    #[arg(long)]
    pub(super) list_devices: bool,
}

/// Which part of the screen.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct PartArgs {
    /// Capture this window alone: its number, or a part of its title; --list-devices lists them
    #[arg(long, value_name = "ID|TITLE", conflicts_with_all = ["region", "monitor"])]
    pub(super) window: Option<WindowName>,

    /// Capture this monitor alone: its name, or its place in what --list-devices lists
    #[arg(long, value_name = "NAME|NUMBER", conflicts_with = "region")]
    pub(super) monitor: Option<MonitorName>,
}
