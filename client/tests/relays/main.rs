//! The native client and its relay. Each relay here is a real server that does what a test tells it.

mod access;
mod presence;
mod relay;
