//! What is done to the sound of a microphone before it is sent.

/// What is done to the sound of microphones, and to no other. By default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Voice {
    /// Whether what this machine plays is taken out again.
    pub echo_cancellation: bool,
    /// How much of a steady noise is taken out.
    pub noise_suppression: Option<NoiseSuppression>,
    /// Whether quiet voices become louder.
    pub gain_control: bool,
}

/// How much of a steady noise is taken out. More of it costs more of the voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoiseSuppression {
    /// A little.
    Low,
    /// More.
    Moderate,
    /// Much.
    High,
    /// As much as possible.
    VeryHigh,
}

impl Voice {
    /// Whether anything is done.
    pub fn is_processed(&self) -> bool {
        self.echo_cancellation || self.noise_suppression.is_some() || self.gain_control
    }
}

impl NoiseSuppression {
    /// The word of `webrtcdsp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Moderate => "moderate",
            Self::High => "high",
            Self::VeryHigh => "very-high",
        }
    }
}
