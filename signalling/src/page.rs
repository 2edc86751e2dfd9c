//! The files of the browser page, which are part of this binary.

/// One file of the page.
pub(crate) struct Asset {
    /// The path of its address.
    pub(crate) path: &'static str,
    /// Its media type.
    pub(crate) content_type: &'static str,
    /// Changes with its content.
    pub(crate) etag: &'static str,
    /// Its content.
    pub(crate) body: &'static [u8],
}

// `static ASSETS: &[Asset]`, written by build.rs.
include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The file at a path; `/` is the page itself.
pub(crate) fn asset(path: &str) -> Option<&'static Asset> {
    let path = if path == "/" { "/index.html" } else { path };
    ASSETS.iter().find(|asset| asset.path == path)
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
            assert!(asset.path[1..].split('/').count() == 1, "{}", asset.path);
            assert!(!asset.path.contains("test"), "{}", asset.path);
        }
    }
}
