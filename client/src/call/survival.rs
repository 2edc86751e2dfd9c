//! A second connection in the place of the first, and for how long nothing came meanwhile.

use std::mem;
use std::time::Duration;

use async_std::task;

use super::{Call, Client};
use crate::failure::Failure;
use crate::ice_servers::IceServers;
use crate::link::Link;
use crate::peer::CandidatePair;
use crate::report::{Doubt, Reconnection, Report};
use crate::session::{Ending, Event, Place};

/// What is to be told once a connection has taken the place of another.
pub(super) struct Outage {
    why: Doubt,
    /// When something last came over the old connection.
    heard: Option<Duration>,
    pair: Option<CandidatePair>,
}

impl Client {
    pub(super) fn start_second(&mut self) -> Result<(), Failure> {
        self.drop_second();
        let link = self.make_link()?;
        match &mut self.call {
            Some(call) => call.second = Some(link),
            None => drop(task::spawn(link.peer.abandon())),
        }
        Ok(())
    }

    pub(super) fn drop_second(&mut self) {
        if let Some(second) = self.call.as_mut().and_then(|call| call.second.take()) {
            task::spawn(second.peer.abandon());
        }
    }

    /// Changes over to the second connection.
    pub(super) fn replace(&mut self, why: Doubt) {
        let Some(call) = &mut self.call else { return };
        let Some(second) = call.second.take() else {
            return;
        };
        let first = mem::replace(&mut call.link, second);
        call.link.take_over_from(&first);
        // An outage that is not over began with the last thing that came over any of them.
        let heard = first
            .heard_last()
            .or_else(|| call.outage.as_ref().and_then(|outage| outage.heard));
        call.outage = Some(Outage {
            why,
            heard,
            pair: None,
        });
        task::spawn(first.peer.abandon());
        self.start_media();
    }

    /// Says what has become of a connection, once something has come over the new one.
    pub(super) fn tell_outage(&mut self) {
        let Some(call) = &mut self.call else { return };
        let (Some(outage), Some(now)) = (&call.outage, call.link.heard_first()) else {
            return;
        };
        let Some(pair) = &outage.pair else { return };
        let gap = outage
            .heard
            .map_or(Duration::ZERO, |heard| now.saturating_sub(heard));
        let report = Report::Reconnected(Reconnection {
            seconds: (gap.as_secs_f64() * 1000.0).round() / 1000.0,
            why: outage.why,
            local: pair.local.clone(),
            remote: pair.remote.clone(),
            transport: pair.transport.clone(),
        });
        call.outage = None;
        self.report(report);
    }

    pub(super) fn paired(&mut self, place: Place, pair: Option<CandidatePair>) {
        let Some(call) = &mut self.call else { return };
        let pair = pair.unwrap_or_default();
        if place == Place::First {
            call.link.goes_through_turn = pair.local == "relay";
        }
        match &mut call.outage {
            Some(outage) => {
                outage.pair = Some(pair);
                self.tell_outage();
            }
            None => self.report_connected(pair),
        }
    }

    /// The relay tells of other STUN and TURN servers, or of other credentials for them.
    pub(super) fn ice_servers(&mut self, servers: &IceServers) -> Option<Ending> {
        self.settings.ice = self.config.connection.ice.and(servers);
        let call = self.call.as_ref()?;
        let is_concerned = call.link.goes_through_turn && call.link.ice != self.settings.ice;
        is_concerned.then(|| self.handle(Event::Doubted(Doubt::Credentials)))?
    }

    /// Looks whether the network of this machine has changed.
    pub(super) fn look_around(&mut self) -> Option<Ending> {
        if !self.session.is_up() || !self.call.as_mut()?.link.has_lost_an_address() {
            return None;
        }
        self.handle(Event::Doubted(Doubt::Address))
    }
}

impl Call {
    /// Which of its connections has this number.
    pub(super) fn place(&self, number: u64) -> Option<Place> {
        [Place::First, Place::Second]
            .into_iter()
            .find(|&place| self.at(place).is_some_and(|link| link.number == number))
    }

    pub(super) fn at(&self, place: Place) -> Option<&Link> {
        match place {
            Place::First => Some(&self.link),
            Place::Second => self.second.as_ref(),
        }
    }

    pub(super) fn at_mut(&mut self, place: Place) -> Option<&mut Link> {
        match place {
            Place::First => Some(&mut self.link),
            Place::Second => self.second.as_mut(),
        }
    }
}
