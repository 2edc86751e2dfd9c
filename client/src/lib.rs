//! One native end of a call: what it captures, how it calls and is called, what it shows.
//!
//! The pure files decide ([`session`], [`negotiation`], [`media`], [`graph`], [`stats`], [`report`],
//! [`backoff`], [`failure`], [`ice_servers`], [`inventory`]), the glue acts ([`presence`], [`signaller`], [`api`], [`wire`], [`capture`], [`peer`],
//! [`receive`], [`sdp`], [`plugins`], [`printer`], [`allocator`]), and [`call`] is the only file that knows all of
//! them. [`inbox`] and [`link`] are what a call and a room have in common.

pub mod allocator;
pub mod api;
pub mod backoff;
pub mod call;
pub mod capture;
pub mod cli;
pub mod config;
pub mod failure;
pub mod graph;
pub mod ice_servers;
pub mod inbox;
pub mod inventory;
pub mod link;
pub mod media;
pub mod negotiation;
pub mod peer;
pub mod plugins;
pub mod presence;
pub mod printer;
pub mod program;
pub mod receive;
pub mod report;
pub mod sdp;
pub mod session;
pub mod signaller;
pub mod stats;
pub mod wire;
