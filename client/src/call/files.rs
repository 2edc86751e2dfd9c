//! Files over data channels. The tasks here wait for the disk: each has a thread of its own.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_std::future::timeout;
use async_std::task;

use super::data::Teller;
use crate::data::{Delivery, Word};
use crate::failure::{Failure, FailureKind};
use crate::files::{Directory, Incoming, Outgoing};
use crate::peer::{DataChannel, Message};
use crate::progress::Progress;
use crate::report::{Direction, Report};
use crate::transfer::{self, Note, Piece, Receiving, Refusal, Sending, Turn};

/// How long the peer may take for its first word about a file: it may know nothing of files.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// How often a file is offered again whose place is held.
const MAX_ATTEMPTS: u32 = 15;

/// How long between two offers of the same file.
const PAUSE: Duration = Duration::from_secs(2);

/// Why a file was not delivered.
#[derive(Debug)]
enum Problem {
    Refused(Refusal),
    /// The peer said nothing.
    Silence,
    /// The file is no longer what was offered.
    Changed,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "{refusal}"),
            Self::Silence => f.write_str("the other side knows nothing of files"),
            Self::Changed => f.write_str("it has become shorter while it was sent"),
        }
    }
}

/// Which files are to be delivered still. One task at a time takes from it.
#[derive(Debug)]
pub(super) struct Unsent {
    paths: Mutex<VecDeque<PathBuf>>,
    lost: Mutex<u32>,
}

impl Unsent {
    pub(super) fn new(paths: impl Iterator<Item = PathBuf>) -> Self {
        Self {
            paths: Mutex::new(paths.collect()),
            lost: Mutex::new(0),
        }
    }

    fn next(&self) -> Option<PathBuf> {
        lock(&self.paths).front().cloned()
    }

    /// This one, the first, is delivered, or never will be. A task of an earlier connection may say so
    /// late.
    fn settle(&self, path: &Path, delivered: bool) {
        let mut paths = lock(&self.paths);
        if paths.front().is_none_or(|first| first != path) {
            return;
        }
        paths.pop_front();
        if !delivered {
            *lock(&self.lost) += 1;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here panics half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Delivers one file after the other, until there are no more or the channel is over; what is not
/// delivered then is the next connection's.
pub(super) async fn send(channel: DataChannel, unsent: Arc<Unsent>, ends: bool, teller: Teller) {
    let mut attempts = 0;
    for id in 1.. {
        let Some(path) = unsent.next() else { break };
        let outcome = match Outgoing::open(&path) {
            Ok(outgoing) => match deliver(&channel, id, &outgoing).await {
                Some(Ok(start)) => Ok((outgoing.name, outgoing.size, start)),
                // An earlier connection to the same peer may hold it for a while still.
                Some(Err(Problem::Refused(Refusal::Busy))) if attempts < MAX_ATTEMPTS => {
                    attempts += 1;
                    task::sleep(PAUSE).await;
                    continue;
                }
                Some(Err(problem)) => Err((outgoing.name, problem.to_string())),
                None => return,
            },
            Err(failure) => Err((path.display().to_string(), failure.sentence)),
        };
        unsent.settle(&path, outcome.is_ok());
        let direction = Direction::Sent;
        let report = match outcome {
            Ok((name, bytes, start)) => arrived(direction, name, bytes, start),
            Err((name, problem)) => lost(direction, name, problem),
        };
        teller.tell(Word::Report(report)).await;
    }
    if ends {
        let lost = *lock(&unsent.lost);
        let word = match lost {
            0 => Word::Finished("all files are delivered"),
            lost => Word::Failed(Failure::new(
                FailureKind::Other,
                format!("{lost} of the files could not be delivered; see above why."),
            )),
        };
        teller.tell(word).await;
    }
}

/// Offers a file and sends what the peer lacks of it; the result is how much the peer had. `None` when the channel is over before the end.
async fn deliver(
    channel: &DataChannel,
    id: u32,
    outgoing: &Outgoing,
) -> Option<Result<u64, Problem>> {
    let mut start = 0;
    let mut sending = Sending::new(id, outgoing.size);
    let mut progress = Progress::new(&outgoing.name, outgoing.size);
    let began = now();
    let offer = Note::Offer {
        id,
        name: outgoing.name.clone(),
        size: outgoing.size,
        sha256: outgoing.sha256,
    };
    say(channel, &offer).await?;
    loop {
        progress.show(sending.received(), began.elapsed());
        let message = match sending.turn() {
            Turn::Over(outcome) => {
                return Some(outcome.map(|()| start).map_err(Problem::Refused));
            }
            Turn::AwaitAnswer => match timeout(ANSWER_DEADLINE, channel.receive()).await {
                Ok(message) => message?,
                Err(_) => return Some(Err(Problem::Silence)),
            },
            Turn::Await => channel.receive().await?,
            Turn::Send { offset, length } => {
                let Ok(piece) = outgoing.read(offset, length) else {
                    return Some(Err(Problem::Changed));
                };
                let piece = Message::binary(transfer::join(id, offset, &piece));
                channel.send(&piece).await.ok()?;
                sending.sent(length);
                match channel.try_receive() {
                    Some(message) => message,
                    None => continue,
                }
            }
        };
        if let Message::Text(text) = message
            && let Some(note) = Note::parse(&text)
        {
            sending.heard(&note);
            if let Note::Accept { .. } = note {
                start = sending.received();
            }
        }
    }
}

/// Takes one file after the other, until the channel is over.
pub(super) async fn receive(channel: DataChannel, directory: Option<Directory>, teller: Teller) {
    let mut current = None;
    while let Some(message) = channel.receive().await {
        let answer = match message {
            Message::Text(text) => match Note::parse(&text) {
                Some(Note::Offer {
                    id,
                    name,
                    size,
                    sha256,
                }) => {
                    if say(&channel, &Note::Checking { id }).await.is_none() {
                        return;
                    }
                    // What was not finished waits for another time.
                    current = None;
                    let wanted = directory.as_ref().ok_or(Refusal::NotWanted);
                    let begun = wanted.and_then(|place| place.begin(&name, size, sha256));
                    match begun {
                        Ok(incoming) => {
                            let offset = incoming.offset;
                            current = Some(Coming::new(id, size, incoming, name));
                            Ok(Some(Note::Accept { id, offset }))
                        }
                        Err(refusal) => Err((id, name, refusal)),
                    }
                }
                _ => continue,
            },
            Message::Binary(bytes) => match &mut current {
                Some(coming) => coming.take(&bytes),
                None => continue,
            },
        };
        let note = match answer {
            Ok(note) => note,
            Err((id, name, reason)) => {
                current = None;
                Some(refuse(id, name, reason, &teller).await)
            }
        };
        if let Some(note) = note
            && say(&channel, &note).await.is_none()
        {
            return;
        }
        if let Some(whole) = current.take_if(|coming: &mut Coming| coming.receiving.is_complete()) {
            let note = whole.finish(&teller).await;
            if say(&channel, &note).await.is_none() {
                return;
            }
        }
    }
}

async fn refuse(id: u32, name: String, reason: Refusal, teller: &Teller) -> Note {
    let report = lost(Direction::Received, name, reason_here(reason));
    teller.tell(Word::Report(report)).await;
    Note::Refuse { id, reason }
}

/// A file that is coming in.
struct Coming {
    receiving: Receiving,
    incoming: Incoming,
    name: String,
    /// How much there was of it at the beginning.
    start: u64,
    progress: Progress,
    began: Instant,
}

impl Coming {
    fn new(id: u32, size: u64, incoming: Incoming, name: String) -> Self {
        Self {
            receiving: Receiving::new(id, size, incoming.offset),
            progress: Progress::new(&name, size),
            start: incoming.offset,
            incoming,
            name,
            began: now(),
        }
    }

    fn take(&mut self, message: &[u8]) -> Result<Option<Note>, (u32, String, Refusal)> {
        let taken = match self.receiving.piece(message) {
            Piece::Append(bytes, note) => self.incoming.append(bytes).map(|()| note),
            Piece::Stray => Ok(None),
            Piece::Breach => Err(Refusal::Protocol),
        };
        let elapsed = self.began.elapsed();
        self.progress.show(self.receiving.offset(), elapsed);
        taken.map_err(|refusal| (self.receiving.id(), self.name.clone(), refusal))
    }

    async fn finish(self, teller: &Teller) -> Note {
        let (id, bytes) = (self.receiving.id(), self.receiving.offset());
        match self.incoming.finish() {
            Ok(name) => {
                let report = arrived(Direction::Received, name, bytes, self.start);
                teller.tell(Word::Report(report)).await;
                Note::Done { id }
            }
            Err(reason) => refuse(id, self.name, reason, teller).await,
        }
    }
}

async fn say(channel: &DataChannel, note: &Note) -> Option<()> {
    let message = Message::Text(note.to_string());
    channel.send(&message).await.ok()
}

fn arrived(direction: Direction, name: String, bytes: u64, resumed_at: u64) -> Report {
    Report::File(Delivery {
        direction,
        name,
        bytes,
        resumed_at,
        problem: None,
    })
}

fn lost(direction: Direction, name: String, problem: String) -> Report {
    Report::File(Delivery {
        direction,
        name,
        bytes: 0,
        resumed_at: 0,
        problem: Some(problem),
    })
}

/// Why a file was not taken, as the end says it that does not take it.
fn reason_here(refusal: Refusal) -> String {
    match refusal {
        Refusal::NotWanted => "no files are taken here; --receive-dir names where they may go",
        Refusal::Name => "its name is no plain name of a file",
        Refusal::TooMuch => "it is more than is taken; --receive-max says how much that is",
        Refusal::DiskFull => "the disk is full",
        Refusal::Busy => "something that is no plain file is in its place, or it comes in twice",
        Refusal::Checksum => "it arrived damaged, or changed while it was sent",
        Refusal::Protocol => "the other side does not keep to the protocol",
        Refusal::Disk => "the disk does not take it",
    }
    .to_owned()
}

#[expect(clippy::disallowed_methods, reason = "progress is shown by the clock")]
fn now() -> Instant {
    Instant::now()
}
