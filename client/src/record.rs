//! Recording what is sent and what is received, as it is encoded.

pub mod matroska;
pub mod mp4;
pub mod payload;
pub mod put;
