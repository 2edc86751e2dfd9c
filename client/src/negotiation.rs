//! Offer, answer and candidates between two peers, as a machine that knows the order of things: no
//! candidate overtakes its description, in either direction.

use protocol::{Candidate, Description, SdpType, Signal};

/// How many candidates of a peer are used. A machine has a handful.
const MAX_CANDIDATES: usize = 128;

/// The negotiation with one peer, from nothing to both descriptions.
#[derive(Debug, Default)]
pub struct Negotiation {
    stage: Stage,
    /// Remote candidates that have overtaken their description.
    early: Vec<Candidate>,
    candidates: usize,
    remote_is_set: bool,
    /// Our own candidates, until our description is on its way.
    unsent: Vec<Candidate>,
    described: bool,
}

/// How far a negotiation has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// There is no offer yet, from either side.
    #[default]
    Idle,
    /// We have made an offer, or are making it.
    Offering,
    /// There are both an offer and an answer, or the answer is being made.
    Agreed,
}

/// Something that our own end of the connection has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// Our offer or answer is made.
    Described(Description),
    /// The remote description is in place: candidates may follow.
    RemoteDescriptionSet,
    /// A candidate of ours was found; an empty one says that was all.
    Candidate(Candidate),
}

/// Something that is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this to the peer.
    Send(Signal),
    /// Make an offer.
    CreateOffer,
    /// Take this offer and make an answer.
    AcceptOffer(String),
    /// Take this answer.
    AcceptAnswer(String),
    /// Hand this candidate to ICE.
    AddCandidate(Candidate),
}

impl Negotiation {
    /// How far it has come.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Begins by an offer of ours.
    pub fn begin(&mut self, steps: &mut Vec<Step>) {
        if self.stage == Stage::Idle {
            self.stage = Stage::Offering;
            steps.push(Step::CreateOffer);
        }
    }

    /// The peer said something. What does not fit is ignored: an offer while ours is out, a second
    /// answer.
    pub fn signal(&mut self, signal: Signal, steps: &mut Vec<Step>) {
        match (signal, self.stage) {
            (Signal::Ice(candidate), _) => self.remote_candidate(candidate, steps),
            (Signal::OfferRequest, Stage::Idle) => self.begin(steps),
            (
                Signal::Sdp(Description {
                    kind: SdpType::Offer,
                    sdp,
                }),
                Stage::Idle,
            ) => {
                self.stage = Stage::Agreed;
                steps.push(Step::AcceptOffer(sdp));
            }
            (
                Signal::Sdp(Description {
                    kind: SdpType::Answer,
                    sdp,
                }),
                Stage::Offering,
            ) if self.described => {
                self.stage = Stage::Agreed;
                steps.push(Step::AcceptAnswer(sdp));
            }
            (Signal::Sdp(_) | Signal::OfferRequest, _) => {}
        }
    }

    /// Our own end has come further.
    pub fn local(&mut self, local: Local, steps: &mut Vec<Step>) {
        match local {
            Local::Described(description) => self.described(description, steps),
            Local::RemoteDescriptionSet => self.remote_is_set(steps),
            Local::Candidate(candidate) => self.local_candidate(candidate, steps),
        }
    }

    /// Our offer or answer is made.
    pub fn described(&mut self, description: Description, steps: &mut Vec<Step>) {
        self.described = true;
        steps.push(Step::Send(Signal::Sdp(description)));
        steps.extend(self.unsent.drain(..).map(Signal::Ice).map(Step::Send));
    }

    /// The remote description is in place: its candidates may follow.
    pub fn remote_is_set(&mut self, steps: &mut Vec<Step>) {
        if self.stage == Stage::Agreed {
            self.remote_is_set = true;
            steps.extend(self.early.drain(..).map(Step::AddCandidate));
        }
    }

    /// ICE found a candidate of ours; an empty one says that was all.
    pub fn local_candidate(&mut self, candidate: Candidate, steps: &mut Vec<Step>) {
        match self.described {
            true => steps.push(Step::Send(Signal::Ice(candidate))),
            false => self.unsent.push(candidate),
        }
    }

    fn remote_candidate(&mut self, candidate: Candidate, steps: &mut Vec<Step>) {
        // libnice cannot resolve names of multicast DNS; it connects through the peer-reflexive
        // candidate that the partner's own checks reveal.
        if candidate.is_end_of_candidates()
            || candidate.is_mdns()
            || self.candidates == MAX_CANDIDATES
        {
            return;
        }
        self.candidates += 1;
        match self.remote_is_set {
            true => steps.push(Step::AddCandidate(candidate)),
            false => self.early.push(candidate),
        }
    }
}
