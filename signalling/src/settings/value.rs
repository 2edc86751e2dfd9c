//! Texts and what they mean: each function takes one and says in its error what would be right.

use std::net::{Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::LogFormat;
use crate::door::plain_origin;

/// From the least to the most any setting may be that is a time; the most keeps every instant that
/// is computed from it within what the system can express.
const DURATIONS: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(365 * 24 * 3600);

/// Takes an address with a port.
///
/// # Errors
/// When it is none.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "an address to listen on looks like 0.0.0.0:8443 or [::]:8443".to_owned())
}

/// Takes a bound, which is never 0.
///
/// # Errors
/// When it is no whole number from 1 to `u32::MAX`.
pub fn count(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(0) => Err("0 would let nothing through; the least is 1".into()),
        Ok(count) => Ok(count),
        Err(_) => Err(format!(
            "a whole number from 1 to {} belongs there",
            u32::MAX
        )),
    }
}

/// Takes a number of something that is kept in memory; see [`count`].
///
/// # Errors
/// As [`count`].
pub fn size(text: &str) -> Result<usize, String> {
    usize::try_from(count(text)?).map_err(|_| "this machine cannot count that far".to_owned())
}

/// Takes a time, in seconds unless a unit follows, to the millisecond: `10`, `0.5`, `500ms`, `1h`.
///
/// # Errors
/// When it is none, or not from a millisecond to a year.
pub fn duration(text: &str) -> Result<Duration, String> {
    let number_bytes = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(number_bytes);
    let factor = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 24.0 * 3600.0,
        _ => return Err(not_a_time()),
    };
    let number: f64 = number.parse().map_err(|_| not_a_time())?;
    let duration = Duration::try_from_secs_f64((number * factor * 1000.0).round() / 1000.0)
        .map_err(|_| "that is longer than a year".to_owned())?;
    if duration < *DURATIONS.start() {
        return Err("a time must be more than 0; the least is a millisecond (1ms)".into());
    }
    if duration > *DURATIONS.end() {
        return Err("that is longer than a year (365d)".into());
    }
    Ok(duration)
}

fn not_a_time() -> String {
    "a time is a number of seconds, or a number with a unit: 10, 0.5, 500ms, 10s, 5m, 1h, 7d".into()
}

/// A time as [`duration`] takes it: in seconds, whole ones without a point.
pub fn seconds(duration: Duration) -> toml::Value {
    if duration.subsec_nanos() == 0 {
        integer(duration.as_secs())
    } else {
        toml::Value::Float(duration.as_secs_f64())
    }
}

/// A bound as it stands in the file.
pub fn integer(number: impl TryInto<i64>) -> toml::Value {
    toml::Value::Integer(number.try_into().unwrap_or(i64::MAX))
}

/// Takes a word that says yes or no.
///
/// # Errors
/// When it says neither.
pub fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err("true or false belongs there".into()),
    }
}

/// Takes the path of a file, without looking whether it is there.
///
/// # Errors
/// When it is empty.
pub fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("the path of a file belongs there".into());
    }
    Ok(text.into())
}

/// Takes a name or an address a certificate is for.
///
/// # Errors
/// When there is anything in it that is in neither.
pub fn host_name(text: &str) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '*');
    if text.is_empty() || !text.chars().all(is_name) {
        return Err("names and addresses look like example.org, 192.0.2.1 or 2001:db8::1".into());
    }
    Ok(text.to_ascii_lowercase())
}

/// Takes an origin and makes it what a browser would send: in lower case, without the usual port.
///
/// # Errors
/// When it is no `http` or `https` origin.
pub fn origin(text: &str) -> Result<String, String> {
    const RIGHT: &str = "an origin looks like https://example.org or http://localhost:8080, without \
                         a path";
    if text == "*" {
        return Err("without --allow-origin every page may connect".into());
    }
    let lower = text.to_ascii_lowercase();
    match lower.split_once("://") {
        Some(("http" | "https", host)) if is_host_and_port(host) => Ok(plain_origin(&lower)),
        _ => Err(RIGHT.into()),
    }
}

/// Takes the address of a STUN server as browsers take it.
///
/// # Errors
/// When it is none.
pub fn stun_url(text: &str) -> Result<String, String> {
    let rest = ["stun:", "stuns:"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    match rest {
        Some(host) if is_host_and_port(host) => Ok(text.to_owned()),
        _ => Err("a STUN server looks like stun:stun.example.org:3478".into()),
    }
}

/// Takes the address of a TURN server as browsers take it, which has no credentials in it.
///
/// # Errors
/// When it is none.
pub fn turn_url(text: &str) -> Result<String, String> {
    if text.contains('@') {
        return Err(
            "no user and password belong into the address of a TURN server: the relay makes them, \
             with --turn-secret-file"
                .into(),
        );
    }
    let rest = ["turn:", "turns:"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let (host, query) = rest
        .map(|rest| rest.split_once('?').unwrap_or((rest, "")))
        .unwrap_or_default();
    if is_host_and_port(host) && matches!(query, "" | "transport=udp" | "transport=tcp") {
        return Ok(text.to_owned());
    }
    Err("a TURN server looks like turn:turn.example.org:3478?transport=udp".into())
}

/// Whether it is `HOST` or `HOST:PORT`.
fn is_host_and_port(text: &str) -> bool {
    // The colons inside `[::1]` belong to the address.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    is_host(host) && port.is_none_or(is_port)
}

fn is_host(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let is_in_names = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !text.is_empty() && text.chars().all(is_in_names)
}

fn is_port(text: &str) -> bool {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number && text.parse().is_ok_and(|port: u16| port > 0)
}

/// Takes the way lines of the log look.
///
/// # Errors
/// When there is no such way.
pub fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("text or json belongs there".into()),
    }
}

/// Takes the choice of lines of the log.
///
/// # Errors
/// When it is none.
pub fn log_filter(text: &str) -> Result<String, String> {
    let is_meant = |text: &str| !text.split(',').any(is_mistyped) && filter(text).is_ok();
    if text.trim().is_empty() || !is_meant(text) {
        return Err("what is logged looks like debug, or info,signalling=debug".into());
    }
    Ok(text.to_owned())
}

/// Whether a part of a filter is a word that is no level. To the filter such a word is the name of a
/// crate, so that a level with a typing error in it would keep everything out of the log, and say
/// nothing. Whoever means a crate can say `name=trace`.
pub fn is_mistyped(directive: &str) -> bool {
    let word = directive.trim();
    let is_word = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric());
    is_word && word != env!("CARGO_PKG_NAME") && word.parse::<LevelFilter>().is_err()
}

/// The choice of lines a text stands for.
///
/// # Errors
/// When it stands for none.
pub fn filter(text: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(text)
}
