//! GStreamer's log, carried into ours.

use std::env;

use gst::DebugLevel;

use crate::redaction::redact;

/// Passes what GStreamer logs on to our log, under the target `gst`, without passwords. What it logs is
/// a matter of `GST_DEBUG`, as always, and of `more`, which is written likewise. Where
/// `GST_DEBUG_FILE` asks for a file, it goes there as well.
pub fn carry(more: Option<&str>) {
    if let Some(more) = more {
        gst::log::set_active(true);
        gst::log::set_threshold_from_string(more, false);
    }
    if env::var_os("GST_DEBUG_FILE").is_none() {
        gst::log::remove_default_log_function();
    }
    gst::log::add_log_function(|category, level, file, _, line, object, message| {
        let text = message.get();
        let text = redact(text.as_deref().unwrap_or_default());
        let (category, file) = (category.name(), file.as_str());
        let object = object.map(|object| object.to_string()).unwrap_or_default();
        let object = redact(&object);
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the others are chattier still"
        )]
        match level {
            DebugLevel::Error => {
                tracing::error!(target: "gst", category, %object, file, line, "{text}");
            }
            DebugLevel::Warning => {
                tracing::warn!(target: "gst", category, %object, file, line, "{text}");
            }
            DebugLevel::Fixme | DebugLevel::Info => {
                tracing::info!(target: "gst", category, %object, file, line, "{text}");
            }
            DebugLevel::Debug => {
                tracing::debug!(target: "gst", category, %object, file, line, "{text}");
            }
            _ => tracing::trace!(target: "gst", category, %object, file, line, "{text}"),
        }
    });
}

/// Whether anybody has asked for GStreamer's log.
pub fn is_wanted(more: Option<&str>) -> bool {
    more.is_some() || env::var_os("GST_DEBUG").is_some()
}
