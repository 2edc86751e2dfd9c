use super::*;

const FORMAT: VideoFormat = VideoFormat {
    width: 640,
    height: 360,
    framerate: 25,
    bitrate_kbps: 700,
};

#[test]
fn every_codec_has_a_library_behind_its_chips() {
    for codec in VideoCodec::ALL {
        let engines: Vec<_> = candidates(codec)
            .map(|candidate| candidate.engine)
            .collect();
        assert_eq!(engines.last(), Some(&Engine::Software), "{codec:?}");
        let chips = engines
            .iter()
            .take_while(|engine| **engine == Engine::Hardware)
            .count();
        assert!(
            engines[chips..]
                .iter()
                .all(|engine| *engine != Engine::Hardware),
            "{codec:?}"
        );
    }
}

#[test]
fn a_name_is_in_the_catalogue_once() {
    for candidate in CATALOGUE {
        let same = CATALOGUE
            .iter()
            .filter(|other| other.element == candidate.element);
        assert_eq!(same.count(), 1, "{}", candidate.element);
        assert!(named(candidate.element).is_some());
    }
    assert!(named("filesink").is_none());
}

#[test]
fn the_bit_rate_has_the_unit_of_its_property() {
    assert_eq!(Rate::Bits("b").property(2500), ("b", "2500000".to_owned()));
    assert_eq!(Rate::Kilobits("b").property(2500), ("b", "2500".to_owned()));
    let (property, controls) = Rate::Controls.property(2500);
    assert_eq!(property, "extra-controls");
    assert!(controls.ends_with(",video_bitrate=2500000"), "{controls}");
}

#[test]
fn threads_and_key_frames_are_bounded_for_each() {
    let encoding = Encoding {
        threads: 3,
        ..Encoding::default()
    };
    let of = |name: &str, property: &str| {
        let properties = named(name).map(|candidate| candidate.properties(&FORMAT, &encoding));
        let found = properties
            .into_iter()
            .flatten()
            .find(|(its, _)| *its == property);
        found.map(|(_, value)| value)
    };
    assert_eq!(of("vp8enc", "threads").as_deref(), Some("3"));
    assert_eq!(of("openh264enc", "multi-thread").as_deref(), Some("3"));
    assert_eq!(of("vah264enc", "threads"), None);
    assert_eq!(of("vp8enc", "keyframe-max-dist").as_deref(), Some("2000"));
    assert_eq!(
        of("av1enc", "keyframe-max-dist").as_deref(),
        Some("25"),
        "every second"
    );
}

#[test]
fn the_text_names_the_encoder_and_what_stands_around_it() {
    let launch = |name: &str| named(name).map(|candidate| candidate.launch("e"));
    assert_eq!(launch("vp8enc").as_deref(), Some("vp8enc name=e"));
    let chip = launch("vah264enc").unwrap_or_default();
    assert!(
        chip.starts_with("videoconvert ! video/x-raw,format=NV12 ! vah264enc name=e ! h264parse"),
        "{chip}"
    );
}
