//! Who is in the room and who offers to whom, as a machine without socket, clock or media.
//!
//! The newcomer offers, to everybody its `ROOM_OK` names; the others wait. After the relay was gone
//! everybody is a newcomer again, and a new offer replaces the old connection.

use std::collections::BTreeMap;
use std::time::Duration;

use client::failure::{Failure, FailureKind};
use client::negotiation::{Negotiation, Step};
use client::session::Silence;
use protocol::{
    Candidate, ClientMessage, Description, ErrorKind, PeerId, RoomId, SdpType, ServerMessage,
    Signal,
};

use crate::report::Report;

/// How many others this participant deals with. Each costs a connection and a decoder.
pub(crate) const MAX_MEMBERS: usize = 64;

/// How long the connection with one peer may take from its offer on.
pub(crate) const CONNECT_DEADLINE: Duration = Duration::from_secs(30);

/// How often a member may offer. Each offer makes a connection anew.
const OFFER_INTERVAL: Duration = Duration::from_secs(1);

/// A room as one participant sees it.
#[derive(Debug)]
pub(crate) struct Room {
    id: RoomId,
    members: BTreeMap<PeerId, Member>,
}

#[derive(Debug)]
struct Member {
    /// Whether it was there before us: then we offer, and it never does.
    was_first: bool,
    /// Whether it was in the room when we came back, and not only before.
    is_back: bool,
    /// With the connection that is being made, or is up; `None` while what there is stems from before
    /// the relay was gone.
    negotiation: Option<Negotiation>,
    link: Link,
    offered: Option<Duration>,
}

/// What is between a member and us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// Nothing: its offer has not come, or the connection failed.
    None,
    /// A connection is being made, since then.
    Since(Duration),
    /// Media flows.
    Up,
}

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// The relay knows us, again or for the first time.
    Registered,
    /// The relay says something.
    Line(&'a str),
    /// Our offer or answer to a peer is made.
    LocalDescription(&'a PeerId, Description),
    /// A peer's description is in place.
    RemoteDescriptionSet(&'a PeerId),
    /// ICE found a candidate of ours for a peer.
    LocalCandidate(&'a PeerId, Candidate),
    /// A connection is up and verified.
    Connected(&'a PeerId),
    /// A peer ended its connection in order.
    PeerClosed(&'a PeerId),
    /// A connection cannot go on.
    PeerFailed(&'a PeerId, Failure),
    /// Nothing has come from a peer for so long.
    Silent(&'a PeerId, Silence),
    /// Time has passed.
    Tick,
}

/// Something that is to be done.
#[derive(Debug, PartialEq)]
pub(crate) enum Effect {
    /// Send a line to the relay.
    Send(String),
    /// Make a connection, in place of an earlier one with this peer.
    StartPeer(PeerId),
    /// Take the negotiation with a peer on; never [`Step::Send`].
    Negotiate(PeerId, Step),
    /// Let media flow to a peer.
    StartMedia(PeerId),
    /// Take a connection down.
    ClosePeer(PeerId),
    /// Tell the user.
    Report(Report),
    /// Nobody can join such a room.
    Fail(Failure),
}

impl Room {
    /// A room that is not joined yet.
    pub(crate) fn new(id: RoomId) -> Self {
        Self {
            id,
            members: BTreeMap::new(),
        }
    }

    /// Takes in what happened at `now` and appends what is to be done.
    pub(crate) fn handle(&mut self, event: Event<'_>, now: Duration, effects: &mut Vec<Effect>) {
        match event {
            Event::Registered => {
                effects.push(Effect::Send(
                    ClientMessage::Room(self.id.clone()).to_string(),
                ));
            }
            Event::Line(line) => self.line(line, now, effects),
            Event::LocalDescription(peer, description) => {
                self.negotiate(peer, effects, |negotiation, steps| {
                    negotiation.described(description, steps);
                });
            }
            Event::RemoteDescriptionSet(peer) => {
                self.negotiate(peer, effects, |negotiation, steps| {
                    negotiation.remote_is_set(steps);
                });
            }
            Event::LocalCandidate(peer, candidate) => {
                self.negotiate(peer, effects, |negotiation, steps| {
                    negotiation.local_candidate(candidate, steps);
                });
            }
            Event::Connected(peer) => self.connected(peer, effects),
            Event::PeerClosed(peer) => self.fail(peer, "it ended the connection".into(), effects),
            Event::PeerFailed(peer, failure) => self.fail(peer, failure.sentence, effects),
            Event::Silent(peer, silence) if silence.is_too_long() => {
                if self
                    .members
                    .get(peer)
                    .is_some_and(|member| member.link == Link::Up)
                {
                    let reason =
                        format!("nothing has come from it for {} s", silence.lasts.as_secs());
                    self.fail(peer, reason, effects);
                }
            }
            Event::Silent(..) => {}
            Event::Tick => self.tick(now, effects),
        }
    }

    fn line(&mut self, line: &str, now: Duration, effects: &mut Vec<Effect>) {
        match ServerMessage::parse(line) {
            Some(ServerMessage::RoomOk(peers)) => self.joined(peers, now, effects),
            Some(ServerMessage::RoomPeerJoined(peer)) => {
                effects.push(Effect::Report(Report::PeerJoined { peer: peer.clone() }));
                self.admit(peer, false, effects);
            }
            Some(ServerMessage::RoomPeerLeft(peer)) => {
                if self
                    .members
                    .remove(&peer)
                    .is_some_and(|member| member.link != Link::None)
                {
                    effects.push(Effect::ClosePeer(peer.clone()));
                }
                effects.push(Effect::Report(Report::PeerLeft { peer }));
            }
            Some(ServerMessage::RoomPeerMsg { from, payload }) => {
                if let Some(signal) = Signal::parse(payload) {
                    self.signal(&from, signal, now, effects);
                }
            }
            Some(ServerMessage::Error(text)) => {
                let room = &self.id;
                let (kind, sentence) = match ErrorKind::of(text) {
                    ErrorKind::InvalidRoomId => (
                        FailureKind::Other,
                        format!("The relay does not allow a room {room:?}."),
                    ),
                    ErrorKind::RoomFull => (
                        FailureKind::Other,
                        format!("The room {room:?} is full; try again later."),
                    ),
                    ErrorKind::NotAllowed => (
                        FailureKind::NotAdmitted,
                        format!("The token does not allow to join the room {room:?}."),
                    ),
                    // Messages to somebody who has just left.
                    ErrorKind::PeerNotFound | ErrorKind::PeerBusy | ErrorKind::Other => return,
                };
                effects.push(Effect::Fail(Failure::new(kind, sentence)));
            }
            // What later versions may say.
            _ => {}
        }
    }

    fn joined(&mut self, peers: Vec<PeerId>, now: Duration, effects: &mut Vec<Effect>) {
        let report = Report::Joined {
            room: self.id.clone(),
            peers: peers.clone(),
        };
        effects.push(Effect::Report(report));
        // Who was here before the relay was gone, and with whom we have no connection any more, is
        // gone until it comes back; with whom we have one, until that fails.
        self.members.retain(|_, member| member.link != Link::None);
        self.members
            .values_mut()
            .for_each(|member| member.is_back = false);
        for peer in peers {
            if self.admit(peer.clone(), true, effects) {
                self.start(&peer, now, effects);
                self.negotiate(&peer, effects, |negotiation, steps| {
                    negotiation.begin(steps);
                });
            }
        }
    }

    /// Counts somebody in; false when there are too many. A connection from before the relay was
    /// gone stays until it is replaced.
    fn admit(&mut self, peer: PeerId, was_first: bool, effects: &mut Vec<Effect>) -> bool {
        if self.members.len() >= MAX_MEMBERS && !self.members.contains_key(&peer) {
            let reason = format!("this participant deals with {MAX_MEMBERS} others at the most");
            effects.push(Effect::Report(Report::PeerFailed { peer, reason }));
            return false;
        }
        let link = self
            .members
            .get(&peer)
            .map_or(Link::None, |member| member.link);
        let member = Member {
            was_first,
            is_back: true,
            negotiation: None,
            link,
            offered: None,
        };
        self.members.insert(peer, member);
        true
    }

    fn signal(&mut self, from: &PeerId, signal: Signal, now: Duration, effects: &mut Vec<Effect>) {
        let Some(member) = self.members.get_mut(from) else {
            return;
        };
        let is_offer = matches!(
            &signal,
            Signal::Sdp(Description {
                kind: SdpType::Offer,
                ..
            })
        );
        if member.was_first && (is_offer || signal == Signal::OfferRequest) {
            // The newcomer offers: these are not for us to answer.
            return;
        }
        if is_offer {
            // Its second offer is for a connection anew: the first has failed at its end.
            if member
                .offered
                .is_some_and(|then| now.saturating_sub(then) < OFFER_INTERVAL)
            {
                return;
            }
            member.offered = Some(now);
            self.start(from, now, effects);
        }
        self.negotiate(from, effects, |negotiation, steps| {
            negotiation.signal(signal, steps);
        });
    }

    fn start(&mut self, peer: &PeerId, now: Duration, effects: &mut Vec<Effect>) {
        if let Some(member) = self.members.get_mut(peer) {
            member.link = Link::Since(now);
            member.negotiation = Some(Negotiation::default());
            effects.push(Effect::StartPeer(peer.clone()));
        }
    }

    fn negotiate(
        &mut self,
        peer: &PeerId,
        effects: &mut Vec<Effect>,
        act: impl FnOnce(&mut Negotiation, &mut Vec<Step>),
    ) {
        let member = self.members.get_mut(peer);
        let Some(negotiation) = member.and_then(|member| member.negotiation.as_mut()) else {
            return;
        };
        let mut steps = Vec::new();
        act(negotiation, &mut steps);
        effects.extend(steps.into_iter().map(|step| match step {
            Step::Send(signal) => {
                let payload = signal.to_string();
                let message = ClientMessage::RoomPeerMsg {
                    to: peer.as_str(),
                    payload: &payload,
                };
                Effect::Send(message.to_string())
            }
            step @ (Step::CreateOffer
            | Step::AcceptOffer(_)
            | Step::AcceptAnswer(_)
            | Step::AddCandidate(_)) => Effect::Negotiate(peer.clone(), step),
        }));
    }

    fn connected(&mut self, peer: &PeerId, effects: &mut Vec<Effect>) {
        if let Some(member) = self.members.get_mut(peer)
            && matches!(member.link, Link::Since(_))
        {
            member.link = Link::Up;
            effects.push(Effect::StartMedia(peer.clone()));
        }
    }

    fn fail(&mut self, peer: &PeerId, reason: String, effects: &mut Vec<Effect>) {
        let Some(member) = self.members.get_mut(peer) else {
            return;
        };
        if member.link != Link::None {
            (member.link, member.negotiation) = (Link::None, None);
            if !member.is_back {
                self.members.remove(peer);
            }
            effects.push(Effect::ClosePeer(peer.clone()));
            effects.push(Effect::Report(Report::PeerFailed {
                peer: peer.clone(),
                reason,
            }));
        }
    }

    fn tick(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let is_late = |member: &Member| match member.link {
            Link::Since(then) => now.saturating_sub(then) > CONNECT_DEADLINE,
            Link::None | Link::Up => false,
        };
        let late: Vec<_> = self
            .members
            .iter()
            .filter(|(_, member)| is_late(member))
            .map(|(peer, _)| peer.clone())
            .collect();
        for peer in late {
            self.fail(
                &peer,
                "no network path to it was found in time".into(),
                effects,
            );
        }
    }
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
