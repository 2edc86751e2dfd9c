//! What is done to the sound of a microphone, as text.

use super::Branch;
use crate::media::{AudioSource, NoiseSuppression, Origin, Voice};

/// The element that does it. Where echo is cancelled, its `probe` has to be named before it starts.
pub const VOICE: &str = "voice";

/// The form in which sound is compared with its echo. Both ends of the comparison have the same rate.
pub const VOICE_RATE: i32 = 48_000;

/// How many channels what is played has.
pub const PLAYED_CHANNELS: usize = 2;

/// The form in which sound is played, so that it can be compared.
pub fn played_form() -> String {
    format!(
        "audio/x-raw,format=S16LE,layout=interleaved,rate={VOICE_RATE},channels={PLAYED_CHANNELS}"
    )
}

/// The elements after a microphone, from a conversion to a conversion; `None` when nothing is done.
///
/// One channel: it is what a microphone is, and half the work. Ten milliseconds are compared at a
/// time, which is also how much later everything gets. The canceller takes out what it is told to
/// look for, when it is told to; the suppression of what is left is set low, since more of it takes
/// away the voice of whoever speaks at the same time.
pub fn voice_filter(voice: &Voice) -> Option<String> {
    if !voice.is_processed() {
        return None;
    }
    let suppression = match voice.noise_suppression {
        None => "noise-suppression=false".to_owned(),
        Some(level) => format!(
            "noise-suppression=true noise-suppression-level={}",
            NoiseSuppression::as_str(level)
        ),
    };
    let (echo, gain) = (voice.echo_cancellation, voice.gain_control);
    Some(format!(
        "audioconvert ! audioresample \
         ! audio/x-raw,format=S16LE,layout=interleaved,rate={VOICE_RATE},channels=1 \
         ! webrtcdsp name={VOICE} echo-cancel={echo} echo-suppression-level=low \
         delay-agnostic=false extended-filter=true high-pass-filter={echo} \
         {suppression} gain-control={gain} limiter={gain} ! audioconvert"
    ))
}

/// The branch of a source, with what is done to the sound of a microphone.
pub fn with_voice(branch: Branch, origin: &Origin, voice: &Voice) -> Branch {
    match (origin, voice_filter(voice)) {
        (Origin::Audio(AudioSource::Mic(_)), Some(filter)) => Branch {
            launch: branch.launch.replacen(" ! ", &format!(" ! {filter} ! "), 1),
            ..branch
        },
        (Origin::Audio(_) | Origin::Video(_), _) => branch,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_built_for_nothing() {
        assert_eq!(voice_filter(&Voice::default()), None);
        let quiet = Voice {
            noise_suppression: Some(NoiseSuppression::VeryHigh),
            ..Voice::default()
        };
        let text = voice_filter(&quiet).unwrap_or_default();
        assert!(
            text.contains("level=very-high") && text.contains("echo-cancel=false"),
            "{text}"
        );
    }
}
