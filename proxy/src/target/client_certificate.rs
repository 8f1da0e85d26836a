//! Client certificates for mTLS with targets. A certificate is validated when it is loaded, because Pingora panics if
//! it cannot use the key.

use std::path::PathBuf;
use std::sync::Arc;

use blobfish_config::{ClientCert, Target};
use pingora::tls::sign::CertifiedKey;
use pingora::tls::{
    CertificateDer, CryptoProvider, PrivateKeyDer, install_default_crypto_provider, load_certs_and_key_files,
};
use pingora::utils::tls::CertKey;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A client certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("target \"{target}\": {cert}, {key}: not a certificate with its key")]
pub(crate) struct ClientCertificateError {
    /// Name of the target.
    pub target: String,
    /// The file of the certificate.
    pub cert: PathBuf,
    /// The file of the key.
    pub key: PathBuf,
}

/// Loads a target's client certificate and its key.
///
/// # Errors
/// A file is missing or has other content, or the key does not belong to the certificate.
pub(crate) fn read_client_certificate(
    target: &Target,
) -> Result<Option<Arc<CertKey>>, ClientCertificateError> {
    let Some(files) = &target.client_cert else { return Ok(None) };
    let invalid = || ClientCertificateError {
        target: target.name.clone(),
        cert: files.cert.clone(),
        key: files.key.clone(),
    };
    load_cert_key(files).map(|pair| Some(Arc::new(pair))).ok_or_else(invalid)
}

/// Converts the certificate for a handshake with rustls.
pub(crate) fn to_der_pair(
    certificate: &CertKey,
) -> Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain = std::iter::once(certificate.leaf())
        .chain(certificate.intermediates())
        .map(CertificateDer::from)
        .collect();
    Some((chain, PrivateKeyDer::try_from(certificate.key().clone()).ok()?))
}

fn load_cert_key(files: &ClientCert) -> Option<CertKey> {
    let (cert, key) = (files.cert.to_str()?, files.key.to_str()?);
    let (certs, key) = load_certs_and_key_files(cert, key).ok().flatten()?;
    let parses = |der: &[u8]| X509Certificate::from_der(der).is_ok();
    if certs.is_empty() || !certs.iter().all(|der| parses(der)) {
        return None;
    }
    let (chain, key_der) = (certs.iter().map(|der| der.to_vec()).collect(), key.secret_der().to_vec());
    // Pingora detects the type of the key from its bytes and panics on failure, so do the same here first.
    PrivateKeyDer::try_from(key_der.as_slice()).ok()?;
    install_default_crypto_provider();
    CertifiedKey::from_der(certs, key, CryptoProvider::get_default()?).ok()?;
    Some(CertKey::new(chain, key_der))
}
