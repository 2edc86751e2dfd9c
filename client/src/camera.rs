//! What a camera offers, and which of it is the best for what is wanted.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A camera as a user names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CameraName {
    /// The first there is.
    #[default]
    First,
    /// The path of its device.
    Path(String),
    /// A part of what it calls itself, in large or small letters.
    Name(String),
}

/// A camera of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Camera {
    /// The path of its device.
    pub path: String,
    /// What it calls itself.
    pub name: String,
    /// What it offers; empty when it could not be asked.
    pub forms: Vec<Form>,
}

/// One form in which a camera gives pictures. Drivers give sizes and rates one by one or as ranges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Form {
    /// How its pictures are encoded.
    pub encoding: Encoding,
    /// The layout of raw pictures in GStreamer's words (`YUY2`); `None` for encoded ones.
    pub layout: Option<String>,
    /// Width in pixels.
    pub width: Span<u32>,
    /// Height in pixels.
    pub height: Span<u32>,
    /// Frames a second, one by one or in ranges.
    pub rates: Vec<Span<Rate>>,
}

/// How the pictures of a camera are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Not at all.
    Raw,
    /// Each by itself, as a JPEG.
    Mjpeg,
    /// H.264, which may be sent as it is.
    H264,
}

/// From the least to the most, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Span<T> {
    /// The least.
    pub min: T,
    /// The most.
    pub max: T,
}

/// Frames in so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Frames.
    pub frames: u32,
    /// Seconds, at least 1.
    pub seconds: u32,
}

/// What is wanted of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Width of the picture that is sent, in pixels.
    pub width: u32,
    /// Its height.
    pub height: u32,
    /// Frames a second.
    pub framerate: u32,
    /// Whether H.264 of the camera would be sent as it is. Else it has to be decoded, and is taken
    /// only from a camera that has nothing better.
    pub passes_h264: bool,
}

/// What is asked of a camera: one point of what it offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// How its pictures come.
    pub encoding: Encoding,
    /// The layout of raw ones.
    pub layout: Option<String>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames a second.
    pub rate: Rate,
}

/// Chooses what to ask a camera for. `None` when it offers nothing.
///
/// First of all a picture is not made larger than the camera sees it, when that can be avoided; then
/// it comes at the rate that is wanted; then its size is the nearest; then it costs the least to take.
/// Where every size is too small, the nearest goes before the rate.
pub fn choose(forms: &[Form], wanted: &Wanted) -> Option<Choice> {
    // Ranges overlap: what one form has nearest to what is wanted, another may give faster.
    let sizes = forms.iter().map(|form| form.nearest(wanted));
    let candidates = sizes.flat_map(|size| {
        let with_size = forms.iter().filter(move |form| form.has(size));
        with_size.filter_map(move |form| form.at(size, wanted.framerate))
    });
    candidates.min_by_key(|choice| choice.rank(wanted))
}

impl Form {
    /// The size of this form that is the nearest to what is wanted.
    fn nearest(&self, wanted: &Wanted) -> (u32, u32) {
        (
            self.width.nearest(wanted.width),
            self.height.nearest(wanted.height),
        )
    }

    fn has(&self, (width, height): (u32, u32)) -> bool {
        (width, height) == (self.width.nearest(width), self.height.nearest(height))
    }

    /// The best that this form has in a size.
    fn at(&self, (width, height): (u32, u32), framerate: u32) -> Option<Choice> {
        Some(Choice {
            encoding: self.encoding,
            layout: self.layout.clone(),
            width,
            height,
            rate: best_rate(&self.rates, framerate)?,
        })
    }
}

/// The slowest that is fast enough, else the fastest.
fn best_rate(rates: &[Span<Rate>], wanted: u32) -> Option<Rate> {
    let wanted_rate = Rate::per_second(wanted);
    let nearest = rates.iter().map(|span| span.nearest(wanted_rate));
    let (enough, slow): (Vec<_>, Vec<_>) = nearest.partition(|rate| rate.reaches(wanted));
    enough.into_iter().min().or_else(|| slow.into_iter().max())
}

impl Choice {
    /// The smaller the better. See [`choose`] for what it says.
    fn rank(&self, wanted: &Wanted) -> (bool, Rate, u64, Rate, u8, Rate) {
        let is_small = self.width < wanted.width || self.height < wanted.height;
        let pixels = u64::from(self.width) * u64::from(self.height);
        let distance = pixels.abs_diff(u64::from(wanted.width) * u64::from(wanted.height));
        let cost = match self.encoding {
            Encoding::H264 if wanted.passes_h264 => 0,
            Encoding::Raw => 1,
            Encoding::Mjpeg => 2,
            Encoding::H264 => 3,
        };
        let (none, slowness) = (Rate::per_second(0), self.slowness(wanted));
        let (first, last) = match is_small {
            true => (none, slowness),
            false => (slowness, none),
        };
        (is_small, first, distance, last, cost, self.rate)
    }

    /// Nothing, when it is fast enough; else more, the slower it is.
    fn slowness(&self, wanted: &Wanted) -> Rate {
        match self.rate.reaches(wanted.framerate) {
            true => Rate::per_second(0),
            false => Rate {
                frames: self.rate.seconds,
                seconds: self.rate.frames.max(1),
            },
        }
    }
}

impl Rate {
    /// So many a second.
    pub fn per_second(frames: u32) -> Self {
        Self { frames, seconds: 1 }
    }

    /// Whether it is as fast as that. The 29.97 of television are as good as 30.
    pub fn reaches(self, wanted: u32) -> bool {
        let have = u64::from(self.frames) * 1000;
        have >= u64::from(wanted) * u64::from(self.seconds) * 998
    }

    /// Frames a second.
    pub fn as_f64(self) -> f64 {
        f64::from(self.frames) / f64::from(self.seconds.max(1))
    }
}

impl Ord for Rate {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (u64::from(self.frames), u64::from(other.frames));
        (a * u64::from(other.seconds)).cmp(&(b * u64::from(self.seconds)))
    }
}

impl PartialOrd for Rate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Copy + Ord> Span<T> {
    /// One value alone.
    pub fn of(value: T) -> Self {
        Self {
            min: value,
            max: value,
        }
    }

    fn nearest(self, wanted: T) -> T {
        wanted.min(self.max).max(self.min)
    }
}

/// Finds the camera that is meant.
///
/// # Errors
/// Says that there is none, and which there are.
pub fn find_camera<'a>(cameras: &'a [Camera], name: &CameraName) -> Result<&'a Camera, String> {
    let there = || match cameras {
        [] => "there are none".to_owned(),
        some => {
            let list: Vec<_> = some.iter().map(Camera::to_string).collect();
            format!("there are: {}", list.join("; "))
        }
    };
    let (found, sentence) = match name {
        CameraName::First => (
            cameras.first(),
            "This machine has no camera that we can see".into(),
        ),
        CameraName::Path(path) => (
            cameras.iter().find(|camera| camera.path == *path),
            format!("There is no camera {path}"),
        ),
        CameraName::Name(part) => {
            let wanted = part.to_lowercase();
            let found = cameras
                .iter()
                .find(|camera| camera.name.to_lowercase().contains(&wanted));
            (found, format!("No camera has {part:?} in its name"))
        }
    };
    match (found, name) {
        (Some(camera), _) => Ok(camera),
        (None, CameraName::First) => Err(format!(
            "{sentence}; send a test picture with --video test."
        )),
        (None, _) => Err(format!("{sentence}; {}.", there())),
    }
}

/// A path begins with a slash.
impl FromStr for CameraName {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "" => Self::First,
            path if path.starts_with('/') => Self::Path(path.into()),
            name => Self::Name(name.into()),
        })
    }
}

impl fmt::Display for CameraName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => Ok(()),
            Self::Path(text) | Self::Name(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Camera {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.path, self.name)
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw",
            Self::Mjpeg => "MJPEG",
            Self::H264 => "H.264",
        })
    }
}

/// As short as it can be said: `30`, `29.97`.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.frames % self.seconds.max(1) {
            0 => write!(f, "{}", self.frames / self.seconds.max(1)),
            _ => write!(f, "{:.2}", self.as_f64()),
        }
    }
}

impl<T: fmt::Display + PartialEq> fmt::Display for Span<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.min == self.max {
            true => write!(f, "{}", self.min),
            false => write!(f, "{}..{}", self.min, self.max),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (encoding, layout) = (self.encoding, self.layout.as_deref().unwrap_or_default());
        let form = format!("{encoding} {layout}");
        write!(
            f,
            "{} {}x{} at {}",
            form.trim_end(),
            self.width,
            self.height,
            self.rate
        )
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

#[cfg(test)]
mod tests;
