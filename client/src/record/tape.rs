//! One side of a call on its way into files.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::matroska::Matroska;
use super::mp4::Mp4;
use super::payload::{Form, Frame};
use super::plan::{Container, Note, Recording};
use super::put::Put;
use crate::media::Kind;
use crate::report::Direction;

/// How long frames are kept back for tracks that are expected and have not begun.
const LONGEST_WAIT: gst::ClockTime = gst::ClockTime::from_seconds(3);

/// How much of them is kept back at the most.
const MOST_WAITING_BYTES: usize = 32 << 20;

/// After so long without a key frame one is asked for: a file is entered where one is.
const KEY_FRAME_INTERVAL: gst::ClockTime = gst::ClockTime::from_seconds(10);

/// A peer has so long to send the key frame it was asked for.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(1);

/// How many parts the recording of one call may have, whatever a peer does to its tracks.
const MAX_PARTS: u32 = 1000;

/// A track of one side: its kind, and how many of that kind came before it.
pub(super) type Place = (Kind, usize);

/// An encoded frame.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) place: Place,
    /// By which of all ways into the recorder it came, counted from 0.
    pub(super) way: usize,
    pub(super) at: gst::ClockTime,
    pub(super) is_key: bool,
    /// What a file's head has to say of the track; with key frames.
    pub(super) form: Option<Form>,
    pub(super) data: Vec<u8>,
}

/// Frames of one side, and the file they go into.
pub(super) struct Tape {
    recording: Recording,
    /// Which call it is, by the names of the files.
    call: u32,
    direction: Direction,
    /// How many tracks will come, once that is known.
    expected: Option<usize>,
    parts: u32,
    tracks: Vec<(Place, Form)>,
    state: State,
}

enum State {
    /// Not all tracks are known.
    Gathering(VecDeque<Piece>),
    Running(Running),
    /// Nothing more can be written.
    Over,
}

struct Running {
    file: File,
    name: String,
    writer: Writer,
    length: u64,
    begins: Option<gst::ClockTime>,
    ends: gst::ClockTime,
    /// Which tracks have had a key frame in this file, and when the next one is asked for.
    key_frames: Vec<(bool, gst::ClockTime)>,
}

enum Writer {
    Matroska(Box<Matroska>),
    Mp4(Box<Mp4>),
}

impl Tape {
    pub(super) fn new(recording: Recording, call: u32, direction: Direction) -> Self {
        Self {
            recording,
            call,
            direction,
            expected: None,
            parts: 0,
            tracks: Vec::new(),
            state: State::Gathering(VecDeque::new()),
        }
    }

    /// Says how many tracks will come.
    pub(super) fn expect(&mut self, tracks: usize) {
        self.expected = Some(tracks);
    }

    /// Takes a frame; `zero` is the beginning of the recording. True when key frames are wanted.
    pub(super) fn take(
        &mut self,
        piece: Piece,
        zero: gst::ClockTime,
        notes: &mut Vec<Note>,
    ) -> bool {
        if let Some(form) = &piece.form {
            match self
                .tracks
                .iter_mut()
                .find(|(place, _)| *place == piece.place)
            {
                None => {
                    self.tracks.push((piece.place, form.clone()));
                    self.cut(notes);
                }
                // Another size is nothing to a file; another codec is.
                Some((_, known)) if known.encoding != form.encoding => {
                    *known = form.clone();
                    self.cut(notes);
                }
                Some(_) => {}
            }
        }
        match &mut self.state {
            State::Over => false,
            State::Running(_) => self.write(&piece, zero, notes),
            State::Gathering(pieces) => {
                pieces.push_back(piece);
                if !self.is_ready() {
                    return false;
                }
                self.begin(zero, notes)
            }
        }
    }

    /// Completes the file. `dropped` is how many frames of this side are missing.
    pub(super) fn finish(&mut self, zero: gst::ClockTime, dropped: u64, notes: &mut Vec<Note>) {
        if matches!(&self.state, State::Gathering(pieces) if !pieces.is_empty()) {
            self.begin(zero, notes);
        }
        self.close(dropped, notes);
        self.state = State::Over;
    }

    /// Completes a running file: what comes next belongs into another.
    fn cut(&mut self, notes: &mut Vec<Note>) {
        if matches!(self.state, State::Running(_)) {
            self.close(0, notes);
            self.state = State::Gathering(VecDeque::new());
        }
    }

    fn close(&mut self, dropped: u64, notes: &mut Vec<Note>) {
        let state = std::mem::replace(&mut self.state, State::Over);
        if let State::Running(running) = state {
            let (name, ended) = (running.name.clone(), running.finish(dropped));
            notes.push(ended.unwrap_or_else(|error| stopped(Path::new(&name), &error)));
        }
    }

    fn is_ready(&self) -> bool {
        let State::Gathering(pieces) = &self.state else {
            return false;
        };
        if self.parts > 0 {
            return true;
        }
        let all_are_here = self
            .expected
            .is_some_and(|expected| self.tracks.len() >= expected);
        let times = || pieces.iter().map(|piece| piece.at);
        let waited = times()
            .max()
            .unwrap_or_default()
            .saturating_sub(times().min().unwrap_or_default());
        let bytes: usize = pieces.iter().map(|piece| piece.data.len()).sum();
        all_are_here || waited >= LONGEST_WAIT || bytes >= MOST_WAITING_BYTES
    }

    /// Begins a file with the tracks that are known, and what has been kept back of them.
    fn begin(&mut self, zero: gst::ClockTime, notes: &mut Vec<Note>) -> bool {
        let state = std::mem::replace(&mut self.state, State::Over);
        let State::Gathering(pieces) = state else {
            return false;
        };
        self.parts += 1;
        // Pictures come first, as players expect.
        self.tracks.sort_by_key(|(place, _)| *place);
        match self.open(notes) {
            Ok(running) => self.state = State::Running(running),
            Err(note) => {
                notes.push(note);
                return false;
            }
        }
        let mut wants_key_frames = false;
        for piece in &pieces {
            wants_key_frames |= self.write(piece, zero, notes);
        }
        wants_key_frames
    }

    fn open(&self, notes: &mut Vec<Note>) -> Result<Running, Note> {
        let odd = self
            .tracks
            .iter()
            .find(|(_, form)| !self.recording.container.holds(form.encoding));
        let container = match odd {
            None => self.recording.container,
            Some((_, form)) => {
                if self.parts == 1 {
                    notes.push(Note::Elsewhere {
                        file: self.recording.file.display().to_string(),
                        codec: form.encoding.name(),
                    });
                }
                Container::Matroska
            }
        };
        let (path, file) = self.create(container)?;
        let forms: Vec<_> = self.tracks.iter().map(|(_, form)| form.clone()).collect();
        let mut puts = Vec::new();
        let writer = match container {
            Container::Mp4 => Mp4::begin(&forms, &mut puts)
                .map(|file| Writer::Mp4(Box::new(file)))
                .map_err(|reason| Note::Stopped { reason })?,
            Container::WebM | Container::Matroska => {
                let file = Matroska::begin(&forms, container == Container::WebM, &mut puts);
                Writer::Matroska(Box::new(file))
            }
        };
        let mut running = Running {
            file,
            name: path.display().to_string(),
            writer,
            length: 0,
            begins: None,
            ends: gst::ClockTime::ZERO,
            key_frames: vec![(false, gst::ClockTime::ZERO); forms.len()],
        };
        running.put(puts).map_err(|error| stopped(&path, &error))?;
        notes.push(Note::Began {
            file: running.name.clone(),
            direction: self.direction,
            codecs: forms.iter().map(|form| form.encoding.name()).collect(),
        });
        Ok(running)
    }

    /// Makes a file that was not there before.
    fn create(&self, container: Container) -> Result<(PathBuf, File), Note> {
        let mut path = PathBuf::new();
        for part in self.parts..=MAX_PARTS {
            path = self
                .recording
                .name(self.call, self.direction, part, container);
            match create_new(&path) {
                Ok(file) => return Ok((path, file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(stopped(&path, &error)),
            }
        }
        Err(stopped(&path, &io::ErrorKind::AlreadyExists.into()))
    }

    /// Writes a frame; true when it is time for a key frame.
    fn write(&mut self, piece: &Piece, zero: gst::ClockTime, notes: &mut Vec<Note>) -> bool {
        let State::Running(running) = &mut self.state else {
            return false;
        };
        let Some(track) = self
            .tracks
            .iter()
            .position(|(place, _)| *place == piece.place)
        else {
            return false;
        };
        match running.write(track, piece, zero) {
            Ok(wants_key_frame) => wants_key_frame,
            Err(error) => {
                notes.push(stopped(Path::new(&running.name), &error));
                self.state = State::Over;
                false
            }
        }
    }
}

impl Running {
    /// True when it is time for a key frame: one has to be the first, and some should come later.
    fn write(&mut self, track: usize, piece: &Piece, zero: gst::ClockTime) -> io::Result<bool> {
        let Some((begun, due)) = self.key_frames.get_mut(track) else {
            return Ok(false);
        };
        let wants_key_frame = !piece.is_key && piece.at >= *due;
        if piece.is_key {
            (*begun, *due) = (true, piece.at + KEY_FRAME_INTERVAL);
        } else if wants_key_frame {
            *due = piece.at + PATIENCE;
        }
        if !*begun {
            return Ok(wants_key_frame);
        }
        let at = piece.at.saturating_sub(zero);
        let frame = Frame {
            track,
            at_ns: at.nseconds(),
            is_key: piece.is_key,
            data: &piece.data,
        };
        let mut puts = Vec::new();
        match &mut self.writer {
            Writer::Matroska(file) => file.frame(&frame, &mut puts),
            Writer::Mp4(file) => file.frame(&frame, &mut puts),
        }
        self.begins.get_or_insert(at);
        self.ends = self.ends.max(at);
        self.put(puts).map(|()| wants_key_frame)
    }

    fn finish(mut self, dropped: u64) -> io::Result<Note> {
        let mut puts = Vec::new();
        match self.writer {
            Writer::Matroska(file) => file.finish(&mut puts),
            Writer::Mp4(file) => file.finish(&mut puts),
        }
        self.length += put(&mut self.file, puts)?;
        let lasts = self.ends.saturating_sub(self.begins.unwrap_or_default());
        let tenths = lasts.mseconds() / 100;
        Ok(Note::Ended {
            file: self.name,
            seconds: f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10.0,
            bytes: self.length,
            dropped,
        })
    }

    fn put(&mut self, puts: Vec<Put>) -> io::Result<()> {
        self.length += put(&mut self.file, puts)?;
        Ok(())
    }
}

/// How many bytes the file has grown by.
fn put(file: &mut File, puts: Vec<Put>) -> io::Result<u64> {
    let mut grown = 0;
    for put in puts {
        match put {
            Put::Append(bytes) => {
                file.write_all(&bytes)?;
                grown += u64::try_from(bytes.len()).unwrap_or(0);
            }
            Put::Patch { at, bytes } => file.write_all_at(&bytes, at)?,
        }
    }
    Ok(grown)
}

/// Creates a file that only its owner may read: it is a private conversation.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn stopped(path: &Path, error: &io::Error) -> Note {
    Note::Stopped {
        reason: format!("{path:?} cannot be written ({error})"),
    }
}
