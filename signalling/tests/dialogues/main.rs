//! The protocol as conversations with the pure relay: every row of `PROTOCOL.md`.
//!
//! A line is something that happens (`a> HELLO alice`) or, under it, what the relay does about it
//! (`<a HELLO`). Everything it does is written down: what is missing or too much fails the test.
//!
//! | line | meaning |
//! |---|---|
//! | `a> text` | `a` sends a text message; who was not there before connects first |
//! | `a>> bytes` | `a` sends a binary message |
//! | `a+ notices` | `a` connects and wants to know who calls it |
//! | `a+ peer=x`, `a+ room=r` | `a` connects with a token for that peer or that room alone |
//! | `a.` | `a` is gone, by a close or a reset |
//! | `a! SlowConsumer` | the driver of `a` condemns it for that reason |
//! | `+ 10 s` | so many seconds pass |
//! | `stop` | the relay is told to stop |
//! | `<a text`, `<<a bytes` | the relay sends that to `a` |
//! | `<a# 1000 reason` | the relay closes `a` |
//!
//! In a message `\s` is a blank, and `\t`, `\n`, `\0`, `\\` are what they are in Rust.

mod bounds;
mod lobby;
mod registration;
mod room;
mod session;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use signalling::config::Limits;
use signalling::frame::{CloseReason, Message};
use signalling::relay::{ConnectionId, Effect, Event, Pass, Relay};

/// Few of everything, so that a conversation can reach its bounds.
const MAX_PEERS: usize = 60;
const MAX_PEERS_PER_ROOM: usize = 55;

struct Stage {
    relay: Relay,
    names: BTreeMap<String, ConnectionId>,
    connections_so_far: u64,
    now: Instant,
    /// What the relay did since the last thing that happened, as lines.
    effects: Vec<String>,
}

/// Plays a conversation and compares every line of the relay.
#[track_caller]
fn dialogue(script: &str) {
    let mut stage = Stage::new();
    let mut played = String::new();
    let mut lines = script
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.is_empty())
        .peekable();
    while let Some(line) = lines.next() {
        assert!(!line.starts_with('<'), "nothing has happened before {line}");
        played += &format!("{line}\n");
        stage.happen(line);
        let mut expected = Vec::new();
        while let Some(answer) = lines.next_if(|line| line.starts_with('<')) {
            expected.push(escape(&unescape(answer)));
        }
        let done = std::mem::take(&mut stage.effects);
        assert_eq!(done, expected, "after\n{played}");
        played.extend(done.iter().map(|line| format!("{line}\n")));
    }
}

impl Stage {
    fn new() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "some instant is needed to start from"
        )]
        let now = Instant::now();
        let limits = Limits {
            peers: MAX_PEERS,
            peers_per_room: MAX_PEERS_PER_ROOM,
            ..Limits::default()
        };
        Self {
            relay: Relay::new(&limits, Duration::from_secs(10)),
            names: BTreeMap::new(),
            connections_so_far: 0,
            now,
            effects: Vec::new(),
        }
    }

    fn happen(&mut self, line: &str) {
        if let Some(passed) = line.strip_prefix("+ ") {
            let seconds = passed.strip_suffix(" s").expect("+ <seconds> s");
            self.now += Duration::from_secs(seconds.parse().expect("a number of seconds"));
            return self.handle(Event::Tick);
        }
        if line == "stop" {
            return self.handle(Event::Stopped);
        }
        let end = line
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(line.len());
        let (name, what) = line.split_at(end);
        if let Some(how) = what.strip_prefix('+') {
            return self.connect(name, how.trim_start());
        }
        if !self.names.contains_key(name) {
            self.connect(name, "");
        }
        let connection = self.names[name];
        let event = if what == "." {
            self.names.remove(name);
            Event::Disconnected { connection }
        } else if let Some(reason) = what.strip_prefix("! ") {
            Event::Condemned {
                connection,
                reason: reason_called(reason),
            }
        } else if let Some(bytes) = what.strip_prefix(">>") {
            let bytes = payload(bytes);
            return self.receive(connection, Message::Binary(bytes.as_bytes()));
        } else if let Some(text) = what.strip_prefix('>') {
            return self.receive(connection, Message::Text(&payload(text)));
        } else {
            panic!("not understood: {line}");
        };
        self.handle(event);
    }

    fn connect(&mut self, name: &str, how: &str) {
        // Never the same one twice, as the relay is promised.
        self.connections_so_far += 1;
        let connection = ConnectionId(self.connections_so_far);
        self.names.insert(name.to_owned(), connection);
        let only = |what| how.strip_prefix(what);
        self.handle(Event::Connected {
            connection,
            wants_notices: how == "notices",
            pass: Pass {
                peer: only("peer=").map(|id| id.parse().expect("a peer id")),
                room: only("room=").map(|id| id.parse().expect("a room id")),
            },
        });
    }

    fn receive(&mut self, connection: ConnectionId, message: Message<'_>) {
        let event = Event::Received {
            connection,
            message,
        };
        self.handle_with(event, Some(message));
    }

    fn handle(&mut self, event: Event<'_>) {
        self.handle_with(event, None);
    }

    fn handle_with(&mut self, event: Event<'_>, message: Option<Message<'_>>) {
        let mut effects = Vec::new();
        self.relay.handle(event, self.now, &mut effects);
        for effect in effects {
            let line = self.line_of(effect, message);
            self.effects.push(line);
        }
    }

    fn line_of(&self, effect: Effect, message: Option<Message<'_>>) -> String {
        match (effect, message) {
            (Effect::Send { to, line: text }, _) => line(format!("<{}", self.name_of(to)), &text),
            (Effect::Forward { to }, Some(Message::Text(text))) => {
                line(format!("<{}", self.name_of(to)), text)
            }
            (Effect::Forward { to }, Some(Message::Binary(bytes))) => {
                let text = std::str::from_utf8(bytes).expect("scripts are text");
                line(format!("<<{}", self.name_of(to)), text)
            }
            (
                Effect::PassOn {
                    to,
                    from,
                    payload_at,
                },
                Some(Message::Text(text)),
            ) => line(
                format!("<{}", self.name_of(to)),
                &format!("ROOM_PEER_MSG {from} {}", &text[payload_at..]),
            ),
            (Effect::Close { connection, reason }, _) => line(
                format!("<{}# {}", self.name_of(connection), reason.code()),
                reason.text(),
            ),
            (effect, message) => panic!("{effect:?} cannot follow {message:?}"),
        }
    }

    fn name_of(&self, connection: ConnectionId) -> &str {
        self.names
            .iter()
            .find(|&(_, &id)| id == connection)
            .map_or("nobody", |(name, _)| name)
    }
}

fn line(head: String, text: &str) -> String {
    match text {
        "" => head,
        text => escape(&format!("{head} {text}")),
    }
}

/// The one spelling in which lines are compared.
fn escape(text: &str) -> String {
    let mut escaped = text
        .replace('\\', "\\\\")
        .replace('\t', "\\t")
        .replace('\n', "\\n")
        .replace('\0', "\\0");
    if escaped.ends_with(' ') {
        escaped.truncate(escaped.len() - 1);
        escaped += "\\s";
    }
    escaped
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next() {
                Some('s') => ' ',
                Some('t') => '\t',
                Some('n') => '\n',
                Some('0') => '\0',
                Some('\\') => '\\',
                other => panic!("no such escape: {other:?}"),
            },
            c => c,
        });
    }
    plain
}

/// What stands behind the `>`, without the blank that separates them.
fn payload(text: &str) -> String {
    unescape(text.strip_prefix(' ').unwrap_or(text))
}

fn reason_called(name: &str) -> CloseReason {
    [
        CloseReason::SlowConsumer,
        CloseReason::KeepaliveTimeout,
        CloseReason::MessageTooBig,
        CloseReason::InvalidUtf8,
        CloseReason::BrokenFrame,
    ]
    .into_iter()
    .find(|reason| format!("{reason:?}") == name)
    .expect("a reason a driver may have")
}
