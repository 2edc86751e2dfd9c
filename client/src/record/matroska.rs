//! A file of Matroska, or of WebM, which is a part of it
//! ([RFC 9559](https://www.rfc-editor.org/rfc/rfc9559)).
//!
//! Written as it comes: each frame is in the file as soon as it is here, so that a file that nobody
//! finished can be played up to its last frame. Tracks do not wait for one another, which a track
//! that falls silent in a call would otherwise make them do. What is known only later (lengths, the
//! index) is put into places that were left for it.

use super::payload::{Encoding, Form, Frame, SAMPLE_RATE};
use super::put::Put;

/// One tick of the file's times is so long.
const TICK_NS: u64 = 1_000_000;

/// A new cluster is begun after so long; frames can be found by their cluster.
const CLUSTER_MS: u64 = 1000;

/// How many places the index may have: a day of clusters.
const MAX_CUES: usize = 86_400;

/// Room for the element that says where the index is.
const SEEK_HEAD_ROOM: usize = 64;

/// How long a decoder of Opus runs before what it gives is right
/// ([RFC 7845, section 4.6](https://www.rfc-editor.org/rfc/rfc7845#section-4.6)).
const SEEK_PRE_ROLL_NS: u64 = 80_000_000;

/// A size that is not known (yet).
const UNKNOWN_SIZE: [u8; 8] = [0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

mod id {
    pub(super) const EBML: u32 = 0x1A45_DFA3;
    pub(super) const EBML_VERSION: u32 = 0x4286;
    pub(super) const EBML_READ_VERSION: u32 = 0x42F7;
    pub(super) const EBML_MAX_ID_LENGTH: u32 = 0x42F2;
    pub(super) const EBML_MAX_SIZE_LENGTH: u32 = 0x42F3;
    pub(super) const DOC_TYPE: u32 = 0x4282;
    pub(super) const DOC_TYPE_VERSION: u32 = 0x4287;
    pub(super) const DOC_TYPE_READ_VERSION: u32 = 0x4285;
    pub(super) const VOID: u32 = 0xEC;
    pub(super) const SEGMENT: u32 = 0x1853_8067;
    pub(super) const SEEK_HEAD: u32 = 0x114D_9B74;
    pub(super) const SEEK: u32 = 0x4DBB;
    pub(super) const SEEK_ID: u32 = 0x53AB;
    pub(super) const SEEK_POSITION: u32 = 0x53AC;
    pub(super) const INFO: u32 = 0x1549_A966;
    pub(super) const TIMESTAMP_SCALE: u32 = 0x2A_D7B1;
    pub(super) const DURATION: u32 = 0x4489;
    pub(super) const MUXING_APP: u32 = 0x4D80;
    pub(super) const WRITING_APP: u32 = 0x5741;
    pub(super) const TRACKS: u32 = 0x1654_AE6B;
    pub(super) const TRACK_ENTRY: u32 = 0xAE;
    pub(super) const TRACK_NUMBER: u32 = 0xD7;
    pub(super) const TRACK_UID: u32 = 0x73C5;
    pub(super) const TRACK_TYPE: u32 = 0x83;
    pub(super) const FLAG_LACING: u32 = 0x9C;
    pub(super) const LANGUAGE: u32 = 0x22_B59C;
    pub(super) const CODEC_ID: u32 = 0x86;
    pub(super) const CODEC_PRIVATE: u32 = 0x63A2;
    pub(super) const SEEK_PRE_ROLL: u32 = 0x56BB;
    pub(super) const VIDEO: u32 = 0xE0;
    pub(super) const PIXEL_WIDTH: u32 = 0xB0;
    pub(super) const PIXEL_HEIGHT: u32 = 0xBA;
    pub(super) const AUDIO: u32 = 0xE1;
    pub(super) const SAMPLING_FREQUENCY: u32 = 0xB5;
    pub(super) const CHANNELS: u32 = 0x9F;
    pub(super) const CLUSTER: u32 = 0x1F43_B675;
    pub(super) const TIMESTAMP: u32 = 0xE7;
    pub(super) const SIMPLE_BLOCK: u32 = 0xA3;
    pub(super) const CUES: u32 = 0x1C53_BB6B;
    pub(super) const CUE_POINT: u32 = 0xBB;
    pub(super) const CUE_TIME: u32 = 0xB3;
    pub(super) const CUE_TRACK_POSITIONS: u32 = 0xB7;
    pub(super) const CUE_TRACK: u32 = 0xF7;
    pub(super) const CUE_CLUSTER_POSITION: u32 = 0xF1;
}

/// A file that grows.
#[derive(Debug)]
pub struct Matroska {
    /// How many bytes there are.
    length: u64,
    /// Where the content of the segment begins: positions are counted from there.
    segment: u64,
    /// Where room is left for the head of the index.
    seek_head: u64,
    /// Where room is left for the duration.
    duration: u64,
    /// By which track one seeks: the first picture, or the first of all.
    leading: usize,
    is_picture: bool,
    cluster: Option<Cluster>,
    cues: Vec<Cue>,
    /// The time of the last frame.
    end_ms: u64,
    /// The earliest time of the next frame of each track: two at once would be one too many.
    next_ms: Vec<u64>,
}

#[derive(Debug)]
struct Cluster {
    begins_ms: u64,
    /// Where it is in the file.
    at: u64,
}

#[derive(Debug)]
struct Cue {
    at_ms: u64,
    /// Relative to the content of the segment.
    cluster: u64,
}

impl Matroska {
    /// Begins a file with these tracks; `webm` says whether it is one of WebM.
    pub fn begin(tracks: &[Form], webm: bool, puts: &mut Vec<Put>) -> Self {
        let mut head = master(
            id::EBML,
            &[
                number(id::EBML_VERSION, 1),
                number(id::EBML_READ_VERSION, 1),
                number(id::EBML_MAX_ID_LENGTH, 4),
                number(id::EBML_MAX_SIZE_LENGTH, 8),
                element(id::DOC_TYPE, if webm { b"webm" } else { b"matroska" }),
                number(id::DOC_TYPE_VERSION, 4),
                number(id::DOC_TYPE_READ_VERSION, 2),
            ],
        );
        head.extend(bytes_of(id::SEGMENT));
        head.extend(UNKNOWN_SIZE);
        let segment = length(&head);
        head.extend(void(SEEK_HEAD_ROOM));
        let before = [
            number(id::TIMESTAMP_SCALE, TICK_NS),
            element(id::MUXING_APP, b"Aldis"),
            element(id::WRITING_APP, b"Aldis"),
        ];
        // The duration comes last in the element, where its place is known.
        let room = void(duration(0).len());
        head.extend(master(id::INFO, &[before.concat(), room.clone()]));
        let duration = length(&head) - length(&room);
        let entries: Vec<_> = (1..)
            .zip(tracks)
            .map(|(number, form)| entry(number, form))
            .collect();
        head.extend(master(id::TRACKS, &entries));
        let leading = tracks.iter().position(|form| form.encoding.is_picture());
        let file = Self {
            length: length(&head),
            segment,
            seek_head: segment,
            duration,
            leading: leading.unwrap_or(0),
            is_picture: leading.is_some(),
            cluster: None,
            cues: Vec::new(),
            end_ms: 0,
            next_ms: vec![0; tracks.len()],
        };
        puts.push(Put::Append(head));
        file
    }

    /// Takes a frame.
    pub fn frame(&mut self, frame: &Frame<'_>, puts: &mut Vec<Put>) {
        let Some(next_ms) = self.next_ms.get_mut(frame.track) else {
            return;
        };
        let at_ms = (frame.at_ns / TICK_NS).max(*next_ms);
        *next_ms = at_ms + 1;
        let leads = frame.track == self.leading && frame.is_key;
        let is_due = self.cluster.as_ref().is_none_or(|cluster| {
            at_ms >= cluster.begins_ms + CLUSTER_MS
                || (leads && self.is_picture && at_ms > cluster.begins_ms)
        });
        if is_due {
            self.begin_cluster(at_ms, leads, puts);
        }
        let begins_ms = self
            .cluster
            .as_ref()
            .map_or(at_ms, |cluster| cluster.begins_ms);
        let mut block = vint(length_of(frame.track) + 1);
        block.extend(relative(at_ms, begins_ms).to_be_bytes());
        block.push(if frame.is_key { 0x80 } else { 0 });
        let mut put = bytes_of(id::SIMPLE_BLOCK);
        put.extend(vint(length(&block) + length(frame.data)));
        put.extend(block);
        put.extend(frame.data);
        self.append(put, puts);
        self.end_ms = self.end_ms.max(at_ms);
    }

    /// Writes the index and all lengths.
    pub fn finish(mut self, puts: &mut Vec<Put>) {
        self.end_cluster(puts);
        if !self.cues.is_empty() {
            let at = self.length - self.segment;
            let track = length_of(self.leading) + 1;
            let points: Vec<_> = self.cues.iter().map(|cue| cue.point(track)).collect();
            self.append(master(id::CUES, &points), puts);
            let place = master(
                id::SEEK_HEAD,
                &[master(
                    id::SEEK,
                    &[
                        element(id::SEEK_ID, &bytes_of(id::CUES)),
                        number(id::SEEK_POSITION, at),
                    ],
                )],
            );
            let rest = void(SEEK_HEAD_ROOM - place.len());
            puts.push(Put::Patch {
                at: self.seek_head,
                bytes: [place, rest].concat(),
            });
        }
        puts.push(Put::Patch {
            at: self.segment - 8,
            bytes: long_vint(self.length - self.segment),
        });
    }

    fn begin_cluster(&mut self, at_ms: u64, leads: bool, puts: &mut Vec<Put>) {
        self.end_cluster(puts);
        let at = self.length;
        let mut head = bytes_of(id::CLUSTER);
        head.extend(UNKNOWN_SIZE);
        head.extend(number(id::TIMESTAMP, at_ms));
        self.append(head, puts);
        self.cluster = Some(Cluster {
            begins_ms: at_ms,
            at,
        });
        if (leads || !self.is_picture) && self.cues.len() < MAX_CUES {
            self.cues.push(Cue {
                at_ms,
                cluster: at - self.segment,
            });
        }
    }

    /// Says how long the cluster has become, and the file.
    fn end_cluster(&mut self, puts: &mut Vec<Put>) {
        if let Some(cluster) = self.cluster.take() {
            let size = cluster.at + 4;
            puts.push(Put::Patch {
                at: size,
                bytes: long_vint(self.length - size - 8),
            });
        }
        puts.push(Put::Patch {
            at: self.duration,
            bytes: duration(self.end_ms),
        });
    }

    fn append(&mut self, bytes: Vec<u8>, puts: &mut Vec<Put>) {
        self.length += length(&bytes);
        puts.push(Put::Append(bytes));
    }
}

impl Cue {
    fn point(&self, track: u64) -> Vec<u8> {
        let positions = [
            number(id::CUE_TRACK, track),
            number(id::CUE_CLUSTER_POSITION, self.cluster),
        ];
        let positions = master(id::CUE_TRACK_POSITIONS, &positions);
        master(
            id::CUE_POINT,
            &[number(id::CUE_TIME, self.at_ms), positions],
        )
    }
}

/// What the file says of a track.
fn entry(track: u64, form: &Form) -> Vec<u8> {
    let codec: &[u8] = match form.encoding {
        Encoding::Vp8 => b"V_VP8",
        Encoding::Vp9 => b"V_VP9",
        Encoding::Av1 => b"V_AV1",
        Encoding::H264 => b"V_MPEG4/ISO/AVC",
        Encoding::Opus => b"A_OPUS",
    };
    let mut fields = vec![
        number(id::TRACK_NUMBER, track),
        number(id::TRACK_UID, track),
        number(
            id::TRACK_TYPE,
            if form.encoding.is_picture() { 1 } else { 2 },
        ),
        number(id::FLAG_LACING, 0),
        element(id::LANGUAGE, b"und"),
        element(id::CODEC_ID, codec),
    ];
    if !form.setup.is_empty() {
        fields.push(element(id::CODEC_PRIVATE, &form.setup));
    }
    fields.push(match form.size {
        Some((width, height)) => {
            let sides = [
                number(id::PIXEL_WIDTH, width.into()),
                number(id::PIXEL_HEIGHT, height.into()),
            ];
            master(id::VIDEO, &sides)
        }
        None => {
            let channels = form.setup.get(9).copied().unwrap_or(2);
            let frequency = f64::from(SAMPLE_RATE).to_be_bytes();
            let sound = [
                element(id::SAMPLING_FREQUENCY, &frequency),
                number(id::CHANNELS, channels.into()),
            ];
            let sound = master(id::AUDIO, &sound);
            [number(id::SEEK_PRE_ROLL, SEEK_PRE_ROLL_NS), sound].concat()
        }
    });
    master(id::TRACK_ENTRY, &fields)
}

/// The time of a block, counted from its cluster.
fn relative(at_ms: u64, begins_ms: u64) -> i16 {
    let at = i64::try_from(at_ms).unwrap_or(i64::MAX);
    let begins = i64::try_from(begins_ms).unwrap_or(i64::MAX);
    let relative = at
        .saturating_sub(begins)
        .clamp(i16::MIN.into(), i16::MAX.into());
    i16::try_from(relative).unwrap_or(0)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a file is not 285,000 years long"
)]
fn duration(ms: u64) -> Vec<u8> {
    element(id::DURATION, &(ms as f64).to_be_bytes())
}

fn element(id: u32, content: &[u8]) -> Vec<u8> {
    let mut out = bytes_of(id);
    out.extend(vint(length(content)));
    out.extend(content);
    out
}

fn master(id: u32, elements: &[Vec<u8>]) -> Vec<u8> {
    element(id, &elements.concat())
}

fn number(id: u32, value: u64) -> Vec<u8> {
    element(id, &without_zeros(&value.to_be_bytes()))
}

/// An element that says nothing and takes so many bytes, at least 2 and less than 128.
fn void(room: usize) -> Vec<u8> {
    element(id::VOID, &vec![0; room.saturating_sub(2)])
}

/// The bytes of an element's id, which carries its own length.
fn bytes_of(id: u32) -> Vec<u8> {
    without_zeros(&id.to_be_bytes())
}

fn without_zeros(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes[zeros.min(bytes.len() - 1)..].to_vec()
}

/// A number with its length, as short as it can be
/// ([RFC 8794, section 4](https://www.rfc-editor.org/rfc/rfc8794#section-4)).
fn vint(value: u64) -> Vec<u8> {
    for bytes in 1..8_u8 {
        // All ones would say that the number is not known.
        if value < (1 << (7 * bytes)) - 1 {
            let marked = value | 1 << (7 * bytes);
            return marked.to_be_bytes()[8 - usize::from(bytes)..].to_vec();
        }
    }
    long_vint(value)
}

/// A number with its length, in eight bytes.
fn long_vint(value: u64) -> Vec<u8> {
    (value & ((1 << 56) - 1) | 1 << 56).to_be_bytes().to_vec()
}

fn length(bytes: &[u8]) -> u64 {
    length_of(bytes.len())
}

fn length_of(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_as_many_bytes_as_they_need() {
        assert_eq!(vint(0), [0x80]);
        assert_eq!(vint(126), [0xfe]);
        assert_eq!(vint(127), [0x40, 0x7f]);
        assert_eq!(vint(16_382), [0x7f, 0xfe]);
        assert_eq!(vint(16_383), [0x20, 0x3f, 0xff]);
        assert_eq!(long_vint(5), [1, 0, 0, 0, 0, 0, 0, 5]);
        assert_eq!(number(0xD7, 0), [0xD7, 0x81, 0]);
        assert_eq!(number(0x4287, 256), [0x42, 0x87, 0x82, 1, 0]);
        assert_eq!(void(11).len(), duration(3).len());
        assert_eq!(
            (relative(5, 3), relative(3, 5), relative(99_999, 0)),
            (2, -2, i16::MAX)
        );
    }

    #[test]
    fn what_is_patched_was_left_free() {
        let form = Form {
            encoding: Encoding::Vp8,
            size: Some((640, 360)),
            setup: Vec::new(),
        };
        let mut puts = Vec::new();
        let mut file = Matroska::begin(&[form], true, &mut puts);
        for at_ms in [0, 500, 1200, 2500] {
            let frame = Frame {
                track: 0,
                at_ns: at_ms * TICK_NS,
                is_key: at_ms == 0,
                data: &[1, 2, 3],
            };
            file.frame(&frame, &mut puts);
        }
        let end_ms = file.end_ms;
        file.finish(&mut puts);
        let bytes = puts.iter().fold(Vec::new(), |mut bytes: Vec<u8>, put| {
            match put {
                Put::Append(more) => bytes.extend(more),
                Put::Patch { at, bytes: patch } => {
                    let at = usize::try_from(*at).expect("small");
                    bytes[at..at + patch.len()].copy_from_slice(patch);
                }
            }
            bytes
        });
        let contains = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        assert!(contains(&duration(end_ms)), "the duration");
        assert!(contains(b"webm"));
        assert!(
            !bytes.windows(8).any(|window| window == UNKNOWN_SIZE),
            "every size is known"
        );
        // Elements at the top of the segment follow one another to the last byte.
        let segment = bytes
            .windows(4)
            .position(|window| window == [0x18, 0x53, 0x80, 0x67]);
        let mut at = segment.expect("a segment") + 12;
        let mut seen = Vec::new();
        while at < bytes.len() {
            let id_bytes = usize::try_from(bytes[at].leading_zeros()).expect("small") + 1;
            seen.push(bytes[at]);
            at += id_bytes;
            let size_bytes = usize::try_from(bytes[at].leading_zeros()).expect("small") + 1;
            let size = bytes[at + 1..at + size_bytes].iter().fold(
                usize::from(bytes[at]) & ((1 << (8 - size_bytes)) - 1),
                |sum, byte| sum << 8 | usize::from(*byte),
            );
            at += size_bytes + size;
        }
        assert_eq!(at, bytes.len());
        assert_eq!(seen, [0x11, 0xEC, 0x15, 0x16, 0x1F, 0x1F, 0x1F, 0x1C]);
    }
}
