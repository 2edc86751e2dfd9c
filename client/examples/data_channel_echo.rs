//! Two ends in one program, a data channel between them, and an echo on it:
//! `cargo run -p client --example data_channel_echo`.
//!
//! Descriptions and candidates, which go through a relay in a real call, are handed over directly.

#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::collections::VecDeque;
use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;

use async_channel::{Receiver, Sender, unbounded};
use client::negotiation::{Negotiation, Step};
use client::peer::{DataChannel, DataChannelInit, Message};
use client::peer::{PeerConnection, PeerEvent, PeerSettings};

/// The two ends are told apart by their places.
type Place = usize;
const CALLER: Place = 0;
const CALLEE: Place = 1;

struct End {
    peer: PeerConnection,
    negotiation: Negotiation,
}

fn main() -> Result<(), Box<dyn Error>> {
    client::init()?;
    async_std::task::block_on(echo_once())
}

async fn echo_once() -> Result<(), Box<dyn Error>> {
    let (told, events) = unbounded();
    let mut ends = [End::new(CALLER, &told)?, End::new(CALLEE, &told)?];
    let init = DataChannelInit::default();
    let ours = ends[CALLER].peer.create_data_channel("echo", &init)?;
    let theirs = connect(&mut ends, &events).await?;

    let echoing = async_std::task::spawn(echo(theirs));
    ours.send(&Message::text("Is anybody there?")).await?;
    if let Some(Message::Text(text)) = ours.receive().await {
        println!("{text} came back");
    }
    for End { peer, .. } in ends {
        peer.close().await;
    }
    echoing.await;
    Ok(())
}

/// Sends back whatever comes, until the connection ends.
async fn echo(channel: DataChannel) {
    while let Some(message) = channel.receive().await {
        if channel.send(&message).await.is_err() {
            break;
        }
    }
}

/// Lets the two negotiate until the callee has its end of the channel.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "nothing else that may happen matters here"
)]
async fn connect(
    ends: &mut [End; 2],
    events: &Receiver<(Place, PeerEvent)>,
) -> Result<DataChannel, Box<dyn Error>> {
    let mut steps = Vec::new();
    ends[CALLER].negotiation.begin(&mut steps);
    act(ends, CALLER, steps);
    loop {
        let (place, event) = events.recv().await?;
        let (negotiation, mut steps) = (&mut ends[place].negotiation, Vec::new());
        match event {
            PeerEvent::Described(description) => negotiation.described(description, &mut steps),
            PeerEvent::RemoteDescriptionSet => negotiation.remote_is_set(&mut steps),
            PeerEvent::Candidate(candidate) => negotiation.local_candidate(candidate, &mut steps),
            PeerEvent::DataChannel(channel) => return Ok(channel),
            PeerEvent::Failed(failure) => return Err(failure.into()),
            _ => {}
        }
        act(ends, place, steps);
    }
}

/// Does what one end's negotiation asks for; what it sends, the other end hears.
fn act(ends: &mut [End; 2], place: Place, steps: Vec<Step>) {
    let mut waiting: VecDeque<_> = steps.into_iter().map(|step| (place, step)).collect();
    while let Some((place, step)) = waiting.pop_front() {
        let Step::Send(signal) = step else {
            ends[place].peer.negotiate(step);
            continue;
        };
        let other = 1 - place;
        let mut answers = Vec::new();
        ends[other].negotiation.signal(signal, &mut answers);
        waiting.extend(answers.into_iter().map(|step| (other, step)));
    }
}

impl End {
    fn new(place: Place, told: &Sender<(Place, PeerEvent)>) -> Result<Self, Box<dyn Error>> {
        let settings = PeerSettings {
            // Both are on this machine.
            local_address: Some(Ipv4Addr::LOCALHOST.into()),
            ..PeerSettings::default()
        };
        let told = told.clone();
        let listener = Arc::new(move |event| drop(told.try_send((place, event))));
        Ok(Self {
            peer: PeerConnection::new(&settings, listener)?,
            negotiation: Negotiation::default(),
        })
    }
}
