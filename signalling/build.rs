//! Makes the files that `src/page.rs` embeds: those of the browser page, and the description of what
//! the relay answers over HTTP, as OpenAPI and as a page to read. Each is compressed here, once.

#[path = "build/asset.rs"]
mod asset;
#[path = "build/reference.rs"]
mod reference;

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use asset::Asset;

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?);
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    let (html, sources) = (here.join("../html"), here.join("src"));
    for watched in [
        &here.join("build.rs"),
        &here.join("build"),
        &html,
        &sources.join("api.css"),
    ] {
        println!("cargo::rerun-if-changed={}", watched.display());
    }
    let description = sources.join("openapi.json");
    println!("cargo::rerun-if-changed={}", description.display());

    let mut assets = page_assets(&html)?;
    let description = fs::read_to_string(description)?;
    let reference = reference::page(&description).map_err(io::Error::other)?;
    assets.push(Asset::new("/api", "html", reference.into_bytes())?);
    assets.push(Asset::new(
        "/api/openapi.json",
        "json",
        description.into_bytes(),
    )?);
    let style = fs::read(sources.join("api.css"))?;
    assets.push(Asset::new("/api/style.css", "css", style)?);
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
