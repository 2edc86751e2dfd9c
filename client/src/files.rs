//! Files on the disk: those that are sent, and the directory into which those go that come in.
//!
//! Everything here waits for the disk and belongs on a thread that may. A file that comes in is
//! opened by its plain name in a directory that was opened before, never through a link, and gets its
//! final name only when it is whole; nothing is ever overwritten.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ring::digest::{Context, SHA256};
use rustix::fs::{self, AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::data::{MAX_FILES, Receive};
use crate::failure::{Failure, FailureKind};
use crate::transfer::{Refusal, Sha256, numbered, partial_name, plain_name};

/// How much is read at once to make a SHA-256.
const BLOCK_BYTES: usize = 1 << 20;

/// How many names are tried for a file whose name is taken.
const MAX_NAMES: u32 = 1000;

/// A file that is to be sent.
#[derive(Debug)]
pub struct Outgoing {
    file: File,
    /// Its name, without directories.
    pub name: String,
    /// How many bytes it has.
    pub size: u64,
    /// What they amount to.
    pub sha256: Sha256,
}

/// The directory into which files go that come in.
#[derive(Clone, Debug)]
pub struct Directory {
    directory: Arc<OwnedFd>,
    max_bytes: u64,
    bytes: Arc<AtomicU64>,
    files: Arc<AtomicU64>,
}

/// A file that comes in.
pub struct Incoming {
    directory: Directory,
    /// It is among the files that this run has taken.
    is_counted: bool,
    file: File,
    name: String,
    partial: String,
    size: u64,
    sha256: Sha256,
    context: Context,
    /// How many bytes there are.
    pub offset: u64,
}

impl Outgoing {
    /// Opens a file and reads it once, to know what it amounts to.
    ///
    /// # Errors
    /// When it cannot be read, or is no file.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let fail = |reason: &dyn std::fmt::Display| {
            let sentence = format!("{} cannot be sent: {reason}.", path.display());
            Failure::new(FailureKind::Other, sentence)
        };
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.and_then(plain_name);
        let name = name.ok_or_else(|| {
            fail(&"its name is none that can be sent (hidden, too long or no text)")
        })?;
        let mut file = File::open(path).map_err(|error| fail(&error))?;
        let metadata = file.metadata().map_err(|error| fail(&error))?;
        if !metadata.is_file() {
            return Err(fail(&"it is no file; directories have to be packed first"));
        }
        let mut context = Context::new(&SHA256);
        let size = digest(&mut file, u64::MAX, &mut context).map_err(|error| fail(&error))?;
        Ok(Self {
            file,
            name: name.to_owned(),
            size,
            sha256: sha256(context),
        })
    }

    /// Reads a piece of it.
    ///
    /// # Errors
    /// When it cannot be read, or has become shorter.
    pub fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut piece = vec![0; length];
        self.file.read_exact_at(&mut piece, offset)?;
        Ok(piece)
    }
}

impl Directory {
    /// Opens the directory.
    ///
    /// # Errors
    /// When there is none, or nothing can be written there.
    pub fn open(receive: &Receive) -> Result<Self, Failure> {
        let path = &receive.directory;
        let fail = |reason: Errno| {
            let sentence = format!(
                "No files can be taken into {}: {reason}. Make the directory first, or name another \
                 with --receive-dir.",
                path.display()
            );
            Failure::new(FailureKind::Other, sentence)
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = fs::open(path, flags, Mode::empty()).map_err(fail)?;
        fs::accessat(&directory, ".", fs::Access::WRITE_OK, AtFlags::EACCESS).map_err(fail)?;
        Ok(Self {
            directory: Arc::new(directory),
            max_bytes: receive.max_bytes,
            bytes: Arc::default(),
            files: Arc::default(),
        })
    }

    /// Gets ready for a file, of which there may be something already.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn begin(&self, name: &str, size: u64, sha256: Sha256) -> Result<Incoming, Refusal> {
        let name = plain_name(name).ok_or(Refusal::Name)?;
        let partial = partial_name(name, size, sha256);
        if let Some(whole) = self.whole(name, size, sha256) {
            return Ok(whole);
        }
        // One that is begun counts, also if it is never whole: it is there all the same.
        let stat = fs::statat(&self.directory, &partial, AtFlags::SYMLINK_NOFOLLOW);
        let is_new = stat.is_err();
        if self.files.load(Ordering::Relaxed) >= MAX_FILES {
            return Err(Refusal::TooMuch);
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = self.open_at(&partial, flags | OFlags::NONBLOCK)?;
        fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| Refusal::Busy)?;
        let mut file = File::from(file);
        let mut context = Context::new(&SHA256);
        let offset = digest(&mut file, size, &mut context).map_err(|error| disk(&error))?;
        file.set_len(offset).map_err(|error| disk(&error))?;
        let missing = size - offset;
        let bytes = self.bytes.load(Ordering::Relaxed);
        let is_room = fs::fstatvfs(&file)
            .map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        let refusal = match () {
            () if bytes.saturating_add(missing) > self.max_bytes => Some(Refusal::TooMuch),
            () if missing > is_room => Some(Refusal::DiskFull),
            () => None,
        };
        if let Some(refusal) = refusal {
            if offset == 0 {
                self.remove(&partial);
            }
            return Err(refusal);
        }
        if is_new {
            self.files.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Incoming {
            directory: self.clone(),
            is_counted: is_new,
            file,
            name: name.to_owned(),
            partial,
            size,
            sha256,
            context,
            offset,
        })
    }

    /// The same file, if it is here already.
    fn whole(&self, name: &str, size: u64, expected: Sha256) -> Option<Incoming> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let mut file = File::from(self.open_at(name, flags).ok()?);
        if file.metadata().ok()?.len() != size {
            return None;
        }
        let mut context = Context::new(&SHA256);
        let offset = digest(&mut file, size, &mut context).ok()?;
        (offset == size && sha256(context.clone()) == expected).then(|| Incoming {
            directory: self.clone(),
            is_counted: true,
            file,
            name: name.to_owned(),
            partial: String::new(),
            size,
            sha256: expected,
            context,
            offset,
        })
    }

    /// Opens what is a file here, and nothing else.
    fn open_at(&self, name: &str, flags: OFlags) -> Result<OwnedFd, Refusal> {
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
        let file = fs::openat(&self.directory, name, flags, mode).map_err(|errno| match errno {
            Errno::LOOP | Errno::ISDIR | Errno::NXIO => Refusal::Busy,
            errno => disk(&errno.into()),
        })?;
        let stat = fs::fstat(&file).map_err(|errno| disk(&errno.into()))?;
        // A second name could lie anywhere.
        let is_plain = FileType::from_raw_mode(stat.st_mode).is_file() && stat.st_nlink == 1;
        is_plain.then_some(file).ok_or(Refusal::Busy)
    }

    fn remove(&self, name: &str) {
        if let Err(errno) = fs::unlinkat(&self.directory, name, AtFlags::empty()) {
            tracing::debug!("{name:?} cannot be removed: {errno}");
        }
    }
}

impl Incoming {
    /// Writes the next bytes.
    ///
    /// # Errors
    /// When the disk does not take them, or they are more than are taken at all.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let length = bytes.len() as u64;
        let before = self.directory.bytes.fetch_add(length, Ordering::Relaxed);
        if before.saturating_add(length) > self.directory.max_bytes {
            return Err(Refusal::TooMuch);
        }
        self.file.write_all(bytes).map_err(|error| disk(&error))?;
        self.context.update(bytes);
        self.offset += length;
        Ok(())
    }

    /// Gives the file, which is whole, its name, and says which that is.
    ///
    /// # Errors
    /// When it is not what was announced; then it is gone.
    pub fn finish(self) -> Result<String, Refusal> {
        if self.partial.is_empty() {
            return Ok(self.name);
        }
        if sha256(self.context) != self.sha256 || self.offset != self.size {
            self.directory.remove(&self.partial);
            return Err(Refusal::Checksum);
        }
        self.file.sync_data().map_err(|error| disk(&error))?;
        let directory = &self.directory.directory;
        for attempt in 1..=MAX_NAMES {
            let name = numbered(&self.name, attempt);
            match fs::renameat_with(
                directory,
                &self.partial,
                directory,
                &name,
                RenameFlags::NOREPLACE,
            ) {
                Ok(()) => {
                    if !self.is_counted {
                        self.directory.files.fetch_add(1, Ordering::Relaxed);
                    }
                    return Ok(name);
                }
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(disk(&errno.into())),
            }
        }
        Err(Refusal::Busy)
    }
}

/// Reads the first `limit` bytes of a file, from its beginning, and says how many there are.
fn digest(file: &mut File, limit: u64, context: &mut Context) -> io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut block = vec![0; BLOCK_BYTES];
    let mut length = 0;
    let mut rest = file.take(limit);
    loop {
        match rest.read(&mut block)? {
            0 => return Ok(length),
            count => {
                context.update(&block[..count]);
                length += count as u64;
            }
        }
    }
}

fn sha256(context: Context) -> Sha256 {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    Sha256(bytes)
}

fn disk(error: &io::Error) -> Refusal {
    let kind = error.kind();
    if matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    ) {
        return Refusal::DiskFull;
    }
    tracing::warn!("a file that comes in cannot be written: {error}");
    Refusal::Disk
}

#[cfg(test)]
mod tests;
