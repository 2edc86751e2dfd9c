//! Encoded frames in the form in which files hold them.

/// How frames of a track are encoded, as far as a file has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// VP8 ([RFC 6386](https://www.rfc-editor.org/rfc/rfc6386)).
    Vp8,
    /// VP9.
    Vp9,
    /// AV1.
    Av1,
    /// H.264.
    H264,
    /// Opus ([RFC 6716](https://www.rfc-editor.org/rfc/rfc6716)).
    Opus,
}

/// What the head of a file says of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// How its frames are encoded.
    pub encoding: Encoding,
    /// Width and height in pixels; nothing for sound.
    pub size: Option<(u32, u32)>,
    /// What a decoder has to know before the first frame: the content of `avcC` for H.264, of `av1C`
    /// for AV1, an identification header for Opus.
    pub setup: Vec<u8>,
}

/// A frame on its way into a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Which of the file's tracks it belongs to, counted from 0.
    pub track: usize,
    /// When it is shown, in nanoseconds since the beginning of the file.
    pub at_ns: u64,
    /// Whether it can be decoded without those before.
    pub is_key: bool,
    /// Its content, as [`stored`] gives it.
    pub data: &'a [u8],
}

/// Samples a second of all sound.
pub const SAMPLE_RATE: u32 = 48_000;

/// The type of a network abstraction layer unit ([RFC 6184, table 1](https://www.rfc-editor.org/rfc/rfc6184#section-5.2)).
const SPS: u8 = 7;
const PPS: u8 = 8;

/// The type of an open bitstream unit that separates temporal units; files do without.
const TEMPORAL_DELIMITER: u8 = 2;

/// The type of the one that says what a stream is.
const SEQUENCE_HEADER: u8 = 1;

impl Encoding {
    /// Whether it is for pictures.
    pub fn is_picture(self) -> bool {
        self != Self::Opus
    }

    /// The encoding that caps with this name have.
    pub fn of_caps(name: &str) -> Option<Self> {
        match name {
            "video/x-vp8" => Some(Self::Vp8),
            "video/x-vp9" => Some(Self::Vp9),
            "video/x-av1" => Some(Self::Av1),
            "video/x-h264" => Some(Self::H264),
            "audio/x-opus" => Some(Self::Opus),
            _ => None,
        }
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
            Self::H264 => "H.264",
            Self::Opus => "Opus",
        }
    }
}

/// A frame as files hold it: H.264 with lengths in the place of start codes, AV1 without delimiters,
/// and everything else as it comes.
pub fn stored(encoding: Encoding, frame: &[u8]) -> Vec<u8> {
    match encoding {
        Encoding::H264 => {
            nal_units(frame).fold(Vec::with_capacity(frame.len()), |mut out, unit| {
                out.extend(u32::try_from(unit.len()).unwrap_or(u32::MAX).to_be_bytes());
                out.extend(unit);
                out
            })
        }
        Encoding::Av1 => without_delimiters(frame),
        Encoding::Vp8 | Encoding::Vp9 | Encoding::Opus => frame.to_vec(),
    }
}

/// The size of the picture in a key frame of VP8
/// ([RFC 6386, section 9.1](https://www.rfc-editor.org/rfc/rfc6386#section-9.1)).
pub fn vp8_size(frame: &[u8]) -> Option<(u32, u32)> {
    let is_key = frame.first()? & 1 == 0;
    if !is_key || frame.get(3..6)? != [0x9d, 0x01, 0x2a] {
        return None;
    }
    let side = |at: usize| {
        let bytes = frame.get(at..at + 2)?.try_into().ok()?;
        Some(u32::from(u16::from_le_bytes(bytes) & 0x3fff))
    };
    Some((side(6)?, side(8)?))
}

/// What a decoder of H.264 has to know before the first frame, out of a key frame with start codes
/// (ISO/IEC 14496-15, section 5.3.3).
pub fn avcc(key_frame: &[u8]) -> Option<Vec<u8>> {
    let of_type = |kind: u8| {
        nal_units(key_frame).find(|unit| unit.first().map(|byte| byte & 31) == Some(kind))
    };
    let (sps, pps) = (of_type(SPS)?, of_type(PPS)?);
    let &[_, profile, constraints, level, ..] = sps else {
        return None;
    };
    // One set of each kind, and lengths of four bytes before every unit.
    let mut setup = vec![1, profile, constraints, level, 0xff, 0xe1];
    setup.extend(u16::try_from(sps.len()).ok()?.to_be_bytes());
    setup.extend(sps);
    setup.push(1);
    setup.extend(u16::try_from(pps.len()).ok()?.to_be_bytes());
    setup.extend(pps);
    Some(setup)
}

/// The identification header of Opus
/// ([RFC 7845, section 5.1](https://www.rfc-editor.org/rfc/rfc7845#section-5.1)). Nothing is to be
/// skipped: a call has no beginning that an encoder padded.
pub fn opus_head(channels: u8) -> Vec<u8> {
    let mut head = b"OpusHead\x01".to_vec();
    head.push(channels);
    head.extend(0_u16.to_le_bytes());
    head.extend(SAMPLE_RATE.to_le_bytes());
    head.extend([0, 0, 0]);
    head
}

/// The units between the start codes of a frame.
fn nal_units(frame: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts = |from: usize| {
        let rest = frame.get(from..)?;
        rest.windows(3)
            .position(|bytes| bytes == [0, 0, 1])
            .map(|at| from + at)
    };
    let mut next = starts(0);
    std::iter::from_fn(move || {
        let begin = next? + 3;
        next = starts(begin);
        let end = next.unwrap_or(frame.len());
        // What is before a longer start code, or at the end, is padding.
        let unit = &frame[begin..end];
        let padding = unit.iter().rev().take_while(|byte| **byte == 0).count();
        Some(&unit[..unit.len() - padding])
    })
    .filter(|unit| !unit.is_empty())
}

/// What a decoder of AV1 has to know before the first frame, out of a key frame: eight bits a sample,
/// and colours at half the resolution, which is what calls have
/// ([AV1 in ISO base media](https://aomediacodec.github.io/av1-isobmff/#av1codecconfigurationbox)).
pub fn av1c(key_frame: &[u8]) -> Option<Vec<u8>> {
    let (_, whole, content) = obus(key_frame).find(|(kind, ..)| *kind == SEQUENCE_HEADER)?;
    let (first, level) = (*content.first()?, *content.get(3)?);
    // A still picture, or one with timing, has its level elsewhere.
    if first & 0b0001_1100 != 0 {
        return None;
    }
    let (profile, level_index) = (first >> 5, level >> 3);
    let tier = if level_index > 7 {
        (level >> 2 & 1) << 7
    } else {
        0
    };
    let mut setup = vec![0x81, profile << 5 | level_index, tier | 0x0c, 0];
    setup.extend(whole);
    Some(setup)
}

/// A temporal unit of AV1 without its delimiters. What cannot be read is left as it is.
fn without_delimiters(frame: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(frame.len());
    let mut read = 0;
    for (kind, whole, _) in obus(frame) {
        read += whole.len();
        if kind != TEMPORAL_DELIMITER {
            out.extend(whole);
        }
    }
    out.extend(&frame[read..]);
    out
}

/// The units of a frame (low-overhead format, each with its size): type, whole, content.
fn obus(frame: &[u8]) -> impl Iterator<Item = (u8, &[u8], &[u8])> {
    let mut rest = frame;
    std::iter::from_fn(move || {
        let head = *rest.first()?;
        let header = 1 + usize::from(head & 4 != 0);
        let sized = rest.get(header..).and_then(leb128);
        let (size, digits) = sized.filter(|_| head & 2 != 0)?;
        let whole = rest.get(..header + digits + size)?;
        rest = &rest[whole.len()..];
        Some((head >> 3 & 15, whole, &whole[header + digits..]))
    })
}

/// A number of AV1, and how many bytes it takes.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_usize;
    for (position, byte) in bytes.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some((value, position + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_codes_become_lengths() {
        let frame = [
            0, 0, 0, 1, 0x67, 66, 0xc0, 31, 9, 0, 0, 1, 0x68, 5, 0, 0, 0, 1, 0x65, 1, 2, 0, 0,
        ];
        let stored = stored(Encoding::H264, &frame);
        let expected = [
            0, 0, 0, 5, 0x67, 66, 0xc0, 31, 9, 0, 0, 0, 2, 0x68, 5, 0, 0, 0, 3, 0x65, 1, 2,
        ];
        assert_eq!(stored, expected);
        let setup = [
            1, 66, 0xc0, 31, 0xff, 0xe1, 0, 5, 0x67, 66, 0xc0, 31, 9, 1, 0, 2, 0x68, 5,
        ];
        assert_eq!(avcc(&frame).as_deref(), Some(&setup[..]));
        assert_eq!(avcc(&[0, 0, 1, 0x65, 1]), None, "no parameters, no setup");
        assert!(super::stored(Encoding::H264, &[1, 2, 3]).is_empty());
    }

    #[test]
    fn key_frames_of_vp8_tell_their_size() {
        let frame = [0x10, 2, 0, 0x9d, 1, 0x2a, 0x80, 2, 0x68, 1, 7];
        assert_eq!(vp8_size(&frame), Some((640, 360)));
        assert_eq!(vp8_size(&[0x11, 2, 0]), None);
        assert_eq!(vp8_size(&frame[..7]), None);
        assert_eq!(vp8_size(&[]), None);
    }

    #[test]
    fn delimiters_of_av1_are_left_out() {
        let frame = [0x12, 0, 0x0a, 2, 7, 8, 0x32, 1, 9];
        assert_eq!(stored(Encoding::Av1, &frame), [0x0a, 2, 7, 8, 0x32, 1, 9]);
        for odd in [
            &[0x0a, 200][..],
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            &[0x08, 1],
        ] {
            assert_eq!(stored(Encoding::Av1, odd), odd, "what cannot be read stays");
        }
    }
}
