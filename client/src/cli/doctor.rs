//! What is to be done instead of a call.

/// What is to be done instead of a call.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct DoctorArgs {
    /// Look at everything that a call with these options would need, say what is wrong and what to do
    /// about it, and end: with 0 when a call should work, with 1 when it will not
    #[arg(long)]
    pub(super) check: bool,
}
