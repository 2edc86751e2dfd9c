//! What an X display shows: its monitors and its windows.
//!
//! Everything here asks the X server and waits for the answer, so it is for threads that may wait.

mod connection;

use std::collections::BTreeSet;

use anyhow::Context as _;
use x11rb::connection::Connection as _;
use x11rb::protocol::randr::ConnectionExt as _;
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _, MapState, Screen, WindowClass};

use self::connection::Connection;
use crate::failure::{Failure, FailureKind};
use crate::inventory::{
    Monitor, MonitorName, Place, Window, WindowName, find_monitor, find_window,
};
use crate::media::Region;

/// How many windows are looked at: whoever has more will not read them.
const MAX_WINDOWS: usize = 1000;

/// How much of a title is read, in words of four bytes.
const MAX_TITLE_WORDS: u32 = 256;

/// A connection to an X display.
#[derive(Debug)]
pub struct Display {
    connection: Connection,
    screen: usize,
}

/// Where windows are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisplayKind {
    /// On an X display.
    X11,
    /// On a Wayland compositor that has an X display for those who know no other: only windows of
    /// those can be seen by us.
    WaylandWithX11,
    /// On a Wayland compositor alone.
    Wayland,
    /// Nowhere.
    None,
}

/// Which kind of display the environment names; whether it answers is another question.
pub fn display_kind() -> DisplayKind {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match (is_set("DISPLAY"), is_set("WAYLAND_DISPLAY")) {
        (true, false) => DisplayKind::X11,
        (true, true) => DisplayKind::WaylandWithX11,
        (false, true) => DisplayKind::Wayland,
        (false, false) => DisplayKind::None,
    }
}

/// Why there is nothing to capture on this display.
fn unreachable(display: Option<&str>) -> Failure {
    let set = std::env::var("DISPLAY")
        .ok()
        .filter(|name| !name.is_empty());
    let what = match (display.map(str::to_owned).or(set), display_kind()) {
        (Some(display), _) => format!("The X display {display} cannot be captured"),
        (None, DisplayKind::Wayland) => "This is a Wayland session, of which nothing can be \
             captured, and there is no X display (DISPLAY is not set)"
            .into(),
        (None, _) => "There is no X display to capture (DISPLAY is not set)".into(),
    };
    let sentence = format!(
        "{what}; say which one with --display :N, or send a test picture with --video test."
    );
    Failure::new(FailureKind::Display, sentence)
}

impl Display {
    /// Connects to a display, or to the one of the environment.
    ///
    /// # Errors
    /// Says that there is none, or that it cannot be reached.
    pub fn open(display: Option<&str>) -> Result<Self, Failure> {
        let (connection, screen) = connection::connect(display).map_err(|error| {
            tracing::debug!("no X display: {error}");
            unreachable(display)
        })?;
        Ok(Self { connection, screen })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The window that is the whole screen.
    pub(super) fn root(&self) -> Result<u32, anyhow::Error> {
        Ok(self.screen()?.root)
    }

    fn screen(&self) -> Result<&Screen, anyhow::Error> {
        let roots = &self.connection.setup().roots;
        roots.get(self.screen).context("the display has no screen")
    }

    /// Its monitors, in the order in which `xrandr --listmonitors` has them.
    ///
    /// # Errors
    /// When the display does not answer.
    pub fn monitors(&self) -> Result<Vec<Monitor>, anyhow::Error> {
        let root = self.screen()?.root;
        let reply = self.connection.randr_get_monitors(root, true)?.reply()?;
        let monitors = reply.monitors.into_iter().map(|monitor| {
            let name = self.connection.get_atom_name(monitor.name)?.reply()?.name;
            Ok(Monitor {
                name: String::from_utf8_lossy(&name).into_owned(),
                place: Place {
                    x: monitor.x.into(),
                    y: monitor.y.into(),
                    width: monitor.width.into(),
                    height: monitor.height.into(),
                },
                is_primary: monitor.primary,
            })
        });
        monitors.collect()
    }

    /// Its windows that can be seen: those its window manager knows, or where there is none, those
    /// right on the screen that have a title.
    ///
    /// # Errors
    /// When the display does not answer.
    pub fn windows(&self) -> Result<Vec<Window>, anyhow::Error> {
        let root = self.screen()?.root;
        let managed = self.managed_windows(root)?;
        let ids = match managed.is_empty() {
            false => managed,
            true => self.connection.query_tree(root)?.reply()?.children,
        };
        let mut seen = BTreeSet::new();
        let unique = ids.into_iter().filter(|id| seen.insert(*id));
        // A window that is closed while we look is no window, and no reason to see none.
        let windows = unique
            .take(MAX_WINDOWS)
            .filter_map(|id| self.window(id).ok().flatten());
        Ok(windows.collect())
    }

    /// The windows a window manager lists
    /// ([EWMH, `_NET_CLIENT_LIST`](https://specifications.freedesktop.org/wm-spec/latest/ar01s03.html)).
    fn managed_windows(&self, root: u32) -> Result<Vec<u32>, anyhow::Error> {
        let Some(list) = self.atom("_NET_CLIENT_LIST")? else {
            return Ok(Vec::new());
        };
        let most = u32::try_from(MAX_WINDOWS).unwrap_or(u32::MAX);
        let reply = self
            .connection
            .get_property(false, root, list, AtomEnum::WINDOW, 0, most)?
            .reply()?;
        Ok(reply.value32().map(Iterator::collect).unwrap_or_default())
    }

    /// What is to be said of a window; `None` for one that cannot be seen or has no title.
    fn window(&self, id: u32) -> Result<Option<Window>, anyhow::Error> {
        let attributes = self.connection.get_window_attributes(id)?.reply()?;
        let is_visible = attributes.map_state == MapState::VIEWABLE
            && attributes.class == WindowClass::INPUT_OUTPUT;
        let title = self.title(id)?;
        match title.is_empty() || !is_visible {
            true => Ok(None),
            false => Ok(Some(Window {
                id,
                title,
                place: self.place(id)?,
            })),
        }
    }

    fn title(&self, id: u32) -> Result<String, anyhow::Error> {
        let read = |property: u32| {
            let reply = self
                .connection
                .get_property(false, id, property, AtomEnum::ANY, 0, MAX_TITLE_WORDS)?
                .reply()?;
            Ok::<_, anyhow::Error>(String::from_utf8_lossy(&reply.value).into_owned())
        };
        if let Some(utf8_title) = self.atom("_NET_WM_NAME")? {
            let title = read(utf8_title)?;
            if !title.is_empty() {
                return Ok(title);
            }
        }
        read(AtomEnum::WM_NAME.into())
    }

    /// Where a window is on the screen.
    pub(super) fn place(&self, id: u32) -> Result<Place, anyhow::Error> {
        let root = self.screen()?.root;
        let geometry = self.connection.get_geometry(id)?;
        let corner = self.connection.translate_coordinates(id, root, 0, 0)?;
        let (geometry, corner) = (geometry.reply()?, corner.reply()?);
        Ok(Place {
            x: corner.dst_x.into(),
            y: corner.dst_y.into(),
            width: geometry.width.into(),
            height: geometry.height.into(),
        })
    }

    /// An atom, where anybody has used it yet.
    fn atom(&self, name: &str) -> Result<Option<u32>, anyhow::Error> {
        let reply = self
            .connection
            .intern_atom(true, name.as_bytes())?
            .reply()?;
        Ok(Some(reply.atom).filter(|&atom| atom != x11rb::NONE))
    }

    /// Finds the window that is meant. One named by its number may be any, also one inside another.
    ///
    /// # Errors
    /// Says that there is none, or more than one, and which there are; or that the display does not
    /// answer.
    pub fn find_window(&self, name: &WindowName) -> Result<Window, Failure> {
        if let WindowName::Id(id) = *name
            && let Ok(place) = self.place(id)
        {
            let title = self.title(id).unwrap_or_default();
            return Ok(Window { id, title, place });
        }
        let windows = self.windows().map_err(|error| silent(&error))?;
        let found = find_window(&windows, name);
        found
            .cloned()
            .map_err(|sentence| Failure::new(FailureKind::Device, sentence))
    }

    /// Finds the monitor that is meant, and says which part of the screen it shows.
    ///
    /// # Errors
    /// Says that there is none, and which there are; or that the display does not answer.
    pub fn find_monitor(&self, name: &MonitorName) -> Result<Region, Failure> {
        let monitors = self.monitors().map_err(|error| silent(&error))?;
        let refused = |sentence: String| Failure::new(FailureKind::Device, sentence);
        let monitor = find_monitor(&monitors, name).map_err(refused)?;
        let Place {
            x,
            y,
            width,
            height,
        } = monitor.place;
        match (u32::try_from(x), u32::try_from(y)) {
            (Ok(x), Ok(y)) if width > 0 && height > 0 => Ok(Region {
                x,
                y,
                width,
                height,
            }),
            _ => Err(refused(format!(
                "The monitor {monitor} shows no part of the screen."
            ))),
        }
    }
}

/// A display that was there a moment ago.
pub(super) fn silent(error: &anyhow::Error) -> Failure {
    let sentence = format!("The X display does not answer: {error}.");
    Failure::new(FailureKind::Display, sentence)
}
