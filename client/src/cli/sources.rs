//! The options about where pictures and sound come from.

use super::devices::PartArgs;
use crate::media::{AudioSource, File, Others, Part, Region, Screen, VideoSource};

/// What is sent, and what may take its place.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct SourceArgs {
    /// The picture to send: screen, window:NAME, monitor:NAME, camera[:DEVICE], test[:PATTERN],
    /// file:PATH, uri:URL, pipeline:TEXT as gst-launch-1.0 takes it, or none. May be repeated: the
    /// first is sent, the others may take its place during a call [default: screen]
    #[arg(long, value_name = "SOURCE")]
    video: Vec<VideoSource>,

    /// The sound to send: mic[:DEVICE], desktop (what this machine plays), test, file or uri (the
    /// sound that belongs to the picture), file:PATH, uri:URL, pipeline:TEXT, or none. May be
    /// repeated as --video may [default: mic]
    #[arg(long, value_name = "SOURCE")]
    audio: Vec<AudioSource>,

    /// The X display to capture [default: $DISPLAY]
    #[arg(long, value_name = ":N")]
    display: Option<String>,

    /// The part of the screen to capture, in pixels
    #[arg(long, value_name = "X,Y,WxH")]
    region: Option<Region>,

    #[command(flatten)]
    part: PartArgs,

    /// Leave the mouse pointer out of the picture
    #[arg(long)]
    no_pointer: bool,

    /// The PulseAudio source to capture, which may be the monitor of an output
    #[arg(long, value_name = "NAME")]
    audio_device: Option<String>,

    /// Play files once, and not again and again
    #[arg(long)]
    no_loop: bool,
}

impl SourceArgs {
    /// What is sent at first, and what may take its place.
    pub(super) fn into_sources(mut self) -> (VideoSource, AudioSource, Others) {
        let (videos, audios) = (
            std::mem::take(&mut self.video),
            std::mem::take(&mut self.audio),
        );
        let mut videos = videos.into_iter().map(|source| self.meant_video(source));
        let mut audios = audios.into_iter().map(|source| self.meant_audio(source));
        let video = videos
            .next()
            .unwrap_or_else(|| self.meant_video(VideoSource::Screen(Screen::default())));
        let audio = audios
            .next()
            .unwrap_or_else(|| self.meant_audio(AudioSource::Mic(None)));
        let others = Others {
            video: videos.collect(),
            audio: audios.collect(),
        };
        (video, audio, others)
    }

    /// A source with what the other options say about it.
    fn meant_video(&self, source: VideoSource) -> VideoSource {
        match source {
            VideoSource::Screen(screen) => VideoSource::Screen(Screen {
                display: self.display.clone(),
                pointer: !self.no_pointer,
                part: match screen.part {
                    Part::Whole => self.part(),
                    Part::Region(_) | Part::Window(_) | Part::Monitor(_) => screen.part,
                },
            }),
            VideoSource::File(file) => VideoSource::File(self.meant_file(file)),
            VideoSource::Camera(_)
            | VideoSource::Test(_)
            | VideoSource::Uri(_)
            | VideoSource::Pipeline(_)
            | VideoSource::App
            | VideoSource::None => source,
        }
    }

    fn meant_audio(&self, source: AudioSource) -> AudioSource {
        match source {
            AudioSource::Mic(None) => AudioSource::Mic(self.audio_device.clone()),
            AudioSource::File(file) => AudioSource::File(self.meant_file(file)),
            AudioSource::Mic(Some(_))
            | AudioSource::Desktop
            | AudioSource::Test
            | AudioSource::WithVideo
            | AudioSource::Uri(_)
            | AudioSource::Pipeline(_)
            | AudioSource::App
            | AudioSource::None => source,
        }
    }

    fn meant_file(&self, file: File) -> File {
        File {
            repeat: !self.no_loop,
            ..file
        }
    }

    fn part(&self) -> Part {
        match (self.region, &self.part.window, &self.part.monitor) {
            (Some(region), _, _) => Part::Region(region),
            (None, Some(window), _) => Part::Window(window.clone()),
            (None, None, Some(monitor)) => Part::Monitor(monitor.clone()),
            (None, None, None) => Part::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    #[command(args_override_self = true)]
    struct Line {
        #[command(flatten)]
        sources: SourceArgs,
    }

    fn sources(line: &str) -> Result<(VideoSource, AudioSource, Others), clap::Error> {
        let words = std::iter::once("client").chain(line.split_whitespace());
        Ok(Line::try_parse_from(words)?.sources.into_sources())
    }

    #[test]
    fn the_screen_and_the_microphone_are_sent_by_default() -> Result<(), clap::Error> {
        let (video, audio, others) = sources("--display :7 --audio-device x")?;
        let screen = Screen {
            display: Some(":7".into()),
            pointer: true,
            part: Part::Whole,
        };
        assert_eq!(video, VideoSource::Screen(screen));
        assert_eq!(audio, AudioSource::Mic(Some("x".into())));
        assert_eq!(others, Others::default());
        Ok(())
    }

    #[test]
    fn the_first_is_sent_and_the_others_wait() -> Result<(), clap::Error> {
        let line = "--video test:red --video file:a.webm --video none --audio mic:y --audio desktop \
                    --no-loop --audio-device x";
        let (video, audio, others) = sources(line)?;
        assert_eq!(video.to_string(), "test:red");
        assert_eq!(audio, AudioSource::Mic(Some("y".into())));
        let file = File {
            path: "a.webm".into(),
            repeat: false,
        };
        assert_eq!(others.video, [VideoSource::File(file), VideoSource::None]);
        assert_eq!(others.audio, [AudioSource::Desktop]);
        Ok(())
    }

    #[test]
    fn a_part_named_with_the_source_goes_before_that_of_the_options() -> Result<(), clap::Error> {
        let line = "--video screen --video screen:1,2,3x4 --video window:w --region 5,6,7x8";
        let (video, _, others) = sources(line)?;
        let names = std::iter::once(&video).chain(&others.video);
        let names: Vec<_> = names.map(ToString::to_string).collect();
        assert_eq!(names, ["screen:5,6,7x8", "screen:1,2,3x4", "window:w"]);
        Ok(())
    }

    #[test]
    fn one_part_of_the_screen_is_enough() {
        for line in [
            "--window x --region 0,0,1x1",
            "--monitor 1 --region 0,0,1x1",
            "--monitor 1 --window x",
        ] {
            assert!(sources(line).is_err(), "{line}");
        }
    }
}
