//! One native end of a call: what it captures, how it calls and is called, what it shows.
//!
//! Pure files decide, glue acts, and [`call`] is the loop that ties them together; `ARCHITECTURE.md`
//! is the map, and `scripts/layers.txt` has every file with its layer.

pub mod addresses;
pub mod allocator;
pub mod api;
pub mod backoff;
pub mod call;
pub mod camera;
pub mod capture;
pub mod cli;
pub mod command;
pub mod config;
pub mod console;
pub mod control;
pub mod cursor;
pub mod data;
pub mod devices;
pub mod diagnosis;
pub mod doctor;
pub mod dot;
pub mod echo;
pub mod encoder;
pub mod encoder_list;
pub mod encoder_probe;
pub mod encoders;
pub mod encoding;
pub mod exposition;
pub mod failure;
pub mod feed;
pub mod files;
pub mod fingerprint;
pub mod graph;
pub mod gst_log;
pub mod ice_servers;
pub mod inbox;
mod intake;
pub mod inventory;
pub mod ladder;
pub mod lines;
pub mod link;
pub mod media;
pub mod metrics;
pub mod negotiation;
pub mod observation;
pub mod passing;
pub mod peer;
pub mod picture_rate;
pub mod plugins;
mod prescan;
pub mod presence;
pub mod printer;
pub mod probing;
pub mod profile;
pub mod program;
pub mod progress;
pub mod receive;
pub mod receiving;
pub mod record;
pub mod redaction;
pub mod report;
pub mod safety_words;
pub mod sdp;
pub mod session;
pub mod signaller;
pub mod source;
pub mod stats;
mod studio;
pub mod switcher;
pub mod timeline;
pub mod transfer;
pub mod trust;
pub mod turn_tls;
pub mod viewing;
pub mod wire;

/// Starts GStreamer, with the elements that are part of this library. To be called before anything
/// else; again is harmless.
///
/// # Errors
/// When GStreamer does not start.
pub fn init() -> Result<(), failure::Failure> {
    plugins::start()
}
