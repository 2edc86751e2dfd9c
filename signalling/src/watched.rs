//! A file that is read again when it changes, and a word about who may read it.
//!
//! One that is being replaced may be seen half written: whoever takes in what it holds keeps what
//! came before until that makes sense again, which the next change decides.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// The largest file that is read, in bytes: secrets and certificates are far smaller.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A file and the state in which it was last seen.
///
/// Asking is one `stat`, so it may be done every second on the thread that serves.
#[derive(Debug)]
pub struct WatchedFile {
    path: PathBuf,
    seen: Option<Result<Stamp, io::ErrorKind>>,
}

/// What tells one state of a file from another: two files of the same name differ in their inode, a
/// file written in place in its length or times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    /// Moves with permissions too, and for those who set the time of modification back.
    changed: (i64, i64),
    owner: u32,
    mode: u32,
}

impl WatchedFile {
    /// Names a file; it is not touched before [`changed`](Self::changed) or [`read`](Self::read).
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            seen: None,
        }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file holds, if that may be something else than when it was last asked for. The first
    /// time it always is.
    ///
    /// # Errors
    /// Those of [`read`](Self::read), each once: not again until the file changes.
    pub fn changed(&mut self) -> io::Result<Option<Vec<u8>>> {
        let now = fs::metadata(&self.path).map(|metadata| Stamp::from(&metadata));
        let seen = Some(match &now {
            Ok(stamp) => Ok(*stamp),
            Err(error) => Err(error.kind()),
        });
        if seen == self.seen {
            return Ok(None);
        }
        self.seen = seen;
        now?;
        self.read().map(Some)
    }

    /// What the file holds, changed or not.
    ///
    /// # Errors
    /// When it cannot be read, is no regular file (reading a pipe would hold up everything), or is
    /// larger than [`MAX_FILE_BYTES`].
    pub fn read(&mut self) -> io::Result<Vec<u8>> {
        let file = open(&self.path)?;
        let metadata = file.metadata()?;
        // Taken before reading: what is written meanwhile makes another stamp.
        self.seen = Some(Ok(Stamp::from(&metadata)));
        if !metadata.is_file() {
            return Err(invalid("it is no regular file".into()));
        }
        let mut content = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content)?;
        if content.len() as u64 > MAX_FILE_BYTES {
            return Err(invalid(format!("it has more than {MAX_FILE_BYTES} bytes")));
        }
        Ok(content)
    }

    /// Whether more users may read the file than it needs, as last seen: everybody, or the group of
    /// a file that is this process's own.
    ///
    /// A file of somebody else's can be read here only because its group or an access list says so.
    pub fn is_exposed(&self) -> bool {
        let Some(Ok(stamp)) = &self.seen else {
            return false;
        };
        let is_own = stamp.owner == rustix::process::geteuid().as_raw();
        stamp.mode & 0o004 != 0 || (is_own && stamp.mode & 0o040 != 0)
    }
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            owner: metadata.uid(),
            mode: metadata.mode(),
        }
    }
}

/// Opens without waiting for the other end, were it a pipe.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
}

fn invalid(sentence: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, sentence)
}

#[cfg(test)]
#[path = "../tests/support/folder.rs"]
pub(crate) mod folder;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::folder::Folder;
    use super::*;

    impl Folder {
        fn file(&self) -> PathBuf {
            self.path().join("file")
        }
    }

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permitted");
    }

    fn changed(file: &mut WatchedFile) -> Option<String> {
        let content = file.changed().expect("readable")?;
        Some(String::from_utf8(content).expect("text"))
    }

    #[test]
    fn a_file_is_read_once_for_each_change() {
        let folder = Folder::new();
        let path = folder.file();
        write(&path, "one", 0o600);
        let mut file = WatchedFile::new(&path);
        assert_eq!(changed(&mut file).as_deref(), Some("one"));
        assert_eq!(changed(&mut file), None);
        write(&path, "three", 0o600);
        assert_eq!(changed(&mut file).as_deref(), Some("three"));
        assert_eq!(changed(&mut file), None);
    }

    #[test]
    fn a_file_that_takes_the_place_of_another_is_a_change() {
        let folder = Folder::new();
        let path = folder.file();
        write(&path, "one", 0o600);
        let mut file = WatchedFile::new(&path);
        assert_eq!(changed(&mut file).as_deref(), Some("one"));
        let next = folder.path().join("next");
        write(&next, "two", 0o600);
        let times = fs::FileTimes::new().set_modified(
            fs::metadata(&path)
                .and_then(|it| it.modified())
                .expect("a time"),
        );
        File::options()
            .append(true)
            .open(&next)
            .and_then(|file| file.set_times(times))
            .expect("the same time");
        fs::rename(&next, &path).expect("renamed");
        assert_eq!(changed(&mut file).as_deref(), Some("two"));
    }

    #[test]
    fn a_failure_is_told_once_and_the_file_is_read_when_it_comes_back() {
        let folder = Folder::new();
        let path = folder.file();
        let mut file = WatchedFile::new(&path);
        let error = file.changed().expect_err("there is no file");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(changed(&mut file), None);
        write(&path, "one", 0o600);
        assert_eq!(changed(&mut file).as_deref(), Some("one"));
        fs::remove_file(&path).expect("removed");
        file.changed().expect_err("there is no file any more");
        assert_eq!(changed(&mut file), None);
    }

    #[test]
    fn what_is_too_large_is_refused_and_one_byte_less_is_not() {
        let folder = Folder::new();
        let path = folder.file();
        let limit = usize::try_from(MAX_FILE_BYTES).expect("a length");
        let mut file = WatchedFile::new(&path);
        write(&path, &"x".repeat(limit + 1), 0o600);
        file.changed().expect_err("too large");
        assert_eq!(changed(&mut file), None);
        write(&path, &"x".repeat(limit), 0o600);
        assert_eq!(changed(&mut file).map(|text| text.len()), Some(limit));
    }

    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting() {
        let folder = Folder::new();
        let pipe = folder.file();
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).expect("a pipe");
        for path in [pipe.as_path(), folder.path()] {
            let mut file = WatchedFile::new(path);
            let error = file.changed().expect_err("no regular file");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        }
    }

    #[test]
    fn a_file_of_ones_own_is_exposed_when_others_may_read_it() {
        let folder = Folder::new();
        let path = folder.file();
        let mut file = WatchedFile::new(&path);
        assert!(!file.is_exposed());
        for (mode, is_exposed) in [
            (0o600, false),
            (0o640, true),
            (0o604, true),
            (0o400, false),
            (0o622, false),
        ] {
            let _ = fs::remove_file(&path);
            write(&path, "secret", mode);
            assert_eq!(changed(&mut file).as_deref(), Some("secret"));
            assert_eq!(file.is_exposed(), is_exposed, "{mode:o}");
        }
    }
}
