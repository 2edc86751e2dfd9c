//! A session, spoken to in a test, and what it says in words.

use std::time::Duration;

use client::failure::Failure;
use client::negotiation::{Local, Step};
use client::session::{Effect, Event, Happening, Place, Session, Silence};
use protocol::{Candidate, Description, SdpType, Signal};

/// From when on a connection is doubted.
pub(crate) const SUSPICIOUS: Duration = Duration::from_secs(2);

pub(crate) const QUIET_LIMIT: Duration = Duration::from_secs(5);

/// A session and the clock beside it.
pub(crate) struct Talk {
    pub(crate) session: Session,
    pub(crate) now: Duration,
}

impl Talk {
    pub(crate) fn waiting() -> Self {
        Self {
            session: Session::waiting(),
            now: Duration::ZERO,
        }
    }

    pub(crate) fn calling(request_offer: bool) -> (Self, Vec<String>) {
        let mut effects = Vec::new();
        let peer = "bob".parse().expect("an id");
        let session = Session::calling(peer, request_offer, Duration::ZERO, &mut effects);
        (
            Self {
                session,
                now: Duration::ZERO,
            },
            words(&effects),
        )
    }

    /// A caller whose offer is on its way.
    pub(crate) fn offering() -> Self {
        let (mut talk, _) = Self::calling(false);
        talk.line("SESSION_OK");
        talk.on(described(offer("mine")));
        talk
    }

    /// A call in which media flows.
    pub(crate) fn up() -> Self {
        let mut talk = Self::offering();
        talk.line(&Signal::Sdp(answer("theirs")).to_string());
        talk.on(REMOTE_IS_SET);
        assert_eq!(talk.on(CONNECTED), ["start media"]);
        assert!(talk.session.is_up());
        talk
    }

    /// A caller in whose call media flows, with a partner whose certificate is known.
    pub(crate) fn caller_up() -> Self {
        let mut talk = Self::calling(false).0;
        talk.on(described(offer(&sdp(OURS))));
        talk.line("SESSION_OK");
        talk.say(answer(&sdp(THEIRS)));
        talk.on(REMOTE_IS_SET);
        talk.on(CONNECTED);
        assert!(talk.session.is_up());
        talk
    }

    /// One that was called by ann and answered her offer.
    pub(crate) fn callee_up() -> Self {
        let mut talk = Self::waiting();
        talk.line("SESSION_FROM ann");
        talk.say(offer(&sdp(THEIRS)));
        talk.on(described(answer(&sdp(OURS))));
        talk.on(REMOTE_IS_SET);
        talk.on(CONNECTED);
        assert!(talk.session.is_up());
        talk
    }

    /// The partner says this through the relay.
    pub(crate) fn say(&mut self, description: Description) -> Vec<String> {
        self.line(&Signal::Sdp(description).to_string())
    }

    /// The partner leaves the session, and nothing more comes from it.
    pub(crate) fn is_left(&mut self) -> Vec<String> {
        assert!(self.on(Event::SessionClosed).is_empty());
        let second = Duration::from_millis(1100);
        self.after(second, second)
    }

    /// A quarter of a second passes, and then nothing has come for so many milliseconds.
    pub(crate) fn quiet(&mut self, millis: u64) -> Vec<String> {
        self.after(Duration::from_millis(250), Duration::from_millis(millis))
    }

    pub(crate) fn on(&mut self, event: Event<'_>) -> Vec<String> {
        let mut effects = Vec::new();
        self.session.handle(event, self.now, &mut effects);
        words(&effects)
    }

    pub(crate) fn line(&mut self, line: &str) -> Vec<String> {
        self.on(Event::Line(line))
    }

    pub(crate) fn after(&mut self, pause: Duration, quiet: Duration) -> Vec<String> {
        self.now += pause;
        self.on(Event::Tick(Silence {
            lasts: quiet,
            suspicious: SUSPICIOUS,
            limit: QUIET_LIMIT,
        }))
    }
}

/// Whose certificate a description is for.
pub(crate) const OURS: u8 = 0x01;
pub(crate) const THEIRS: u8 = 0x02;
pub(crate) const EVES: u8 = 0x03;

/// A description that announces a certificate.
pub(crate) fn sdp(certificate: u8) -> String {
    let digits = vec![format!("{certificate:02X}"); 32].join(":");
    format!("a=fingerprint:sha-256 {digits}")
}

/// The same, shortened for people to read.
fn short(text: &str) -> String {
    [(OURS, "ours"), (THEIRS, "theirs"), (EVES, "eve's")]
        .into_iter()
        .fold(text.to_owned(), |text, (certificate, name)| {
            text.replace(&sdp(certificate), name)
        })
}

pub(crate) fn words(effects: &[Effect]) -> Vec<String> {
    let word = |effect: &Effect| match effect {
        Effect::Send(line) => format!("send {line}"),
        Effect::StartPeer => "start peer".into(),
        Effect::StartSecond => "start second".into(),
        Effect::Negotiate(Place::First, step) => taken(step),
        Effect::Negotiate(Place::Second, step) => format!("second: {}", taken(step)),
        Effect::Replace(doubt) => format!("replace: {doubt}"),
        Effect::DropSecond => "drop second".into(),
        Effect::ProbeRelay => "probe relay".into(),
        Effect::StartMedia => "start media".into(),
        Effect::DropRelay => "drop relay".into(),
        Effect::Report(report) => format!("report {report}"),
        Effect::End(ending) => match &ending.outcome {
            Ok(reason) => format!("end by {:?}: {reason}", ending.by),
            Err(failure) => format!("end by {:?}: {:?}", ending.by, failure.kind),
        },
    };
    effects.iter().map(word).map(|text| short(&text)).collect()
}

fn taken(step: &Step) -> String {
    match step {
        Step::CreateOffer => "create offer".into(),
        Step::AcceptOffer(sdp) => format!("accept offer {sdp}"),
        Step::AcceptAnswer(sdp) => format!("accept answer {sdp}"),
        Step::AddCandidate(candidate) => format!("add {}", candidate.candidate),
        Step::Send(signal) => panic!("{signal} has to be sent by the relay"),
    }
}

/// Something that happens to the first connection.
pub(crate) fn first<'a>(happening: Happening) -> Event<'a> {
    Event::Peer(Place::First, happening)
}

/// Something that happens to the second connection.
pub(crate) fn second<'a>(happening: Happening) -> Event<'a> {
    Event::Peer(Place::Second, happening)
}

pub(crate) fn described<'a>(description: Description) -> Event<'a> {
    first(Happening::Local(Local::Described(description)))
}

pub(crate) fn gathered<'a>(candidate: Candidate) -> Event<'a> {
    first(Happening::Local(Local::Candidate(candidate)))
}

pub(crate) fn failed<'a>(failure: Failure) -> Event<'a> {
    first(Happening::Failed(failure))
}

pub(crate) const CONNECTED: Event<'_> = Event::Peer(Place::First, Happening::Connected);
pub(crate) const REMOTE_IS_SET: Event<'_> =
    Event::Peer(Place::First, Happening::Local(Local::RemoteDescriptionSet));

pub(crate) fn offer(sdp: &str) -> Description {
    Description {
        kind: SdpType::Offer,
        sdp: sdp.into(),
    }
}

pub(crate) fn answer(sdp: &str) -> Description {
    Description {
        kind: SdpType::Answer,
        sdp: sdp.into(),
    }
}

pub(crate) fn candidate(text: &str) -> Candidate {
    Candidate {
        candidate: text.into(),
        sdp_m_line_index: 0,
        sdp_mid: None,
    }
}
