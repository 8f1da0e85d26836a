//! The runtime state of one target: what the engine needs to know of it, how it is reached, and what has been learned of
//! it. Everything towards a target takes this, and nothing else of the configuration.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use blobfish_config::{Addressing, Caller, Endpoint, Signing, SmallParts};
use blobfish_dialects::dialect::SmallPartsConfig;
use blobfish_dialects::dialect::signature::Auth;
use blobfish_dialects::dialect::{Dialect, Target};
use blobfish_dialects::model::{Credentials, SharedCredentials, TargetClock};
use pingora_core::protocols::tls::CaType;
use pingora_core::utils::tls::CertKey;
use secrecy::{ExposeSecret as _, SecretString};

use crate::target::certificate_authorities::{CertificateAuthoritiesError, load_certificate_authorities};
use crate::target::circuit_breaker::CircuitBreaker;
use crate::target::client_certificate::{ClientCertificateError, read_client_certificate};
use crate::target::connection_limit::ConnectionLimit;
use crate::target::health::TargetHealth;
use crate::target::issued_credentials::IssuedCredentials;
use crate::telemetry::metrics::METRICS;

/// A target that cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum TargetConfigError {
    /// A dialect or profile that is in the configuration and not in this build.
    #[error("target \"{0}\": this build does not have its dialect or profile")]
    Dialect(String),
    /// A credential provider that this build does not have.
    #[error("target \"{0}\": this build does not know who issues its keys")]
    Credentials(String),
    /// A version of the signature that this build cannot send.
    #[error("target \"{0}\": this version of the signature cannot be sent")]
    Signing(String),
    /// Its client certificate.
    #[error(transparent)]
    ClientCertificate(#[from] ClientCertificateError),
    /// The certificate authorities that it is trusted by.
    #[error(transparent)]
    CertificateAuthorities(#[from] CertificateAuthoritiesError),
}

/// A target, how it is reached, and its state.
pub struct TargetRuntime {
    /// What the engine needs of it.
    pub spec: Target,
    /// Its endpoint.
    pub endpoint: Endpoint,
    /// The trusted certificate authorities, where they are not only the system's.
    pub ca: Option<Arc<CaType>>,
    /// The client certificate, for mTLS.
    pub client_cert: Option<Arc<CertKey>>,
    /// Separates its pooled connections from those of other targets.
    pub group_key: u64,
    /// Its credentials, where they are issued and expire.
    pub issued_key: Option<Arc<IssuedCredentials>>,
    /// Its circuit breaker.
    pub circuit_breaker: Arc<CircuitBreaker>,
    /// How long the addresses of its host are cached.
    pub dns_cache_ttl: Duration,
    /// The limit of its connections that are in use at the same time.
    pub connection_limit: Arc<ConnectionLimit>,
    /// The last outcomes, for the console.
    pub health: Arc<TargetHealth>,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for the head of a response.
    pub response_timeout: Duration,
    /// Longest silence within a body.
    pub body_timeout: Duration,
}

impl TargetRuntime {
    /// Takes over what the targets of the previous configuration have learned: circuit breaker, clock skew, issued
    /// credentials, connections in use. Only where the settings that it depends on are the same.
    pub fn inherit_state(&mut self, previous: &[Self]) {
        let mut old = previous.iter().map(|old| &old.circuit_breaker);
        if let Some(old) = old.find(|old| old.has_same_settings(&self.circuit_breaker)) {
            self.circuit_breaker = Arc::clone(old);
        }
        if let Some(old) = previous.iter().find(|old| old.group_key == self.group_key) {
            self.spec.clock = old.spec.clock.clone();
        }
        self.reuse_issued_key(previous);
        let mut old = previous.iter().map(|old| &old.connection_limit);
        if let Some(old) = old.find(|old| old.has_same_settings(&self.connection_limit)) {
            self.connection_limit = Arc::clone(old);
        }
    }

    /// Publishes what the metrics have of a target from its start. What has not happened yet is zero, not absent.
    pub fn publish_metrics(&self) {
        self.circuit_breaker.publish_state();
        let name = self.spec.name.as_str();
        METRICS.target_skew.with_label_values(&[name]).set(self.spec.clock.skew_seconds());
        METRICS.uploads_orphaned.with_label_values(&[name]);
        METRICS.small_parts.with_label_values(&[name]);
        METRICS.small_parts_cleaned_up.with_label_values(&[name]);
    }

    /// Credentials that were issued for the same target stay valid, and are not requested again.
    fn reuse_issued_key(&mut self, previous: &[Self]) {
        let Some(own) = &self.issued_key else { return };
        let mut old = previous.iter().filter_map(|old| old.issued_key.as_ref());
        if let Some(old) = old.find(|old| old.has_same_origin(own)) {
            self.spec.credentials = old.credentials();
            self.issued_key = Some(Arc::clone(old));
        }
    }
}

/// Builds the runtime state of a configured target.
///
/// # Errors
/// What of its configuration cannot be used.
pub fn build_target(
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
    let issued_key = match &target.credentials {
        Some(_) => Some(
            IssuedCredentials::new(target, credentials.clone())
                .ok_or_else(|| TargetConfigError::Credentials(target.name.clone()))?,
        ),
        None => None,
    };
    Ok(TargetRuntime {
        issued_key: issued_key.map(Arc::new),
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
            seal_secret: select_seal_secret(target, callers),
            kms_keys: target.kms_keys.clone(),
            staging: SmallPartsConfig {
                is_combining: target.small_parts == SmallParts::Combine,
                prefix: target.small_parts_prefix.clone(),
                bucket: target.small_parts_bucket.clone(),
                caller_part_bytes_min: blobfish_dialects::smallest_part_bytes(),
            },
        },
        endpoint: target.endpoint.clone(),
        health: TargetHealth::for_target(&target.name),
        connect_timeout: target.connect_timeout,
        dns_cache_ttl: target.dns_cache_time,
        response_timeout: target.response_timeout,
        body_timeout: target.body_timeout,
    })
}

/// A secret that only the configuration has and that a restart does not change: the secret key of the target, or where that
/// is issued and expires, those of all callers.
fn select_seal_secret(target: &blobfish_config::Target, callers: &[Caller]) -> SecretString {
    if target.credentials.is_none() {
        return target.secret_key.clone();
    }
    let secrets = callers.iter().flat_map(|caller| &caller.keys).map(|key| key.secret_key.expose_secret());
    SecretString::from(secrets.collect::<Vec<_>>().join("\n"))
}

/// A digest of everything that makes a connection trustworthy: the same target, authorities and client certificate. It is the
/// same after a reload, so that pooled connections are kept.
fn compute_group_key(
    target: &blobfish_config::Target,
    ca: Option<&CaType>,
    client_cert: Option<&CertKey>,
) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&target.name, target.endpoint.authority(), target.endpoint.tls).hash(&mut hasher);
    for authority in ca.into_iter().flatten() {
        authority.with_raw_cert(|der| der.hash(&mut hasher));
    }
    if let Some(certificate) = client_cert {
        certificate.leaf().borrow_raw_cert().hash(&mut hasher);
    }
    hasher.finish()
}

fn select_auth(dialect: &'static Dialect, signing: Signing) -> Option<&'static dyn Auth> {
    match signing {
        Signing::V4 => Some(dialect.auth),
        Signing::V1 => dialect.legacy_auth,
    }
}
