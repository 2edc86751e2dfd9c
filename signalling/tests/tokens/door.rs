//! The door: origins first, then tokens.

use signalling::admission::Refused;
use signalling::door::Door;
use signalling::relay::Pass;
use signalling::token::{Claims, Secrets};

use crate::{NOW, OPS, WEB, claims, pass, secrets};

fn door(origins: &[&str]) -> Door {
    let origins: Vec<_> = origins.iter().map(|origin| (*origin).to_owned()).collect();
    Door::new(Some(&origins), None)
}

#[test]
fn a_door_without_lists_is_open() {
    let door = Door::new(None, None);
    let everything = Ok(Pass::default());
    assert_eq!(door.admit(None, None, NOW), everything);
    assert_eq!(
        door.admit(Some("https://example.org"), Some("x"), NOW),
        everything
    );
    assert!(door.allows_origin("null"));
}

#[test]
fn a_page_enters_by_its_origin_and_a_program_has_none() {
    let door = door(&[
        "https://example.org",
        "http://localhost:8000/",
        "HTTPS://Example.com:443",
    ]);
    for origin in [
        "https://example.org",
        "http://localhost:8000",
        "https://example.com",
    ] {
        assert_eq!(
            door.admit(Some(origin), None, NOW),
            Ok(Pass::default()),
            "{origin}"
        );
    }
    assert_eq!(door.admit(None, None, NOW), Ok(Pass::default()));
    for origin in [
        "",
        "null",
        "*",
        "example.org",
        "http://example.org",
        "https://example.org:8443",
        "https://www.example.org",
        "https://example.org.evil.example",
        "https://evil.example/https://example.org",
        "https://example.org@evil.example",
        "http://localhost",
        "http://localhost:443",
    ] {
        let refused = Err(Refused::OriginNotAllowed);
        assert_eq!(door.admit(Some(origin), None, NOW), refused, "{origin}");
        assert!(!door.allows_origin(origin), "{origin}");
    }
}

#[test]
fn an_empty_list_keeps_every_page_out() {
    let door = door(&[]);
    let refused = Err(Refused::OriginNotAllowed);
    assert_eq!(door.admit(Some("https://example.org"), None, NOW), refused);
    assert_eq!(door.admit(None, None, NOW), Ok(Pass::default()));
}

#[test]
fn who_has_secrets_asks_for_a_token() {
    let door = Door::new(None, Some(secrets()));
    assert_eq!(door.admit(None, None, NOW), Err(Refused::TokenMissing));
    assert_eq!(door.admit(None, Some("x"), NOW), Err(Refused::TokenInvalid));
    assert_eq!(door.admit(None, Some(WEB), NOW), Ok(Pass::default()));
    assert_eq!(door.admit(None, Some(OPS), NOW), Ok(Pass::default()));
    let token = secrets()
        .sign("web", &claims(Some("alice"), Some("blue")))
        .expect("signed");
    let allowed = pass(Some("alice"), Some("blue"));
    assert_eq!(door.admit(None, Some(&token), NOW), Ok(allowed));
    let later = NOW + 7200;
    assert_eq!(
        door.admit(None, Some(&token), later),
        Err(Refused::TokenExpired)
    );
}

#[test]
fn a_good_token_does_not_help_a_page_that_may_not_connect() {
    let origins = ["https://example.org".to_owned()];
    let door = Door::new(Some(&origins), Some(secrets()));
    let evil = Some("https://evil.example");
    assert_eq!(
        door.admit(evil, Some(WEB), NOW),
        Err(Refused::OriginNotAllowed)
    );
    let good = Some("https://example.org");
    assert_eq!(door.admit(good, Some(WEB), NOW), Ok(Pass::default()));
    assert_eq!(door.admit(good, None, NOW), Err(Refused::TokenMissing));
}

#[test]
fn only_an_administrators_secret_makes_an_administrator() {
    let door = Door::new(None, Some(secrets()));
    assert_eq!(door.admit_admin(Some(OPS), NOW), Ok(()));
    assert_eq!(door.admit_admin(Some(WEB), NOW), Err(Refused::NotAdmin));
    assert_eq!(door.admit_admin(None, NOW), Err(Refused::TokenMissing));
    assert_eq!(door.admit_admin(Some("x"), NOW), Err(Refused::TokenInvalid));
    let sign = |claims| secrets().sign("ops", &claims).expect("signed");
    let token = sign(claims(None, None));
    assert_eq!(door.admit_admin(Some(&token), NOW), Err(Refused::NotAdmin));
    let token = sign(Claims {
        expires: 1,
        ..claims(None, None)
    });
    assert_eq!(
        door.admit_admin(Some(&token), NOW),
        Err(Refused::TokenExpired)
    );
}

#[test]
fn where_there_is_no_administrator_nobody_is_one() {
    let without = Secrets::parse(&format!("web {WEB}")).expect("secrets");
    for door in [Door::new(None, None), Door::new(None, Some(without))] {
        for token in [None, Some(WEB), Some(OPS), Some("x")] {
            assert_eq!(door.admit_admin(token, NOW), Err(Refused::NotAdmin));
        }
    }
}

#[test]
fn secrets_that_change_count_from_then_on() {
    let mut door = Door::new(None, Some(secrets()));
    let token = secrets().sign("web", &claims(None, None)).expect("signed");
    door.change_secrets(Secrets::parse("web another-secret-of-the-page").expect("secrets"));
    for old in [WEB, OPS, &token] {
        assert_eq!(door.admit(None, Some(old), NOW), Err(Refused::TokenInvalid));
    }
    let new = Some("another-secret-of-the-page");
    assert_eq!(door.admit(None, new, NOW), Ok(Pass::default()));
}

#[test]
fn no_secret_is_printed_for_debugging() {
    let printed = format!("{:?}", Door::new(None, Some(secrets())));
    assert!(!printed.contains("a-secret"), "{printed}");
}
