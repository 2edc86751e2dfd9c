//! Where pictures and sound come from, as data, and how one writes it on the command line.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use url::Url;

use super::Kind;
use crate::camera::CameraName;
use crate::inventory::{MonitorName, WindowName};

/// Where the picture comes from. Written `screen`, `window:NAME`, `monitor:NAME`, `camera[:DEVICE]`,
/// `test[:PATTERN]`, `file:PATH`, `uri:URL`, `pipeline:TEXT` or `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VideoSource {
    /// An X11 screen.
    Screen(Screen),
    /// A camera.
    Camera(CameraName),
    /// A moving test picture.
    Test(Pattern),
    /// The picture in a file.
    File(File),
    /// The picture at an address.
    Uri(Uri),
    /// What the user built of GStreamer's elements.
    Pipeline(Launch),
    /// Frames that the program pushes, which embeds this library. Not to be had on the command line.
    App,
    /// No picture is sent.
    None,
}

/// Where the sound comes from. Written `mic[:DEVICE]`, `desktop`, `test`, `file[:PATH]`, `uri[:URL]`,
/// `pipeline:TEXT` or `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudioSource {
    /// A PulseAudio source: a microphone, or the monitor of an output. `None` is the default one.
    Mic(Option<String>),
    /// What this machine plays: the monitor of the default output.
    Desktop,
    /// A test tone of [`TEST_TONE_HZ`].
    Test,
    /// The sound that belongs to the picture, while that is a file or comes from an address. Written
    /// `file` or `uri`.
    WithVideo,
    /// The sound in a file.
    File(File),
    /// The sound at an address.
    Uri(Uri),
    /// What the user built of GStreamer's elements.
    Pipeline(Launch),
    /// Samples that the program pushes, which embeds this library. Not to be had on the command line.
    App,
    /// No sound is sent.
    None,
}

/// Where a picture or sound comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A picture.
    Video(VideoSource),
    /// Sound.
    Audio(AudioSource),
}

/// The pitch of the test tone.
pub const TEST_TONE_HZ: u32 = 440;

/// What of which X11 screen is captured, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    /// The X display (`:0`), or the one of the environment.
    pub display: Option<String>,
    /// Whether the mouse pointer is part of the picture.
    pub pointer: bool,
    /// Which part of it.
    pub part: Part,
}

/// A part of a screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    #[default]
    Whole,
    /// A rectangle.
    Region(Region),
    /// One window alone.
    Window(WindowName),
    /// What one monitor shows.
    Monitor(MonitorName),
}

/// A rectangle on a screen, in pixels. Written `X,Y,WIDTHxHEIGHT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Distance of the left edge from the left of the screen.
    pub x: u32,
    /// Distance of the upper edge from the top of the screen.
    pub y: u32,
    /// Width, at least 1.
    pub width: u32,
    /// Height, at least 1.
    pub height: u32,
}

/// One of the test pictures that `videotestsrc` draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern(&'static str);

/// A file that is played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it begins anew when it is over.
    pub repeat: bool,
}

/// An address with a picture, sound, or both. It may hold a password, and is never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Uri(Url);

/// Text that `gst-launch-1.0` takes, from the command line and from nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch(String);

impl VideoSource {
    /// How it is called in a list that others may read: without paths, passwords and pipelines.
    pub fn label(&self) -> String {
        match self {
            Self::File(file) => file.label(),
            Self::Uri(uri) => uri.label(),
            Self::Pipeline(_) => "pipeline".into(),
            Self::Screen(_) | Self::Camera(_) | Self::Test(_) | Self::App | Self::None => {
                self.to_string()
            }
        }
    }
}

impl AudioSource {
    /// How it is called in a list that others may read: without paths, passwords and pipelines.
    pub fn label(&self) -> String {
        match self {
            Self::WithVideo => "with the video".into(),
            Self::File(file) => file.label(),
            Self::Uri(uri) => uri.label(),
            Self::Pipeline(_) => "pipeline".into(),
            Self::Mic(_) | Self::Desktop | Self::Test | Self::App | Self::None => self.to_string(),
        }
    }
}

impl Origin {
    /// Whether it is what the program pushes.
    pub fn is_app(&self) -> bool {
        matches!(
            self,
            Self::Video(VideoSource::App) | Self::Audio(AudioSource::App)
        )
    }

    /// Picture or sound.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Video(_) => Kind::Video,
            Self::Audio(_) => Kind::Audio,
        }
    }

    /// How it is called in a list that others may read: without paths, passwords and pipelines.
    pub fn label(&self) -> String {
        match self {
            Self::Video(source) => source.label(),
            Self::Audio(source) => source.label(),
        }
    }
}

impl Pattern {
    /// The names that `videotestsrc` knows.
    pub const NAMES: [&'static str; 26] = [
        "smpte",
        "snow",
        "black",
        "white",
        "red",
        "green",
        "blue",
        "checkers-1",
        "checkers-2",
        "checkers-4",
        "checkers-8",
        "circular",
        "blink",
        "smpte75",
        "zone-plate",
        "gamut",
        "chroma-zone-plate",
        "solid-color",
        "ball",
        "smpte100",
        "bar",
        "pinwheel",
        "spokes",
        "gradient",
        "colors",
        "smpte-rp-219",
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        self.0
    }
}

/// Bars, which cost next to nothing to draw or encode.
impl Default for Pattern {
    fn default() -> Self {
        Self("smpte75")
    }
}

impl File {
    /// Whether it is a picture that does not move, by the ending of its name.
    pub fn is_still(&self) -> bool {
        let ending = self.path.extension().unwrap_or_default();
        ["png", "jpg", "jpeg", "bmp"]
            .iter()
            .any(|still| ending.eq_ignore_ascii_case(still))
    }

    fn label(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        format!("file:{}", Path::new(name).display())
    }
}

impl Uri {
    /// The address itself, password included: for the one place that opens it.
    pub fn reveal(&self) -> &str {
        self.0.as_str()
    }

    /// Whether what comes from there comes at its own pace, and cannot be held up.
    pub fn is_live(&self) -> bool {
        let scheme = self.0.scheme();
        scheme.starts_with("rtsp") || ["rtp", "rtmp", "srt", "udp"].contains(&scheme)
    }

    fn label(&self) -> String {
        let place = self.0.host_str().unwrap_or_default();
        format!("uri:{}://{place}{}", self.0.scheme(), self.0.path())
    }
}

impl Launch {
    /// Takes text that a user has typed here.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// The word of a source, and what follows its colon. Nothing after a colon is a typing error.
fn split(text: &str) -> Result<(&str, Option<&str>), String> {
    match text.split_once(':') {
        Some((word, "")) => Err(format!("something has to follow {word}:")),
        Some((word, rest)) => Ok((word, Some(rest))),
        None => Ok((text, None)),
    }
}

impl FromStr for VideoSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let screen = |part| {
            Self::Screen(Screen {
                part,
                ..Screen::default()
            })
        };
        Ok(match split(text)? {
            ("screen", None) => screen(Part::Whole),
            ("screen", Some(region)) => screen(Part::Region(region.parse()?)),
            ("window", Some(name)) => screen(Part::Window(name.parse()?)),
            ("monitor", Some(name)) => screen(Part::Monitor(name.parse()?)),
            ("camera", None) => Self::Camera(CameraName::First),
            ("camera", Some(device)) => Self::Camera(device.parse().unwrap_or_default()),
            ("test", None) => Self::Test(Pattern::default()),
            ("test", Some(pattern)) => Self::Test(pattern.parse()?),
            ("file", Some(path)) => Self::File(File::looped(path)),
            ("uri", Some(url)) => Self::Uri(url.parse()?),
            ("pipeline", Some(text)) => Self::Pipeline(Launch::new(text)),
            ("none", None) => Self::None,
            _ => {
                return Err("a picture comes from screen, window:NAME, monitor:NAME, \
                            camera[:DEVICE], test[:PATTERN], file:PATH, uri:URL, pipeline:TEXT or \
                            none"
                    .into());
            }
        })
    }
}

impl FromStr for AudioSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match split(text)? {
            ("mic", device) => Self::Mic(device.map(Into::into)),
            ("desktop", None) => Self::Desktop,
            ("test", None) => Self::Test,
            ("file" | "uri", None) => Self::WithVideo,
            ("file", Some(path)) => Self::File(File::looped(path)),
            ("uri", Some(url)) => Self::Uri(url.parse()?),
            ("pipeline", Some(text)) => Self::Pipeline(Launch::new(text)),
            ("none", None) => Self::None,
            _ => {
                return Err(
                    "sound comes from mic[:DEVICE], desktop, test, file[:PATH], \
                            uri[:URL], pipeline:TEXT or none"
                        .into(),
                );
            }
        })
    }
}

impl fmt::Display for VideoSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Screen(screen) => match &screen.part {
                Part::Whole => f.write_str("screen"),
                Part::Region(region) => write!(f, "screen:{region}"),
                Part::Window(name) => write!(f, "window:{name}"),
                Part::Monitor(name) => write!(f, "monitor:{name}"),
            },
            Self::Camera(CameraName::First) => f.write_str("camera"),
            Self::Camera(name) => write!(f, "camera:{name}"),
            Self::Test(pattern) if *pattern == Pattern::default() => f.write_str("test"),
            Self::Test(pattern) => write!(f, "test:{}", pattern.name()),
            Self::File(file) => write!(f, "file:{}", file.path.display()),
            Self::Uri(uri) => write!(f, "uri:{}", uri.reveal()),
            Self::Pipeline(launch) => write!(f, "pipeline:{}", launch.text()),
            Self::App => f.write_str("app"),
            Self::None => f.write_str("none"),
        }
    }
}

impl fmt::Display for AudioSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mic(device) => with_device(f, "mic", device.as_deref()),
            Self::Desktop => f.write_str("desktop"),
            Self::Test => f.write_str("test"),
            Self::WithVideo => f.write_str("file"),
            Self::File(file) => write!(f, "file:{}", file.path.display()),
            Self::Uri(uri) => write!(f, "uri:{}", uri.reveal()),
            Self::Pipeline(launch) => write!(f, "pipeline:{}", launch.text()),
            Self::App => f.write_str("app"),
            Self::None => f.write_str("none"),
        }
    }
}

fn with_device(f: &mut fmt::Formatter<'_>, word: &str, device: Option<&str>) -> fmt::Result {
    match device {
        Some(device) => write!(f, "{word}:{device}"),
        None => f.write_str(word),
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match Self::NAMES.into_iter().find(|name| *name == text) {
            Some(name) => Ok(Self(name)),
            None => Err(format!("the test pictures are {}", Self::NAMES.join(", "))),
        }
    }
}

impl File {
    fn looped(path: &str) -> Self {
        Self {
            path: path.into(),
            repeat: true,
        }
    }
}

impl FromStr for Uri {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match Url::parse(text) {
            Ok(url) if url.scheme() == "file" => Err("a file is named by file:PATH".into()),
            Ok(url) if url.has_host() => Ok(Self(url)),
            Ok(_) | Err(_) => {
                Err("an address is SCHEME://HOST/.., for example rtsp://camera.lan/live".into())
            }
        }
    }
}

/// The label: the address may hold a password.
impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label())
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}x{}", self.x, self.y, self.width, self.height)
    }
}

impl FromStr for Region {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (x, rest) = text.split_once(',')?;
            let (y, size) = rest.split_once(',')?;
            let (width, height) = size.split_once('x')?;
            let number = |text: &str| text.parse::<u16>().ok().map(u32::from);
            Some(Self {
                x: number(x)?,
                y: number(y)?,
                width: number(width)?,
                height: number(height)?,
            })
        };
        match read() {
            Some(region) if region.width > 0 && region.height > 0 => Ok(region),
            _ => Err("a region is X,Y,WIDTHxHEIGHT in pixels, for example 0,0,1280x720".into()),
        }
    }
}

#[cfg(test)]
mod tests;
