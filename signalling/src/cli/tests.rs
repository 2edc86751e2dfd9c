//! Every setting by every way.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::{Task, command, understand};
use crate::config::{Certificate, Config, Deadlines, IceConfig, Limits, Secret};
use crate::settings::table::{Kind, SETTINGS, find};
use crate::settings::{Log, LogFormat, Mistake, Settings, environment, print};

mod mistakes;

/// Of every setting three values as they stand in a file; of none the default.
const SAMPLES: &[(&str, [&str; 3])] = &[
    (
        "listen",
        [r#""[::1]:1""#, r#""0.0.0.0:2""#, r#""10.0.0.1:3""#],
    ),
    ("tls-cert", [r#""/a.pem""#, r#""b.pem""#, r#""c d.pem""#]),
    ("tls-key", [r#""/a.key""#, r#""b.key""#, r#""c d.key""#]),
    (
        "tls-self-signed",
        [r#"["a.org"]"#, r#"["b.org", "::1"]"#, "true"],
    ),
    (
        "allow-origin",
        [
            r#"["https://a.org"]"#,
            r#"["http://b:8000"]"#,
            r#"["https://c", "https://d"]"#,
        ],
    ),
    ("token-file", [r#""/a""#, r#""b""#, r#""c""#]),
    ("max-message-bytes", ["1024", "2048", "4096"]),
    ("max-connections", ["20001", "20002", "20003"]),
    ("max-connections-per-address", ["1", "2", "3"]),
    ("max-new-connections-per-second", ["1", "2", "3"]),
    ("max-handshakes", ["1", "2", "3"]),
    ("max-peers", ["1001", "1002", "1003"]),
    ("max-peers-per-room", ["1", "2", "3"]),
    ("max-messages-per-second", ["1", "2", "3"]),
    ("max-outbox-bytes", ["2000001", "2000002", "2000003"]),
    ("limit-loopback", ["true", "false", "true"]),
    ("handshake-deadline", ["1", "2", "0.3"]),
    ("hello-deadline", ["1", "2", "0.3"]),
    ("ping-interval", ["1", "2", "0.3"]),
    ("stall-limit", ["1", "2", "0.3"]),
    (
        "stun",
        [
            r#"["stun:a"]"#,
            r#"["stuns:b:1"]"#,
            r#"["stun:c", "stun:[::1]:2"]"#,
        ],
    ),
    (
        "turn",
        [
            r#"["turn:a"]"#,
            r#"["turns:b:1?transport=tcp"]"#,
            r#"["turn:c", "turn:d"]"#,
        ],
    ),
    ("turn-secret-file", [r#""/a""#, r#""b""#, r#""c""#]),
    ("turn-lifetime", ["1", "2", "3"]),
    ("log-format", [r#""json""#, r#""text""#, r#""json""#]),
    (
        "log",
        [r#""debug""#, r#""signalling=trace,warn""#, r#""off""#],
    ),
];

/// What a setting needs beside itself.
fn companions(name: &str) -> &'static str {
    match name {
        "tls-cert" => "tls-key = \"k\"\n",
        "tls-key" => "tls-cert = \"c\"\n",
        "turn" => "turn-secret-file = \"s\"\n",
        _ => "",
    }
}

/// A value of a file, as a variable or an option has it.
fn plain(value: &str) -> String {
    value.replace(['[', ']', '"'], "").replace(", ", ",")
}

/// The same, but for the brackets of an address.
fn typed(name: &str, value: &str) -> String {
    match find(name).expect("a setting").kind {
        Kind::Text => value.trim_matches('"').to_owned(),
        Kind::List if value.contains("[::1]") => "stun:c,stun:[::1]:2".to_owned(),
        Kind::Number | Kind::Switch | Kind::List | Kind::Names => plain(value),
    }
}

fn tell(options: &[String], variables: &[(String, String)], file: &str) -> Result<Task, Mistake> {
    let mut line = vec!["signalling".to_owned()];
    line.extend_from_slice(options);
    if !file.is_empty() {
        line.extend(["--config".to_owned(), "relay.toml".to_owned()]);
    }
    let matches = command()
        .try_get_matches_from(line)
        .unwrap_or_else(|error| panic!("{options:?}: {error}"));
    let variables = variables
        .iter()
        .map(|(name, text)| (OsString::from(name), OsString::from(text)));
    understand(&matches, variables, |path| {
        assert_eq!(path, Path::new("relay.toml"));
        Ok(file.to_owned())
    })
}

fn meant(options: &[String], variables: &[(String, String)], file: &str) -> Settings {
    match tell(options, variables, file) {
        Ok(Task::Serve { settings, .. }) => *settings,
        other => panic!("{options:?} {variables:?} {file}: {other:?}"),
    }
}

fn mistake(options: &str, variables: &[(&str, &str)], file: &str) -> String {
    let options: Vec<_> = options.split_whitespace().map(str::to_owned).collect();
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    match tell(&options, &variables, file) {
        Err(Mistake(sentence)) => sentence,
        Ok(task) => panic!("no mistake: {task:?}"),
    }
}

fn shown(settings: &Settings, name: &str) -> Option<String> {
    let show = find(name).expect("a setting").show;
    show(settings).map(|value| value.to_string())
}

#[test]
fn every_option_counts_before_its_variable_before_its_key_before_the_default() {
    for (name, [in_file, in_variable, in_option]) in SAMPLES {
        let file = format!("{}{name} = {in_file}\n", companions(name));
        let variable = [(environment::variable(name), typed(name, in_variable))];
        let option = [format!("--{name}={}", typed(name, in_option))];
        let said = |settings: &Settings| shown(settings, name).expect("something");
        let usual = shown(&Settings::default(), name);
        let companion = companions(name);
        assert_ne!(usual.as_deref(), Some(*in_file), "{name}");
        assert_eq!(said(&meant(&[], &[], &file)), *in_file);
        assert_eq!(said(&meant(&[], &variable, &file)), *in_variable);
        assert_eq!(said(&meant(&option, &variable, &file)), *in_option);
        assert_eq!(said(&meant(&option, &[], &file)), *in_option);
        assert_eq!(said(&meant(&option, &variable, companion)), *in_option);
        assert_eq!(said(&meant(&[], &variable, companion)), *in_variable);
        assert_eq!(said(&meant(&option, &[], companion)), *in_option);
    }
}

/// What no option but these is for: the program itself.
const NO_SETTINGS: [&str; 4] = ["config", "print-config", "help", "version"];

#[test]
fn no_option_of_the_command_line_is_forgotten_elsewhere() {
    let mut command = command();
    command.build();
    let options: BTreeSet<_> = command
        .get_arguments()
        .map(|option| option.get_long().expect("a long name").to_owned())
        .filter(|name| !NO_SETTINGS.contains(&name.as_str()))
        .collect();
    let samples: BTreeSet<_> = SAMPLES.iter().map(|(name, _)| (*name).to_owned()).collect();
    let settings: BTreeSet<_> = SETTINGS.iter().map(|one| one.name.to_owned()).collect();
    assert_eq!(options, settings);
    assert_eq!(options, samples);
    assert_eq!(settings.len(), SETTINGS.len());
}

#[test]
fn no_option_is_hidden_or_unexplained() {
    let wrapped = command().render_long_help().to_string();
    let help = wrapped.split_whitespace().collect::<Vec<_>>().join(" ");
    for setting in SETTINGS {
        assert!(
            help.contains(&format!("--{}", setting.name)),
            "{}",
            setting.name
        );
        assert!(help.contains(setting.help), "{}", setting.name);
    }
}

#[test]
fn the_guide_for_operators_has_every_setting_with_its_default() {
    let guide = include_str!("../../../docs/relay.md");
    for setting in SETTINGS {
        let row = format!("| `{}` |", setting.name);
        let line = guide.lines().find(|line| line.starts_with(&row));
        let line = line.unwrap_or_else(|| panic!("no row {row}"));
        if let Some(usual) = setting.usual() {
            assert!(line.contains(&format!("| `{usual}` |")), "{line}");
        }
    }
}

#[test]
fn the_example_in_the_guide_is_a_file_the_relay_takes() {
    let guide = include_str!("../../../docs/relay.md");
    let (_, rest) = guide.split_once("```toml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let settings = meant(&[], &[], example);
    assert!(settings.config.tls.is_some() && settings.config.token_file.is_some());
}

/// All of it at once, compared field by field: showing has no part in this.
fn everything() -> (&'static str, Settings) {
    let options = "--listen [::1]:0 --tls-cert c --tls-key k --allow-origin https://a.org \
                   --allow-origin HTTPS://B.org:443 --token-file t --max-message-bytes 2000 \
                   --max-connections 900 --max-connections-per-address 4 \
                   --max-new-connections-per-second 5 --max-handshakes 6 --max-peers 700 \
                   --max-peers-per-room 8 --max-messages-per-second 9 --max-outbox-bytes 300000 \
                   --limit-loopback --handshake-deadline 1 --hello-deadline 0.5 \
                   --ping-interval 2m --stall-limit 3ms --stun stun:a --turn turn:b \
                   --turn-secret-file s --turn-lifetime 1d --log-format json --log debug";
    let config = Config {
        listen: "[::1]:0".parse().expect("an address"),
        limits: Limits {
            message_bytes: 2000,
            connections: 900,
            connections_per_address: 4,
            new_connections_per_second: 5,
            handshakes: 6,
            peers: 700,
            peers_per_room: 8,
            messages_per_second: 9,
            outbox_bytes: 300_000,
            loopback_too: true,
        },
        deadlines: Deadlines {
            handshake: Duration::from_secs(1),
            hello: Duration::from_millis(500),
            ping_interval: Duration::from_secs(120),
            stall: Duration::from_millis(3),
        },
        tls: Some(Certificate::Files {
            certificate: "c".into(),
            key: "k".into(),
        }),
        allowed_origins: Some(vec!["https://a.org".into(), "https://b.org".into()]),
        token_file: Some("t".into()),
        ice: IceConfig {
            stun: vec!["stun:a".into()],
            turn: vec!["turn:b".into()],
            turn_secret: None,
            turn_lifetime: Duration::from_secs(24 * 3600),
        },
    };
    let settings = Settings {
        config,
        turn_secret_file: Some("s".into()),
        log: Log {
            format: LogFormat::Json,
            filter: "debug".into(),
        },
    };
    (options, settings)
}

#[test]
fn every_option_reaches_the_configuration() {
    let (options, settings) = everything();
    let options: Vec<_> = options.split_whitespace().map(str::to_owned).collect();
    assert_eq!(meant(&options, &[], ""), settings);
}

#[test]
fn every_variable_reaches_the_configuration() {
    let (options, settings) = everything();
    let mut variables: Vec<(String, String)> = Vec::new();
    for option in options.split("--").skip(1) {
        let (name, text) = option
            .trim()
            .split_once(' ')
            .unwrap_or((option.trim(), "yes"));
        let name = environment::variable(name);
        match variables.iter_mut().find(|(other, _)| *other == name) {
            Some((_, list)) => *list += &format!(", {text}"),
            None => variables.push((name, text.to_owned())),
        }
    }
    assert_eq!(meant(&[], &variables, ""), settings);
}

#[test]
fn every_key_reaches_the_configuration() {
    let (options, settings) = everything();
    let mut file = String::new();
    for option in options.split("--").skip(1) {
        let (name, text) = option.trim().split_once(' ').unwrap_or((option.trim(), ""));
        file += &match name {
            "limit-loopback" => format!("{name} = true\n"),
            "allow-origin" if file.contains(name) => continue,
            "allow-origin" => format!("{name} = [\"https://a.org\", \"HTTPS://B.org:443\"]\n"),
            _ => format!("{name} = \"{text}\"\n"),
        };
    }
    assert_eq!(meant(&[], &[], &file), settings);
}

#[test]
fn what_is_printed_is_a_file_that_says_the_same() {
    let (_, all) = everything();
    let mut others: Vec<_> = SAMPLES
        .iter()
        .flat_map(|(name, values)| {
            values.map(|value| format!("{}{name} = {value}", companions(name)))
        })
        .map(|file| meant(&[], &[], &file))
        .collect();
    others.extend([all, Settings::default()]);
    for settings in others {
        let file = print(&settings);
        assert_eq!(meant(&[], &[], &file), settings, "{file}");
    }
}

#[test]
fn without_a_word_the_usual_relay_is_meant() {
    assert_eq!(meant(&[], &[], ""), Settings::default());
    let empty = [("ALDIS_RELAY_MAX_PEERS".to_owned(), String::new())];
    assert_eq!(meant(&[], &empty, "# nothing\n"), Settings::default());
    assert_eq!(Settings::default().config.check(), Ok(()));
}

#[test]
fn a_bound_of_which_nothing_was_said_follows_the_others() {
    let limits = |options: &str| {
        let options: Vec<_> = options.split_whitespace().map(str::to_owned).collect();
        meant(&options, &[], "").config.limits
    };
    let few = limits("--max-connections 10");
    assert_eq!(
        (
            few.connections_per_address,
            few.handshakes,
            few.peers,
            few.peers_per_room
        ),
        (10, 10, 10, 10)
    );
    let wordy = limits("--max-message-bytes 1000000");
    assert_eq!(wordy.outbox_bytes, 4_004_096);
    let terse = limits("--max-message-bytes 1024");
    assert_eq!(terse.outbox_bytes, Limits::default().outbox_bytes);
    let boundless = limits("--max-message-bytes 4294967295");
    assert!(boundless.outbox_bytes > 4_294_967_295);
}

#[test]
fn a_stronger_word_about_the_certificate_displaces_a_weaker_one_as_a_whole() {
    let files = "tls-cert = 'c'\ntls-key = 'k'\n";
    let tls = |options: &str, file: &str| {
        let options: Vec<_> = options.split_whitespace().map(str::to_owned).collect();
        meant(&options, &[], file).config.tls
    };
    let read = Certificate::Files {
        certificate: "c".into(),
        key: "k".into(),
    };
    let made = Certificate::SelfSigned { names: Vec::new() };
    assert_eq!(tls("--tls-self-signed", files), Some(made.clone()));
    assert_eq!(
        tls("--tls-cert c --tls-key k", "tls-self-signed = true"),
        Some(read.clone())
    );
    assert_eq!(tls("--tls-self-signed=false", files), Some(read));
    assert_eq!(
        tls("--tls-self-signed=false", "tls-self-signed = true"),
        None
    );
    assert_eq!(tls("", "tls-self-signed = true"), Some(made));
}

#[test]
fn the_secret_of_turn_comes_from_a_variable_or_a_file_and_is_shown_nowhere() {
    let secret = [("ALDIS_RELAY_TURN_SECRET".to_owned(), "S3CRET".to_owned())];
    let by_variable = meant(&[], &secret, "turn = 'turn:a'\nturn-secret-file = 'f'");
    let kept = by_variable
        .config
        .ice
        .turn_secret
        .as_ref()
        .map(Secret::reveal);
    assert_eq!(kept, Some("S3CRET"));
    assert_eq!(by_variable.turn_secret_file, None);
    let printed = print(&by_variable);
    assert!(
        !printed.contains("S3CRET") && !printed.contains("secret"),
        "{printed}"
    );
    assert!(!format!("{by_variable:?}").contains("S3CRET"));
    let by_option = meant(&["--turn-secret-file=g".to_owned()], &secret, "");
    assert_eq!(by_option.config.ice.turn_secret, None);
    assert_eq!(by_option.turn_secret_file, Some("g".into()));
    let both = [
        ("ALDIS_RELAY_TURN_SECRET", "S3CRET"),
        ("ALDIS_RELAY_TURN_SECRET_FILE", "f"),
    ];
    let sentence = mistake("", &both, "");
    assert!(sentence.contains("leave one of them away"), "{sentence}");
    let sentence = mistake("--turn turn:alice:S3CRET@a", &[], "");
    assert!(
        sentence.starts_with("invalid value for --turn: no user"),
        "{sentence}"
    );
    assert!(!sentence.contains("S3CRET"), "{sentence}");
}

#[test]
fn the_filter_many_programs_share_is_understood_and_never_a_reason_not_to_start() {
    let shared = |filter: &str| [("RUST_LOG".to_owned(), filter.to_owned())];
    let log =
        |options: &[String], variables: &[_], file| meant(options, variables, file).log.filter;
    assert_eq!(log(&[], &shared("debug"), "log = 'warn'"), "debug");
    assert_eq!(
        log(&["--log=trace".to_owned()], &shared("debug"), ""),
        "trace"
    );
    let mut both = shared("debug").to_vec();
    both.push(("ALDIS_RELAY_LOG".to_owned(), "error".to_owned()));
    assert_eq!(log(&[], &both, ""), "error");
    assert_eq!(log(&[], &shared("a=b=c,warn"), ""), "warn");
    assert_eq!(log(&[], &shared("a=b=c"), ""), "info");
    assert_eq!(log(&[], &shared("inof,warn"), ""), "warn");
    assert_eq!(log(&[], &shared("signalling"), ""), "signalling");
    for wrong in ["a=b=c", "inof", "hyper=warn,inof"] {
        let sentence = mistake(&format!("--log {wrong}"), &[], "");
        let start = format!("invalid value '{wrong}' for --log: ");
        assert!(sentence.starts_with(&start), "{sentence}");
    }
    for right in ["OFF", "5", "signalling", "hyper=warn,info", "info,"] {
        assert_eq!(log(&[format!("--log={right}")], &[], ""), right);
    }
}

#[test]
fn the_file_may_be_named_by_a_variable_and_must_be_there() {
    let seen = RefCell::new(Vec::new());
    let variable = [(
        OsString::from("ALDIS_RELAY_CONFIG"),
        OsString::from("v.toml"),
    )];
    let named = |line: &[&str]| {
        let matches = command().get_matches_from(line);
        understand(&matches, variable.clone(), |path| {
            seen.borrow_mut().push(path.display().to_string());
            Err(io::ErrorKind::NotFound.into())
        })
    };
    let mistake = named(&["signalling"]).expect_err("no file");
    assert_eq!(
        mistake.0,
        "cannot read the settings in v.toml: entity not found"
    );
    assert!(named(&["signalling", "--config", "o.toml"]).is_err());
    assert_eq!(*seen.borrow(), ["v.toml", "o.toml"]);
}

#[test]
fn few_descriptors_lower_what_needs_them_and_nothing_else() {
    let limits = Limits::default();
    assert_eq!(limits.clone().within(100_000), limits);
    let few = limits.clone().within(132);
    assert_eq!(
        (few.connections, few.peers, few.handshakes),
        (100, 100, 100)
    );
    assert_eq!(few.messages_per_second, limits.messages_per_second);
    assert_eq!(few.outbox_bytes, limits.outbox_bytes);
    assert_eq!(limits.within(3).connections, 1);
}
