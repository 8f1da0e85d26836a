//! What requests run on: a configuration with every name resolved to what the engine and the connector need.
//!
//! Built aside and swapped as a whole; a request uses one from its start to its end.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use blobfish_config::{
    Access, Addressing, Caller, Conditions, Config, Endpoint, KnownDialect, KnownDialects, SmallParts,
    UnsupportedFields,
};
use blobfish_dialects::authentication::authenticate::{CallerCredentials, CredentialStore, ListenerDialects};
use blobfish_dialects::authentication::signature::Auth;
use blobfish_dialects::engine::dialect::{Dialect, Target};
use blobfish_dialects::engine::loss::LossPolicy;
use blobfish_dialects::engine::route::{BucketNames, Route};
use blobfish_dialects::engine::small_parts::SmallPartsConfig;
use blobfish_dialects::model::{Credentials, Operation, RequiredAccess, SharedCredentials, TargetClock};
use pingora_core::protocols::tls::CaType;
use pingora_core::utils::tls::{CertKey, WrappedX509};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret as _, SecretString};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::inbound::certificates::{CertificateError, ListenerCertificates};
use crate::request::rate_limit::{RateLimit, RateLimitPermit};
use crate::target::circuit_breaker::CircuitBreaker;
use crate::target::client_certificate;
use crate::target::connection_limit::ConnectionLimit;
use crate::target::health::TargetHealth;
use crate::target::issued_credentials::IssuedCredentials;
use crate::telemetry::metrics::METRICS;
use crate::telemetry::traces::Traces;

/// A configuration that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// A dialect or profile that is in the configuration and not in this build.
    #[error("target \"{0}\": this build does not have its dialect or profile")]
    Dialect(String),
    /// The same for the listener's default.
    #[error("default dialect \"{0}\" is unknown")]
    Default(String),
    /// Somebody who issues keys, whom this build does not know.
    #[error("target \"{0}\": this build does not know who issues its keys")]
    Credentials(String),
    /// A version of the signature that this build cannot send.
    #[error("target \"{0}\": this version of the signature cannot be sent")]
    Signing(String),
    /// A client's certificate and its key.
    #[error("target \"{target}\": {cert}, {key}: not a certificate and its key")]
    ClientCert {
        /// Name of the target.
        target: String,
        /// File of the certificate.
        cert: PathBuf,
        /// File of the key.
        key: PathBuf,
    },
    /// A file of certificate authorities.
    #[error("{subject}: {path}: not a PEM file of certificates")]
    Ca {
        /// What is trusted by it.
        subject: String,
        /// The file.
        path: PathBuf,
    },
    /// A listener's certificate.
    #[error("{}: {unfit}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why it cannot be shown.
        unfit: CertificateError,
    },
}

/// A store, and how it is reached.
pub struct TargetRuntime {
    /// As the engine needs it.
    pub spec: Target,
    /// Where it is.
    pub endpoint: Endpoint,
    /// Authorities to trust, where they are not the system's.
    pub ca: Option<Arc<CaType>>,
    /// What is shown to it where it asks who we are.
    pub client_cert: Option<Arc<CertKey>>,
    /// Keeps its connections apart from those of others.
    pub group_key: u64,
    /// Its key, where that is issued.
    pub issued_key: Option<Arc<IssuedCredentials>>,
    /// Whether it may be asked.
    pub circuit_breaker: Arc<CircuitBreaker>,
    /// How long an answer to its host's name is believed.
    pub dns_cache_ttl: Duration,
    /// Its connections that may be in use at once.
    pub connection_limit: Arc<ConnectionLimit>,
    /// How it answered lately.
    pub health: Arc<TargetHealth>,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for the head of an answer.
    pub response_timeout: Duration,
    /// Longest silence within a body.
    pub body_timeout: Duration,
}

impl TargetRuntime {
    /// A key that was issued for the same target is not asked for again.
    fn reuse_issued_key(&mut self, previous: &[Self]) {
        let Some(own) = &self.issued_key else { return };
        let mut old = previous.iter().filter_map(|old| old.issued_key.as_ref());
        if let Some(old) = old.find(|old| old.has_same_origin(own)) {
            self.spec.credentials = old.credentials();
            self.issued_key = Some(Arc::clone(old));
        }
    }
}

/// Everything that a request runs on.
pub struct ActiveConfig {
    /// The configuration as it was understood.
    pub settings: Config,
    /// What the data listeners answer to.
    pub listener_hosts: ListenerDialects,
    /// The stores, in the configuration's order.
    pub targets: Vec<TargetRuntime>,
    /// How much each caller may ask for, by its name.
    rate_limits: BTreeMap<String, Arc<RateLimit>>,
    /// What https listeners show, by their addresses.
    certificates: BTreeMap<SocketAddr, Arc<ListenerCertificates>>,
    /// Whether and how requests are traced.
    pub traces: Option<Traces>,
    /// What is to be said of the file that it was read from.
    pub warnings: Vec<String>,
}

/// Where a bucket lives.
pub struct RoutedBucket<'a> {
    /// The store.
    pub target: &'a TargetRuntime,
    /// Index of the store.
    pub target_index: usize,
    /// The bucket's name there.
    pub target_bucket: String,
    /// What happens to what cannot be said there.
    pub loss_policy: LossPolicy,
    /// Conditions of copies are evaluated here.
    pub check_conditions: bool,
    /// Whether a copy that the target refuses to make is carried through here.
    pub allows_relay: bool,
    /// All that is configured, for the names of other buckets.
    pub config: &'a ActiveConfig,
}

impl ActiveConfig {
    /// Builds one from a configuration.
    ///
    /// # Errors
    /// [`NotRunnable`].
    pub fn new(config: Config) -> Result<Self, ActivationError> {
        let default = config.listen.default_dialect.as_str();
        let default = find_dialect(default).ok_or_else(|| ActivationError::Default(default.to_owned()))?;
        let listener_hosts = ListenerDialects {
            dialects: blobfish_dialects::DIALECTS,
            default_dialect: default,
            base_domains: config.hosts_base.clone(),
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
            listener_hosts,
            targets,
            rate_limits,
            certificates,
            traces,
            warnings: Vec::new(),
        })
    }

    /// What is not wrong, but hardly meant.
    pub fn warnings(&self) -> impl Iterator<Item = &String> {
        self.certificates.values().flat_map(|certificates| &certificates.warnings).chain(&self.warnings)
    }

    /// What the https listener at this address shows.
    pub fn certificates(&self, address: SocketAddr) -> Option<&Arc<ListenerCertificates>> {
        self.certificates.get(&address)
    }

    /// Takes over what callers have used of limits that stay as they are, what is known of targets, and what
    /// listeners show that stay open until a restart.
    pub fn inherit_state(&mut self, previous: &Self) {
        for (name, rate_limit) in &mut self.rate_limits {
            if let Some(old) = previous.rate_limits.get(name).filter(|old| old.has_same_limits(rate_limit)) {
                *rate_limit = Arc::clone(old);
            }
        }
        for (address, certificates) in &previous.certificates {
            self.certificates.entry(*address).or_insert_with(|| Arc::clone(certificates));
        }
        for target in &mut self.targets {
            let mut old = previous.targets.iter().map(|old| &old.circuit_breaker);
            if let Some(old) = old.find(|old| old.has_same_settings(&target.circuit_breaker)) {
                target.circuit_breaker = Arc::clone(old);
            }
            if let Some(old) = previous.targets.iter().find(|old| old.group_key == target.group_key) {
                target.spec.clock = old.spec.clock.clone();
            }
            target.reuse_issued_key(&previous.targets);
            let mut old = previous.targets.iter().map(|old| &old.connection_limit);
            if let Some(old) = old.find(|old| old.has_same_settings(&target.connection_limit)) {
                target.connection_limit = Arc::clone(old);
            }
        }
    }

    /// Tells the metrics of its targets, and of no others.
    pub fn publish_metrics(&self) {
        METRICS.target_state.reset();
        METRICS.target_skew.reset();
        // What has not happened yet is zero, not absent.
        for operation in [Operation::CopyObject, Operation::UploadPartCopy] {
            METRICS.copy_sources_changed.with_label_values(&[operation.name()]);
        }
        for target in &self.targets {
            target.circuit_breaker.publish_state();
            let name = target.spec.name.as_str();
            METRICS.target_skew.with_label_values(&[name]).set(target.spec.clock.skew_seconds());
            METRICS.uploads_orphaned.with_label_values(&[name]);
            METRICS.small_parts.with_label_values(&[name]);
            METRICS.small_parts_cleaned_up.with_label_values(&[name]);
        }
    }

    /// Lets a request of a caller begin; `None` where it asks for too much.
    pub fn try_acquire_rate_limit(&self, caller: &Caller) -> Option<RateLimitPermit> {
        self.rate_limits.get(&caller.name).and_then(|rate_limit| rate_limit.try_acquire())
    }

    /// The caller that has this access key.
    pub fn find_caller(&self, access_key: &str) -> Option<&Caller> {
        self.settings.find_caller(access_key).map(|(caller, _)| caller)
    }

    /// Whether a target's bucket is the one for parts that are kept, which callers never see.
    pub fn is_small_parts_bucket(&self, index: usize, bucket: &str) -> bool {
        self.settings
            .targets
            .get(index)
            .is_some_and(|target| target.small_parts_bucket.as_deref() == Some(bucket))
    }

    /// Where a bucket lives that callers call so.
    pub fn route_bucket(&self, bucket: &str) -> Option<RoutedBucket<'_>> {
        let route = self.settings.route(bucket)?;
        if self.is_small_parts_bucket(route.target_index, &route.target_bucket) {
            return None;
        }
        let policy = match route.rule.unsupported {
            UnsupportedFields::Reject => LossPolicy::Reject,
            UnsupportedFields::Report => LossPolicy::Report,
        };
        Some(RoutedBucket {
            target: self.targets.get(route.target_index)?,
            target_index: route.target_index,
            target_bucket: route.target_bucket.into_owned(),
            loss_policy: policy,
            check_conditions: match route.rule.conditions {
                Conditions::Auto => {
                    !self.targets.get(route.target_index)?.spec.dialect.supports_source_conditions()
                }
                Conditions::Native => false,
                Conditions::Check => true,
            },
            allows_relay: route.rule.relay,
            config: self,
        })
    }
}

impl<'a> RoutedBucket<'a> {
    /// The way of a request to here.
    pub fn build_route(
        &self,
        dialect: &'static Dialect,
        caller: Option<&'a Caller>,
        source_bucket: Option<String>,
    ) -> Route<'a> {
        Route {
            caller: dialect,
            target: &self.target.spec,
            bucket: self.target_bucket.clone(),
            source_bucket,
            loss_policy: self.loss_policy,
            check_conditions: self.check_conditions,
            bucket_names: Arc::new(CallerBucketNames {
                config: self.config,
                caller,
                target_index: self.target_index,
            }),
        }
    }
}

/// What buckets of one target are called, as far as one caller may know.
pub struct CallerBucketNames<'a> {
    /// All that is configured.
    pub config: &'a ActiveConfig,
    /// Who asks; nobody knows of nothing.
    pub caller: Option<&'a Caller>,
    /// Index of the target.
    pub target_index: usize,
}

impl BucketNames for CallerBucketNames<'_> {
    fn to_target_bucket(&self, bucket: &str) -> Option<String> {
        let may_write = self.caller.is_some_and(|caller| has_access(caller, bucket, RequiredAccess::Write));
        let routed_bucket = self
            .config
            .route_bucket(bucket)
            .filter(|place| may_write && place.target_index == self.target_index);
        routed_bucket.map(|routed_bucket| routed_bucket.target_bucket)
    }

    fn to_caller_bucket(&self, bucket: &str) -> Option<String> {
        if self.config.is_small_parts_bucket(self.target_index, bucket) {
            return None;
        }
        let name = self.config.settings.find_caller_bucket(self.target_index, bucket)?;
        self.caller.is_some_and(|caller| has_access(caller, &name, RequiredAccess::Read)).then_some(name)
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

    fn is_public_read(&self, bucket: &str) -> bool {
        self.settings.route(bucket).is_some_and(|route| route.rule.anonymous_read)
    }
}

/// Whether a caller's grants give what an operation needs.
pub fn has_access(caller: &Caller, bucket: &str, required_access: RequiredAccess) -> bool {
    match required_access {
        RequiredAccess::Read => caller.can_access(bucket, Access::Read),
        RequiredAccess::Write => caller.can_access(bucket, Access::Write),
        RequiredAccess::Admin => caller.can_access(bucket, Access::Admin),
        RequiredAccess::None => true,
    }
}

/// A dialect by the name of a listener's default: `s3`, or a profile's own name such as `jdcloud`.
fn find_dialect(name: &str) -> Option<&'static Dialect> {
    let base_dialect = blobfish_dialects::DIALECTS.iter().copied().find(|dialect| dialect.name == name);
    base_dialect.or_else(|| blobfish_dialects::find_dialect(name, None))
}

fn build_target(
    target: &blobfish_config::Target,
    callers: &[Caller],
) -> Result<TargetRuntime, ActivationError> {
    let dialect = blobfish_dialects::find_dialect(&target.dialect, target.profile.as_deref())
        .ok_or_else(|| ActivationError::Dialect(target.name.clone()))?;
    let ca = target
        .ca
        .as_ref()
        .map(|path| load_certificate_authorities(&format!("target \"{}\"", target.name), path))
        .transpose()?;
    let client_cert = client_certificate::read_client_certificate(target)?;
    let group_key = compute_group_key(target, ca.as_deref(), client_cert.as_deref());
    let credentials = SharedCredentials::new(Credentials {
        access_key_id: target.access_key.clone(),
        secret_key: target.secret_key.clone(),
        session_token: target.session_token.clone(),
    });
    let issued_key = match &target.credentials {
        Some(_) => Some(
            IssuedCredentials::new(target, credentials.clone())
                .ok_or_else(|| ActivationError::Credentials(target.name.clone()))?,
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
                .ok_or_else(|| ActivationError::Signing(target.name.clone()))?,
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

/// What only the configuration tells: the target's secret, or where that is issued and changes, those of all callers.
fn select_seal_secret(target: &blobfish_config::Target, callers: &[Caller]) -> SecretString {
    if target.credentials.is_none() {
        return target.secret_key.clone();
    }
    let secrets = callers.iter().flat_map(|caller| &caller.keys).map(|key| key.secret_key.expose_secret());
    SecretString::from(secrets.collect::<Vec<_>>().join("\n"))
}

fn load_certificates(
    https: &blobfish_config::HttpsListener,
) -> Result<(SocketAddr, Arc<ListenerCertificates>), ActivationError> {
    let certificates = ListenerCertificates::load(https);
    let certificates = certificates.map_err(|(path, unfit)| ActivationError::Certificate { path, unfit })?;
    Ok((https.address, Arc::new(certificates)))
}

fn build_traces(config: &blobfish_config::Traces) -> Result<Traces, ActivationError> {
    let ca = config.ca.as_ref().map(|path| load_certificate_authorities("traces", path)).transpose()?;
    Ok(Traces::new(config, ca))
}

/// What connections may be shared by: the same target, believed for the same reason. It outlives a reload.
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

fn select_auth(dialect: &'static Dialect, signing: Option<&str>) -> Option<&'static dyn Auth> {
    let Some(version) = signing else { return Some(dialect.auth) };
    dialect.signing_versions.iter().find(|row| row.0 == version).map(|row| row.1)
}

/// What a configuration may name, from the dialects that exist.
pub fn known_dialects() -> KnownDialects {
    let describe = |dialect: blobfish_dialects::ConfigurableDialect| KnownDialect {
        name: dialect.name,
        profiles: dialect.profiles,
        signatures: dialect.signatures.to_vec(),
        signing_versions: dialect.signing_versions,
        strict_signing_key: dialect.strict_signing_key,
    };
    KnownDialects {
        dialects: blobfish_dialects::list_configurable_dialects().into_iter().map(describe).collect(),
    }
}

/// The same for demo mode, which configures the embedded store for itself.
pub fn known_dialects_of_demo() -> KnownDialects {
    let mut known = known_dialects();
    for dialect in &mut known.dialects {
        let table = blobfish_dialects::find_dialect(dialect.name, None);
        let embedded = table.and_then(|table| table.embedded_store).map(|store| store.name);
        dialect.profiles = embedded.into_iter().collect();
    }
    known
}

/// The authorities of a file, and the system's: the connector takes a list of its own instead of the system's.
fn load_certificate_authorities(
    subject: &str,
    path: &std::path::Path,
) -> Result<Arc<CaType>, ActivationError> {
    let build_error = || ActivationError::Ca { subject: subject.to_owned(), path: path.to_owned() };
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
