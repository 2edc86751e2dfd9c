//! How devices are listed and found.

use super::*;
use crate::camera::{Encoding, Rate, Span};

fn window(id: u32, title: &str) -> Window {
    let place = Place {
        x: -10,
        y: 0,
        width: 800,
        height: 600,
    };
    Window {
        id,
        title: title.into(),
        place,
    }
}

fn monitor(name: &str, x: i32, is_primary: bool) -> Monitor {
    Monitor {
        name: name.into(),
        place: Place {
            x,
            y: 0,
            width: 1920,
            height: 1080,
        },
        is_primary,
    }
}

#[test]
fn a_window_is_named_by_its_number_or_its_title() {
    for (text, name) in [
        ("0x1a00003", WindowName::Id(0x01a0_0003)),
        ("27262979", WindowName::Id(27_262_979)),
        ("0xterm", WindowName::Title("0xterm".into())),
        ("99999999999", WindowName::Title("99999999999".into())),
        ("Editor", WindowName::Title("Editor".into())),
    ] {
        assert_eq!(text.parse(), Ok(name), "{text}");
    }
    assert!("".parse::<WindowName>().is_err());
}

#[test]
fn a_window_is_found_by_a_part_of_its_title() -> Result<(), String> {
    let windows = [
        window(1, "Editor"),
        window(2, "notes - Editor"),
        window(3, "Terminal"),
    ];
    let found = |text: &str| {
        let name = text.parse().expect("a name");
        find_window(&windows, &name).map(|window| window.id)
    };
    assert_eq!(found("TERM")?, 3);
    assert_eq!(found("notes")?, 2);
    assert_eq!(found("Editor")?, 1, "the whole title goes before a part");
    assert_eq!(found("0x2")?, 2);
    Ok(())
}

#[test]
fn what_is_no_single_window_is_told_with_those_there_are() {
    let windows = [window(1, "Editor"), window(2, "other \"Editor\"")];
    let told = |name: WindowName, windows: &[Window]| {
        find_window(windows, &name).expect_err("it is no single one")
    };
    let title = |text: &str| WindowName::Title(text.into());
    assert_eq!(
        told(title("edit"), &windows),
        r#"2 windows have "edit" in their title; name one by its number: 0x1 "Editor"; 0x2 "other \"Editor\""."#
    );
    assert_eq!(
        told(title("mail"), &windows),
        r#"No window has "mail" in its title; there are: 0x1 "Editor"; 0x2 "other \"Editor\""."#
    );
    assert_eq!(
        told(WindowName::Id(255), &[]),
        "There is no window 0xff; there are none."
    );
    let many: Vec<_> = (0..25).map(|id| window(id, "x")).collect();
    assert!(told(title("y"), &many).ends_with("15 more."));
}

#[test]
fn a_monitor_is_found_by_its_name_or_its_number() -> Result<(), String> {
    let monitors = [monitor("HDMI-1", 0, true), monitor("DP-2", 1920, false)];
    let found = |text: &str| {
        let name = text.parse::<MonitorName>()?;
        Ok::<_, String>(find_monitor(&monitors, &name)?.place.x)
    };
    assert_eq!(found("2")?, 1920);
    assert_eq!(found("hdmi-1")?, 0);
    assert_eq!(
        found("3").expect_err("there are two"),
        "There is no monitor 3; there are: 1 HDMI-1 1920x1080 at 0,0; 2 DP-2 1920x1080 at 1920,0."
    );
    assert!(found("VGA").is_err() && found("0").is_err() && found("").is_err());
    Ok(())
}

fn inventory() -> Inventory {
    let microphone = SoundDevice {
        name: "input.usb".into(),
        description: "USB Microphone".into(),
        is_default: true,
    };
    let note = Note {
        about: Section::Outputs,
        sentence: "There is no output.".into(),
    };
    let rates = [30, 15].map(|rate| Span::of(Rate::per_second(rate)));
    let form = |encoding, layout: Option<&str>, width, height| Form {
        encoding,
        layout: layout.map(str::to_owned),
        width: Span::of(width),
        height: Span::of(height),
        rates: rates.to_vec(),
    };
    let camera = Camera {
        path: "/dev/video0".into(),
        name: "Webcam".into(),
        forms: vec![
            form(Encoding::Raw, Some("YUY2"), 640, 480),
            form(Encoding::Mjpeg, None, 1280, 720),
        ],
    };
    Inventory {
        cameras: vec![camera],
        outputs: Vec::new(),
        microphones: vec![microphone],
        monitors: vec![monitor("HDMI-1", 0, false), monitor("DP-2", 1920, true)],
        windows: vec![window(0x0040_0001, "a \n b")],
        notes: vec![note],
    }
}

#[test]
fn the_table_is_aligned() {
    let table = "\
Cameras
  /dev/video0  \"Webcam\"
               raw YUY2  640x480   30, 15 frames a second
               MJPEG     1280x720  30, 15 frames a second
Microphones
  * input.usb  USB Microphone
Outputs (captured as NAME.monitor)
  There is no output.
Monitors
  1    HDMI-1  1920x1080 at 0,0
  2  * DP-2    1920x1080 at 1920,0
Windows
  0x400001  800x600 at -10,0  \"a \\n b\"";
    assert_eq!(inventory().to_string(), table);
}

#[test]
fn the_json_has_the_same() {
    let json = serde_json::to_value(inventory()).expect("it serializes");
    assert_eq!(json["event"], "devices");
    assert_eq!(json["cameras"][0]["forms"][1]["encoding"], "mjpeg");
    assert_eq!(json["cameras"][0]["forms"][0]["rates"][1]["max"], 15.0);
    assert_eq!(json["microphones"][0]["name"], "input.usb");
    assert_eq!(json["monitors"][1]["x"], 1920);
    assert_eq!(json["windows"][0]["id"], "0x400001");
    assert_eq!(json["notes"][0]["about"], "outputs");
}
