//! What the proxy runs on: every address parsed, every name resolved, every secret in its own type.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

use crate::{Endpoint, Pattern};

/// A validated configuration. Printing it shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where callers connect.
    pub listen: Listeners,
    /// Where operators connect: metrics, health, console. Overlaps no address in [`Config::listen`].
    pub admin: SocketAddr,
    /// Socket on which the process is asked to hand over to a new one; an absolute path of at most 90 bytes.
    pub control: Option<PathBuf>,
    /// Base names in lower case, without port: `<bucket>.<base>` names a bucket.
    pub hosts_base: Vec<String>,
    /// Bounds on what callers may cost.
    pub limits: Limits,
    /// What is written down.
    pub log: Log,
    /// Where traces go; absent means that there are none.
    pub traces: Option<Traces>,
    /// The stores, in the order written; at least one. Names are distinct.
    pub targets: Vec<Target>,
    /// Which bucket lives where, in the order written. Names are distinct; look them up with [`Config::route`].
    pub buckets: Vec<BucketRule>,
    /// Who may call, in the order written. Names and access keys are distinct.
    pub callers: Vec<Caller>,
    /// Line of the first secret that stands in the text itself, from 1: whoever may read the text knows it.
    pub secret_line: Option<usize>,
}

/// Where callers connect. There is at least one address; no two overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listeners {
    /// Addresses for plain HTTP.
    pub http: Vec<SocketAddr>,
    /// Addresses for HTTPS.
    pub https: Vec<HttpsListener>,
    /// Networks of the proxies in front, which are believed in what they say of callers' addresses.
    pub trusted_proxies: Vec<IpNet>,
    /// Connections of these proxies begin with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// The dialect of a request that shows none.
    pub default_dialect: String,
}

/// One HTTPS listener. It has at least one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpsListener {
    /// Address to listen on.
    pub address: SocketAddr,
    /// Shown to clients that name no host, or one that no other certificate is for.
    pub default: Option<Certificate>,
    /// Each shown to clients that name a host that it is for, the first that fits.
    pub certificates: Vec<Certificate>,
}

/// A certificate and its key. Both files existed, with PEM of the right kind in them, and [`crate::Sources`] had
/// nothing against them, when the configuration was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// PEM file of the certificate chain.
    pub cert: PathBuf,
    /// PEM file of the private key, not open to others.
    pub key: PathBuf,
}

/// Bounds on what callers may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a request's head, 1 KiB to 1 MiB.
    pub head_bytes_max: usize,
    /// Most header lines of a request, 8 to 10,000.
    pub headers_max: usize,
    /// Longest silence within a caller's body, 1 second to 1 hour.
    pub body_idle: Duration,
    /// Longest silence between two requests of a connection, 1 second to 1 hour.
    pub keepalive_idle: Duration,
    /// Most connections of callers at once, 1 to 1,000,000.
    pub connections_max: usize,
    /// Most connections of one address at once, 1 to 1,000,000. Listed balancers may have more.
    pub connections_per_address_max: usize,
    /// Most bytes of documents and of chunks that wait to be proven, of all callers at once, 16 MiB to 1 TiB.
    pub buffer_bytes_max: usize,
    /// The same of one caller, 8 MiB to 1 TiB.
    pub buffer_bytes_per_caller_max: usize,
    /// How long a process that was told to stop accepts connections while it is not ready, 0 to 3600 seconds.
    pub stop_delay: Duration,
    /// How long requests run on after that, 1 second to 1 hour.
    pub drain: Duration,
    /// How long they run on in a process that handed over to another, 1 second to 1 day.
    pub upgrade_drain: Duration,
    /// What copies in parts and between targets may take.
    pub copies: CopyLimits,
    /// What bodies without a length may take that must be known whole.
    pub spool: SpoolLimits,
}

/// What bodies without a length may take that must be known whole before a target is told of them. They are written to
/// files that have no name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolLimits {
    /// Where; the system's folder for such files where absent. An absolute path.
    pub dir: Option<PathBuf>,
    /// Most bytes of one file, 5 MiB to 5 GiB.
    pub bytes_max: u64,
    /// Most files at once, 0 to 10,000.
    pub files_max: usize,
}

/// What copies in parts and between targets may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyLimits {
    /// Most of them at once, 0 to 10,000.
    pub copies_max: usize,
    /// Most of one caller at once, 0 to 10,000.
    pub copies_per_caller_max: usize,
    /// Bytes that one read and one write carry; more goes in parts. 0 to 5 GiB.
    pub single_bytes_max: u64,
    /// Bytes of a part, 5 MiB to 1 GiB; larger where there would be too many.
    pub part_bytes: u64,
    /// Parts of one copy that are under way at once, 1 to 64.
    pub parts_at_once: usize,
    /// Bytes that all copies carry through here in a second.
    pub bytes_per_second: Option<u64>,
    /// The same, for the copies of one caller.
    pub bytes_per_second_per_caller: Option<u64>,
    /// What becomes of a copy whose caller has gone.
    pub abandoned_copies: AbandonedCopies,
}

/// What becomes of a copy whose caller has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbandonedCopies {
    /// It goes on to its end.
    Finish,
    /// It is given up, and nothing of it is left.
    Abort,
}

impl Default for CopyLimits {
    fn default() -> Self {
        Self {
            copies_max: 64,
            copies_per_caller_max: 16,
            single_bytes_max: 64 * 1024 * 1024,
            part_bytes: 16 * 1024 * 1024,
            parts_at_once: 4,
            bytes_per_second: None,
            bytes_per_second_per_caller: None,
            abandoned_copies: AbandonedCopies::Finish,
        }
    }
}

/// What is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// How the access log is written.
    pub format: LogFormat,
    /// What is told of the process itself.
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

/// What is told of the process itself: this and what is graver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// What went wrong by our own fault or by the operator's.
    Error,
    /// Targets that fail.
    Warn,
    /// What changes: starts, reloads, losses.
    Info,
    /// More than that.
    Debug,
    /// Everything.
    Trace,
}

/// Where traces go, and which.
#[derive(Debug, Clone)]
pub struct Traces {
    /// The collector.
    pub endpoint: Endpoint,
    /// Path there, beginning with `/`, without query.
    pub path: String,
    /// Headers of each export: lower-case names, visible ASCII values. Names are distinct.
    pub headers: Vec<(String, SecretString)>,
    /// The share of requests that are traced, 0 to 1.
    pub sample_ratio: f64,
    /// Whether a caller's trace is continued, its decision to sample included, instead of linked to.
    pub trust_incoming_context: bool,
    /// Whether targets are told the trace.
    pub propagate: bool,
    /// PEM file of certificate authorities to trust beside the system's.
    pub ca: Option<PathBuf>,
}

/// One store that objects live at.
#[derive(Debug, Clone)]
pub struct Target {
    /// Unique name; letters, digits, `.`, `_`, `-`, at most 64 bytes, so that it can be a metric's label.
    pub name: String,
    /// A dialect that was in [`crate::Known`].
    pub dialect: String,
    /// A profile of that dialect.
    pub profile: Option<String>,
    /// Where it is.
    pub endpoint: Endpoint,
    /// Region, as requests to it are signed.
    pub region: String,
    /// Where the bucket goes in a request. Always [`Addressing::Path`] where the endpoint is an IP address.
    pub addressing: Addressing,
    /// Who issues its keys: `aws`, `aliyun` or `tencent`; there is no key of its own then.
    pub credentials: Option<&'static str>,
    /// Where the machine's metadata are, `http://host[:port]`; the vendor's own address where absent.
    pub metadata_endpoint: Option<String>,
    /// Access key id to sign with; empty where keys are issued.
    pub access_key: String,
    /// Secret to sign with; empty where keys are issued.
    pub secret_key: SecretString,
    /// Token of temporary credentials; not empty.
    pub session_token: Option<SecretString>,
    /// Plain HTTP beyond loopback was asked for explicitly.
    pub insecure: bool,
    /// PEM file of certificate authorities to trust beside the system's.
    pub ca: Option<PathBuf>,
    /// What is shown to a server that asks who we are; only where the endpoint is HTTPS.
    pub client_cert: Option<ClientCert>,
    /// Ids of encryption keys at this target that callers may name.
    pub kms_keys: Vec<String>,
    /// Version of the signature to send, where the dialect has a choice.
    pub signing: Option<&'static str>,
    /// Longest wait for a connection, 1 second to 1 hour.
    pub connect_timeout: Duration,
    /// Longest wait for the first byte of an answer, 1 second to 1 hour.
    pub response_timeout: Duration,
    /// Longest silence within a body, 1 second to 1 hour.
    pub body_timeout: Duration,
    /// How long an answer to the name of its host is believed, 1 second to 1 hour.
    pub dns_cache_time: Duration,
    /// What becomes of parts that are smaller than it takes, and that the caller's vendor takes.
    pub small_parts: SmallParts,
    /// Its bucket for parts that are kept until they are combined; the upload's own where absent.
    pub small_parts_bucket: Option<String>,
    /// What keys of kept parts begin with; ends with a slash. Callers cannot use such keys.
    pub small_parts_prefix: String,
    /// How often kept parts of uploads that are gone are looked for, and how old they are at least then, 1 second to 7
    /// days; zero for never.
    pub staging_sweep: Duration,
    /// Most connections in use at once, 2 to 1,000,000; 0 for no limit.
    pub connections_max: u32,
    /// Failures in a row after which nothing is sent for a while, 1 to 1,000,000; 0 for never.
    pub circuit_breaker_failures: u32,
    /// How long nothing is sent then, 1 second to 1 hour.
    pub failures_pause: Duration,
}

/// What becomes of parts that are smaller than a target takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmallParts {
    /// They are kept, and combined when the upload is completed.
    Combine,
    /// They are refused.
    Reject,
}

/// A client's certificate and its key. Both files existed, with PEM of the right kind in them, when the configuration
/// was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCert {
    /// PEM file of the certificate chain, our own first.
    pub cert: PathBuf,
    /// PEM file of the private key, not open to others.
    pub key: PathBuf,
}

/// Where the bucket goes in a request to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// In the host: `bucket.endpoint`.
    Virtual,
    /// In the path: `endpoint/bucket`.
    Path,
}

/// Where buckets of this name live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketRule {
    /// The name as callers say it, or a pattern of such names.
    pub name: Pattern,
    /// Index into [`Config::targets`].
    pub target: usize,
    /// Name at the target, where it is another one. Always `None` for a pattern: those keep names.
    pub target_bucket: Option<String>,
    /// What happens to a field that the target cannot express.
    pub unsupported: UnsupportedFields,
    /// Who evaluates conditions of copies.
    pub conditions: Conditions,
    /// Copies within the target that it refuses to make are carried through the proxy.
    pub relay: bool,
    /// Whether anybody may read its objects, without a signature. Listing is not reading.
    pub anonymous_read: bool,
}

/// What happens to a field that the target cannot express and that guards nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnsupportedFields {
    /// The request is refused.
    Reject,
    /// The request is sent without it, and the answer says so.
    Report,
}

/// Who evaluates conditions of copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conditions {
    /// Not written: the target where its dialect and profile have conditions, else the proxy.
    Auto,
    /// The target, which must be able to.
    Native,
    /// The proxy, by looking before and after it copies.
    Check,
}

/// Somebody who may call.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Unique name; same alphabet as [`Target::name`].
    pub name: String,
    /// What its requests are signed with, any of them; at least one.
    pub keys: Vec<CallerKey>,
    /// What it may do; empty means nothing.
    pub grants: Vec<Grant>,
    /// The signatures it may use: words of [`crate::KnownDialect::signatures`], at least one.
    pub signatures: Vec<String>,
    /// Dialects in which its requests are rejected if something with a meaning is not signed.
    pub strict_dialects: Vec<&'static str>,
    /// Most requests that it may begin in a second, 1 to 1,000,000, and as many at once after a silence.
    pub requests_per_second: Option<NonZeroU32>,
    /// Most requests of it that run at once, 1 to 1,000,000.
    pub concurrent_requests_max: Option<NonZeroU32>,
}

/// One key of a caller.
#[derive(Debug, Clone)]
pub struct CallerKey {
    /// Access key id, unique among the keys of all callers.
    pub access_key: String,
    /// Secret that requests are signed with; not empty.
    pub secret_key: SecretString,
    /// Token that requests must carry; not empty.
    pub session_token: Option<SecretString>,
}

/// What a caller may do with some buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The buckets, as callers say them; at least one.
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
    /// Everything, settings of the bucket included.
    Admin,
}

/// The access that an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read objects and list.
    Read,
    /// Write and delete objects.
    Write,
    /// Change the bucket itself.
    Admin,
}
