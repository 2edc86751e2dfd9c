//! Files that come in stay in their directory, and what is there stays as it is.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::*;

/// A directory that goes away again.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("aldis-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("in")).expect("a directory");
        Self(path)
    }

    fn directory(&self, max_bytes: u64) -> Directory {
        let directory = self.0.join("in");
        Directory::open(&Receive {
            directory,
            max_bytes,
        })
        .expect("it is there")
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join("in").join(name)).expect("it is there")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.join("in")).expect("it is there");
        let mut names: Vec<_> = entries
            .map(|entry| {
                entry
                    .expect("read")
                    .file_name()
                    .into_string()
                    .expect("text")
            })
            .collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn sum(bytes: &[u8]) -> Sha256 {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    sha256(context)
}

fn take(directory: &Directory, name: &str, bytes: &[u8]) -> Result<String, Refusal> {
    let mut incoming = directory.begin(name, bytes.len() as u64, sum(bytes))?;
    let start = usize::try_from(incoming.offset).expect("small");
    incoming.append(&bytes[start..])?;
    incoming.finish()
}

#[test]
fn a_file_is_taken_in_pieces_and_over_several_times() {
    let place = Place::new("pieces");
    let directory = place.directory(1000);
    let mut incoming = directory.begin("x", 6, sum(b"abcdef")).expect("taken");
    incoming.append(b"ab").expect("written");
    assert_eq!(
        directory.begin("x", 6, sum(b"abcdef")).err(),
        Some(Refusal::Busy)
    );
    drop(incoming);
    let mut incoming = directory.begin("x", 6, sum(b"abcdef")).expect("taken");
    assert_eq!(incoming.offset, 2);
    incoming.append(b"cdef").expect("written");
    assert_eq!(incoming.finish(), Ok("x".into()));
    assert_eq!(place.read("x"), b"abcdef");
    assert_eq!(place.names(), ["x"]);
}

#[test]
fn nothing_is_overwritten_and_the_same_is_not_taken_twice() {
    let place = Place::new("names");
    let directory = place.directory(1000);
    assert_eq!(take(&directory, "x.txt", b"one"), Ok("x.txt".into()));
    assert_eq!(take(&directory, "x.txt", b"two"), Ok("x (2).txt".into()));
    assert_eq!(take(&directory, "a/../x.txt", b"one"), Ok("x.txt".into()));
    assert_eq!(place.names(), ["x (2).txt", "x.txt"]);
    assert_eq!(place.read("x.txt"), b"one");
    assert_eq!(take(&directory, "empty", b""), Ok("empty".into()));
}

#[test]
fn what_is_not_what_was_announced_is_gone() {
    let place = Place::new("sums");
    let directory = place.directory(1000);
    let mut incoming = directory.begin("x", 3, sum(b"abc")).expect("taken");
    incoming.append(b"abd").expect("written");
    assert_eq!(incoming.finish(), Err(Refusal::Checksum));
    assert!(place.names().is_empty());
}

#[test]
fn names_lead_nowhere_else() {
    let place = Place::new("links");
    let directory = place.directory(1000);
    fs::write(place.0.join("outside"), "safe").expect("written");
    let entry = |name: &str| place.0.join("in").join(name);
    symlink("../outside", entry("link")).expect("a link");
    let partial = partial_name("trap", 4, sum(b"evil"));
    symlink("../outside", entry(&partial)).expect("a link");
    let second = partial_name("hard", 4, sum(b"evil"));
    fs::hard_link(place.0.join("outside"), entry(&second)).expect("a second name");
    fs::create_dir(entry("dir")).expect("a directory");
    assert_eq!(take(&directory, "link", b"evil"), Ok("link (2)".into()));
    assert_eq!(take(&directory, "dir", b"evil"), Ok("dir (2)".into()));
    assert_eq!(take(&directory, "trap", b"evil"), Err(Refusal::Busy));
    assert_eq!(take(&directory, "hard", b"evil"), Err(Refusal::Busy));
    for name in ["", "..", ".hidden", "a/", "nul\0", &"x".repeat(300)] {
        assert_eq!(
            take(&directory, name, b"evil"),
            Err(Refusal::Name),
            "{name:?}"
        );
    }
    assert_eq!(
        take(&directory, "../../outside", b"evil"),
        Ok("outside".into())
    );
    let outside = fs::read(place.0.join("outside")).expect("it is there");
    assert_eq!(outside, b"safe");
}

#[test]
fn no_more_is_taken_than_was_allowed() {
    let place = Place::new("bounds");
    let directory = place.directory(5);
    assert_eq!(take(&directory, "x", b"abcdef"), Err(Refusal::TooMuch));
    assert_eq!(take(&directory, "y", b"abc"), Ok("y".into()));
    assert_eq!(take(&directory, "z", b"abc"), Err(Refusal::TooMuch));
    assert_eq!(place.names(), ["y"]);
    let gone = Receive {
        directory: place.0.join("nowhere"),
        max_bytes: 1,
    };
    assert!(Directory::open(&gone).is_err());
}

#[test]
fn files_that_are_begun_and_never_whole_are_no_more_than_others() {
    let place = Place::new("begun");
    let directory = place.directory(u64::MAX);
    let begin = |number: u64| directory.begin(&format!("file {number}"), 1, sum(b"x"));
    for number in 0..MAX_FILES {
        assert!(begin(number).is_ok(), "{number}");
    }
    assert_eq!(begin(MAX_FILES).err(), Some(Refusal::TooMuch));
    assert_eq!(place.names().len(), 10_000, "of the last there is nothing");
}

#[test]
fn a_file_that_is_sent_is_read_by_pieces() {
    let place = Place::new("sent");
    let path = place.0.join("x.bin");
    fs::write(&path, b"abcdef").expect("written");
    let outgoing = Outgoing::open(&path).expect("it is there");
    assert_eq!((outgoing.name.as_str(), outgoing.size), ("x.bin", 6));
    assert_eq!(outgoing.sha256, sum(b"abcdef"));
    assert_eq!(outgoing.read(2, 3).expect("read"), b"cde");
    fs::write(&path, b"abc").expect("written");
    assert!(outgoing.read(2, 3).is_err(), "it has become shorter");
    assert!(Outgoing::open(&place.0).is_err(), "a directory is no file");
    assert!(Outgoing::open(&place.0.join("none")).is_err());
}
