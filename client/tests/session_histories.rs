//! Whatever happens, in whatever order, a session keeps its promises.
//!
//! The reference is deliberately naive: it knows no states, and judges each effect by looking through
//! the whole history that led to it.

use std::time::Duration;

use client::failure::{Failure, FailureKind};
use client::fingerprint::announced;
use client::negotiation::{Local, Step as Part};
use client::report::Doubt;
use client::session::{Effect, Event, Happening, Place, SECOND_DEADLINE, Session, Silence};
use proptest::prelude::*;
use protocol::{Candidate, Description, SdpType};

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Line(&'static str),
    SessionClosed,
    RelayLost,
    RelayBack,
    LocalOffer(Place),
    LocalAnswer(Place),
    RemoteSet(Place),
    LocalCandidate(Place),
    Connected(Place),
    Closed(Place),
    Failed(Place),
    /// The first connection found no way any more.
    PathFailed,
    Doubted(Doubt),
    /// So many milliseconds pass, and then nothing has come for so many.
    Tick(u64, u64),
    Stop,
}

/// A certificate, as a description announces it.
macro_rules! certificate {
    ($byte:literal) => {
        concat!(
            r"a=fingerprint:sha-256 ",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte,
            ":",
            $byte
        )
    };
}

macro_rules! description {
    ($kind:literal, $byte:literal) => {
        concat!(
            r#"{"sdp":{"type":""#,
            $kind,
            r#"","sdp":""#,
            certificate!($byte),
            r#""}}"#
        )
    };
}

const LINES: &[&str] = &[
    "SESSION_OK",
    "SESSION_FROM ann",
    "SESSION_FROM bob",
    "ERROR peer 'bob' busy",
    description!("offer", "0A"),
    description!("answer", "0A"),
    description!("offer", "0E"),
    description!("answer", "0E"),
    r#"{"sdp":{"type":"offer","sdp":"of nobody"}}"#,
    r#"{"ice":{"candidate":"c","sdpMLineIndex":0}}"#,
    r#"{"ice":{"candidate":"","sdpMLineIndex":0}}"#,
    "OFFER_REQUEST",
    "SESSION alice",
    "hello",
    "",
];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::sample::select(LINES).prop_map(Step::Line),
        1 => Just(Step::SessionClosed),
        1 => Just(Step::RelayLost),
        1 => Just(Step::RelayBack),
        3 => place().prop_map(Step::LocalOffer),
        3 => place().prop_map(Step::LocalAnswer),
        4 => place().prop_map(Step::RemoteSet),
        3 => place().prop_map(Step::LocalCandidate),
        5 => place().prop_map(Step::Connected),
        1 => place().prop_map(Step::Closed),
        1 => place().prop_map(Step::Failed),
        1 => Just(Step::PathFailed),
        1 => prop_oneof![Just(Doubt::Address), Just(Doubt::Credentials)].prop_map(Step::Doubted),
        4 => (0..1500u64, prop_oneof![Just(0), 0..4000u64]).prop_map(|(pause, quiet)| Step::Tick(pause, quiet)),
        1 => (0..60_000u64, 0..9000u64).prop_map(|(pause, quiet)| Step::Tick(pause, quiet)),
        1 => Just(Step::Stop),
    ]
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![Just(Place::First), Just(Place::Second)]
}

/// A call that has come up, so that what may happen to it happens often.
fn beginning(calling: bool) -> Vec<Step> {
    use Place::First;
    match calling {
        true => vec![
            Step::LocalOffer(First),
            Step::Line("SESSION_OK"),
            Step::Line(description!("answer", "0A")),
            Step::Connected(First),
        ],
        false => vec![
            Step::Line("SESSION_FROM bob"),
            Step::Line(description!("offer", "0A")),
            Step::LocalAnswer(First),
            Step::Connected(First),
        ],
    }
}

impl Step {
    fn event(&self) -> Event<'_> {
        let described = |place, kind| {
            let sdp = "mine".to_owned();
            Event::Peer(
                place,
                Happening::Local(Local::Described(Description { kind, sdp })),
            )
        };
        match *self {
            Self::Line(line) => Event::Line(line),
            Self::SessionClosed => Event::SessionClosed,
            Self::RelayLost => Event::RelayLost,
            Self::RelayBack => Event::RelayBack,
            Self::LocalOffer(place) => described(place, SdpType::Offer),
            Self::LocalAnswer(place) => described(place, SdpType::Answer),
            Self::RemoteSet(place) => {
                Event::Peer(place, Happening::Local(Local::RemoteDescriptionSet))
            }
            Self::LocalCandidate(place) => {
                let candidate = Candidate {
                    candidate: "mine".into(),
                    sdp_m_line_index: 0,
                    sdp_mid: None,
                };
                Event::Peer(place, Happening::Local(Local::Candidate(candidate)))
            }
            Self::Connected(place) => Event::Peer(place, Happening::Connected),
            Self::Closed(place) => Event::Peer(place, Happening::Closed),
            Self::Failed(place) => {
                let failure = Failure::new(FailureKind::Other, "broken");
                Event::Peer(place, Happening::Failed(failure))
            }
            Self::PathFailed => {
                let failure = Failure::new(FailureKind::ConnectionFailed, "no path");
                Event::Peer(Place::First, Happening::Failed(failure))
            }
            Self::Doubted(doubt) => Event::Doubted(doubt),
            Self::Tick(_, quiet) => Event::Tick(Silence {
                lasts: Duration::from_millis(quiet),
                suspicious: Duration::from_secs(2),
                limit: Duration::from_secs(5),
            }),
            Self::Stop => Event::Stop("stopped"),
        }
    }
}

/// What happened and what was done about it, in order.
type History = Vec<(Option<Step>, Vec<Effect>)>;

fn play(calling: bool, request_offer: bool, steps: &[Step]) -> History {
    let mut effects = Vec::new();
    let mut session = match calling {
        true => {
            let peer = "bob".parse().expect("an id");
            Session::calling(peer, request_offer, Duration::ZERO, &mut effects)
        }
        false => Session::waiting(),
    };
    let mut history = vec![(None, effects)];
    let mut now = Duration::ZERO;
    for step in steps {
        if let Step::Tick(pause, _) = step {
            now += Duration::from_millis(*pause);
        }
        let mut effects = Vec::new();
        session.handle(step.event(), now, &mut effects);
        history.push((Some(step.clone()), effects));
    }
    history
}

fn count(history: &History, wanted: impl Fn(&Effect) -> bool) -> usize {
    history
        .iter()
        .flat_map(|(_, effects)| effects)
        .filter(|effect| wanted(effect))
        .count()
}

fn happened(history: &[(Option<Step>, Vec<Effect>)], wanted: impl Fn(&Step) -> bool) -> bool {
    history
        .iter()
        .filter_map(|(step, _)| step.as_ref())
        .any(wanted)
}

fn is_sdp(effect: &Effect) -> bool {
    matches!(effect, Effect::Send(line) if line.starts_with(r#"{"sdp""#))
}

fn is_ice(effect: &Effect) -> bool {
    matches!(effect, Effect::Send(line) if line.starts_with(r#"{"ice""#))
}

/// Whether the relay has paired us with somebody we want by this step: with the peer we call, or, when
/// we wait, with whoever calls. A relay that names nobody pairs us by the first word of the other side.
fn pairs(step: &Step, calling: bool) -> bool {
    let Step::Line(line) = step else {
        return false;
    };
    !(line.starts_with("ERROR ") || calling && *line == "SESSION_FROM ann")
}

proptest! {
    #[test]
    fn every_call_has_an_end(
        calling in any::<bool>(),
        request_offer in any::<bool>(),
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let mut steps = steps;
        // Nothing more happens, and the partner is never heard again.
        steps.push(Step::Tick(1_000_000, 1_000_000));
        let history = play(calling, request_offer, &steps);
        let ended = count(&history, |effect| matches!(effect, Effect::End(_))) == 1;
        let called = calling || happened(&history, |step| pairs(step, calling));
        prop_assert_eq!(ended, called || happened(&history, |step| {
            matches!(
                step,
                Step::Stop
                    | Step::PathFailed
                    | Step::Failed(Place::First)
                    | Step::Closed(Place::First)
            )
        }));
    }

    #[test]
    fn a_session_keeps_its_promises(
        calling in any::<bool>(),
        request_offer in any::<bool>(),
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let history = play(calling, request_offer, &steps);

        // It ends once, and nothing comes after.
        let end = |effect: &Effect| matches!(effect, Effect::End(_));
        prop_assert!(count(&history, end) <= 1);
        if let Some(at) = history.iter().position(|(_, effects)| effects.iter().any(end)) {
            prop_assert!(matches!(history[at].1.last(), Some(Effect::End(_))));
            prop_assert!(history[at + 1..].iter().all(|(_, effects)| effects.is_empty()));
        }

        // Media starts once, and only after the connection was verified.
        prop_assert!(count(&history, |effect| *effect == Effect::StartMedia) <= 1);

        for (at, (step, effects)) in history.iter().enumerate() {
            let before = &history[..=at];
            for effect in effects {
                match effect {
                    // Nothing but the call itself is said before the relay has paired us.
                    Effect::Send(line) if line.starts_with("SESSION ") => {
                        prop_assert!(calling && line == "SESSION bob");
                    }
                    Effect::Send(_) => {
                        prop_assert!(happened(before, |step| pairs(step, calling)));
                    }
                    Effect::StartMedia => prop_assert_eq!(step, &Some(Step::Connected(Place::First))),
                    Effect::Replace(_) => prop_assert_eq!(step, &Some(Step::Connected(Place::Second))),
                    Effect::Negotiate(_, Part::Send(_)) => prop_assert!(false, "goes by the relay"),
                    Effect::Negotiate(place, Part::AddCandidate(candidate)) => {
                        // The second may have become the first since.
                        let is_set = |step: &Step| matches!(step, Step::RemoteSet(at) if at == place || *place == Place::First);
                        prop_assert!(happened(before, is_set));
                        prop_assert!(!candidate.candidate.is_empty());
                    }
                    Effect::Negotiate(_, Part::AcceptOffer(_) | Part::AcceptAnswer(_) | Part::CreateOffer) => {
                        let started = |(_, effects): &(_, Vec<Effect>)| effects.contains(&Effect::StartPeer);
                        prop_assert!(before.iter().any(started));
                    }
                    Effect::StartPeer
                    | Effect::StartSecond
                    | Effect::DropSecond
                    | Effect::ProbeRelay
                    | Effect::DropRelay
                    | Effect::Report(_)
                    | Effect::End(_) => {}
                }
            }
        }

        // A candidate of ours goes out only behind a description of ours.
        let sent: Vec<_> = history.iter().flat_map(|(_, effects)| effects).collect();
        if let Some(first) = sent.iter().position(|effect| is_ice(effect)) {
            prop_assert!(sent[..first].iter().any(|effect| is_sdp(effect)));
        }

        // For each connection there is at the most one offer taken, one answer taken.
        for (place, start) in [(Place::First, Effect::StartPeer), (Place::Second, Effect::StartSecond)] {
            let peers = count(&history, |effect| *effect == start);
            let at = |effect: &Effect, wanted: fn(&Part) -> bool| {
                matches!(effect, Effect::Negotiate(at, part) if *at == place && wanted(part))
            };
            prop_assert!(count(&history, |effect| at(effect, |part| matches!(part, Part::AcceptOffer(_)))) <= peers);
            prop_assert!(count(&history, |effect| at(effect, |part| matches!(part, Part::AcceptAnswer(_)))) <= peers);
        }
    }

    #[test]
    fn a_call_is_replaced_for_nobody_but_the_partner_and_never_has_a_third_connection(
        calling in any::<bool>(),
        more in prop::collection::vec(step(), 0..60),
    ) {
        let mut steps = beginning(calling);
        steps.extend(more);
        let history = play(calling, false, &steps);
        prop_assert!(count(&history, |effect| *effect == Effect::StartMedia) == 1);
        let mut now = 0;
        let mut second: Option<u64> = None;
        let mut certificate = None;
        let mut of_second = None;
        for (step, effects) in &history {
            if let Some(Step::Tick(pause, _)) = step {
                now += pause;
            }
            for effect in effects {
                match effect {
                    Effect::StartSecond => {
                        prop_assert_eq!(second, None);
                        (second, of_second) = (Some(now), None);
                    }
                    Effect::DropSecond => {
                        prop_assert!(second.is_some());
                        second = None;
                    }
                    Effect::End(_) => second = None,
                    Effect::Replace(_) => {
                        prop_assert!(second.is_some());
                        prop_assert!(of_second.is_some());
                        prop_assert_eq!(of_second, certificate);
                        second = None;
                    }
                    Effect::Negotiate(place, Part::AcceptOffer(sdp) | Part::AcceptAnswer(sdp)) => {
                        match place {
                            Place::First => certificate = announced(sdp),
                            Place::Second => of_second = announced(sdp),
                        }
                    }
                    Effect::Negotiate(Place::Second, _) => prop_assert!(second.is_some()),
                    Effect::Send(_)
                    | Effect::StartPeer
                    | Effect::Negotiate(..)
                    | Effect::StartMedia
                    | Effect::ProbeRelay
                    | Effect::DropRelay
                    | Effect::Report(_) => {}
                }
            }
            if let (Some(Step::Tick(..)), Some(since)) = (step, second) {
                let lasts = Duration::from_millis(now - since);
                prop_assert!(lasts <= SECOND_DEADLINE, "a second connection for {lasts:?}");
            }
        }
    }

    #[test]
    fn nothing_is_said_to_a_partner_whom_it_cannot_reach(
        calling in any::<bool>(),
        more in prop::collection::vec(step(), 0..60),
    ) {
        let mut steps = beginning(calling);
        steps.extend(more);
        let mut reached = false;
        for (step, effects) in play(calling, false, &steps) {
            match step {
                // A line is from the relay, or from somebody with whom it has paired us.
                Some(Step::Line(_)) => reached = true,
                Some(Step::RelayLost | Step::SessionClosed | Step::RelayBack) => reached = false,
                _ => {}
            }
            for effect in effects {
                if effect == Effect::DropRelay {
                    reached = false;
                } else if let Effect::Send(line) = effect {
                    prop_assert!(reached || line == "SESSION bob", "{line}");
                }
            }
        }
    }
}
