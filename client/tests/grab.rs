//! What is taken of a real X display, and what becomes of it when a window or the display goes away.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use client::devices::grab;
use client::failure::{Failure, FailureKind};
use client::inventory::WindowName;
use client::media::{Part, Screen};
use gst::prelude::*;
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{
    AtomEnum, ConfigureWindowAux, ConnectionExt as _, CreateWindowAux, PropMode, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

const PATIENCE: Duration = Duration::from_secs(10);
const RED: u32 = 0x00c0_0000;
const GREEN: u32 = 0x0000_c000;

/// An X server of this test's own, with a connection to it.
struct Display {
    server: Child,
    name: String,
    connection: RustConnection,
    root: u32,
}

impl Display {
    fn start() -> Self {
        let mut server = Command::new("Xvfb")
            .args([
                "-noreset",
                "-displayfd",
                "1",
                "-screen",
                "0",
                "320x240x24",
                "-nolisten",
                "tcp",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is installed");
        let mut number = String::new();
        let output = server.stdout.take().expect("it is piped");
        let mut output = BufReader::new(output);
        output
            .read_line(&mut number)
            .expect("Xvfb names its display");
        let name = format!(":{}", number.trim());
        let (connection, screen) = x11rb::connect(Some(&name)).expect("it answers");
        let root = connection.setup().roots[screen].root;
        Self {
            server,
            name,
            connection,
            root,
        }
    }

    /// A window of one colour.
    fn window(
        &self,
        title: &str,
        colour: u32,
        (x, y): (i16, i16),
        (width, height): (u16, u16),
    ) -> u32 {
        let connection = &self.connection;
        let id = connection.generate_id().expect("an id");
        let looks = CreateWindowAux::new()
            .background_pixel(colour)
            .override_redirect(1);
        let class = WindowClass::INPUT_OUTPUT;
        connection
            .create_window(0, id, self.root, x, y, width, height, 0, class, 0, &looks)
            .expect("it is asked for");
        connection
            .change_property8(
                PropMode::REPLACE,
                id,
                AtomEnum::WM_NAME,
                AtomEnum::STRING,
                title.as_bytes(),
            )
            .expect("it is asked for");
        connection.map_window(id).expect("it is asked for");
        self.settle();
        id
    }

    /// Waits until the server has done all it was asked for.
    fn settle(&self) {
        self.connection.sync().expect("the server answers");
    }

    fn screen(&self, part: Part) -> Screen {
        Screen {
            display: Some(self.name.clone()),
            pointer: false,
            part,
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A grab that runs.
struct Running {
    pipeline: gst::Pipeline,
    sink: gst_app::AppSink,
    failures: Receiver<Failure>,
}

impl Running {
    fn start(screen: Screen) -> Self {
        gst::init().expect("GStreamer is installed");
        let launch = "appsrc name=source is-live=true format=time max-buffers=1 \
                      ! appsink name=sink sync=false max-buffers=1 drop=true";
        let pipeline = gst::parse::launch(launch).expect("it is right");
        let pipeline = pipeline.downcast::<gst::Pipeline>().expect("two elements");
        let source = pipeline.by_name("source").expect("it is there");
        let sink = pipeline.by_name("sink").expect("it is there");
        let (failed, failures) = channel();
        let source = source.downcast::<gst_app::AppSrc>().expect("an appsrc");
        grab::feed(&source, screen, 30, move |failure| {
            let _ = failed.send(failure);
        });
        pipeline.set_state(gst::State::Playing).expect("it starts");
        Self {
            pipeline,
            sink: sink.downcast().expect("an appsink"),
            failures,
        }
    }

    /// The size and the pixel in the middle of the next frame.
    fn frame(&self) -> Option<((i32, i32), u32)> {
        let patience = gst::ClockTime::from_seconds(PATIENCE.as_secs());
        let sample = self.sink.try_pull_sample(patience)?;
        let structure = sample.caps()?.structure(0)?;
        let (width, height): (i32, i32) =
            (structure.get("width").ok()?, structure.get("height").ok()?);
        let map = sample.buffer()?.map_readable().ok()?;
        let middle = usize::try_from((height / 2) * width + width / 2).ok()? * 4;
        let pixel = map.get(middle..middle + 4)?;
        Some((
            (width, height),
            u32::from_le_bytes(pixel.try_into().ok()?) & 0x00ff_ffff,
        ))
    }

    /// How many pixels of the next frame have another colour.
    fn others(&self, colour: u32) -> Option<usize> {
        let patience = gst::ClockTime::from_seconds(PATIENCE.as_secs());
        let sample = self.sink.try_pull_sample(patience)?;
        let map = sample.buffer()?.map_readable().ok()?;
        let [blue, green, red, _] = colour.to_le_bytes();
        let has_other = |pixel: &&[u8]| !pixel.starts_with(&[blue, green, red]);
        Some(map.chunks(4).filter(has_other).count())
    }

    /// Frames, until one is as it should be.
    fn until(&self, size: (i32, i32), colour: u32) {
        let mut last = None;
        for _ in 0..300 {
            last = self.frame();
            if last == Some((size, colour)) {
                return;
            }
        }
        panic!(
            "no {size:?} of {colour:06x}, but {last:x?}; {:?}",
            self.failures.try_recv()
        );
    }

    fn failure(&self) -> Failure {
        self.failures.recv_timeout(PATIENCE).expect("it fails")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

#[test]
fn a_window_is_seen_alone_wherever_it_is() {
    let display = Display::start();
    let window = display.window("mine", RED, (10, 10), (100, 80));
    let running = Running::start(display.screen(Part::Window(WindowName::Title("MINE".into()))));
    running.until((100, 80), RED);
    // Another window lies over it; then it is moved half off the screen, and made larger.
    display.window("other", GREEN, (0, 0), (320, 240));
    for _ in 0..5 {
        assert_eq!(running.frame(), Some(((100, 80), RED)));
    }
    let moved = ConfigureWindowAux::new()
        .x(-60)
        .y(-40)
        .width(120)
        .height(90);
    display
        .connection
        .configure_window(window, &moved)
        .expect("it is asked for");
    display.settle();
    running.until((120, 90), RED);
    // Hidden, it stays as it was; shown again, it goes on.
    display
        .connection
        .unmap_window(window)
        .expect("it is asked for");
    display.settle();
    for _ in 0..5 {
        assert_eq!(running.frame(), Some(((120, 90), RED)));
    }
    display
        .connection
        .map_window(window)
        .expect("it is asked for");
    display.settle();
    running.until((120, 90), RED);
    display
        .connection
        .destroy_window(window)
        .expect("it is asked for");
    display.settle();
    let failure = running.failure();
    assert_eq!(failure.kind, FailureKind::Device);
    assert_eq!(
        failure.sentence,
        format!("The window {window:#x} \"mine\" has been closed.")
    );
}

#[test]
fn the_screen_and_parts_of_it_are_seen() {
    let display = Display::start();
    display.window("left", RED, (0, 0), (160, 240));
    display.window("right", GREEN, (160, 0), (160, 240));
    let running = Running::start(display.screen(Part::Whole));
    running.until((320, 240), GREEN);
    let region = "10,20,31x41".parse().expect("a region");
    let running = Running::start(display.screen(Part::Region(region)));
    running.until((31, 41), RED);
    // Stopped and started again, it opens the display anew.
    running
        .pipeline
        .set_state(gst::State::Null)
        .expect("it stops");
    running
        .pipeline
        .set_state(gst::State::Playing)
        .expect("it starts");
    running.until((31, 41), RED);
    let monitor = "1".parse().expect("a number");
    let running = Running::start(display.screen(Part::Monitor(monitor)));
    running.until((320, 240), GREEN);
}

#[test]
fn the_pointer_is_seen_where_it_is_wanted() {
    let display = Display::start();
    let window = display.window("mine", RED, (100, 100), (100, 100));
    display.window("all", RED, (0, 0), (320, 240));
    let move_pointer = |x, y| {
        let (none, root) = (x11rb::NONE, display.root);
        let moved = display
            .connection
            .warp_pointer(none, root, 0, 0, 0, 0, x, y);
        moved.expect("it is asked for");
        display.settle();
    };
    move_pointer(150, 150);
    let without = Running::start(display.screen(Part::Whole));
    assert_eq!(without.others(RED), Some(0));
    for part in [Part::Whole, Part::Window(WindowName::Id(window))] {
        let screen = Screen {
            pointer: true,
            ..display.screen(part)
        };
        let with = Running::start(screen);
        let seen = with.others(RED).unwrap_or_default();
        assert!((10..1000).contains(&seen), "{seen} pixels");
    }
    // Away from the window.
    move_pointer(10, 10);
    let screen = Screen {
        pointer: true,
        ..display.screen(Part::Window(WindowName::Id(window)))
    };
    assert_eq!(Running::start(screen).others(RED), Some(0));
}

#[test]
fn what_is_not_there_is_told() {
    let display = Display::start();
    let failure = |part: Part| Running::start(display.screen(part)).failure();
    let region = "300,200,100x100".parse().expect("a region");
    let told = failure(Part::Region(region));
    assert_eq!(told.kind, FailureKind::Display);
    assert!(
        told.sentence
            .contains("not wholly on the screen, which has 320x240"),
        "{told}"
    );
    let told = failure(Part::Window(WindowName::Id(0x00ff_ffff)));
    assert_eq!(told.kind, FailureKind::Device);
    assert_eq!(
        told.sentence,
        "There is no window 0xffffff; there are none."
    );
    let told = failure(Part::Monitor("HDMI-9".parse().expect("a name")));
    assert!(
        told.sentence
            .contains("no monitor \"HDMI-9\"; there are: 1 "),
        "{told}"
    );
}

#[test]
fn a_display_that_goes_away_ends_the_grab_and_nothing_else() {
    let mut display = Display::start();
    let running = Running::start(display.screen(Part::Whole));
    assert!(running.frame().is_some());
    display.server.kill().expect("it runs");
    display.server.wait().expect("it ends");
    let failure = running.failure();
    assert_eq!(failure.kind, FailureKind::Display);
}

#[test]
fn a_display_that_answers_no_more_is_given_up() {
    let display = Display::start();
    let running = Running::start(display.screen(Part::Whole));
    assert!(running.frame().is_some());
    let signal = |name: &str| {
        let pid = display.server.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()));
    };
    signal("-STOP");
    let failure = running.failure();
    assert_eq!(failure.kind, FailureKind::Display);
    drop(running);
    signal("-CONT");
    assert!(
        Running::start(display.screen(Part::Whole))
            .frame()
            .is_some()
    );
}
