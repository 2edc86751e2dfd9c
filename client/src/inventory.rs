//! What a machine has to capture and to play with, as data: how it is printed, and which one is meant
//! by what a user typed.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::camera::{Camera, Form};

/// How many of those there are a sentence names.
const MAX_NAMED: usize = 10;

/// All that was found, and a sentence for each kind of which nothing was. Prints as a table;
/// serializes to the JSON object of `--list-devices --json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(tag = "event", rename = "devices")]
pub struct Inventory {
    /// Cameras, with what each offers.
    pub cameras: Vec<Camera>,
    /// Outputs of sound, each of which may be captured by its monitor.
    pub outputs: Vec<SoundDevice>,
    /// Microphones and other inputs of sound.
    pub microphones: Vec<SoundDevice>,
    /// Monitors of the X display, in their order there.
    pub monitors: Vec<Monitor>,
    /// Windows of the X display that can be seen.
    pub windows: Vec<Window>,
    /// What is missing and why.
    pub notes: Vec<Note>,
}

/// Why there is nothing of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The kind.
    pub about: Section,
    /// One sentence.
    pub sentence: String,
}

/// A kind of device, in the order in which they are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Section {
    /// Cameras.
    Cameras,
    /// Microphones.
    Microphones,
    /// Outputs.
    Outputs,
    /// Monitors.
    Monitors,
    /// Windows.
    Windows,
}

/// An input or an output of the sound server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SoundDevice {
    /// What `--audio-device` takes.
    pub name: String,
    /// What a person calls it.
    pub description: String,
    /// Whether it is what is used when none is named.
    pub is_default: bool,
}

/// A monitor of an X display.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Monitor {
    /// Its name, as `xrandr` has it.
    pub name: String,
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// Whether it is the primary one.
    pub is_primary: bool,
}

/// A window of an X display.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Its X11 id.
    #[serde(serialize_with = "as_hexadecimal")]
    pub id: u32,
    /// Its title. Whoever made the window chose it.
    pub title: String,
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
}

/// A rectangle of an X display, in pixels; a window may lie partly outside of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Distance of the left edge from the left of the screen.
    pub x: i32,
    /// Distance of the upper edge from the top of the screen.
    pub y: i32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

/// A window as a user names it: by number (`0x1a00003` or decimal), else by a part of its title.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WindowName {
    /// The X11 id.
    Id(u32),
    /// A part of the title, in large or small letters.
    Title(String),
}

/// A monitor as a user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MonitorName {
    /// Its place in the list, from 1.
    Number(usize),
    /// Its name, in large or small letters.
    Name(String),
}

/// Finds the window that is meant.
///
/// # Errors
/// Says that there is none, or more than one, and which there are.
pub fn find_window<'a>(windows: &'a [Window], name: &WindowName) -> Result<&'a Window, String> {
    let there = || named(windows.iter().map(Window::to_string));
    match name {
        WindowName::Id(id) => windows
            .iter()
            .find(|window| window.id == *id)
            .ok_or_else(|| format!("There is no window {id:#x}; {}.", there())),
        WindowName::Title(part) => {
            let wanted = part.to_lowercase();
            let holding: Vec<_> = windows
                .iter()
                .filter(|window| window.title.to_lowercase().contains(&wanted))
                .collect();
            let exact: Vec<&Window> = holding
                .iter()
                .copied()
                .filter(|window| window.title == *part)
                .collect();
            match (holding.as_slice(), exact.as_slice()) {
                ([window], _) | (_, [window]) => Ok(window),
                ([], _) => Err(format!("No window has {part:?} in its title; {}.", there())),
                (several, _) => Err(format!(
                    "{} windows have {part:?} in their title; name one by its number: {}.",
                    several.len(),
                    listed(several.iter().map(|window| window.to_string()))
                )),
            }
        }
    }
}

/// Finds the monitor that is meant.
///
/// # Errors
/// Says that there is none, and which there are.
pub fn find_monitor<'a>(
    monitors: &'a [Monitor],
    name: &MonitorName,
) -> Result<&'a Monitor, String> {
    let there = || {
        let numbered = monitors.iter().zip(1..);
        named(numbered.map(|(monitor, number)| format!("{number} {monitor}")))
    };
    match name {
        MonitorName::Number(number) => number
            .checked_sub(1)
            .and_then(|index| monitors.get(index))
            .ok_or_else(|| format!("There is no monitor {number}; {}.", there())),
        MonitorName::Name(name) => monitors
            .iter()
            .find(|monitor| monitor.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| format!("There is no monitor {name:?}; {}.", there())),
    }
}

/// "there are: this; that", or that there are none.
fn named(all: impl Iterator<Item = String>) -> String {
    match listed(all) {
        list if list.is_empty() => "there are none".into(),
        list => format!("there are: {list}"),
    }
}

/// The first of them, and how many more there are.
fn listed(mut all: impl Iterator<Item = String>) -> String {
    let mut list: Vec<_> = all.by_ref().take(MAX_NAMED).collect();
    let more = all.count();
    if more > 0 {
        list.push(format!("{more} more"));
    }
    list.join("; ")
}

impl FromStr for WindowName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hexadecimal = text
            .strip_prefix("0x")
            .and_then(|digits| u32::from_str_radix(digits, 16).ok());
        match hexadecimal.or_else(|| text.parse().ok()) {
            Some(id) => Ok(Self::Id(id)),
            None if text.is_empty() => {
                Err("a window is named by its number or a part of its title")
            }
            None => Ok(Self::Title(text.into())),
        }
    }
}

impl FromStr for MonitorName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(0) => Err("monitors are counted from 1"),
            Ok(number) => Ok(Self::Number(number)),
            Err(_) if text.is_empty() => Err("a monitor is named by its name or its number"),
            Err(_) => Ok(Self::Name(text.into())),
        }
    }
}

impl fmt::Display for WindowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id:#x}"),
            Self::Title(part) => f.write_str(part),
        }
    }
}

impl fmt::Display for MonitorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            x,
            y,
            width,
            height,
        } = self;
        write!(f, "{width}x{height} at {x},{y}")
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x} {:?}", self.id, self.title)
    }
}

impl fmt::Display for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.place)
    }
}

impl Section {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 5] = [
        Self::Cameras,
        Self::Microphones,
        Self::Outputs,
        Self::Monitors,
        Self::Windows,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Cameras => "Cameras",
            Self::Microphones => "Microphones",
            Self::Outputs => "Outputs (captured as NAME.monitor)",
            Self::Monitors => "Monitors",
            Self::Windows => "Windows",
        }
    }
}

impl Inventory {
    /// Takes over what another one has.
    pub fn merge(&mut self, other: Self) {
        self.cameras.extend(other.cameras);
        self.outputs.extend(other.outputs);
        self.microphones.extend(other.microphones);
        self.monitors.extend(other.monitors);
        self.windows.extend(other.windows);
        self.notes.extend(other.notes);
    }

    /// The rows of a kind; the columns of a row stand under those of the next.
    fn rows(&self, section: Section) -> Vec<Vec<String>> {
        let sound = |devices: &[SoundDevice]| {
            let row = |device: &SoundDevice| {
                vec![
                    marked(&device.name, device.is_default),
                    device.description.clone(),
                ]
            };
            devices.iter().map(row).collect()
        };
        match section {
            Section::Cameras => self.cameras.iter().flat_map(camera_rows).collect(),
            Section::Microphones => sound(&self.microphones),
            Section::Outputs => sound(&self.outputs),
            Section::Monitors => {
                let numbered = self.monitors.iter().zip(1..);
                let row = |(monitor, number): (&Monitor, usize)| {
                    vec![
                        number.to_string(),
                        marked(&monitor.name, monitor.is_primary),
                        monitor.place.to_string(),
                    ]
                };
                numbered.map(row).collect()
            }
            Section::Windows => {
                let row = |window: &Window| {
                    vec![
                        format!("{:#x}", window.id),
                        window.place.to_string(),
                        format!("{:?}", window.title),
                    ]
                };
                self.windows.iter().map(row).collect()
            }
        }
    }
}

/// A camera, and below it what it offers.
fn camera_rows(camera: &Camera) -> Vec<Vec<String>> {
    let first = vec![camera.path.clone(), format!("{:?}", camera.name)];
    let row = |form: &Form| {
        let layout = form.layout.as_deref().unwrap_or_default();
        let rates: Vec<_> = form.rates.iter().map(ToString::to_string).collect();
        vec![
            String::new(),
            format!("{} {layout}", form.encoding).trim_end().to_owned(),
            format!("{}x{}", form.width, form.height),
            format!("{} frames a second", rates.join(", ")),
        ]
    };
    std::iter::once(first)
        .chain(camera.forms.iter().map(row))
        .collect()
}

/// The default one is marked.
fn marked(name: &str, is_default: bool) -> String {
    match is_default {
        true => format!("* {name}"),
        false => format!("  {name}"),
    }
}

impl fmt::Display for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (section, separator) in Section::ALL.into_iter().zip(["", "\n", "\n", "\n", "\n"]) {
            write!(f, "{separator}{}", section.title())?;
            write_table(f, &self.rows(section))?;
            for note in self.notes.iter().filter(|note| note.about == section) {
                write!(f, "\n  {}", note.sentence)?;
            }
        }
        Ok(())
    }
}

/// Each row on a line of its own, indented; every column is as wide as its widest entry.
fn write_table(f: &mut fmt::Formatter<'_>, rows: &[Vec<String>]) -> fmt::Result {
    let width = |column: usize| {
        let widths = rows.iter().filter_map(|row| row.get(column));
        widths.map(|entry| entry.chars().count()).max().unwrap_or(0)
    };
    for row in rows {
        let cells = row.iter().enumerate();
        let line: String = cells
            .map(|(column, entry)| format!("  {entry:<width$}", width = width(column)))
            .collect();
        write!(f, "\n{}", line.trim_end())?;
    }
    Ok(())
}

fn as_hexadecimal<S: Serializer>(id: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{id:#x}"))
}

#[cfg(test)]
mod tests;
