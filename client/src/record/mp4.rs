//! A file of MP4 in fragments (ISO/IEC 14496-12, section 8.8): whatever happens, everything up to the
//! last fragment can be played.
//!
//! Opus in it is that of [the encapsulation of Opus in ISO base media](https://opus-codec.org/docs/opus_in_isobmff.html).

use mp4_atom as atom;
use mp4_atom::{Atom as _, Encode as _, FourCC};

use super::payload::{Encoding, Form, Frame, SAMPLE_RATE};
use super::put::Put;

/// Ticks a second of pictures, and of the file as a whole.
const TICKS: u32 = 90_000;

/// A fragment is written after so long.
const FRAGMENT_NS: u64 = 1_000_000_000;

/// What the last frame of a picture, of which no next one tells how long it lasts, is taken to last.
const LAST_FRAME_NS: u64 = 33_333_333;

/// A frame of sound lasts so long in calls.
const LAST_SOUND_NS: u64 = 20_000_000;

/// Flags of a sample (ISO/IEC 14496-12, section 8.8.3.1): one that needs no other, and one that does.
const KEY: u32 = 0x0200_0000;
const DEPENDENT: u32 = 0x0101_0000;

/// A file that grows.
#[derive(Debug)]
pub struct Mp4 {
    tracks: Vec<Track>,
    /// How many fragments there are.
    fragments: u32,
    /// When the fragment that is being gathered began.
    begins_ns: Option<u64>,
    end_ns: u64,
    /// Where the file says how long it is; 0 when it does not.
    duration: u64,
}

#[derive(Debug)]
struct Track {
    ticks: u32,
    is_picture: bool,
    waiting: Vec<Sample>,
    data: Vec<u8>,
    /// The next frame must come after this one.
    last: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    /// In ticks of the track.
    at: u64,
    size: u32,
    is_key: bool,
}

impl Mp4 {
    /// Begins a file with these tracks, none of which is VP8.
    ///
    /// # Errors
    /// When a track cannot be described.
    pub fn begin(tracks: &[Form], puts: &mut Vec<Put>) -> Result<Self, String> {
        let brands = [b"iso5", b"iso6", b"mp41", b"av01"].map(FourCC::new);
        let ftyp = atom::Ftyp {
            major_brand: FourCC::new(b"iso5"),
            minor_version: 0,
            compatible_brands: brands.to_vec(),
        };
        let trak: Result<Vec<_>, _> = (1..).zip(tracks).map(|(id, form)| trak(id, form)).collect();
        let trex = (1..).zip(tracks).map(|(id, _)| atom::Trex {
            track_id: id,
            default_sample_description_index: 1,
            default_sample_duration: 0,
            default_sample_size: 0,
            default_sample_flags: DEPENDENT,
        });
        let moov = atom::Moov {
            mvhd: atom::Mvhd {
                timescale: TICKS,
                next_track_id: u32::try_from(tracks.len() + 1).unwrap_or(u32::MAX),
                ..atom::Mvhd::default()
            },
            mvex: Some(atom::Mvex {
                mehd: Some(atom::Mehd::default()),
                trex: trex.collect(),
            }),
            trak: trak?,
            ..atom::Moov::default()
        };
        let mut head = Vec::new();
        ftyp.encode(&mut head)
            .and_then(|()| moov.encode(&mut head))
            .map_err(|error| error.to_string())?;
        // Behind the type come its version and flags.
        let mehd = head.windows(4).position(|window| window == b"mehd");
        let duration = mehd.and_then(|at| u64::try_from(at + 8).ok()).unwrap_or(0);
        puts.push(Put::Append(head));
        Ok(Self {
            tracks: tracks.iter().map(Track::new).collect(),
            fragments: 0,
            begins_ns: None,
            end_ns: 0,
            duration,
        })
    }

    /// Takes a frame.
    pub fn frame(&mut self, frame: &Frame<'_>, puts: &mut Vec<Put>) {
        let begins = *self.begins_ns.get_or_insert(frame.at_ns);
        if frame.at_ns >= begins + FRAGMENT_NS {
            self.write(false, puts);
            self.begins_ns = Some(frame.at_ns);
        }
        self.end_ns = self.end_ns.max(frame.at_ns);
        if let Some(track) = self.tracks.get_mut(frame.track) {
            track.take(frame);
        }
    }

    /// Writes what has been gathered.
    pub fn finish(mut self, puts: &mut Vec<Put>) {
        self.write(true, puts);
    }

    fn write(&mut self, is_last: bool, puts: &mut Vec<Put>) {
        let runs: Vec<_> = (1..)
            .zip(&mut self.tracks)
            .filter_map(|(id, track)| Some((id, track.run(is_last)?)))
            .collect();
        if runs.is_empty() {
            return;
        }
        self.fragments += 1;
        let moof = |offset: usize| fragment(self.fragments, &runs, offset);
        // The offsets of the data take the same room whatever they are.
        let (Ok(draft), mdat_head) = (encoded(&moof(0)), 8) else {
            return;
        };
        let Ok(mut bytes) = encoded(&moof(draft.len() + mdat_head)) else {
            return;
        };
        let data: Vec<u8> = runs
            .iter()
            .flat_map(|(_, run)| run.data.iter().copied())
            .collect();
        let size = u32::try_from(data.len() + mdat_head).unwrap_or(u32::MAX);
        bytes.extend(size.to_be_bytes());
        bytes.extend(b"mdat");
        bytes.extend(data);
        puts.push(Put::Append(bytes));
        if self.duration != 0 {
            let bytes = ticks(self.end_ns, TICKS).to_be_bytes().to_vec();
            puts.push(Put::Patch {
                at: self.duration,
                bytes,
            });
        }
    }
}

/// Samples of one track in one fragment.
#[derive(Debug)]
struct Run {
    begins: u64,
    entries: Vec<atom::TrunEntry>,
    data: Vec<u8>,
}

impl Track {
    fn new(form: &Form) -> Self {
        let is_picture = form.encoding.is_picture();
        Self {
            ticks: if is_picture { TICKS } else { SAMPLE_RATE },
            is_picture,
            waiting: Vec::new(),
            data: Vec::new(),
            last: None,
        }
    }

    fn take(&mut self, frame: &Frame<'_>) {
        let after = self.last.map_or(0, |last| last + 1);
        let at = ticks(frame.at_ns, self.ticks).max(after);
        self.last = Some(at);
        let Ok(size) = u32::try_from(frame.data.len()) else {
            return;
        };
        self.data.extend(frame.data);
        self.waiting.push(Sample {
            at,
            size,
            is_key: frame.is_key,
        });
    }

    /// Everything of which it is known how long it lasts.
    fn run(&mut self, is_last: bool) -> Option<Run> {
        let begins = self.waiting.first()?.at;
        let mut known: Vec<_> = self
            .waiting
            .windows(2)
            .filter_map(|pair| Some((*pair.first()?, pair.get(1)?.at)))
            .collect();
        let last = self.waiting.last().copied()?;
        if is_last {
            let lasts = if self.is_picture {
                LAST_FRAME_NS
            } else {
                LAST_SOUND_NS
            };
            known.push((last, last.at + ticks(lasts, self.ticks)));
        }
        if known.is_empty() {
            return None;
        }
        let entries = known.iter().map(|(sample, end)| atom::TrunEntry {
            duration: Some(u32::try_from(end - sample.at).unwrap_or(u32::MAX)),
            size: Some(sample.size),
            flags: Some(if sample.is_key { KEY } else { DEPENDENT }),
            cts: None,
        });
        let entries = entries.collect();
        let size: usize = known
            .iter()
            .filter_map(|(sample, _)| usize::try_from(sample.size).ok())
            .sum();
        let rest = self.data.split_off(size);
        self.waiting = if is_last { Vec::new() } else { vec![last] };
        Some(Run {
            begins,
            entries,
            data: std::mem::replace(&mut self.data, rest),
        })
    }
}

fn fragment(number: u32, runs: &[(u32, Run)], data: usize) -> atom::Moof {
    let mut offset = data;
    let traf = runs.iter().map(|(id, run)| {
        let traf = atom::Traf {
            tfhd: atom::Tfhd {
                track_id: *id,
                default_base_is_moof: true,
                ..atom::Tfhd::default()
            },
            tfdt: Some(atom::Tfdt {
                base_media_decode_time: run.begins,
            }),
            trun: vec![atom::Trun {
                data_offset: i32::try_from(offset).ok(),
                samples: run.entries.clone().into(),
            }],
            ..atom::Traf::default()
        };
        offset += run.data.len();
        traf
    });
    atom::Moof {
        mfhd: atom::Mfhd {
            sequence_number: number,
        },
        traf: traf.collect(),
    }
}

fn encoded(moof: &atom::Moof) -> Result<Vec<u8>, atom::Error> {
    let mut bytes = Vec::new();
    moof.encode(&mut bytes)?;
    Ok(bytes)
}

fn trak(id: u32, form: &Form) -> Result<atom::Trak, String> {
    let is_picture = form.encoding.is_picture();
    let (width, height) = form.size.unwrap_or_default();
    let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
    let minf = atom::Minf {
        vmhd: is_picture.then(atom::Vmhd::default),
        smhd: (!is_picture).then(atom::Smhd::default),
        dinf: atom::Dinf {
            dref: atom::Dref {
                entries: vec![atom::DrefEntry::Url(atom::Url::default())],
            },
        },
        stbl: atom::Stbl {
            stsd: atom::Stsd {
                codecs: vec![sample_entry(form)?],
            },
            stco: Some(atom::Stco::default()),
            ..atom::Stbl::default()
        },
        ..atom::Minf::default()
    };
    Ok(atom::Trak {
        tkhd: atom::Tkhd {
            track_id: id,
            enabled: true,
            in_movie: true,
            volume: u8::from(!is_picture).into(),
            width: side(width).into(),
            height: side(height).into(),
            ..atom::Tkhd::default()
        },
        mdia: atom::Mdia {
            mdhd: atom::Mdhd {
                timescale: if is_picture { TICKS } else { SAMPLE_RATE },
                language: "und".into(),
                ..atom::Mdhd::default()
            },
            hdlr: atom::Hdlr {
                handler: FourCC::new(if is_picture { b"vide" } else { b"soun" }),
                name: "Aldis".into(),
            },
            minf,
        },
        ..atom::Trak::default()
    })
}

fn sample_entry(form: &Form) -> Result<atom::Codec, String> {
    let (width, height) = form.size.unwrap_or_default();
    let visual = atom::Visual {
        data_reference_index: 1,
        width: u16::try_from(width).unwrap_or(u16::MAX),
        height: u16::try_from(height).unwrap_or(u16::MAX),
        ..atom::Visual::default()
    };
    let mut setup = form.setup.as_slice();
    Ok(match form.encoding {
        Encoding::Vp8 => return Err("MP4 cannot hold VP8".into()),
        Encoding::H264 => atom::Codec::Avc1(atom::Avc1 {
            visual,
            avcc: atom::Avcc::decode_body(&mut setup).map_err(|error| error.to_string())?,
            btrt: None,
            colr: None,
            pasp: None,
            taic: None,
            fiel: None,
            spatial: None,
        }),
        Encoding::Av1 => atom::Codec::Av01(atom::Av01 {
            visual,
            av1c: atom::Av1c::decode_body(&mut setup).map_err(|error| error.to_string())?,
            btrt: None,
            ccst: None,
            colr: None,
            pasp: None,
            taic: None,
            spatial: None,
        }),
        Encoding::Vp9 => atom::Codec::Vp09(atom::Vp09 {
            visual,
            vpcc: atom::VpcC {
                profile: 0,
                level: 41,
                bit_depth: 8,
                chroma_subsampling: 1,
                video_full_range_flag: false,
                color_primaries: 1,
                transfer_characteristics: 1,
                matrix_coefficients: 1,
                codec_initialization_data: Vec::new(),
            },
            btrt: None,
            colr: None,
            pasp: None,
            spatial: None,
        }),
        Encoding::Opus => {
            let channels = setup.get(9).copied().unwrap_or(2);
            atom::Codec::Opus(atom::Opus {
                audio: atom::Audio {
                    data_reference_index: 1,
                    channel_count: channels.into(),
                    sample_size: 16,
                    sample_rate: u16::try_from(SAMPLE_RATE).unwrap_or(u16::MAX).into(),
                },
                dops: atom::Dops {
                    output_channel_count: channels,
                    pre_skip: 0,
                    input_sample_rate: SAMPLE_RATE,
                    output_gain: 0,
                    channel_mapping: None,
                },
                btrt: None,
            })
        }
    })
}

/// A time in ticks of which there are so many a second.
fn ticks(ns: u64, per_second: u32) -> u64 {
    let ticks = u128::from(ns) * u128::from(per_second) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mp4_atom::{Any, Decode as _};

    fn form(encoding: Encoding) -> Form {
        Form {
            encoding,
            size: encoding.is_picture().then_some((640, 360)),
            setup: Vec::new(),
        }
    }

    #[test]
    fn fragments_say_where_each_frame_is_and_how_long_it_lasts() -> Result<(), String> {
        let mut puts = Vec::new();
        let mut file = Mp4::begin(&[form(Encoding::Vp9), form(Encoding::Opus)], &mut puts)?;
        for number in 0..60_u8 {
            let at_ns = u64::from(number) * 40_000_000;
            for track in 0..2 {
                let is_key = track == 1 || number == 0;
                let data = [number, u8::try_from(track).unwrap_or(0)];
                file.frame(
                    &Frame {
                        track,
                        at_ns,
                        is_key,
                        data: &data,
                    },
                    &mut puts,
                );
            }
        }
        file.finish(&mut puts);
        let mut read = 0;
        let appended = puts.iter().filter_map(|put| match put {
            Put::Append(bytes) => Some(bytes),
            Put::Patch { .. } => None,
        });
        for bytes in appended.skip(1) {
            let mut rest = bytes.as_slice();
            let Ok(Any::Moof(moof)) = Any::decode(&mut rest) else {
                return Err("no fragment".into());
            };
            for traf in &moof.traf {
                let run = traf.trun.first().ok_or("no run")?;
                let mut at =
                    usize::try_from(run.data_offset.ok_or("no offset")?).expect("positive");
                let mut time = traf.tfdt.as_ref().ok_or("no time")?.base_media_decode_time;
                let (track, per_second) = match traf.tfhd.track_id {
                    1 => (0, TICKS),
                    _ => (1, SAMPLE_RATE),
                };
                for sample in run.samples.iter() {
                    let number = u64::from(bytes[at]);
                    assert_eq!(bytes[at + 1], track);
                    assert_eq!(time, ticks(number * 40_000_000, per_second));
                    assert_eq!(sample.flags == Some(KEY), track == 1 || number == 0);
                    time += u64::from(sample.duration.ok_or("no duration")?);
                    at += 2;
                    read += 1;
                }
            }
        }
        assert_eq!(read, 120, "every frame is there once");
        Ok(())
    }

    #[test]
    fn vp8_is_refused() {
        assert!(Mp4::begin(&[form(Encoding::Vp8)], &mut Vec::new()).is_err());
    }
}
