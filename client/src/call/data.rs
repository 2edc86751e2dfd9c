//! What the data channels of a call carry, as far as the loop is concerned: which there are, and what
//! becomes of each. The work on a channel is a task of its own, which ends with the channel.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_channel::Sender;
use async_std::task;

use super::control::Controller;
use super::{Client, files, lines};
use crate::config::Config;
use crate::data::{CONTROL_LABEL, FILE_LABEL, LINES_LABEL, LINES_PROTOCOL, Service, Word};
use crate::failure::{Failure, FailureKind};
use crate::files::Directory;
use crate::lines::Lines;
use crate::media::Kind;
use crate::negotiation::Step;
use crate::peer::{DataChannel, DataChannelInit, MAX_MESSAGE_BYTES, Message};
use crate::session::{Ending, Event, Place};

/// What outlives a call.
#[derive(Debug)]
pub(super) struct Data {
    directory: Option<Directory>,
    lines: Option<Lines>,
    /// The files that are still to be delivered, and the order in which they are offered.
    unsent: Arc<files::Unsent>,
    /// Why the call has not done what it was for.
    failure: Option<Failure>,
    /// What belongs to the connections of the call, by their numbers.
    links: BTreeMap<u64, Channels>,
}

/// What channels of one connection there are.
#[derive(Debug, Default)]
pub(super) struct Channels {
    /// One has the lines of standard input.
    has_lines: bool,
    pub(super) control: Option<Controller>,
}

/// The way from the tasks of one connection to the loop.
#[derive(Clone, Debug)]
pub(super) struct Teller {
    pub(super) number: u64,
    words: Sender<(u64, Word)>,
}

impl Teller {
    /// Tells the loop, once it listens. What comes from a connection that is over is not heard.
    pub(super) async fn tell(&self, word: Word) {
        let _ = self.words.send((self.number, word)).await;
    }
}

impl Data {
    /// Opens what is needed.
    ///
    /// # Errors
    /// When files are to go where they cannot, or to be sent and cannot.
    pub(super) fn new(config: &Config) -> Result<Self, Failure> {
        let data = &config.data;
        if let Some(missing) = data.send.iter().find(|path| !path.is_file()) {
            let missing = missing.display();
            let sentence = format!("{missing} cannot be sent: there is no such file.");
            return Err(Failure::new(FailureKind::Other, sentence));
        }
        Ok(Self {
            directory: data.receive.as_ref().map(Directory::open).transpose()?,
            lines: (data.service == Service::Lines).then(|| Lines::begin(MAX_MESSAGE_BYTES)),
            unsent: Arc::new(files::Unsent::new(data.send.iter().map(PathBuf::clone))),
            failure: None,
            links: BTreeMap::new(),
        })
    }

    /// What came of it, once a call has ended in order.
    pub(super) fn outcome(&mut self) -> Result<(), Failure> {
        self.failure.take().map_or(Ok(()), Err)
    }
}

impl Client {
    fn teller(&self, number: u64) -> Teller {
        let words = self.ways.words();
        Teller { number, words }
    }

    /// What there is of a connection; what belonged to others that are over is forgotten.
    pub(super) fn channels(&mut self, number: u64) -> Option<&mut Channels> {
        let call = self.call.as_ref()?;
        self.data
            .links
            .retain(|number, _| call.place(*number).is_some());
        call.place(number)?;
        Some(self.data.links.entry(number).or_default())
    }

    /// Has an offer of ours speak of data channels: only what is in the first one can be used.
    pub(super) fn offer_data(&mut self, place: Place, step: &Step) {
        if *step != Step::CreateOffer || !self.config.data.is_offered() {
            return;
        }
        let form = self.config.data.form;
        self.open_channel(place, CONTROL_LABEL, &DataChannelInit::default());
        if self.config.data.service == Service::Lines {
            let init = DataChannelInit {
                ordered: form.ordered,
                max_packet_lifetime: form.max_packet_lifetime,
                max_retransmits: form.max_retransmits,
                protocol: LINES_PROTOCOL.to_owned(),
            };
            self.open_channel(place, LINES_LABEL, &init);
        }
    }

    /// Opens the channels that need no offer.
    pub(super) fn start_data(&mut self) {
        let has_data = |client: &Self| {
            let call = client.call.as_ref();
            call.is_some_and(|call| call.link.peer.has_data())
        };
        if self.config.data.is_wanted() && !has_data(self) {
            tracing::warn!("the other side has no data channels: nothing can be sent on them");
        } else if !self.config.data.send.is_empty() {
            self.open_channel(Place::First, FILE_LABEL, &DataChannelInit::default());
        }
    }

    fn open_channel(&mut self, place: Place, label: &str, init: &DataChannelInit) {
        let link = self.call.as_ref().and_then(|call| call.at(place));
        let Some(link) = link else { return };
        let number = link.number;
        match link.peer.create_data_channel(label, init) {
            Ok(channel) if label == FILE_LABEL => self.send_files(number, channel),
            Ok(channel) => self.use_channel(number, channel),
            Err(error) => tracing::warn!("there is no data channel {label}: {error:#}"),
        }
    }

    /// Gives a channel the meaning that its label has.
    pub(super) fn use_channel(&mut self, number: u64, channel: DataChannel) {
        let teller = self.teller(number);
        tracing::debug!(label = channel.label(), "a data channel");
        match (channel.label(), self.config.data.service) {
            (CONTROL_LABEL, _) => self.use_control(channel, teller),
            (FILE_LABEL, _) => {
                let directory = self.data.directory.clone();
                // It waits for the disk.
                task::spawn_blocking(|| {
                    task::block_on(files::receive(channel, directory, teller));
                });
            }
            (_, Service::Echo) => drop(task::spawn(echo(channel))),
            (_, Service::Lines) => {
                let Some(lines) = self.data.lines.clone() else {
                    return;
                };
                // Of several channels, lines of ours go to the first.
                let channels = self.channels(number);
                let is_first =
                    channels.is_some_and(|its| !std::mem::replace(&mut its.has_lines, true));
                let (form, eof_ends) = (self.config.data.form, self.config.data.eof_ends);
                if is_first {
                    let (channel, lines, teller) = (channel.clone(), lines.clone(), teller.clone());
                    task::spawn(lines::send(channel, lines, form, eof_ends, teller));
                }
                task::spawn(lines::receive(channel, lines, eof_ends && is_first, teller));
            }
            (_, Service::Nothing) => {}
        }
    }

    fn send_files(&mut self, number: u64, channel: DataChannel) {
        let teller = self.teller(number);
        let ends = self.config.call.is_some()
            && self.config.data.is_delivery()
            && !Kind::ALL
                .into_iter()
                .any(|kind| self.config.media.sends(kind));
        let unsent = Arc::clone(&self.data.unsent);
        task::spawn_blocking(move || {
            task::block_on(files::send(channel, unsent, ends, teller));
        });
    }

    /// A task of a data channel has something to say.
    pub(super) fn word(&mut self, number: u64, word: Word) -> Option<Ending> {
        let place = self.call.as_ref().and_then(|call| call.place(number));
        match word {
            Word::Report(report) => {
                self.report(report);
                None
            }
            _ if place.is_none() => None,
            Word::Asked(text) => self.note(|this| this.asked(number, &text)),
            Word::Finished(reason) => self.handle(Event::Stop(reason)),
            Word::Failed(failure) => {
                self.data.failure = Some(failure);
                self.handle(Event::Stop("not all files could be delivered"))
            }
        }
    }
}

/// Sends everything back that comes.
async fn echo(channel: DataChannel) {
    while let Some(message) = channel.receive().await {
        if let Err(error) = channel.send(&message).await {
            tracing::warn!("a message was not sent back: {error}");
        }
    }
}

/// Whether a message has nothing in it but this byte.
pub(super) fn is_byte(message: &Message, byte: u8) -> bool {
    matches!(message, Message::Binary(bytes) if bytes[..] == [byte])
}
