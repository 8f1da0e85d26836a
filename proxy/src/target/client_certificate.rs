//! The certificate that is shown to a target which asks who we are. Tried when it is read, as the connector panics
//! over a key that it cannot use.

use std::path::PathBuf;
use std::sync::Arc;

use blobfish_config::{ClientCert, Target};
use pingora_core::tls::sign::CertifiedKey;
use pingora_core::tls::{
    CertificateDer, CryptoProvider, PrivateKeyDer, install_default_crypto_provider, load_certs_and_key_files,
};
use pingora_core::utils::tls::CertKey;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A client certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("target \"{target}\": {cert}, {key}: not a certificate and its key")]
pub struct ClientCertificateError {
    /// Name of the target.
    pub target: String,
    /// File of the certificate.
    pub cert: PathBuf,
    /// File of the key.
    pub key: PathBuf,
}

/// Reads a target's client certificate and its key.
///
/// # Errors
/// One of the files is not a certificate or not a key, or the key is not the one of the certificate.
pub fn read_client_certificate(target: &Target) -> Result<Option<Arc<CertKey>>, ClientCertificateError> {
    let Some(files) = &target.client_cert else { return Ok(None) };
    let invalid = || ClientCertificateError {
        target: target.name.clone(),
        cert: files.cert.clone(),
        key: files.key.clone(),
    };
    load_cert_key(files).map(|pair| Some(Arc::new(pair))).ok_or_else(invalid)
}

/// The same as a handshake of our own takes it.
pub fn to_der_pair(certificate: &CertKey) -> Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
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
    // The connector tells the kinds of keys apart by their bytes.
    PrivateKeyDer::try_from(key_der.as_slice()).ok()?;
    install_default_crypto_provider();
    CertifiedKey::from_der(certs, key, CryptoProvider::get_default()?).ok()?;
    Some(CertKey::new(chain, key_der))
}
