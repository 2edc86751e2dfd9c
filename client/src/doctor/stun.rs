//! What STUN and TURN servers are asked, and what they answer, as bytes
//! ([RFC 8489](https://www.rfc-editor.org/rfc/rfc8489), [RFC 8656](https://www.rfc-editor.org/rfc/rfc8656)).

use std::net::SocketAddr;

use percent_encoding::percent_decode_str;
use stun_types::attribute::{
    AttributeType, ErrorCode, Nonce, RawAttribute, Realm, Username, XorMappedAddress,
};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageClass, MessageHeader,
    MessageWrite as _, MessageWriteExt as _, MessageWriteVec, Method,
};
use url::Url;

/// The port of STUN and TURN where none is named.
const USUAL_PORT: u16 = 3478;

/// The port of TURN by TLS where none is named.
const USUAL_TLS_PORT: u16 = 5349;

const ALLOCATE: Method = Method::new(3);
const REFRESH: Method = Method::new(4);

const LIFETIME: AttributeType = AttributeType::new(0x000D);
const XOR_RELAYED_ADDRESS: AttributeType = AttributeType::new(0x0016);
const REQUESTED_TRANSPORT: AttributeType = AttributeType::new(0x0019);

/// The protocol number of UDP, with three bytes that are reserved.
const UDP: [u8; 4] = [17, 0, 0, 0];

/// One server, and how it is spoken to.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name or address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// By which transport its address says it is to be used.
    pub transport: Transport,
    /// Who may use it.
    pub credentials: Option<Credentials>,
}

/// A user and the password. Neither is ever shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: String,
}

/// How a server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A datagram for each message.
    Udp,
    /// A stream.
    Tcp,
    /// A stream that nobody on the way reads.
    Tls,
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To a binding request: whence it seems to come.
    Mapped(SocketAddr),
    /// To an allocation: it lends an address.
    Lent,
    /// Who asks has to prove who it is, with this realm and nonce.
    Challenge {
        /// Which users it is about.
        realm: String,
        /// To be sent back.
        nonce: String,
    },
    /// It does not do it.
    Refused(u16),
    /// It did what was asked, and nothing is to be said of it.
    Done,
}

impl Server {
    /// Reads an address as webrtcbin takes it: `stun://`, `turn://` or `turns://`. `None` when it is
    /// none.
    pub fn parse(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let by_tcp = url.query() == Some("transport=tcp");
        let (transport, port) = match url.scheme() {
            "stun" => (Transport::Udp, USUAL_PORT),
            "turn" if by_tcp => (Transport::Tcp, USUAL_PORT),
            "turn" => (Transport::Udp, USUAL_PORT),
            "turns" => (Transport::Tls, USUAL_TLS_PORT),
            _ => return None,
        };
        let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let credentials = url.password().map(|password| Credentials {
            user: plain(url.username()),
            password: plain(password),
        });
        Some(Self {
            host: url.host_str()?.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(port),
            transport,
            credentials,
        })
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

impl Transport {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }
}

/// Asks where we seem to be.
pub fn binding() -> Vec<u8> {
    Message::builder_request(BINDING, MessageWriteVec::new()).finish()
}

/// Asks for an address to be lent.
pub fn allocation() -> Vec<u8> {
    let mut request = Message::builder_request(ALLOCATE, MessageWriteVec::new());
    // A request that is this small has room for it.
    let _ = request.add_attribute(&RawAttribute::new(REQUESTED_TRANSPORT, &UDP));
    request.finish()
}

/// Asks again, and says who asks. `None` when the server's challenge cannot be answered.
pub fn allocation_of(who: &Credentials, realm: &str, nonce: &str) -> Option<Vec<u8>> {
    let transport = RawAttribute::new(REQUESTED_TRANSPORT, &UDP);
    signed(ALLOCATE, &transport, who, realm, nonce)
}

/// Gives back what was lent.
pub fn release_of(who: &Credentials, realm: &str, nonce: &str) -> Option<Vec<u8>> {
    let lifetime = RawAttribute::new(LIFETIME, &[0; 4]);
    signed(REFRESH, &lifetime, who, realm, nonce)
}

fn signed(
    method: Method,
    what: &RawAttribute<'_>,
    who: &Credentials,
    realm: &str,
    nonce: &str,
) -> Option<Vec<u8>> {
    let mut request = Message::builder_request(method, MessageWriteVec::new());
    request.add_attribute(what).ok()?;
    request
        .add_attribute(&Username::new(&who.user).ok()?)
        .ok()?;
    request.add_attribute(&Realm::new(realm).ok()?).ok()?;
    request.add_attribute(&Nonce::new(nonce).ok()?).ok()?;
    let (user, password) = (who.user.clone(), who.password.clone());
    let key = LongTermKeyCredentials::new(user, password, realm.to_owned()).into();
    let algorithm = IntegrityAlgorithm::Sha1;
    request.add_message_integrity(&key, algorithm).ok()?;
    Some(request.finish())
}

/// Reads the answer to a request; `None` when it is the answer to another, or none at all.
pub fn read(request: &[u8], bytes: &[u8]) -> Option<Answer> {
    let asked = MessageHeader::from_bytes(request).ok()?;
    let answer = Message::from_bytes(bytes).ok()?;
    if !answer.is_response()
        || answer.transaction_id() != asked.transaction_id()
        || answer.method() != asked.get_type().method()
    {
        return None;
    }
    if answer.has_class(MessageClass::Error) {
        return Some(refusal(&answer));
    }
    if answer.has_attribute(XOR_RELAYED_ADDRESS) {
        return Some(Answer::Lent);
    }
    match answer.attribute::<XorMappedAddress>() {
        Ok(mapped) => Some(Answer::Mapped(mapped.addr(answer.transaction_id()))),
        Err(_) => Some(Answer::Done),
    }
}

fn refusal(answer: &Message<'_>) -> Answer {
    let code = answer
        .attribute::<ErrorCode>()
        .map_or(0, |error| error.code());
    let (realm, nonce) = (answer.attribute::<Realm>(), answer.attribute::<Nonce>());
    match (code, realm, nonce) {
        (401 | 438, Ok(realm), Ok(nonce)) => Answer::Challenge {
            realm: realm.realm().to_owned(),
            nonce: nonce.nonce().to_owned(),
        },
        (code, _, _) => Answer::Refused(code),
    }
}

/// How many bytes the message that begins here has; `None` until its head is there.
pub fn length(bytes: &[u8]) -> Option<usize> {
    let body = bytes.get(2..4)?;
    Some(20 + usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?])))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use stun_types::message::{MessageType, TransactionId};

    use super::*;

    fn answer_to(request: &[u8], add: impl FnOnce(&mut MessageWriteVec, TransactionId)) -> Vec<u8> {
        let asked = MessageHeader::from_bytes(request).expect("a header");
        let kind = MessageType::from_class_method(MessageClass::Success, asked.get_type().method());
        let mut answer = Message::builder(kind, asked.transaction_id(), MessageWriteVec::new());
        add(&mut answer, asked.transaction_id());
        answer.finish()
    }

    fn server(url: &str) -> Server {
        Server::parse(url).expect("an address")
    }

    #[test]
    fn addresses_are_read_as_webrtcbin_takes_them() {
        let turn = server("turn://1790%3Acam:a%2Bb%2F@turn.example.org?transport=tcp");
        assert_eq!(turn.place(), "turn.example.org:3478");
        assert_eq!(turn.transport, Transport::Tcp);
        let credentials = turn.credentials.expect("credentials");
        assert_eq!(credentials.user, "1790:cam");
        assert_eq!(credentials.password, "a+b/");
        assert_eq!(
            server("stun://[2001:db8::1]:99").place(),
            "[2001:db8::1]:99"
        );
        assert_eq!(server("turns://u:p@h").port, USUAL_TLS_PORT);
        assert!(Server::parse("http://h").is_none());
        assert!(Server::parse("").is_none());
    }

    #[test]
    fn a_binding_is_answered_with_an_address() {
        let request = binding();
        let place = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 7), 4711));
        let answer = answer_to(&request, |answer, id| {
            let mapped = XorMappedAddress::new(place, id);
            answer.add_attribute(&mapped).expect("room");
        });
        assert_eq!(read(&request, &answer), Some(Answer::Mapped(place)));
        assert_eq!(length(&answer), Some(answer.len()));
        assert_eq!(read(&binding(), &answer), None, "the answer to another");
        assert_eq!(read(&request, &request), None, "no answer");
        assert_eq!(read(&request, b"HTTP/1.1 400 Bad Request"), None);
    }

    #[test]
    fn a_challenge_is_answered_by_a_signed_request() {
        let request = allocation();
        let asked = Message::from_bytes(&request).expect("a request");
        let mut answer = Message::builder_error(&asked, MessageWriteVec::new());
        let error = ErrorCode::builder(401).build().expect("a code");
        answer.add_attribute(&error).expect("room");
        answer
            .add_attribute(&Realm::new("aldis").expect("a realm"))
            .expect("room");
        answer
            .add_attribute(&Nonce::new("n0nce").expect("a nonce"))
            .expect("room");
        let challenge = read(&request, &answer.finish());
        let Some(Answer::Challenge { realm, nonce }) = challenge else {
            panic!("{challenge:?}");
        };
        let who = server("turn://alice:wonder@h")
            .credentials
            .expect("credentials");
        let signed = allocation_of(&who, &realm, &nonce).expect("a request");
        let signed = Message::from_bytes(&signed).expect("a request");
        let key = |password: &str| {
            LongTermKeyCredentials::new("alice".into(), password.into(), "aldis".into()).into()
        };
        assert!(signed.validate_integrity(&key("wonder")).is_ok());
        assert!(signed.validate_integrity(&key("wander")).is_err());
    }

    #[test]
    fn what_is_refused_has_a_number() {
        let request = allocation();
        let asked = Message::from_bytes(&request).expect("a request");
        let mut answer = Message::builder_error(&asked, MessageWriteVec::new());
        let error = ErrorCode::builder(486).build().expect("a code");
        answer.add_attribute(&error).expect("room");
        assert_eq!(read(&request, &answer.finish()), Some(Answer::Refused(486)));
        let lent = answer_to(&request, |answer, _| {
            let relayed = RawAttribute::new(XOR_RELAYED_ADDRESS, &[0, 1, 0, 0, 0, 0, 0, 0]);
            answer.add_attribute(&relayed).expect("room");
        });
        assert_eq!(read(&request, &lent), Some(Answer::Lent));
    }
}
