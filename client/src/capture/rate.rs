//! What encoders are told while they run: the bit rate they aim at, and to rest when nobody watches.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Capture, Inner};
use crate::encoder::{Encoder, Track};
use crate::encoding::{MAX_BITRATE_KBPS, MIN_BITRATE_KBPS};
use crate::media::Kind;

impl Capture {
    /// Has every picture encoded at this bit rate, in kilobits a second, from now on: what is encoded
    /// already, in whichever codec, and what is encoded later. What a source has encoded itself is sent
    /// as it is only as long as it does not have more. What is out of bounds is brought to the nearest
    /// bound. Nothing is negotiated anew, and no key frame is made. Returns the rate that holds.
    pub fn set_bitrate_kbps(&self, kbps: u32) -> u32 {
        let kbps = kbps.clamp(MIN_BITRATE_KBPS, MAX_BITRATE_KBPS);
        self.0.bitrate_kbps.store(kbps, Ordering::Relaxed);
        self.0.settle_cap();
        for track in self.0.tracks() {
            self.0.settle_rate(&track);
        }
        kbps
    }

    /// The bit rate at which pictures are encoded, in kilobits a second.
    pub fn bitrate_kbps(&self) -> u32 {
        self.0.bitrate_kbps.load(Ordering::Relaxed)
    }

    /// Whether somebody is sent the picture as its source has it, without an encoder in between.
    pub fn is_passed(&self) -> bool {
        let encoders = self.0.encoders();
        encoders.values().any(|encoder| encoder.track().is_passed())
    }

    /// Stops the encoders that everybody has left, off this thread; [`Capture::track`] starts them
    /// again. To be called now and then.
    pub fn rest(&self) {
        let deserted = |inner: &Inner| inner.encoders().values().any(Encoder::is_deserted);
        if deserted(&self.0) {
            let inner = Arc::clone(&self.0);
            async_std::task::spawn_blocking(move || {
                // Looked at again under the lock: somebody may be about to join.
                for encoder in inner
                    .encoders()
                    .values()
                    .filter(|encoder| encoder.is_deserted())
                {
                    tracing::debug!(codec = %encoder.track().codec, "nobody watches; the encoder rests");
                    encoder.stop();
                    drop(encoder.hand_out());
                }
            });
        }
    }
}

impl Inner {
    /// Tells what has more than the bit rate that holds not to pass.
    pub(super) fn settle_cap(&self) {
        if let Some(feed) = self.feeds.get(&Kind::Video) {
            feed.set_cap(self.bitrate_kbps.load(Ordering::Relaxed));
        }
    }

    /// Tells the encoder of a track the bit rate that holds.
    pub(super) fn settle_rate(&self, track: &Track) {
        if track.codec.kind() == Kind::Video {
            track.set_bitrate_kbps(self.bitrate_kbps.load(Ordering::Relaxed));
        }
    }
}
