//! The way to a target: its name, its port, its certificate. Nothing of HTTP is sent here.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use blobfish_dialects::engine::hosts::without_port;
use pingora_core::tls::{
    CertificateDer, CertificateError, ClientConfig, RootCertStore, RusTlsError, ServerName, TlsConnector,
    install_default_crypto_provider, load_platform_certs_incl_env_into_store, version,
};
use tokio::net::TcpStream;
use tokio::time::timeout;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::client_cert;
use crate::clock;
use crate::doctor::report::Report;
use crate::resolve::{Resolver, System};
use crate::snapshot::Upstream;
use crate::upstream::ADDRESSES_TRIED_MAX;

/// Less than this is warned of, days.
const CERTIFICATE_DAYS_MIN: i64 = 14;

/// The host that requests go to: the bucket's own, or the end point.
pub fn host<'a>(upstream: &'a Upstream, bucket: Option<&str>, room: &'a mut String) -> &'a str {
    let own = without_port(&upstream.target.authority);
    match bucket.filter(|_| !upstream.target.path_style) {
        Some(bucket) => {
            *room = format!("{bucket}.{own}");
            room
        }
        None => own,
    }
}

/// Where the name leads. Empty where it leads nowhere.
pub async fn dns(report: &Report, upstream: &Upstream, host: &str) -> Vec<SocketAddr> {
    let (resolver, port) = (Resolver::new(System), upstream.endpoint.port);
    let found = timeout(upstream.connect_timeout, resolver.addresses(host, port, upstream.resolve))
        .await
        .unwrap_or_default();
    if !found.is_empty() {
        let shown: Vec<String> = found.iter().map(|address| address.ip().to_string()).collect();
        report.ok("dns", format!("{host} is {}.", shown.join(", ")));
        return found;
    }
    let own = without_port(&upstream.target.authority);
    let bare = timeout(upstream.connect_timeout, resolver.addresses(own, port, upstream.resolve))
        .await
        .unwrap_or_default();
    if own != host && !bare.is_empty() {
        let advice =
            "Check the bucket's name; if the store has no names for buckets, set addressing = \"path\".";
        report.problem("dns", format!("{own} has an address and {host} has none."), advice);
    } else {
        let advice = "Check the end point's spelling and this machine's resolver.";
        report.problem("dns", format!("{host} has no address."), advice);
    }
    found
}

/// The first address that takes a connection.
pub async fn tcp(report: &Report, upstream: &Upstream, found: &[SocketAddr]) -> Option<SocketAddr> {
    let (mut first, mut dead) = (None, Vec::new());
    for address in found.iter().take(ADDRESSES_TRIED_MAX) {
        match timeout(upstream.connect_timeout, TcpStream::connect(address)).await {
            Ok(Ok(_)) => first = first.or(Some(*address)),
            Ok(Err(error)) => dead.push(format!("{address}: {}", error.kind())),
            Err(_) => dead.push(format!("{address}: no connection in time")),
        }
    }
    let dead = dead.join("; ");
    match first {
        Some(address) if dead.is_empty() => report.ok("tcp", format!("{address} takes connections.")),
        Some(_) => report.warning(
            "tcp",
            format!("Only some addresses take connections ({dead})."),
            "Requests try the next address after connect_timeout_seconds; see whether a network is missing.",
        ),
        None => report.problem(
            "tcp",
            format!("No connection ({dead})."),
            "Check the port, that the store runs, and what a firewall lets out.",
        ),
    }
    first
}

/// Whether the certificate is believed, and how long it lasts.
pub async fn tls(report: &Report, upstream: &Upstream, host: &str, address: SocketAddr) -> bool {
    if !upstream.endpoint.tls {
        if upstream.endpoint.is_loopback() {
            report.ok("tls", "Plain HTTP, within this machine.");
        } else {
            let message = "Requests and objects travel unencrypted (insecure = true).";
            report.warning("tls", message, "Use an https end point if the store has one.");
        }
        return true;
    }
    match shaken(upstream, host, address).await {
        Ok(days @ CERTIFICATE_DAYS_MIN..) => {
            report.ok("tls", format!("The certificate is trusted, is for {host}, and lasts {days} days."));
        }
        Ok(days) => {
            let message = format!("The certificate is trusted and is for {host}, but ends in {days} days.");
            report.warning("tls", message, "Have it renewed; requests fail on the day it ends.");
        }
        Err(NoTls { message, advice }) => {
            report.problem("tls", message, advice);
            return false;
        }
    }
    true
}

struct NoTls {
    message: String,
    advice: &'static str,
}

/// Shakes hands as the connector does, and gives the days that the certificate lasts.
async fn shaken(upstream: &Upstream, host: &str, address: SocketAddr) -> Result<i64, NoTls> {
    let config = ClientConfig::builder_with_protocol_versions(&[&version::TLS12, &version::TLS13])
        .with_root_certificates(trusted(upstream));
    let config = match upstream.client_cert.as_deref().and_then(client_cert::pair) {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).map_err(|_| NoTls {
            message: "The client certificate cannot be used.".to_owned(),
            advice: "Check client_cert and client_key.",
        })?,
        None => config.with_no_client_auth(),
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(bare).map_err(|_| NoTls {
        message: format!("{host} is no name that a certificate can be for."),
        advice: "Use a DNS name or an IP address.",
    })?;
    let shaking = async {
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    let late = || io::Error::from(io::ErrorKind::TimedOut);
    let shaken = timeout(upstream.connect_timeout, shaking).await.unwrap_or_else(|_| Err(late()));
    let stream = shaken.map_err(|error| why(&error, host))?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let own = chain.first().and_then(|der| X509Certificate::from_der(der).ok());
    let ends = own.map_or(0, |(_, own)| own.validity().not_after.timestamp());
    Ok(ends.saturating_sub(clock::now().0) / (24 * 3600))
}

/// The authorities that the connector trusts for this target.
fn trusted(upstream: &Upstream) -> RootCertStore {
    install_default_crypto_provider();
    let mut roots = RootCertStore::empty();
    match &upstream.ca {
        Some(own) => own.iter().for_each(|ca| drop(roots.add(CertificateDer::from(ca)))),
        // A machine without authorities trusts nobody, as the handshake will show.
        None => drop(load_platform_certs_incl_env_into_store(&mut roots)),
    }
    roots
}

fn why(error: &io::Error, host: &str) -> NoTls {
    let told = |message: String, advice: &'static str| NoTls { message, advice };
    match error.get_ref().and_then(|inner| inner.downcast_ref::<RusTlsError>()) {
        Some(RusTlsError::InvalidCertificate(certificate)) => match certificate {
            // An authority of the same name with another key leaves a bad signature.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => told(
                "Nobody who is trusted here has signed the certificate.".to_owned(),
                "Set ca = \"FILE\" on the target to the PEM file of the authority that did.",
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => told(
                format!("The certificate is for other names than {host}."),
                "Use the end point's own name; if the certificate has no names for buckets, addressing = \"path\".",
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => told(
                "The certificate has expired.".to_owned(),
                "Have it renewed, and check this machine's clock.",
            ),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                told("The certificate is not valid yet.".to_owned(), "Check this machine's clock.")
            }
            _ => told(
                "The certificate is not one that can be believed.".to_owned(),
                "Look at it with: openssl s_client -connect HOST:PORT -showcerts",
            ),
        },
        Some(RusTlsError::InvalidMessage(_)) => told(
            "What answers there does not speak TLS.".to_owned(),
            "Check the port, or write http:// with insecure = true where that is meant.",
        ),
        _ => told(
            format!("No encrypted connection: {}.", error.kind()),
            "Blobfish speaks TLS 1.2 and 1.3; check that the store does, on this port.",
        ),
    }
}
