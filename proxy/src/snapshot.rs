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
    Access, Addressing, Caller, Conditions, Config, Endpoint, Signing, SmallParts, Unsupported,
};
use blobfish_dialects::engine::accept::{Front, Key, Keys};
use blobfish_dialects::engine::auth::Auth;
use blobfish_dialects::engine::dialect::{Dialect, Target};
use blobfish_dialects::engine::loss::LossPolicy;
use blobfish_dialects::engine::staging::Staging;
use blobfish_dialects::engine::way::{Names, Way};
use blobfish_dialects::model::{Credentials, Need, Operation, OwnKey, TargetClock};
use pingora_core::protocols::tls::CaType;
use pingora_core::utils::tls::{CertKey, WrappedX509};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret as _, SecretString};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::breaker::Breaker;
use crate::certificates::{Certificates, Unfit};
use crate::client_cert;
use crate::health::Health;
use crate::keys::IssuedKey;
use crate::metrics::METRICS;
use crate::seats::Seats;
use crate::throttle::{Throttle, Turn};
use crate::traces::Traces;

/// A configuration that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum NotRunnable {
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
        unfit: Unfit,
    },
}

/// A store, and how it is reached.
pub struct Upstream {
    /// As the engine needs it.
    pub target: Target,
    /// Where it is.
    pub endpoint: Endpoint,
    /// Authorities to trust, where they are not the system's.
    pub ca: Option<Arc<CaType>>,
    /// What is shown to it where it asks who we are.
    pub client_cert: Option<Arc<CertKey>>,
    /// Keeps its connections apart from those of others.
    pub group_key: u64,
    /// Its key, where that is issued.
    pub issued: Option<Arc<IssuedKey>>,
    /// Whether it may be asked.
    pub breaker: Arc<Breaker>,
    /// How long an answer to its host's name is believed.
    pub resolve: Duration,
    /// Its connections that may be in use at once.
    pub seats: Arc<Seats>,
    /// How it answered lately.
    pub health: Arc<Health>,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for the head of an answer.
    pub response_timeout: Duration,
    /// Longest silence within a body.
    pub body_timeout: Duration,
}

impl Upstream {
    /// A key that was issued for the same target is not asked for again.
    fn keeps_key_of(&mut self, before: &[Self]) {
        let Some(own) = &self.issued else { return };
        let mut old = before.iter().filter_map(|old| old.issued.as_ref());
        if let Some(old) = old.find(|old| old.is_like(own)) {
            self.target.credentials = old.key();
            self.issued = Some(Arc::clone(old));
        }
    }
}

/// Everything that a request runs on.
pub struct Snapshot {
    /// The configuration as it was understood.
    pub config: Config,
    /// What the data listeners answer to.
    pub front: Front,
    /// The stores, in the configuration's order.
    pub upstreams: Vec<Upstream>,
    /// How much each caller may ask for, by its name.
    throttles: BTreeMap<String, Arc<Throttle>>,
    /// What https listeners show, by their addresses.
    certificates: BTreeMap<SocketAddr, Arc<Certificates>>,
    /// Whether and how requests are traced.
    pub traces: Option<Traces>,
    /// What is to be said of the file that it was read from.
    pub warnings: Vec<String>,
}

/// Where a bucket lives.
pub struct Place<'a> {
    /// The store.
    pub upstream: &'a Upstream,
    /// Index of the store.
    pub index: usize,
    /// The bucket's name there.
    pub bucket: String,
    /// What happens to what cannot be said there.
    pub policy: LossPolicy,
    /// Conditions of copies are evaluated here.
    pub check_conditions: bool,
    /// Whether a copy that the target refuses to make is carried through here.
    pub relay: bool,
    /// All that is configured, for the names of other buckets.
    pub snapshot: &'a Snapshot,
}

impl Snapshot {
    /// Builds one from a configuration.
    ///
    /// # Errors
    /// [`NotRunnable`].
    pub fn new(config: Config) -> Result<Self, NotRunnable> {
        let default = config.listen.default_dialect.as_str();
        let default = by_name(default).ok_or_else(|| NotRunnable::Default(default.to_owned()))?;
        let front = Front { dialects: blobfish_dialects::ALL, default, base: config.hosts_base.clone() };
        let upstreams = config
            .targets
            .iter()
            .map(|target| upstream(target, &config.callers))
            .collect::<Result<_, _>>()?;
        let throttle = |caller: &Caller| (caller.name.clone(), Arc::new(Throttle::new(caller)));
        let throttles = config.callers.iter().map(throttle).collect();
        let certificates = config.listen.https.iter().map(shown).collect::<Result<_, _>>()?;
        let traces = config.traces.as_ref().map(traces).transpose()?;
        Ok(Self { config, front, upstreams, throttles, certificates, traces, warnings: Vec::new() })
    }

    /// What is not wrong, but hardly meant.
    pub fn warnings(&self) -> impl Iterator<Item = &String> {
        self.certificates.values().flat_map(|shown| &shown.warnings).chain(&self.warnings)
    }

    /// What the https listener at this address shows.
    pub fn certificates(&self, address: SocketAddr) -> Option<&Arc<Certificates>> {
        self.certificates.get(&address)
    }

    /// Takes over what callers have used of limits that stay as they are, what is known of targets, and what
    /// listeners show that stay open until a restart.
    pub fn goes_on_from(&mut self, before: &Self) {
        for (name, throttle) in &mut self.throttles {
            if let Some(old) = before.throttles.get(name).filter(|old| old.is_like(throttle)) {
                *throttle = Arc::clone(old);
            }
        }
        for (address, shown) in &before.certificates {
            self.certificates.entry(*address).or_insert_with(|| Arc::clone(shown));
        }
        for upstream in &mut self.upstreams {
            let mut old = before.upstreams.iter().map(|old| &old.breaker);
            if let Some(old) = old.find(|old| old.is_like(&upstream.breaker)) {
                upstream.breaker = Arc::clone(old);
            }
            if let Some(old) = before.upstreams.iter().find(|old| old.group_key == upstream.group_key) {
                upstream.target.clock = old.target.clock.clone();
            }
            upstream.keeps_key_of(&before.upstreams);
            let mut old = before.upstreams.iter().map(|old| &old.seats);
            if let Some(old) = old.find(|old| old.is_like(&upstream.seats)) {
                upstream.seats = Arc::clone(old);
            }
        }
    }

    /// Tells the metrics of its targets, and of no others.
    pub fn tell(&self) {
        METRICS.target_state.reset();
        METRICS.target_skew.reset();
        // What has not happened yet is zero, not absent.
        for operation in [Operation::CopyObject, Operation::UploadPartCopy] {
            METRICS.copy_sources_changed.with_label_values(&[operation.name()]);
        }
        for upstream in &self.upstreams {
            upstream.breaker.tell();
            let name = upstream.target.name.as_str();
            METRICS.target_skew.with_label_values(&[name]).set(upstream.target.clock.skew());
            METRICS.uploads_lost.with_label_values(&[name]);
            METRICS.small_parts.with_label_values(&[name]);
            METRICS.small_parts_swept.with_label_values(&[name]);
        }
    }

    /// Lets a request of a caller begin; `None` where it asks for too much.
    pub fn turn(&self, caller: &Caller) -> Option<Turn> {
        self.throttles.get(&caller.name).and_then(|throttle| throttle.turn())
    }

    /// The caller that has this access key.
    pub fn caller(&self, access_key: &str) -> Option<&Caller> {
        self.config.caller(access_key).map(|(caller, _)| caller)
    }

    /// Whether a target's bucket is the one for parts that are kept, which callers never see.
    pub fn is_for_parts(&self, index: usize, bucket: &str) -> bool {
        self.config.targets.get(index).is_some_and(|target| target.staging_bucket.as_deref() == Some(bucket))
    }

    /// Where a bucket lives that callers call so.
    pub fn place(&self, bucket: &str) -> Option<Place<'_>> {
        let route = self.config.route(bucket)?;
        if self.is_for_parts(route.target_index, &route.target_bucket) {
            return None;
        }
        let policy = match route.rule.unsupported {
            Unsupported::Refuse => LossPolicy::Refuse,
            Unsupported::Report => LossPolicy::Report,
        };
        Some(Place {
            upstream: self.upstreams.get(route.target_index)?,
            index: route.target_index,
            bucket: route.target_bucket.into_owned(),
            policy,
            check_conditions: match route.rule.conditions {
                Conditions::ByTarget => {
                    !self.upstreams.get(route.target_index)?.target.dialect.has_conditions()
                }
                Conditions::Native => false,
                Conditions::Check => true,
            },
            relay: route.rule.relay,
            snapshot: self,
        })
    }
}

impl<'a> Place<'a> {
    /// The way of a request to here.
    pub fn way(
        &self,
        dialect: &'static Dialect,
        caller: Option<&'a Caller>,
        source_bucket: Option<String>,
    ) -> Way<'a> {
        Way {
            caller: dialect,
            target: &self.upstream.target,
            bucket: self.bucket.clone(),
            source_bucket,
            policy: self.policy,
            check_conditions: self.check_conditions,
            names: Arc::new(OwnNames { snapshot: self.snapshot, caller, index: self.index }),
        }
    }
}

/// What buckets of one target are called, as far as one caller may know.
pub struct OwnNames<'a> {
    /// All that is configured.
    pub snapshot: &'a Snapshot,
    /// Who asks; nobody knows of nothing.
    pub caller: Option<&'a Caller>,
    /// Index of the target.
    pub index: usize,
}

impl Names for OwnNames<'_> {
    fn at_target(&self, bucket: &str) -> Option<String> {
        let may_write = self.caller.is_some_and(|caller| may(caller, bucket, Need::Write));
        let place = self.snapshot.place(bucket).filter(|place| may_write && place.index == self.index);
        place.map(|place| place.bucket)
    }

    fn at_caller(&self, bucket: &str) -> Option<String> {
        if self.snapshot.is_for_parts(self.index, bucket) {
            return None;
        }
        let name = self.snapshot.config.reverse(self.index, bucket)?;
        self.caller.is_some_and(|caller| may(caller, &name, Need::Read)).then_some(name)
    }
}

impl Keys for Snapshot {
    fn key(&self, access_key: &str) -> Option<Key<'_>> {
        let (caller, key) = self.config.caller(access_key)?;
        Some(Key {
            secret: &key.secret_key,
            token: key.session_token.as_ref(),
            strict: caller.cos_strict,
            schemes: &caller.signatures,
        })
    }

    fn is_open(&self, bucket: &str) -> bool {
        self.config.route(bucket).is_some_and(|route| route.rule.anonymous_read)
    }
}

/// Whether a caller's grants give what an operation needs.
pub fn may(caller: &Caller, bucket: &str, need: Need) -> bool {
    match need {
        Need::Read => caller.may(bucket, Access::Read),
        Need::Write => caller.may(bucket, Access::Write),
        Need::Admin => caller.may(bucket, Access::Admin),
        Need::Nothing => true,
    }
}

/// A dialect by the name of a listener's default: `s3`, or a profile's own name such as `jdcloud`.
fn by_name(name: &str) -> Option<&'static Dialect> {
    let named = blobfish_dialects::ALL.iter().copied().find(|dialect| dialect.name == name);
    named.or_else(|| blobfish_dialects::by_name(name, None))
}

fn upstream(target: &blobfish_config::Target, callers: &[Caller]) -> Result<Upstream, NotRunnable> {
    let dialect = blobfish_dialects::by_name(&target.dialect, target.profile.as_deref())
        .ok_or_else(|| NotRunnable::Dialect(target.name.clone()))?;
    let ca = target
        .ca
        .as_ref()
        .map(|path| authorities(&format!("target \"{}\"", target.name), path))
        .transpose()?;
    let client_cert = client_cert::read(target)?;
    let group_key = group_key(target, ca.as_deref(), client_cert.as_deref());
    let credentials = OwnKey::new(Credentials {
        access_key: target.access_key.clone(),
        secret_key: target.secret_key.clone(),
        session_token: target.session_token.clone(),
    });
    let issued = match &target.credentials {
        Some(_) => Some(
            IssuedKey::new(target, credentials.clone())
                .ok_or_else(|| NotRunnable::Credentials(target.name.clone()))?,
        ),
        None => None,
    };
    Ok(Upstream {
        issued: issued.map(Arc::new),
        group_key,
        breaker: Arc::new(Breaker::new(target, group_key, callers.len())),
        seats: Arc::new(Seats::new(&target.name, group_key, target.connections_max)),
        ca,
        client_cert,
        target: Target {
            name: target.name.clone(),
            dialect,
            auth: auth(dialect, target.signing).ok_or_else(|| NotRunnable::Signing(target.name.clone()))?,
            authority: target.endpoint.authority(),
            region: target.region.clone(),
            path_style: target.addressing == Addressing::Path,
            credentials,
            clock: TargetClock::default(),
            seal: seal(target, callers),
            kms_keys: target.kms_keys.clone(),
            staging: Staging {
                combines: target.small_parts == SmallParts::Combine,
                prefix: target.staging_prefix.clone(),
                bucket: target.staging_bucket.clone(),
            },
        },
        endpoint: target.endpoint.clone(),
        health: Health::of(&target.name),
        connect_timeout: target.connect_timeout,
        resolve: target.resolve,
        response_timeout: target.response_timeout,
        body_timeout: target.body_timeout,
    })
}

/// What only the configuration tells: the target's secret, or where that is issued and changes, those of all callers.
fn seal(target: &blobfish_config::Target, callers: &[Caller]) -> SecretString {
    if target.credentials.is_none() {
        return target.secret_key.clone();
    }
    let secrets = callers.iter().flat_map(|caller| &caller.keys).map(|key| key.secret_key.expose_secret());
    SecretString::from(secrets.collect::<Vec<_>>().join("\n"))
}

fn shown(https: &blobfish_config::Https) -> Result<(SocketAddr, Arc<Certificates>), NotRunnable> {
    let certificates = Certificates::read(https);
    let certificates = certificates.map_err(|(path, unfit)| NotRunnable::Certificate { path, unfit })?;
    Ok((https.address, Arc::new(certificates)))
}

fn traces(config: &blobfish_config::Traces) -> Result<Traces, NotRunnable> {
    let ca = config.ca.as_ref().map(|path| authorities("traces", path)).transpose()?;
    Ok(Traces::new(config, ca))
}

/// What connections may be shared by: the same target, believed for the same reason. It outlives a reload.
fn group_key(target: &blobfish_config::Target, ca: Option<&CaType>, client_cert: Option<&CertKey>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&target.name, target.endpoint.authority(), target.endpoint.tls).hash(&mut hasher);
    for authority in ca.into_iter().flatten() {
        authority.with_raw_cert(|der| der.hash(&mut hasher));
    }
    if let Some(shown) = client_cert {
        shown.leaf().borrow_raw_cert().hash(&mut hasher);
    }
    hasher.finish()
}

fn auth(dialect: &'static Dialect, signing: Signing) -> Option<&'static dyn Auth> {
    match signing {
        Signing::V4 => Some(dialect.auth),
        Signing::V1 => dialect.older_auth,
    }
}

/// The authorities of a file, and the system's: the connector takes a list of its own instead of the system's.
fn authorities(subject: &str, path: &std::path::Path) -> Result<Arc<CaType>, NotRunnable> {
    let bad = || NotRunnable::Ca { subject: subject.to_owned(), path: path.to_owned() };
    let own: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
        .map_err(|_| bad())?
        .collect::<Result<_, _>>()
        .map_err(|_| bad())?;
    if own.is_empty() {
        return Err(bad());
    }
    let parsed = |der: &CertificateDer<'_>| {
        WrappedX509::try_new(der.to_vec(), |raw| X509Certificate::from_der(raw).map(|parsed| parsed.1)).ok()
    };
    let mut all = own.iter().map(|der| parsed(der).ok_or_else(bad)).collect::<Result<Vec<_>, _>>()?;
    let system = pingora_core::tls::load_native_certs().unwrap_or_default();
    all.extend(system.iter().filter_map(parsed));
    Ok(Arc::from(all))
}
