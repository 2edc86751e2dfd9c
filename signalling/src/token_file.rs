//! The file of the secrets, which may be changed while the relay runs.

use std::path::Path;

use anyhow::Context;
use tracing::{info, warn};

use crate::token::Secrets;
use crate::watched::WatchedFile;

/// A token file as last read.
#[derive(Debug)]
pub struct TokenFile {
    file: WatchedFile,
    /// One warning is enough, however often the file changes.
    has_warned: bool,
}

impl TokenFile {
    /// Reads the secrets for the first time.
    ///
    /// # Errors
    /// When the file cannot be read or is not understood.
    pub fn open(path: &Path) -> anyhow::Result<(Self, Secrets)> {
        let mut opened = Self {
            file: WatchedFile::new(path),
            has_warned: false,
        };
        let secrets = opened
            .file
            .read()
            .map_err(anyhow::Error::from)
            .and_then(|content| understand(&content))
            .with_context(|| format!("cannot use the token file {}", path.display()))?;
        opened.warn_if_exposed();
        Ok((opened, secrets))
    }

    /// The secrets, if the file has changed. Those of before shall go on when it is broken now, which
    /// is logged.
    pub fn refresh(&mut self) -> Option<Secrets> {
        let read = self
            .file
            .changed()
            .map_err(anyhow::Error::from)
            .transpose()?;
        let path = self.file.path().display();
        match read.and_then(|content| understand(&content)) {
            Ok(secrets) => {
                info!(%path, "token file read again");
                self.warn_if_exposed();
                Some(secrets)
            }
            Err(error) => {
                warn!(%path, error = format!("{error:#}"), "token file is broken, the secrets of before go on");
                None
            }
        }
    }

    fn warn_if_exposed(&mut self) {
        if self.file.is_exposed() && !self.has_warned {
            self.has_warned = true;
            let path = self.file.path().display();
            warn!(%path, "others may read the token file: chmod 600 would keep it secret");
        }
    }
}

fn understand(content: &[u8]) -> anyhow::Result<Secrets> {
    let text = std::str::from_utf8(content).context("it is not UTF-8")?;
    Secrets::parse(text).map_err(anyhow::Error::msg)
}
