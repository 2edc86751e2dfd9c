//! Takes out of a text what nobody may read.

use std::borrow::Cow;

/// What stands in the place of what nobody may read.
pub const HIDDEN: &str = "...";

/// What begins a token in the query of an address.
const TOKEN_KEYS: [&str; 3] = ["token=", "access_token=", "secret="];

/// The text without users and passwords in addresses (`turn://user:password@host`), and without tokens
/// in queries.
pub fn redact(text: &str) -> Cow<'_, str> {
    let without_users = without_users(text);
    let is_plain = |text: &str| !TOKEN_KEYS.iter().any(|key| text.contains(key));
    match without_users {
        text if is_plain(&text) => text,
        text => Cow::Owned(without_tokens(&text)),
    }
}

/// Between `://` and the next `@` there is no slash, no space and no quotation mark, if it is a user.
fn without_users(text: &str) -> Cow<'_, str> {
    const START: &str = "://";
    if !text.contains(START) || !text.contains('@') {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split(START);
    let mut redacted = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        redacted.push_str(START);
        let end = part.find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '?'));
        let authority = part.get(..end.unwrap_or(part.len())).unwrap_or(part);
        match authority.rfind('@').and_then(|at| part.get(at..)) {
            Some(rest) => {
                redacted.push_str(HIDDEN);
                redacted.push_str(rest);
            }
            None => redacted.push_str(part),
        }
    }
    Cow::Owned(redacted)
}

fn without_tokens(text: &str) -> String {
    let mut redacted = text.to_owned();
    for key in TOKEN_KEYS {
        let mut parts = redacted.split(key);
        let mut without = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let is_end = |c: char| c.is_whitespace() || matches!(c, '&' | '#' | '"' | '\'');
            let rest = part.find(is_end).and_then(|end| part.get(end..));
            without.push_str(key);
            without.push_str(HIDDEN);
            without.push_str(rest.unwrap_or_default());
        }
        redacted = without;
    }
    redacted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_password_in_an_address_is_taken_out() {
        for (text, expected) in [
            (
                "turn://alice:wonder@h:3478?transport=udp",
                "turn://...@h:3478?transport=udp",
            ),
            (
                "adding \"turn://a:b@h\" and stun://h",
                "adding \"turn://...@h\" and stun://h",
            ),
            ("rtsp://u:p@cam/live@2", "rtsp://...@cam/live@2"),
            ("wss://relay/?token=abc&x=1", "wss://relay/?token=...&x=1"),
            ("mail me@example.org", "mail me@example.org"),
            ("ws://127.0.0.1:8443", "ws://127.0.0.1:8443"),
        ] {
            assert_eq!(redact(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_password_gets_through(before in "[a-z \"]{0,9}", user in "[a-z0-9%]{1,9}", password in "[A-Z0-9%]{6,12}", after in "[a-z@/ ]{0,9}") {
            let text = format!("{before}turn://{user}:{password}@host{after}");
            prop_assert!(!redact(&text).contains(&password), "{text}");
        }

        #[test]
        fn no_text_is_too_strange(text in ".{0,60}") {
            let _ = redact(&text);
        }
    }
}
