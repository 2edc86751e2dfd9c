//! What the writers of files want done.

/// What is to be done to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// This comes at its end.
    Append(Vec<u8>),
    /// This takes the place of as many bytes.
    Patch {
        /// Where, from the beginning of the file.
        at: u64,
        /// What.
        bytes: Vec<u8>,
    },
}
