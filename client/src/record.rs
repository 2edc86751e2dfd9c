//! Recording what is sent and what is received, as it is encoded.
//!
//! [`plan`] says what goes into which files, [`payload`], [`matroska`] and [`mp4`] how files look, and
//! [`recorder`] takes frames and writes them.

pub mod matroska;
pub mod mp4;
pub mod payload;
pub mod plan;
pub mod put;
pub mod recorder;
mod succession;
mod tape;
mod tracks;
