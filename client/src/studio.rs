//! The task that starts and stops sources as the [`Switcher`]s of both kinds say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use async_std::task::{self, JoinHandle};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _, select_biased};

use gst_app::AppSrc;

use crate::failure::Failure;
use crate::feed::Feed;
use crate::media::{AudioSource, Kind, Media, Origin, VideoSource};
use crate::passing::{Passing, Reason};
use crate::prescan::Prescans;
use crate::report::Report;
use crate::source::{self, Act, Outlet, Source, SourceEvent};
use crate::switcher::{Effect, Event, Slate, Switcher};
use crate::timeline::Timeline;

/// How often silence is looked for.
const TICK: Duration = Duration::from_millis(250);

/// How many orders may wait.
const MAX_ORDERS: usize = 32;

/// How many events of sources may wait; each start of a source has three at the most that count.
const MAX_EVENTS: usize = 256;

/// How many changes may wait to be told.
const MAX_CHANGES: usize = 64;

/// What the studio is asked to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Start the selected source of each kind. In a rehearsal the first failure is handed out, and
    /// nothing stands in for the source.
    Start {
        /// Whether this is a rehearsal.
        rehearsal: bool,
        /// Hears when the sources are on their way.
        done: Sender<()>,
    },
    /// Stop everything.
    Stop {
        /// Hears when all devices are free.
        done: Sender<()>,
    },
    /// Send another source.
    Select(Kind, usize),
}

/// The way to the studio.
#[derive(Debug)]
pub(crate) struct Studio {
    orders: Sender<Order>,
    selected: BTreeMap<Kind, Arc<AtomicUsize>>,
}

/// What the task owns.
struct Desk {
    media: Media,
    /// What the program that embeds this library pushes frames into.
    programs: BTreeMap<Kind, AppSrc>,
    timeline: Timeline,
    channels: BTreeMap<Kind, Channel>,
    events: Sender<(Kind, u64, SourceEvent)>,
    failed: Sender<Failure>,
    changes: Sender<Report>,
    is_rehearsal: bool,
    /// What is known of files.
    prescans: Arc<Prescans>,
    /// What is being stopped.
    stopping: FuturesUnordered<JoinHandle<()>>,
}

/// What there is of one kind.
struct Channel {
    origins: Vec<Origin>,
    switcher: Switcher,
    selected: Arc<AtomicUsize>,
    feed: Arc<Feed>,
    /// What was started and is not stopped, by its number.
    started: BTreeMap<u64, Started>,
    /// The time of the last frame at the last look.
    last: u64,
    /// Whether the pictures of each source are sent as they are, as far as that was told.
    passes: BTreeMap<usize, bool>,
}

struct Started {
    /// Its place in the list, where it is no slate.
    index: Option<usize>,
    source: JoinHandle<Option<Source>>,
    unwanted: Arc<AtomicBool>,
    /// Whether the sound of a picture passes in its place.
    follows: bool,
}

impl Studio {
    /// A studio with a way for each kind that is sent. `failed` hears the first failure of a
    /// rehearsal; what comes back has what is to be told.
    pub(crate) fn open(
        media: &Media,
        timeline: &Timeline,
        feeds: &BTreeMap<Kind, Arc<Feed>>,
        programs: &BTreeMap<Kind, AppSrc>,
        failed: Sender<Failure>,
    ) -> (Self, Receiver<Report>) {
        let (orders, ordered) = bounded(MAX_ORDERS);
        let (events, heard) = bounded(MAX_EVENTS);
        let (changes, changed) = bounded(MAX_CHANGES);
        let channels: BTreeMap<_, _> = feeds
            .iter()
            .map(|(kind, feed)| (*kind, Channel::new(media.origins(*kind), Arc::clone(feed))))
            .collect();
        let selected = channels
            .iter()
            .map(|(kind, channel)| (*kind, Arc::clone(&channel.selected)))
            .collect();
        let desk = Desk {
            media: media.clone(),
            programs: programs.clone(),
            timeline: timeline.clone(),
            channels,
            events,
            failed,
            changes,
            is_rehearsal: false,
            prescans: Arc::default(),
            stopping: FuturesUnordered::new(),
        };
        task::spawn(desk.serve(ordered, heard));
        let studio = Self { orders, selected };
        (studio, changed)
    }

    /// Starts the selected sources; does not wait for their first frames.
    pub(crate) async fn start(&self, rehearsal: bool) {
        let (done, heard) = bounded(1);
        let _ = self.orders.send(Order::Start { rehearsal, done }).await;
        let _ = heard.recv().await;
    }

    /// Stops everything, and returns when all devices are free.
    pub(crate) async fn stop(&self) {
        let (done, heard) = bounded(1);
        let _ = self.orders.send(Order::Stop { done }).await;
        let _ = heard.recv().await;
    }

    /// Has another source sent; false when too much waits to be done already.
    pub(crate) fn select(&self, kind: Kind, index: usize) -> bool {
        self.orders.try_send(Order::Select(kind, index)).is_ok()
    }

    /// The source of a kind that is sent, or is to be, counted from 0; `None` when none can be.
    pub(crate) fn selected(&self, kind: Kind) -> Option<usize> {
        let selected = self.selected.get(&kind)?;
        Some(selected.load(Ordering::Relaxed))
    }
}

impl Desk {
    /// Does what it is asked until nobody can ask any more.
    async fn serve(mut self, orders: Receiver<Order>, events: Receiver<(Kind, u64, SourceEvent)>) {
        loop {
            // What happens is rare, so that it never keeps the next tick away for long.
            let mut tick = std::pin::pin!(task::sleep(TICK).fuse());
            let mut order = std::pin::pin!(orders.recv().fuse());
            let mut event = std::pin::pin!(events.recv().fuse());
            select_biased! {
                order = order => match order {
                    Ok(order) => self.obey(order).await,
                    Err(_) => break,
                },
                event = event => if let Ok((kind, number, event)) = event {
                    self.hear(kind, number, event);
                },
                () = self.stopping.select_next_some() => {}
                () = tick => self.tick(),
            }
        }
        self.stop().await;
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Start { rehearsal, done } => {
                self.is_rehearsal = rehearsal;
                for channel in self.channels.values() {
                    channel.feed.rehearse(rehearsal);
                }
                self.all(|_| Event::Started);
                let _ = done.try_send(());
            }
            Order::Stop { done } => {
                self.stop().await;
                let _ = done.try_send(());
            }
            Order::Select(kind, index) => self.handle(kind, Event::Selected(index)),
        }
    }

    async fn stop(&mut self) {
        self.all(|_| Event::Stopped);
        self.channels
            .values()
            .for_each(|channel| channel.feed.close());
        while self.stopping.next().await.is_some() {}
    }

    fn hear(&mut self, kind: Kind, number: u64, event: SourceEvent) {
        let channel = self.channels.get(&kind);
        if !channel.is_some_and(|channel| channel.started.contains_key(&number)) {
            // It is being stopped: what it says of that is of no interest.
            return;
        }
        let event = match event {
            SourceEvent::Judged(verdict) => return self.tell_passing(kind, number, verdict),
            SourceEvent::FirstFrame => Event::FirstFrame(number),
            SourceEvent::Failed(failure) if self.is_rehearsal => {
                // The first is the cause of the others.
                let _ = self.failed.try_send(failure);
                return;
            }
            SourceEvent::Failed(failure) => Event::Failed(number, failure),
            SourceEvent::Ended(_) if self.is_rehearsal => return,
            SourceEvent::Ended(again) => Event::Ended(number, again),
        };
        self.handle(kind, event);
    }

    /// Tells once whether the pictures of a source are sent as they are, and again when that changes.
    fn tell_passing(&mut self, kind: Kind, number: u64, verdict: Result<Passing, Reason>) {
        let Some(channel) = self.channels.get_mut(&kind) else {
            return;
        };
        let started = channel.started.get(&number);
        let Some(index) = started.and_then(|started| started.index) else {
            return;
        };
        let passes = verdict.is_ok();
        if channel.passes.insert(index, passes) != Some(passes) {
            let report = Report::passing(&channel.origins, index, verdict);
            self.tell(report);
        }
    }

    fn tell(&self, report: Report) {
        tracing::debug!("{report:?}");
        if let Err(error) = self.changes.try_send(report) {
            tracing::debug!("a change of sources goes untold: {error}");
        }
    }

    fn tick(&mut self) {
        if !self.is_rehearsal {
            self.all(|channel| Event::Tick(channel.look()));
        }
    }

    fn all(&mut self, event: impl Fn(&mut Channel) -> Event) {
        for kind in Kind::ALL {
            if let Some(channel) = self.channels.get_mut(&kind) {
                let event = event(channel);
                self.handle(kind, event);
            }
        }
    }

    fn handle(&mut self, kind: Kind, event: Event) {
        let Some(channel) = self.channels.get_mut(&kind) else {
            return;
        };
        let mut effects = Vec::new();
        let now = self.timeline.now();
        channel.switcher.handle(event, now, &mut effects);
        let selected = channel.switcher.selected();
        channel.selected.store(selected, Ordering::Relaxed);
        for effect in effects {
            self.perform(kind, effect);
        }
    }

    fn perform(&mut self, kind: Kind, effect: Effect) {
        let Some(channel) = self.channels.get_mut(&kind) else {
            return;
        };
        match effect {
            Effect::Start(number, index) => {
                if let Some(origin) = channel.origins.get(index).cloned() {
                    self.launch(kind, number, Act::Origin(origin), Some(index));
                }
            }
            Effect::ShowSlate(number, index, slate) => {
                if let Some(origin) = channel.origins.get(index) {
                    let sentence = words(origin, slate).to_owned();
                    self.launch(kind, number, Act::Slate(kind, sentence), None);
                }
            }
            Effect::Stop(number) => {
                let seen = channel.switcher.seen().unwrap_or_default();
                let follows = channel.started.get(&seen).is_some_and(|seen| seen.follows);
                channel.feed.leave(number, seen, follows);
                if let Some(started) = channel.started.remove(&number) {
                    self.stopping.push(task::spawn(started.stop()));
                }
            }
            Effect::Tell(change) => {
                let change = Report::change(kind, &channel.origins, change);
                self.tell(change);
            }
        }
    }

    /// Starts something beside the task. It takes over with its first frame.
    fn launch(&mut self, kind: Kind, number: u64, act: Act, index: Option<usize>) {
        let sound = self.channels.get(&Kind::Audio).map(|sound| &sound.feed);
        let sound = sound.filter(|_| kind == Kind::Video).cloned();
        let Some(channel) = self.channels.get_mut(&kind) else {
            return;
        };
        let follows = act == Act::Origin(Origin::Audio(AudioSource::WithVideo));
        channel.feed.want(number, follows);
        let events = self.events.clone();
        let listener = Arc::new(move |event| {
            if events.try_send((kind, number, event)).is_err() {
                tracing::warn!("an event of a source is lost: too many are waiting");
            }
        });
        let outlet = Outlet {
            feed: Arc::clone(&channel.feed),
            program: self.programs.get(&kind).cloned(),
            sound,
            listener,
        };
        let unwanted = Arc::<AtomicBool>::default();
        let (media, timeline) = (self.media.clone(), self.timeline.clone());
        let order = source::Order {
            act,
            number,
            unwanted: Arc::clone(&unwanted),
            prescans: Arc::clone(&self.prescans),
        };
        let source =
            task::spawn_blocking(
                move || match Source::new(&order, &media, &timeline, &outlet) {
                    Ok(source) => {
                        source.start();
                        Some(source)
                    }
                    Err(failure) => {
                        (outlet.listener)(SourceEvent::Failed(failure));
                        None
                    }
                },
            );
        let started = Started {
            index,
            source,
            unwanted,
            follows,
        };
        channel.started.insert(number, started);
    }
}

impl Channel {
    fn new(origins: Vec<Origin>, feed: Arc<Feed>) -> Self {
        Self {
            switcher: Switcher::new(origins.len()),
            origins,
            selected: Arc::default(),
            feed,
            started: BTreeMap::new(),
            last: 0,
            passes: BTreeMap::new(),
        }
    }

    /// Whether a frame has passed since the last look.
    fn look(&mut self) -> bool {
        let last = self.feed.last();
        std::mem::replace(&mut self.last, last) != last
    }
}

impl Started {
    async fn stop(self) {
        self.unwanted.store(true, Ordering::Relaxed);
        if let Some(source) = self.source.await {
            task::spawn_blocking(move || source.stop()).await;
        }
    }
}

/// What a slate says. Those who see it learn nothing of this machine.
fn words(origin: &Origin, slate: Slate) -> &'static str {
    match (slate, origin) {
        (Slate::Opening, _) => "One moment: the picture is on its way.",
        (Slate::Over, _) => "The film is over.",
        (Slate::Gone, Origin::Video(VideoSource::Camera(_))) => {
            "The camera is gone. Waiting for it to come back."
        }
        (Slate::Gone, Origin::Video(VideoSource::Screen(_))) => {
            "The screen is gone. Waiting for it to come back."
        }
        (Slate::Gone, Origin::Video(_) | Origin::Audio(_)) => {
            "The picture is gone. Waiting for it to come back."
        }
    }
}
