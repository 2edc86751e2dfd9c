//! What the sound server has.

use gst::prelude::*;

use crate::inventory::SoundDevice;

/// The class of a microphone in GStreamer's words.
pub(super) const INPUTS: &str = "Audio/Source";
/// The class of an output.
pub(super) const OUTPUTS: &str = "Audio/Sink";

/// Whether a sound server answers. Waits for as long as that takes.
pub fn has_sound_server() -> bool {
    let Ok(source) = gst::ElementFactory::make("pulsesrc").build() else {
        return false;
    };
    // It connects on its way to READY.
    let reached = source.set_state(gst::State::Ready).is_ok();
    let _ = source.set_state(gst::State::Null);
    reached
}

/// The devices of a class. Waits for as long as the sound server takes.
pub(super) fn devices(class: &str) -> Vec<SoundDevice> {
    let monitor = gst::DeviceMonitor::new();
    monitor.add_filter(Some(class), None);
    if monitor.start().is_err() {
        return Vec::new();
    }
    let devices = monitor.devices();
    monitor.stop();
    devices.iter().filter_map(sound_device).collect()
}

/// What is to be said of a device; `None` for those that are not the sound server's, and for the
/// monitors of outputs, which are told of with these.
fn sound_device(device: &gst::Device) -> Option<SoundDevice> {
    let properties = device.properties();
    let class = properties
        .as_ref()
        .and_then(|all| all.get::<String>("device.class").ok());
    if class.as_deref() == Some("monitor") {
        return None;
    }
    let factory = device.create_element(None).ok()?;
    let name = factory
        .find_property("device")
        .and_then(|_| {
            factory
                .property_value("device")
                .get::<Option<String>>()
                .ok()
        })
        .flatten()?;
    let is_pulse = factory.factory()?.name().starts_with("pulse");
    let is_default = properties
        .and_then(|properties| properties.get::<bool>("is-default").ok())
        .unwrap_or(false);
    is_pulse.then(|| SoundDevice {
        name,
        description: device.display_name().into(),
        is_default,
    })
}
