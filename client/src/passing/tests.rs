use super::*;

const WANTED: VideoFormat = VideoFormat {
    width: 640,
    height: 360,
    framerate: 30,
    bitrate_kbps: 1000,
};

fn form(name: &str, profile: Option<&str>) -> Form {
    Form {
        name: name.into(),
        profile: profile.map(str::to_owned),
        size: Some((640, 360)),
        has_odd_pixels: false,
    }
}

fn vp8() -> Form {
    form("video/x-vp8", None)
}

fn seen(ms: u64, is_key: bool) -> Seen {
    Seen {
        at: Some(Duration::from_millis(ms)),
        bytes: 1000,
        is_key,
        is_shown: true,
    }
}

/// Frames every 40 ms, of which every so manyth is a key frame.
fn survey(form: Form, frames: u64, distance: u64) -> Survey {
    let mut survey = Survey::new(form);
    (0..frames).for_each(|at| survey.take(&seen(at * 40, at % distance == 0)));
    survey
}

#[test]
fn what_fits_is_passed() {
    let expected = |codec| Passing {
        codec,
        width: 640,
        height: 360,
        kbps: 200,
    };
    assert_eq!(
        survey(vp8(), 100, 25).judge(&WANTED),
        Ok(expected(VideoCodec::Vp8))
    );
    for profile in ["constrained-baseline", "baseline"] {
        let h264 = form("video/x-h264", Some(profile));
        assert_eq!(
            survey(h264, 100, 25).judge(&WANTED),
            Ok(expected(VideoCodec::H264))
        );
    }
}

#[test]
fn each_reason_is_found() {
    let judged = |form| survey(form, 100, 25).judge(&WANTED);
    let with = |change: fn(&mut Form)| {
        let mut form = vp8();
        change(&mut form);
        judged(form)
    };
    let of = |change: fn(&mut VideoFormat)| {
        let mut wanted = WANTED;
        change(&mut wanted);
        survey(vp8(), 100, 25).judge(&wanted)
    };
    let also = |last: Seen| {
        let mut survey = survey(vp8(), 100, 25);
        survey.take(&last);
        survey.judge(&WANTED)
    };
    let after = seen(4000, false);
    for (verdict, reason) in [
        (
            judged(form("video/x-vp9", None)),
            Reason::Codec("VP9".into()),
        ),
        (
            judged(form("video/x-h264", Some("high"))),
            Reason::Profile("high".into()),
        ),
        (
            judged(form("video/x-h264", None)),
            Reason::Profile("unknown".into()),
        ),
        (judged(Form::default()), Reason::Unknown),
        (Survey::new(vp8()).judge(&WANTED), Reason::Unknown),
        (with(|form| form.size = None), Reason::Incomplete),
        (with(|form| form.has_odd_pixels = true), Reason::Pixels),
        (of(|wanted| wanted.width = 638), Reason::Size(640, 360)),
        (of(|wanted| wanted.height = 358), Reason::Size(640, 360)),
        (of(|wanted| wanted.framerate = 20), Reason::Framerate(25)),
        (of(|wanted| wanted.bitrate_kbps = 199), Reason::Bitrate(200)),
        (also(Seen { at: None, ..after }), Reason::Incomplete),
        (
            also(Seen {
                is_shown: false,
                ..after
            }),
            Reason::Hidden,
        ),
        (also(seen(3900, false)), Reason::Reordered),
        (
            also(seen(8500, true)),
            Reason::KeyFrames(Duration::from_millis(5500)),
        ),
    ] {
        assert_eq!(verdict, Err(reason));
    }
    assert!(also(after).is_ok());
}

#[test]
fn a_file_without_a_second_key_frame_is_held_to_its_end() {
    assert!(survey(vp8(), 126, 1000).judge(&WANTED).is_ok());
    assert_eq!(
        survey(vp8(), 127, 1000).judge(&WANTED),
        Err(Reason::KeyFrames(Duration::from_millis(5040)))
    );
}

#[test]
fn a_single_picture_counts_for_the_time_it_is_shown() {
    let passing = survey(vp8(), 1, 1).judge(&WANTED);
    assert_eq!(passing.map(|passing| passing.kbps), Ok(240));
}

#[test]
fn a_camera_is_judged_from_key_frame_to_key_frame() {
    let mut trial = Trial::default();
    let mut take = |ms, is_key| trial.take(&vp8(), &seen(ms, is_key), &WANTED);
    // What comes before the first key frame cannot be decoded.
    assert_eq!(take(0, false), None);
    assert_eq!(take(40, true), None);
    for ms in (80..1040).step_by(40) {
        assert_eq!(take(ms, ms == 520), None, "a second is the least");
    }
    assert_eq!(take(1040, false), None);
    let verdict = take(1080, true);
    assert!(matches!(verdict, Some(Ok(_))), "{verdict:?}");
    // The next stretch has no end.
    let mut verdicts = (1120..7000)
        .step_by(40)
        .filter_map(|ms| take(ms, false).map(|verdict| (ms, verdict)));
    let (at, verdict) = verdicts.next().expect("it is judged");
    assert!(matches!(verdict, Err(Reason::KeyFrames(_))), "{verdict:?}");
    assert_eq!(at, 6120);
    assert_eq!(verdicts.next(), None, "it has to begin again");
}

#[test]
fn a_camera_whose_form_changes_begins_again() {
    let mut trial = Trial::default();
    let mut larger = vp8();
    larger.size = Some((1280, 720));
    for ms in (0..2000).step_by(40) {
        assert_eq!(trial.take(&vp8(), &seen(ms, ms == 0), &WANTED), None);
    }
    for ms in (2000..3040).step_by(40) {
        assert_eq!(trial.take(&larger, &seen(ms, ms == 2000), &WANTED), None);
    }
    assert_eq!(
        trial.take(&larger, &seen(3040, true), &WANTED),
        Some(Err(Reason::Size(1280, 720)))
    );
}

#[test]
fn a_hidden_picture_is_known_by_its_first_byte() {
    assert!(is_shown(VideoCodec::Vp8, &[0x10, 0, 0]));
    assert!(!is_shown(VideoCodec::Vp8, &[0x00, 0, 0]));
    assert!(!is_shown(VideoCodec::Vp8, &[]));
    assert!(is_shown(VideoCodec::H264, &[]));
}

#[test]
fn a_reason_ends_a_sentence() {
    assert_eq!(
        Reason::KeyFrames(Duration::from_millis(8333)).to_string(),
        "it goes without a key frame for 8.3 s; 5 s are the most"
    );
    assert_eq!(
        Reason::Profile("high".into()).to_string(),
        "its profile of H.264 is \"high\", and browsers are promised baseline"
    );
}
