//! How a running client can be looked into.

use std::net::SocketAddr;
use std::path::PathBuf;

/// How a running client can be looked into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// Where its statistics can be had over HTTP.
    pub stats_listen: Option<SocketAddr>,
    /// The file into which pictures of its pipelines are drawn.
    pub dot: Option<PathBuf>,
    /// What more of GStreamer's log is wanted, written as in `GST_DEBUG`.
    pub gst_log: Option<String>,
}
