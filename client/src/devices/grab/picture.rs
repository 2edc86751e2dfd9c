//! One picture of a screen or of a window, asked of the X server.

use anyhow::bail;
use x11rb::connection::Connection as _;
use x11rb::protocol::composite::{ConnectionExt as _, Redirect};
use x11rb::protocol::xfixes::ConnectionExt as _;
use x11rb::protocol::xproto::{ConnectionExt as _, ImageOrder, MapState};

use super::memory::Memory;
use crate::cursor::Cursor;
use crate::devices::x11::{Display, silent};
use crate::failure::{Failure, FailureKind};
use crate::inventory::{Place, Window};
use crate::media::{Part, Region, Screen};

/// What is captured of an open display.
pub(super) struct Picture {
    display: Display,
    subject: Subject,
    pointer: bool,
    memory: Memory,
}

enum Subject {
    Screen,
    Region(Region),
    Window(Viewed),
}

/// A window whose picture is kept by the X server apart from the screen.
struct Viewed {
    window: Window,
    /// Its picture, in its size; none before the window is seen.
    pixmap: Option<(u32, Place)>,
    /// Its last picture, while it is hidden.
    last: Option<(gst::Buffer, (u32, u32))>,
}

impl Picture {
    /// Opens the display and finds the part of it that is wanted.
    pub(super) fn open(screen: &Screen) -> Result<Self, Failure> {
        let display = Display::open(screen.display.as_deref())?;
        let subject = match &screen.part {
            Part::Whole => Subject::Screen,
            Part::Region(region) => Subject::Region(*region),
            Part::Monitor(name) => Subject::Region(display.find_monitor(name)?),
            Part::Window(name) => Subject::Window(Viewed {
                window: display.find_window(name)?,
                pixmap: None,
                last: None,
            }),
        };
        let mut picture = Self {
            display,
            subject,
            pointer: screen.pointer,
            memory: Memory::Sent,
        };
        picture.prepare().map_err(|error| silent(&error))?;
        if let Subject::Window(viewed) = &picture.subject {
            let id = viewed.window.id;
            picture.redirect(id).map_err(|error| {
                tracing::debug!("no picture of window {id:#x}: {error:#}");
                let sentence = format!(
                    "The X server gives no picture of the window {} alone; capture the screen or a \
                     --region.",
                    viewed.window
                );
                Failure::new(FailureKind::Display, sentence)
            })?;
        }
        Ok(picture)
    }

    /// Agrees with the server on what it can do, and how pictures come.
    fn prepare(&mut self) -> Result<(), anyhow::Error> {
        let connection = self.display.connection();
        if connection.setup().image_byte_order != ImageOrder::LSB_FIRST {
            bail!("its pixels are in an order of bytes that Aldis does not know");
        }
        if self.pointer {
            connection.xfixes_query_version(5, 0)?.reply()?;
        }
        self.memory = Memory::of(&self.display);
        Ok(())
    }

    /// Has the server keep a window's picture apart.
    fn redirect(&self, id: u32) -> Result<(), anyhow::Error> {
        let connection = self.display.connection();
        connection.composite_query_version(0, 4)?.reply()?;
        connection
            .composite_redirect_window(id, Redirect::AUTOMATIC)?
            .check()?;
        Ok(())
    }

    /// The picture at this moment, and its size.
    pub(super) fn grab(&mut self) -> Result<(gst::Buffer, (u32, u32)), Failure> {
        let gone = |error: &anyhow::Error| {
            tracing::debug!("the display is gone: {error:#}");
            silent(error)
        };
        let Self {
            display,
            subject,
            pointer,
            memory,
        } = self;
        let (drawable, from, on_screen) = match subject {
            Subject::Screen | Subject::Region(_) => {
                let root = display.root().map_err(|error| gone(&error))?;
                let whole = display.place(root).map_err(|error| gone(&error))?;
                let part = match subject {
                    Subject::Region(region) => within(*region, whole)?,
                    Subject::Screen | Subject::Window(_) => whole,
                };
                (root, part, part)
            }
            Subject::Window(viewed) => match viewed.look(display)? {
                Some((pixmap, from, on_screen)) => (pixmap, from, on_screen),
                None => return viewed.last_picture(),
            },
        };
        let size = (from.width, from.height);
        let taken = memory.take(display, drawable, from);
        let mut frame = match (taken, &mut *subject) {
            (Ok(frame), _) => frame,
            // It changed its size or hid while we asked; the next look will tell.
            (Err(_), Subject::Window(viewed)) => {
                viewed.pixmap = None;
                return viewed.last_picture();
            }
            (Err(error), Subject::Screen | Subject::Region(_)) => return Err(gone(&error)),
        };
        if *pointer
            && let Ok(cursor) = cursor(display, on_screen)
            && let Some(frame) = frame.get_mut()
            && let Ok(mut pixels) = frame.map_writable()
        {
            cursor.draw(&mut pixels, from.width);
        }
        if let Subject::Window(viewed) = subject {
            viewed.last = Some((frame.clone(), size));
            frame = frame.copy();
        }
        Ok((frame, size))
    }
}

impl Viewed {
    /// Where the window's picture is and where the window is on the screen; `None` while the window
    /// is hidden.
    fn look(&mut self, display: &Display) -> Result<Option<(u32, Place, Place)>, Failure> {
        let id = self.window.id;
        let look = || {
            let connection = display.connection();
            let attributes = connection.get_window_attributes(id)?;
            let geometry = connection.get_geometry(id)?;
            let (attributes, geometry) = (attributes.reply()?, geometry.reply()?);
            let place = display.place(id)?;
            let is_visible = attributes.map_state == MapState::VIEWABLE;
            Ok::<_, anyhow::Error>((is_visible, geometry.border_width, place))
        };
        let (is_visible, border, place) = look().map_err(|error| {
            tracing::debug!("window {id:#x}: {error:#}");
            let sentence = match display.root().and_then(|root| display.place(root)) {
                Ok(_) => format!("The window {} has been closed.", self.window),
                Err(error) => return silent(&error),
            };
            Failure::new(FailureKind::Device, sentence)
        })?;
        if !is_visible {
            self.pixmap = None;
            return Ok(None);
        }
        // In the picture the window has its border around it.
        let from = Place {
            x: border.into(),
            y: border.into(),
            ..place
        };
        if let Some((pixmap, old)) = self.pixmap {
            if old == from {
                return Ok(Some((pixmap, from, place)));
            }
            let _ = display.connection().free_pixmap(pixmap);
        }
        let named = || {
            let pixmap = display.connection().generate_id()?;
            let connection = display.connection();
            connection
                .composite_name_window_pixmap(id, pixmap)?
                .check()?;
            Ok::<_, anyhow::Error>(pixmap)
        };
        self.pixmap = named().ok().map(|pixmap| (pixmap, from));
        Ok(self.pixmap.map(|(pixmap, from)| (pixmap, from, place)))
    }

    /// What is shown while there is no picture: the last there was.
    fn last_picture(&self) -> Result<(gst::Buffer, (u32, u32)), Failure> {
        let last = self.last.as_ref();
        last.map(|(frame, size)| (frame.copy(), *size))
            .ok_or_else(|| {
                let sentence = format!(
                    "The window {} is hidden; nothing of it can be seen.",
                    self.window
                );
                Failure::new(FailureKind::Device, sentence)
            })
    }
}

/// The region, when it lies on the screen: else more or less would be shown than was asked for.
fn within(region: Region, screen: Place) -> Result<Place, Failure> {
    let fits = u64::from(region.x) + u64::from(region.width) <= u64::from(screen.width)
        && u64::from(region.y) + u64::from(region.height) <= u64::from(screen.height);
    match (fits, i32::try_from(region.x), i32::try_from(region.y)) {
        (true, Ok(x), Ok(y)) => Ok(Place {
            x,
            y,
            width: region.width,
            height: region.height,
        }),
        _ => {
            let sentence = format!(
                "The region {region} is not wholly on the screen, which has {}x{} pixels; nothing \
                 is shown.",
                screen.width, screen.height
            );
            Err(Failure::new(FailureKind::Display, sentence))
        }
    }
}

/// The mouse pointer, where it is in a picture of this part of the screen.
fn cursor(display: &Display, part: Place) -> Result<Cursor, anyhow::Error> {
    let connection = display.connection();
    let image = connection.xfixes_get_cursor_image()?.reply()?;
    Ok(Cursor {
        x: i32::from(image.x) - i32::from(image.xhot) - part.x,
        y: i32::from(image.y) - i32::from(image.yhot) - part.y,
        width: image.width.into(),
        pixels: image.cursor_image,
    })
}
