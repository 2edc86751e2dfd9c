//! What was typed.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::pattern::MIN_BYTES;

/// The longest message of a load, in bytes.
const MAX_BYTES: u64 = 60_000;

/// Puts a load on a relay and prints one line of JSON that says how it bore it.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A load, or something to compare with.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Load(Load),
    /// A server to compare with, on one thread. Says where it listens, and runs until it is ended.
    Serve {
        kind: Baseline,
        /// Where to listen; port 0 lets the system choose a free one.
        #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// Only for raw, in rooms: sends on after each read instead of after each turn.
        #[arg(long)]
        at_once: bool,
    },
}

/// What is put on a server.
#[derive(Debug, Subcommand)]
pub(crate) enum Load {
    /// Peers that are there and say nothing: what does each take?
    Idle(Idle),
    /// Sessions of two.
    Pairs(Pairs),
    /// Rooms in which everybody sends to everybody.
    Rooms(Rooms),
    /// Many peers in sessions of two, all of them at work.
    Active(Active),
    /// Whole calls: two connections, two registrations, a session, six messages, and the end of both.
    Calls(Calls),
    /// One peer that reads no more, while all others go on at a rate.
    StoppedReader(StoppedReader),
}

#[derive(Args, Debug)]
pub(crate) struct Idle {
    #[command(flatten)]
    pub(crate) server: Server,
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(2..=50_000))]
    pub(crate) peers: u32,
    /// Messages each peer has sent and got in a session before, in which it stays.
    #[arg(long, default_value_t = 0)]
    pub(crate) exchanges: u32,
    /// The length of each message, in bytes.
    #[arg(long, default_value_t = 1500, value_parser = message_bytes())]
    pub(crate) bytes: u32,
}

#[derive(Args, Debug)]
pub(crate) struct Pairs {
    #[command(flatten)]
    pub(crate) server: Server,
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub(crate) pairs: u32,
    /// The length of each message, in bytes.
    #[arg(long, default_value_t = 1500, value_parser = message_bytes())]
    pub(crate) bytes: u32,
    #[command(flatten)]
    pub(crate) pacing: Pacing,
}

#[derive(Args, Debug)]
pub(crate) struct Rooms {
    #[command(flatten)]
    pub(crate) server: Server,
    /// Members of each room.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub(crate) size: u32,
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rooms: u32,
    /// The length of each message, in bytes.
    #[arg(long, default_value_t = 150, value_parser = message_bytes())]
    pub(crate) bytes: u32,
    #[command(flatten)]
    pub(crate) pacing: Pacing,
}

#[derive(Args, Debug)]
pub(crate) struct Active {
    #[command(flatten)]
    pub(crate) server: Server,
    #[arg(long, default_value_t = 8000, value_parser = clap::value_parser!(u32).range(2..=40_000))]
    pub(crate) peers: u32,
    /// The length of each message, in bytes.
    #[arg(long, default_value_t = 150, value_parser = message_bytes())]
    pub(crate) bytes: u32,
    #[command(flatten)]
    pub(crate) pacing: Pacing,
}

#[derive(Args, Debug)]
pub(crate) struct Calls {
    #[command(flatten)]
    pub(crate) server: Server,
    /// Calls at the same time.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=5000))]
    pub(crate) concurrency: u32,
    /// The length of each message, in bytes.
    #[arg(long, default_value_t = 1500, value_parser = message_bytes())]
    pub(crate) bytes: u32,
    /// With --raw: questions and answers of each peer before the first message. With 2 there are as
    /// many turns as in the protocol; with 0 there is nothing but connecting, forwarding, closing.
    #[arg(long, default_value_t = 0)]
    pub(crate) turns: u32,
    #[command(flatten)]
    pub(crate) time: Time,
}

#[derive(Args, Debug)]
pub(crate) struct StoppedReader {
    #[command(flatten)]
    pub(crate) server: Server,
    /// In a room, beside others of the same size, instead of in a session.
    #[arg(long)]
    pub(crate) room: bool,
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(2..=5000))]
    pub(crate) pairs: u32,
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rooms: u32,
    /// Members of each room.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(3..=1000))]
    pub(crate) size: u32,
    /// The length of each message, in bytes.
    #[arg(long, default_value_t = 1500, value_parser = message_bytes())]
    pub(crate) bytes: u32,
    /// Messages in a second of all others together.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: u32,
    /// Messages in a second to the one that reads no more.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) stopped_rate: u32,
    #[command(flatten)]
    pub(crate) time: Time,
}

/// What there is to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Baseline {
    /// A forwarder of bytes: the kernel's own price.
    Raw,
    /// A relay on a library for WebSockets that knows registering, pairing and rooms, and keeps no limits:
    /// the library's own price.
    Websocket,
}

/// The server under load.
#[derive(Args, Debug)]
pub(crate) struct Server {
    /// Where it is: ws://HOST:PORT/ or, for `serve raw`, tcp://HOST:PORT.
    #[arg(long)]
    pub(crate) url: String,
    /// It is `serve raw`, whatever the address says.
    #[arg(long)]
    pub(crate) raw: bool,
    /// Its process, whose processor time and memory are told as well.
    #[arg(long)]
    pub(crate) pid: Option<u32>,
}

/// How fast messages are sent, and for how long.
#[derive(Args, Debug)]
pub(crate) struct Pacing {
    /// Messages on their way in each session, or from each in a room to each other.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) in_flight: u32,
    /// Messages in a second in all, instead of as many as get through.
    #[arg(long, conflicts_with = "in_flight", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,
    #[command(flatten)]
    pub(crate) time: Time,
}

/// For how long.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Time {
    /// Seconds in which it is measured.
    #[arg(long, default_value = "3", value_parser = seconds)]
    pub(crate) seconds: Duration,
}

fn message_bytes() -> clap::builder::RangedU64ValueParser<u32> {
    clap::builder::RangedU64ValueParser::new().range(MIN_BYTES as u64..=MAX_BYTES)
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse().map(Duration::try_from_secs_f64) {
        Ok(Ok(time)) if !time.is_zero() && time <= Duration::from_secs(3600) => Ok(time),
        _ => Err("a time is a number of seconds above 0, an hour at most".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.command)
    }

    #[test]
    fn without_options_fifty_pairs_send_one_message_at_a_time() {
        let command = parse("relay-bench pairs --url ws://127.0.0.1:1").expect("a load");
        let Command::Load(Load::Pairs(load)) = command else {
            panic!("{command:?}");
        };
        let Pacing {
            in_flight,
            rate,
            time,
        } = load.pacing;
        assert_eq!(
            (load.pairs, load.bytes, in_flight, rate),
            (50, 1500, 1, None)
        );
        assert_eq!(time.seconds, Duration::from_secs(3));
        assert!(!load.server.raw && load.server.pid.is_none());
    }

    #[test]
    fn a_rate_takes_the_place_of_messages_in_flight() {
        let both = "relay-bench rooms --url ws://127.0.0.1:1 --rate 5 --in-flight 2";
        assert!(parse(both).is_err());
        assert!(parse("relay-bench rooms --url ws://127.0.0.1:1 --rate 5").is_ok());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "relay-bench",
            "relay-bench pairs",
            "relay-bench pairs --url ws://a --bytes 30",
            "relay-bench pairs --url ws://a --bytes 60001",
            "relay-bench pairs --url ws://a --rate 0",
            "relay-bench calls --url ws://a --seconds 0",
            "relay-bench calls --url ws://a --seconds nan",
            "relay-bench serve tokio",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
