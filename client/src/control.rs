//! What a peer may ask of a client over the data channel `aldis-control`, as a machine without
//! channel or clock. `protocol/CONTROL.md` is the normative text.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::media::Kind;
use crate::stats::Rates;

/// The version of what is spoken.
pub const VERSION: u32 = 1;

/// How long a request may be, in bytes.
pub const MAX_REQUEST_BYTES: usize = 4096;

/// The lowest cap on the bit rate of pictures.
pub const MIN_BITRATE_KBPS: u32 = 50;

/// How often statistics may be asked for, in milliseconds.
pub const INTERVALS_MS: std::ops::RangeInclusive<u32> = 1000..=60_000;

/// How many requests may come at once, when none have come for a while.
const BURST: f64 = 20.0;

/// How many requests a second are taken in the long run.
const RATE: f64 = 5.0;

/// How many messages may come that are no requests before the channel is closed.
const MAX_MALFORMED: u32 = 16;

/// What a peer asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The peer's own number for it, which the answer has too.
    pub id: u64,
    /// For what.
    #[serde(flatten)]
    pub ask: Ask,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Ask {
    /// Nothing: is anybody there?
    Ping,
    /// Statistics so often, or none any more.
    Statistics {
        /// In milliseconds; within [`INTERVALS_MS`].
        interval_ms: Option<u32>,
    },
    /// Which sources there are.
    Sources,
    /// Send another source.
    Switch {
        /// Of which kind.
        kind: Medium,
        /// Which in the list of sources of that kind.
        index: usize,
    },
    /// A picture that needs no others.
    KeyFrame,
    /// No more than this for pictures, or as much as the client itself wants.
    Bitrate {
        /// In kilobits a second.
        max_kbps: Option<u32>,
    },
}

/// Pictures or sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Medium {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// What a client says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Statement {
    /// The first thing on a channel: what may be asked.
    Hello {
        /// [`VERSION`].
        version: u32,
        /// The requests that are answered.
        requests: Vec<&'static str>,
        /// What may be sent.
        sources: Sources,
        /// The bounds of a cap.
        bitrate_kbps: Bounds,
    },
    /// It is done.
    Ok {
        /// The number of the request.
        id: u64,
        /// The answer to [`Ask::Sources`].
        #[serde(skip_serializing_if = "Option::is_none")]
        sources: Option<Sources>,
    },
    /// It is not done.
    Error {
        /// The number of the request; `null` when it had none.
        id: Option<u64>,
        /// Why, for programs.
        code: Code,
        /// Why, for people.
        text: String,
    },
    /// What was subscribed to.
    Statistics {
        /// The last second.
        #[serde(flatten)]
        rates: Box<Rates>,
    },
}

/// Why a request is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// It is no request.
    Malformed,
    /// Nobody here knows such a request.
    Unknown,
    /// What it names lies outside what is allowed.
    OutOfRange,
    /// Too many came.
    TooFast,
    /// It was tried, and did not work.
    Failed,
}

/// What may be sent, as people read it; the first is what is sent at the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sources {
    /// Of pictures.
    pub video: Vec<String>,
    /// Of sound.
    pub audio: Vec<String>,
}

/// The bounds of a cap on the bit rate, in kilobits a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bounds {
    /// The lowest.
    pub min: u32,
    /// What is sent without a cap.
    pub max: u32,
}

/// What is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The sources to choose from.
    pub sources: Sources,
    /// What is sent of pictures without a cap, in kilobits a second; 0 where there can be none.
    pub bitrate_kbps: u32,
}

/// Something that is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Say this to the peer.
    Say(Statement),
    /// Do this, and let [`Control::done`] know what came of it.
    Do(u64, Action),
    /// Close the channel: the peer does not speak this.
    Close,
}

/// What a peer may have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send another source.
    Switch(Kind, usize),
    /// Send a key frame.
    KeyFrame,
    /// Send no more of pictures than so many kilobits a second.
    Cap(Option<u32>),
}

/// One channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    allowance: Allowance,
    /// How many requests may still come now.
    tokens: f64,
    refilled: Duration,
    malformed: u32,
    interval: Option<Duration>,
    told: Option<Duration>,
    is_spoken: bool,
}

impl Control {
    /// A channel that has just opened.
    pub fn new(allowance: Allowance, now: Duration) -> Self {
        Self {
            allowance,
            tokens: BURST,
            refilled: now,
            malformed: 0,
            interval: None,
            told: None,
            is_spoken: false,
        }
    }

    /// The first thing to say.
    pub fn hello(&self) -> Statement {
        let mut requests = vec!["ping", "statistics", "sources", "switch", "key-frame"];
        // Where nothing can be capped, nobody is told so.
        if self.allowance.bitrate_kbps > 0 {
            requests.push("bitrate");
        }
        Statement::Hello {
            version: VERSION,
            requests,
            sources: self.allowance.sources.clone(),
            bitrate_kbps: Bounds {
                min: MIN_BITRATE_KBPS,
                max: self.allowance.bitrate_kbps,
            },
        }
    }

    /// A message came at `now`.
    pub fn handle(&mut self, text: &str, now: Duration) -> Vec<Effect> {
        let request = match parse(text) {
            // Another client says hello, as we did, and asks for nothing.
            Parsed::Statement => {
                self.is_spoken = true;
                return Vec::new();
            }
            Parsed::Malformed => {
                self.malformed += 1;
                return match self.malformed {
                    MAX_MALFORMED.. => vec![Effect::Close],
                    _ => vec![refuse(None, Code::Malformed, "this is no request")],
                };
            }
            Parsed::Request(id, request) => {
                if !self.admit(now) {
                    return vec![refuse(Some(id), Code::TooFast, "too many requests; wait")];
                }
                let Some(request) = request else {
                    let text = "there is no such request, or not with these fields";
                    return vec![refuse(Some(id), Code::Unknown, text)];
                };
                request
            }
        };
        vec![self.take(&request)]
    }

    fn take(&mut self, request: &Request) -> Effect {
        let id = request.id;
        let out_of_range = |text: &str| refuse(Some(id), Code::OutOfRange, text);
        match request.ask {
            Ask::Ping => Effect::Say(Statement::Ok { id, sources: None }),
            Ask::Sources => {
                let sources = Some(self.allowance.sources.clone());
                Effect::Say(Statement::Ok { id, sources })
            }
            Ask::Statistics { interval_ms: None } => {
                self.interval = None;
                Effect::Say(Statement::Ok { id, sources: None })
            }
            Ask::Statistics {
                interval_ms: Some(interval),
            } => {
                if !INTERVALS_MS.contains(&interval) {
                    return out_of_range("interval_ms is from 1000 to 60000");
                }
                self.interval = Some(Duration::from_millis(interval.into()));
                Effect::Say(Statement::Ok { id, sources: None })
            }
            Ask::Switch { kind, index } => {
                let (kind, list) = match kind {
                    Medium::Video => (Kind::Video, &self.allowance.sources.video),
                    Medium::Audio => (Kind::Audio, &self.allowance.sources.audio),
                };
                match index < list.len() {
                    true => Effect::Do(id, Action::Switch(kind, index)),
                    false => out_of_range("there is no source with this index"),
                }
            }
            Ask::KeyFrame => Effect::Do(id, Action::KeyFrame),
            Ask::Bitrate { max_kbps } => {
                let bounds = MIN_BITRATE_KBPS..=self.allowance.bitrate_kbps;
                match max_kbps.is_none_or(|kbps| bounds.contains(&kbps)) {
                    true => Effect::Do(id, Action::Cap(max_kbps)),
                    false => out_of_range("max_kbps is outside of what the hello says"),
                }
            }
        }
    }

    /// What was to be done is done, or not, for a reason.
    pub fn done(id: u64, outcome: Result<(), &str>) -> Statement {
        match outcome {
            Ok(()) => Statement::Ok { id, sources: None },
            Err(text) => Statement::Error {
                id: Some(id),
                code: Code::Failed,
                text: text.to_owned(),
            },
        }
    }

    /// Whether the peer is a client, too, and answers requests.
    pub fn is_spoken(&self) -> bool {
        self.is_spoken
    }

    /// New figures are there: what is to be said about them, if anything.
    pub fn statistics(&mut self, rates: &Rates, now: Duration) -> Option<Statement> {
        let interval = self.interval?;
        // The clock that counts ticks is no better than this.
        let slack = Duration::from_millis(100);
        if self.told.is_some_and(|told| now + slack < told + interval) {
            return None;
        }
        self.told = Some(now);
        let rates = Box::new(rates.clone());
        Some(Statement::Statistics { rates })
    }

    /// Whether one more request may come now.
    fn admit(&mut self, now: Duration) -> bool {
        let elapsed = now.saturating_sub(self.refilled).as_secs_f64();
        self.tokens = (self.tokens + elapsed * RATE).min(BURST);
        self.refilled = now;
        let admitted = self.tokens >= 1.0;
        if admitted {
            self.tokens -= 1.0;
        }
        admitted
    }
}

enum Parsed {
    Malformed,
    /// Something that a client says, and not a peer.
    Statement,
    /// With its number; `None` for one that nobody knows.
    Request(u64, Option<Request>),
}

fn parse(text: &str) -> Parsed {
    if text.len() > MAX_REQUEST_BYTES {
        return Parsed::Malformed;
    }
    let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(text) else {
        return Parsed::Malformed;
    };
    if fields.contains_key("type") && !fields.contains_key("request") {
        return Parsed::Statement;
    }
    let is_named = fields.get("request").is_some_and(|name| name.is_string());
    match fields.get("id").and_then(|id| id.as_u64()) {
        Some(id) if is_named => {
            let request = serde_json::from_value(serde_json::Value::Object(fields));
            Parsed::Request(id, request.ok())
        }
        Some(_) | None => Parsed::Malformed,
    }
}

fn refuse(id: Option<u64>, code: Code, text: &str) -> Effect {
    let text = text.to_owned();
    Effect::Say(Statement::Error { id, code, text })
}

/// As it goes over the channel.
impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// As it goes over the channel.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests;
