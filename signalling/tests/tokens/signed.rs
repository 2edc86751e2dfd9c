//! Signed tokens: ours come back as they were, and all others are refused.

use proptest::prelude::*;
use proptest::sample::Index;
use protocol::{PeerId, RoomId};
use serde_json::{Value, json};
use signalling::admission::Refused;
use signalling::relay::Pass;
use signalling::token::{Claims, Grant, LEEWAY_SECONDS, MAX_TOKEN_BYTES};

use crate::{NOW, OPS, WEB, claims, pass, secrets, token};

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT","kid":"web"}"#;
const CLAIMS: &str = r#"{"exp":1790003600}"#;

fn verify(token: &str) -> Result<Pass, Refused> {
    match secrets().verify(token, NOW)? {
        Grant::Peer(pass) => Ok(pass),
        Grant::Admin => panic!("nobody becomes an administrator by a signature"),
    }
}

/// A token with that header, signed as it should be.
fn with_header(header: &str) -> Result<Pass, Refused> {
    verify(&token(header.as_bytes(), CLAIMS.as_bytes(), WEB))
}

/// A token with those claims, signed as it should be.
fn with_claims(claims: &str) -> Result<Pass, Refused> {
    verify(&token(HEADER.as_bytes(), claims.as_bytes(), WEB))
}

/// Made by another implementation (Python's `hmac` and `base64`), so that not only our own agree.
#[test]
fn a_token_made_elsewhere_is_understood() {
    let token = "eyJ0eXAiOiAiSldUIiwgImFsZyI6ICJIUzI1NiIsICJraWQiOiAid2ViIn0.eyJleHAiOiAxNzkwMDAzNjAwLCAibmJmIjogMTc5MDAwMDAwMCwgInBlZXIiOiAiYWxpY2UiLCAicm9vbSI6ICJibHVlIn0.ST5v0Nm7kcb73JYf5uq-ZRTyQuESgJi3arfT_s5nbyM";
    assert_eq!(verify(token), Ok(pass(Some("alice"), Some("blue"))));
}

#[test]
fn a_token_gives_what_it_says_and_no_more() {
    for (claims, allowed) in [
        (CLAIMS, pass(None, None)),
        (r#"{"exp":1790003600,"peer":"a"}"#, pass(Some("a"), None)),
        (r#"{"exp":1790003600,"room":"r"}"#, pass(None, Some("r"))),
        (
            r#"{"p\u0065er":"a","exp":1790003600.5,"room":"r"}"#,
            pass(Some("a"), Some("r")),
        ),
        (
            r#"{"exp":1790003600,"admin":true,"iss":"x","sub":"y","iat":1,"z":{"exp":[]}}"#,
            pass(None, None),
        ),
    ] {
        assert_eq!(with_claims(claims), Ok(allowed), "{claims}");
    }
}

#[test]
fn nobody_becomes_an_administrator_by_a_signature() {
    let header = HEADER.replace("web", "ops");
    let claims = br#"{"exp":1790003600,"admin":true}"#;
    let token = token(header.as_bytes(), claims, OPS);
    assert_eq!(verify(&token), Ok(Pass::default()));
}

#[test]
fn a_token_holds_from_its_beginning_to_its_end_with_some_leeway() {
    let at = |now, expires, not_before| {
        let claims = Claims {
            expires,
            not_before,
            pass: Pass::default(),
        };
        let secrets = secrets();
        let token = secrets.sign("web", &claims).expect("signed");
        secrets.verify(&token, now).map(|_| ())
    };
    let (begin, end) = (NOW, NOW + 60);
    for (now, result) in [
        (0, Err(Refused::TokenInvalid)),
        (begin - LEEWAY_SECONDS - 1, Err(Refused::TokenInvalid)),
        (begin - LEEWAY_SECONDS, Ok(())),
        (begin, Ok(())),
        (end, Ok(())),
        (end + LEEWAY_SECONDS - 1, Ok(())),
        (end + LEEWAY_SECONDS, Err(Refused::TokenExpired)),
        (u64::MAX, Err(Refused::TokenExpired)),
    ] {
        assert_eq!(at(now, end, Some(begin)), result, "{now}");
    }
    assert_eq!(at(0, end, None), Ok(()));
    assert_eq!(at(NOW, u64::MAX, Some(0)), Ok(()));
    assert_eq!(at(NOW, 0, None), Err(Refused::TokenExpired));
    assert_eq!(at(NOW, end, Some(u64::MAX)), Err(Refused::TokenInvalid));
}

#[test]
fn an_expired_token_that_is_not_ours_is_only_invalid() {
    let token = token(
        HEADER.as_bytes(),
        br#"{"exp":1}"#,
        "not-the-secret-of-the-web",
    );
    assert_eq!(verify(&token), Err(Refused::TokenInvalid));
}

#[test]
fn only_the_secret_that_is_named_counts() {
    let other = token(HEADER.as_bytes(), CLAIMS.as_bytes(), OPS);
    assert_eq!(verify(&other), Err(Refused::TokenInvalid));
    for header in [
        r#"{"alg":"HS256","typ":"JWT"}"#,
        r#"{"alg":"HS256","kid":null}"#,
        r#"{"alg":"HS256","kid":""}"#,
        r#"{"alg":"HS256","kid":"nobody"}"#,
        r#"{"alg":"HS256","kid":"WEB"}"#,
        r#"{"alg":"HS256","kid":7}"#,
        r#"{"alg":"HS256","kid":["web"]}"#,
        r#"{"alg":"HS256","kid":"web","kid":"web"}"#,
    ] {
        assert_eq!(with_header(header), Err(Refused::TokenInvalid), "{header}");
    }
}

#[test]
fn no_other_algorithm_is_taken_for_ours() {
    assert!(with_header(HEADER).is_ok());
    assert!(with_header(r#"{"kid":"web","alg":"HS256"}"#).is_ok());
    for algorithm in [
        r#""none""#,
        r#""None""#,
        r#""""#,
        r#""hs256""#,
        r#""HS384""#,
        r#""HS512""#,
        r#""RS256""#,
        r#""ES256""#,
        r#""PS256""#,
        r#""EdDSA""#,
        "null",
        "1",
        r#"["HS256"]"#,
    ] {
        let header = format!(r#"{{"alg":{algorithm},"kid":"web"}}"#);
        assert_eq!(with_header(&header), Err(Refused::TokenInvalid), "{header}");
    }
    for header in [
        "",
        "null",
        "[]",
        r#"["JWT","HS256"]"#,
        r#"{"kid":"web"}"#,
        r#"{"alg":"HS256","alg":"HS256","kid":"web"}"#,
        r#"{"alg":"HS256","kid":"web"} {}"#,
        r#"{"alg":"HS256","kid":"web","crit":["exp"]}"#,
        r#"{"alg":"HS256","kid":"web","crit":[]}"#,
        r#"{"alg":"HS256","kid":"web","b64":false,"crit":["b64"]}"#,
        r#"{"alg":"HS256","kid":"web","typ":"at+jwt"}"#,
    ] {
        assert_eq!(with_header(header), Err(Refused::TokenInvalid), "{header}");
    }
}

#[test]
fn a_signature_is_there_and_whole() {
    let token = token(HEADER.as_bytes(), CLAIMS.as_bytes(), WEB);
    assert!(verify(&token).is_ok());
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    for forged in [
        message.to_owned(),
        format!("{message}."),
        format!("{message}.{}", &signature[..42]),
        format!("{message}.{signature}A"),
        format!("{message}.{signature}="),
        format!("{message}.{signature}.{signature}"),
        format!(".{message}.{signature}"),
        format!("{message}..{signature}"),
        format!("{token} "),
        format!("{token}\0"),
        "..".to_owned(),
        ".".repeat(MAX_TOKEN_BYTES),
    ] {
        assert_eq!(verify(&forged), Err(Refused::TokenInvalid), "{forged}");
    }
}

#[test]
fn claims_of_another_form_are_refused() {
    for claims in [
        "",
        "null",
        "[]",
        "[1790003600]",
        "1790003600",
        "{}",
        r#"{"exp":null}"#,
        r#"{"exp":"1790003600"}"#,
        r#"{"exp":-1}"#,
        r#"{"exp":-1.5}"#,
        r#"{"exp":1e999}"#,
        r#"{"exp":true}"#,
        r#"{"exp":[1790003600]}"#,
        r#"{"exp":{"exp":1790003600}}"#,
        r#"{"EXP":1790003600}"#,
        r#"{"exp":1790003600,"nbf":null}"#,
        r#"{"exp":1790003600,"nbf":"0"}"#,
        r#"{"exp":1790003600,"peer":null}"#,
        r#"{"exp":1790003600,"peer":7}"#,
        r#"{"exp":1790003600,"peer":["a"]}"#,
        r#"{"exp":1790003600,"peer":""}"#,
        r#"{"exp":1790003600,"peer":"a b"}"#,
        r#"{"exp":1790003600,"room":null}"#,
        r#"{"exp":1790003600,"room":"session"}"#,
        r#"{"exp":1790003600,"room":{}}"#,
        r#"{"exp":1790003600,"aud":"somebody else"}"#,
        r#"{"exp":1790003600"#,
        r#"{"exp":1790003600}}"#,
        r#"{"exp":1790003600}x"#,
    ] {
        assert_eq!(with_claims(claims), Err(Refused::TokenInvalid), "{claims}");
    }
    let long = format!(r#"{{"exp":1790003600,"peer":"{}"}}"#, "x".repeat(257));
    assert_eq!(with_claims(&long), Err(Refused::TokenInvalid));
}

#[test]
fn claims_that_are_there_twice_are_refused() {
    for twice in [
        r#""exp":1790003600"#,
        r#""nbf":0,"nbf":0"#,
        r#""peer":"a","peer":"a""#,
        r#""peer":"a","p\u0065er":"b""#,
        r#""room":"a","room":"b""#,
        r#""iss":"a","iss":"a""#,
    ] {
        let claims = format!(r#"{{"exp":1790003600,{twice}}}"#);
        assert_eq!(with_claims(&claims), Err(Refused::TokenInvalid), "{claims}");
    }
}

#[test]
fn what_is_no_utf_8_or_nested_without_end_is_refused() {
    let broken = token(
        HEADER.as_bytes(),
        b"{\"exp\":1790003600,\"peer\":\"\xff\"}",
        WEB,
    );
    assert_eq!(verify(&broken), Err(Refused::TokenInvalid));
    let broken = token(
        b"{\"alg\":\"HS256\",\"kid\":\"web\",\"x\":\"\xff\"}",
        CLAIMS.as_bytes(),
        WEB,
    );
    assert_eq!(verify(&broken), Err(Refused::TokenInvalid));
    let deep = format!(r#"{{"exp":1790003600,"x":{}}}"#, "[".repeat(2500));
    assert_eq!(with_claims(&deep), Err(Refused::TokenInvalid));
    let deep = format!(r#"{{"alg":"HS256","kid":"web","x":{}}}"#, "[".repeat(2500));
    assert_eq!(with_header(&deep), Err(Refused::TokenInvalid));
}

#[test]
fn a_token_that_is_too_long_is_refused_whatever_it_says() {
    let fill = |count: usize| {
        let claims = format!(r#"{{"exp":1790003600,"x":"{}"}}"#, "x".repeat(count));
        token(HEADER.as_bytes(), claims.as_bytes(), WEB)
    };
    let lengths = (2900..3100).map(|count| {
        let token = fill(count);
        assert_eq!(
            verify(&token).is_ok(),
            token.len() <= MAX_TOKEN_BYTES,
            "{count}"
        );
        token.len()
    });
    let (shortest, longest) = lengths.fold((usize::MAX, 0), |(a, b), it| (a.min(it), b.max(it)));
    assert!((shortest..longest).contains(&MAX_TOKEN_BYTES));
}

fn any_id() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[^\\s\u{1c}-\u{1f}\u{0}-\u{1f}]{1,40}")
}

proptest! {
    #[test]
    fn what_was_signed_comes_back(
        peer in any_id(),
        room in any_id().prop_filter("is kept for itself", |id| id.as_deref() != Some("session")),
        lifetime in 1..u64::MAX / 2,
        not_before in prop::option::of(0..=NOW + LEEWAY_SECONDS),
    ) {
        let claims = Claims {
            expires: NOW + lifetime,
            not_before,
            pass: pass(peer.as_deref(), room.as_deref()),
        };
        let secrets = secrets();
        for name in ["web", "ops"] {
            let token = secrets.sign(name, &claims).expect("signed");
            prop_assert_eq!(secrets.verify(&token, NOW), Ok(Grant::Peer(claims.pass.clone())));
        }
    }

    #[test]
    fn a_token_with_anything_changed_is_refused(
        position in any::<Index>(),
        change in prop_oneof![
            any::<char>().prop_map(Change::Replace),
            prop::sample::select(BASE64.chars().collect::<Vec<_>>()).prop_map(Change::Replace),
            any::<char>().prop_map(Change::Insert),
            Just(Change::Remove),
            Just(Change::Swap),
            Just(Change::Truncate),
        ],
    ) {
        let secrets = secrets();
        let token = secrets.sign("web", &claims(Some("alice"), Some("blue"))).expect("signed");
        let mut changed: Vec<char> = token.chars().collect();
        let at = position.index(changed.len());
        match change {
            Change::Replace(c) => changed[at] = c,
            Change::Insert(c) => changed.insert(at, c),
            Change::Remove => { changed.remove(at); }
            Change::Swap => {
                let next = (at + 1) % changed.len();
                changed.swap(at, next);
            }
            Change::Truncate => changed.truncate(at),
        }
        let changed: String = changed.into_iter().collect();
        if changed != token {
            prop_assert_eq!(secrets.verify(&changed, NOW), Err(Refused::TokenInvalid), "{}", changed);
        }
    }

    #[test]
    fn whatever_lets_in_was_said_in_so_many_words(
        header in any_object(&["alg", "kid", "typ", "crit", "jwk", "x5c", "enc", "zip", "x"]),
        claims in any_object(&["exp", "nbf", "peer", "room", "aud", "admin", "x"]),
    ) {
        let (header_text, claims_text) = (header.to_string(), claims.to_string());
        let token = token(header_text.as_bytes(), claims_text.as_bytes(), WEB);
        if let Ok(pass) = verify(&token) {
            prop_assert_eq!(&header["alg"], "HS256");
            prop_assert_eq!(&header["kid"], "web");
            prop_assert!(header["crit"].is_null() && claims["aud"].is_null());
            prop_assert!(claims["exp"].as_f64() > Some(1e9));
            prop_assert_eq!(pass.peer.as_ref().map(PeerId::as_str), claims["peer"].as_str());
            prop_assert_eq!(pass.room.as_ref().map(RoomId::as_str), claims["room"].as_str());
            prop_assert!(pass.peer.is_some() || claims.get("peer").is_none());
            prop_assert!(pass.room.is_some() || claims.get("room").is_none());
        }
    }

    #[test]
    fn nothing_that_is_made_up_lets_in(text in ".{0,200}", header in ".{0,80}", claims in ".{0,80}") {
        prop_assert_eq!(verify(&text), Err(Refused::TokenInvalid));
        let token = token(header.as_bytes(), claims.as_bytes(), WEB);
        prop_assert_eq!(verify(&token), Err(Refused::TokenInvalid));
        prop_assert_eq!(with_claims(&claims), Err(Refused::TokenInvalid));
    }
}

/// An object with some of these members, each of them more often right than not.
fn any_object(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let odd = prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5e300),
        json!(1_790_003_600_u64),
        json!(""),
        json!("HS256"),
        json!("RS256"),
        json!("web"),
        json!("a"),
        json!(["a"]),
        json!({ "kty": "oct", "k": "YQ" }),
    ]);
    let right = |name: &str| match name {
        "alg" => json!("HS256"),
        "kid" => json!("web"),
        "typ" => json!("JWT"),
        "exp" => json!(1_790_003_600_u64),
        "nbf" => json!(0),
        _ => json!("a"),
    };
    let is_needed = |name: &str| ["alg", "kid", "exp"].contains(&name);
    let members = prop::collection::vec((0..8_u8, odd), names.len());
    members.prop_map(move |members| {
        let members = names
            .iter()
            .zip(members)
            .filter_map(|(&name, (choice, odd))| {
                let value = match choice {
                    0 => odd,
                    1 | 2 => right(name),
                    _ if is_needed(name) => right(name),
                    _ => return None,
                };
                Some((name.to_owned(), value))
            });
        Value::Object(members.collect())
    })
}

const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";

/// What is done to one place of a token.
#[derive(Clone, Debug)]
enum Change {
    Replace(char),
    Insert(char),
    Remove,
    Swap,
    Truncate,
}

/// The last character of each part has bits that mean nothing: every other value is tried at every
/// place, since chance might miss those.
#[test]
fn no_single_character_can_be_another() {
    let secrets = secrets();
    for peer in ["a", "ab", "abc"] {
        let token = secrets
            .sign("web", &claims(Some(peer), None))
            .expect("signed");
        for at in 0..token.len() {
            for other in BASE64.chars().filter(|c| !token[at..].starts_with(*c)) {
                let mut changed = token.clone();
                changed.replace_range(at..=at, other.encode_utf8(&mut [0; 4]));
                let refused = Err(Refused::TokenInvalid);
                assert_eq!(secrets.verify(&changed, NOW), refused, "{changed}");
            }
        }
    }
}
