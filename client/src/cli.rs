//! The command line: what was typed. What is meant is [`Config`].

mod data;
mod devices;
mod doctor;
mod encoding;
mod ice;
mod observation;
pub mod papers;
pub mod profile;
mod receiving;
mod sources;
mod survival;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};
use protocol::PeerId;
use url::Url;

use crate::config::{
    Callee, Config, Connection, Fingerprint, IcePolicy, Relay, Secret, Show, Token, Trust,
};
use crate::console;
use crate::encoding::{MAX_BITRATE_KBPS, MIN_BITRATE_KBPS};
use crate::media::{Media, VideoFormat, Voice};
use crate::signaller::relay_address;
use crate::wire::is_encrypted;
use doctor::DoctorArgs;
use observation::ObservationArgs;
use papers::PapersArgs;
use profile::ProfileArgs;

/// Sends this machine's screen and sound to a browser or another machine, and takes theirs back.
///
/// Without --peer-id it waits to be called, again and again, until it is stopped.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, args_override_self = true)]
pub struct Args {
    /// Call this peer
    #[arg(long, value_name = "ID")]
    peer_id: Option<PeerId>,

    /// Be known by this id [default: a random number]
    #[arg(long, value_name = "ID")]
    our_id: Option<PeerId>,

    /// Ask the peer to make the offer
    #[arg(long, requires = "peer_id")]
    request_offer: bool,

    #[command(flatten)]
    connection: ConnectionArgs,

    #[command(flatten)]
    media: MediaArgs,

    #[command(flatten)]
    data: data::DataArgs,

    #[command(flatten)]
    listing: devices::ListingArgs,

    #[command(flatten)]
    encoder_listing: encoding::EncoderListingArgs,

    #[command(flatten)]
    doctor: DoctorArgs,

    #[command(flatten)]
    survival: survival::SurvivalArgs,

    /// Where what comes in is shown [default: window where there is a display]
    #[arg(long, value_enum, value_name = "WHERE")]
    show: Option<Where>,

    #[command(flatten)]
    receiving: receiving::ReceivingArgs,

    /// Print every report as a JSON object on a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    observation: ObservationArgs,

    #[command(flatten)]
    profile: ProfileArgs,

    #[command(flatten)]
    papers: PapersArgs,
    /// Take commands (help has them) from standard input, even if that is no terminal
    #[arg(long)]
    commands: bool,

    /// Print what gst-launch-1.0 takes to capture and encode the same, and end
    #[arg(long, hide = true)]
    print_pipeline: bool,
}

const EXAMPLES: &str = "\
Examples:
  client --our-id cam
      wait to be called, send the screen and the microphone
  client --peer-id bob
      call bob
  client --our-id cam --video test --audio test
      send a test picture and a tone
  client --check
      look whether a call would work, and what to do if not
  client --our-id cam --video camera --audio desktop
      send the camera's picture and what this machine plays
  client --our-id cam --video file:talk.webm --audio file --video camera
      send a film with its sound, or the camera in its place

Exit codes:
   0  ended in order                7  GStreamer plugin missing
   1  failed in another way         8  no display
   2  wrong usage                   9  no sound server
   3  relay unreachable            10  no such device
   4  no such peer                 11  codec refused
   5  peer busy                    12  connection failed, or lost
   6  own id refused               13  the peer's certificate not the announced one
  14  not let in by the relay      15  the relay's certificate not trusted";

/// How the relay and the peers are reached.
#[derive(Clone, Debug, clap::Args)]
pub struct ConnectionArgs {
    /// The relay, as ws://HOST:PORT or wss://HOST:PORT
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:8443", value_parser = relay_address)]
    server: Url,

    /// Trust the relay if this PEM file vouches for it, and not if the authorities of this system do
    #[arg(long, value_name = "FILE", conflicts_with = "tls_fingerprint")]
    tls_ca: Option<PathBuf>,

    /// Trust the relay if its certificate is the one with this SHA-256; a relay that has made its
    /// certificate itself prints it
    #[arg(long, value_name = "SHA256")]
    tls_fingerprint: Option<Fingerprint>,

    /// Read the token for the relay from this file, where it stands alone, anew for every connection;
    /// it goes before --token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// The token for the relay, where not everybody may enter. Other users of this machine can read a
    /// command line; a file and the variable ALDIS_TOKEN they cannot
    #[arg(long, env = "ALDIS_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = secret)]
    token: Option<Secret>,

    #[command(flatten)]
    ice: ice::IceArgs,

    /// By which ways peers may be reached
    #[arg(long, value_enum, default_value_t = Policy::All, value_name = "WAYS")]
    ice_policy: Policy,

    /// Use this address alone for the media, for example 127.0.0.1
    #[arg(long, value_name = "ADDRESS", hide = true)]
    local_address: Option<IpAddr>,
}

/// What is sent.
#[derive(Clone, Debug, clap::Args)]
pub struct MediaArgs {
    #[command(flatten)]
    sources: sources::SourceArgs,

    /// Width of the picture that is sent, in pixels
    #[arg(long, default_value_t = 1280, value_parser = clap::value_parser!(u32).range(16..=7680))]
    width: u32,

    /// Height of the picture that is sent, in pixels
    #[arg(long, default_value_t = 720, value_parser = clap::value_parser!(u32).range(16..=4320))]
    height: u32,

    /// Frames a second
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=120))]
    framerate: u32,

    /// Bit rate of the picture, in kilobits a second
    #[arg(long, default_value_t = 2500, value_name = "KBPS",
          value_parser = clap::value_parser!(u32)
              .range(i64::from(MIN_BITRATE_KBPS)..=i64::from(MAX_BITRATE_KBPS)))]
    bitrate_kbps: u32,

    #[command(flatten)]
    encoding: encoding::EncodingArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Policy {
    /// All
    All,
    /// Through a TURN server alone: the peer does not learn this machine's address
    Relay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Where {
    /// In a window, with sound
    Window,
    /// Nowhere; it is decoded and counted
    None,
}

impl Args {
    /// Reads the command line; ends the program when it makes no sense.
    pub fn from_command_line() -> Self {
        let matches = profile::matches(Self::command());
        let args = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        papers::write_or_end(&args.papers, Self::command());
        if args.peer_id.is_some() && args.peer_id == args.our_id {
            let sentence = "--peer-id and --our-id are the same: nobody can call themselves";
            Self::command()
                .error(ErrorKind::ArgumentConflict, sentence)
                .exit();
        }
        args.connection.check(&mut Self::command());
        if let Some(sentence) = args.receiving.conflict() {
            Self::command()
                .error(ErrorKind::ValueValidation, sentence)
                .exit();
        }
        args
    }

    /// Turns what was typed into what is meant. `random` makes the id where none was given.
    pub fn into_config(self, random: impl FnOnce() -> u32) -> Config {
        let peer = self.peer_id;
        Config {
            call: peer.map(|peer| Callee {
                peer,
                request_offer: self.request_offer,
            }),
            our_id: self.our_id.unwrap_or_else(|| decimal_id(random())),
            connection: self.connection.into_connection(),
            media: Media {
                voice: self.receiving.voice.voice(),
                ..self.media.into_media()
            },
            show: match self.show {
                Some(Where::Window) => Show::Window,
                Some(Where::None) => Show::Nowhere,
                None => Show::WindowWherePossible,
            },
            receiving: self.receiving.into_receiving(),
            observation: self.observation.into_observation(),
            data: self.data.into_data(),
            json: self.json,
            commands: self.commands || console::is_terminal(),
            print_pipeline: self.print_pipeline,
            list_devices: self.listing.list_devices,
            list_encoders: self.encoder_listing.list_encoders,
            check: self.doctor.check,
            patience: self.survival.patience(),
        }
    }
}

impl ConnectionArgs {
    /// Ends the program when what was typed makes no sense together.
    pub fn check(&self, command: &mut clap::Command) {
        if let Some(sentence) = self.conflict() {
            command.error(ErrorKind::ArgumentConflict, sentence).exit();
        }
    }

    fn conflict(&self) -> Option<&'static str> {
        let names_trust = self.tls_ca.is_some() || self.tls_fingerprint.is_some();
        (names_trust && !is_encrypted(&self.server)).then_some(
            "--tls-ca and --tls-fingerprint are about wss://, and --server has another scheme",
        )
    }

    /// How the relay and the peers are reached.
    pub fn into_connection(self) -> Connection {
        let trust = match (self.tls_ca, self.tls_fingerprint) {
            (Some(path), _) => Trust::Authorities(path),
            (None, Some(fingerprint)) => Trust::Certificate(fingerprint),
            (None, None) => Trust::System,
        };
        let token = match (self.token_file, self.token) {
            (Some(path), _) => Token::File(path),
            // A variable that is set to nothing.
            (None, Some(token)) if !token.reveal().is_empty() => Token::Given(token),
            (None, _) => Token::None,
        };
        let (ice, turn_trust) = self.ice.into_servers();
        Connection {
            relay: Relay {
                server: self.server,
                trust,
                token,
            },
            ice,
            turn_trust,
            ice_policy: match self.ice_policy {
                Policy::All => IcePolicy::All,
                Policy::Relay => IcePolicy::Relay,
            },
            local_address: self.local_address,
        }
    }
}

impl MediaArgs {
    /// What is sent.
    pub fn into_media(self) -> Media {
        let (video, audio, others) = self.sources.into_sources();
        Media {
            video,
            format: VideoFormat {
                // The encoders' chroma planes have half the size.
                width: self.width & !1,
                height: self.height & !1,
                framerate: self.framerate,
                bitrate_kbps: self.bitrate_kbps,
            },
            audio,
            others,
            voice: Voice::default(),
            encoding: self.encoding.into_encoding(),
        }
    }
}

/// An id that existing clients can call too: they know none but 32-bit numbers.
pub fn decimal_id(number: u32) -> PeerId {
    number.to_string().parse().expect("digits make an id")
}

/// Never refuses: a refusal would quote it.
#[expect(clippy::unnecessary_wraps, reason = "clap's signature")]
fn secret(text: &str) -> Result<Secret, String> {
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(line: &str) -> Result<Config, clap::Error> {
        let words = std::iter::once("client").chain(line.split_whitespace());
        Ok(Args::try_parse_from(words)?.into_config(|| 42))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn without_an_id_a_decimal_one_is_made() -> Result<(), clap::Error> {
        let config = config("--video test")?;
        assert_eq!(config.our_id.as_str(), "42");
        assert!(config.call.is_none());
        assert_eq!(
            config.connection.relay.server.as_str(),
            "ws://127.0.0.1:8443/"
        );
        Ok(())
    }

    #[test]
    fn what_is_said_about_the_relay_is_meant() -> Result<(), clap::Error> {
        let relay = |line: &str| Ok::<_, clap::Error>(config(line)?.connection.relay);
        let usual = relay("--server wss://relay.example.org")?;
        assert_eq!((usual.trust, usual.token), (Trust::System, Token::None));
        let line = format!("--tls-fingerprint {} --token swordfish", "0a".repeat(32));
        let pinned = relay(&line)?;
        assert_eq!(pinned.trust, Trust::Certificate(Fingerprint([10; 32])));
        assert_eq!(pinned.token, Token::Given(Secret::new("swordfish")));
        let files = relay("--tls-ca ca.pem --token swordfish --token-file token")?;
        assert_eq!(files.trust, Trust::Authorities("ca.pem".into()));
        assert_eq!(files.token, Token::File("token".into()));
        Ok(())
    }

    #[test]
    fn whom_to_trust_is_a_question_of_wss_alone() -> Result<(), clap::Error> {
        let is_conflict = |line: &str| {
            let words = std::iter::once("client").chain(line.split_whitespace());
            let args = Args::try_parse_from(words)?;
            Ok::<_, clap::Error>(args.connection.conflict().is_some())
        };
        assert!(is_conflict("--tls-ca ca.pem")?);
        assert!(!is_conflict("--tls-ca ca.pem --server wss://x")?);
        assert!(!is_conflict("--server ws://x --token swordfish")?);
        Ok(())
    }

    #[test]
    fn turn_servers_by_tls_are_trusted_by_an_option_of_their_own() -> Result<(), clap::Error> {
        let connection = |line: &str| Ok::<_, clap::Error>(config(line)?.connection);
        let usual = connection("--turn turns://u:p@x --turn turn://u:p@x:1?transport=tcp")?;
        assert_eq!(usual.ice.turn.len(), 2);
        assert_eq!(usual.turn_trust, Trust::System);
        let named = connection("--turn turns://u:p@x:443 --turn-ca ca.pem")?;
        assert_eq!(named.turn_trust, Trust::Authorities("ca.pem".into()));
        Ok(())
    }

    #[test]
    fn odd_sizes_become_even() -> Result<(), clap::Error> {
        let format = config("--width 101 --height 55")?.media.format;
        assert_eq!((format.width, format.height), (100, 54));
        Ok(())
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "--our-id a\u{a0}b",
            "--request-offer",
            "--server http://x",
            "--server wss://",
            "--server wss://x --tls-fingerprint AA:BB",
            "--server wss://x --tls-fingerprint F --tls-ca x",
            "--ice-policy none",
            "--server nonsense",
            "--width 0",
            "--framerate 0",
            "--bitrate-kbps 1",
            "--region 1x1",
            "--window x --region 0,0,1x1",
            "--monitor 1 --region 0,0,1x1",
            "--monitor 1 --window x",
            "--monitor 0",
            "--video nothing",
            "--stun turn://x:1",
            "--turn stun://x:1",
            "--turn turns://x:1",
            "--turn turns://u:p@x:1?transport=udp",
            "extra",
        ] {
            assert!(config(line).is_err(), "{line}");
        }
    }
}
