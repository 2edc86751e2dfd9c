//! One native end of a call: what it captures, how it calls and is called, what it shows.
//!
//! The pure files decide ([`session`], [`media`], [`graph`], [`stats`], [`report`], [`backoff`]), the
//! glue acts ([`signaller`], [`capture`], [`peer`], [`receive`], [`sdp`], [`plugins`]), and [`call`]
//! is the only file that knows all of them.

pub mod allocator;
pub mod backoff;
pub mod call;
pub mod capture;
pub mod cli;
pub mod failure;
pub mod graph;
pub mod media;
pub mod peer;
pub mod plugins;
pub mod receive;
pub mod report;
pub mod sdp;
pub mod session;
pub mod signaller;
pub mod stats;
