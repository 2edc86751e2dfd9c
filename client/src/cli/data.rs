//! The options about data channels and files.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::data::{DEFAULT_RECEIVE_BYTES, Data, Form, Receive, Service};

/// What a client does with data channels.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DataArgs {
    /// What becomes of messages on data channels. With stdio, reports go to standard error
    #[arg(long, value_enum, value_name = "SERVICE")]
    data: Option<ServiceName>,

    /// With --data stdio: end the call when standard input ends and the peer has all lines
    #[arg(long, requires = "data")]
    data_eof_ends: bool,

    /// With --data stdio: let messages overtake one another
    #[arg(long, requires = "data")]
    data_unordered: bool,

    /// With --data stdio: give a message up after so many repetitions
    #[arg(
        long,
        requires = "data",
        value_name = "N",
        conflicts_with = "data_max_lifetime_ms"
    )]
    data_max_retransmits: Option<u16>,

    /// With --data stdio: give a message up after so many milliseconds
    #[arg(long, requires = "data", value_name = "MS")]
    data_max_lifetime_ms: Option<u16>,

    /// Send this file to the peer; may be repeated. A client that calls, and sends nothing else, ends
    /// when all files are delivered
    #[arg(long, value_name = "FILE")]
    send_file: Vec<PathBuf>,

    /// Take files from the peer into this directory
    #[arg(long, value_name = "DIR")]
    receive_dir: Option<PathBuf>,

    /// Take no more bytes of files than this, all together
    #[arg(long, requires = "receive_dir", value_name = "BYTES", default_value_t = DEFAULT_RECEIVE_BYTES)]
    receive_max: u64,

    /// Let the peer neither switch sources nor lower the bit rate nor read statistics
    #[arg(long)]
    no_control: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ServiceName {
    /// Lines of standard input go out, messages come out on standard output
    Stdio,
    /// Every message goes back where it came from
    Echo,
}

impl DataArgs {
    /// What is meant.
    pub(super) fn into_data(self) -> Data {
        let max_bytes = self.receive_max;
        Data {
            service: match self.data {
                Some(ServiceName::Stdio) => Service::Lines,
                Some(ServiceName::Echo) => Service::Echo,
                None => Service::Nothing,
            },
            form: Form {
                ordered: !self.data_unordered,
                max_retransmits: self.data_max_retransmits,
                max_packet_lifetime: self.data_max_lifetime_ms,
            },
            eof_ends: self.data_eof_ends,
            send: self.send_file,
            receive: self.receive_dir.map(|directory| Receive {
                directory,
                max_bytes,
            }),
            control: !self.no_control,
        }
    }
}
