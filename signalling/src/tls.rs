//! The relay's end of TLS: its certificate, read again when it changes, or made on the spot.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{InconsistentKeys, ServerConfig, ServerConnection};
use tracing::{info, warn};

use crate::config::Certificate;
use crate::watched::WatchedFile;

/// What is spoken inside of TLS ([RFC 7301](https://www.rfc-editor.org/rfc/rfc7301)).
const ALPN: &[u8] = b"http/1.1";

/// For how long a certificate made here is good: what browsers put up with at the most. A new one is
/// made at every start.
const LIFETIME: Duration = Duration::from_secs(397 * 86_400);

/// How far the clocks of peers may be behind ours.
const CLOCK_SKEW: Duration = Duration::from_secs(86_400);

/// What a certificate is for that is made here, unless names are given; the name of this machine is
/// added.
const USUAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The certificate by which a relay shows who it is. New connections use the newest one, those that
/// run keep theirs.
pub(crate) struct Tls {
    /// `None` for a certificate made here.
    files: RefCell<Option<Files>>,
    current: RefCell<Current>,
}

/// What new connections use.
struct Current {
    config: Arc<ServerConfig>,
    fingerprint: String,
}

/// A certificate with those that vouch for it behind it, and its private key.
type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Where a pair is read from.
struct Files {
    certificate: WatchedFile,
    key: WatchedFile,
}

impl Tls {
    /// Reads a certificate and its key, or makes them.
    ///
    /// # Errors
    /// Says which file cannot be used, and why; or which name a certificate cannot be made for.
    pub(crate) fn load(source: &Certificate) -> anyhow::Result<Self> {
        let (files, current) = match source {
            Certificate::Files { certificate, key } => {
                let mut files = Files::new(certificate, key);
                let current = files.load()?;
                (Some(files), current)
            }
            Certificate::SelfSigned { names } => (None, Current::of(self_signed(names)?)?),
        };
        Ok(Self {
            files: RefCell::new(files),
            current: RefCell::new(current),
        })
    }

    /// The TLS of one new connection.
    ///
    /// # Errors
    /// Never, with a certificate that could be loaded; rustls does not promise it.
    pub(crate) fn accept(&self) -> Result<ServerConnection, rustls::Error> {
        ServerConnection::new(Arc::clone(&self.current.borrow().config))
    }

    /// The SHA-256 of the certificate, as `AA:BB:..`: what peers may trust where no authority vouches
    /// for it.
    pub(crate) fn fingerprint(&self) -> String {
        self.current.borrow().fingerprint.clone()
    }

    /// Reads the files again if they changed. A new pair that cannot be used leaves the old one in
    /// place, and the log says why, once.
    pub(crate) fn refresh(&self) {
        match self.reload() {
            Ok(false) => {}
            Ok(true) => info!(
                fingerprint = self.fingerprint(),
                "there is a new certificate"
            ),
            Err(error) => warn!("the old certificate stays in use: {error:#}"),
        }
    }

    /// Whether there was something new that is used from now on.
    fn reload(&self) -> anyhow::Result<bool> {
        let mut files = self.files.borrow_mut();
        let Some(files) = files.as_mut() else {
            return Ok(false);
        };
        if !files.have_changed() {
            return Ok(false);
        }
        *self.current.borrow_mut() = files.load()?;
        Ok(true)
    }
}

impl Files {
    fn new(certificate: &Path, key: &Path) -> Self {
        Self {
            certificate: WatchedFile::new(certificate),
            key: WatchedFile::new(key),
        }
    }

    /// Whether either is another than when this was last asked. What cannot be read is a change too.
    fn have_changed(&mut self) -> bool {
        let changes = [self.certificate.changed(), self.key.changed()];
        !matches!(changes, [Ok(None), Ok(None)])
    }

    fn load(&mut self) -> anyhow::Result<Current> {
        let chain = read_chain(&mut self.certificate)?;
        let key = read_key(&mut self.key)?;
        if self.key.is_exposed() {
            warn!(
                "the key in {} can be read by others; take that away with chmod",
                self.key.path().display()
            );
        }
        Current::of((chain, key)).map_err(|error| self.cannot_use(&error))
    }

    fn cannot_use(&self, error: &rustls::Error) -> anyhow::Error {
        let certificate = self.certificate.path().display();
        let key = self.key.path().display();
        if matches!(
            error,
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)
        ) {
            return anyhow::anyhow!(
                "the key in {key} does not belong to the certificate in {certificate}; where that \
                 has several, the one of the relay comes first"
            );
        }
        anyhow::anyhow!("the certificate in {certificate} cannot be used with {key}: {error}")
    }
}

impl Current {
    fn of((chain, key): Pair) -> Result<Self, rustls::Error> {
        let fingerprint = chain.first().map(fingerprint).unwrap_or_default();
        // Named, since rustls would panic where another crate brought a second one.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self {
            config: Arc::new(config),
            fingerprint,
        })
    }
}

fn read_chain(file: &mut WatchedFile) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let text = read(file, "the certificate")?;
    let path = file.path();
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => bail!("there is no certificate in {}", path.display()),
        Err(error) => bail!("the certificate in {} is no PEM: {error}", path.display()),
    }
}

fn read_key(file: &mut WatchedFile) -> anyhow::Result<PrivateKeyDer<'static>> {
    let text = read(file, "the key of the certificate")?;
    let path = file.path();
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => bail!(
            "there is no private key in {} that can be used without a password",
            path.display()
        ),
        // What is wrong with a key is not quoted.
        Err(_) => bail!("the key in {} is no PEM, or has a password", path.display()),
    }
}

fn read(file: &mut WatchedFile, what: &str) -> anyhow::Result<Vec<u8>> {
    let content = file.read();
    content.with_context(|| format!("{what}, {}, cannot be read", file.path().display()))
}

/// Makes a certificate that nobody else vouches for. It vouches for no others either: rustls takes
/// it as an authority for itself only then.
fn self_signed(names: &[String]) -> anyhow::Result<Pair> {
    let names = match names {
        [] => usual_names(),
        names => names.to_vec(),
    };
    if let Some(name) = names.iter().find(|name| !is_name(name)) {
        bail!(
            "{name:?} is no name for a certificate: it takes names like relay.example.org and \
             addresses like 192.0.2.1"
        );
    }
    let mut params = CertificateParams::new(names).context("the names of the certificate")?;
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + now().saturating_sub(CLOCK_SKEW);
    params.not_after = params.not_before + LIFETIME;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let title = "Aldis relay, self-signed";
    params.distinguished_name.push(DnType::CommonName, title);
    let key = KeyPair::generate().context("making a key")?;
    let certificate = params.self_signed(&key).context("making a certificate")?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    Ok((vec![certificate.into()], key.into()))
}

fn usual_names() -> Vec<String> {
    let machine = rustix::system::uname();
    let machine = machine.nodename().to_string_lossy().into_owned();
    let mut names = USUAL_NAMES.map(String::from).to_vec();
    if is_name(&machine) && !names.contains(&machine) {
        names.push(machine);
    }
    names
}

/// Whether a certificate can be for this: an address, a name, or all names below one.
fn is_name(text: &str) -> bool {
    ServerName::try_from(text.strip_prefix("*.").unwrap_or(text)).is_ok()
}

/// The SHA-256 of a certificate, as OpenSSL prints it.
fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
    let bytes: Vec<_> = digest.as_ref().iter().map(|b| format!("{b:02X}")).collect();
    bytes.join(":")
}

/// Since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the days of a certificate are counted from today"
)]
fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
