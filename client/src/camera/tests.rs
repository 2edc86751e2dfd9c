//! Which form of a camera is chosen.

use proptest::prelude::*;

use super::*;

/// Reads `YUY2 640x480 30,15`, `MJPEG 1280x720 30`, `H264 16..1920x16..1080 1..30`.
fn form(text: &str) -> Form {
    let mut words = text.split(' ');
    let mut word = || words.next().expect("three words");
    let (encoding, layout) = match word() {
        "MJPEG" => (Encoding::Mjpeg, None),
        "H264" => (Encoding::H264, None),
        layout => (Encoding::Raw, Some(layout.to_owned())),
    };
    let span = |text: &str| {
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        Span {
            min: min.parse().expect("a number"),
            max: max.parse().expect("a number"),
        }
    };
    let (width, height) = word().split_once('x').expect("a size");
    let rates = word().split(',').map(|rate| {
        let Span { min, max } = span(rate);
        Span {
            min: Rate::per_second(min),
            max: Rate::per_second(max),
        }
    });
    Form {
        encoding,
        layout,
        width: span(width),
        height: span(height),
        rates: rates.collect(),
    }
}

fn chosen(forms: &[&str], wanted: (u32, u32, u32), passes_h264: bool) -> String {
    let forms: Vec<_> = forms.iter().map(|text| form(text)).collect();
    let (width, height, framerate) = wanted;
    let wanted = Wanted {
        width,
        height,
        framerate,
        passes_h264,
    };
    choose(&forms, &wanted).map_or_else(|| "nothing".into(), |choice| choice.to_string())
}

/// What many a webcam has: raw pictures are too much for USB 2 when they are large.
const WEBCAM: &[&str] = &[
    "YUY2 640x480 30,15",
    "YUY2 1280x720 10",
    "YUY2 1920x1080 5",
    "MJPEG 640x480 30",
    "MJPEG 1280x720 30,60",
    "MJPEG 1920x1080 30",
];

const WITH_H264: &[&str] = &[
    "YUY2 640x480 30",
    "YUY2 1280x720 10",
    "H264 1280x720 30",
    "MJPEG 1280x720 30",
];

#[test]
fn the_best_form_is_chosen() {
    for (forms, wanted, choice) in [
        (WEBCAM, (640, 480, 30), "raw YUY2 640x480 at 30"),
        (WEBCAM, (640, 480, 15), "raw YUY2 640x480 at 15"),
        (WEBCAM, (1280, 720, 10), "raw YUY2 1280x720 at 10"),
        (WEBCAM, (1280, 720, 30), "MJPEG 1280x720 at 30"),
        (WEBCAM, (1280, 720, 50), "MJPEG 1280x720 at 60"),
        (WEBCAM, (1920, 1080, 30), "MJPEG 1920x1080 at 30"),
        // Never larger than the camera sees it, where that can be avoided.
        (WEBCAM, (800, 600, 30), "MJPEG 1280x720 at 30"),
        (WEBCAM, (1280, 720, 120), "MJPEG 1280x720 at 60"),
        // Nothing is as large as that: the nearest.
        (WEBCAM, (3840, 2160, 30), "MJPEG 1920x1080 at 30"),
        (
            &["YUY2 640x480 30"],
            (1280, 720, 30),
            "raw YUY2 640x480 at 30",
        ),
        (
            &["YUY2 160x120 30", "YUY2 640x480 15"],
            (1280, 720, 30),
            "raw YUY2 640x480 at 15",
        ),
        // Rather smooth and scaled down than sharp and slow; rather slow than made larger.
        (
            &["YUY2 1280x720 10", "MJPEG 1920x1080 30"],
            (1280, 720, 30),
            "MJPEG 1920x1080 at 30",
        ),
        (
            &["YUY2 1280x720 10", "MJPEG 640x480 30"],
            (1280, 720, 30),
            "raw YUY2 1280x720 at 10",
        ),
        // Ranges.
        (
            &["YUY2 16..1920x16..1080 1..30"],
            (1280, 720, 25),
            "raw YUY2 1280x720 at 25",
        ),
        (
            &["YUY2 16..640x16..480 1..30"],
            (1280, 720, 60),
            "raw YUY2 640x480 at 30",
        ),
        (
            &["YUY2 160..1920x160..720 1..45", "YUY2 1280x160..640 1"],
            (301, 1721, 2),
            "raw YUY2 1280x640 at 2",
        ),
        // H.264 that would have to be decoded comes last.
        (WITH_H264, (1280, 720, 30), "MJPEG 1280x720 at 30"),
        (
            &["H264 1280x720 30"],
            (1280, 720, 30),
            "H.264 1280x720 at 30",
        ),
        (&[], (1280, 720, 30), "nothing"),
    ] {
        assert_eq!(
            chosen(forms, wanted, false),
            choice,
            "{wanted:?} of {forms:?}"
        );
    }
}

#[test]
fn h264_that_is_sent_as_it_is_comes_first() {
    assert_eq!(
        chosen(WITH_H264, (1280, 720, 30), true),
        "H.264 1280x720 at 30"
    );
    assert_eq!(
        chosen(WITH_H264, (640, 480, 30), true),
        "raw YUY2 640x480 at 30"
    );
}

#[test]
fn the_rate_of_television_is_as_good_as_thirty() {
    let ntsc = Rate {
        frames: 30_000,
        seconds: 1001,
    };
    assert!(ntsc.reaches(30) && !ntsc.reaches(31) && ntsc < Rate::per_second(30));
    assert_eq!(ntsc.to_string(), "29.97");
}

#[test]
fn a_camera_is_found_by_its_path_or_its_name() {
    let camera = |path: &str, name: &str| Camera {
        path: path.into(),
        name: name.into(),
        forms: Vec::new(),
    };
    let cameras = [
        camera("/dev/video0", "Integrated Camera"),
        camera("/dev/video2", "USB Microscope"),
    ];
    let found = |text: &str| {
        let name: CameraName = text.parse().unwrap_or_default();
        find_camera(&cameras, &name).map(|camera| camera.path.as_str())
    };
    assert_eq!(found(""), Ok("/dev/video0"));
    assert_eq!(found("/dev/video2"), Ok("/dev/video2"));
    assert_eq!(found("microscope"), Ok("/dev/video2"));
    let there = r#"there are: /dev/video0 "Integrated Camera"; /dev/video2 "USB Microscope"."#;
    assert_eq!(
        found("/dev/video7"),
        Err(format!("There is no camera /dev/video7; {there}"))
    );
    assert_eq!(
        found("x"),
        Err(format!("No camera has \"x\" in its name; {there}"))
    );
    let none = find_camera(&[], &CameraName::First).expect_err("there is none");
    assert!(none.contains("--video test"), "{none}");
}

fn forms() -> impl Strategy<Value = Vec<Form>> {
    let sides = prop::sample::select(vec![160, 320, 640, 720, 1280, 1920]);
    let span = (sides.clone(), sides).prop_map(|(a, b): (u32, u32)| Span {
        min: a.min(b),
        max: a.max(b),
    });
    let rate =
        (1u32..121, prop::sample::select(vec![1u32, 2, 1001])).prop_map(|(frames, seconds)| Rate {
            frames: if seconds == 1001 {
                frames * 1000
            } else {
                frames
            },
            seconds,
        });
    let rates = (rate.clone(), rate).prop_map(|(a, b)| Span {
        min: a.min(b),
        max: a.max(b),
    });
    let encoding = prop::sample::select(vec![Encoding::Raw, Encoding::Mjpeg, Encoding::H264]);
    let form = (
        encoding,
        span.clone(),
        span,
        prop::collection::vec(rates, 1..4),
    );
    let form = form.prop_map(|(encoding, width, height, rates)| Form {
        encoding,
        layout: (encoding == Encoding::Raw).then(|| "YUY2".into()),
        width,
        height,
        rates,
    });
    prop::collection::vec(form, 0..8)
}

fn holds<T: Ord + Copy>(span: Span<T>, value: T) -> bool {
    span.min <= value && value <= span.max
}

proptest! {
    #[test]
    fn what_is_chosen_was_offered_and_nothing_of_its_size_is_faster_where_that_matters(
        forms in forms(),
        width in 16u32..2000,
        height in 16u32..2000,
        framerate in 1u32..121,
        passes_h264: bool,
    ) {
        let wanted = Wanted { width, height, framerate, passes_h264 };
        let Some(choice) = choose(&forms, &wanted) else {
            prop_assert!(forms.is_empty());
            return Ok(());
        };
        let has_size = |form: &Form| holds(form.width, choice.width) && holds(form.height, choice.height);
        let offered = forms.iter().any(|form| {
            form.encoding == choice.encoding
                && has_size(form)
                && form.rates.iter().any(|&rates| holds(rates, choice.rate))
        });
        prop_assert!(offered, "{choice} of {forms:?}");
        let reaches = |form: &Form| form.rates.iter().any(|rates| rates.max.reaches(framerate));
        if forms.iter().any(|form| has_size(form) && reaches(form)) {
            prop_assert!(choice.rate.reaches(framerate), "{choice} of {forms:?}");
        }
        // Made larger only where no form is large enough.
        let covers = |form: &Form| form.width.max >= width && form.height.max >= height;
        if forms.iter().any(covers) {
            prop_assert!(choice.width >= width && choice.height >= height, "{choice} of {forms:?}");
        }
    }
}
