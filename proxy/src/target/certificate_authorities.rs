//! Additional certificate authorities to trust.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pingora::protocols::tls::CaType;
use pingora::utils::tls::WrappedX509;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A file of certificate authorities that cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[error("{subject}: {path}: not a PEM file of certificates")]
pub(crate) struct CertificateAuthoritiesError {
    /// What the authorities are for, as the error message names it.
    pub subject: String,
    /// The file.
    pub path: PathBuf,
}

/// Loads the authorities of a file and adds those of the system, because Pingora replaces the system's with this list.
///
/// # Errors
/// The file is not a PEM file of certificates.
pub(crate) fn load_certificate_authorities(
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
    let system = pingora::tls::load_native_certs().unwrap_or_default();
    // A system certificate that cannot be parsed is skipped, because it must not disable all others.
    all.extend(system.iter().filter_map(parse_certificate));
    Ok(Arc::from(all))
}
