//! Sends pictures that this program draws itself to whoever calls `cam`:
//! `cargo run -p client --example custom_source`, and open `http://127.0.0.1:8443/#call=cam`.
//!
//! The address of another relay may follow.

#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::ops::ControlFlow;
use std::time::Duration;

use async_std::task;
use client::call::Endpoint;
use client::config::Config;
use client::media::{Kind, VideoSource};
use gst_app::AppSrc;

/// The size of the pictures that are drawn; they are scaled to the size that is sent.
const SIDE: usize = 64;
const PICTURES_A_SECOND: i32 = 25;

fn main() -> Result<(), Box<dyn Error>> {
    client::init()?;
    let relay = std::env::args().nth(1);
    let relay = relay.unwrap_or_else(|| "ws://127.0.0.1:8443".into());
    let mut config = Config::new(relay.parse()?, "cam".parse()?);
    config.media.video = VideoSource::App;
    let endpoint = Endpoint::new(config)?;
    if let Some(source) = endpoint.capture().app_source(Kind::Video) {
        task::spawn(draw(source.clone()));
    }
    task::block_on(endpoint.run(|report| {
        println!("{report}");
        ControlFlow::Continue(())
    }))?;
    Ok(())
}

/// Pushes one picture after the other. Between calls they are refused, which does no harm.
async fn draw(source: AppSrc) {
    let caps = gst::Caps::builder("video/x-raw")
        .field("format", "RGB")
        .field("width", SIDE as i32)
        .field("height", SIDE as i32)
        .field("framerate", gst::Fraction::new(PICTURES_A_SECOND, 1))
        .build();
    source.set_caps(Some(&caps));
    for round in 0.. {
        let picture = gst::Buffer::from_mut_slice(picture(round));
        let _ = source.push_buffer(picture);
        task::sleep(Duration::from_secs(1) / PICTURES_A_SECOND.unsigned_abs()).await;
    }
}

/// Orange, with a white bar that moves down.
fn picture(round: usize) -> Vec<u8> {
    let bar = round % SIDE;
    let colour = |row| match row == bar {
        true => [255, 255, 255],
        false => [255, 128, 0],
    };
    (0..SIDE * SIDE)
        .flat_map(|pixel| colour(pixel / SIDE))
        .collect()
}
