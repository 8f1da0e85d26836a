//! The validated configuration: every address is parsed, every name is resolved, every secret has its own type.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

use crate::endpoint::Endpoint;
use crate::pattern::Pattern;

/// A validated configuration. Its `Debug` output contains no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where clients connect.
    pub listen: Listeners,
    /// Address of the admin port: metrics, health checks, console. It overlaps no address in [`Config::listen`].
    pub admin: SocketAddr,
    /// Socket that requests an upgrade; an absolute path of at most 90 bytes.
    pub control: Option<PathBuf>,
    /// Base domains in lower case, without port: `<bucket>.<base>` addresses a bucket.
    pub base_domains: Vec<String>,
    /// Limits for clients and callers.
    pub limits: Limits,
    /// How requests and events are logged.
    pub log: Log,
    /// The trace exporter; `None` disables tracing.
    pub traces: Option<Traces>,
    /// The targets in the order of the file; at least one. Names are distinct.
    pub targets: Vec<Target>,
    /// The bucket rules in the order of the file. Names are distinct; [`Config::route`] looks them up.
    pub buckets: Vec<BucketRule>,
    /// The callers in the order of the file. Names and access key IDs are distinct.
    pub callers: Vec<Caller>,
    /// Line of the first secret that is written in the file itself, from 1. Everybody with access to the file can read it.
    pub literal_secret_line: Option<usize>,
}

/// Where clients connect. There is at least one address; no two overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listeners {
    /// Addresses for plain HTTP.
    pub http: Vec<SocketAddr>,
    /// Addresses for HTTPS.
    pub https: Vec<HttpsListener>,
    /// Networks of the load balancers and proxies in front. The client addresses that they forward are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether connections of these proxies begin with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// The dialect of a request that does not show its dialect.
    pub default_dialect: String,
}

/// One HTTPS listener. It has at least one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpsListener {
    /// Address to listen on.
    pub address: SocketAddr,
    /// The certificate for clients that request no host name (SNI), or one that no other certificate contains.
    pub default: Option<Certificate>,
    /// Certificates for the host names in them; the first match is used.
    pub certificates: Vec<Certificate>,
}

/// A certificate and its key. When the configuration was read, both files existed and contained PEM of the right kind,
/// and [`crate::Sources`] accepted them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// PEM file of the certificate chain.
    pub cert: PathBuf,
    /// PEM file of the private key. Other users have no access to it.
    pub key: PathBuf,
}

/// Limits for clients and callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Maximum size of a request head in bytes, 1 KiB to 1 MiB.
    pub head_bytes_max: usize,
    /// Maximum number of headers of a request, 8 to 10,000.
    pub headers_max: usize,
    /// Idle timeout within a request body, 1 second to 1 hour.
    pub body_idle_timeout: Duration,
    /// Idle timeout between two requests of a connection, 1 second to 1 hour.
    pub keepalive_timeout: Duration,
    /// Maximum number of client connections, 1 to 1,000,000.
    pub connections_max: usize,
    /// Maximum number of connections of one client address, 1 to 1,000,000. It does not apply to trusted proxies.
    pub connections_per_address_max: usize,
    /// Memory limit for buffered documents and unverified chunks of all callers, 16 MiB to 1 TiB.
    pub buffer_bytes_max: usize,
    /// The same limit for one caller, 8 MiB to 1 TiB.
    pub buffer_bytes_per_caller_max: usize,
    /// How long connections are accepted after the shutdown signal while the readiness check fails, 0 to 3600 seconds.
    pub shutdown_delay: Duration,
    /// How long running requests may take after that, 1 second to 1 hour.
    pub drain: Duration,
    /// How long running requests may take in the old process after an upgrade, 1 second to 1 day.
    pub upgrade_drain: Duration,
    /// Limits of copies that run in parts or between two targets.
    pub copies: CopyLimits,
    /// Limits of spool files.
    pub spool: SpoolLimits,
}

/// Limits of spool files. They hold bodies without a length that must be complete before they are sent to a target. The
/// files have no name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolLimits {
    /// The directory, an absolute path. `None`: the system's directory for temporary files.
    pub dir: Option<PathBuf>,
    /// Maximum size of one file in bytes, 5 MiB to 5 GiB.
    pub bytes_max: u64,
    /// Maximum number of files, 0 to 10,000.
    pub files_max: usize,
}

/// Limits of copies that run in parts or between two targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyLimits {
    /// Maximum number of concurrent copies, 0 to 10,000.
    pub copies_max: usize,
    /// Maximum number of concurrent copies of one caller, 0 to 10,000.
    pub copies_per_caller_max: usize,
    /// A larger object is copied in parts. In bytes, 0 to 5 GiB.
    pub single_bytes_max: u64,
    /// Part size in bytes, 5 MiB to 1 GiB. It is increased for objects that would need too many parts.
    pub part_bytes: u64,
    /// Number of parts of one copy that are transferred concurrently, 1 to 64.
    pub copy_concurrency: usize,
    /// Bandwidth limit of all copies through the proxy.
    pub bytes_per_second: Option<u64>,
    /// Bandwidth limit of the copies of one caller.
    pub bytes_per_second_per_caller: Option<u64>,
    /// What happens to a copy when its client disconnects.
    pub copies_on_disconnect: CopiesOnDisconnect,
}

/// What happens to a copy when its client disconnects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopiesOnDisconnect {
    /// The copy continues until it is complete.
    Finish,
    /// The copy is aborted and cleaned up.
    Abort,
}

impl Default for CopyLimits {
    fn default() -> Self {
        Self {
            copies_max: 64,
            copies_per_caller_max: 16,
            single_bytes_max: 64 * 1024 * 1024,
            part_bytes: 16 * 1024 * 1024,
            copy_concurrency: 4,
            bytes_per_second: None,
            bytes_per_second_per_caller: None,
            copies_on_disconnect: CopiesOnDisconnect::Finish,
        }
    }
}

/// How requests and events are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// How the access log is written.
    pub format: LogFormat,
    /// The level of the process log.
    pub level: LogLevel,
}

/// How the access log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// A JSON object per request.
    Json,
    /// `name=value` pairs.
    Logfmt,
}

/// The level of the process log: messages of this level and of higher severity are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Failures of the proxy or of its configuration.
    Error,
    /// Failures of targets.
    Warn,
    /// Events: starts, reloads, lost fields.
    Info,
    /// Details of events.
    Debug,
    /// Everything.
    Trace,
}

/// The trace exporter.
#[derive(Debug, Clone)]
pub struct Traces {
    /// The collector.
    pub endpoint: Endpoint,
    /// Path of the export, beginning with `/`, without query.
    pub path: String,
    /// Headers of each export: lower-case names, visible ASCII values. Names are distinct.
    pub headers: Vec<(String, SecretString)>,
    /// Share of requests that are traced, 0 to 1.
    pub sample_ratio: f64,
    /// Whether a client's trace is continued, including its sampling decision. Otherwise the new trace links to it.
    pub trust_incoming_context: bool,
    /// Whether requests to targets carry the trace context.
    pub propagate: bool,
    /// PEM file of certificate authorities to trust, in addition to the system's.
    pub ca: Option<PathBuf>,
}

/// One configured vendor endpoint.
#[derive(Debug, Clone)]
pub struct Target {
    /// Unique name; letters, digits, `.`, `_`, `-`, at most 64 bytes, so that it can be a metric label.
    pub name: String,
    /// A dialect of [`crate::KnownDialects`].
    pub dialect: String,
    /// A profile of that dialect.
    pub profile: Option<String>,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Region that requests are signed for.
    pub region: String,
    /// Where the bucket is in a request. Always [`Addressing::Path`] if the endpoint is an IP address.
    pub addressing: Addressing,
    /// The credential provider: `aws`, `aliyun` or `tencent`. The target has no configured access key then.
    pub credentials: Option<&'static str>,
    /// Endpoint of the machine's metadata service, `http://host[:port]`; `None`: the vendor's address.
    pub metadata_endpoint: Option<String>,
    /// Access key ID to sign with; empty with a credential provider.
    pub access_key: String,
    /// Secret key to sign with; empty with a credential provider.
    pub secret_key: SecretString,
    /// Session token of temporary credentials; not empty.
    pub session_token: Option<SecretString>,
    /// Whether plain HTTP to another machine is allowed.
    pub insecure: bool,
    /// PEM file of certificate authorities to trust, in addition to the system's.
    pub ca: Option<PathBuf>,
    /// The client certificate for mTLS; only if the endpoint is HTTPS.
    pub client_cert: Option<ClientCert>,
    /// IDs of encryption keys at this target that callers may use.
    pub kms_keys: Vec<String>,
    /// Version of the signature, for a dialect that has several.
    pub signing: Option<&'static str>,
    /// Timeout for a connection, 1 second to 1 hour.
    pub connect_timeout: Duration,
    /// Timeout for the first byte of a response, 1 second to 1 hour.
    pub response_timeout: Duration,
    /// Idle timeout within a body, 1 second to 1 hour.
    pub body_timeout: Duration,
    /// How long a resolved address stays in the DNS cache, 1 second to 1 hour.
    pub dns_ttl: Duration,
    /// What happens to parts that are below the target's minimum but valid for the caller.
    pub small_parts: SmallParts,
    /// Bucket of the target for small parts; `None`: the bucket of the upload.
    pub small_parts_bucket: Option<String>,
    /// Key prefix of small parts, ending with a slash. Callers cannot use such keys.
    pub small_parts_prefix: String,
    /// Interval of the cleanup of small parts without an upload, and their minimum age, 1 second to 7 days; zero
    /// disables the cleanup.
    pub small_parts_cleanup: Duration,
    /// Maximum number of connections, 2 to 1,000,000; 0 for no limit.
    pub connections_max: u32,
    /// Failures in a row after which the circuit breaker opens, 1 to 1,000,000; 0 disables it.
    pub circuit_breaker_failures: u32,
    /// How long the circuit breaker stays open, 1 second to 1 hour.
    pub circuit_breaker_open: Duration,
}

/// What happens to parts that are below the target's minimum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmallParts {
    /// They are stored as objects, and combined when the upload is completed.
    Combine,
    /// They are rejected.
    Reject,
}

/// A client certificate and its key. When the configuration was read, both files existed and contained PEM of the right
/// kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCert {
    /// PEM file of the certificate chain, with the client certificate first.
    pub cert: PathBuf,
    /// PEM file of the private key. Other users have no access to it.
    pub key: PathBuf,
}

/// Where the bucket is in a request to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// In the host (virtual-hosted): `bucket.endpoint`.
    Virtual,
    /// In the path: `endpoint/bucket`.
    Path,
}

/// The target of a bucket, or of all buckets that match a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketRule {
    /// The bucket name that clients use, or a pattern of such names.
    pub name: Pattern,
    /// Index into [`Config::targets`].
    pub target: usize,
    /// Name at the target if it differs. Always `None` for a pattern, which keeps the name.
    pub target_bucket: Option<String>,
    /// What happens to a field that the target does not support.
    pub unsupported: UnsupportedFields,
    /// Who evaluates conditions of copies.
    pub conditions: Conditions,
    /// Whether copies that the target rejects are relayed through the proxy.
    pub relay: bool,
    /// Whether objects can be read without a signature. Listing always needs one.
    pub anonymous_read: bool,
}

/// What happens to a field that the target does not support and that does not protect data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnsupportedFields {
    /// The request is rejected.
    Reject,
    /// The field is left out, and the response reports it.
    Report,
}

/// Who evaluates conditions of copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conditions {
    /// Not configured: the target if its dialect and profile support conditions, else the proxy.
    Auto,
    /// The target, which must support them.
    Native,
    /// The proxy, with requests before and after the copy.
    Check,
}

/// A configured identity that may send requests.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Unique name; same alphabet as [`Target::name`].
    pub name: String,
    /// Its access keys; at least one. Requests are signed with any of them.
    pub keys: Vec<CallerKey>,
    /// What it may do; an empty list means nothing.
    pub grants: Vec<Grant>,
    /// The signatures it may use: words of [`crate::KnownDialect::signatures`], at least one.
    pub signatures: Vec<String>,
    /// Dialects in which a signature is rejected if it does not cover every meaningful part of the request.
    pub strict_dialects: Vec<&'static str>,
    /// Rate limit in requests per second, 1 to 1,000,000. The burst size is the same number.
    pub requests_per_second: Option<NonZeroU32>,
    /// Maximum number of concurrent requests, 1 to 1,000,000.
    pub concurrent_requests_max: Option<NonZeroU32>,
}

/// One access key of a caller.
#[derive(Debug, Clone)]
pub struct CallerKey {
    /// Access key ID, unique among the keys of all callers.
    pub access_key: String,
    /// Secret key that requests are signed with; not empty.
    pub secret_key: SecretString,
    /// Session token that requests must contain; not empty.
    pub session_token: Option<SecretString>,
}

/// What a caller may do with some buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The buckets, by the names that clients use; at least one.
    pub buckets: Vec<Pattern>,
    /// What it may do with them.
    pub access: GrantAccess,
}

/// The access that a grant gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantAccess {
    /// Read objects and list.
    Read,
    /// Write and delete objects, without reading them.
    Write,
    /// Both.
    ReadWrite,
    /// Everything, including bucket settings.
    Admin,
}

/// The access that an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read objects and list.
    Read,
    /// Write and delete objects.
    Write,
    /// Change the bucket or its settings.
    Admin,
}
