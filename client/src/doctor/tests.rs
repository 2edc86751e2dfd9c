use super::servers::{Asked, Outcome, server, udp};
use super::stun::Transport;
use super::*;

fn refused(kind: FailureKind) -> Registration {
    Registration::Refused(Failure::new(kind, "It says no; do this."))
}

#[test]
fn a_clock_may_be_a_little_wrong_and_no_more() {
    assert_eq!(clock(100, Some(100)).state, State::Ok);
    assert_eq!(clock(100, Some(159)).state, State::Ok);
    assert_eq!(clock(100, None).state, State::Skipped);
    let behind = clock(100, Some(160));
    assert_eq!(behind.state, State::Problem);
    assert!(behind.seen.contains("60 s behind"), "{}", behind.seen);
    assert!(clock(1000, Some(100)).seen.contains("900 s ahead of"));
}

#[test]
fn one_answer_by_udp_shows_that_udp_works() {
    assert_eq!(udp(&[]).state, State::Skipped);
    assert_eq!(udp(&[false, true]).state, State::Ok);
    let blocked = udp(&[false, false]);
    assert_eq!(blocked.state, State::Problem);
    assert!(blocked.fix.is_some_and(|fix| fix.contains("transport=tcp")));
}

#[test]
fn an_id_that_is_taken_is_no_fault_of_the_token() {
    assert_eq!(token(true, "cam", &Registration::Accepted).state, State::Ok);
    assert_eq!(
        token(true, "cam", &refused(FailureKind::IdRefused)).state,
        State::Warning
    );
    let wrong = token(true, "cam", &refused(FailureKind::NotAdmitted));
    assert_eq!(wrong.state, State::Problem);
    assert!(wrong.fix.is_some_and(|fix| fix.contains("--token-file")));
    assert_eq!(
        token(false, "cam", &refused(FailureKind::Other)).state,
        State::Problem
    );
}

#[test]
fn an_origin_that_is_kept_out_concerns_pages_alone() {
    assert_eq!(origin("https://x", 200).state, State::Ok);
    assert_eq!(origin("https://x", 403).state, State::Warning);
    assert_eq!(origin("https://x", 503).state, State::Skipped);
}

#[test]
fn silence_is_told_from_sound() {
    assert_eq!(level(-30.0).state, State::Ok);
    assert_eq!(level(f64::NEG_INFINITY).state, State::Warning);
    assert_eq!(level(f64::NAN).state, State::Warning);
}

#[test]
fn problems_alone_make_it_fail() {
    let mut diagnosis = Diagnosis {
        findings: vec![Finding::ok("a", "A."), Finding::warning("b", "B.", "Do.")],
    };
    assert!(diagnosis.verdict().is_ok());
    assert!(diagnosis.summary().healthy);
    diagnosis.findings.push(frames("encoder", "vp8enc", 10, 0));
    let failure = diagnosis.verdict().expect_err("a problem");
    assert_eq!(failure.kind.exit_code(), 1);
    assert!(failure.sentence.contains("see encoder"), "{failure}");
    assert_eq!(
        diagnosis.summary().to_string(),
        "A call will not work as it is: 1 problem, 1 warning."
    );
}

#[test]
fn a_server_is_judged_by_what_a_call_would_ask_of_it() {
    let asked = |outcome, is_wanted| Asked {
        place: "192.0.2.7:3478".into(),
        transport: Transport::Udp,
        is_turn: true,
        is_wanted,
        outcome,
    };
    let silent = server(&asked(Outcome::Silent, true));
    assert_eq!((silent.name, silent.state), ("turn-udp", State::Problem));
    for outcome in [Outcome::Silent, Outcome::WrongCredentials] {
        assert_eq!(server(&asked(outcome, false)).state, State::Skipped);
    }
    assert_eq!(server(&asked(Outcome::Lent, false)).state, State::Ok);
    let wrong = server(&asked(Outcome::WrongCredentials, true));
    assert!(
        wrong.seen.contains("user or the password is wrong"),
        "{wrong}"
    );
    let full = server(&asked(Outcome::Refused(486), true));
    assert!(full.seen.contains("as many addresses as it may"), "{full}");
}

#[test]
fn candidates_are_enough_or_not_by_what_was_asked_for() {
    let judge = |types: &[&str], relay_alone, has_turn| {
        let types: Vec<_> = types.iter().map(|kind| (*kind).to_owned()).collect();
        candidates(&types, relay_alone, has_turn).state
    };
    assert_eq!(judge(&["host"], false, false), State::Ok);
    assert_eq!(judge(&["host"], false, true), State::Warning);
    assert_eq!(judge(&["host", "relay"], false, true), State::Ok);
    assert_eq!(judge(&[], false, false), State::Problem);
    assert_eq!(judge(&[], true, true), State::Problem);
    assert_eq!(judge(&["relay"], true, true), State::Ok);
    let seen = candidates(&["relay".into(), "host".into(), "host".into()], false, true).seen;
    assert_eq!(seen, "A call would offer 2 host, 1 relay.");
}

#[test]
fn a_failure_is_parted_into_what_is_wrong_and_what_to_do() {
    let failure = Failure::new(FailureKind::Display, "There is no display; use another.");
    let finding = Finding::failed("display", &failure);
    assert_eq!(
        finding.to_string(),
        format!(
            "PROBLEM  display     There is no display.\n{:21}-> Use another.",
            ""
        )
    );
}
