//! Who may enter: which web pages, and whoever brings which token.

use crate::admission::Refused;
use crate::relay::Pass;
use crate::token::{Grant, Secrets};

/// The origins that may connect and the secrets by which one may enter.
#[derive(Debug)]
pub struct Door {
    /// All of them, without a list.
    origins: Option<Vec<String>>,
    /// Everybody may enter, without secrets.
    secrets: Option<Secrets>,
}

impl Door {
    /// Makes a door that is open to all whom no list keeps out.
    pub fn new(allowed_origins: Option<&[String]>, secrets: Option<Secrets>) -> Self {
        let plain =
            |origins: &[String]| origins.iter().map(|origin| plain_origin(origin)).collect();
        Self {
            origins: allowed_origins.map(plain),
            secrets,
        }
    }

    /// Takes other secrets from now on. Who is inside stays inside.
    pub fn change_secrets(&mut self, secrets: Secrets) {
        self.secrets = Some(secrets);
    }

    /// What somebody may do who wants to enter as a peer. A program that is no browser has no
    /// origin.
    ///
    /// # Errors
    /// When the origin is none of the allowed, or the token is missing or does not hold.
    pub fn admit(
        &self,
        origin: Option<&str>,
        token: Option<&str>,
        now_unix: u64,
    ) -> Result<Pass, Refused> {
        if origin.is_some_and(|origin| !self.allows_origin(origin)) {
            return Err(Refused::OriginNotAllowed);
        }
        let Some(secrets) = &self.secrets else {
            return Ok(Pass::default());
        };
        match secrets.verify(token.ok_or(Refused::TokenMissing)?, now_unix)? {
            Grant::Admin => Ok(Pass::default()),
            Grant::Peer(pass) => Ok(pass),
        }
    }

    /// Lets an administrator pass.
    ///
    /// # Errors
    /// [`Refused::NotAdmin`] where there are no administrators and for the token of somebody else;
    /// what is wrong with a token that is missing or does not hold.
    pub fn admit_admin(&self, token: Option<&str>, now_unix: u64) -> Result<(), Refused> {
        let Some(secrets) = self.secrets.as_ref().filter(|secrets| secrets.has_admin()) else {
            return Err(Refused::NotAdmin);
        };
        match secrets.verify(token.ok_or(Refused::TokenMissing)?, now_unix)? {
            Grant::Admin => Ok(()),
            Grant::Peer(_) => Err(Refused::NotAdmin),
        }
    }

    /// Whether pages of this origin, as a browser writes it, may connect.
    pub fn allows_origin(&self, origin: &str) -> bool {
        let Some(origins) = &self.origins else {
            return true;
        };
        let origin = plain_origin(origin);
        origins.contains(&origin)
    }
}

/// An origin as browsers write it: small letters, no slash at the end, no port that goes without
/// saying.
pub(crate) fn plain_origin(origin: &str) -> String {
    let origin = origin.trim_end_matches('/').to_ascii_lowercase();
    let usual_port = match origin.split_once("://") {
        Some(("https", _)) => ":443",
        Some(("http", _)) => ":80",
        Some(_) | None => return origin,
    };
    match origin.strip_suffix(usual_port) {
        Some(without) => without.to_owned(),
        None => origin,
    }
}
