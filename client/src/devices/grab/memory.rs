//! How pictures come from the X server: by memory that it shares with us, where it can.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, anyhow, bail};
use gst::prelude::*;
use rustix::fs::{MemfdFlags, memfd_create};
use x11rb::connection::Connection as _;
use x11rb::protocol::shm::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{ConnectionExt as _, Drawable, ImageFormat};

use crate::devices::x11::Display;
use crate::inventory::Place;

/// All planes of a picture.
const ALL_PLANES: u32 = u32::MAX;

/// Frames of one size that are used again: memory that the kernel gives anew for every picture costs
/// as much as the picture.
#[derive(Default)]
pub(super) struct Frames {
    pool: Option<(gst::BufferPool, u32)>,
}

/// How pictures come from the server.
pub(super) enum Memory {
    /// By memory that it shares with us.
    Shared {
        segment: shm::Seg,
        file: File,
        bytes: u64,
        frames: Frames,
    },
    /// Through the connection: the server is on another machine.
    Sent,
}

impl Memory {
    /// Memory that the server shares with us, where it can.
    pub(super) fn of(display: &Display) -> Self {
        let share = || {
            let connection = display.connection();
            let version = connection.shm_query_version()?.reply()?;
            if (version.major_version, version.minor_version) < (1, 2) {
                bail!(
                    "MIT-SHM {}.{}",
                    version.major_version,
                    version.minor_version
                );
            }
            Self::share(display, 1 << 20)
        };
        share().unwrap_or_else(|error: anyhow::Error| {
            tracing::debug!("the X server shares no memory with us: {error:#}");
            Self::Sent
        })
    }

    fn share(display: &Display, bytes: u64) -> Result<Self, anyhow::Error> {
        let file = File::from(memfd_create("aldis-screen", MemfdFlags::CLOEXEC)?);
        file.set_len(bytes)?;
        let connection = display.connection();
        let segment = connection.generate_id()?;
        let theirs = file.try_clone()?;
        connection.shm_attach_fd(segment, theirs, false)?.check()?;
        Ok(Self::Shared {
            segment,
            file,
            bytes,
            frames: Frames::default(),
        })
    }

    /// Takes a rectangle of something drawn, four bytes a pixel.
    pub(super) fn take(
        &mut self,
        display: &Display,
        drawable: Drawable,
        from: Place,
    ) -> Result<gst::Buffer, anyhow::Error> {
        let corner = |side: i32| i16::try_from(side).context("too far away");
        let side = |side: u32| u16::try_from(side).context("too large");
        let (x, y) = (corner(from.x)?, corner(from.y)?);
        let (width, height) = (side(from.width)?, side(from.height)?);
        let wanted = u64::from(width) * u64::from(height) * 4;
        let connection = display.connection();
        if let Self::Shared { segment, bytes, .. } = self
            && *bytes < wanted
        {
            connection.shm_detach(*segment)?.check()?;
            *self = Self::share(display, wanted)?;
        }
        let format = ImageFormat::Z_PIXMAP;
        match self {
            Self::Shared {
                segment,
                file,
                frames,
                ..
            } => {
                let (format, segment) = (format.into(), *segment);
                let reply = connection
                    .shm_get_image(
                        drawable, x, y, width, height, ALL_PLANES, format, segment, 0,
                    )?
                    .reply()?;
                check_size(reply.size.into(), wanted)?;
                let mut frame = frames.next(wanted)?;
                let unshared = frame.get_mut().context("a new buffer is ours")?;
                let mut pixels = unshared.map_writable()?;
                file.read_exact_at(&mut pixels, 0)?;
                drop(pixels);
                Ok(frame)
            }
            Self::Sent => {
                let reply = connection
                    .get_image(format, drawable, x, y, width, height, ALL_PLANES)?
                    .reply()?;
                check_size(u64::try_from(reply.data.len())?, wanted)?;
                Ok(gst::Buffer::from_mut_slice(reply.data))
            }
        }
    }
}

impl Frames {
    /// A frame of so many bytes with something in it.
    fn next(&mut self, bytes: u64) -> Result<gst::Buffer, anyhow::Error> {
        let bytes = u32::try_from(bytes)?;
        let pool = match self.pool.take() {
            Some((pool, size)) if size == bytes => pool,
            old => {
                if let Some((pool, _)) = old {
                    pool.set_active(false)?;
                }
                pool_of(bytes)?
            }
        };
        let (pool, _) = self.pool.insert((pool, bytes));
        Ok(pool.acquire_buffer(None)?)
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        if let Some((pool, _)) = &self.pool {
            // What is still on its way is freed when it arrives.
            let _ = pool.set_active(false);
        }
    }
}

fn pool_of(bytes: u32) -> Result<gst::BufferPool, anyhow::Error> {
    let pool = gst::BufferPool::new();
    let mut config = pool.config();
    // As many as are on their way: what comes after us holds one or two.
    config.set_params(None, bytes, 0, 0);
    pool.set_config(config)?;
    pool.set_active(true)?;
    Ok(pool)
}

/// Four bytes a pixel are what every screen of 24 bits has.
fn check_size(bytes: u64, wanted: u64) -> Result<(), anyhow::Error> {
    match bytes == wanted {
        true => Ok(()),
        false => Err(anyhow!("the screen has not 24 bits a pixel")),
    }
}
