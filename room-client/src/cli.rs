//! The command line.

use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use client::cli::papers::{self, PapersArgs};
use client::cli::profile::{self, ProfileArgs};
use client::cli::{ConnectionArgs, MediaArgs, decimal_id};
use protocol::{PeerId, RoomId};

use crate::meeting::Config;

/// Joins a room, sends to everybody there and counts what everybody sends.
///
/// It stays until it is stopped, and comes back by itself when the relay was gone.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, args_override_self = true)]
pub(crate) struct Args {
    /// The room to join; it is made by joining it
    #[arg(long, value_name = "ID")]
    room_id: RoomId,

    /// Be known by this id [default: a random number]
    #[arg(long, value_name = "ID")]
    our_id: Option<PeerId>,

    #[command(flatten)]
    connection: ConnectionArgs,

    #[command(flatten)]
    media: MediaArgs,

    /// Print every report as a JSON object on a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    profile: ProfileArgs,

    #[command(flatten)]
    papers: PapersArgs,
}

const EXAMPLES: &str = "\
Examples:
  room-client --room-id demo                              send the screen and the microphone
  room-client --room-id demo --video none --audio none    only receive
  room-client --room-id demo --video test --audio test    send a test picture and a tone

Exit codes are those of client.";

impl Args {
    /// Reads the command line. What makes no sense ends the program.
    pub(crate) fn from_command_line() -> Self {
        let matches = profile::matches(Self::command());
        let args = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        papers::write_or_end(&args.papers, Self::command());
        args.connection.check(&mut Self::command());
        args
    }

    /// Turns what was typed into what is meant. `random` makes the id where none was given.
    pub(crate) fn into_config(self, random: impl FnOnce() -> u32) -> Config {
        Config {
            room: self.room_id,
            our_id: self.our_id.unwrap_or_else(|| decimal_id(random())),
            connection: self.connection.into_connection(),
            media: self.media.into_media(),
            json: self.json,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_room_needs_a_name_that_the_protocol_allows() {
        let parse = |room: &str| Args::try_parse_from(["room-client", "--room-id", room]);
        assert!(parse("demo").is_ok());
        assert!(parse("session").is_err());
        assert!(parse("two words").is_err());
        assert!(Args::try_parse_from(["room-client"]).is_err());
    }
}
