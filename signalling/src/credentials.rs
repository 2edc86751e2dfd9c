//! Finds the token that a request brings along.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The token of a request: that of its header `Authorization: Bearer T`, or else that of its query,
/// `token=T`, percent-encoded.
///
/// A token that is no text comes back as one that opens nothing.
pub(crate) fn token<'a>(
    authorization: Option<&'a [u8]>,
    query: Option<&'a str>,
) -> Option<Cow<'a, str>> {
    authorization
        .and_then(bearer)
        .map(String::from_utf8_lossy)
        .or_else(|| in_query(query?))
}

/// What follows `Bearer`, in whatever letters ([RFC 9110, section
/// 11.1](https://www.rfc-editor.org/rfc/rfc9110#section-11.1)).
fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer ";
    let (scheme, token) = authorization.split_at_checked(SCHEME.len())?;
    scheme
        .eq_ignore_ascii_case(SCHEME)
        .then_some(token.trim_ascii())
}

fn in_query(query: &str) -> Option<Cow<'_, str>> {
    let encoded = query
        .split('&')
        .find_map(|parameter| parameter.strip_prefix("token="))?;
    Some(percent_decode_str(encoded).decode_utf8_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_in_the_header_or_in_the_query() {
        for (authorization, query, expected) in [
            (None, None, None),
            (Some("Bearer abc"), None, Some("abc")),
            (Some("bEARER   abc "), None, Some("abc")),
            (Some("Bearer abc"), Some("token=def"), Some("abc")),
            (Some("Basic abc"), Some("token=def"), Some("def")),
            (Some("Bearer"), None, None),
            (Some("Bearer "), None, Some("")),
            (Some("Bearerabc"), None, None),
            (None, Some("token=def"), Some("def")),
            (
                None,
                Some("notices=caller&token=d%20e%2Bf+g"),
                Some("d e+f+g"),
            ),
            (None, Some("token="), Some("")),
            (None, Some("token=a&token=b"), Some("a")),
            (None, Some("atoken=a&token"), None),
            (None, Some("Token=a"), None),
            (None, Some("token=%ff"), Some("\u{fffd}")),
            (None, Some("token=100%"), Some("100%")),
        ] {
            let found = token(authorization.map(str::as_bytes), query);
            assert_eq!(found.as_deref(), expected, "{authorization:?} {query:?}");
        }
        assert_eq!(
            token(Some(b"Bearer \xff"), None).as_deref(),
            Some("\u{fffd}")
        );
    }
}
