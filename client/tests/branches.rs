//! Every branch that may be built is built: the texts of the pure files are texts GStreamer takes.

use client::camera::{Choice, Rate};
use client::capture::{Capture, Timeline, set_property};
use client::encoders::CATALOGUE;
use client::encoding::Encoding;
use client::graph::{
    camera_branch, encoder_branch, origin_branch, passing_camera_branch, passing_file_branch,
    prescan_branch, receive_chain, slate_branch,
};
use client::media::{
    AudioSource, Codec, File, Media, Origin, Others, Part, Pattern, Screen, VideoCodec,
    VideoFormat, VideoSource,
};
use client::passing::PASSING;
use client::plugins;
use gst::prelude::*;

#[test]
fn every_capture_can_be_built() {
    plugins::start().expect("GStreamer is installed");
    let screen = Screen {
        display: Some(":0".into()),
        pointer: false,
        part: Part::Region("1,2,30x40".parse().expect("a region")),
    };
    for video in [
        VideoSource::Screen(screen),
        VideoSource::Test(Pattern::default()),
        VideoSource::None,
    ] {
        for audio in [
            AudioSource::Mic(Some("x".into())),
            AudioSource::Test,
            AudioSource::None,
        ] {
            let (width, height, framerate, bitrate_kbps) = (640, 360, 30, 1000);
            let media = Media {
                video: video.clone(),
                format: VideoFormat {
                    width,
                    height,
                    framerate,
                    bitrate_kbps,
                },
                audio: audio.clone(),
                others: Others::default(),
                voice: Default::default(),
                encoding: Encoding::default(),
            };
            let capture = Capture::new(&media, &Timeline::default())
                .unwrap_or_else(|error| panic!("{media:?}: {error:#}"));
            for codec in Codec::ALL {
                let track = capture.track(codec);
                assert_eq!(track.is_some(), media.sends(codec.kind()), "{codec}");
            }
        }
    }
}

#[test]
fn every_source_can_be_built() {
    plugins::start().expect("GStreamer is installed");
    let format = VideoFormat::default();
    let videos = [
        "screen",
        "test:ball",
        "file:x",
        "file:x.png",
        "uri:rtsp://x/",
        "uri:http://x/",
        "pipeline:videotestsrc ! identity",
        "none",
    ];
    let audios = [
        "mic:x",
        "desktop",
        "test",
        "file",
        "file:x",
        "uri:http://x/",
        "pipeline:audiotestsrc",
        "none",
    ];
    let videos = videos.map(|text| Origin::Video(text.parse().expect("a source")));
    let audios = audios.map(|text| Origin::Audio(text.parse().expect("a source")));
    let choice = Choice {
        encoding: client::camera::Encoding::Mjpeg,
        layout: None,
        width: 640,
        height: 480,
        rate: Rate {
            frames: 30,
            seconds: 1,
        },
    };
    let origins = videos.into_iter().chain(audios);
    let branches = origins.flat_map(|origin| {
        [false, true].map(|with_sound| {
            origin_branch(&origin, &format, with_sound).expect("it needs no looking up")
        })
    });
    let branches = branches.chain([
        camera_branch("/dev/video0", &choice, &format),
        slate_branch("gone", true, &format),
        slate_branch("gone", false, &format),
    ]);
    let file = File {
        path: "x".into(),
        repeat: true,
    };
    let passing = PASSING.map(|codec| {
        let decoder = plugins::decoder(Codec::Video(codec)).expect("there is one");
        [false, true]
            .map(|with_sound| passing_file_branch(&file, codec, decoder, &format, with_sound))
    });
    let decoder = plugins::decoder(Codec::Video(VideoCodec::H264)).expect("there is one");
    let branches = branches.chain(passing.into_iter().flatten()).chain([
        prescan_branch(&file),
        passing_camera_branch("/dev/video0", &choice, decoder, &format),
    ]);
    for branch in branches {
        let bin = gst::parse::bin_from_description(&branch.launch, false)
            .unwrap_or_else(|error| panic!("{}: {error}", branch.launch));
        for setting in branch.settings {
            let element = bin.by_name(setting.element).expect("it is there");
            set_property(&element, setting.property, &setting.value)
                .unwrap_or_else(|error| panic!("{}: {error:#}", branch.launch));
        }
    }
}

#[test]
fn every_encoder_that_is_installed_can_be_built() {
    plugins::start().expect("GStreamer is installed");
    let installed = CATALOGUE
        .iter()
        .filter(|candidate| plugins::is_present(candidate.element));
    let mut codecs = Vec::new();
    for candidate in installed {
        let media = Media {
            video: VideoSource::Test(Pattern::default()),
            format: VideoFormat {
                width: 640,
                height: 360,
                framerate: 30,
                bitrate_kbps: 1000,
            },
            audio: AudioSource::None,
            others: Others::default(),
            voice: Default::default(),
            encoding: Encoding {
                codecs: vec![candidate.codec],
                chosen: vec![candidate],
                ..Encoding::default()
            },
        };
        let branch = encoder_branch(Codec::Video(candidate.codec), &media);
        assert!(branch.launch.contains(candidate.element), "{branch:?}");
        let capture = Capture::new(&media, &Timeline::default())
            .unwrap_or_else(|error| panic!("{}: {error:#}", candidate.element));
        assert!(capture.track(Codec::Video(candidate.codec)).is_some());
        codecs.push(candidate.codec);
    }
    for codec in VideoCodec::ALL {
        assert!(codecs.contains(&codec), "no encoder of {codec:?}");
    }
}

#[test]
fn every_codec_can_be_received() {
    plugins::start().expect("GStreamer is installed");
    for codec in Codec::ALL {
        let decoder = plugins::decoder(codec).expect("a decoder");
        assert!(plugins::can_receive(codec), "{codec}");
        gst::parse::bin_from_description(&receive_chain(codec, decoder), true)
            .unwrap_or_else(|error| panic!("{codec}: {error}"));
    }
}
