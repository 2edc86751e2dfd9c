//! Why a connection did not come about: how far it came, and the sentence for that.

use std::fmt;

use serde::Serialize;

/// The stages of a connection, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The relay finds the peer, and offer and answer are exchanged.
    Signalling,
    /// Each end finds the addresses by which it may be reached.
    Gathering,
    /// ICE looks for a pair of addresses between which packets pass
    /// ([RFC 8445](https://www.rfc-editor.org/rfc/rfc8445)).
    Ice,
    /// DTLS agrees on keys, and each end proves who it is
    /// ([RFC 8827, section 6.5](https://www.rfc-editor.org/rfc/rfc8827#section-6.5)).
    Dtls,
    /// Frames flow.
    Media,
}

/// How far a connection has come, as webrtcbin tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether both descriptions are in place.
    pub is_agreed: bool,
    /// The candidates of this end.
    pub ours: Candidates,
    /// The candidates of the other end that it told of.
    pub theirs: Candidates,
    /// How many TURN servers were asked.
    pub turn_servers: usize,
    /// Whether no other way than a TURN server may be used.
    pub relay_alone: bool,
    /// Whether this end has found all the candidates there are.
    pub is_gathered: bool,
    /// How far ICE is.
    pub ice: Step,
    /// How far DTLS is.
    pub dtls: Step,
    /// Whether the other end announced that it sends something.
    pub is_sent_to: bool,
}

/// How many candidates there are of each type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    /// Addresses of the machine itself.
    pub host: u32,
    /// As a STUN server, or the other end, sees it.
    pub reflexive: u32,
    /// Lent by a TURN server.
    pub relay: u32,
}

/// How far one of the protocols is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Step {
    /// It is not done.
    #[default]
    Pending,
    /// It is done.
    Done,
    /// It has failed.
    Failed,
}

/// What a connection has carried once it is up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Packets of media that came.
    pub packets: u64,
    /// Frames and buffers of sound that were decoded.
    pub frames: u64,
}

impl Candidates {
    /// Counts one more, by the word behind `typ`.
    pub fn add(&mut self, kind: &str) {
        match kind {
            "host" => self.host = self.host.saturating_add(1),
            "srflx" | "prflx" => self.reflexive = self.reflexive.saturating_add(1),
            "relay" => self.relay = self.relay.saturating_add(1),
            _ => {}
        }
    }

    fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// The type of a candidate: the word behind `typ`
/// ([RFC 8839, section 5.1](https://www.rfc-editor.org/rfc/rfc8839#section-5.1)).
pub fn candidate_type(line: &str) -> Option<&str> {
    let mut words = line.split_ascii_whitespace();
    words.find(|word| *word == "typ")?;
    words.next()
}

/// What is wrong with an end that may go through TURN servers alone and knows of none.
pub const NO_TURN_SERVER: &str = "This end has no way to be reached: --ice-policy relay allows for \
                                  TURN servers alone, and none is named; name one with --turn.";

/// Whether a connection cannot come about any more: this end has told the other one of no address, and
/// will tell of none.
pub fn is_hopeless(progress: &Progress) -> bool {
    progress.is_agreed && progress.is_gathered && progress.relay_alone && progress.ours.is_empty()
}

/// Which stage a connection that is not up has failed in, and why; `None` while it is not a matter of
/// the connection, but of the two ends agreeing on one.
pub fn of_connecting(progress: &Progress) -> Option<(Stage, String)> {
    if !progress.is_agreed {
        return None;
    }
    Some(match (progress.ice, progress.dtls) {
        (_, Step::Failed) => (
            Stage::Dtls,
            "ICE found a path, but DTLS failed on it: the other side does not agree on keys with \
             this one; see what it says."
                .into(),
        ),
        (Step::Done, Step::Pending | Step::Done) => (
            Stage::Dtls,
            "ICE found a path, but the DTLS handshake on it did not finish: something lets small \
             packets through and not those; look for a firewall in between, or use a --turn server \
             by TCP."
                .into(),
        ),
        (Step::Pending | Step::Failed, _) => without_path(progress),
    })
}

fn without_path(progress: &Progress) -> (Stage, String) {
    let Progress { ours, theirs, .. } = *progress;
    if ours.is_empty() && progress.relay_alone {
        let sentence = match progress.turn_servers {
            0 => NO_TURN_SERVER,
            _ => {
                "No TURN server lent this end an address, and --ice-policy relay allows for no \
                 other way; is the user or the password wrong? --check says so."
            }
        };
        return (Stage::Gathering, sentence.into());
    }
    if ours.is_empty() {
        let sentence = "This end found no address of its own by which it could be reached; \
                        connect this machine to a network.";
        return (Stage::Gathering, sentence.into());
    }
    let advice = match (progress.turn_servers, ours.relay + theirs.relay) {
        (0, 0) => "where there is a NAT or a firewall in between, give both ends a --turn server",
        (_, 0) => {
            "no TURN server lent an address, which would be the way round a NAT or a firewall; \
             --check says why"
        }
        (_, _) => "nothing got through by TURN either; --check says what gets through here",
    };
    let sentence = match theirs.is_empty() {
        true => format!(
            "No network path to the other side was found: this end offered {ours}, the other one \
             told of no address; {advice}."
        ),
        false => format!(
            "No network path to the other side was found between {ours} here and {theirs} there; \
             {advice}."
        ),
    };
    (Stage::Ice, sentence)
}

/// Why nothing is seen or heard of the other side though the connection is up; `None` when all is well.
pub fn of_media(progress: &Progress, carried: Carried) -> Option<String> {
    match (carried.packets, carried.frames) {
        (_, 1..) => None,
        (0, 0) if !progress.is_sent_to => None,
        (0, 0) => Some(
            "The connection is up, but no media comes: the other side announced some; see whether \
             its camera and microphone work."
                .into(),
        ),
        (packets, 0) => Some(format!(
            "The connection is up and {packets} packets of media came, but no frame could be \
             decoded of them; another --video-codec may do."
        )),
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signalling => "signalling",
            Self::Gathering => "gathering",
            Self::Ice => "ICE",
            Self::Dtls => "DTLS",
            Self::Media => "media",
        })
    }
}

impl fmt::Display for Candidates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            (self.host, "host"),
            (self.reflexive, "srflx"),
            (self.relay, "relay"),
        ];
        let mut separator = "";
        for (count, kind) in kinds.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{separator}{count} {kind}")?;
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: Candidates = Candidates {
        host: 2,
        reflexive: 0,
        relay: 0,
    };

    fn agreed() -> Progress {
        Progress {
            is_agreed: true,
            ours: HOSTS,
            theirs: HOSTS,
            ..Progress::default()
        }
    }

    fn diagnose(progress: &Progress) -> (Stage, String) {
        of_connecting(progress).expect("both ends agree")
    }

    #[test]
    fn before_both_ends_agree_there_is_no_connection_to_blame() {
        assert_eq!(of_connecting(&Progress::default()), None);
    }

    #[test]
    fn who_finds_no_address_is_told_apart_from_who_is_lent_none() {
        let (stage, sentence) = diagnose(&Progress {
            ours: Candidates::default(),
            ..agreed()
        });
        assert_eq!(stage, Stage::Gathering);
        assert!(sentence.contains("connect this machine"), "{sentence}");
        let (stage, sentence) = diagnose(&Progress {
            ours: Candidates::default(),
            relay_alone: true,
            turn_servers: 1,
            ..agreed()
        });
        assert_eq!(stage, Stage::Gathering);
        assert!(sentence.contains("password wrong"), "{sentence}");
    }

    #[test]
    fn what_has_told_of_no_address_and_will_tell_of_none_is_hopeless() {
        let hopeless = Progress {
            ours: Candidates::default(),
            relay_alone: true,
            is_gathered: true,
            ..agreed()
        };
        assert!(is_hopeless(&hopeless));
        for change in [
            |progress: &mut Progress| progress.ours.relay = 1,
            // The other end may see where we are.
            |progress: &mut Progress| progress.relay_alone = false,
            |progress: &mut Progress| progress.is_gathered = false,
            // The other end is not asked yet, and has a right to know why nothing came of it.
            |progress: &mut Progress| progress.is_agreed = false,
        ] {
            let mut progress = hopeless.clone();
            change(&mut progress);
            assert!(!is_hopeless(&progress), "{progress:?}");
        }
    }

    #[test]
    fn a_path_that_is_not_found_is_told_with_what_was_tried() {
        let (stage, sentence) = diagnose(&agreed());
        assert_eq!(stage, Stage::Ice);
        assert!(
            sentence.contains("between 2 host here and 2 host there"),
            "{sentence}"
        );
        assert!(
            sentence.contains("give both ends a --turn server"),
            "{sentence}"
        );
        let (_, sentence) = diagnose(&Progress {
            theirs: Candidates::default(),
            turn_servers: 1,
            ..agreed()
        });
        assert!(sentence.contains("told of no address"), "{sentence}");
        assert!(
            sentence.contains("no TURN server lent an address"),
            "{sentence}"
        );
    }

    #[test]
    fn keys_that_are_not_agreed_on_are_a_matter_of_dtls() {
        for dtls in [Step::Pending, Step::Failed] {
            let progress = Progress {
                ice: Step::Done,
                dtls,
                ..agreed()
            };
            assert_eq!(diagnose(&progress).0, Stage::Dtls);
        }
    }

    #[test]
    fn what_is_announced_and_does_not_come_is_missed() {
        let nothing = Carried::default();
        assert_eq!(of_media(&agreed(), nothing), None, "nothing is announced");
        let announced = Progress {
            is_sent_to: true,
            ..agreed()
        };
        assert!(of_media(&announced, nothing).is_some());
        let packets = Carried {
            packets: 7,
            frames: 0,
        };
        let sentence = of_media(&agreed(), packets).expect("undecodable");
        assert!(sentence.contains("7 packets"), "{sentence}");
        assert_eq!(
            of_media(
                &announced,
                Carried {
                    packets: 7,
                    frames: 1
                }
            ),
            None
        );
    }

    #[test]
    fn the_type_of_a_candidate_is_read() {
        let line = "candidate:1 1 UDP 2015363327 10.77.0.1 51000 typ host";
        assert_eq!(candidate_type(line), Some("host"));
        assert_eq!(candidate_type("candidate:1"), None);
        assert_eq!(candidate_type("x typ"), None);
        let mut candidates = Candidates::default();
        ["host", "srflx", "prflx", "relay", "moon"]
            .into_iter()
            .for_each(|kind| candidates.add(kind));
        assert_eq!(candidates.to_string(), "1 host, 2 srflx, 1 relay");
    }
}
