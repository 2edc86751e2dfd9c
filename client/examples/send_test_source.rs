//! Sends a moving test picture and a tone to whoever calls `cam`:
//! `cargo run -p client --example send_test_source`, and open `http://127.0.0.1:8443/#call=cam`.
//!
//! The address of another relay may follow.

#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::ops::ControlFlow;

use client::call::Endpoint;
use client::config::Config;
use client::media::{AudioSource, Pattern, VideoSource};

fn main() -> Result<(), Box<dyn Error>> {
    client::init()?;
    let relay = std::env::args().nth(1);
    let relay = relay.unwrap_or_else(|| "ws://127.0.0.1:8443".into());
    let mut config = Config::new(relay.parse()?, "cam".parse()?);
    config.media.video = VideoSource::Test(Pattern::default());
    config.media.audio = AudioSource::Test;
    let endpoint = Endpoint::new(config)?;
    async_std::task::block_on(endpoint.run(|report| {
        println!("{report}");
        ControlFlow::Continue(())
    }))?;
    Ok(())
}
