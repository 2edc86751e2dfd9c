//! Dialogues on the control channel.

use super::*;
use proptest::prelude::*;

const NOW: Duration = Duration::from_secs(100);

fn control() -> Control {
    let allowance = Allowance {
        sources: Sources {
            video: vec!["screen".into(), "test".into()],
            audio: vec!["mic".into()],
        },
        bitrate_kbps: 2500,
    };
    Control::new(allowance, NOW)
}

fn answer(control: &mut Control, text: &str) -> String {
    match control.handle(text, NOW).as_slice() {
        [Effect::Say(statement)] => statement.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn it_says_hello_with_all_that_may_be_asked() {
    assert_eq!(
        control().hello().to_string(),
        concat!(
            r#"{"type":"hello","version":1,"#,
            r#""requests":["ping","statistics","sources","switch","key-frame","bitrate"],"#,
            r#""sources":{"video":["screen","test"],"audio":["mic"]},"#,
            r#""bitrate_kbps":{"min":50,"max":2500}}"#
        )
    );
}

#[test]
fn every_request_has_its_answer() {
    let control = &mut control();
    for (request, expected) in [
        (r#"{"id":1,"request":"ping"}"#, r#"{"type":"ok","id":1}"#),
        (
            r#"{"id":2,"request":"sources"}"#,
            r#"{"type":"ok","id":2,"sources":{"video":["screen","test"],"audio":["mic"]}}"#,
        ),
        (
            r#"{"id":3,"request":"statistics","interval_ms":1000}"#,
            r#"{"type":"ok","id":3}"#,
        ),
        (
            r#"{"id":4,"request":"switch","kind":"video","index":1}"#,
            "[Do(4, Switch(Video, 1))]",
        ),
        (r#"{"id":5,"request":"key-frame"}"#, "[Do(5, KeyFrame)]"),
        (
            r#"{"id":6,"request":"bitrate","max_kbps":800}"#,
            "[Do(6, Cap(Some(800)))]",
        ),
        (
            r#"{"id":7,"request":"bitrate","max_kbps":null}"#,
            "[Do(7, Cap(None))]",
        ),
    ] {
        assert_eq!(answer(control, request), expected, "{request}");
    }
}

#[test]
fn what_is_not_allowed_is_refused() {
    let control = &mut control();
    for (request, code) in [
        (
            r#"{"id":1,"request":"switch","kind":"video","index":2}"#,
            "out-of-range",
        ),
        (
            r#"{"id":2,"request":"switch","kind":"audio","index":1}"#,
            "out-of-range",
        ),
        (
            r#"{"id":3,"request":"switch","kind":"smell","index":0}"#,
            "unknown",
        ),
        (
            r#"{"id":4,"request":"bitrate","max_kbps":2501}"#,
            "out-of-range",
        ),
        (
            r#"{"id":5,"request":"bitrate","max_kbps":49}"#,
            "out-of-range",
        ),
        (
            r#"{"id":6,"request":"statistics","interval_ms":1}"#,
            "out-of-range",
        ),
        (r#"{"id":7,"request":"reboot"}"#, "unknown"),
        (r#"{"id":-1,"request":"ping"}"#, "malformed"),
        (r#"{"request":"ping"}"#, "malformed"),
        ("ping", "malformed"),
        ("", "malformed"),
    ] {
        let said = answer(control, request);
        assert!(
            said.contains(&format!(r#""code":"{code}""#)),
            "{request}: {said}"
        );
    }
}

#[test]
fn the_hello_of_another_client_is_no_request_and_not_answered() {
    let hello = control().hello().to_string();
    let mut control = control();
    assert!(!control.is_spoken());
    assert!(control.handle(&hello, NOW).is_empty());
    assert!(control.is_spoken());
}

#[test]
fn a_peer_that_speaks_something_else_loses_the_channel() {
    let control = &mut control();
    let effects: Vec<_> = (0..MAX_MALFORMED)
        .map(|_| control.handle("hi!", NOW))
        .collect();
    assert_eq!(effects.last(), Some(&vec![Effect::Close]));
}

#[test]
fn a_flood_is_slowed_down() {
    let control = &mut control();
    let mut ask = |now| {
        let effects = control.handle(r#"{"id":1,"request":"key-frame"}"#, now);
        matches!(effects[..], [Effect::Do(..)])
    };
    assert_eq!((0..100).filter(|_| ask(NOW)).count(), 20);
    let later = NOW + Duration::from_secs(2);
    assert_eq!((0..100).filter(|_| ask(later)).count(), 10);
}

#[test]
fn statistics_come_as_often_as_was_asked_and_no_more_once_ended() {
    let rates = Rates::between(
        &Default::default(),
        &Default::default(),
        Duration::from_secs(1),
        Duration::from_secs(1),
    );
    let control = &mut control();
    let at = |seconds| NOW + Duration::from_secs(seconds);
    assert_eq!(control.statistics(&rates, NOW), None);
    control.handle(r#"{"id":1,"request":"statistics","interval_ms":2000}"#, NOW);
    let told: Vec<_> = (0..5)
        .filter(|second| control.statistics(&rates, at(*second)).is_some())
        .collect();
    assert_eq!(told, [0, 2, 4]);
    control.handle(r#"{"id":2,"request":"statistics","interval_ms":null}"#, NOW);
    assert_eq!(control.statistics(&rates, at(9)), None);
}

proptest! {
    #[test]
    fn nothing_upsets_it(text in any::<String>(), id in any::<u64>()) {
        let mut control = control();
        prop_assert!(control.handle(&text, NOW).len() <= 1);
        let named = serde_json::json!({ "id": id, "request": text }).to_string();
        prop_assert_eq!(control.handle(&named, NOW).len(), 1);
    }

    #[test]
    fn a_request_is_read_as_it_is_written(id in any::<u64>(), number in any::<u32>(), index in 0_usize..9) {
        for ask in [
            Ask::Ping,
            Ask::Sources,
            Ask::KeyFrame,
            Ask::Statistics { interval_ms: Some(number) },
            Ask::Switch { kind: Medium::Audio, index },
            Ask::Bitrate { max_kbps: Some(number) },
        ] {
            let request = Request { id, ask };
            let Parsed::Request(again, Some(parsed)) = parse(&request.to_string()) else {
                panic!("{request}")
            };
            prop_assert_eq!((again, parsed), (id, request));
        }
    }
}
