//! Lines over a data channel. Two ends that speak `aldis-lines` tell one another when they have no
//! more, and when all have arrived: a channel that is closed may lose its last messages.

use std::pin::pin;
use std::time::Duration;

use async_std::task;
use futures_util::future::{Either, select};

use super::data::{Teller, is_byte};
use crate::data::{Form, LINES_PROTOCOL, Word};
use crate::lines::{Line, Lines};
use crate::peer::{DataChannel, Message, SendError};

/// There are no more lines: the ASCII character for the end of a transmission.
const END: u8 = 0x04;

/// All lines up to the end are here: the ASCII character that acknowledges.
const ACKNOWLEDGE: u8 = 0x06;

/// How long what was sent last may be under way to a peer that does not tell when it has it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How often is looked whether all has left.
const LOOK: Duration = Duration::from_millis(20);

/// Sends lines until there are no more, or the channel is over.
pub(super) async fn send(
    channel: DataChannel,
    lines: Lines,
    form: Form,
    eof_ends: bool,
    teller: Teller,
) {
    loop {
        // A line is not taken before it can be sent.
        if channel.opened().await.is_err() {
            return;
        }
        let text = match lines.next().await {
            Line::Text(text) => text,
            Line::End => break,
        };
        let message = Message::Text(text);
        match channel.send(&message).await {
            Ok(()) => {}
            Err(SendError::Closed) => {
                if let Message::Text(text) = message {
                    lines.give_back(Line::Text(text));
                }
                return;
            }
            Err(error) => tracing::warn!("a line was not sent: {error}"),
        }
    }
    let answers = channel.protocol() == LINES_PROTOCOL && form.is_stream();
    if answers && channel.send(&Message::binary([END])).await.is_err() {
        return;
    }
    if eof_ends && !answers {
        // What waits on a channel that is over waits for ever.
        let over = pin!(channel.closed());
        if let Either::Left(_) = select(over, pin!(has_left(&channel))).await {
            tracing::warn!("the data channel ended before all lines had left");
            return;
        }
        task::sleep(LAST_WORDS).await;
        teller.tell(Word::Finished(ALL_SENT)).await;
    }
}

/// Waits until all that was sent has left.
async fn has_left(channel: &DataChannel) {
    while channel.buffered_amount() > 0 {
        task::sleep(LOOK).await;
    }
}

/// Prints what comes, until the channel is over.
pub(super) async fn receive(channel: DataChannel, lines: Lines, eof_ends: bool, teller: Teller) {
    let speaks = channel.protocol() == LINES_PROTOCOL;
    while let Some(message) = channel.receive().await {
        let text = match message {
            Message::Text(text) => text,
            end if speaks && is_byte(&end, END) => {
                lines.printed().await;
                let _ = channel.send(&Message::binary([ACKNOWLEDGE])).await;
                continue;
            }
            acknowledged if speaks && is_byte(&acknowledged, ACKNOWLEDGE) => {
                if eof_ends {
                    teller.tell(Word::Finished(ALL_SENT)).await;
                }
                continue;
            }
            Message::Binary(bytes) => {
                let count = bytes.len();
                tracing::warn!(
                    "a message of {count} bytes that is no text came in and was not printed"
                );
                continue;
            }
        };
        if !lines.print(text).await {
            teller
                .tell(Word::Finished("nobody reads the lines that come in"))
                .await;
            return;
        }
    }
}

const ALL_SENT: &str = "all lines are sent";
