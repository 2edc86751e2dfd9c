//! Looks at everything at the same time, with a limit for each, and reports what was found.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_channel::bounded;
use async_std::future::timeout;
use async_std::task;
use futures_util::future::{join, join_all};
use futures_util::join;

use super::servers::{Asked, server, udp};
use super::stun::{Server, Transport};
use super::{Diagnosis, Finding, candidates, clock, codecs, gathering, machine, relay, turn};
use crate::capture::Timeline;
use crate::config::{Config, IcePolicy};
use crate::failure::Failure;
use crate::media::{Kind, Media};
use crate::peer::PeerSettings;
use crate::printer::Printer;
use crate::receive::Outputs;
use crate::turn_tls::TurnTls;

/// How long looking at one thing may take; what goes through the network has to know the relay first,
/// and may take as long again.
const LOOK_DEADLINE: Duration = Duration::from_secs(4);

/// How long looking at the machine may take, which has to wait for nobody else.
const MACHINE_DEADLINE: Duration = Duration::from_secs(9);

/// How many STUN and TURN servers are asked.
const MAX_SERVERS: usize = 8;

/// Examines everything that a call with this configuration would need.
///
/// # Errors
/// When a call would not work.
pub async fn run(config: Config, printer: Printer) -> Result<(), Failure> {
    let diagnosis = examine(&config).await;
    for finding in &diagnosis.findings {
        let _ = printer.print(finding);
    }
    let _ = printer.print(&diagnosis.summary());
    diagnosis.verdict()
}

async fn examine(config: &Config) -> Diagnosis {
    let (network, machine) = join(network(config), this_machine(config)).await;
    Diagnosis {
        findings: [network, machine].concat(),
    }
}

async fn network(config: &Config) -> Vec<Finding> {
    let connection = &config.connection;
    let visiting = relay::visit(connection.relay.clone(), config.our_id.clone());
    let seen = timeout(LOOK_DEADLINE, visiting).await;
    // Servers that were named by hand are asked all the same.
    let unanswered = |name| Finding::unanswered(name, LOOK_DEADLINE.as_secs());
    let seen = seen.unwrap_or_else(|_| relay::Seen::nothing(unanswered("relay")));
    let mut findings = seen.findings;
    let relays = seen
        .date
        .as_deref()
        .and_then(|date| httpdate::parse_http_date(date).ok());
    findings.push(clock(seconds(now()), relays.map(seconds)));
    let ice = connection.ice.and(&seen.servers);
    let settings = PeerSettings {
        recorder: None,
        adapts: false,
        media: config.media.clone(),
        timeline: Timeline::default(),
        outputs: Outputs::NONE,
        ice_policy: connection.ice_policy,
        local_address: connection.local_address,
        data: false,
        turn_tls: TurnTls::new(connection.turn_trust.clone()),
        ice,
    };
    let (asked, gathered) = join(
        ask_servers(&settings),
        timeout(
            LOOK_DEADLINE + Duration::from_secs(1),
            gathering::gather(&settings),
        ),
    )
    .await;
    findings.extend(asked);
    findings.push(match gathered {
        Ok(Ok(types)) => candidates(
            &types,
            connection.ice_policy == IcePolicy::Relay,
            !settings.ice.turn.is_empty(),
        ),
        Ok(Err(reason)) => Finding::problem(
            "candidates",
            format!("webrtcbin does not start: {reason}."),
            "Install what `plugins` says.",
        ),
        Err(_) => unanswered("candidates"),
    });
    findings
}

/// What the STUN and TURN servers say, and whether UDP gets through at all.
async fn ask_servers(settings: &PeerSettings) -> Vec<Finding> {
    let questions = questions(&settings.ice.stun, &settings.ice.turn);
    let asking = questions
        .iter()
        .map(|(server, transport, is_turn)| async move {
            let asking = turn::ask(server, *transport, *is_turn, &settings.turn_tls);
            let asked = timeout(LOOK_DEADLINE, asking).await;
            asked.unwrap_or_else(|_| Asked::silent(server, *transport, *is_turn))
        });
    let asked: Vec<Asked> = join_all(asking).await;
    let by_udp: Vec<_> = asked
        .iter()
        .filter(|asked| asked.transport == Transport::Udp)
        .map(|asked| asked.outcome.is_answer())
        .collect();
    let mut findings = vec![udp(&by_udp)];
    for (name, is_turn) in [("stun", false), ("turn", true)] {
        let of_kind = asked.iter().filter(|asked| asked.is_turn == is_turn);
        let before = findings.len();
        findings.extend(of_kind.map(server));
        if findings.len() == before {
            let option = format!("No {} server is named.", name.to_ascii_uppercase());
            findings.push(Finding::skipped(name, option));
        }
    }
    findings
}

/// Each server once by each way. One that is to be asked by TLS is asked by nothing else: it listens
/// for nothing else.
fn questions(stun: &[String], turn: &[String]) -> Vec<(Server, Transport, bool)> {
    let servers = |urls: &[String]| -> Vec<Server> {
        urls.iter()
            .filter_map(|url| Server::parse(url))
            .take(MAX_SERVERS)
            .collect()
    };
    let mut questions = Vec::new();
    for server in servers(stun) {
        questions.push((server, Transport::Udp, false));
    }
    let turn = servers(turn);
    let wanted: HashSet<_> = turn
        .iter()
        .map(|server| (server.place(), server.transport))
        .collect();
    for server in turn {
        let ways: &[Transport] = match server.transport {
            Transport::Tls => &[Transport::Tls],
            Transport::Udp | Transport::Tcp => &[Transport::Udp, Transport::Tcp],
        };
        for way in ways {
            let is_asked_as_its_own =
                *way != server.transport && wanted.contains(&(server.place(), *way));
            if !is_asked_as_its_own {
                questions.push((server.clone(), *way, true));
            }
        }
    }
    questions
}

async fn this_machine(config: &Config) -> Vec<Finding> {
    let media = &config.media;
    let installed = machine::plugins(media);
    let (codecs, display, sound, sources, camera) = join!(
        codecs(media),
        timeout(MACHINE_DEADLINE, machine::display(media, config.show)),
        timeout(MACHINE_DEADLINE, machine::sound(media, config.show)),
        timeout(MACHINE_DEADLINE, machine::sources(media)),
        timeout(MACHINE_DEADLINE, machine::camera(media)),
    );
    let mut findings = vec![installed];
    let unanswered = |name| Finding::unanswered(name, MACHINE_DEADLINE.as_secs());
    findings.extend(codecs);
    findings.push(display.unwrap_or_else(|_| unanswered("display")));
    findings.extend(sound.unwrap_or_else(|_| vec![unanswered("sound")]));
    findings.extend(sources.unwrap_or_else(|_| vec![unanswered("source")]));
    findings.push(camera.unwrap_or_else(|_| unanswered("camera")));
    findings
}

/// What encodes and decodes. A busy machine may not come to the codecs that a call does without.
async fn codecs(media: &Media) -> Vec<Finding> {
    const NAME: &str = "encoder";
    let needed = Kind::ALL.iter().filter(|kind| media.sends(**kind)).count();
    if needed == 0 {
        return vec![Finding::skipped(NAME, "Nothing is sent.")];
    }
    let (tell, told) = bounded(1);
    let proving = media.clone();
    drop(task::spawn_blocking(move || codecs::prove(&proving, &tell)));
    let mut proven = Vec::new();
    let all = async {
        while let Ok(findings) = told.recv().await {
            proven.push(findings);
        }
    };
    if timeout(MACHINE_DEADLINE, all).await.is_err() {
        proven.push(vec![match proven.len() < needed {
            true => Finding::unanswered(NAME, MACHINE_DEADLINE.as_secs()),
            false => Finding::skipped(NAME, "There was no time for the other codecs."),
        }]);
    }
    proven.concat()
}

#[expect(clippy::disallowed_methods, reason = "the clock is what is looked at")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_is_asked_once_by_each_way() {
        let asked = |turn: &[&str]| {
            let turn: Vec<_> = turn.iter().map(|url| (*url).to_owned()).collect();
            let questions = questions(&[], &turn);
            let ways = questions
                .iter()
                .map(|(server, way, _)| (server.transport == *way, *way));
            ways.collect::<Vec<_>>()
        };
        let (udp, tcp, tls) = (Transport::Udp, Transport::Tcp, Transport::Tls);
        assert_eq!(asked(&["turn://u:p@h"]), [(true, udp), (false, tcp)]);
        assert_eq!(
            asked(&["turn://u:p@h", "turn://u:p@h?transport=tcp"]),
            [(true, udp), (true, tcp)]
        );
        assert_eq!(asked(&["turns://u:p@h"]), [(true, tls)]);
        assert!(asked(&["nonsense"]).is_empty());
    }
}
