//! Makes the files that `src/page.rs` embeds: those of the browser page, compressed here, once.

#[path = "build/asset.rs"]
mod asset;

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use asset::Asset;

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?);
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    let html = here.join("../html");
    for watched in [&here.join("build.rs"), &here.join("build"), &html] {
        println!("cargo::rerun-if-changed={}", watched.display());
    }
    let assets = page_assets(&html)?;
    asset::write(&assets, &out)
}

/// The files right inside the folder that a browser may ask for; tests and tools live in others.
fn page_assets(html: &Path) -> io::Result<Vec<Asset>> {
    let mut assets = Vec::new();
    if !html.is_dir() {
        println!("cargo::warning=there is no folder html: this relay will serve no page");
        return Ok(assets);
    }
    for entry in fs::read_dir(html)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let extension = path
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let is_for_tools = extension == "json" || name.ends_with(".config.js");
        if path.is_file() && asset::content_type(&extension).is_some() && !is_for_tools {
            assets.push(Asset::new(
                &format!("/{name}"),
                &extension,
                fs::read(&path)?,
            )?);
        }
    }
    assets.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(assets)
}
