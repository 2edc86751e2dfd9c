//! What is recorded into which files, as data.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::payload::Encoding;
use crate::media::{Codec, VideoCodec};
use crate::report::Direction;

/// What is to be recorded of every call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The file that was named. What is written bears this name, or one made of it.
    pub file: PathBuf,
    /// What it says of the container.
    pub container: Container,
    /// Which side of the call.
    pub what: What,
}

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// WebM: VP8, VP9, AV1 and Opus.
    WebM,
    /// Matroska: everything.
    Matroska,
    /// MP4: everything but VP8.
    Mp4,
}

/// Which side of a call is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum What {
    /// What this machine sends.
    Sent,
    /// What comes in.
    Received,
    /// Each into a file of its own.
    #[default]
    Both,
}

/// Something to be told of a recording.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Note {
    /// A file has been begun.
    Began {
        /// Its name.
        file: String,
        /// What is in it.
        direction: Direction,
        /// The codecs of its tracks.
        codecs: Vec<&'static str>,
    },
    /// A file is complete.
    Ended {
        /// Its name.
        file: String,
        /// How long it plays.
        seconds: f64,
        /// How large it is.
        bytes: u64,
        /// How many frames are missing because the disk was too slow.
        dropped: u64,
    },
    /// A codec does not fit into the file that was named.
    Elsewhere {
        /// The file that was named.
        file: String,
        /// The codec.
        codec: &'static str,
    },
    /// Nothing more can be recorded; the call goes on.
    Stopped {
        /// Why, in words.
        reason: String,
    },
}

impl Container {
    /// The one that the ending of a file's name says.
    pub fn of_name(file: &Path) -> Option<Self> {
        let ending = file.extension()?.to_str()?.to_ascii_lowercase();
        [Self::WebM, Self::Matroska, Self::Mp4]
            .into_iter()
            .find(|container| container.ending() == ending)
    }

    /// The usual ending of names.
    pub fn ending(self) -> &'static str {
        match self {
            Self::WebM => "webm",
            Self::Matroska => "mkv",
            Self::Mp4 => "mp4",
        }
    }

    /// Whether it can hold frames that are encoded so.
    pub fn holds(self, encoding: Encoding) -> bool {
        match self {
            Self::Matroska => true,
            Self::WebM => encoding != Encoding::H264,
            Self::Mp4 => encoding != Encoding::Vp8,
        }
    }
}

impl Encoding {
    /// What a codec is called in files.
    pub fn of(codec: Codec) -> Self {
        match codec {
            Codec::Video(VideoCodec::Vp8) => Self::Vp8,
            Codec::Video(VideoCodec::H264) => Self::H264,
            Codec::Video(VideoCodec::Vp9) => Self::Vp9,
            Codec::Video(VideoCodec::Av1) => Self::Av1,
            Codec::Opus => Self::Opus,
        }
    }
}

impl What {
    /// Whether a direction is meant.
    pub fn has(self, direction: Direction) -> bool {
        match self {
            Self::Both => true,
            Self::Sent => direction == Direction::Sent,
            Self::Received => direction == Direction::Received,
        }
    }
}

impl Recording {
    /// The recording that a file name asks for.
    ///
    /// # Errors
    /// When the name does not say which container is meant.
    pub fn new(file: PathBuf, what: What) -> Result<Self, String> {
        let container = Container::of_name(&file).ok_or_else(|| {
            "the name of a recording ends in .webm, .mkv or .mp4, which says what it is".to_owned()
        })?;
        Ok(Self {
            file,
            container,
            what,
        })
    }

    /// The name of a file: `NAME.mkv`, or `NAME-sent.mkv` and `NAME-received.mkv` where both sides
    /// are recorded. The call is counted from 1, and so are parts; only from 2 on they are in the
    /// name: `NAME-2-sent-part2.mkv`.
    pub fn name(
        &self,
        call: u32,
        direction: Direction,
        part: u32,
        container: Container,
    ) -> PathBuf {
        let mut name = self.file.file_stem().unwrap_or_default().to_owned();
        if call > 1 {
            name.push(format!("-{call}"));
        }
        if self.what == What::Both {
            name.push(format!("-{direction}"));
        }
        if part > 1 {
            name.push(format!("-part{part}"));
        }
        name.push(format!(".{}", container.ending()));
        self.file.with_file_name(name)
    }

    /// Every name that the first files of a call may have: none of them is there yet, or the call gets
    /// the next number.
    pub fn first_names(&self, call: u32) -> impl Iterator<Item = PathBuf> + '_ {
        let directions = [Direction::Sent, Direction::Received];
        directions
            .into_iter()
            .filter(|direction| self.what.has(*direction))
            .flat_map(move |direction| {
                [self.container, Container::Matroska]
                    .map(|container| self.name(call, direction, 1, container))
            })
    }

    /// Why none of these codecs fits into the file; `None` when one does, or none is sent.
    pub fn conflict(&self, sent: &[Codec]) -> Option<String> {
        let holds = |codec: &Codec| self.container.holds(Encoding::of(*codec));
        let pictures: Vec<_> = sent.iter().filter(|codec| **codec != Codec::Opus).collect();
        if self.what == What::Received || pictures.is_empty() || pictures.into_iter().any(holds) {
            return None;
        }
        let (name, cure) = match self.container {
            Container::WebM => ("A .webm file cannot hold H.264", "--video-codec vp8"),
            Container::Mp4 => ("An .mp4 file cannot hold VP8", "--video-codec h264"),
            Container::Matroska => return None,
        };
        let sentence = format!(
            "{name}, which is what this machine sends; record into an .mkv file, which holds \
             everything, or send another codec with {cure}."
        );
        Some(sentence)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Began {
                file,
                direction,
                codecs,
            } => {
                write!(
                    f,
                    "recording what is {direction} into {file:?}: {}",
                    codecs.join(", ")
                )
            }
            Self::Ended {
                file,
                seconds,
                bytes,
                dropped,
            } => {
                let megabytes = bytes / 1_000_000;
                write!(f, "recorded {file:?}: {seconds:.1} s, {megabytes} MB")?;
                match dropped {
                    0 => Ok(()),
                    _ => write!(
                        f,
                        ", {dropped} frames missing because the disk was too slow"
                    ),
                }
            }
            Self::Elsewhere { file, codec } => write!(
                f,
                "{file:?} cannot hold {codec}, so what is recorded goes into an .mkv file beside it"
            ),
            Self::Stopped { reason } => {
                write!(f, "recording has stopped: {reason}; the call goes on")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_says_which_container_is_meant() {
        for (name, container) in [
            ("a.webm", Some(Container::WebM)),
            ("b/a.MKV", Some(Container::Matroska)),
            ("a.b.mp4", Some(Container::Mp4)),
            ("a.avi", None),
            ("mkv", None),
            (".mkv", None),
            ("", None),
        ] {
            assert_eq!(Container::of_name(Path::new(name)), container, "{name}");
        }
        assert!(Recording::new("a.avi".into(), What::Both).is_err());
    }

    #[test]
    fn every_file_has_a_name_of_its_own() -> Result<(), String> {
        let both = Recording::new("dir/talk.mkv".into(), What::Both)?;
        let name = |call, direction, part| both.name(call, direction, part, Container::Matroska);
        assert_eq!(name(1, Direction::Sent, 1), Path::new("dir/talk-sent.mkv"));
        assert_eq!(
            name(2, Direction::Received, 3),
            Path::new("dir/talk-2-received-part3.mkv")
        );
        let one = Recording::new("talk.mp4".into(), What::Received)?;
        let name = one.name(1, Direction::Received, 1, Container::Mp4);
        assert_eq!(name, Path::new("talk.mp4"));
        let names: Vec<_> = one.first_names(2).collect();
        assert_eq!(names, [Path::new("talk-2.mp4"), Path::new("talk-2.mkv")]);
        Ok(())
    }

    #[test]
    fn what_cannot_be_held_is_known_before_anything_starts() -> Result<(), String> {
        let (vp8, h264) = (
            Codec::Video(VideoCodec::Vp8),
            Codec::Video(VideoCodec::H264),
        );
        let conflict = |name: &str, what, sent: &[Codec]| {
            Ok::<_, String>(Recording::new(name.into(), what)?.conflict(sent).is_some())
        };
        assert!(conflict("a.webm", What::Both, &[h264, Codec::Opus])?);
        assert!(conflict("a.mp4", What::Sent, &[vp8])?);
        assert!(
            !conflict("a.mp4", What::Sent, &[vp8, h264])?,
            "one of them fits"
        );
        assert!(!conflict("a.mp4", What::Received, &[vp8])?);
        assert!(!conflict("a.mp4", What::Both, &[Codec::Opus])?);
        assert!(!conflict("a.mkv", What::Both, &[h264])?);
        Ok(())
    }
}
