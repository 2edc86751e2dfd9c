//! The frames of WebSockets: however the bytes of a client are divided into reads, they mean the
//! same, and they mean what they mean to tungstenite; and what we send, that reads as it was meant.

use std::io::{self, Read, Write};

use async_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use async_tungstenite::tungstenite::{Error, Message, WebSocket};
use signalling::codec::{self, Decoder, Incoming, Opcode};
use signalling::frame::CloseReason;

/// The limits on messages that are tried, in bytes.
const LIMITS: [usize; 4] = [125, 126, 1000, 66_000];

/// The close code that tungstenite does not know (IANA has it since 2015), and answers with 1002.
const BAD_GATEWAY: u16 = 1014;

/// One thing that came out of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
}

/// How the reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// More bytes are needed, or nothing may follow.
    Open,
    /// By the frame that begins there.
    Broken { reason: CloseReason, at: usize },
}

/// The first byte chooses the limit, the second how the others are divided into reads.
pub(crate) fn check(data: &[u8]) {
    let [limit, division, bytes @ ..] = data else {
        return;
    };
    let limit = LIMITS[usize::from(*limit) % LIMITS.len()];
    let ours = read_ours(bytes, limit, usize::MAX);
    assert_eq!(read_ours(bytes, limit, 1), ours, "byte by byte");
    let step = usize::from(*division) + 1;
    assert_eq!(
        read_ours(bytes, limit, step),
        ours,
        "{step} bytes at a time"
    );
    compare(&ours, &read_theirs(bytes, limit, &[]), bytes, limit);
    for heard in &ours.0 {
        check_encoding(heard);
    }
}

/// What the relay makes of the bytes when so many come at once.
fn read_ours(bytes: &[u8], limit: usize, step: usize) -> (Vec<Heard>, End) {
    let mut decoder = Decoder::default();
    let (mut heard, mut buffer, mut taken) = (Vec::new(), Vec::new(), 0);
    for read in bytes.chunks(step.min(bytes.len().max(1))) {
        buffer.extend_from_slice(read);
        let mut at = 0;
        loop {
            match decoder.next(&mut buffer[at..], limit) {
                Ok(Some((incoming, used))) => {
                    assert!(used > 0, "there would be no end");
                    heard.extend(understand(incoming, &buffer[at..at + used]));
                    at += used;
                    if let Some(Heard::Close(_)) = heard.last() {
                        return (heard, End::Open);
                    }
                }
                Ok(None) => break,
                Err(reason) => {
                    let at = taken + at;
                    return (heard, End::Broken { reason, at });
                }
            }
        }
        buffer.drain(..at);
        taken += at;
    }
    (heard, End::Open)
}

fn understand(incoming: Incoming, frame: &[u8]) -> Option<Heard> {
    let text_or_binary = |is_text, payload: &[u8]| {
        if is_text {
            Heard::Text(str::from_utf8(payload).expect("text is UTF-8").to_owned())
        } else {
            Heard::Binary(payload.to_vec())
        }
    };
    match incoming {
        Incoming::Message { is_text, payload } => {
            assert_eq!(payload.end, frame.len());
            check_in_place(is_text, frame, payload.start);
            Some(text_or_binary(is_text, &frame[payload]))
        }
        Incoming::Assembled { is_text, payload } => Some(text_or_binary(is_text, &payload)),
        Incoming::Ping { payload } => Some(Heard::Ping(frame[payload].to_vec())),
        Incoming::Pong => Some(Heard::Pong),
        Incoming::Fragment => None,
        Incoming::Close { code } => Some(Heard::Close(code)),
    }
}

/// A frame made where its payload lies is the frame that is made elsewhere.
fn check_in_place(is_text: bool, frame: &[u8], payload_at: usize) {
    let opcode = if is_text {
        Opcode::Text
    } else {
        Opcode::Binary
    };
    let mut in_place = frame.to_vec();
    let start = codec::encode_in_place(opcode, &mut in_place, &(payload_at..frame.len()));
    let mut elsewhere = Vec::new();
    let (one, other) = frame[payload_at..].split_at((frame.len() - payload_at) / 3);
    codec::encode(opcode, &[one, other], &mut elsewhere);
    assert_eq!(in_place[start..], elsewhere);
    assert_eq!(codec::frame_bytes(&elsewhere), elsewhere.len());
}

/// What tungstenite reads of a frame of ours is what was put into it.
fn check_encoding(heard: &Heard) {
    let mut bytes = Vec::new();
    let expected = match heard {
        Heard::Text(text) => {
            codec::encode(Opcode::Text, &[text.as_bytes()], &mut bytes);
            Message::text(text.clone())
        }
        Heard::Binary(payload) => {
            codec::encode(Opcode::Binary, &[payload], &mut bytes);
            Message::binary(payload.clone())
        }
        Heard::Ping(payload) => {
            codec::encode(Opcode::Pong, &[payload], &mut bytes);
            Message::Pong(payload.clone().into())
        }
        Heard::Pong | Heard::Close(_) => return,
    };
    let mut socket = socket(&bytes, Role::Client, usize::MAX, &[]);
    assert_eq!(socket.read().expect("a message"), expected);
}

/// What tungstenite makes of the bytes, and of what may come behind them.
fn read_theirs(bytes: &[u8], limit: usize, behind: &[u8]) -> (Vec<Heard>, Option<Error>) {
    let mut socket = socket(bytes, Role::Server, limit, behind);
    let mut heard = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => heard.push(Heard::Text(text.to_string())),
            Ok(Message::Binary(payload)) => heard.push(Heard::Binary(payload.to_vec())),
            Ok(Message::Ping(payload)) => heard.push(Heard::Ping(payload.to_vec())),
            Ok(Message::Pong(_)) => heard.push(Heard::Pong),
            Ok(Message::Close(close)) => {
                heard.push(Heard::Close(close.map(|close| close.code.into())));
                return (heard, None);
            }
            Ok(Message::Frame(_)) => panic!("nobody asked for single frames"),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return (heard, None);
            }
            Err(error) => return (heard, Some(error)),
        }
    }
}

/// Both read the same messages. Where one gives up, so does the other; but which of several mistakes
/// is seen first, and whether before all of a frame is there, is left to each.
fn compare(
    ours: &(Vec<Heard>, End),
    theirs: &(Vec<Heard>, Option<Error>),
    bytes: &[u8],
    limit: usize,
) {
    let (our_heard, our_end) = ours;
    let (mut their_heard, their_error) = (theirs.0.clone(), &theirs.1);
    let closed_with = |heard: &[Heard]| match heard.last() {
        Some(Heard::Close(code)) => Some(*code),
        _ => None,
    };
    let refused_close = closed_with(&their_heard) == Some(Some(1002))
        && matches!(
            our_end,
            End::Broken {
                reason: CloseReason::BrokenFrame,
                ..
            }
        );
    if refused_close {
        their_heard.pop();
    }
    if closed_with(our_heard) == Some(Some(BAD_GATEWAY)) {
        their_heard.pop();
        their_heard.push(Heard::Close(Some(BAD_GATEWAY)));
    }
    if let Some(Error::Utf8(_)) = their_error
        && our_heard.len() >= their_heard.len()
    {
        // They look at the text of a fragment at once, we when the message is whole: until then there
        // are only control frames.
        let (same, more) = our_heard.split_at(their_heard.len());
        let is_control =
            |heard: &Heard| matches!(heard, Heard::Ping(_) | Heard::Pong | Heard::Close(_));
        assert!(more.iter().all(is_control), "{more:?}");
        return assert_eq!(same, their_heard);
    }
    if let End::Broken { at, .. } = *our_end
        && is_long_control(&bytes[at..])
    {
        // They read it as if it were short.
        return assert!(their_heard.starts_with(our_heard));
    }
    assert_eq!(*our_heard, their_heard);
    match (our_end, their_error) {
        (End::Open, None) => {}
        (End::Open, Some(error)) => panic!("we see nothing wrong: {error:?}"),
        (End::Broken { .. }, None) if refused_close => {}
        (End::Broken { reason, .. }, None) => {
            let behind = vec![0; limit + codec::MAX_HEAD_BYTES];
            let (heard, error) = read_theirs(bytes, limit, &behind);
            let gives_up = error.is_some() || closed_with(&heard).is_some();
            assert!(gives_up, "they see nothing wrong: {reason:?}");
        }
        (End::Broken { reason, .. }, Some(error)) => {
            let is_text = *reason == CloseReason::InvalidUtf8;
            assert!(!is_text || matches!(error, Error::Utf8(_)), "{error:?}");
        }
    }
}

/// Whether a frame begins here that is told in two or eight bytes how short it is, which a control
/// frame never needs and no frame may do (RFC 6455, section 5.2).
fn is_long_control(frame: &[u8]) -> bool {
    matches!(frame, [first, second, ..] if first & 0x08 != 0 && second & 0x7f >= 126)
}

fn socket<'a>(bytes: &'a [u8], role: Role, limit: usize, behind: &'a [u8]) -> WebSocket<Tape<'a>> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit));
    WebSocket::from_raw_socket(Tape { bytes, behind }, role, Some(config))
}

/// Bytes to be read, then others; what is written is thrown away.
struct Tape<'a> {
    bytes: &'a [u8],
    behind: &'a [u8],
}

impl Read for Tape<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() {
            self.bytes = std::mem::take(&mut self.behind);
        }
        match self.bytes.read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Tape<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
