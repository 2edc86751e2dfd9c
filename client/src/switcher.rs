//! Which source of a kind is sent, and what stands in for it while it is gone.
//!
//! A new source is started beside the one that is sent, and takes over with its first frame. One that
//! fails or falls silent makes room for a slate, and is tried again, with pauses that grow, until it
//! is back. Every start of a source has a number of its own, so that what comes late from an earlier
//! one is known and ignored.

use std::time::Duration;

use crate::failure::Failure;

/// How long a source may take until its first frame.
const OPENING_LIMIT: Duration = Duration::from_secs(10);
/// How long one that is being opened may leave viewers with nothing to see.
const BLANK_LIMIT: Duration = Duration::from_secs(2);
/// How long a source that gave frames may give none.
const SILENCE_LIMIT: Duration = Duration::from_secs(3);
/// What is over so soon is not begun anew: it would do nothing but begin.
const SHORTEST_ROUND: Duration = Duration::from_millis(300);
/// The pause before a source that failed is tried again, the first time; it doubles with every
/// failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody watches from now on.
    Started,
    /// Nobody watches any more; all sources are stopped.
    Stopped,
    /// This source is to be sent, counted from 0.
    Selected(usize),
    /// The start with this number gave its first frame.
    FirstFrame(u64),
    /// The start with this number cannot go on.
    Failed(u64, Failure),
    /// The start with this number has come to its end; whether it is to begin anew.
    Ended(u64, bool),
    /// Time has passed; whether a frame has passed since the last tick.
    Tick(bool),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Start a source under a number; it takes over with its first frame.
    Start(u64, usize),
    /// Start the slate of a source under a number; it takes over with its first frame.
    ShowSlate(u64, usize, Slate),
    /// Stop what was started under this number.
    Stop(u64),
    /// Tell the user.
    Tell(Change),
}

/// What a slate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slate {
    /// The source takes its time.
    Opening,
    /// It is gone, and tried again and again.
    Gone,
    /// It has come to its end.
    Over,
}

/// What a user is told of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This one is sent now.
    Switched(usize),
    /// This one was asked for and cannot be had; the one before goes on.
    Refused(usize, Failure),
    /// This one is gone, a slate is sent, and it is tried again.
    Lost(usize, Failure),
    /// This one is back.
    Back(usize),
    /// This one has come to its end, and a slate is sent.
    Ended(usize),
}

/// Decides for the sources of one kind.
#[derive(Debug)]
pub struct Switcher {
    /// How many sources there are.
    sources: usize,
    /// The one that is to be sent.
    selected: usize,
    /// The number of the last start.
    last: u64,
    /// What is seen: a source or a slate.
    shown: Option<Shown>,
    next: Next,
    /// How often the selected one has failed in a row.
    failures: u32,
    /// Since when nothing has passed.
    silent: Option<Duration>,
    /// When what is seen took over.
    shown_at: Duration,
}

/// What is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    number: u64,
    /// `None` for a slate.
    source: Option<usize>,
}

/// What is to be seen next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    /// Nobody watches.
    Off,
    /// Nothing else.
    Settled,
    /// A source that has given no frame yet.
    Opening {
        number: u64,
        since: Duration,
        why: Why,
        /// The slate that stands in until then, if it has not given a frame yet either.
        slate: Option<u64>,
    },
    /// The selected source, which is gone, from this time on.
    Waiting { until: Duration, slate: Option<u64> },
    /// The slate of a source that has come to its end.
    Over { slate: Option<u64> },
}

/// Why a source is being opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// A call begins.
    Begun,
    /// The user wants it. What was selected before.
    Selected(usize),
    /// It was gone.
    Lost,
    /// It begins anew.
    Repeated,
}

impl Switcher {
    /// Decides for so many sources, at least one; the first is sent until another is selected.
    pub fn new(sources: usize) -> Self {
        Self {
            sources,
            selected: 0,
            last: 0,
            shown: None,
            next: Next::Off,
            failures: 0,
            silent: None,
            shown_at: Duration::ZERO,
        }
    }

    /// The source that is sent, or is to be sent, counted from 0.
    pub fn selected(&self) -> usize {
        self.selected
    }

    /// The number of the start that is seen.
    pub fn seen(&self) -> Option<u64> {
        self.shown.as_ref().map(|shown| shown.number)
    }

    /// Takes an event; `now` never goes back.
    pub fn handle(&mut self, event: Event, now: Duration, effects: &mut Vec<Effect>) {
        match event {
            Event::Started if self.next == Next::Off => {
                self.failures = 0;
                self.open(self.selected, Why::Begun, now, effects);
            }
            Event::Started => {}
            Event::Stopped => self.stop(effects),
            Event::Selected(source) if source >= self.sources => {}
            Event::Selected(source) => self.select(source, now, effects),
            Event::FirstFrame(number) => self.first_frame(number, now, effects),
            Event::Failed(number, failure) => self.failed(number, failure, now, effects),
            Event::Ended(number, again) => self.ended(number, again, now, effects),
            Event::Tick(heard) => self.tick(heard, now, effects),
        }
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn open(&mut self, source: usize, why: Why, now: Duration, effects: &mut Vec<Effect>) {
        let number = self.number();
        self.selected = source;
        self.silent = None;
        let slate = match self.next {
            Next::Waiting { slate, .. } | Next::Over { slate } | Next::Opening { slate, .. } => {
                slate
            }
            Next::Off | Next::Settled => None,
        };
        self.next = Next::Opening {
            number,
            since: now,
            why,
            slate,
        };
        effects.push(Effect::Start(number, source));
    }

    fn stop(&mut self, effects: &mut Vec<Effect>) {
        let (opening, slate) = self.pending();
        let shown = self.shown.take().map(|shown| shown.number);
        effects.extend(
            [opening, slate, shown]
                .into_iter()
                .flatten()
                .map(Effect::Stop),
        );
        self.next = Next::Off;
    }

    /// What was started and has given no frame yet: a source, and a slate.
    fn pending(&self) -> (Option<u64>, Option<u64>) {
        match self.next {
            Next::Off | Next::Settled => (None, None),
            Next::Opening { number, slate, .. } => (Some(number), slate),
            Next::Waiting { slate, .. } | Next::Over { slate } => (None, slate),
        }
    }

    fn select(&mut self, source: usize, now: Duration, effects: &mut Vec<Effect>) {
        if self.next == Next::Off {
            self.selected = source;
            effects.push(Effect::Tell(Change::Switched(source)));
            return;
        }
        // The last picture of one that is over is seen until its slate is, and is no source any more.
        let is_over = matches!(self.next, Next::Waiting { .. } | Next::Over { .. });
        let is_there = !is_over
            && self
                .shown
                .as_ref()
                .is_some_and(|shown| shown.source == Some(source));
        let (opening, slate) = self.pending();
        if is_there {
            // What was on its way is not wanted any more.
            effects.extend([opening, slate].into_iter().flatten().map(Effect::Stop));
            self.selected = source;
            self.next = Next::Settled;
            effects.push(Effect::Tell(Change::Switched(source)));
            return;
        }
        if opening.is_some() && source == self.selected {
            return;
        }
        effects.extend(opening.map(Effect::Stop));
        let before = match self.next {
            Next::Opening {
                why: Why::Selected(before),
                ..
            } => before,
            Next::Off
            | Next::Settled
            | Next::Opening { .. }
            | Next::Waiting { .. }
            | Next::Over { .. } => self.selected,
        };
        self.failures = 0;
        self.open(source, Why::Selected(before), now, effects);
    }

    fn first_frame(&mut self, number: u64, now: Duration, effects: &mut Vec<Effect>) {
        match self.next.clone() {
            Next::Opening {
                number: opening,
                why,
                slate,
                ..
            } if opening == number => {
                effects.extend(slate.map(Effect::Stop));
                self.show(number, Some(self.selected), effects);
                self.shown_at = now;
                self.next = Next::Settled;
                match why {
                    Why::Begun | Why::Repeated => {}
                    Why::Selected(_) => effects.push(Effect::Tell(Change::Switched(self.selected))),
                    Why::Lost => effects.push(Effect::Tell(Change::Back(self.selected))),
                }
            }
            Next::Opening {
                slate: Some(slate), ..
            }
            | Next::Waiting {
                slate: Some(slate), ..
            }
            | Next::Over { slate: Some(slate) }
                if slate == number =>
            {
                self.show(number, None, effects);
                if let Next::Opening { slate, .. }
                | Next::Waiting { slate, .. }
                | Next::Over { slate } = &mut self.next
                {
                    *slate = None;
                }
            }
            Next::Off
            | Next::Settled
            | Next::Opening { .. }
            | Next::Waiting { .. }
            | Next::Over { .. } => {}
        }
    }

    fn show(&mut self, number: u64, source: Option<usize>, effects: &mut Vec<Effect>) {
        let before = self.shown.replace(Shown { number, source });
        effects.extend(before.map(|shown| Effect::Stop(shown.number)));
        self.silent = None;
    }

    fn failed(&mut self, number: u64, failure: Failure, now: Duration, effects: &mut Vec<Effect>) {
        let (opening, slate) = self.pending();
        if opening == Some(number) {
            effects.push(Effect::Stop(number));
            self.not_opened(failure, now, effects);
        } else if slate == Some(number) {
            // Without a slate the last picture stays.
            effects.push(Effect::Stop(number));
            self.forget_slate();
        } else if let Some(shown) = self.shown.take_if(|shown| shown.number == number) {
            effects.push(Effect::Stop(number));
            if let (Some(source), Next::Settled) = (shown.source, &self.next) {
                effects.push(Effect::Tell(Change::Lost(source, failure)));
                self.wait(now, effects);
            }
        }
    }

    /// A source that has given no frame fails.
    fn not_opened(&mut self, failure: Failure, now: Duration, effects: &mut Vec<Effect>) {
        let Next::Opening { why, slate, .. } = self.next else {
            return;
        };
        let is_live = self
            .shown
            .as_ref()
            .is_some_and(|shown| shown.source.is_some());
        match why {
            Why::Selected(before) if is_live => {
                effects.push(Effect::Tell(Change::Refused(self.selected, failure)));
                effects.extend(slate.map(Effect::Stop));
                self.selected = before;
                self.next = Next::Settled;
            }
            Why::Begun | Why::Selected(_) | Why::Repeated => {
                effects.push(Effect::Tell(Change::Lost(self.selected, failure)));
                self.wait(now, effects);
            }
            Why::Lost => self.wait(now, effects),
        }
    }

    /// Shows the slate, unless one is there, and tries the selected source again later.
    fn wait(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let factor = 1 << self.failures.min(10);
        let until = now + (FIRST_PAUSE * factor).min(LONGEST_PAUSE);
        self.failures += 1;
        let (_, slate) = self.pending();
        let slate = slate.or_else(|| self.slate(Slate::Gone, effects));
        self.next = Next::Waiting { until, slate };
    }

    /// Has a slate shown where there is none yet.
    fn slate(&mut self, slate: Slate, effects: &mut Vec<Effect>) -> Option<u64> {
        if self
            .shown
            .as_ref()
            .is_some_and(|shown| shown.source.is_none())
            && slate == Slate::Gone
        {
            return None;
        }
        let number = self.number();
        effects.push(Effect::ShowSlate(number, self.selected, slate));
        Some(number)
    }

    fn forget_slate(&mut self) {
        if let Next::Opening { slate, .. } | Next::Waiting { slate, .. } | Next::Over { slate } =
            &mut self.next
        {
            *slate = None;
        }
    }

    fn ended(&mut self, number: u64, again: bool, now: Duration, effects: &mut Vec<Effect>) {
        let is_shown = self
            .shown
            .as_ref()
            .is_some_and(|shown| shown.number == number);
        if !is_shown || self.next != Next::Settled {
            return;
        }
        if again && now >= self.shown_at + SHORTEST_ROUND {
            // Its last picture stays until the first one comes again.
            self.open(self.selected, Why::Repeated, now, effects);
        } else {
            effects.push(Effect::Tell(Change::Ended(self.selected)));
            let slate = self.slate(Slate::Over, effects);
            self.next = Next::Over { slate };
        }
    }

    fn tick(&mut self, heard: bool, now: Duration, effects: &mut Vec<Effect>) {
        match self.next {
            Next::Off | Next::Over { .. } => {}
            Next::Settled if heard => {
                self.silent = None;
                self.failures = 0;
            }
            Next::Settled => {
                let since = *self.silent.get_or_insert(now);
                if let (Some(shown), true) = (&self.shown, now >= since + SILENCE_LIMIT) {
                    let failure = silent(SILENCE_LIMIT);
                    self.failed(shown.number, failure, now, effects);
                }
            }
            Next::Opening {
                number,
                since,
                slate,
                ..
            } => {
                if now >= since + OPENING_LIMIT {
                    self.failed(number, silent(OPENING_LIMIT), now, effects);
                } else if now >= since + BLANK_LIMIT && self.shown.is_none() && slate.is_none() {
                    let shown = self.slate(Slate::Opening, effects);
                    if let Next::Opening { slate, .. } = &mut self.next {
                        *slate = shown;
                    }
                }
            }
            Next::Waiting { until, .. } if now >= until => {
                self.open(self.selected, Why::Lost, now, effects);
            }
            Next::Waiting { .. } => {}
        }
    }
}

fn silent(limit: Duration) -> Failure {
    Failure::new(
        crate::failure::FailureKind::Device,
        format!("It gave nothing for {} s.", limit.as_secs()),
    )
}

#[cfg(test)]
mod tests;
