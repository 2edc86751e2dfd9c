//! What was typed, and what is meant by it.

use std::net::SocketAddr;
use std::num::ParseFloatError;
use std::time::Duration;

use clap::Parser;

use crate::config::{Config, Deadlines};

/// The relay of Aldis: introduces peers to one another and serves the page for the browser.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Args {
    /// Where to listen; port 0 lets the system choose a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value_t = Config::default().listen, value_parser = address)]
    listen: SocketAddr,

    /// How long a connection may take for its HTTP request.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, hide = true)]
    handshake_deadline: Option<Duration>,

    /// How long a peer may take to say HELLO.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, hide = true)]
    hello_deadline: Option<Duration>,

    /// How often every peer is pinged.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, hide = true)]
    ping_interval: Option<Duration>,

    /// How long a peer may leave unread what waits for it.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, hide = true)]
    stall_limit: Option<Duration>,
}

impl From<Args> for Config {
    fn from(args: Args) -> Self {
        let usual = Deadlines::default();
        Self {
            listen: args.listen,
            deadlines: Deadlines {
                handshake: args.handshake_deadline.unwrap_or(usual.handshake),
                hello: args.hello_deadline.unwrap_or(usual.hello),
                ping_interval: args.ping_interval.unwrap_or(usual.ping_interval),
                stall: args.stall_limit.unwrap_or(usual.stall),
            },
            ..Self::default()
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "an address to listen on looks like 0.0.0.0:8443 or [::]:8443".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|e: ParseFloatError| e.to_string())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_) => Err("must be more than 0".into()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_options_the_usual_relay_is_meant() {
        assert_eq!(
            Config::from(Args::parse_from(["signalling"])),
            Config::default()
        );
    }

    #[test]
    fn every_option_reaches_the_configuration() {
        let line = "signalling --listen [::1]:0 --handshake-deadline 1 --hello-deadline 0.5 \
                    --ping-interval 2 --stall-limit 3";
        let config = Config {
            listen: "[::1]:0".parse().expect("an address"),
            deadlines: Deadlines {
                handshake: Duration::from_secs(1),
                hello: Duration::from_millis(500),
                ping_interval: Duration::from_secs(2),
                stall: Duration::from_secs(3),
            },
            ..Config::default()
        };
        assert_eq!(
            Config::from(Args::parse_from(line.split_whitespace())),
            config
        );
    }

    #[test]
    fn no_deadline_is_zero_negative_or_no_number() {
        for text in ["0", "-1", "soon", "nan", "inf"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
