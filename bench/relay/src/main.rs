//! Puts a load on a relay and says how it bore it.

fn main() {}
