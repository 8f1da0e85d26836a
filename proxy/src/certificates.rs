//! The certificates of https listeners: read, judged, and chosen by the name that a client asks for.
//!
//! They belong to the configuration that is in force, so that renewed files are shown after a reload.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use blobfish_config::{Certificate, Https};
use pingora_core::listeners::ALPN;
use pingora_core::listeners::tls::TlsSettings;
use rustls::client::verify_server_name;
use rustls::crypto::ring::default_provider;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::clock;
use crate::snapshot::Snapshot;

/// A certificate that a listener cannot show.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The file holds something else, in part or in whole.
    #[error("the certificate cannot be read")]
    Unread,
    /// No key, one that is locked by a password, or one of an unknown kind.
    #[error("{0} holds no private key that can be used")]
    Key(PathBuf),
    /// The key is another certificate's.
    #[error("the key in {0} is not the certificate's")]
    OtherKey(PathBuf),
    /// It was to be chosen by its names.
    #[error("the certificate names no host; clients do not look at its common name")]
    Nameless,
}

/// What one listener shows.
#[derive(Debug)]
pub struct Certificates {
    default: Option<Arc<CertifiedKey>>,
    named: Vec<Arc<CertifiedKey>>,
    /// What is not wrong, but hardly meant.
    pub warnings: Vec<String>,
}

impl Certificates {
    /// Reads those of a listener.
    ///
    /// # Errors
    /// The file of a certificate, and why it cannot be shown.
    pub fn read(https: &Https) -> Result<Self, (PathBuf, Unfit)> {
        let mut warnings = Vec::new();
        let mut read = |certificate: &Certificate, is_named| {
            let (cert, key) = (&certificate.cert, &certificate.key);
            let usable = usable(cert, key, is_named).map_err(|unfit| (cert.clone(), unfit))?;
            warnings.extend(usable.cert.first().and_then(|der| warning(cert, der)));
            Ok(Arc::new(usable))
        };
        let default = https.default.as_ref().map(|certificate| read(certificate, false)).transpose()?;
        let named = https.certificates.iter().map(|certificate| read(certificate, true));
        Ok(Self { default, named: named.collect::<Result<_, _>>()?, warnings })
    }

    /// The first that is for this name and that the client can verify, or the default one.
    fn fitting(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let name = name.and_then(|name| ServerName::try_from(name).ok());
        let is_for = |certificate: &CertifiedKey| {
            let parsed = certificate.end_entity_cert().and_then(ParsedCertificate::try_from);
            let names =
                parsed.iter().zip(&name).any(|(parsed, name)| verify_server_name(parsed, name).is_ok());
            names && certificate.key.choose_scheme(schemes).is_some()
        };
        self.named.iter().find(|certificate| is_for(certificate)).or(self.default.as_ref()).cloned()
    }
}

/// A certificate and its key, fit to be shown.
///
/// # Errors
/// [`Unfit`].
pub fn usable(cert: &Path, key: &Path, is_named: bool) -> Result<CertifiedKey, Unfit> {
    let chain = chain(cert)?;
    let first = chain.first().ok_or(Unfit::Unread)?;
    // Told apart here: below, every fault of the certificate and of the key is one kind of error.
    ParsedCertificate::try_from(first).map_err(|_| Unfit::Unread)?;
    if is_named && !names_a_host(first) {
        return Err(Unfit::Nameless);
    }
    let bad_key = || Unfit::Key(key.to_owned());
    let private = PrivateKeyDer::from_pem_file(key).map_err(|_| bad_key())?;
    CertifiedKey::from_der(chain, private, &default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Unfit::OtherKey(key.to_owned()),
        _ => bad_key(),
    })
}

fn names_a_host(der: &CertificateDer<'_>) -> bool {
    let parsed = X509Certificate::from_der(der).map(|(_, parsed)| parsed);
    parsed.is_ok_and(|parsed| {
        let names = parsed.subject_alternative_name().ok().flatten();
        names.is_some_and(|names| {
            names.value.general_names.iter().any(|name| matches!(name, GeneralName::DNSName(_)))
        })
    })
}

fn chain(cert: &Path) -> Result<Vec<CertificateDer<'static>>, Unfit> {
    let ders = CertificateDer::pem_file_iter(cert).map_err(|_| Unfit::Unread)?;
    ders.collect::<Result<_, _>>().map_err(|_| Unfit::Unread)
}

/// What is not wrong with a certificate but will be noticed by every client: it is out of date.
fn warning(file: &Path, der: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let (validity, now, file) = (parsed.validity(), clock::now().0, file.display());
    if validity.not_after.timestamp() < now {
        Some(format!("{file}: the certificate expired on {}", validity.not_after))
    } else if validity.not_before.timestamp() > now {
        Some(format!("{file}: the certificate is not valid before {}", validity.not_before))
    } else {
        None
    }
}

/// How a listener speaks TLS. `address` is where it listens.
///
/// # Errors
/// None that is known of in this version of the framework.
pub fn settings(address: SocketAddr, current: Arc<ArcSwap<Snapshot>>) -> pingora_core::Result<TlsSettings> {
    let mut settings = TlsSettings::intermediate("", "")?;
    settings.set_cert_resolver(Arc::new(Chooser { address, current }));
    settings.set_alpn(ALPN::H2H1);
    Ok(settings)
}

/// Chooses among those that are in force when a client comes.
struct Chooser {
    address: SocketAddr,
    current: Arc<ArcSwap<Snapshot>>,
}

impl std::fmt::Debug for Chooser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chooser({})", self.address)
    }
}

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let snapshot = self.current.load();
        let certificates = snapshot.certificates(self.address)?;
        certificates.fitting(hello.server_name(), hello.signature_schemes())
    }
}
