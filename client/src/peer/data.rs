//! Data channels ([W3C, `RTCDataChannel`](https://www.w3.org/TR/webrtc/#rtcdatachannel)): messages
//! beside the media, in order or not, repeated until they arrive or not.
//!
//! A channel is silent in both directions until the peer's certificate is verified. What comes in
//! waits in `data/waiting.rs`, within bounds, until somebody takes it; webrtcbin itself knows no limit to what it
//! takes in, so a peer that sends a flood which nobody takes loses the connection.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, ensure};
use async_channel::{Receiver, Sender, TrySendError, bounded};
use futures_util::future::{Either, select};
use gst::glib;
use gst::prelude::*;
use gst_webrtc::{WebRTCDataChannel, WebRTCDataChannelState as ReadyState};

use super::{Listener, PeerEvent};
use crate::failure::{Failure, FailureKind};
use waiting::{Allowance, Waiting};

mod message;
mod waiting;

pub use message::{DataChannelInit, MAX_MESSAGE_BYTES, Message, SendError};

/// Above this, whoever sends waits until what was sent before has left.
const HIGH_WATER_BYTES: u64 = 4 << 20;

/// Below this, whoever waits to send goes on.
const LOW_WATER_BYTES: u64 = 1 << 20;

/// How many channels a peer may open; of more, nobody is told.
const MAX_CHANNELS: usize = 64;

/// One channel. Clones are the same channel, each message is received once; when the last one is
/// dropped, what still comes in is thrown away.
#[derive(Clone, Debug)]
pub struct DataChannel {
    channel: WebRTCDataChannel,
    label: String,
    incoming: Receiver<Waiting>,
    state: Arc<State>,
    fate: Arc<Fate>,
}

/// What becomes of the connection that carries the channels.
#[derive(Debug, Default)]
pub(super) struct Fate {
    /// The peer is the announced one.
    pub(super) verified: Latch,
    /// There is no connection any more.
    pub(super) ended: Latch,
    /// How many channels the peer has opened.
    opened: AtomicUsize,
    /// What waits on all of them.
    allowance: Allowance,
}

/// Something that becomes true once, and can be waited for.
#[derive(Debug)]
pub(super) struct Latch(Sender<()>, Receiver<()>);

#[derive(Debug)]
struct State {
    open: Latch,
    /// Set for every fall below the low-water mark.
    low: (Sender<()>, Receiver<()>),
    incoming: OnceLock<Sender<Waiting>>,
    allowance: Allowance,
}

impl DataChannel {
    /// Its name, as whoever made it chose it: a stranger's text, if that was the peer.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The name of what is spoken on it, as whoever made it says.
    pub fn protocol(&self) -> String {
        text(&self.channel, "protocol")
    }

    /// Whether every message arrives, or else the channel ends.
    pub fn is_reliable(&self) -> bool {
        is_reliable(&self.channel)
    }

    /// How many bytes wait in front of the network.
    pub fn buffered_amount(&self) -> u64 {
        self.channel.buffered_amount()
    }

    /// Waits until it can be used: it is open and the peer is verified.
    ///
    /// # Errors
    /// [`SendError::Closed`] when that will never be.
    pub async fn opened(&self) -> Result<(), SendError> {
        self.until(&self.state.open).await?;
        self.until(&self.fate.verified).await?;
        match self.incoming.is_closed() {
            true => Err(SendError::Closed),
            false => Ok(()),
        }
    }

    /// Sends a message, once the channel is open and not too much waits before it.
    ///
    /// # Errors
    /// When the message cannot be sent, and [`SendError::Closed`] when nothing can.
    pub async fn send(&self, message: &Message) -> Result<(), SendError> {
        if message.len() > MAX_MESSAGE_BYTES {
            return Err(SendError::TooLong(message.len()));
        }
        self.opened().await?;
        self.drained().await?;
        let sent = match message {
            Message::Text(text) if text.contains('\0') => return Err(SendError::Nul),
            // An empty one is made by no text at all: see `fill_empty`.
            Message::Text(text) if text.is_empty() => self.channel.send_string_full(None),
            Message::Text(text) => self.channel.send_string_full(Some(text)),
            Message::Binary(bytes) if bytes.is_empty() => self.channel.send_data_full(None),
            Message::Binary(bytes) => self.channel.send_data_full(Some(bytes)),
        };
        sent.map_err(|error| SendError::Refused(error.to_string()))
    }

    /// The next message of the peer, once it is verified; `None` when no more will come.
    pub async fn receive(&self) -> Option<Message> {
        self.until(&self.fate.verified).await.ok()?;
        let next = pin!(self.incoming.recv());
        let message = match select(pin!(self.fate.ended.wait()), next).await {
            Either::Right((message, _)) => message.ok()?,
            Either::Left(_) => return None,
        };
        Some(message.take())
    }

    /// The next message of the peer, if there is one now and the peer is verified.
    pub fn try_receive(&self) -> Option<Message> {
        if !self.fate.verified.is_set() || self.fate.ended.is_set() {
            return None;
        }
        let message = self.incoming.try_recv().ok()?;
        Some(message.take())
    }

    /// Ends the channel. What was sent last may be lost with it where the peer is a webrtcbin, too:
    /// let the peer say that it has it all.
    pub fn close(&self) {
        self.channel.close();
    }

    /// Waits until the channel, or the connection, is over.
    pub async fn closed(&self) {
        let closed = pin!(self.state.low.0.closed());
        select(closed, pin!(self.fate.ended.wait())).await;
    }

    /// Waits until there is room for more.
    async fn drained(&self) -> Result<(), SendError> {
        if self.buffered_amount() <= HIGH_WATER_BYTES {
            return Ok(());
        }
        while self.buffered_amount() > HIGH_WATER_BYTES {
            let low = pin!(self.state.low.1.recv());
            match select(low, pin!(self.fate.ended.wait())).await {
                Either::Left((Ok(()), _)) => {}
                Either::Left((Err(_), _)) | Either::Right(_) => return Err(SendError::Closed),
            }
        }
        // Whoever else waits looks for himself.
        let _ = self.state.low.0.try_send(());
        Ok(())
    }

    async fn until(&self, latch: &Latch) -> Result<(), SendError> {
        if latch.is_set() {
            return Ok(());
        }
        match select(pin!(latch.wait()), pin!(self.fate.ended.wait())).await {
            Either::Left(_) => Ok(()),
            Either::Right(_) => Err(SendError::Closed),
        }
    }
}

/// Makes a channel of ours.
pub(super) fn create(
    webrtc: &gst::Element,
    fate: &Arc<Fate>,
    listener: &Listener,
    label: &str,
    init: &DataChannelInit,
) -> Result<DataChannel, anyhow::Error> {
    ensure!(!label.contains('\0'), "a label has no NUL");
    ensure!(
        init.max_packet_lifetime.is_none() || init.max_retransmits.is_none(),
        "a message is given up either after a time or after some repetitions"
    );
    let or_none = |limit: Option<u16>| limit.map_or(-1, i32::from);
    let options = gst::Structure::builder("options")
        .field("ordered", init.ordered)
        .field("max-packet-lifetime", or_none(init.max_packet_lifetime))
        .field("max-retransmits", or_none(init.max_retransmits))
        .field("protocol", &init.protocol)
        .build();
    let channel = webrtc
        .emit_by_name::<Option<WebRTCDataChannel>>("create-data-channel", &[&label, &options])
        .context("webrtcbin makes no data channel")?;
    let (messages, incoming) = waiting::queue();
    let state = Arc::new(State::new(&fate.allowance));
    let _ = state.incoming.set(messages);
    watch(&channel, &state, listener);
    let opened = Arc::clone(&state);
    channel.connect_on_open(move |_| opened.open.set());
    if channel.ready_state() == ReadyState::Open {
        state.open.set();
    }
    Ok(DataChannel {
        channel,
        label: label.to_owned(),
        incoming,
        state,
        fate: Arc::clone(fate),
    })
}

/// Tells of every channel that the peer opens.
pub(super) fn watch_peer(webrtc: &gst::Element, fate: &Arc<Fate>, listener: &Listener) {
    let (fate, listener) = (Arc::clone(fate), Arc::clone(listener));
    webrtc.connect("prepare-data-channel", false, move |values| {
        let channel = values.get(1)?.get::<WebRTCDataChannel>().ok()?;
        let is_ours = values.get(2)?.get::<bool>().ok()?;
        if is_ours || fate.opened.fetch_add(1, Ordering::Relaxed) >= MAX_CHANNELS {
            return None;
        }
        let state = Arc::new(State::new(&fate.allowance));
        watch(&channel, &state, &listener);
        let (fate, listener) = (Arc::clone(&fate), Arc::clone(&listener));
        channel.connect_on_open(move |channel| {
            let (messages, incoming) = waiting::queue();
            if state.incoming.set(messages).is_err() {
                return;
            }
            state.open.set();
            listener(PeerEvent::DataChannel(DataChannel {
                channel: channel.clone(),
                label: text(channel, "label"),
                incoming,
                state: Arc::clone(&state),
                fate: Arc::clone(&fate),
            }));
        });
        None
    });
}

/// Lets empty messages pass: as one byte, which their type declares to be none
/// ([RFC 8831, section 6.6](https://www.rfc-editor.org/rfc/rfc8831#section-6.6)). webrtcbin gives them
/// their type and no byte, and SCTP fails on that for good.
pub(super) fn fill_empty(appsrc: &gst::Element) {
    let Some(pad) = appsrc.static_pad("src") else {
        return;
    };
    pad.add_probe(gst::PadProbeType::BUFFER, |_, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data
            && buffer.size() == 0
        {
            let byte = gst::Memory::from_slice([0_u8]);
            buffer.make_mut().append_memory(byte);
        }
        gst::PadProbeReturn::Ok
    });
}

/// Lets go of what waits to be sent. Taken down while SCTP takes no more, its encoder would wait for
/// the sender, which waits for SCTP.
pub(super) fn give_up_sending(webrtc: &gst::Element) {
    let Some(bin) = webrtc.downcast_ref::<gst::Bin>() else {
        return;
    };
    let senders = bin.iterate_all_by_element_factory_name("appsrc");
    for sender in senders.into_iter().flatten() {
        if let Some(pad) = sender.static_pad("src") {
            pad.push_event(gst::event::FlushStart::new());
        }
    }
}

/// What webrtcbin says of a channel goes into its state. Nothing in here holds the channel itself.
fn watch(channel: &WebRTCDataChannel, state: &Arc<State>, listener: &Listener) {
    channel.set_buffered_amount_low_threshold(LOW_WATER_BYTES);
    let low = state.low.0.clone();
    channel.connect_on_buffered_amount_low(move |_| {
        let _ = low.try_send(());
    });
    let closed = Arc::clone(state);
    channel.connect_on_close(move |_| closed.close());
    channel.connect_on_error(|_, error| tracing::debug!("a data channel: {error}"));
    let (receiving, told) = (Arc::clone(state), Arc::clone(listener));
    channel.connect_on_message_data(move |channel, bytes| {
        let bytes = bytes
            .cloned()
            .unwrap_or_else(|| glib::Bytes::from_static(&[]));
        receiving.receive(channel, Message::Binary(bytes), &told);
    });
    let (receiving, told) = (Arc::clone(state), Arc::clone(listener));
    // Read as a path, which need not be UTF-8: as a string, what is not would end the program.
    channel.connect("on-message-string", false, move |values| {
        let channel = values.first()?.get::<WebRTCDataChannel>().ok()?;
        let text = values.get(1)?.get::<Option<PathBuf>>().ok()?;
        match text.unwrap_or_default().into_os_string().into_string() {
            Ok(text) => receiving.receive(&channel, Message::Text(text), &told),
            Err(_) => tracing::debug!("a text that is not UTF-8 was thrown away"),
        }
        None
    });
}

/// A property that the peer may have chosen, and need not be UTF-8.
fn text(channel: &WebRTCDataChannel, property: &str) -> String {
    let text = channel.property::<Option<PathBuf>>(property);
    text.unwrap_or_default().to_string_lossy().into_owned()
}

fn is_reliable(channel: &WebRTCDataChannel) -> bool {
    channel.max_packet_lifetime() < 0 && channel.max_retransmits() < 0
}

impl State {
    fn new(allowance: &Allowance) -> Self {
        Self {
            open: Latch::default(),
            low: bounded(1),
            incoming: OnceLock::new(),
            allowance: allowance.clone(),
        }
    }

    /// On webrtcbin's own thread. Of a channel that promises nothing, what does not fit is lost.
    fn receive(&self, channel: &WebRTCDataChannel, message: Message, listener: &Listener) {
        let Some(incoming) = self.incoming.get() else {
            return;
        };
        if incoming.is_closed() {
            return;
        }
        let kept = Waiting::new(message, &self.allowance).is_some_and(|waiting| {
            !matches!(incoming.try_send(waiting), Err(TrySendError::Full(_)))
        });
        if !kept && is_reliable(channel) && incoming.close() {
            listener(PeerEvent::Failed(Failure::new(
                FailureKind::ConnectionFailed,
                "The other side sends data faster than it is taken here; let it wait for replies.",
            )));
        }
    }

    fn close(&self) {
        self.open.set();
        self.low.0.close();
        if let Some(incoming) = self.incoming.get() {
            incoming.close();
        }
    }
}

impl Latch {
    /// Makes it true, for good.
    pub(super) fn set(&self) {
        self.0.close();
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.is_closed()
    }

    async fn wait(&self) {
        // Nothing is ever sent: this ends when it is closed.
        let _ = self.1.recv().await;
    }
}

impl Default for Latch {
    fn default() -> Self {
        let (set, wait) = bounded(1);
        Self(set, wait)
    }
}
