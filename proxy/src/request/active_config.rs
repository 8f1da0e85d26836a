//! The active configuration that requests are processed with. Every name of the configuration is resolved in it.
//!
//! A hot reload builds a new one and replaces the old one as a whole. A request uses the same one from start to end, so
//! that it never sees half of a reload.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use blobfish_config::{Caller, Config};
use blobfish_dialects::authentication::authenticate::{CallerCredentials, CredentialStore, ListenerDialects};
use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::model::Operation;

use crate::inbound::certificates::{CertificateError, CertificatesByAddress, ListenerCertificates};
use crate::request::rate_limit::{RateLimit, RateLimitPermit};
use crate::request::routing::RoutingTable;
use crate::target::certificate_authorities::{CertificateAuthoritiesError, load_certificate_authorities};
use crate::target::runtime::{TargetConfigError, TargetRuntime, build_target};
use crate::telemetry::metrics::METRICS;
use crate::telemetry::traces::Traces;

/// Why a configuration cannot be activated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActivationError {
    /// A target is invalid.
    #[error(transparent)]
    Target(#[from] TargetConfigError),
    /// The default dialect of the listeners is not in this build.
    #[error("unknown default dialect \"{0}\"")]
    Default(String),
    /// The certificate authorities for the trace collector cannot be loaded.
    #[error(transparent)]
    CertificateAuthorities(#[from] CertificateAuthoritiesError),
    /// A listener's certificate cannot be used.
    #[error("{}: {cause}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why it cannot be used.
        cause: CertificateError,
    },
}

/// The validated configuration, with the runtime state that requests need.
pub(crate) struct ActiveConfig {
    /// The validated configuration.
    pub settings: Config,
    /// The dialects and base domains of the data listeners.
    pub listener_dialects: ListenerDialects,
    /// The targets, in the order of the configuration.
    pub targets: Vec<TargetRuntime>,
    /// The rate limit of each caller, by caller name.
    rate_limits: BTreeMap<String, Arc<RateLimit>>,
    /// The certificates of the HTTPS listeners, by address.
    pub certificates: CertificatesByAddress,
    /// The tracing settings; `None` if requests are not traced.
    pub traces: Option<Traces>,
    /// Warnings about the configuration file.
    pub warnings: Vec<String>,
}

impl ActiveConfig {
    /// Builds the active configuration from a validated configuration.
    ///
    /// # Errors
    /// A referenced file cannot be used, or this build does not contain a named dialect.
    pub(crate) fn new(config: Config) -> Result<Self, ActivationError> {
        let default = config.listen.default_dialect.as_str();
        let default = find_dialect(default).ok_or_else(|| ActivationError::Default(default.to_owned()))?;
        let listener_dialects = ListenerDialects {
            dialects: blobfish_dialects::DIALECTS,
            default_dialect: default,
            base_domains: config.base_domains.clone(),
        };
        let targets = config
            .targets
            .iter()
            .map(|target| build_target(target, &config.callers))
            .collect::<Result<_, _>>()?;
        let build_rate_limit = |caller: &Caller| (caller.name.clone(), Arc::new(RateLimit::new(caller)));
        let rate_limits = config.callers.iter().map(build_rate_limit).collect();
        let certificates = config.listen.https.iter().map(load_certificates).collect::<Result<_, _>>()?;
        let traces = config.traces.as_ref().map(build_traces).transpose()?;
        Ok(Self {
            settings: config,
            listener_dialects,
            targets,
            rate_limits,
            certificates,
            traces,
            warnings: Vec::new(),
        })
    }

    /// Warnings about settings that are valid but probably a mistake.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = &String> {
        self.certificates.values().flat_map(|certificates| &certificates.warnings).chain(&self.warnings)
    }

    /// Takes over state from the previous configuration: the current use of unchanged rate limits, the state of targets,
    /// and the certificates of listeners that the new configuration no longer has.
    pub(crate) fn inherit_state(&mut self, previous: &Self) {
        for (name, rate_limit) in &mut self.rate_limits {
            if let Some(old) = previous.rate_limits.get(name).filter(|old| old.has_same_limits(rate_limit)) {
                // A new rate limit would give each caller a full burst on every reload.
                *rate_limit = Arc::clone(old);
            }
        }
        for (address, certificates) in &previous.certificates {
            // Listeners stay open until a restart, so a removed listener still needs its certificates.
            self.certificates.entry(*address).or_insert_with(|| Arc::clone(certificates));
        }
        for target in &mut self.targets {
            target.inherit_state(&previous.targets);
        }
    }

    /// Publishes the metrics of the targets, and removes the metrics of targets that are no longer configured.
    pub(crate) fn publish_metrics(&self) {
        METRICS.target_state.reset();
        METRICS.target_skew.reset();
        // A counter that starts at zero lets a query see the first increment; an absent one does not.
        for operation in [Operation::CopyObject, Operation::UploadPartCopy] {
            METRICS.copy_sources_changed.with_label_values(&[operation.name()]);
        }
        self.targets.iter().for_each(TargetRuntime::publish_metrics);
    }

    /// Counts a request of a caller. Returns `None` if the caller exceeds its rate limit.
    pub(crate) fn try_acquire_rate_limit(&self, caller: &Caller) -> Option<RateLimitPermit> {
        self.rate_limits.get(&caller.name).and_then(|rate_limit| rate_limit.try_acquire())
    }

    /// The caller that has this access key.
    pub(crate) fn find_caller(&self, access_key: &str) -> Option<&Caller> {
        self.settings.find_caller(access_key).map(|(caller, _)| caller)
    }

    /// The routing table.
    pub(crate) fn routing(&self) -> RoutingTable<'_> {
        RoutingTable::new(&self.settings, &self.targets)
    }
}

impl CredentialStore for ActiveConfig {
    fn find_credentials(&self, access_key: &str) -> Option<CallerCredentials<'_>> {
        let (caller, key) = self.settings.find_caller(access_key)?;
        Some(CallerCredentials {
            secret_key: &key.secret_key,
            session_token: key.session_token.as_ref(),
            strict_dialects: &caller.strict_dialects,
            schemes: &caller.signatures,
        })
    }

    fn is_anonymous_read(&self, bucket: &str) -> bool {
        self.settings.route(bucket).is_some_and(|route| route.rule.anonymous_read)
    }
}

/// Finds a dialect by the name used for a listener's default: `s3`, or the name of a profile such as `jdcloud`.
fn find_dialect(name: &str) -> Option<&'static Dialect> {
    let base_dialect = blobfish_dialects::DIALECTS.iter().copied().find(|dialect| dialect.name == name);
    base_dialect.or_else(|| blobfish_dialects::find_dialect(name, None))
}

fn load_certificates(
    https: &blobfish_config::HttpsListener,
) -> Result<(SocketAddr, Arc<ListenerCertificates>), ActivationError> {
    let certificates = ListenerCertificates::load(https);
    let certificates = certificates.map_err(|(path, cause)| ActivationError::Certificate { path, cause })?;
    Ok((https.address, Arc::new(certificates)))
}

fn build_traces(config: &blobfish_config::Traces) -> Result<Traces, ActivationError> {
    let ca = config.ca.as_ref().map(|path| load_certificate_authorities("traces", path)).transpose()?;
    Ok(Traces::new(config, ca))
}
