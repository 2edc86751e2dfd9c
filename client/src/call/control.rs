//! The control channel of a call: what the peer asks for is done here.

use std::time::Duration;

use async_channel::{Sender, bounded};
use async_std::task;

use super::Client;
use super::data::Teller;
use crate::control::{Action, Allowance, Ask, Control, Effect, Request, Sources, Statement};
use crate::data::Word;
use crate::media::Kind;
use crate::peer::{DataChannel, Message};
use crate::stats::Rates;

/// How many statements may wait for a peer that does not take them; more are lost.
const MAX_STATEMENTS: usize = 64;

/// How often another client is asked for a sign of life.
const PING_EVERY: Duration = Duration::from_secs(1);

/// What a connection has of this: one channel, the first with that name.
#[derive(Debug)]
pub(super) struct Controller {
    control: Control,
    channel: DataChannel,
    statements: Sender<String>,
    pinged: Duration,
}

impl Controller {
    /// Without ever waiting for the peer.
    fn say(&self, statement: impl ToString) {
        if self.statements.try_send(statement.to_string()).is_err() {
            tracing::debug!("the peer does not take what it asked for");
        }
    }
}

impl Client {
    /// Says hello, and listens.
    pub(super) fn use_control(&mut self, channel: DataChannel, teller: Teller) {
        if !self.config.data.control {
            return;
        }
        let now = self.began.elapsed();
        let control = Control::new(self.allowance(), now);
        let number = teller.number;
        let Some(channels) = self.channels(number).filter(|its| its.control.is_none()) else {
            return;
        };
        let (statements, waiting) = bounded(MAX_STATEMENTS);
        let controller = Controller {
            control,
            channel: channel.clone(),
            statements,
            pinged: now,
        };
        controller.say(controller.control.hello());
        channels.control = Some(controller);
        let saying = channel.clone();
        task::spawn(async move {
            while let Ok(statement) = waiting.recv().await {
                let message = Message::Text(statement);
                if saying.send(&message).await.is_err() {
                    return;
                }
            }
        });
        task::spawn(async move {
            while let Some(message) = channel.receive().await {
                // What is no text is no request either.
                let text = match message {
                    Message::Text(text) => text,
                    Message::Binary(_) => String::new(),
                };
                teller.tell(Word::Asked(text)).await;
            }
        });
    }

    fn allowance(&self) -> Allowance {
        Allowance {
            sources: Sources {
                video: self.capture.sources(Kind::Video),
                audio: self.capture.sources(Kind::Audio),
            },
            bitrate_kbps: match self.config.media.sends(Kind::Video) {
                true => self.config.media.format.bitrate_kbps,
                false => 0,
            },
        }
    }

    /// A message came on the control channel.
    pub(super) fn asked(&mut self, number: u64, text: &str) {
        let now = self.began.elapsed();
        let Some(controller) = self.controller(number) else {
            return;
        };
        for effect in controller.control.handle(text, now) {
            match effect {
                Effect::Say(statement) => self.say(number, statement),
                Effect::Do(id, action) => {
                    let outcome = self.act(action);
                    self.say(number, Control::done(id, outcome));
                }
                Effect::Close => {
                    if let Some(controller) = self.controller(number) {
                        tracing::warn!("the peer does not speak what the control channel is for");
                        controller.channel.close();
                    }
                }
            }
        }
    }

    fn controller(&mut self, number: u64) -> Option<&mut Controller> {
        self.channels(number)?.control.as_mut()
    }

    fn say(&mut self, number: u64, statement: Statement) {
        if let Some(controller) = self.controller(number) {
            controller.say(statement);
        }
    }

    fn act(&mut self, action: Action) -> Result<(), &'static str> {
        tracing::info!(?action, "the peer asks");
        match action {
            Action::Switch(kind, index) => match self.capture.switch(kind, index) {
                true => Ok(()),
                false => Err("the source cannot be changed now"),
            },
            Action::KeyFrame => match &self.call {
                Some(call) => {
                    call.link.peer.request_key_frame();
                    Ok(())
                }
                None => Err("there is no call"),
            },
            Action::Cap(kbps) => {
                self.cap(kbps);
                Ok(())
            }
        }
    }

    /// Asks another client for a sign of life where no media tells that it lives.
    pub(super) fn ping(&mut self) {
        let now = self.began.elapsed();
        let Some(call) = &self.call else { return };
        let number = call.link.number;
        if call.link.carries_media() || !call.link.is_up() {
            return;
        }
        let Some(controller) = self.controller(number) else {
            return;
        };
        if !controller.control.is_spoken() || now < controller.pinged + PING_EVERY {
            return;
        }
        controller.pinged = now;
        let (id, ask) = (0, Ask::Ping);
        controller.say(Request { id, ask });
        if let Some(call) = &mut self.call {
            call.link.is_pinged = true;
        }
    }

    /// New figures go to a peer that asked for them.
    pub(super) fn share_statistics(&mut self, rates: &Rates) {
        let now: Duration = self.began.elapsed();
        let Some(number) = self.call.as_ref().map(|call| call.link.number) else {
            return;
        };
        let Some(controller) = self.controller(number) else {
            return;
        };
        if let Some(statement) = controller.control.statistics(rates, now) {
            controller.say(statement);
        }
    }
}
