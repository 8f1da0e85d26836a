//! Certificate authorities that are trusted beside the system's own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pingora_core::protocols::tls::CaType;
use pingora_core::utils::tls::WrappedX509;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A file of certificate authorities that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{subject}: {path}: not a PEM file of certificates")]
pub struct CertificateAuthoritiesError {
    /// What they are to be trusted for.
    pub subject: String,
    /// The file.
    pub path: PathBuf,
}

/// The authorities of a file, and the system's: the connector takes a list of ours instead of the system's.
///
/// # Errors
/// The file is not a PEM file of certificates.
pub fn load_certificate_authorities(
    subject: &str,
    path: &Path,
) -> Result<Arc<CaType>, CertificateAuthoritiesError> {
    let build_error = || CertificateAuthoritiesError { subject: subject.to_owned(), path: path.to_owned() };
    let own: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
        .map_err(|_| build_error())?
        .collect::<Result<_, _>>()
        .map_err(|_| build_error())?;
    if own.is_empty() {
        return Err(build_error());
    }
    let parse_certificate = |der: &CertificateDer<'_>| {
        WrappedX509::try_new(der.to_vec(), |raw| X509Certificate::from_der(raw).map(|parsed| parsed.1)).ok()
    };
    let mut all = own
        .iter()
        .map(|der| parse_certificate(der).ok_or_else(build_error))
        .collect::<Result<Vec<_>, _>>()?;
    let system = pingora_core::tls::load_native_certs().unwrap_or_default();
    all.extend(system.iter().filter_map(parse_certificate));
    Ok(Arc::from(all))
}
