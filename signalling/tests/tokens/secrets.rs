//! The file of secrets, and secrets as tokens.

use signalling::admission::Refused;
use signalling::relay::Pass;
use signalling::token::{Grant, MAX_SECRETS, MAX_TOKEN_BYTES, Secrets};

use crate::{NOW, OPS, WEB, claims, secrets};

/// What is wrong with a file of secrets.
fn problem(text: &str) -> String {
    Secrets::parse(text).expect_err("refused")
}

#[test]
fn a_secret_lets_in_and_an_administrators_is_known_for_one() {
    let secrets = secrets();
    assert_eq!(secrets.verify(WEB, NOW), Ok(Grant::Peer(Pass::default())));
    assert_eq!(secrets.verify(OPS, NOW), Ok(Grant::Admin));
    assert!(secrets.has_admin());
}

#[test]
fn nothing_but_the_whole_secret_lets_in() {
    let secrets = secrets();
    let longer = format!("{WEB}x");
    let shouted = WEB.to_uppercase();
    let spaced = format!(" {WEB}");
    for token in [
        "",
        "web",
        "ops",
        &WEB[1..],
        &WEB[..WEB.len() - 1],
        &longer,
        &shouted,
        &spaced,
    ] {
        assert_eq!(
            secrets.verify(token, NOW),
            Err(Refused::TokenInvalid),
            "{token}"
        );
    }
}

#[test]
fn comments_blank_lines_and_any_white_space_are_understood() {
    let text =
        format!("# who may enter\r\n\r\n  web\t{WEB}  # the page\r\n\t#\n ops {OPS} admin # me");
    let secrets = Secrets::parse(&text).expect("secrets");
    assert_eq!(secrets.verify(OPS, NOW), Ok(Grant::Admin));
    assert_eq!(secrets.verify(WEB, NOW), Ok(Grant::Peer(Pass::default())));
}

#[test]
fn the_line_that_is_not_understood_is_named() {
    let long_name = "n".repeat(65);
    let long_secret = "s".repeat(MAX_TOKEN_BYTES + 1);
    for (line, part) in [
        ("web", "NAME SECRET"),
        ("web # no secret", "NAME SECRET"),
        ("web #a-secret-of-the-web-page", "NAME SECRET"),
        ("web a-secret-of-the-web-page boss", "NAME SECRET"),
        ("web a-secret-of-the-web-page admin too", "NAME SECRET"),
        ("web fifteen-letters", "at least 16"),
        ("web gheimnis-für-die-seite", "ASCII"),
        ("wéb a-secret-of-the-web-page", "ASCII"),
        (&format!("{long_name} {WEB}"), "64"),
        (&format!("web {long_secret}"), "4096"),
        (&format!("first {WEB}"), "same name"),
        (&format!("other {OPS}"), "same secret"),
    ] {
        let text = format!("# comment\nfirst {OPS}\n{line}\nlast a-secret-that-is-of-no-use");
        let problem = problem(&text);
        assert!(problem.starts_with("line 3: "), "{line}: {problem}");
        assert!(problem.contains(part), "{line}: {problem}");
    }
}

#[test]
fn no_problem_and_no_debug_text_quotes_what_may_be_a_secret() {
    for line in [
        "secretsecretsecret short",
        "secretsecretsecret name boss",
        "secretsecretsecret",
        "name secretsecretsecrét",
        "secretsecretsecret secretsecretsecret\nname secretsecretsecret",
        "secretsecretsecret a-secret-of-the-web-page\nsecretsecretsecret another-secret-of-the-page",
    ] {
        let problem = problem(line);
        assert!(!problem.contains("secretsecret"), "{problem}");
    }
    assert_eq!(format!("{:?}", secrets()), "2 secrets");
}

#[test]
fn a_file_without_secrets_is_refused_since_nobody_could_enter() {
    for text in ["", "\n\n", "# nothing yet\n"] {
        assert!(problem(text).contains("no secret"));
    }
}

#[test]
fn the_number_of_secrets_is_bounded() {
    let lines = |count: usize| -> String {
        (0..count)
            .map(|n| format!("name{n} a-secret-with-a-number-{n}\n"))
            .collect()
    };
    let secrets = Secrets::parse(&lines(MAX_SECRETS)).expect("just as many");
    let last = format!("a-secret-with-a-number-{}", MAX_SECRETS - 1);
    assert!(secrets.verify(&last, NOW).is_ok());
    assert!(!secrets.has_admin());
    assert!(problem(&lines(MAX_SECRETS + 1)).starts_with("line 1001: "));
}

#[test]
fn a_token_is_signed_with_a_secret_that_exists() {
    let problem = secrets()
        .sign("nobody", &claims(None, None))
        .expect_err("no such secret");
    assert!(problem.contains("\"nobody\""), "{problem}");
}

#[test]
fn no_token_is_signed_that_no_relay_would_take() {
    let long = "\u{1}".repeat(256);
    let problem = secrets()
        .sign("web", &claims(Some(&long), Some(&long)))
        .expect_err("too long");
    assert!(problem.contains("4096"), "{problem}");
}
