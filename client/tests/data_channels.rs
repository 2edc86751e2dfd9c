//! Data channels between two real connections of this process, over the loopback address.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test waits for one event among many"
)]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver, unbounded};
use async_std::future::timeout;
use async_std::task::{self, block_on};
use client::capture::Timeline;
use client::config::{Config, IcePolicy};
use client::ice_servers::IceServers;
use client::media::{AudioSource, VideoSource};
use client::negotiation::Step;
use client::peer::{
    DataChannel, DataChannelInit, MAX_MESSAGE_BYTES, Message, PeerConnection, PeerEvent,
    PeerSettings, SendError,
};
use client::receive::Outputs;
use client::turn_tls::TurnTls;
use protocol::{Candidate, SdpType};

/// How long anything here may take.
const LIMIT: Duration = Duration::from_secs(20);

/// One end, and what happens to it.
struct End {
    peer: PeerConnection,
    events: Receiver<PeerEvent>,
}

impl End {
    fn new() -> Self {
        gst::init().expect("GStreamer is installed");
        let (told, events) = unbounded();
        let listener = Arc::new(move |event| drop(told.try_send(event)));
        let peer = PeerConnection::new(&settings(), listener).expect("webrtcbin starts");
        Self { peer, events }
    }

    /// The next event that `pick` wants; candidates go to the other end meanwhile.
    async fn next<T>(
        &mut self,
        other: &mut Self,
        mut pick: impl FnMut(PeerEvent) -> Option<T>,
    ) -> T {
        let found = async {
            loop {
                match self.events.recv().await.expect("a connection goes on") {
                    PeerEvent::Candidate(candidate) if !candidate.is_end_of_candidates() => {
                        other.peer.negotiate(Step::AddCandidate(candidate));
                    }
                    event => {
                        if let Some(found) = pick(event) {
                            return found;
                        }
                    }
                }
            }
        };
        timeout(LIMIT, found).await.expect("it happens in time")
    }

    async fn described(&mut self, other: &mut Self, kind: SdpType) -> String {
        self.next(other, |event| match event {
            PeerEvent::Described(description) => {
                assert_eq!(description.kind, kind);
                Some(description.sdp)
            }
            PeerEvent::Failed(failure) => panic!("{failure}"),
            _ => None,
        })
        .await
    }

    async fn channel(&mut self, other: &mut Self) -> DataChannel {
        self.next(other, |event| match event {
            PeerEvent::DataChannel(channel) => Some(channel),
            PeerEvent::Failed(failure) => panic!("{failure}"),
            _ => None,
        })
        .await
    }
}

fn settings() -> PeerSettings {
    let server = "ws://127.0.0.1:8443".parse().expect("an address");
    let mut media = Config::new(server, "any".parse().expect("an id")).media;
    (media.video, media.audio) = (VideoSource::None, AudioSource::None);
    PeerSettings {
        recorder: None,
        adapts: false,
        media,
        timeline: Timeline::default(),
        outputs: Outputs::NONE,
        ice: IceServers::default(),
        ice_policy: IcePolicy::All,
        local_address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        data: true,
        turn_tls: TurnTls::default(),
    }
}

/// Two ends that have described themselves to one another; `forge` may change the answer.
async fn pair(label: &str, init: &DataChannelInit, forge: impl FnOnce(String) -> String) -> Pair {
    let (mut caller, mut callee) = (End::new(), End::new());
    let ours = caller
        .peer
        .create_data_channel(label, init)
        .expect("a channel can be made");
    caller.peer.negotiate(Step::CreateOffer);
    let offer = caller.described(&mut callee, SdpType::Offer).await;
    callee.peer.negotiate(Step::AcceptOffer(offer));
    let answer = callee.described(&mut caller, SdpType::Answer).await;
    caller.peer.negotiate(Step::AcceptAnswer(forge(answer)));
    Pair {
        caller,
        callee,
        ours,
    }
}

struct Pair {
    caller: End,
    callee: End,
    ours: DataChannel,
}

impl Pair {
    /// The same channel as both ends see it, once both can use it.
    async fn channels(&mut self) -> (DataChannel, DataChannel) {
        // The candidates of both have to go their way.
        let theirs = async {
            loop {
                if let Ok(event) = self.callee.events.try_recv() {
                    match event {
                        PeerEvent::Candidate(candidate) => {
                            self.caller.peer.negotiate(Step::AddCandidate(candidate));
                        }
                        PeerEvent::DataChannel(channel) => return channel,
                        PeerEvent::Failed(failure) => panic!("{failure}"),
                        _ => {}
                    }
                }
                if let Ok(event) = self.caller.events.try_recv() {
                    match event {
                        PeerEvent::Candidate(candidate) => {
                            self.callee.peer.negotiate(Step::AddCandidate(candidate));
                        }
                        PeerEvent::Failed(failure) => panic!("{failure}"),
                        _ => {}
                    }
                }
                task::sleep(Duration::from_millis(5)).await;
            }
        };
        let theirs = timeout(LIMIT, theirs).await.expect("the channel opens");
        for channel in [&self.ours, &theirs] {
            let opened = timeout(LIMIT, channel.opened()).await;
            opened.expect("in time").expect("both ends are verified");
        }
        (self.ours.clone(), theirs)
    }

    /// The called end ends the connection: more comes than it takes.
    async fn ends_as_too_fast(mut self) {
        let failure = self.callee.next(&mut self.caller, |event| match event {
            PeerEvent::Failed(failure) => Some(failure),
            _ => None,
        });
        let failure = failure.await;
        assert!(failure.sentence.contains("faster"), "{failure}");
        self.close().await;
    }

    async fn close(self) {
        self.caller.peer.close().await;
        self.callee.peer.close().await;
    }
}

async fn receive(channel: &DataChannel) -> Message {
    let message = timeout(LIMIT, channel.receive()).await.expect("in time");
    message.expect("the channel goes on")
}

#[test]
fn messages_of_every_size_and_kind_go_both_ways() {
    block_on(async {
        let mut pair = pair("chat", &DataChannelInit::default(), |answer| answer).await;
        let (ours, theirs) = pair.channels().await;
        assert_eq!(theirs.label(), "chat");
        assert!(theirs.is_reliable());
        let longest = "x".repeat(MAX_MESSAGE_BYTES);
        let messages = [
            Message::text("grüße"),
            Message::text(""),
            Message::binary([]),
            Message::binary([0, 255, 0]),
            Message::text(longest.clone()),
            Message::binary(longest.into_bytes()),
            Message::text("after all that"),
        ];
        for (from, to) in [(&ours, &theirs), (&theirs, &ours)] {
            for message in &messages {
                from.send(message).await.expect("it is sent");
            }
            for message in &messages {
                assert_eq!(&receive(to).await, message);
            }
        }
        let long = Message::binary(vec![0; MAX_MESSAGE_BYTES + 1]);
        let too_long = Err(SendError::TooLong(MAX_MESSAGE_BYTES + 1));
        assert_eq!(ours.send(&long).await, too_long);
        assert_eq!(ours.send(&Message::text("a\0b")).await, Err(SendError::Nul));
        ours.send(&Message::text("still there"))
            .await
            .expect("it is sent");
        assert_eq!(receive(&theirs).await, Message::text("still there"));
        pair.close().await;
    });
}

#[test]
fn more_channels_need_no_other_offer_and_keep_their_form() {
    block_on(async {
        let mut pair = pair("first", &DataChannelInit::default(), |answer| answer).await;
        let _first = pair.channels().await;
        let init = DataChannelInit {
            ordered: false,
            max_retransmits: Some(0),
            protocol: "p".into(),
            ..DataChannelInit::default()
        };
        let ours = pair.callee.peer.create_data_channel("second", &init);
        let ours = ours.expect("it needs no offer");
        let theirs = pair.caller.channel(&mut pair.callee).await;
        assert_eq!(theirs.label(), "second");
        assert!(!theirs.is_reliable());
        ours.send(&Message::text("hello"))
            .await
            .expect("it is sent");
        assert_eq!(receive(&theirs).await, Message::text("hello"));
        pair.close().await;
        assert_eq!(
            ours.send(&Message::text("late")).await,
            Err(SendError::Closed)
        );
        assert_eq!(timeout(LIMIT, theirs.receive()).await, Ok(None));
    });
}

#[test]
fn what_does_not_fit_waits_in_front_of_the_network_and_never_without_bound() {
    block_on(async {
        let mut pair = pair("bulk", &DataChannelInit::default(), |answer| answer).await;
        let (ours, theirs) = pair.channels().await;
        let count = 2000;
        let sending = task::spawn(async move {
            let mut most = 0;
            for number in 0..count {
                let mut chunk = vec![0; 60_000];
                chunk[..4].copy_from_slice(&u32::to_be_bytes(number));
                ours.send(&Message::binary(chunk))
                    .await
                    .expect("it is sent");
                most = most.max(ours.buffered_amount());
            }
            most
        });
        for number in 0..count {
            let Message::Binary(chunk) = receive(&theirs).await else {
                panic!("bytes were sent")
            };
            assert_eq!(
                (chunk.len(), &chunk[..4]),
                (60_000, &number.to_be_bytes()[..])
            );
        }
        let most = sending.await;
        assert!(most < (4 << 20) + 70_000, "{most} bytes were waiting");
        pair.ours.close();
        assert_eq!(timeout(LIMIT, theirs.receive()).await, Ok(None));
        assert!(timeout(LIMIT, pair.ours.closed()).await.is_ok());
        pair.close().await;
    });
}

#[test]
fn a_connection_whose_flood_nobody_takes_ends_as_too_fast() {
    block_on(async {
        let mut pair = pair("flood", &DataChannelInit::default(), |answer| answer).await;
        let (ours, theirs) = pair.channels().await;
        let flood = task::spawn(async move {
            let chunk = Message::binary(vec![0; 60_000]);
            while ours.send(&chunk).await.is_ok() {}
        });
        pair.ends_as_too_fast().await;
        flood.await;
        assert_eq!(timeout(LIMIT, theirs.receive()).await, Ok(None));
    });
}

#[test]
fn what_waits_on_many_channels_is_bounded_as_on_one() {
    block_on(async {
        let mut pair = pair("first", &DataChannelInit::default(), |answer| answer).await;
        let (ours, theirs) = pair.channels().await;
        let mut channels = vec![(ours, theirs)];
        for number in 1..4 {
            let label = format!("more {number}");
            let ours = pair
                .caller
                .peer
                .create_data_channel(&label, &DataChannelInit::default());
            let theirs = pair.callee.channel(&mut pair.caller).await;
            channels.push((ours.expect("it needs no offer"), theirs));
        }
        // Nobody takes any of it, and no channel has much.
        let floods = channels.iter().map(|(ours, _)| {
            let ours = ours.clone();
            task::spawn(async move {
                let chunk = Message::binary(vec![0; 60_000]);
                for _ in 0..200 {
                    if ours.send(&chunk).await.is_err() {
                        return;
                    }
                }
            })
        });
        let floods: Vec<_> = floods.collect();
        pair.ends_as_too_fast().await;
        for flood in floods {
            flood.await;
        }
    });
}

#[test]
fn a_peer_with_another_certificate_than_announced_gets_no_byte_and_is_not_heard() {
    block_on(async {
        // The caller is told of another certificate than the callee has.
        let forge = |answer: String| {
            let lines = answer
                .lines()
                .map(|line| match line.split_once("sha-256 ") {
                    Some((start, _)) => format!("{start}sha-256 {}", ["AB"; 32].join(":")),
                    None => line.to_owned(),
                });
            lines.map(|line| line + "\r\n").collect()
        };
        let mut pair = pair("secrets", &DataChannelInit::default(), forge).await;
        let ours = pair.ours.clone();
        let sending = task::spawn(async move { ours.send(&Message::text("secret")).await });
        // The callee itself is content, and may say what it likes.
        let theirs = pair.callee.channel(&mut pair.caller).await;
        timeout(LIMIT, theirs.opened())
            .await
            .expect("in time")
            .expect("the callee sees nothing wrong");
        theirs
            .send(&Message::text("believe me"))
            .await
            .expect("it is sent");
        let failure = pair.caller.next(&mut pair.callee, |event| match event {
            PeerEvent::Failed(failure) => Some(failure),
            PeerEvent::Connected => panic!("a forged certificate passed"),
            _ => None,
        });
        let failure = failure.await;
        assert!(failure.sentence.contains("certificate"), "{failure}");
        pair.caller.peer.close().await;
        assert_eq!(sending.await, Err(SendError::Closed));
        assert_eq!(pair.ours.receive().await, None);
        pair.callee.peer.close().await;
        assert_eq!(theirs.receive().await, None);
    });
}

#[test]
fn a_candidate_that_is_no_text_of_c_is_left_out() {
    block_on(async {
        let mut end = End::new();
        end.peer.negotiate(Step::AddCandidate(Candidate {
            candidate: "candidate:1 1 UDP 1 127.0.0.1 9 typ host\0".into(),
            sdp_m_line_index: 0,
            sdp_mid: None,
        }));
        end.peer.close().await;
    });
}

#[test]
fn a_channel_that_the_descriptions_have_not_agreed_on_is_refused() {
    block_on(async {
        let mut end = End::new();
        end.peer.negotiate(Step::CreateOffer);
        let late = end
            .peer
            .create_data_channel("late", &DataChannelInit::default());
        assert!(late.is_err());
        end.peer.close().await;
    });
}
