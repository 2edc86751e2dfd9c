//! The addresses at which this machine can be reached now.

use std::collections::BTreeSet;
use std::net::IpAddr;

/// All addresses of interfaces that are up, but those that lead nowhere else. Empty when the system
/// does not say. Asks the kernel, which takes some microseconds.
pub fn usable() -> BTreeSet<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::debug!("the addresses of this machine are unknown: {error}");
        Vec::new()
    });
    interfaces
        .into_iter()
        .filter(|interface| interface.is_oper_up() && !interface.is_loopback())
        .map(|interface| interface.ip())
        .collect()
}
