//! What becomes of what comes in, as data.

use std::fmt::Write as _;

use protocol::PeerId;

use crate::record::plan::Recording;

/// How many letters of a peer's id stand in the title of a window: a window manager shows no more.
const MAX_TITLE_LETTERS: usize = 60;

/// What is done with what a peer sends, beside decoding, counting and showing it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Receiving {
    /// What is recorded of every call.
    pub record: Option<Recording>,
    /// Whether sound is played.
    pub play: Play,
    /// The output of the sound server that plays it; `None` is the default one.
    pub output: Option<String>,
    /// How loud it is played: 1 is as loud as it comes.
    pub volume: Option<f64>,
    /// Whether what is played is taken out of what a microphone hears.
    pub echo: EchoCancellation,
}

/// Whether what is played is taken out of what a microphone hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EchoCancellation {
    /// When a microphone is sent and sound is played.
    #[default]
    Auto,
    /// Yes.
    On,
    /// No.
    Off,
}

/// Whether the sound that comes in is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Play {
    /// Where there is a sound server, and a window is shown.
    #[default]
    WithWindow,
    /// Yes; without a sound server the client fails.
    Yes,
    /// No.
    No,
}

/// The title of the window that shows a picture: whose it is and, of several, which, counted from 1. An
/// id is a stranger's text, and a title is one line.
pub fn title(peer: Option<&PeerId>, track: usize) -> String {
    let mut title = match peer {
        None => "the other side".to_owned(),
        Some(peer) => {
            let whole = format!("{peer:?}");
            let mut letters: String = whole.chars().take(MAX_TITLE_LETTERS).collect();
            if letters.len() < whole.len() {
                letters.push('\u{2026}');
            }
            letters
        }
    };
    if track > 1 {
        let _ = write!(title, ", picture {track}");
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_names_the_peer_in_one_short_line() {
        let titled = |id: &str, track| title(Some(&id.parse().expect("an id")), track);
        assert_eq!(titled("bob", 1), "\"bob\"");
        assert_eq!(titled("bob", 2), "\"bob\", picture 2");
        assert_eq!(title(None, 3), "the other side, picture 3");
        assert_eq!(
            titled("a\u{202e}b\u{7}\"", 1),
            r#""a\u{202e}b\u{7}\"""#,
            "nothing turns the line around, and no quote ends the id"
        );
        let long = titled(&"\u{1f600}".repeat(64), 1);
        assert_eq!(long.chars().count(), MAX_TITLE_LETTERS + 1);
        assert!(long.ends_with('\u{2026}'));
    }
}
