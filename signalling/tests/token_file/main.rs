//! The token file of a running relay: changed, broken, gone, and read by others.

#[path = "../support/folder.rs"]
mod folder;

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use folder::Folder;
use signalling::token::Secrets;
use signalling::token_file::TokenFile;

const FIRST: &str = "first the-first-of-all-secrets\n";
const SECOND: &str = "second the-second-of-all-secrets admin\n";

/// A token file in a folder of its own, both gone with it.
struct Written(Folder);

impl Written {
    fn new(text: &str, mode: u32) -> Self {
        let written = Self(Folder::new());
        written.write(text, mode);
        written
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("tokens")
    }

    /// Puts another file in its place, so that no two have the same inode and time.
    fn write(&self, text: &str, mode: u32) {
        let next = self.0.path().join("next");
        fs::write(&next, text).expect("written");
        fs::set_permissions(&next, Permissions::from_mode(mode)).expect("permitted");
        fs::rename(&next, self.path()).expect("renamed");
    }
}

/// What is logged while something is done. Whatever logs in these tests does so in here: where only
/// one thread listens, a line first met by another is switched off for all.
fn log_of(act: impl FnOnce()) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, act);
    let bytes = log.0.lock().expect("nobody panicked").clone();
    String::from_utf8(bytes).expect("text")
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panicked").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn knows_first(secrets: &Secrets) -> bool {
    secrets.verify("the-first-of-all-secrets", 0).is_ok()
}

#[test]
fn secrets_are_taken_in_anew_when_the_file_changes() {
    let written = Written::new(FIRST, 0o600);
    let (mut file, secrets) = TokenFile::open(&written.path()).expect("secrets");
    assert!(knows_first(&secrets));
    assert!(file.refresh().is_none());
    written.write(SECOND, 0o600);
    let log = log_of(|| {
        let secrets = file.refresh().expect("other secrets");
        assert!(!knows_first(&secrets));
        assert!(secrets.has_admin());
    });
    assert!(
        log.contains("INFO") && !log.contains("of-all-secrets"),
        "{log}"
    );
    assert_eq!(log_of(|| assert!(file.refresh().is_none())), "");
}

#[test]
fn a_broken_file_changes_nothing_and_is_told_of_once_without_a_secret() {
    let written = Written::new(FIRST, 0o600);
    let (mut file, _) = TokenFile::open(&written.path()).expect("secrets");
    for broken in [
        "the-first-of-all-secrets first\n",
        "",
        "first \u{fffd}-the-first-of-all-secrets",
    ] {
        written.write(broken, 0o600);
        let log = log_of(|| assert!(file.refresh().is_none()));
        assert!(
            log.contains("WARN") && log.contains("token file is broken"),
            "{log}"
        );
        assert!(!log.contains("of-all-secrets"), "{log}");
        assert_eq!(log_of(|| assert!(file.refresh().is_none())), "");
    }
    fs::remove_file(written.path()).expect("removed");
    let log = log_of(|| assert!(file.refresh().is_none()));
    assert!(log.contains("token file is broken"), "{log}");
    assert_eq!(log_of(|| assert!(file.refresh().is_none())), "");
    written.write(SECOND, 0o600);
    let log = log_of(|| assert!(file.refresh().is_some()));
    assert!(
        log.contains("INFO") && !log.contains("of-all-secrets"),
        "{log}"
    );
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_that_says_which_and_why() {
    let written = Written::new("first\n", 0o600);
    let problem = |path: PathBuf| format!("{:#}", TokenFile::open(&path).expect_err("refused"));
    let broken = problem(written.path());
    assert!(broken.contains("tokens: line 1: "), "{broken}");
    let gone = problem(written.0.path().join("gone"));
    assert!(gone.contains("gone: No such file"), "{gone}");
    let folder = problem(written.0.path().to_owned());
    assert!(folder.contains("no regular file"), "{folder}");
    fs::write(written.path(), b"first the-first-of-all-secr\xe9ts\n").expect("written");
    let latin = problem(written.path());
    assert!(
        latin.contains("not UTF-8") && !latin.contains("of-all"),
        "{latin}"
    );
}

#[test]
fn a_file_that_others_may_read_is_warned_of_once() {
    for (mode, is_warned_of) in [(0o600, false), (0o644, true), (0o640, true)] {
        let written = Written::new(FIRST, mode);
        let log = log_of(|| {
            let (mut file, _) = TokenFile::open(&written.path()).expect("secrets");
            for text in [SECOND, FIRST] {
                written.write(text, mode);
                assert!(file.refresh().is_some());
            }
        });
        let warnings = log.matches("chmod 600").count();
        assert_eq!(warnings, usize::from(is_warned_of), "{mode:o}: {log}");
        assert!(!log.contains("of-all-secrets"), "{log}");
    }
}
