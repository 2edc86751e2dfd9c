//! What goes over one WebSocket connection: messages, and the reason for its end.

/// A message of a peer, still where it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
}

/// Why the relay closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The other side of the session is gone.
    PartnerLeft,
    /// The relay is stopping.
    Stopping,
    /// `HELLO` with an id that is taken or is none.
    InvalidPeerId,
    /// The first message was no `HELLO`.
    InvalidProtocol,
    /// No `HELLO` came in time.
    HelloTimeout,
    /// Too much waits to be read by this peer, or has waited for too long.
    SlowConsumer,
    /// The peer no longer answers pings.
    KeepaliveTimeout,
    /// A text message that is not UTF-8.
    InvalidUtf8,
    /// A frame that breaks the rules of [RFC 6455](https://www.rfc-editor.org/rfc/rfc6455).
    BrokenFrame,
    /// A message above the limit.
    MessageTooBig,
    /// More messages in a short time than anybody needs.
    TooManyMessages,
    /// As many peers are registered as the relay takes.
    RelayFull,
    /// `HELLO` with another id than the peer's token names.
    NotAllowed,
}

impl CloseReason {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 13] = [
        Self::PartnerLeft,
        Self::Stopping,
        Self::InvalidPeerId,
        Self::InvalidProtocol,
        Self::HelloTimeout,
        Self::SlowConsumer,
        Self::KeepaliveTimeout,
        Self::InvalidUtf8,
        Self::BrokenFrame,
        Self::MessageTooBig,
        Self::TooManyMessages,
        Self::RelayFull,
        Self::NotAllowed,
    ];

    /// The close code ([RFC 6455, section 7.4.1](https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1)).
    pub fn code(self) -> u16 {
        match self {
            Self::PartnerLeft => 1000,
            Self::Stopping => 1001,
            Self::InvalidPeerId
            | Self::InvalidProtocol
            | Self::HelloTimeout
            | Self::BrokenFrame => 1002,
            Self::InvalidUtf8 => 1007,
            Self::SlowConsumer | Self::TooManyMessages | Self::NotAllowed => 1008,
            Self::MessageTooBig => 1009,
            Self::KeepaliveTimeout => 1011,
            Self::RelayFull => 1013,
        }
    }

    /// The text beside the code. Existing clients compare it byte for byte.
    pub fn text(self) -> &'static str {
        match self {
            Self::PartnerLeft => "",
            Self::Stopping => "relay stopping",
            Self::InvalidPeerId => "invalid peer uid",
            Self::InvalidProtocol => "invalid protocol",
            Self::HelloTimeout => "hello timeout",
            Self::SlowConsumer => "slow consumer",
            Self::KeepaliveTimeout => "keepalive ping timeout",
            Self::InvalidUtf8 => "invalid UTF-8",
            Self::BrokenFrame => "broken frame",
            Self::MessageTooBig => "message too big",
            Self::TooManyMessages => "too many messages",
            Self::RelayFull => "relay full",
            Self::NotAllowed => "not allowed by token",
        }
    }
}
