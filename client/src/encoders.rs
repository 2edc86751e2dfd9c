//! The encoders of pictures that Aldis knows, as data: which there are for a codec in the order of
//! preference, and how each is told to be quick.
//!
//! An encoder in hardware goes before one in software, for it leaves the cores to others. Whether it
//! works is another question, which `encoder_probe` answers with frames.

use crate::encoding::Encoding;
use crate::media::{VideoCodec, VideoFormat};

/// An encoder element and how to use it.
#[derive(Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The GStreamer element.
    pub element: &'static str,
    /// What it encodes to.
    pub codec: VideoCodec,
    /// What does the work.
    pub engine: Engine,
    /// Properties that keep it quick, with their values. One that this version of the element does not
    /// have is left out.
    pub settings: &'static [(&'static str, &'static str)],
    /// What holds the bit rate.
    pub rate: Rate,
    /// The property that bounds its threads, if it has any.
    pub threads: Option<&'static str>,
    /// When it makes key frames.
    pub key_frames: KeyFrames,
    /// What has to stand between a raw picture (I420) and the encoder.
    pub before: &'static str,
    /// What has to stand behind it.
    pub after: &'static str,
}

/// What does the work of an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A chip made for it. It has to prove that it works before it is used.
    Hardware,
    /// The processor, by a library that is tested together with Aldis.
    Software,
    /// The processor, by a library that has to prove itself as a chip has.
    UntestedSoftware,
}

/// The property with the bit rate, by its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// In bits a second.
    Bits(&'static str),
    /// In kilobits a second.
    Kilobits(&'static str),
    /// A control of Video4Linux, among others in one property.
    Controls,
}

/// When an encoder makes key frames, by the property with their greatest distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFrames {
    /// When it is asked to.
    OnRequest(&'static str),
    /// Every second or so, and not when asked.
    Regularly(&'static str),
}

/// The distance of key frames where they come on request.
const FAR: u32 = 2000;

const VPX: &[(&str, &str)] = &[
    ("deadline", "1"),
    ("cpu-used", "8"),
    ("end-usage", "cbr"),
    ("lag-in-frames", "0"),
    ("buffer-size", "200"),
    ("buffer-initial-size", "100"),
    ("buffer-optimal-size", "120"),
];
const X264: &[(&str, &str)] = &[("tune", "zerolatency"), ("speed-preset", "ultrafast")];
/// Without leaving frames out it sends several times what it may.
const OPENH264: &[(&str, &str)] = &[
    ("enable-frame-skip", "true"),
    ("complexity", "low"),
    ("rate-control", "bitrate"),
    ("usage-type", "camera"),
];
/// With its own quantizers a constant bit rate would end the process.
const AOM: &[(&str, &str)] = &[
    ("usage-profile", "realtime"),
    ("cpu-used", "10"),
    ("end-usage", "cbr"),
    ("lag-in-frames", "0"),
    ("min-quantizer", "2"),
    ("max-quantizer", "56"),
];
const SVT: &[(&str, &str)] = &[
    ("preset", "12"),
    ("parameters-string", "pred-struct=1:rc=2"),
];
const VA: &[(&str, &str)] = &[
    ("rate-control", "cbr"),
    ("b-frames", "0"),
    ("ref-frames", "1"),
    ("target-usage", "7"),
];
const VAAPI: &[(&str, &str)] = &[
    ("rate-control", "cbr"),
    ("max-bframes", "0"),
    ("quality-level", "7"),
];
const NVENC: &[(&str, &str)] = &[
    ("preset", "low-latency-hp"),
    ("rc-mode", "cbr"),
    ("zerolatency", "true"),
    ("bframes", "0"),
    ("rc-lookahead", "0"),
];
const QSV: &[(&str, &str)] = &[
    ("rate-control", "cbr"),
    ("low-latency", "true"),
    ("b-frames", "0"),
    ("target-usage", "7"),
];
const MSDK: &[(&str, &str)] = &[
    ("rate-control", "cbr"),
    ("b-frames", "0"),
    ("async-depth", "1"),
    ("target-usage", "7"),
];

const NV12: &str = "videoconvert ! video/x-raw,format=NV12";
const BASELINE: &str =
    "video/x-h264,profile=constrained-baseline,stream-format=byte-stream,alignment=au";
const PARSED_BASELINE: &str = "h264parse ! \
    video/x-h264,profile=constrained-baseline,stream-format=byte-stream,alignment=au";
const UNITS: &str = "av1parse ! video/x-av1,stream-format=obu-stream,alignment=tu";

/// Every encoder, the better before the worse of the same codec.
pub const CATALOGUE: &[Candidate] = &[
    chip(
        "vah264lpenc",
        VideoCodec::H264,
        VA,
        Rate::Kilobits("bitrate"),
        "key-int-max",
    ),
    chip(
        "vah264enc",
        VideoCodec::H264,
        VA,
        Rate::Kilobits("bitrate"),
        "key-int-max",
    ),
    chip(
        "nvh264enc",
        VideoCodec::H264,
        NVENC,
        Rate::Kilobits("bitrate"),
        "gop-size",
    ),
    chip(
        "qsvh264enc",
        VideoCodec::H264,
        QSV,
        Rate::Kilobits("bitrate"),
        "gop-size",
    ),
    chip(
        "msdkh264enc",
        VideoCodec::H264,
        MSDK,
        Rate::Kilobits("bitrate"),
        "gop-size",
    ),
    chip(
        "vaapih264enc",
        VideoCodec::H264,
        VAAPI,
        Rate::Kilobits("bitrate"),
        "keyframe-period",
    ),
    chip("v4l2h264enc", VideoCodec::H264, &[], Rate::Controls, ""),
    library(
        "x264enc",
        VideoCodec::H264,
        X264,
        Rate::Kilobits("bitrate"),
        "key-int-max",
        "threads",
    ),
    library(
        "openh264enc",
        VideoCodec::H264,
        OPENH264,
        Rate::Bits("bitrate"),
        "gop-size",
        "multi-thread",
    ),
    chip(
        "vavp8enc",
        VideoCodec::Vp8,
        VA,
        Rate::Kilobits("bitrate"),
        "key-int-max",
    ),
    chip(
        "vaapivp8enc",
        VideoCodec::Vp8,
        VAAPI,
        Rate::Kilobits("bitrate"),
        "keyframe-period",
    ),
    chip("v4l2vp8enc", VideoCodec::Vp8, &[], Rate::Controls, ""),
    library(
        "vp8enc",
        VideoCodec::Vp8,
        VPX,
        Rate::Bits("target-bitrate"),
        "keyframe-max-dist",
        "threads",
    ),
    chip(
        "vavp9lpenc",
        VideoCodec::Vp9,
        VA,
        Rate::Kilobits("bitrate"),
        "key-int-max",
    ),
    chip(
        "vavp9enc",
        VideoCodec::Vp9,
        VA,
        Rate::Kilobits("bitrate"),
        "key-int-max",
    ),
    chip(
        "qsvvp9enc",
        VideoCodec::Vp9,
        QSV,
        Rate::Kilobits("bitrate"),
        "gop-size",
    ),
    chip(
        "msdkvp9enc",
        VideoCodec::Vp9,
        MSDK,
        Rate::Kilobits("bitrate"),
        "gop-size",
    ),
    chip(
        "vaapivp9enc",
        VideoCodec::Vp9,
        VAAPI,
        Rate::Kilobits("bitrate"),
        "keyframe-period",
    ),
    chip("v4l2vp9enc", VideoCodec::Vp9, &[], Rate::Controls, ""),
    library(
        "vp9enc",
        VideoCodec::Vp9,
        VPX,
        Rate::Bits("target-bitrate"),
        "keyframe-max-dist",
        "threads",
    ),
    chip(
        "vaav1lpenc",
        VideoCodec::Av1,
        VA,
        Rate::Kilobits("bitrate"),
        "key-int-max",
    ),
    chip(
        "vaav1enc",
        VideoCodec::Av1,
        VA,
        Rate::Kilobits("bitrate"),
        "key-int-max",
    ),
    chip(
        "nvav1enc",
        VideoCodec::Av1,
        NVENC,
        Rate::Kilobits("bitrate"),
        "gop-size",
    ),
    chip(
        "qsvav1enc",
        VideoCodec::Av1,
        QSV,
        Rate::Kilobits("bitrate"),
        "gop-size",
    ),
    chip(
        "msdkav1enc",
        VideoCodec::Av1,
        MSDK,
        Rate::Kilobits("bitrate"),
        "gop-size",
    ),
    Candidate {
        engine: Engine::UntestedSoftware,
        key_frames: KeyFrames::Regularly("intra-period-length"),
        ..library(
            "svtav1enc",
            VideoCodec::Av1,
            SVT,
            Rate::Kilobits("target-bitrate"),
            "",
            "logical-processors",
        )
    },
    Candidate {
        key_frames: KeyFrames::Regularly("keyframe-max-dist"),
        ..library(
            "av1enc",
            VideoCodec::Av1,
            AOM,
            Rate::Kilobits("target-bitrate"),
            "",
            "threads",
        )
    },
];

const fn chip(
    element: &'static str,
    codec: VideoCodec,
    settings: &'static [(&'static str, &'static str)],
    rate: Rate,
    distance: &'static str,
) -> Candidate {
    Candidate {
        element,
        codec,
        engine: Engine::Hardware,
        settings,
        rate,
        threads: None,
        key_frames: KeyFrames::OnRequest(distance),
        before: NV12,
        after: match codec {
            VideoCodec::H264 => PARSED_BASELINE,
            VideoCodec::Av1 => UNITS,
            VideoCodec::Vp8 | VideoCodec::Vp9 => "",
        },
    }
}

const fn library(
    element: &'static str,
    codec: VideoCodec,
    settings: &'static [(&'static str, &'static str)],
    rate: Rate,
    distance: &'static str,
    threads: &'static str,
) -> Candidate {
    Candidate {
        element,
        codec,
        engine: Engine::Software,
        settings,
        rate,
        threads: Some(threads),
        key_frames: KeyFrames::OnRequest(distance),
        before: "",
        after: match codec {
            VideoCodec::H264 => BASELINE,
            VideoCodec::Av1 => UNITS,
            VideoCodec::Vp8 | VideoCodec::Vp9 => "",
        },
    }
}

/// The encoders of a codec, the best first.
pub fn candidates(codec: VideoCodec) -> impl Iterator<Item = &'static Candidate> {
    CATALOGUE
        .iter()
        .filter(move |candidate| candidate.codec == codec)
}

/// The encoder with this name.
pub fn named(element: &str) -> Option<&'static Candidate> {
    CATALOGUE
        .iter()
        .find(|candidate| candidate.element == element)
}

impl Candidate {
    /// The elements, as text; the encoder itself is called `name`.
    pub fn launch(&self, name: &str) -> String {
        let encoder = format!("{} name={name}", self.element);
        let parts = [self.before, &encoder, self.after];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(" ! ")
    }

    /// Every property to set on the encoder before it starts.
    pub fn properties(
        &self,
        format: &VideoFormat,
        encoding: &Encoding,
    ) -> Vec<(&'static str, String)> {
        let fixed = self
            .settings
            .iter()
            .map(|(property, value)| (*property, (*value).to_owned()));
        let mut properties: Vec<_> = fixed.collect();
        properties.push(self.rate.property(format.bitrate_kbps));
        if let Some(threads) = self.threads {
            properties.push((threads, encoding.threads.to_string()));
        }
        properties.push(match self.key_frames {
            KeyFrames::OnRequest(distance) => (distance, FAR.to_string()),
            KeyFrames::Regularly(distance) => (distance, format.framerate.to_string()),
        });
        properties.retain(|(property, _)| !property.is_empty());
        properties
    }

    /// Whether it has to prove itself before it is used.
    pub fn needs_proof(&self) -> bool {
        self.engine != Engine::Software
    }
}

impl Rate {
    /// The property with its value for a bit rate.
    pub fn property(self, kbps: u32) -> (&'static str, String) {
        let bits = u64::from(kbps) * 1000;
        match self {
            Self::Bits(property) => (property, bits.to_string()),
            Self::Kilobits(property) => (property, kbps.to_string()),
            Self::Controls => (
                "extra-controls",
                format!(
                    "controls,repeat_sequence_header=1,video_gop_size={FAR},video_bitrate={bits}"
                ),
            ),
        }
    }
}

impl Engine {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hardware => "hardware",
            Self::Software | Self::UntestedSoftware => "software",
        }
    }
}

#[cfg(test)]
mod tests;
