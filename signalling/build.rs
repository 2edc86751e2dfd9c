//! Lists the files of the browser page, for `src/page.rs` to embed them.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let html =
        Path::new(&env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join("../html");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", html.display());
    let mut list = String::from("static ASSETS: &[Asset] = &[\n");
    for file in page_files(&html)? {
        list += &entry(&file)?;
    }
    list += "];\n";
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    fs::write(out.join("assets.rs"), list)
}

/// The files right inside the folder that a browser may ask for; tests and tools live in others.
fn page_files(html: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if !html.is_dir() {
        println!("cargo::warning=there is no folder html: this relay will serve no page");
        return Ok(files);
    }
    for entry in fs::read_dir(html)? {
        let path = entry?.path();
        let is_tool = path.to_string_lossy().ends_with(".config.js");
        if path.is_file() && content_type(&path).is_some() && !is_tool {
            files.push(path.canonicalize()?);
        }
    }
    files.sort();
    Ok(files)
}

fn content_type(path: &Path) -> Option<&'static str> {
    Some(match path.extension()?.to_str()? {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        _ => return None,
    })
}

fn entry(file: &Path) -> io::Result<String> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let mut hasher = DefaultHasher::new();
    fs::read(file)?.hash(&mut hasher);
    let mut entry = String::from("    Asset {\n");
    let fields = [
        ("path", format!("{:?}", format!("/{name}"))),
        (
            "content_type",
            format!("{:?}", content_type(file).unwrap_or_default()),
        ),
        (
            "etag",
            format!("{:?}", format!("\"{:016x}\"", hasher.finish())),
        ),
        ("body", format!("include_bytes!({file:?})")),
    ];
    for (field, value) in fields {
        writeln!(entry, "        {field}: {value},").map_err(io::Error::other)?;
    }
    entry += "    },\n";
    Ok(entry)
}
