//! Whatever happens, in whatever order, a session keeps its promises.
//!
//! The reference is deliberately naive: it knows no states, and judges each effect by looking through
//! the whole history that led to it.

use std::time::Duration;

use client::failure::{Failure, FailureKind};
use client::negotiation::Step as Part;
use client::session::{Effect, Event, Session, Silence};
use proptest::prelude::*;
use protocol::{Candidate, Description, SdpType};

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Line(&'static str),
    SessionClosed,
    RelayLost,
    RelayBack,
    LocalOffer,
    LocalAnswer,
    RemoteSet,
    LocalCandidate,
    Connected,
    PeerFailed,
    Tick(u64),
    Stop,
}

const LINES: &[&str] = &[
    "SESSION_OK",
    "SESSION_FROM ann",
    "SESSION_FROM bob",
    "ERROR peer 'bob' busy",
    r#"{"sdp":{"type":"offer","sdp":"o"}}"#,
    r#"{"sdp":{"type":"answer","sdp":"a"}}"#,
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
        2 => Just(Step::LocalOffer),
        2 => Just(Step::LocalAnswer),
        3 => Just(Step::RemoteSet),
        2 => Just(Step::LocalCandidate),
        3 => Just(Step::Connected),
        1 => Just(Step::PeerFailed),
        2 => (0..60u64).prop_map(Step::Tick),
        1 => Just(Step::Stop),
    ]
}

impl Step {
    fn event(&self) -> Event<'_> {
        let description = |kind| {
            Event::LocalDescription(Description {
                kind,
                sdp: "mine".to_owned(),
            })
        };
        match self {
            Self::Line(line) => Event::Line(line),
            Self::SessionClosed => Event::SessionClosed,
            Self::RelayLost => Event::RelayLost,
            Self::RelayBack => Event::RelayBack,
            Self::LocalOffer => description(SdpType::Offer),
            Self::LocalAnswer => description(SdpType::Answer),
            Self::RemoteSet => Event::RemoteDescriptionSet,
            Self::LocalCandidate => Event::LocalCandidate(Candidate {
                candidate: "mine".into(),
                sdp_m_line_index: 0,
                sdp_mid: None,
            }),
            Self::Connected => Event::Connected,
            Self::PeerFailed => Event::PeerFailed(Failure::new(FailureKind::Other, "broken")),
            Self::Tick(seconds) => Event::Tick(Silence {
                lasts: Duration::from_secs(*seconds),
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
        if let Step::Tick(seconds) = step {
            now += Duration::from_secs(*seconds);
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
        steps.push(Step::Tick(1_000));
        let history = play(calling, request_offer, &steps);
        let ended = count(&history, |effect| matches!(effect, Effect::End(_))) == 1;
        let called = calling || happened(&history, |step| pairs(step, calling));
        prop_assert_eq!(ended, called || happened(&history, |step| {
            matches!(step, Step::Stop | Step::PeerFailed)
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
                        prop_assert!(calling && (at == 0 || *step == Some(Step::RelayBack)));
                    }
                    Effect::Send(_) => {
                        prop_assert!(happened(before, |step| pairs(step, calling)));
                    }
                    Effect::StartMedia => prop_assert_eq!(step, &Some(Step::Connected)),
                    Effect::Negotiate(Part::Send(_)) => prop_assert!(false, "goes by the relay"),
                    Effect::Negotiate(Part::AddCandidate(candidate)) => {
                        prop_assert!(happened(before, |step| *step == Step::RemoteSet));
                        prop_assert!(!candidate.candidate.is_empty());
                    }
                    Effect::Negotiate(Part::AcceptOffer(_) | Part::AcceptAnswer(_) | Part::CreateOffer) => {
                        let started = |(_, effects): &(_, Vec<Effect>)| effects.contains(&Effect::StartPeer);
                        prop_assert!(before.iter().any(started));
                    }
                    Effect::StartPeer | Effect::DropRelay | Effect::Report(_) | Effect::End(_) => {}
                }
            }
        }

        // A candidate of ours goes out only behind a description of ours.
        let sent: Vec<_> = history.iter().flat_map(|(_, effects)| effects).collect();
        if let Some(first) = sent.iter().position(|effect| is_ice(effect)) {
            prop_assert!(sent[..first].iter().any(|effect| is_sdp(effect)));
        }

        // For each connection there is at the most one offer taken, one answer taken.
        let peers = count(&history, |effect| *effect == Effect::StartPeer);
        prop_assert!(count(&history, |effect| matches!(effect, Effect::Negotiate(Part::AcceptOffer(_)))) <= peers);
        prop_assert!(count(&history, |effect| matches!(effect, Effect::Negotiate(Part::AcceptAnswer(_)))) <= peers);
    }
}
