//! The secrets of a relay and the tokens made with them.
//!
//! A token is either a secret itself or a JSON Web Token
//! ([RFC 7519](https://www.rfc-editor.org/rfc/rfc7519)) signed with one: HS256, `kid` naming the
//! secret, `exp` required, `nbf`, `peer` and `room` optional. Whatever else such a token claims gives
//! nothing: an administrator shows the secret itself.

use std::collections::HashSet;
use std::fmt;

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result as JwtResult};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use protocol::{PeerId, RoomId};
use ring::{digest, hmac};
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Serialize, Serializer, ser::SerializeMap};
use subtle::{Choice, ConstantTimeEq};

use crate::admission::Refused;
use crate::relay::Pass;

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 4096;

/// The shortest secret, in bytes.
pub const MIN_SECRET_BYTES: usize = 16;

/// The longest name of a secret, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// The most secrets of one relay: every token is compared with each of them.
pub const MAX_SECRETS: usize = 1000;

/// How far the clocks of those who sign and of the relay may be apart, in seconds.
pub const LEEWAY_SECONDS: u64 = 30;

/// The secrets by which one may enter. See the [module](self).
pub struct Secrets(Vec<Entry>);

struct Entry {
    name: String,
    is_admin: bool,
    /// SHA-256 of the secret: all of these have one length, so that comparing them tells nothing of
    /// the secret's.
    digest: [u8; digest::SHA256_OUTPUT_LEN],
    key: DecodingKey,
}

/// What somebody with a valid token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Who may see everything, and do whatever peers do.
    Admin,
    /// Who may do what the pass says.
    Peer(Pass),
}

/// What a signed token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// From when on it is no longer valid, in seconds since 1970.
    pub expires: u64,
    /// Before when it is not valid yet, in seconds since 1970.
    pub not_before: Option<u64>,
    /// What it allows.
    pub pass: Pass,
}

impl Secrets {
    /// Reads secrets, one a line: `NAME SECRET [admin]`. A word that begins with `#` ends its line.
    ///
    /// # Errors
    /// What is wrong in which line. Nothing is quoted: what stands where a name should be may be a
    /// secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        install_hs256();
        let mut entries = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let entry = Entry::parse(line, &entries)
                .map_err(|problem| format!("line {}: {problem}", index + 1))?;
            entries.extend(entry);
        }
        if entries.is_empty() {
            return Err("there is no secret in it, so nobody could enter".to_owned());
        }
        Ok(Self(entries))
    }

    /// Whether one of them is an administrator's.
    pub fn has_admin(&self) -> bool {
        self.0.iter().any(|entry| entry.is_admin)
    }

    /// Finds out what a token is good for.
    ///
    /// # Errors
    /// [`Refused::TokenExpired`] for one of ours whose time is over, [`Refused::TokenInvalid`] for
    /// everything else.
    pub fn verify(&self, token: &str, now_unix: u64) -> Result<Grant, Refused> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refused::TokenInvalid);
        }
        match self.recognise(token) {
            Some(grant) => Ok(grant),
            None => self.verify_signed(token)?.check(now_unix).map(Grant::Peer),
        }
    }

    /// Signs a token with the secret of that name.
    ///
    /// # Errors
    /// When there is no such secret, or the token would be longer than [`MAX_TOKEN_BYTES`].
    pub fn sign(&self, name: &str, claims: &Claims) -> Result<String, String> {
        let entry = self
            .named(name)
            .ok_or_else(|| format!("there is no secret called {name:?} in the token file"))?;
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(entry.name.clone());
        let token = entry
            .key
            .try_get_as_bytes()
            .map(EncodingKey::from_secret)
            .and_then(|key| jsonwebtoken::encode(&header, claims, &key))
            .map_err(|error| format!("cannot sign: {error}"))?;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(format!(
                "the token would have {} bytes, and no relay takes more than {MAX_TOKEN_BYTES}",
                token.len()
            ));
        }
        Ok(token)
    }

    /// Compares the token with every secret, in a time that depends on its own length only.
    fn recognise(&self, token: &str) -> Option<Grant> {
        let presented = sha256(token.as_bytes());
        let (mut is_known, mut is_admin) = (Choice::from(0), Choice::from(0));
        for entry in &self.0 {
            let is_this = entry.digest.ct_eq(&presented);
            is_known |= is_this;
            is_admin |= is_this & Choice::from(u8::from(entry.is_admin));
        }
        if bool::from(is_admin) {
            Some(Grant::Admin)
        } else {
            bool::from(is_known).then(|| Grant::Peer(Pass::default()))
        }
    }

    /// The claims of a token that was signed with one of the secrets, whatever the time.
    fn verify_signed(&self, token: &str) -> Result<Claims, Refused> {
        let header = jsonwebtoken::decode_header(token).map_err(invalid)?;
        let key = header.kid.as_deref().and_then(|name| self.named(name));
        // What is critical has to be understood (RFC 7515, section 4.1.11), and nothing is here.
        let is_ours =
            header.crit.is_none() && header.typ.is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
        let Some(Entry { key, .. }) = key.filter(|_| is_ours) else {
            return Err(Refused::TokenInvalid);
        };
        let decoded = jsonwebtoken::decode(token, key, &signature_only()).map_err(invalid)?;
        Ok(decoded.claims)
    }

    fn named(&self, name: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.name == name)
    }
}

/// Nothing but their number.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl Entry {
    /// One line, which may be without a secret.
    fn parse(line: &str, before: &[Self]) -> Result<Option<Self>, String> {
        let words: Vec<_> = line
            .split_whitespace()
            .take_while(|word| !word.starts_with('#'))
            .collect();
        let (name, secret, is_admin) = match words[..] {
            [] => return Ok(None),
            [name, secret] => (name, secret, false),
            [name, secret, "admin"] => (name, secret, true),
            _ => return Err("a line is `NAME SECRET` or `NAME SECRET admin`".to_owned()),
        };
        if name.len() > MAX_NAME_BYTES || !is_visible_ascii(name) {
            return Err(format!(
                "a name has at most {MAX_NAME_BYTES} bytes, all of them visible ASCII characters"
            ));
        }
        if secret.len() < MIN_SECRET_BYTES {
            return Err(format!("a secret has at least {MIN_SECRET_BYTES} bytes"));
        }
        if secret.len() > MAX_TOKEN_BYTES || !is_visible_ascii(secret) {
            return Err(format!(
                "a secret has at most {MAX_TOKEN_BYTES} bytes, all of them visible ASCII characters"
            ));
        }
        let digest = sha256(secret.as_bytes());
        if before.iter().any(|other| other.digest == digest) {
            return Err("the same secret is there already".to_owned());
        }
        if before.iter().any(|other| other.name == name) {
            return Err("the same name is there already".to_owned());
        }
        if before.len() == MAX_SECRETS {
            return Err(format!("there are more than {MAX_SECRETS} secrets"));
        }
        Ok(Some(Self {
            name: name.to_owned(),
            is_admin,
            digest,
            key: DecodingKey::from_secret(secret.as_bytes()),
        }))
    }
}

impl Claims {
    /// The pass, if this is the time for it.
    fn check(self, now_unix: u64) -> Result<Pass, Refused> {
        if now_unix >= self.expires.saturating_add(LEEWAY_SECONDS) {
            return Err(Refused::TokenExpired);
        }
        match self.not_before {
            Some(begin) if now_unix.saturating_add(LEEWAY_SECONDS) < begin => {
                Err(Refused::TokenInvalid)
            }
            Some(_) | None => Ok(self.pass),
        }
    }
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("exp", &self.expires)?;
        if let Some(not_before) = &self.not_before {
            map.serialize_entry("nbf", not_before)?;
        }
        if let Some(peer) = &self.pass.peer {
            map.serialize_entry("peer", peer.as_str())?;
        }
        if let Some(room) = &self.pass.room {
            map.serialize_entry("room", room.as_str())?;
        }
        map.end()
    }
}

/// By hand, since a derived one takes a list for a map and `null` for what is absent, and a token
/// whose `peer` is `null` was not meant to allow everything.
impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ClaimsVisitor)
    }
}

struct ClaimsVisitor;

impl<'de> Visitor<'de> for ClaimsVisitor {
    type Value = Claims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the claims of a token")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
        let mut names = HashSet::new();
        let (mut expires, mut not_before, mut pass) = (None, None, Pass::default());
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "exp" => expires = Some(map.next_value::<NumericDate>()?.0),
                "nbf" => not_before = Some(map.next_value::<NumericDate>()?.0),
                "peer" => {
                    let id: PeerId = map
                        .next_value::<String>()?
                        .parse()
                        .map_err(de::Error::custom)?;
                    pass.peer = Some(id);
                }
                "room" => {
                    let id: RoomId = map
                        .next_value::<String>()?
                        .parse()
                        .map_err(de::Error::custom)?;
                    pass.room = Some(id);
                }
                // It names those who may take it (RFC 7519, section 4.1.3), and a relay has no name.
                "aud" => return Err(de::Error::custom("for somebody else")),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            if !names.insert(name) {
                return Err(de::Error::custom("a claim is there twice"));
            }
        }
        Ok(Claims {
            expires: expires.ok_or_else(|| de::Error::missing_field("exp"))?,
            not_before,
            pass,
        })
    }
}

/// Seconds since 1970; JSON numbers may have a fraction, which is cut off.
struct NumericDate(u64);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumericDateVisitor)
    }
}

struct NumericDateVisitor;

impl Visitor<'_> for NumericDateVisitor {
    type Value = NumericDate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("seconds since 1970")
    }

    fn visit_u64<E>(self, seconds: u64) -> Result<NumericDate, E> {
        Ok(NumericDate(seconds))
    }

    /// The cast cuts the fraction off and ends at the largest number.
    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<NumericDate, E> {
        if seconds.is_finite() && seconds >= 0.0 {
            Ok(NumericDate(seconds as u64))
        } else {
            Err(E::custom("no time"))
        }
    }
}

fn sha256(bytes: &[u8]) -> [u8; digest::SHA256_OUTPUT_LEN] {
    let mut array = [0; digest::SHA256_OUTPUT_LEN];
    array.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    array
}

fn is_visible_ascii(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn invalid(_: jsonwebtoken::errors::Error) -> Refused {
    Refused::TokenInvalid
}

/// The time is checked here, by a clock that is an argument.
fn signature_only() -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

/// HS256 and nothing else, by the cryptography the relay has already.
static HS256: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(Hs256::new(*algorithm, key.as_bytes())?)),
    verifier_factory: |algorithm, key| {
        Ok(Box::new(Hs256::new(*algorithm, key.try_get_as_bytes()?)?))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

/// Whoever is first in the process decides for all of it; nobody else does here.
fn install_hs256() {
    let _ = HS256.install_default();
}

struct Hs256(hmac::Key);

impl Hs256 {
    fn new(algorithm: Algorithm, key: &[u8]) -> JwtResult<Self> {
        if algorithm != Algorithm::HS256 {
            return Err(ErrorKind::InvalidAlgorithm.into());
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key)))
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        hmac::verify(&self.0, message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}
