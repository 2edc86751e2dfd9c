//! The cameras of this machine: which there are, what they offer, why one cannot be used.
//!
//! Everything here asks the kernel and waits for the answer, so it is for threads that may wait.

use std::fs::OpenOptions;
use std::io;

use gst::prelude::*;

use super::holders::who_holds;
use crate::camera::{
    Camera, CameraName, Choice, Encoding, Form, Rate, Span, Wanted, choose, find_camera,
};
use crate::failure::{Failure, FailureKind};

/// A camera, and what is to be asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraPlan {
    /// The camera.
    pub camera: Camera,
    /// What is asked of it.
    pub choice: Choice,
}

/// The cameras this machine names, with what each of them offers. One that cannot be asked, because
/// it is not ours or in use, offers nothing.
pub fn cameras() -> Vec<Camera> {
    let monitor = gst::DeviceMonitor::new();
    monitor.add_filter(Some("Video/Source"), None);
    if monitor.start().is_err() {
        return Vec::new();
    }
    let devices = monitor.devices();
    monitor.stop();
    let mut cameras: Vec<_> = devices.iter().filter_map(camera).collect();
    cameras.sort_by(|a, b| a.path.cmp(&b.path));
    // A camera may be told of by two of those who tell.
    cameras.dedup_by(|a, b| a.path == b.path);
    cameras
}

/// What is to be said of a device; `None` for one that has no path.
fn camera(device: &gst::Device) -> Option<Camera> {
    let properties = device.properties()?;
    let path = ["device.path", "api.v4l2.path"]
        .iter()
        .find_map(|name| properties.get::<String>(*name).ok())?;
    Some(Camera {
        path,
        name: device.display_name().into(),
        forms: device.caps().map(|caps| forms(&caps)).unwrap_or_default(),
    })
}

/// Finds the camera that is meant and chooses what to ask of it.
///
/// # Errors
/// Says that there is no such camera and which there are, who holds it, what is missing to be allowed
/// to use it, or that it offers nothing that we can take.
pub fn plan(name: &CameraName, wanted: &Wanted) -> Result<CameraPlan, Failure> {
    let found = match name {
        // A path needs not be among those this machine names: a device may be made by hand.
        CameraName::Path(path) if std::fs::exists(path).unwrap_or(true) => Camera {
            path: path.clone(),
            name: path.clone(),
            forms: Vec::new(),
        },
        CameraName::First | CameraName::Path(_) | CameraName::Name(_) => {
            let cameras = cameras();
            let found = find_camera(&cameras, name);
            found
                .cloned()
                .map_err(|sentence| Failure::new(FailureKind::Device, sentence))?
        }
    };
    let camera = Camera {
        forms: offered(&found.path)?,
        ..found
    };
    match choose(&camera.forms, wanted) {
        Some(choice) => Ok(CameraPlan { camera, choice }),
        None => Err(unusable(&camera.path)),
    }
}

/// What the camera at `path` offers, asked of itself.
///
/// # Errors
/// Says why it cannot be asked.
pub fn offered(path: &str) -> Result<Vec<Form>, Failure> {
    // GStreamer says the same of every error; the kernel says which it is.
    if let Err(error) = OpenOptions::new().read(true).write(true).open(path) {
        return Err(refused(path, &error));
    }
    let source = gst::ElementFactory::make("v4l2src")
        .property("device", path)
        .build()
        .map_err(|_| crate::plugins::lacking(&["v4l2src"]))?;
    let bus = gst::Bus::new();
    source.set_bus(Some(&bus));
    let opened = source.set_state(gst::State::Ready);
    let caps = source.static_pad("src").map(|pad| pad.query_caps(None));
    let _ = source.set_state(gst::State::Null);
    if let (Ok(_), Some(caps)) = (opened, caps) {
        return Ok(forms(&caps));
    }
    let told = bus.pop_filtered(&[gst::MessageType::Error]);
    let is_busy = told.is_some_and(|message| {
        matches!(message.view(), gst::MessageView::Error(error)
            if error.error().matches(gst::ResourceError::Busy))
    });
    Err(match is_busy {
        true => busy(path, &who_holds(path)),
        false => unusable(path),
    })
}

/// Why a camera that was chosen gives no pictures, from what `v4l2src` says of it on its bus.
pub fn explain(path: &str, error: &gst::glib::Error) -> Failure {
    match error.kind::<gst::ResourceError>() {
        Some(gst::ResourceError::Busy) => busy(path, &who_holds(path)),
        Some(gst::ResourceError::NotFound) => gone(path),
        // It was there a moment ago: the only errors left are that it went, or that another took it.
        _ if !std::fs::exists(path).unwrap_or(true) => gone(path),
        _ => match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) => refused(path, &error),
            Ok(_) => lost(path),
        },
    }
}

fn refused(path: &str, error: &io::Error) -> Failure {
    let kind = error.kind();
    if kind == io::ErrorKind::ResourceBusy {
        return busy(path, &who_holds(path));
    }
    if kind == io::ErrorKind::NotFound || is_unplugged(error) {
        return gone(path);
    }
    let sentence = match kind == io::ErrorKind::PermissionDenied {
        true => format!(
            "The camera {path} may not be opened by this user; add the user to the group video \
             (usermod -aG video NAME) and log in again."
        ),
        false => format!("The camera {path} cannot be opened: {error}."),
    };
    Failure::new(FailureKind::Device, sentence)
}

/// The kernel still has the node, and nothing is behind it.
fn is_unplugged(error: &io::Error) -> bool {
    const ENXIO: i32 = 6;
    const ENODEV: i32 = 19;
    matches!(error.raw_os_error(), Some(ENXIO | ENODEV))
}

fn busy(path: &str, holders: &[String]) -> Failure {
    let who = match holders {
        [] => "another program, perhaps of another user".into(),
        some => some.join(", "),
    };
    let sentence = format!("The camera {path} is in use by {who}; end that first.");
    Failure::new(FailureKind::Device, sentence)
}

fn gone(path: &str) -> Failure {
    let others: Vec<_> = cameras().iter().map(ToString::to_string).collect();
    let there = match others.is_empty() {
        true => "there are none".into(),
        false => format!("there are: {}", others.join("; ")),
    };
    Failure::new(
        FailureKind::Device,
        format!("There is no camera {path}; {there}."),
    )
}

fn lost(path: &str) -> Failure {
    let sentence = format!("The camera {path} has stopped giving pictures.");
    Failure::new(FailureKind::Device, sentence)
}

fn unusable(path: &str) -> Failure {
    let sentence = format!("{path} is no camera, or offers no pictures that Aldis can take.");
    Failure::new(FailureKind::Device, sentence)
}

/// The forms in a device's caps; those that we cannot take are left out.
fn forms(caps: &gst::Caps) -> Vec<Form> {
    caps.iter().filter_map(form).collect()
}

fn form(structure: &gst::StructureRef) -> Option<Form> {
    let encoding = match structure.name().as_str() {
        "video/x-raw" => Encoding::Raw,
        "image/jpeg" => Encoding::Mjpeg,
        "video/x-h264" => Encoding::H264,
        _ => return None,
    };
    Some(Form {
        encoding,
        layout: structure.get::<String>("format").ok(),
        width: side(structure, "width")?,
        height: side(structure, "height")?,
        rates: rates(structure.value("framerate").ok()?),
    })
}

fn side(structure: &gst::StructureRef, name: &str) -> Option<Span<u32>> {
    let (min, max) = match structure.get::<i32>(name) {
        Ok(side) => (side, side),
        Err(_) => {
            let range = structure.get::<gst::IntRange<i32>>(name).ok()?;
            (range.min(), range.max())
        }
    };
    Some(Span {
        min: u32::try_from(min).ok()?,
        max: u32::try_from(max).ok()?,
    })
}

/// One rate, a range of them, or a list of either.
fn rates(value: &gst::glib::SendValue) -> Vec<Span<Rate>> {
    if let Ok(list) = value.get::<gst::List>() {
        return list.iter().flat_map(rates).collect();
    }
    let range = match value.get::<gst::Fraction>() {
        Ok(rate) => Some((rate, rate)),
        Err(_) => value
            .get::<gst::FractionRange>()
            .ok()
            .map(|range| (range.min(), range.max())),
    };
    let span = range.and_then(|(min, max)| {
        Some(Span {
            min: rate(min)?,
            max: rate(max)?,
        })
    });
    span.into_iter().collect()
}

fn rate(fraction: gst::Fraction) -> Option<Rate> {
    Some(Rate {
        frames: u32::try_from(fraction.numer()).ok()?,
        seconds: u32::try_from(fraction.denom()).ok()?,
    })
}
