//! Checks DNS, TCP and TLS of a target. No HTTP is sent here.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use blobfish_dialects::dialect::addressing::strip_port;
use pingora::tls::{
    CertificateDer, CertificateError, ClientConfig, RootCertStore, RusTlsError, ServerName, TlsConnector,
    install_default_crypto_provider, load_platform_certs_incl_env_into_store, version,
};
use tokio::net::TcpStream;
use tokio::time::timeout;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::cli::doctor::report::Report;
use crate::clock;
use crate::target::client::ADDRESSES_TRIED_MAX;
use crate::target::client_certificate;
use crate::target::dns::{DnsCache, SystemDns};
use crate::target::runtime::TargetRuntime;

/// A certificate that expires in fewer days causes a warning.
const CERTIFICATE_DAYS_MIN: i64 = 14;

/// Chooses the host that requests go to: the bucket's own or the endpoint.
pub(super) fn choose_host<'a>(
    target: &'a TargetRuntime,
    bucket: Option<&str>,
    buffer: &'a mut String,
) -> &'a str {
    let own = strip_port(&target.spec.authority);
    match bucket.filter(|_| !target.spec.path_style) {
        Some(bucket) => {
            *buffer = format!("{bucket}.{own}");
            buffer
        }
        None => own,
    }
}

/// Resolves the host name. The result is empty if that fails.
pub(super) async fn check_dns(report: &Report, target: &TargetRuntime, host: &str) -> Vec<SocketAddr> {
    let (resolver, port) = (DnsCache::new(SystemDns), target.endpoint.port);
    let addresses = timeout(target.connect_timeout, resolver.resolve(host, port, target.dns_cache_ttl))
        .await
        .unwrap_or_default();
    if !addresses.is_empty() {
        let listed: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
        report.add_ok("dns", format!("{host} resolves to {}.", listed.join(", ")));
        return addresses;
    }
    let own = strip_port(&target.spec.authority);
    let bare = timeout(target.connect_timeout, resolver.resolve(own, port, target.dns_cache_ttl))
        .await
        .unwrap_or_default();
    if own != host && !bare.is_empty() {
        let advice = "Check the bucket's name; if the target does not support virtual-hosted addressing, set addressing = \"path\".";
        report.add_problem("dns", format!("{own} resolves to an address, but {host} does not."), advice);
    } else {
        let advice = "Check the spelling of the endpoint, and the DNS resolver of this machine.";
        report.add_problem("dns", format!("{host} does not resolve to an address."), advice);
    }
    addresses
}

/// Connects to the addresses, and returns the first one that accepts a connection.
pub(super) async fn check_tcp(
    report: &Report,
    target: &TargetRuntime,
    addresses: &[SocketAddr],
) -> Option<SocketAddr> {
    let (mut first, mut failures) = (None, Vec::new());
    // The proxy does not try more addresses either.
    for address in addresses.iter().take(ADDRESSES_TRIED_MAX) {
        match timeout(target.connect_timeout, TcpStream::connect(address)).await {
            Ok(Ok(_)) => first = first.or(Some(*address)),
            Ok(Err(error)) => failures.push(format!("{address}: {}", error.kind())),
            Err(_) => failures.push(format!("{address}: connection timeout")),
        }
    }
    let failures = failures.join("; ");
    match first {
        Some(address) if failures.is_empty() => report.add_ok("tcp", format!("{address} accepts connections.")),
        Some(_) => report.add_warning(
            "tcp",
            format!("Only some addresses accept connections ({failures})."),
            "Requests try the next address after connect_timeout_seconds; check the routes to these networks.",
        ),
        None => report.add_problem(
            "tcp",
            format!("Connection failed ({failures})."),
            "Check the port, whether the target is running, and the firewall.",
        ),
    }
    first
}

/// Checks whether the certificate is trusted, and when it expires.
pub(super) async fn check_tls(
    report: &Report,
    target: &TargetRuntime,
    host: &str,
    address: SocketAddr,
) -> bool {
    if !target.endpoint.tls {
        if target.endpoint.is_loopback() {
            report.add_ok("tls", "Plain HTTP on loopback.");
        } else {
            let message = "Requests and objects are sent unencrypted (insecure = true).";
            report.add_warning("tls", message, "Use an https endpoint if the target has one.");
        }
        return true;
    }
    match shake_hands(target, host, address).await {
        Ok(days @ CERTIFICATE_DAYS_MIN..) => {
            report.add_ok(
                "tls",
                format!("The certificate is trusted, matches {host}, and expires in {days} days."),
            );
        }
        Ok(days) => {
            let message =
                format!("The certificate is trusted and matches {host}, but expires in {days} days.");
            report.add_warning("tls", message, "Renew it; requests fail after it expires.");
        }
        Err(TlsProblem { message, advice }) => {
            report.add_problem("tls", message, advice);
            return false;
        }
    }
    true
}

struct TlsProblem {
    message: String,
    advice: &'static str,
}

/// Performs a TLS handshake as the connector does, and returns the days until the certificate expires.
async fn shake_hands(target: &TargetRuntime, host: &str, address: SocketAddr) -> Result<i64, TlsProblem> {
    // A handshake of its own, because the findings need the reason of a failure: issuer, name or validity.
    let config = ClientConfig::builder_with_protocol_versions(&[&version::TLS12, &version::TLS13])
        .with_root_certificates(load_roots(target));
    let config = match target.client_cert.as_deref().and_then(client_certificate::to_der_pair) {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).map_err(|_| TlsProblem {
            message: "The client certificate cannot be used.".to_owned(),
            advice: "Check client_cert and client_key of the target.",
        })?,
        None => config.with_no_client_auth(),
    };
    // Certificates name an IPv6 address without the brackets of a URL.
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(bare).map_err(|_| TlsProblem {
        message: format!("{host} is not a valid name for a certificate."),
        advice: "Use a DNS name or an IP address.",
    })?;
    let connect_tls = async {
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    let new_timeout = || io::Error::from(io::ErrorKind::TimedOut);
    let outcome = timeout(target.connect_timeout, connect_tls).await.unwrap_or_else(|_| Err(new_timeout()));
    let stream = outcome.map_err(|error| explain_tls_error(&error, host))?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let own = chain.first().and_then(|der| X509Certificate::from_der(der).ok());
    let ends = own.map_or(0, |(_, own)| own.validity().not_after.timestamp());
    Ok(ends.saturating_sub(clock::now().0) / (24 * 3600))
}

/// Loads the certificate authorities that the connector trusts for this target.
fn load_roots(target: &TargetRuntime) -> RootCertStore {
    install_default_crypto_provider();
    let mut roots = RootCertStore::empty();
    match &target.ca {
        Some(own) => own.iter().for_each(|ca| drop(roots.add(CertificateDer::from(ca)))),
        // If the machine has no certificate authorities, the handshake fails and reports it.
        None => drop(load_platform_certs_incl_env_into_store(&mut roots)),
    }
    roots
}

fn explain_tls_error(error: &io::Error, host: &str) -> TlsProblem {
    let new_problem = |message: String, advice: &'static str| TlsProblem { message, advice };
    match error.get_ref().and_then(|inner| inner.downcast_ref::<RusTlsError>()) {
        Some(RusTlsError::InvalidCertificate(certificate)) => match certificate {
            // An authority of the same name with another key causes a bad signature.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => new_problem(
                "The certificate is not signed by a trusted certificate authority.".to_owned(),
                "Set ca = \"FILE\" of the target to the PEM file of its certificate authority.",
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                new_problem(
                    format!("The certificate does not match the name {host}."),
                    "Use the endpoint's own name; if the certificate does not cover bucket names, set addressing = \"path\".",
                )
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => new_problem(
                "The certificate has expired.".to_owned(),
                "Renew it, and check the clock of this machine.",
            ),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => new_problem(
                "The certificate is not valid yet.".to_owned(),
                "Check the clock of this machine.",
            ),
            _ => new_problem(
                "The certificate is invalid.".to_owned(),
                "Inspect it with: openssl s_client -connect HOST:PORT -showcerts",
            ),
        },
        Some(RusTlsError::InvalidMessage(_)) => new_problem(
            "The server on this port does not use TLS.".to_owned(),
            "Check the port, or use http:// with insecure = true if unencrypted requests are intended.",
        ),
        _ => new_problem(
            format!("The TLS handshake failed: {}.", error.kind()),
            "Blobfish supports TLS 1.2 and 1.3; check that the target does on this port.",
        ),
    }
}
