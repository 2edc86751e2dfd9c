//! What fuzzing found worth keeping is played again: every file in `fuzz/corpus`.

#[path = "../../fuzz/src/codec.rs"]
mod codec;
#[path = "../../fuzz/src/door.rs"]
mod door;
#[path = "../../fuzz/src/message.rs"]
mod message;
#[path = "../../fuzz/src/script.rs"]
mod script;

use std::fs;
use std::path::Path;

/// Fewer files than this are no corpus.
const LEAST_FILES: usize = 5;

#[expect(clippy::print_stdout, reason = "a test that fails says there why")]
#[track_caller]
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let entries = fs::read_dir(folder.join(target)).expect("a corpus");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.sort_unstable();
    assert!(paths.len() >= LEAST_FILES, "{} files", paths.len());
    for path in paths {
        println!("{}", path.display());
        check(&fs::read(path).expect("a file"));
    }
}

#[test]
fn lines_and_signals() {
    replay("message", message::check);
}

#[test]
fn histories_of_a_few_peers() {
    replay("script", script::check);
}

#[test]
fn frames_of_websockets() {
    replay("codec", codec::check);
}

#[test]
fn whatever_comes_to_the_port() {
    replay("door", door::check);
}
