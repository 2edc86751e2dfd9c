//! One call, seen from both its sides: what each waits for and says next.

use std::io::Write;
use std::net::TcpStream;

use anyhow::{Context, bail, ensure};

use crate::frame::{self, Kind, Parsed};
use crate::opening::upgraded;
use crate::pattern::{Framing, Pattern, Sheet, stamp_field};
use crate::preamble::{PREAMBLE, Preamble};
use crate::target::Target;

/// Messages of a call, half of them each way.
pub(crate) const MESSAGES: u32 = 6;

/// How far one side of a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Waits for the answer to its request for a WebSocket.
    Upgrading,
    /// Waits for `HELLO`.
    Registering,
    /// Is there, and waits for the other side.
    Ready,
    /// Waits for `SESSION_OK`.
    Calling,
    /// Asks the forwarder for an answer, so many times more.
    Asking(u32),
    /// Exchanges messages.
    Talking,
    /// Waits for the server to close.
    Closing,
    /// Is gone.
    Over,
}

pub(crate) struct Side {
    pub(crate) socket: TcpStream,
    pub(crate) step: Step,
    pub(crate) unread: Vec<u8>,
    /// What is sent as soon as the connection stands.
    pub(crate) first: Option<Vec<u8>>,
}

pub(crate) struct Call {
    pub(crate) number: usize,
    pub(crate) began: u64,
    /// Messages that have arrived.
    pub(crate) arrived: u32,
    pub(crate) caller: Side,
    pub(crate) callee: Side,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Caller,
    Callee,
}

pub(crate) fn token(slot: usize, who: Who) -> usize {
    match who {
        Who::Caller => 2 * slot,
        Who::Callee => 2 * slot + 1,
    }
}

impl Call {
    pub(crate) fn side(&mut self, who: Who) -> &mut Side {
        match who {
            Who::Caller => &mut self.caller,
            Who::Callee => &mut self.callee,
        }
    }

    /// Takes a frame, or the answer that comes before all frames. Returns how many bytes it took.
    pub(crate) fn hear_frame(
        &mut self,
        who: Who,
        bytes: &[u8],
        target: &Target,
        pattern: &Pattern,
        sheet: &mut Sheet,
    ) -> anyhow::Result<usize> {
        let step = self.side(who).step;
        if step == Step::Upgrading {
            let Some(taken) = upgraded(bytes)? else {
                return Ok(0);
            };
            let peer = self.peer(who);
            self.say(
                who,
                &format!("HELLO {}", target.id(peer)),
                Step::Registering,
            )?;
            return Ok(taken);
        }
        if step == Step::Over {
            // What the server says behind its close is nobody's.
            return Ok(bytes.len());
        }
        if step == Step::Talking && pattern.read(bytes).is_some() {
            self.take(who, bytes, pattern, sheet)?;
            return Ok(pattern.arriving_bytes());
        }
        let (kind, payload, taken) = match frame::parse(bytes) {
            Parsed::Incomplete => return Ok(0),
            Parsed::Broken(what) => bail!("the server sends {what}"),
            Parsed::Whole {
                kind,
                payload,
                bytes,
            } => (kind, payload, bytes),
        };
        match (kind, step, payload) {
            (Kind::Text, Step::Registering, b"HELLO") => self.registered(who, target)?,
            (Kind::Text, Step::Calling, b"SESSION_OK") => {
                self.caller.step = Step::Talking;
                self.callee.step = Step::Talking;
                self.send(who, 0, pattern, sheet)?;
            }
            (Kind::Close, Step::Closing, _) => self.side(who).step = Step::Over,
            (Kind::Close, Step::Talking, _) if who == Who::Callee && self.arrived == MESSAGES => {
                send_all(
                    &mut self.callee.socket,
                    &frame::masked(Kind::Close, payload),
                )?;
                self.callee.step = Step::Over;
            }
            (Kind::Ping, _, _) => {
                send_all(
                    &mut self.side(who).socket,
                    &frame::masked(Kind::Pong, payload),
                )?;
            }
            (Kind::Pong, _, _) => {}
            _ => bail!(
                "{step:?}, it gets {kind:?} {:.200}",
                String::from_utf8_lossy(payload)
            ),
        }
        Ok(taken)
    }

    fn registered(&mut self, who: Who, target: &Target) -> anyhow::Result<()> {
        self.side(who).step = Step::Ready;
        if self.caller.step == Step::Ready && self.callee.step == Step::Ready {
            let callee = target.id(self.peer(Who::Callee));
            self.say(Who::Caller, &format!("SESSION {callee}"), Step::Calling)?;
        }
        Ok(())
    }

    fn peer(&self, who: Who) -> usize {
        token(self.number, who)
    }

    fn say(&mut self, who: Who, line: &str, next: Step) -> anyhow::Result<()> {
        let side = self.side(who);
        side.step = next;
        send_all(
            &mut side.socket,
            &frame::masked(Kind::Text, line.as_bytes()),
        )
    }

    /// Takes the answer to a question, or a message. Returns how many bytes it took.
    pub(crate) fn hear_raw(
        &mut self,
        who: Who,
        bytes: &[u8],
        pattern: &Pattern,
        sheet: &mut Sheet,
    ) -> anyhow::Result<usize> {
        if let Step::Asking(left) = self.side(who).step {
            if bytes.len() < PREAMBLE {
                return Ok(0);
            }
            ensure!(
                bytes.starts_with(&Preamble::Echo.to_bytes()),
                "the forwarder answers something else"
            );
            self.ask(who, left - 1, pattern, sheet)?;
            return Ok(PREAMBLE);
        }
        if bytes.len() < pattern.arriving_bytes() {
            return Ok(0);
        }
        self.take(who, bytes, pattern, sheet)?;
        Ok(pattern.arriving_bytes())
    }

    /// Asks once more, or says where its bytes go.
    fn ask(
        &mut self,
        who: Who,
        left: u32,
        pattern: &Pattern,
        sheet: &mut Sheet,
    ) -> anyhow::Result<()> {
        let pair = Preamble::Pair {
            pair: self.number as u32,
        };
        let side = self.side(who);
        if left > 0 {
            side.step = Step::Asking(left);
            return send_all(&mut side.socket, &Preamble::Echo.to_bytes());
        }
        side.step = Step::Talking;
        let mut last = pair.to_bytes().to_vec();
        if who == Who::Caller {
            pattern.fill(sheet, Default::default(), 0);
            last.extend_from_slice(sheet.take());
        }
        send_all(&mut side.socket, &last)
    }

    /// A message has arrived: the next one goes back, and after the last one the caller ends the call.
    fn take(
        &mut self,
        who: Who,
        bytes: &[u8],
        pattern: &Pattern,
        sheet: &mut Sheet,
    ) -> anyhow::Result<()> {
        let is_next = pattern.read(bytes) == Some((None, stamp_field(self.arrived)));
        let is_turn = (who == Who::Callee) == self.arrived.is_multiple_of(2);
        ensure!(
            is_next && is_turn,
            "a message was altered, or comes when it should not"
        );
        self.arrived += 1;
        if self.arrived < MESSAGES {
            return self.send(who, self.arrived, pattern, sheet);
        }
        match pattern.framing() {
            Framing::Frames => {
                self.caller.step = Step::Closing;
                send_all(
                    &mut self.caller.socket,
                    &frame::masked(Kind::Close, &1000_u16.to_be_bytes()),
                )
            }
            Framing::Raw => {
                self.caller.step = Step::Over;
                self.callee.step = Step::Closing;
                // The other side is told by the forwarder.
                Ok(self.caller.socket.shutdown(std::net::Shutdown::Both)?)
            }
        }
    }

    fn send(
        &mut self,
        who: Who,
        stamp: u32,
        pattern: &Pattern,
        sheet: &mut Sheet,
    ) -> anyhow::Result<()> {
        pattern.fill(sheet, Default::default(), stamp);
        send_all(&mut self.side(who).socket, sheet.take())
    }
}

/// A call never sends more than a fresh connection takes at once.
fn send_all(socket: &mut TcpStream, bytes: &[u8]) -> anyhow::Result<()> {
    let count = socket.write(bytes).context("the server is gone")?;
    ensure!(
        count == bytes.len(),
        "a connection takes no {} bytes",
        bytes.len()
    );
    Ok(())
}
