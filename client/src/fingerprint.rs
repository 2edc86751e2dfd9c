//! The fingerprint of a certificate, as a session description announces it
//! ([RFC 8122](https://www.rfc-editor.org/rfc/rfc8122)).

use crate::config::Fingerprint;

/// The SHA-256 fingerprint that a session description announces for its end; `None` when there is
/// none, or more than one.
pub fn announced(sdp: &str) -> Option<Fingerprint> {
    let mut found = sdp.lines().filter_map(|line| {
        let (hash, digits) = line.strip_prefix("a=fingerprint:")?.split_once(' ')?;
        hash.eq_ignore_ascii_case("sha-256")
            .then_some(digits.trim())
    });
    let first: Fingerprint = found.next()?.parse().ok()?;
    found
        .all(|digits| digits.parse() == Ok(first))
        .then_some(first)
}

/// The session that a description is of: it stays the same when a connection is described anew, and no
/// other connection has it ([RFC 4566, section 5.2](https://www.rfc-editor.org/rfc/rfc4566#section-5.2)).
pub fn origin(sdp: &str) -> Option<&str> {
    let origin = sdp.lines().find_map(|line| line.strip_prefix("o="))?;
    origin.split(' ').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_names_its_session() {
        assert_eq!(origin("v=0\r\no=- 42 3 IN IP4 0.0.0.0\r\n"), Some("42"));
        assert_eq!(origin("v=0\r\n"), None);
    }

    #[test]
    fn a_description_announces_one_fingerprint_however_often() {
        let (one, other) = ("0a:".repeat(31) + "0a", "0b:".repeat(31) + "0b");
        let line = |digits: &str| format!("a=fingerprint:sha-256 {digits}\r\n");
        let twice = format!("v=0\r\n{}{}", line(&one), line(&one.to_uppercase()));
        assert_eq!(announced(&twice), one.parse().ok());
        assert_eq!(announced(&(twice + &line(&other))), None, "which is it?");
        assert_eq!(announced("v=0\r\na=fingerprint:sha-1 0A:0B\r\n"), None);
        assert_eq!(announced(&line("0A:0B")), None);
        assert_eq!(announced(""), None);
    }
}
