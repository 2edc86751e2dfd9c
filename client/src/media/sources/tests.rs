use proptest::prelude::*;

use super::*;

#[test]
fn sources_print_as_they_are_written() {
    for text in [
        "screen",
        "screen:1,2,30x40",
        "window:Terminal: vi",
        "window:0x1a00003",
        "monitor:HDMI-1",
        "monitor:2",
        "camera",
        "camera:/dev/video0",
        "test",
        "test:ball",
        "file:/tmp/a: b.webm",
        "uri:rtsp://user:secret@camera.lan/live",
        "pipeline:videotestsrc ! video/x-raw,framerate=30/1",
        "none",
    ] {
        let printed = text.parse().map(|source: VideoSource| source.to_string());
        assert_eq!(printed.as_deref(), Ok(text));
    }
    for text in [
        "mic",
        "mic:speaker.monitor",
        "desktop",
        "test",
        "file",
        "file:a.ogg",
        "uri:http://localhost:8000/a.webm",
        "pipeline:audiotestsrc",
        "none",
    ] {
        let printed = text.parse().map(|source: AudioSource| source.to_string());
        assert_eq!(printed.as_deref(), Ok(text));
    }
    assert_eq!("uri".parse(), Ok(AudioSource::WithVideo));
}

#[test]
fn what_is_no_source_is_refused() {
    for text in [
        "",
        "Screen",
        "nothing",
        "screen:",
        "screen:all",
        "window",
        "monitor",
        "camera:",
        "test:nonsense",
        "file",
        "uri",
        "uri:nonsense",
        "uri:file:///etc/passwd",
        "pipeline",
        "none:x",
    ] {
        assert!(text.parse::<VideoSource>().is_err(), "{text}");
    }
    for text in ["", "mic:", "desktop:x", "test:440", "screen", "none:x"] {
        assert!(text.parse::<AudioSource>().is_err(), "{text}");
    }
}

#[test]
fn what_others_may_read_tells_no_secrets() {
    let label = |text: &str| text.parse().map(|source: VideoSource| source.label());
    assert_eq!(
        label("uri:rtsp://user:secret@camera.lan/live?token=x"),
        Ok("uri:rtsp://camera.lan/live".into())
    );
    assert_eq!(label("file:/home/me/a.webm"), Ok("file:a.webm".into()));
    assert_eq!(label("pipeline:filesrc location=x"), Ok("pipeline".into()));
    let source: Result<VideoSource, _> = "uri:rtsp://user:secret@camera.lan/".parse();
    assert!(!format!("{source:?}").contains("secret"));
}

#[test]
fn cameras_of_the_network_are_live_and_web_servers_are_not() {
    let live = |text: &str| text.parse().map(|uri: Uri| uri.is_live());
    assert_eq!(live("rtsp://x/"), Ok(true));
    assert_eq!(live("srt://x:1"), Ok(true));
    assert_eq!(live("https://x/"), Ok(false));
}

proptest! {
    #[test]
    fn whatever_is_taken_is_taken_again_as_the_same(text in "(screen|window|camera|mic|test|file|uri|pipeline)(:.*)?") {
        if let Ok(source) = text.parse::<VideoSource>() {
            prop_assert_eq!(source.to_string().parse(), Ok(source));
        }
        if let Ok(source) = text.parse::<AudioSource>() {
            prop_assert_eq!(source.to_string().parse(), Ok(source));
        }
    }
}

#[test]
fn a_region_prints_as_it_is_read() {
    for text in ["0,0,1280x720", "17,4,1x1"] {
        assert_eq!(
            text.parse::<Region>().map(|region| region.to_string()),
            Ok(text.into())
        );
    }
    for text in [
        "",
        "0,0",
        "1280x720",
        "0,0,0x5",
        "-1,0,5x5",
        "0,0,5x5x5",
        "0,0,99999x1",
    ] {
        assert!(text.parse::<Region>().is_err(), "{text}");
    }
}
