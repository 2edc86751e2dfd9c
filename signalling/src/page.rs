//! The files that are part of this binary: the browser page, and the description of the API.

/// One file.
pub(crate) struct Asset {
    /// The path of its address.
    pub(crate) path: &'static str,
    /// Its media type.
    pub(crate) content_type: &'static str,
    /// As it is.
    pub(crate) plain: Representation,
    /// Compressed, where that makes it shorter.
    pub(crate) gzip: Option<Representation>,
}

/// One way to send a file.
pub(crate) struct Representation {
    /// Changes with the content, and is never that of another way to send it. In quotes.
    pub(crate) etag: &'static str,
    /// What is sent.
    pub(crate) body: &'static [u8],
}

// `static ASSETS: &[Asset]`, written by build.rs.
include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The file at a path; `/` is the page itself.
pub(crate) fn asset(path: &str) -> Option<&'static Asset> {
    let path = if path == "/" { "/index.html" } else { path };
    ASSETS.iter().find(|asset| asset.path == path)
}

impl Representation {
    /// Whether one of the tags of an `If-None-Match` is this one's: then it need not be sent again
    /// ([RFC 9110, section 13.1.2](https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2)).
    pub(crate) fn is_among(&self, tags: &str) -> bool {
        tags.split(',').map(str::trim).any(|tag| {
            // Weak and strong tags are compared alike here.
            tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.etag
        })
    }
}

/// Whether an `Accept-Encoding` likes gzip at least as much as no compression
/// ([RFC 9110, section 12.5.3](https://www.rfc-editor.org/rfc/rfc9110#section-12.5.3)).
pub(crate) fn prefers_gzip(accepted: &str) -> bool {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for choice in accepted.split(',') {
        let (coding, weight) = match choice.split_once(';') {
            Some((coding, parameter)) => (coding, weight(parameter)),
            None => (choice, 1.0),
        };
        match coding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => gzip = Some(weight),
            "identity" => identity = Some(weight),
            "*" => any = Some(weight),
            _ => {}
        }
    }
    let gzip = gzip.or(any).unwrap_or(0.0);
    gzip > 0.0 && gzip >= identity.unwrap_or(0.0)
}

/// The number of `q=0.5`; what is none refuses.
fn weight(parameter: &str) -> f32 {
    let parameter = parameter.trim();
    parameter
        .strip_prefix("q=")
        .or_else(|| parameter.strip_prefix("Q="))
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_embedded_and_its_tests_are_not() {
        let page = asset("/").expect("html/index.html is part of the binary");
        assert_eq!(page.path, "/index.html");
        assert!(page.content_type.starts_with("text/html"));
        for asset in ASSETS {
            let name = asset.path.strip_prefix("/api/").unwrap_or(&asset.path[1..]);
            assert!(!name.contains('/'), "{}", asset.path);
            assert!(!asset.path.contains("test"), "{}", asset.path);
        }
    }

    #[test]
    fn no_two_ways_to_send_a_file_share_a_tag_and_the_compressed_one_is_shorter() {
        let mut compressed = 0;
        for asset in ASSETS {
            assert!(!asset.plain.body.is_empty(), "{}", asset.path);
            let Some(gzip) = &asset.gzip else { continue };
            assert_ne!(gzip.etag, asset.plain.etag, "{}", asset.path);
            assert!(gzip.body.len() < asset.plain.body.len(), "{}", asset.path);
            compressed += 1;
        }
        assert!(compressed >= 3, "text can be compressed");
    }

    #[test]
    fn a_tag_is_found_in_a_list_weak_or_not() {
        let known = Representation {
            etag: "\"1-gzip\"",
            body: b"",
        };
        for tags in [
            "\"1-gzip\"",
            "W/\"1-gzip\"",
            "\"0\", W/\"1-gzip\" ,\"2\"",
            "*",
        ] {
            assert!(known.is_among(tags), "{tags}");
        }
        for tags in ["", "\"1\"", "1-gzip", "w/\"1-gzip\"", "\"0\",\"2\""] {
            assert!(!known.is_among(tags), "{tags}");
        }
    }

    #[test]
    fn gzip_is_sent_to_those_who_ask_for_it() {
        for accepted in [
            "gzip",
            "gzip, deflate, br, zstd",
            "br;q=1.0, GZIP;q=0.8, *;q=0.1",
            "deflate, *",
            "x-gzip",
            "gzip;q=0.001",
            "gzip; q=0.5, identity; q=0.5",
        ] {
            assert!(prefers_gzip(accepted), "{accepted}");
        }
        for accepted in [
            "",
            "identity",
            "br",
            "gzip;q=0",
            "gzip;q=0, *",
            "*;q=0",
            "gzip;q=0.2, identity;q=0.5",
            "gzip;q=much",
            "gzipped",
        ] {
            assert!(!prefers_gzip(accepted), "{accepted}");
        }
    }
}
