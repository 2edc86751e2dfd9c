//! webrtcbin's promises as futures.

use std::time::Duration;

use anyhow::{Context as _, bail};
use async_std::future::timeout;
use gst::prelude::*;

/// A webrtcbin that is being closed may never reply.
const REPLY_DEADLINE: Duration = Duration::from_secs(10);

/// Emits an action signal that takes one argument and a promise: now, not when first polled.
///
/// # Errors
/// When webrtcbin replies with an error, or does not reply in time.
pub(super) fn ask(
    webrtc: &gst::Element,
    signal: &'static str,
    argument: &(dyn ToValue + Sync),
) -> impl Future<Output = Result<Option<gst::Structure>, anyhow::Error>> + Send + 'static {
    let (replied, reply) = async_channel::bounded(1);
    let promise = gst::Promise::with_change_func(move |reply| {
        let reply = reply.map(|reply| reply.map(ToOwned::to_owned));
        // There is room for one, and one is all that comes.
        let _ = replied.try_send(reply);
    });
    webrtc.emit_by_name::<()>(signal, &[argument, &promise]);
    async move {
        let reply = timeout(REPLY_DEADLINE, reply.recv()).await;
        let Ok(Ok(Ok(reply))) = reply else {
            bail!("webrtcbin did not reply to {signal}")
        };
        match reply
            .as_ref()
            .and_then(|reply| reply.get::<gst::glib::Error>("error").ok())
        {
            Some(error) => Err(error).with_context(|| format!("webrtcbin refuses {signal}")),
            None => Ok(reply),
        }
    }
}
