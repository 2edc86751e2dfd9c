//! An encoder is used when it has proven that it works, and one that does not is passed over with the
//! reason. The one that does not is an element of its own here, which can fail in every way.

use std::sync::Once;

use client::encoder_probe::{Verdict, choose, prove};
use client::encoders::{CATALOGUE, Candidate, Engine, KeyFrames, Rate, named};
use client::encoding::Encoding;
use client::media::{AudioSource, Media, Others, Pattern, VideoCodec, VideoFormat, VideoSource};
use client::plugins;

/// An encoder of nothing: what it gives is a byte for each frame, called VP8.
mod broken {
    use gst::glib;
    use gst::prelude::*;
    use gst::subclass::prelude::*;
    use gst_video::prelude::*;
    use gst_video::subclass::prelude::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{LazyLock, Mutex};

    #[derive(Default)]
    pub(super) struct Fake {
        /// How it fails.
        fault: Mutex<String>,
        frames: AtomicU32,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Fake {
        const NAME: &'static str = "AldisFakeEncoder";
        type Type = Encoder;
        type ParentType = gst_video::VideoEncoder;
    }

    glib::wrapper! {
        pub(super) struct Encoder(ObjectSubclass<Fake>)
            @extends gst_video::VideoEncoder, gst::Element, gst::Object;
    }

    impl Fake {
        fn has(&self, fault: &str) -> bool {
            self.fault.lock().is_ok_and(|its| *its == fault)
        }
    }

    impl ObjectImpl for Fake {
        fn properties() -> &'static [glib::ParamSpec] {
            static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> =
                LazyLock::new(|| vec![glib::ParamSpecString::builder("fault").build()]);
            &PROPERTIES
        }

        fn set_property(&self, _: usize, value: &glib::Value, _: &glib::ParamSpec) {
            if let (Ok(mut fault), Ok(value)) = (self.fault.lock(), value.get()) {
                *fault = value;
            }
        }

        fn property(&self, _: usize, _: &glib::ParamSpec) -> glib::Value {
            self.fault
                .lock()
                .map(|fault| fault.clone())
                .unwrap_or_default()
                .to_value()
        }
    }

    impl GstObjectImpl for Fake {}

    impl ElementImpl for Fake {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
                gst::subclass::ElementMetadata::new("Fake", "Encoder/Video", "Fails", "Aldis")
            });
            Some(&*METADATA)
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
                let template = |name, direction, caps: &str| {
                    let caps = caps.parse::<gst::Caps>().expect("caps");
                    gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps)
                        .expect("a template")
                };
                vec![
                    template("sink", gst::PadDirection::Sink, "video/x-raw"),
                    template("src", gst::PadDirection::Src, "video/x-vp8"),
                ]
            });
            &TEMPLATES
        }
    }

    impl VideoEncoderImpl for Fake {
        fn start(&self) -> Result<(), gst::ErrorMessage> {
            match self.has("starts") {
                true => Err(gst::error_msg!(
                    gst::ResourceError::NotFound,
                    ("There is no such chip here.")
                )),
                false => Ok(()),
            }
        }

        fn set_format(
            &self,
            state: &gst_video::VideoCodecState<'static, gst_video::video_codec_state::Readable>,
        ) -> Result<(), gst::LoggableError> {
            let caps = gst::Caps::builder("video/x-vp8").build();
            let element = self.obj();
            let output = element.set_output_state(caps, Some(state));
            let output = output.map_err(|_| gst::loggable_error!(gst::CAT_RUST, "no state"))?;
            element
                .negotiate(output)
                .map_err(|_| gst::loggable_error!(gst::CAT_RUST, "no caps"))
        }

        fn handle_frame(
            &self,
            mut frame: gst_video::VideoCodecFrame,
        ) -> Result<gst::FlowSuccess, gst::FlowError> {
            let number = self.frames.fetch_add(1, Ordering::Relaxed);
            if self.has("complains") && number == 3 {
                gst::element_imp_error!(self, gst::StreamError::Encode, ("The chip\nis on fire."));
                return Err(gst::FlowError::Error);
            }
            if self.has("holds back") {
                return Ok(gst::FlowSuccess::Ok);
            }
            if self.has("drops") && number == 5 {
                return self.obj().finish_frame(frame);
            }
            let asked = frame
                .flags()
                .contains(gst_video::VideoCodecFrameFlags::FORCE_KEYFRAME);
            if number == 0 && !self.has("begins late") || asked && !self.has("deaf") {
                frame.set_flags(gst_video::VideoCodecFrameFlags::SYNC_POINT);
            }
            frame.set_output_buffer(gst::Buffer::from_slice([0]));
            self.obj().finish_frame(frame)
        }
    }

    pub(super) fn register() {
        gst::Element::register(None, "fakeenc", gst::Rank::NONE, Encoder::static_type())
            .expect("it can be registered");
    }
}

fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        plugins::start().expect("GStreamer is installed");
        broken::register();
    });
}

const fn candidate(element: &'static str, engine: Engine) -> Candidate {
    Candidate {
        element,
        codec: VideoCodec::Vp8,
        engine,
        settings: &[],
        rate: Rate::Kilobits("no-such-property"),
        threads: None,
        key_frames: KeyFrames::OnRequest("no-such-property"),
        before: "",
        after: "",
    }
}

const fn chip(settings: &'static [(&'static str, &'static str)]) -> Candidate {
    Candidate {
        settings,
        ..candidate("fakeenc", Engine::Hardware)
    }
}

static CHIPS: &[(Candidate, &str)] = &[
    (chip(&[("fault", "starts")]), "There is no such chip here"),
    (chip(&[("fault", "complains")]), "The chip is on fire"),
    (chip(&[("fault", "drops")]), "of 20 frames 19 came out"),
    (
        chip(&[("fault", "holds back")]),
        "it holds back 10 frames, which is too late for a conversation",
    ),
    (
        chip(&[("fault", "begins late")]),
        "it does not begin with a key frame",
    ),
    (
        chip(&[("fault", "deaf")]),
        "it makes no key frame when it is asked for one",
    ),
];

fn media(encoding: Encoding) -> Media {
    Media {
        video: VideoSource::Test(Pattern::default()),
        format: VideoFormat {
            width: 322,
            height: 182,
            framerate: 30,
            bitrate_kbps: 500,
        },
        audio: AudioSource::None,
        others: Others::default(),
        voice: Default::default(),
        encoding,
    }
}

#[test]
fn each_fault_is_found_and_told() {
    start();
    for (candidate, reason) in CHIPS {
        let verdict = prove(candidate, &media(Encoding::default()));
        assert_eq!(
            verdict,
            Verdict::Rejected((*reason).into()),
            "{}",
            candidate.element
        );
    }
}

#[test]
fn what_fails_is_passed_over_for_software() {
    start();
    static CATALOGUE_WITH_BROKEN_CHIPS: &[Candidate] = &[
        candidate("no-such-element", Engine::Hardware),
        chip(&[("fault", "starts")]),
        chip(&[("fault", "deaf")]),
        candidate("vp8enc", Engine::Software),
    ];
    let asked = Encoding {
        codecs: vec![VideoCodec::Vp8],
        ..Encoding::default()
    };
    let encoding = choose(CATALOGUE_WITH_BROKEN_CHIPS, &media(asked)).expect("software is there");
    assert_eq!(encoding.chosen, [&CATALOGUE_WITH_BROKEN_CHIPS[3]]);
}

#[test]
fn a_chip_that_works_goes_before_software() {
    start();
    static CATALOGUE_WITH_A_CHIP: &[Candidate] =
        &[chip(&[]), candidate("vp8enc", Engine::Software)];
    let encoding = choose(CATALOGUE_WITH_A_CHIP, &media(Encoding::default())).expect("it is there");
    assert_eq!(
        encoding.codecs,
        [VideoCodec::Vp8],
        "of the others there is no encoder here"
    );
    assert_eq!(encoding.chosen, [&CATALOGUE_WITH_A_CHIP[0]]);
}

#[test]
fn every_library_that_is_taken_unproven_would_prove_itself() {
    start();
    let mut proven = Vec::new();
    for candidate in CATALOGUE
        .iter()
        .filter(|candidate| !candidate.needs_proof())
    {
        match prove(candidate, &media(Encoding::default())) {
            Verdict::Proven { ms_per_frame } => {
                assert!(ms_per_frame > 0.0);
                proven.push(candidate.codec);
            }
            Verdict::Missing => {}
            Verdict::Rejected(reason) => panic!("{}: {reason}", candidate.element),
        }
    }
    for codec in VideoCodec::ALL {
        assert!(proven.contains(&codec), "{codec:?}");
    }
}

#[test]
fn what_was_asked_for_and_is_not_there_is_missed() {
    start();
    let absent = named("nvh264enc").filter(|candidate| !plugins::is_present(candidate.element));
    let asked = Encoding {
        encoder: absent,
        ..Encoding::default()
    };
    let failure = choose(CATALOGUE, &media(asked)).expect_err("there is no such card");
    assert!(failure.sentence.contains("nvh264enc"), "{failure}");

    let asked = Encoding {
        encoder: named("x264enc"),
        codecs: vec![VideoCodec::Vp8],
        ..Encoding::default()
    };
    let failure = choose(CATALOGUE, &media(asked)).expect_err("it is for another codec");
    assert!(
        failure.sentence.contains("x264enc makes H.264"),
        "{failure}"
    );
}
