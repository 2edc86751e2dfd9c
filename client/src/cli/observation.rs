//! The options by which a running client can be looked into.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::observation::Observation;

/// How a running client can be looked into.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ObservationArgs {
    /// Give statistics to Prometheus at http://ADDRESS:PORT/metrics. Whoever reaches the address reads
    /// them; 127.0.0.1 is reached by this machine alone
    #[arg(long, value_name = "ADDRESS:PORT")]
    stats_listen: Option<SocketAddr>,

    /// Draw the pipelines into this file, for Graphviz, whenever a call is connected and at SIGUSR1;
    /// as a picture when it ends in .svg and `dot` is installed
    #[arg(long, value_name = "FILE")]
    dot: Option<PathBuf>,

    /// Log this of GStreamer as well, as in GST_DEBUG, for example webrtcbin:5
    #[arg(long, value_name = "CATEGORY:LEVEL,..")]
    gst_log: Option<String>,
}

impl ObservationArgs {
    /// What is meant.
    pub(super) fn into_observation(self) -> Observation {
        Observation {
            stats_listen: self.stats_listen,
            dot: self.dot,
            gst_log: self.gst_log,
        }
    }
}
