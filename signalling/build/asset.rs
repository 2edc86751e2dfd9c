//! Files as they are embedded: plain, and compressed where that makes them shorter.

use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

/// What will be served at one address.
pub(crate) struct Asset {
    /// The path of its address.
    pub(crate) path: String,
    content_type: &'static str,
    body: Vec<u8>,
    gzip: Option<Vec<u8>>,
}

impl Asset {
    /// Takes in a file and compresses it.
    pub(crate) fn new(path: &str, extension: &str, body: Vec<u8>) -> io::Result<Self> {
        let content_type = content_type(extension)
            .ok_or_else(|| io::Error::other(format!("{path} has no media type")))?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&body)?;
        let gzip = encoder.finish()?;
        Ok(Self {
            path: path.to_owned(),
            content_type,
            gzip: (gzip.len() < body.len()).then_some(gzip),
            body,
        })
    }
}

/// The media type of what a browser may ask for.
pub(crate) fn content_type(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        _ => return None,
    })
}

/// Writes the files, and beside them the list that names them.
pub(crate) fn write(assets: &[Asset], out: &Path) -> io::Result<()> {
    let mut list = String::from("static ASSETS: &[Asset] = &[\n");
    for (number, asset) in assets.iter().enumerate() {
        list += &entry(number, asset, out).map_err(io::Error::other)?;
    }
    list += "];\n";
    fs::write(out.join("assets.rs"), list)
}

fn entry(
    number: usize,
    asset: &Asset,
    out: &Path,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let mut hasher = DefaultHasher::new();
    asset.body.hash(&mut hasher);
    let hash = hasher.finish();
    let plain = representation(
        &format!("{number}.plain"),
        &asset.body,
        &format!("{hash:016x}"),
        out,
    )?;
    let gzip = match &asset.gzip {
        Some(gzip) => {
            let tag = format!("{hash:016x}-gzip");
            format!(
                "Some({})",
                representation(&format!("{number}.gzip"), gzip, &tag, out)?
            )
        }
        None => "None".to_owned(),
    };
    let mut entry = String::new();
    writeln!(
        entry,
        "    Asset {{ path: {:?}, content_type: {:?}, plain: {plain}, gzip: {gzip} }},",
        asset.path, asset.content_type
    )?;
    Ok(entry)
}

fn representation(name: &str, body: &[u8], tag: &str, out: &Path) -> io::Result<String> {
    let file = out.join(name);
    fs::write(&file, body)?;
    let etag = format!("\"{tag}\"");
    Ok(format!(
        "Representation {{ etag: {etag:?}, body: include_bytes!({file:?}) }}"
    ))
}
