//! The certificates of https listeners: loaded, validated, and selected by SNI.
//!
//! They belong to the active configuration, so a reload also loads renewed files.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::access::DynAccess;
use blobfish_config::{Certificate, HttpsListener};
use pingora::listeners::ALPN;
use pingora::listeners::tls::TlsSettings;
use rustls::client::verify_server_name;
use rustls::crypto::ring::default_provider;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::clock;

/// Why a listener cannot use a certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    /// The file is missing or is not a PEM file of certificates.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// The file contains no key, an encrypted key, or a key of an unsupported type.
    #[error("{0} contains no usable private key")]
    UnusableKey(PathBuf),
    /// The key belongs to another certificate.
    #[error("the key in {0} is not the certificate's")]
    KeyMismatch(PathBuf),
    /// The certificate has no DNS name, so it cannot be selected by SNI.
    #[error("the certificate has no DNS name; clients ignore its common name")]
    NoHostName,
}

/// The certificates of one listener.
#[derive(Debug)]
pub(crate) struct ListenerCertificates {
    default: Option<Arc<CertifiedKey>>,
    named: Vec<Arc<CertifiedKey>>,
    /// Findings that do not prevent use, such as an expired certificate.
    pub warnings: Vec<String>,
}

impl ListenerCertificates {
    /// Loads the certificates of a listener.
    ///
    /// # Errors
    /// The file of a certificate, and why it cannot be used.
    pub(crate) fn load(https: &HttpsListener) -> Result<Self, (PathBuf, CertificateError)> {
        let mut warnings = Vec::new();
        let mut read_one = |certificate: &Certificate, is_named| {
            let (cert, key) = (&certificate.cert, &certificate.key);
            let certified_key =
                load_certified_key(cert, key, is_named).map_err(|error| (cert.clone(), error))?;
            warnings.extend(certified_key.cert.first().and_then(|der| validity_warning(cert, der)));
            Ok(Arc::new(certified_key))
        };
        let default = https.default.as_ref().map(|certificate| read_one(certificate, false)).transpose()?;
        let named = https.certificates.iter().map(|certificate| read_one(certificate, true));
        Ok(Self { default, named: named.collect::<Result<_, _>>()?, warnings })
    }

    /// Selects the first certificate that is valid for this name and has a key type that the client supports, or the
    /// default one.
    fn select_certificate(
        &self,
        name: Option<&str>,
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let name = name.and_then(|name| ServerName::try_from(name).ok());
        let is_suitable = |certificate: &CertifiedKey| {
            let parsed = certificate.end_entity_cert().and_then(ParsedCertificate::try_from);
            let names =
                parsed.iter().zip(&name).any(|(parsed, name)| verify_server_name(parsed, name).is_ok());
            // A name may have an ECDSA and an RSA certificate, for clients that support only one of them.
            names && certificate.key.choose_scheme(schemes).is_some()
        };
        self.named.iter().find(|certificate| is_suitable(certificate)).or(self.default.as_ref()).cloned()
    }
}

/// Loads a certificate and its key.
///
/// # Errors
/// [`CertificateError`].
pub(crate) fn load_certified_key(
    cert: &Path,
    key: &Path,
    is_named: bool,
) -> Result<CertifiedKey, CertificateError> {
    let chain = read_chain(cert)?;
    let first = chain.first().ok_or(CertificateError::Unreadable)?;
    // Checked separately, because rustls reports errors of the certificate and of the key alike.
    ParsedCertificate::try_from(first).map_err(|_| CertificateError::Unreadable)?;
    // rustls compares the requested name only with subject alternative names.
    if is_named && !has_dns_name(first) {
        return Err(CertificateError::NoHostName);
    }
    let bad_key = || CertificateError::UnusableKey(key.to_owned());
    let private = PrivateKeyDer::from_pem_file(key).map_err(|_| bad_key())?;
    CertifiedKey::from_der(chain, private, &default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            CertificateError::KeyMismatch(key.to_owned())
        }
        _ => bad_key(),
    })
}

fn has_dns_name(der: &CertificateDer<'_>) -> bool {
    let parsed = X509Certificate::from_der(der).map(|(_, parsed)| parsed);
    parsed.is_ok_and(|parsed| {
        let names = parsed.subject_alternative_name().ok().flatten();
        names.is_some_and(|names| {
            names.value.general_names.iter().any(|name| matches!(name, GeneralName::DNSName(_)))
        })
    })
}

fn read_chain(cert: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let ders = CertificateDer::pem_file_iter(cert).map_err(|_| CertificateError::Unreadable)?;
    ders.collect::<Result<_, _>>().map_err(|_| CertificateError::Unreadable)
}

/// The warning about a certificate that has expired or is not valid yet. Such a certificate is still served, because
/// an expired one must not keep the proxy from starting.
fn validity_warning(file: &Path, der: &CertificateDer<'_>) -> Option<String> {
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

/// The certificates of all https listeners, by their addresses.
pub(crate) type CertificatesByAddress = BTreeMap<SocketAddr, Arc<ListenerCertificates>>;

/// The certificates of the active configuration, and only these, so that listeners do not depend on the rest of it.
pub(crate) type ActiveCertificates = Arc<dyn DynAccess<CertificatesByAddress> + Send + Sync>;

/// Builds the TLS settings of the listener at `address`.
///
/// # Errors
/// Those of Pingora; its current version always succeeds.
pub(crate) fn build_tls_settings(
    address: SocketAddr,
    certificates: ActiveCertificates,
) -> pingora::Result<TlsSettings> {
    let mut settings = TlsSettings::intermediate("", "")?;
    settings.set_cert_resolver(Arc::new(CertificateResolver { address, certificates }));
    settings.set_alpn(ALPN::H2H1);
    Ok(settings)
}

/// Selects a certificate of the active configuration for each handshake.
struct CertificateResolver {
    address: SocketAddr,
    certificates: ActiveCertificates,
}

impl std::fmt::Debug for CertificateResolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CertificateResolver({})", self.address)
    }
}

impl ResolvesServerCert for CertificateResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let all = self.certificates.load();
        all.get(&self.address)?.select_certificate(hello.server_name(), hello.signature_schemes())
    }
}
