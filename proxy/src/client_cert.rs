//! The certificate that is shown to a target which asks who we are. Tried when it is read, as the connector panics
//! over a key that it cannot use.

use std::sync::Arc;

use blobfish_config::{ClientCert, Target};
use pingora_core::tls::sign::CertifiedKey;
use pingora_core::tls::{
    CertificateDer, CryptoProvider, PrivateKeyDer, install_default_crypto_provider, load_certs_and_key_files,
};
use pingora_core::utils::tls::CertKey;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::snapshot::NotRunnable;

/// Reads what is configured.
///
/// # Errors
/// [`NotRunnable::ClientCert`] where it is no certificate, no key, or not the key of this certificate.
pub fn read(target: &Target) -> Result<Option<Arc<CertKey>>, NotRunnable> {
    let Some(files) = &target.client_cert else { return Ok(None) };
    let bad = || NotRunnable::ClientCert {
        target: target.name.clone(),
        cert: files.cert.clone(),
        key: files.key.clone(),
    };
    usable(files).map(|pair| Some(Arc::new(pair))).ok_or_else(bad)
}

/// The same as a handshake of our own takes it.
pub fn pair(shown: &CertKey) -> Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain =
        std::iter::once(shown.leaf()).chain(shown.intermediates()).map(CertificateDer::from).collect();
    Some((chain, PrivateKeyDer::try_from(shown.key().clone()).ok()?))
}

fn usable(files: &ClientCert) -> Option<CertKey> {
    let (cert, key) = (files.cert.to_str()?, files.key.to_str()?);
    let (certs, key) = load_certs_and_key_files(cert, key).ok().flatten()?;
    let parses = |der: &[u8]| X509Certificate::from_der(der).is_ok();
    if certs.is_empty() || !certs.iter().all(|der| parses(der)) {
        return None;
    }
    let (chain, bare) = (certs.iter().map(|der| der.to_vec()).collect(), key.secret_der().to_vec());
    // The connector tells the kinds of keys apart by their bytes.
    PrivateKeyDer::try_from(bare.as_slice()).ok()?;
    install_default_crypto_provider();
    CertifiedKey::from_der(certs, key, CryptoProvider::get_default()?).ok()?;
    Some(CertKey::new(chain, bare))
}
