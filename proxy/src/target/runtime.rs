//! The runtime state of one target: its specification for the translation, its connection settings, and the state that
//! is observed at run time. The rest of this folder depends on no other part of the configuration.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use blobfish_config::{Addressing, Caller, Endpoint, SmallParts};
use blobfish_dialects::dialect::SmallPartsConfig;
use blobfish_dialects::dialect::signature::Auth;
use blobfish_dialects::dialect::{Dialect, Target};
use blobfish_dialects::model::{Credentials, SharedCredentials, TargetClock};
use pingora::protocols::tls::CaType;
use pingora::utils::tls::CertKey;
use prometheus::IntGauge;
use secrecy::{ExposeSecret as _, SecretString};

use crate::target::certificate_authorities::{CertificateAuthoritiesError, load_certificate_authorities};
use crate::target::circuit_breaker::CircuitBreaker;
use crate::target::client_certificate::{ClientCertificateError, read_client_certificate};
use crate::target::connection_limit::ConnectionLimit;
use crate::target::health::TargetHealth;
use crate::target::issued_credentials::IssuedCredentials;
use crate::telemetry::metrics::METRICS;

/// Why a configured target cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetConfigError {
    /// This build has no such dialect or profile.
    #[error("target \"{0}\": this build does not support its dialect or profile")]
    Dialect(String),
    /// This build has no such credential provider.
    #[error("target \"{0}\": this build does not support its credential provider")]
    Credentials(String),
    /// This build cannot sign with the configured signature version.
    #[error("target \"{0}\": its signature version is not supported")]
    Signing(String),
    /// The client certificate cannot be loaded.
    #[error(transparent)]
    ClientCertificate(#[from] ClientCertificateError),
    /// The certificate authorities cannot be loaded.
    #[error(transparent)]
    CertificateAuthorities(#[from] CertificateAuthoritiesError),
}

/// A target with its connection settings and state.
pub(crate) struct TargetRuntime {
    /// The specification for the translation.
    pub spec: Target,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The trusted certificate authorities, if not only the system's.
    pub ca: Option<Arc<CaType>>,
    /// The client certificate, for mTLS.
    pub client_cert: Option<Arc<CertKey>>,
    /// Separates its pooled connections from those of other targets.
    pub group_key: u64,
    /// The temporary credentials, if a credential provider is configured.
    pub issued_credentials: Option<Arc<IssuedCredentials>>,
    /// The circuit breaker.
    pub circuit_breaker: Arc<CircuitBreaker>,
    /// How long the addresses of the host are cached.
    pub dns_cache_ttl: Duration,
    /// The limit of connections in use at the same time.
    pub connection_limit: Arc<ConnectionLimit>,
    /// The metric of the connections in use.
    pub connections_in_use: IntGauge,
    /// The last outcomes, for the console.
    pub health: Arc<TargetHealth>,
    /// The connect timeout.
    pub connect_timeout: Duration,
    /// The timeout for a response head.
    pub response_timeout: Duration,
    /// The idle timeout of a body.
    pub body_timeout: Duration,
}

impl TargetRuntime {
    /// Takes over the state of the previous configuration's targets: circuit breaker, clock skew, temporary credentials,
    /// connections in use. Each of them only if the settings that it depends on are unchanged.
    pub(crate) fn inherit_state(&mut self, previous: &[Self]) {
        let mut old = previous.iter().map(|old| &old.circuit_breaker);
        if let Some(old) = old.find(|old| old.has_same_settings(&self.circuit_breaker)) {
            self.circuit_breaker = Arc::clone(old);
        }
        // The clock skew belongs to the server, so it is kept only for the same endpoint.
        if let Some(old) = previous.iter().find(|old| old.group_key == self.group_key) {
            self.spec.clock = old.spec.clock.clone();
        }
        self.inherit_issued_credentials(previous);
        let mut old = previous.iter().map(|old| &old.connection_limit);
        if let Some(old) = old.find(|old| old.has_same_settings(&self.connection_limit)) {
            self.connection_limit = Arc::clone(old);
        }
    }

    /// Publishes the metrics of a target. Counters start at zero instead of absent, so that the first increase is visible.
    pub(crate) fn publish_metrics(&self) {
        self.circuit_breaker.publish_state();
        let name = self.spec.name.as_str();
        METRICS.target_skew.with_label_values(&[name]).set(self.spec.clock.skew_seconds());
        METRICS.uploads_unconfirmed.with_label_values(&[name]);
        METRICS.small_parts.with_label_values(&[name]);
        METRICS.small_parts_cleaned_up.with_label_values(&[name]);
    }

    /// Keeps temporary credentials of the same origin, so that a reload does not request them again.
    fn inherit_issued_credentials(&mut self, previous: &[Self]) {
        let Some(own) = &self.issued_credentials else { return };
        let mut old = previous.iter().filter_map(|old| old.issued_credentials.as_ref());
        if let Some(old) = old.find(|old| old.has_same_origin(own)) {
            self.spec.credentials = old.credentials();
            self.issued_credentials = Some(Arc::clone(old));
        }
    }
}

/// Builds the runtime state of a configured target.
///
/// # Errors
/// The part of the configuration that cannot be used.
pub(crate) fn build_target(
    target: &blobfish_config::Target,
    callers: &[Caller],
) -> Result<TargetRuntime, TargetConfigError> {
    let dialect = blobfish_dialects::find_dialect(&target.dialect, target.profile.as_deref())
        .ok_or_else(|| TargetConfigError::Dialect(target.name.clone()))?;
    let ca = target
        .ca
        .as_ref()
        .map(|path| load_certificate_authorities(&format!("target \"{}\"", target.name), path))
        .transpose()?;
    let client_cert = read_client_certificate(target)?;
    let group_key = compute_group_key(target, ca.as_deref(), client_cert.as_deref());
    let credentials = SharedCredentials::new(Credentials {
        access_key_id: target.access_key.clone(),
        secret_key: target.secret_key.clone(),
        session_token: target.session_token.clone(),
    });
    let issued_credentials = match &target.credentials {
        Some(_) => Some(
            IssuedCredentials::new(target, credentials.clone())
                .ok_or_else(|| TargetConfigError::Credentials(target.name.clone()))?,
        ),
        None => None,
    };
    Ok(TargetRuntime {
        issued_credentials: issued_credentials.map(Arc::new),
        group_key,
        circuit_breaker: Arc::new(CircuitBreaker::new(target, group_key, callers.len())),
        connection_limit: Arc::new(ConnectionLimit::new(&target.name, group_key, target.connections_max)),
        ca,
        client_cert,
        spec: Target {
            name: target.name.clone(),
            dialect,
            auth: select_auth(dialect, target.signing)
                .ok_or_else(|| TargetConfigError::Signing(target.name.clone()))?,
            authority: target.endpoint.authority(),
            region: target.region.clone(),
            path_style: target.addressing == Addressing::Path,
            credentials,
            clock: TargetClock::default(),
            token_signing_secret: select_token_signing_secret(target, callers),
            kms_keys: target.kms_keys.clone(),
            staging: SmallPartsConfig {
                is_combining: target.small_parts == SmallParts::Combine,
                prefix: target.small_parts_prefix.clone(),
                bucket: target.small_parts_bucket.clone(),
                caller_part_bytes_min: blobfish_dialects::smallest_part_bytes(),
            },
        },
        endpoint: target.endpoint.clone(),
        connections_in_use: METRICS.target_connections.with_label_values(&[&target.name]),
        health: TargetHealth::for_target(&target.name),
        connect_timeout: target.connect_timeout,
        dns_cache_ttl: target.dns_ttl,
        response_timeout: target.response_timeout,
        body_timeout: target.body_timeout,
    })
}

/// Returns a secret that only the configuration contains and that a restart does not change: the target's secret key,
/// or with temporary credentials the secret keys of all callers.
fn select_token_signing_secret(target: &blobfish_config::Target, callers: &[Caller]) -> SecretString {
    if target.credentials.is_none() {
        return target.secret_key.clone();
    }
    // Temporary credentials change every few hours, and values sealed with them could then not be opened any more.
    let secrets = callers.iter().flat_map(|caller| &caller.keys).map(|key| key.secret_key.expose_secret());
    SecretString::from(secrets.collect::<Vec<_>>().join("\n"))
}

/// Hashes what a pooled connection depends on: the target, the certificate authorities and the client certificate. The
/// hash is the same after a reload without changes, so that pooled connections are kept.
fn compute_group_key(
    target: &blobfish_config::Target,
    ca: Option<&CaType>,
    client_cert: Option<&CertKey>,
) -> u64 {
    let mut hasher = DefaultHasher::new();
    // The name is included, because `inherit_state` identifies a target by this key.
    (&target.name, target.endpoint.authority(), target.endpoint.tls).hash(&mut hasher);
    for authority in ca.into_iter().flatten() {
        authority.with_raw_cert(|der| der.hash(&mut hasher));
    }
    if let Some(certificate) = client_cert {
        certificate.leaf().borrow_raw_cert().hash(&mut hasher);
    }
    hasher.finish()
}

fn select_auth(dialect: &'static Dialect, signing: Option<&str>) -> Option<&'static dyn Auth> {
    let Some(version) = signing else { return Some(dialect.auth) };
    dialect.signing_versions.iter().find(|row| row.0 == version).map(|row| row.1)
}
