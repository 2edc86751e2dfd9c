//! Every branch that may be built is built: the texts of the pure files are texts GStreamer takes.

use client::capture::{Capture, Timeline};
use client::graph::receive_chain;
use client::media::{
    AudioSource, Codec, Kind, Media, Others, Part, Pattern, Screen, VideoCodec, VideoFormat,
    VideoSource,
};
use client::plugins;

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
            for codec in VideoCodec::ALL {
                let (width, height, framerate, bitrate_kbps) = (640, 360, 30, 1000);
                let format = VideoFormat {
                    codec,
                    width,
                    height,
                    framerate,
                    bitrate_kbps,
                };
                let media = Media {
                    video: video.clone(),
                    format,
                    audio: audio.clone(),
                    others: Others::default(),
                };
                let capture = Capture::new(&media, &Timeline::default())
                    .unwrap_or_else(|error| panic!("{media:?}: {error:#}"));
                for kind in Kind::ALL {
                    let track = capture.track(media.preferred(kind));
                    assert_eq!(track.is_some(), media.sent(kind).is_some(), "{kind}");
                }
            }
        }
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
