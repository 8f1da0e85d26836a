//! The rules for each section. A function per section reads all its keys first and then builds the value, so that a
//! mistake in one key does not hide a mistake in another.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use crate::config::{
    Addressing, BucketRule, Caller, CallerKey, Certificate, ClientCert, Conditions, Config,
    CopiesOnDisconnect, CopyLimits, Grant, GrantAccess, HttpsListener, Limits, Listeners, Log, LogFormat,
    LogLevel, SmallParts, SpoolLimits, Target, Traces, UnsupportedFields,
};
use crate::endpoint::{Endpoint, parse_host_name};
use crate::known_dialects::KnownDialects;
use crate::mistake::ValueError;
use crate::pattern::{Pattern, parse_bucket_name};
use crate::read::{Item, Located, TableReader};
use crate::secrets::{Sources, read_private_file, read_secret};

/// The default addresses.
const HTTP_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9000);
const ADMIN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9090);

const ADDRESSING: &[(&str, Addressing)] = &[("virtual", Addressing::Virtual), ("path", Addressing::Path)];
const UNSUPPORTED: &[(&str, UnsupportedFields)] =
    &[("reject", UnsupportedFields::Reject), ("report", UnsupportedFields::Report)];
const SMALL_PARTS: &[(&str, SmallParts)] =
    &[("combine", SmallParts::Combine), ("reject", SmallParts::Reject)];
const CONDITIONS: &[(&str, Conditions)] = &[("native", Conditions::Native), ("check", Conditions::Check)];
const ABANDONED: &[(&str, CopiesOnDisconnect)] =
    &[("finish", CopiesOnDisconnect::Finish), ("abort", CopiesOnDisconnect::Abort)];
const FORMATS: &[(&str, LogFormat)] = &[("json", LogFormat::Json), ("logfmt", LogFormat::Logfmt)];
const LEVELS: &[(&str, LogLevel)] = &[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];
const CREDENTIALS: &[(&str, Option<&'static str>)] =
    &[("aws", Some("aws")), ("aliyun", Some("aliyun")), ("tencent", Some("tencent"))];
const ANONYMOUS: &[(&str, bool)] = &[("reject", false), ("read", true)];
const STRICT_SIGNING: &[(&str, bool)] = &[("accept", false), ("strict", true)];
const ACCESS: &[(&str, GrantAccess)] = &[
    ("read", GrantAccess::Read),
    ("write", GrantAccess::Write),
    ("read-write", GrantAccess::ReadWrite),
    ("admin", GrantAccess::Admin),
];

const MIB: u64 = 1024 * 1024;

/// The default key prefix of small parts.
const SMALL_PARTS_PREFIX_DEFAULT: &str = ".blobfish-parts/";

/// More than any caller can reach.
// A limit above this is no limit, and the arithmetic of the rate limit stays within 64 bits.
const REQUESTS_MAX: u64 = 1_000_000;

/// One hour. A connection without traffic for longer is dead, whatever the vendor.
const SECONDS_MAX: u64 = 3600;

/// Reads the whole configuration. `None` if a value is invalid; a mistake was recorded then.
pub(crate) fn read_config(
    mut root: TableReader<'_>,
    known: &KnownDialects,
    sources: &dyn Sources,
) -> Option<Config> {
    let (listen, listen_places) = read_listen(root.get("listen"), known, sources);
    let (admin, control) = read_admin(root.get("admin"), &listen_places);
    let base_domains = read_hosts(root.get("hosts"));
    let limits = read_limits(root.get("limits"));
    let log = read_log(root.get("log"));
    let traces = read_optional(root.get("traces"), |item| read_traces(&item, sources));

    require_target(&mut root);
    let (target_names, targets): (Vec<_>, Vec<_>) =
        root.read_tables("target").into_iter().map(|fields| read_target(fields, known, sources)).unzip();
    let (bucket_names, buckets): (Vec<_>, Vec<_>) =
        root.read_tables("bucket").into_iter().map(|fields| read_bucket(fields, &target_names)).unzip();
    let (caller_names, callers): (Vec<_>, Vec<_>) =
        root.read_tables("caller").into_iter().map(|fields| read_caller(fields, known, sources)).unzip();
    let (caller_names, caller_keys): (Vec<_>, Vec<_>) = caller_names.into_iter().unzip();
    // Requests are matched to callers by access key ID alone, so all callers share one set of IDs.
    let caller_keys: Vec<_> = caller_keys.into_iter().flatten().collect();
    root.finish();

    check_distinct("target", &target_names);
    check_distinct("bucket", &bucket_names);
    check_distinct("caller", &caller_names);
    check_distinct("caller", &caller_keys);

    // Only here, after every section was read: `?` must not hide the mistakes of a later section.
    Some(Config {
        listen: listen?,
        admin: admin?,
        control: control?,
        base_domains,
        limits: limits?,
        log: log?,
        traces: traces?,
        targets: targets.into_iter().collect::<Option<_>>()?,
        buckets: buckets.into_iter().collect::<Option<_>>()?,
        callers: callers.into_iter().collect::<Option<_>>()?,
        literal_secret_line: None,
    })
}

fn require_target(root: &mut TableReader<'_>) {
    root.require("target");
    let is_missing = root.get("target").is_none_or(|item| item.is_empty_list());
    if is_missing {
        let message = "no [[target]] is configured";
        root.place
            .reject(ValueError::new(message).with_hint("run `blobfish init` to write a first configuration"));
    }
}

/// Reports every name that is already in use.
fn check_distinct(noun: &str, names: &[Option<Located<'_, String>>]) {
    let mut first_lines = std::collections::HashMap::new();
    for name in names.iter().flatten() {
        let line = name.place.line();
        if let Some(first) = first_lines.get(name.value.as_str()) {
            name.place.reject(ValueError::new(format!("already used by another {noun} on line {first}")));
        } else {
            first_lines.insert(name.value.as_str(), line);
        }
    }
}

// --- Listeners ---

fn read_listen<'a>(
    item: Option<Item<'a>>,
    known: &KnownDialects,
    sources: &dyn Sources,
) -> (Option<Listeners>, Vec<Located<'a, SocketAddr>>) {
    let new_default = || Listeners {
        http: vec![HTTP_DEFAULT],
        https: Vec::new(),
        trusted_proxies: Vec::new(),
        proxy_protocol: false,
        default_dialect: known.default_name().to_owned(),
    };
    let Some(item) = item else { return (Some(new_default()), Vec::new()) };
    let Some(mut fields) = item.as_table() else { return (None, Vec::new()) };

    let dialect = match fields.get("dialect") {
        Some(item) => read_dialect(&item, known),
        None => Some(known.default_name().to_owned()),
    };
    // An empty list disables a protocol, so only a file with neither key gets the default address.
    let written_lists: Vec<_> = [fields.get("http"), fields.get("https")].into_iter().flatten().collect();
    // Binding would fail later with a message that does not mention the line, and `blobfish check` binds nothing.
    let mut taken = Vec::new();
    let mut http = fields.read_list("http", |item| read_free_address(&item, &mut taken));
    let https = fields
        .read_tables("https")
        .into_iter()
        .filter_map(|fields| read_https(fields, &mut taken, sources))
        .collect();
    let (proxies, proxy_protocol) = read_proxies(&mut fields);
    let place = fields.place.clone();
    fields.finish();

    if written_lists.is_empty() {
        http = new_default().http;
    } else if written_lists.iter().all(Item::is_empty_list) {
        place.reject(ValueError::new("no address to listen on").with_hint("add http = [\"127.0.0.1:9000\"]"));
    }
    let build = || {
        Some(Listeners {
            http,
            https,
            trusted_proxies: proxies,
            proxy_protocol: proxy_protocol?,
            default_dialect: dialect?,
        })
    };
    (build(), taken)
}

fn read_proxies(fields: &mut TableReader<'_>) -> (Vec<IpNet>, Option<bool>) {
    let proxies = fields.read_list("trusted_proxies", |item| item.parse(parse_network));
    let item = fields.get("proxy_protocol");
    let proxy_protocol = fields.read_flag("proxy_protocol");
    let has_no_proxies = fields.get("trusted_proxies").is_none_or(|item| item.is_empty_list());
    if let Some(item) = item.filter(|_| proxy_protocol == Some(true) && has_no_proxies) {
        let message = "proxy_protocol requires trusted_proxies";
        item.place.reject(ValueError::new(message).with_hint("add trusted_proxies = [\"10.0.0.0/8\"]"));
    }
    (proxies, proxy_protocol)
}

/// Parses a network or a single address.
fn parse_network(text: &str) -> Result<IpNet, ValueError> {
    let new_error = || {
        ValueError::new("not a network or an address")
            .with_hint("write \"10.0.0.0/8\", \"fd00::/8\" or an address")
    };
    let parse_address = || text.parse::<IpAddr>().map(IpNet::from);
    let network = text.parse::<IpNet>().or_else(|_| parse_address()).map_err(|_| new_error())?;
    // 10.1.2.3/8 may be meant as the address or as the network. Trusting the wrong one would be a security hole.
    if network != network.trunc() {
        let error = ValueError::new("the address has bits set after the prefix");
        return Err(error.with_hint(format!("write \"{}\" or \"{}\"", network.trunc(), network.addr())));
    }
    Ok(network)
}

fn read_https<'a>(
    mut fields: TableReader<'a>,
    taken: &mut Vec<Located<'a, SocketAddr>>,
    sources: &dyn Sources,
) -> Option<HttpsListener> {
    let address =
        fields.get_required("address", "\"0.0.0.0:9443\"").and_then(|item| read_free_address(&item, taken));
    let certificate_tables = fields.read_tables("certificates");
    // A listener with only SNI certificates is valid: clients that request another name are rejected then.
    let has_own_keys = ["cert", "key"].map(|key| fields.get(key).is_some());
    let default = if certificate_tables.is_empty() || has_own_keys.contains(&true) {
        read_certificate(&mut fields, sources, false).map(Some)
    } else {
        Some(None)
    };
    let certificates = certificate_tables.into_iter().map(|mut fields| {
        let certificate = read_certificate(&mut fields, sources, true);
        fields.finish();
        certificate
    });
    let certificates: Vec<_> = certificates.collect();
    fields.finish();
    let certificates = certificates.into_iter().collect::<Option<_>>();
    Some(HttpsListener { address: address?, default: default?, certificates: certificates? })
}

/// A certificate and its key. `named`: the certificate is selected by the host names in it.
fn read_certificate(fields: &mut TableReader<'_>, sources: &dyn Sources, named: bool) -> Option<Certificate> {
    let cert_item = fields.get_required("cert", "\"/etc/blobfish/tls.crt\"");
    let cert = cert_item.as_ref().and_then(|item| read_certificate_file(item, sources));
    let key = fields
        .get_required("key", "\"/etc/blobfish/tls.key\"")
        .and_then(|item| item.parse(|path| check_private_key(path, sources)));
    let (cert, key) = (cert?, key?);
    match sources.check_certificate(&cert, &key, named) {
        Ok(()) => Some(Certificate { cert, key }),
        Err(message) => {
            cert_item?.place.reject(ValueError::new(message));
            None
        }
    }
}

fn read_certificate_file(item: &Item<'_>, sources: &dyn Sources) -> Option<PathBuf> {
    item.parse(|path| {
        let pem = sources.read_file(Path::new(path));
        let pem = pem.map_err(|error| ValueError::new(format!("the file cannot be read: {error}")))?;
        // Key and certificate are easily swapped. The full check is done by the program, which has a TLS library.
        let has_certificate = pem.contains("-----BEGIN CERTIFICATE-----");
        has_certificate
            .then(|| PathBuf::from(path))
            .ok_or_else(|| ValueError::new("the file contains no PEM certificate"))
    })
}

fn read_admin(
    item: Option<Item<'_>>,
    taken: &[Located<'_, SocketAddr>],
) -> (Option<SocketAddr>, Option<Option<PathBuf>>) {
    let Some(item) = item else {
        return (Some(ADMIN_DEFAULT).filter(|_| check_admin_default(taken)), Some(None));
    };
    let Some(mut fields) = item.as_table() else { return (None, None) };
    let admin = match fields.get("listen") {
        Some(item) => read_free_address(&item, &mut taken.to_vec()),
        None => Some(ADMIN_DEFAULT).filter(|_| check_admin_default(taken)),
    };
    let control = read_optional(fields.get("control_socket"), |item| item.parse(parse_socket_path));
    fields.finish();
    (admin, control)
}

/// The system's limit is 108 bytes, and an upgrade appends a suffix to the name while it replaces the socket.
fn parse_socket_path(text: &str) -> Result<PathBuf, ValueError> {
    const PATH_BYTES_MAX: usize = 90;
    let path = Path::new(text);
    if !path.is_absolute() || path.file_name().is_none() {
        return Err(ValueError::new("not the absolute path of a socket")
            .with_hint("write \"/run/blobfish/control.sock\""));
    }
    // Binding a longer path would fail only after the start of the process.
    if text.len() > PATH_BYTES_MAX {
        return Err(ValueError::new(format!("longer than {PATH_BYTES_MAX} bytes")));
    }
    Ok(path.to_owned())
}

fn check_admin_default(taken: &[Located<'_, SocketAddr>]) -> bool {
    let other = taken.iter().find(|other| has_overlap(other.value, ADMIN_DEFAULT));
    if let Some(other) = other {
        let message = format!("conflicts with the admin port, which listens on {ADMIN_DEFAULT} by default");
        other.place.reject(ValueError::new(message).with_hint("set [admin] listen = \"127.0.0.1:9091\""));
    }
    other.is_none()
}

/// Reads an address that overlaps none in `taken`, and adds it to `taken`.
fn read_free_address<'a>(item: &Item<'a>, taken: &mut Vec<Located<'a, SocketAddr>>) -> Option<SocketAddr> {
    let address = item.parse(|text| {
        let new_error =
            || ValueError::new("invalid address").with_hint("write \"127.0.0.1:9000\" or \"[::1]:9000\"");
        text.parse::<SocketAddr>().map_err(|_| new_error())
    })?;
    match taken.iter().find(|other| has_overlap(other.value, address)) {
        Some(other) => {
            let message = format!("already used by {} on line {}", other.value, other.place.line());
            item.place.reject(ValueError::new(message));
        }
        None => taken.push(Located { value: address, place: item.place.clone() }),
    }
    Some(address)
}

/// Whether two listeners conflict. Port 0 is any free port. `[::]` includes IPv4.
fn has_overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let covers = |a: IpAddr, b: IpAddr| a.is_unspecified() && (a.is_ipv6() || b.is_ipv4());
    let (a_ip, b_ip) = (a.ip(), b.ip());
    a.port() == b.port() && a.port() != 0 && (a_ip == b_ip || covers(a_ip, b_ip) || covers(b_ip, a_ip))
}

fn read_hosts(item: Option<Item<'_>>) -> Vec<String> {
    let Some(mut fields) = item.and_then(|item| item.as_table()) else { return Vec::new() };
    let names: Vec<_> = fields.read_list("base", |item| {
        let value = item.parse(parse_host_name)?;
        Some(Some(Located { value, place: item.place.clone() }))
    });
    fields.finish();
    check_distinct("name", &names);
    names.into_iter().flatten().map(|name| name.value).collect()
}

fn read_limits(item: Option<Item<'_>>) -> Option<Limits> {
    const MIB: usize = 1024 * 1024;
    const TIB: u64 = 1 << 40;
    // The limits together must keep a process within the memory of a small machine; docs/security.md explains them.
    let defaults = Limits {
        head_bytes_max: 16 * 1024,
        headers_max: 100,
        body_idle_timeout: Duration::from_secs(30),
        keepalive_timeout: Duration::from_secs(60),
        connections_max: 10_000,
        connections_per_address_max: 1_000,
        buffer_bytes_max: 256 * MIB,
        buffer_bytes_per_caller_max: 64 * MIB,
        shutdown_delay: Duration::ZERO,
        drain: Duration::from_secs(30),
        upgrade_drain: Duration::from_secs(3600),
        copies: CopyLimits::default(),
        spool: SpoolLimits { dir: None, bytes_max: 256 << 20, files_max: 32 },
    };
    let Some(item) = item else { return Some(defaults) };
    let mut fields = item.as_table()?;
    let head_bytes_max = fields.read_count("head_bytes_max", 1024..=1024 * 1024, defaults.head_bytes_max);
    let headers_max = fields.read_count("headers_max", 8..=10_000, defaults.headers_max);
    let body_idle_timeout =
        read_seconds(&mut fields, "body_idle_timeout_seconds", defaults.body_idle_timeout);
    let keepalive_timeout =
        read_seconds(&mut fields, "keepalive_timeout_seconds", defaults.keepalive_timeout);
    let connections_max = fields.read_count("connections_max", 1..=1_000_000, defaults.connections_max);
    let connections_per_address_max =
        fields.read_count("connections_per_address_max", 1..=1_000_000, defaults.connections_per_address_max);
    let buffer_bytes_max = fields.read_count("buffer_bytes_max", 1 << 24..=TIB, defaults.buffer_bytes_max);
    let own = defaults.buffer_bytes_per_caller_max;
    let buffer_bytes_per_caller_max = fields.read_count("buffer_bytes_per_caller_max", 1 << 23..=TIB, own);
    let shutdown_delay =
        fields.read_count("shutdown_delay_seconds", 0..=SECONDS_MAX, defaults.shutdown_delay.as_secs());
    let drain = read_seconds(&mut fields, "drain_timeout_seconds", defaults.drain);
    let upgrade_drain = fields.read_count(
        "upgrade_drain_timeout_seconds",
        1..=24 * SECONDS_MAX,
        defaults.upgrade_drain.as_secs(),
    );
    let copies = read_copy_limits(&mut fields, defaults.copies);
    let spool = read_spool_limits(&mut fields, &defaults.spool);
    fields.finish();
    Some(Limits {
        head_bytes_max: head_bytes_max?,
        headers_max: headers_max?,
        body_idle_timeout: body_idle_timeout?,
        keepalive_timeout: keepalive_timeout?,
        connections_max: connections_max?,
        connections_per_address_max: connections_per_address_max?,
        buffer_bytes_max: buffer_bytes_max?,
        buffer_bytes_per_caller_max: buffer_bytes_per_caller_max?,
        shutdown_delay: Duration::from_secs(shutdown_delay?),
        drain: drain?,
        upgrade_drain: Duration::from_secs(upgrade_drain?),
        copies: copies?,
        spool: spool?,
    })
}

fn read_spool_limits(fields: &mut TableReader<'_>, defaults: &SpoolLimits) -> Option<SpoolLimits> {
    let dir = read_optional(fields.get("spool_dir"), |item| {
        item.parse(|text| {
            let path = PathBuf::from(text);
            let new_error =
                || ValueError::new("not the absolute path of a directory").with_hint("write \"/var/tmp\"");
            path.is_absolute().then_some(path).ok_or_else(new_error)
        })
    });
    let bytes_max = fields.read_count("spool_bytes_max", 5 * MIB..=5 * 1024 * MIB, defaults.bytes_max);
    let files_max = fields.read_count("spool_files_max", 0..=10_000, defaults.files_max);
    Some(SpoolLimits { dir: dir?, bytes_max: bytes_max?, files_max: files_max? })
}

fn read_copy_limits(fields: &mut TableReader<'_>, defaults: CopyLimits) -> Option<CopyLimits> {
    let copies_max = fields.read_count("copies_max", 0..=10_000, defaults.copies_max);
    let copies_per_caller_max =
        fields.read_count("copies_per_caller_max", 0..=10_000, defaults.copies_per_caller_max);
    let single_bytes_max =
        fields.read_count("copy_multipart_threshold_bytes", 0..=5 * 1024 * MIB, defaults.single_bytes_max);
    let part_bytes = fields.read_count("copy_part_bytes", 5 * MIB..=1024 * MIB, defaults.part_bytes);
    let copy_concurrency = fields.read_count("copy_concurrency", 1..=64, defaults.copy_concurrency);
    // TOML integers are signed 64-bit numbers, so the schema must not promise more.
    let speeds = 0..=u64::MAX >> 1;
    let bytes_per_second = fields.read_count("copy_bytes_per_second", speeds.clone(), 0_u64);
    let bytes_per_second_per_caller = fields.read_count("copy_bytes_per_second_per_caller", speeds, 0_u64);
    let abandoned = fields.read_word("copies_on_disconnect", ABANDONED, CopiesOnDisconnect::Finish);
    Some(CopyLimits {
        copies_max: copies_max?,
        copies_per_caller_max: copies_per_caller_max?,
        single_bytes_max: single_bytes_max?,
        part_bytes: part_bytes?,
        copy_concurrency: copy_concurrency?,
        bytes_per_second: Some(bytes_per_second?).filter(|speed| *speed > 0),
        bytes_per_second_per_caller: Some(bytes_per_second_per_caller?).filter(|speed| *speed > 0),
        copies_on_disconnect: abandoned?,
    })
}

fn read_log(item: Option<Item<'_>>) -> Option<Log> {
    let defaults = Log { format: LogFormat::Json, level: LogLevel::Info };
    let Some(item) = item else { return Some(defaults) };
    let mut fields = item.as_table()?;
    let format = fields.read_word("format", FORMATS, defaults.format);
    let level = fields.read_word("level", LEVELS, defaults.level);
    fields.finish();
    Some(Log { format: format?, level: level? })
}

// --- Traces ---

/// The default path of OTLP over HTTP (OpenTelemetry Protocol Specification, "OTLP/HTTP Request").
const TRACES_PATH: &str = "/v1/traces";

/// Headers that describe the body of an export or its framing. The exporter sets them.
const FRAMING_HEADERS: &[&str] =
    &["connection", "content-encoding", "content-length", "content-type", "host", "transfer-encoding"];

fn read_traces(item: &Item<'_>, sources: &dyn Sources) -> Option<Traces> {
    let mut fields = item.as_table()?;
    let endpoint = fields.get_required("endpoint", "\"http://127.0.0.1:4318\"");
    let endpoint_and_path = endpoint.as_ref().and_then(|item| item.parse(parse_collector_url));
    let (names, headers): (Vec<_>, Vec<_>) =
        fields.read_tables("headers").into_iter().map(|fields| read_trace_header(fields, sources)).unzip();
    let sample_ratio = fields.read_ratio("sample_ratio", 1.0);
    let trust_incoming_context = fields.read_flag("trust_incoming_context");
    let propagate = fields.read_flag("propagate");
    let insecure = fields.read_flag("insecure");
    let ca = read_optional(fields.get("ca"), |item| read_certificate_file(&item, sources));
    fields.finish();
    check_distinct("header", &names);

    // Checked last, because the check depends on several keys.
    let (endpoint_item, (endpoint, path)) = endpoint.zip(endpoint_and_path)?;
    if !endpoint.tls && !endpoint.is_loopback() && insecure == Some(false) {
        let message = "traces to another machine would not be encrypted";
        let hint = "use https, or set insecure = true to allow plain HTTP";
        endpoint_item.place.reject(ValueError::new(message).with_hint(hint));
    }
    Some(Traces {
        endpoint,
        path,
        headers: headers.into_iter().collect::<Option<_>>()?,
        sample_ratio: sample_ratio?,
        trust_incoming_context: trust_incoming_context?,
        propagate: propagate?,
        ca: ca?,
    })
}

/// The endpoint of a collector, and the path.
fn parse_collector_url(url: &str) -> Result<(Endpoint, String), ValueError> {
    // A token in a URL would appear in logs and in the console; a header value is kept as a secret.
    if url.contains('@') {
        return Err(ValueError::new("the URL must not contain a user name or password")
            .with_hint("use headers")
            .with_secret());
    }
    if url.contains(['?', '#']) {
        return Err(ValueError::new("the endpoint must not contain a query or a fragment")
            .with_hint("use headers")
            .with_secret());
    }
    // `Endpoint::parse` rejects a path, because targets have none. A collector may have one, so it is split off first.
    let authority_start = url.find("://").map_or(0, |at| at + 3);
    let path_start = url.get(authority_start..).and_then(|rest| rest.find('/'));
    let (start, path) = url.split_at(path_start.map_or(url.len(), |at| authority_start + at));
    if !path.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(ValueError::new("invalid path").with_hint("use only visible ASCII characters"));
    }
    let path = if path.len() > 1 { path } else { TRACES_PATH };
    Ok((Endpoint::parse(start)?, path.to_owned()))
}

fn read_trace_header<'a>(
    mut fields: TableReader<'a>,
    sources: &dyn Sources,
) -> (LocatedName<'a>, Option<(String, secrecy::SecretString)>) {
    let name = fields.get_required("name", "\"authorization\"").and_then(|item| {
        let value = item.parse(parse_header_name)?;
        Some(Located { value, place: item.place })
    });
    let value = fields.get_required("value", "{ env = \"NAME\" }").and_then(|item| {
        let value = read_secret(&item, sources)?;
        // HTTP allows other bytes, but collectors and the proxies before them handle them differently.
        let is_ascii = secrecy::ExposeSecret::expose_secret(&value).is_ascii();
        if !is_ascii {
            item.place.reject(ValueError::new("the header value must contain only ASCII characters"));
        }
        Some(value).filter(|_| is_ascii)
    });
    fields.finish();
    let header = name.as_ref().map(|name| name.value.clone()).zip(value);
    (name, header)
}

fn parse_header_name(text: &str) -> Result<String, ValueError> {
    let name = text.to_ascii_lowercase();
    let is_token = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !is_token {
        let hint = "use letters, digits, hyphens, underscores and dots";
        return Err(ValueError::new("invalid header name").with_hint(hint));
    }
    if FRAMING_HEADERS.contains(&name.as_str()) {
        return Err(ValueError::new("this header is set by Blobfish"));
    }
    Ok(name)
}

fn read_seconds(fields: &mut TableReader<'_>, key: &'static str, default: Duration) -> Option<Duration> {
    fields.read_count(key, 1..=SECONDS_MAX, default.as_secs()).map(Duration::from_secs)
}

// --- Targets ---

type LocatedName<'a> = Option<Located<'a, String>>;

fn read_target<'a>(
    mut fields: TableReader<'a>,
    known: &KnownDialects,
    sources: &dyn Sources,
) -> (LocatedName<'a>, Option<Target>) {
    let name = read_name(&mut fields, "\"aliyun\"");
    let dialect = fields
        .get_required("dialect", &format!("\"{}\"", known.default_name()))
        .and_then(|item| read_dialect(&item, known));
    // The schema lists the profiles of all dialects, because JSON Schema would need a condition to relate the two keys.
    let profile = read_optional(fields.get("profile"), |item| {
        item.record_known_words(known.dialects.iter().flat_map(|row| row.profiles.iter().copied()));
        item.parse(|word| parse_profile(word, dialect.as_deref(), known))
    });
    let endpoint = fields.get_required("endpoint", "\"https://...\"").and_then(|item| {
        let value = item.parse(Endpoint::parse)?;
        Some(Located { value, place: item.place })
    });
    let region = fields.get_required("region", "\"us-east-1\"").and_then(|item| item.parse(parse_region));
    let addressing = fields.read_word("addressing", ADDRESSING, Addressing::Virtual);
    // With a credential provider the target has no access key of its own.
    let (credentials, metadata_endpoint) = read_credential_provider(&mut fields);
    let (access_key, (secret_key, session_token)) = if fields.get("credentials").is_some() {
        reject_own_keys(&mut fields);
        (Some(String::new()), (Some(Secret::from(String::new())), Some(None)))
    } else {
        let access_key = fields.get_required("access_key", "\"AKID...\"");
        (access_key.and_then(|item| item.parse(parse_access_key_id)), read_secrets(&mut fields, sources))
    };
    let insecure = fields.read_flag("insecure");
    let ca = read_optional(fields.get("ca"), |item| read_certificate_file(&item, sources));
    let client_cert = read_client_cert(&mut fields, endpoint.as_ref().map(|at| &at.value), sources);
    let kms_keys = fields.read_list("kms_keys", |item| item.parse(|id| parse_visible(id, "key ID")));
    let signing = read_signing(&mut fields, dialect.as_deref(), known);
    let connect_timeout = read_seconds(&mut fields, "connect_timeout_seconds", Duration::from_secs(5));
    let response_timeout = read_seconds(&mut fields, "response_timeout_seconds", Duration::from_secs(15));
    let body_timeout = read_seconds(&mut fields, "body_timeout_seconds", Duration::from_secs(30));
    let resolve = read_seconds(&mut fields, "dns_ttl_seconds", Duration::from_secs(30));
    let small_parts = fields.read_word("small_parts", SMALL_PARTS, SmallParts::Combine);
    let small_parts_bucket =
        read_optional(fields.get("small_parts_bucket"), |item| item.parse(parse_bucket_name));
    let small_parts_prefix =
        read_optional(fields.get("small_parts_prefix"), |item| item.parse(parse_staging_prefix));
    let small_parts_cleanup =
        fields.read_count("small_parts_cleanup_seconds", 0..=7 * 24 * SECONDS_MAX, SECONDS_MAX);
    let connections_max = read_target_connections(&mut fields);
    let circuit_breaker_failures = fields.read_count("circuit_breaker_failures", 0..=1_000_000, 10_u32);
    let circuit_breaker_open =
        read_seconds(&mut fields, "circuit_breaker_open_seconds", Duration::from_secs(5));
    fields.finish();

    if let Some(endpoint) = &endpoint {
        check_endpoint(endpoint, addressing, insecure);
    }
    let build = || {
        Some(Target {
            name: name.as_ref()?.value.clone(),
            dialect: dialect?,
            profile: profile?,
            endpoint: endpoint?.value,
            region: region?,
            addressing: addressing?,
            credentials: credentials?,
            metadata_endpoint: metadata_endpoint?,
            access_key: access_key?,
            secret_key: secret_key?,
            session_token: session_token?,
            insecure: insecure?,
            ca: ca?,
            client_cert: client_cert?,
            kms_keys,
            signing: signing?,
            connect_timeout: connect_timeout?,
            response_timeout: response_timeout?,
            body_timeout: body_timeout?,
            dns_ttl: resolve?,
            small_parts: small_parts?,
            small_parts_bucket: small_parts_bucket?,
            small_parts_prefix: small_parts_prefix?.unwrap_or_else(|| SMALL_PARTS_PREFIX_DEFAULT.to_owned()),
            small_parts_cleanup: Duration::from_secs(small_parts_cleanup?),
            connections_max: connections_max?,
            circuit_breaker_failures: circuit_breaker_failures?,
            circuit_breaker_open: circuit_breaker_open?,
        })
    };
    let target = build();
    (name, target)
}

/// A key prefix that is valid in every dialect: complete segments, each followed by a slash.
fn parse_staging_prefix(text: &str) -> Result<String, ValueError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_piece =
        |piece: &str| !piece.is_empty() && piece.chars().any(|c| c != '.') && piece.chars().all(is_plain);
    // Keys are limited to 1,024 bytes, and upload ID and part number follow the prefix.
    let pieces = text.strip_suffix('/').filter(|pieces| pieces.len() < 64);
    let new_error = || {
        ValueError::new("invalid key prefix")
            .with_hint("use letters, digits, dots, hyphens and underscores, and end with a slash")
    };
    pieces.filter(|pieces| pieces.split('/').all(is_piece)).map(|_| text.to_owned()).ok_or_else(new_error)
}

/// The credential provider and the endpoint of the metadata service.
fn read_credential_provider(
    fields: &mut TableReader<'_>,
) -> (Option<Option<&'static str>>, Option<Option<String>>) {
    let credentials = fields.read_word("credentials", CREDENTIALS, None);
    let metadata = read_optional(fields.get("metadata_endpoint"), |item| {
        item.parse(|url| Endpoint::parse(url).map(|_| url.to_owned()))
    });
    if let (None, Some(item)) = (fields.get("credentials"), fields.get("metadata_endpoint")) {
        item.place.reject(
            ValueError::new("this key requires credentials").with_hint("add credentials, or remove this key"),
        );
    }
    (credentials, metadata)
}

fn reject_own_keys(fields: &mut TableReader<'_>) {
    for key in ["access_key", "secret_key", "session_token"] {
        if let Some(item) = fields.get(key) {
            let message = "not allowed together with credentials";
            item.place.reject(
                ValueError::new(message).with_hint("remove this key, or remove credentials").with_secret(),
            );
        }
    }
}

/// The client certificate: both files or none. A server requests it only with TLS.
fn read_client_cert(
    fields: &mut TableReader<'_>,
    endpoint: Option<&Endpoint>,
    sources: &dyn Sources,
) -> Option<Option<ClientCert>> {
    let written_items: Vec<_> =
        [fields.get("client_cert"), fields.get("client_key")].into_iter().flatten().collect();
    let Some(first) = written_items.first() else { return Some(None) };
    if endpoint.is_some_and(|endpoint| !endpoint.tls) {
        first.place.reject(ValueError::new("a client certificate requires an https endpoint"));
    }
    let cert = fields.get_required("client_cert", "\"/etc/blobfish/client.crt\"");
    let cert = cert.and_then(|item| read_certificate_file(&item, sources));
    let key = fields.get_required("client_key", "\"/etc/blobfish/client.key\"");
    let key = key.and_then(|item| item.parse(|path| check_private_key(path, sources)));
    Some(Some(ClientCert { cert: cert?, key: key? }))
}

fn check_private_key(path: &str, sources: &dyn Sources) -> Result<PathBuf, ValueError> {
    let pem = secrecy::SecretString::from(read_private_file(path, path, sources)?);
    let has_private_key = secrecy::ExposeSecret::expose_secret(&pem).contains("PRIVATE KEY-----");
    has_private_key
        .then(|| PathBuf::from(path))
        .ok_or_else(|| ValueError::new("the file contains no PEM private key"))
}

/// A relayed copy within one target needs one connection to read and one to write, so 1 would block forever.
fn read_target_connections(fields: &mut TableReader<'_>) -> Option<u32> {
    let item = fields.get("connections_max");
    let count = fields.read_count("connections_max", 0..=1_000_000, 0_u32)?;
    if let Some(item) = item.filter(|_| count == 1) {
        let message = "a copy needs two connections, one to read and one to write";
        item.place.reject(ValueError::new(message).with_hint("use 2 or more, or 0 for no limit"));
        return None;
    }
    Some(count)
}

/// Reports settings that a valid endpoint does not allow. `None` for a key that is invalid itself: it is not reported
/// twice.
fn check_endpoint(endpoint: &Located<'_, Endpoint>, addressing: Option<Addressing>, insecure: Option<bool>) {
    let Located { value, place } = endpoint;
    if !value.tls && !value.is_loopback() && insecure == Some(false) {
        let message = "requests to another machine would not be encrypted";
        place.reject(
            ValueError::new(message).with_hint("use https, or set insecure = true to allow plain HTTP"),
        );
    }
    if value.ip().is_some() && addressing == Some(Addressing::Virtual) {
        let message = "an IP address does not allow virtual-hosted addressing";
        place.reject(ValueError::new(message).with_hint("set addressing = \"path\""));
    }
}

/// `Some(None)` for a dialect with one signature version.
fn read_signing(
    fields: &mut TableReader<'_>,
    dialect: Option<&str>,
    known: &KnownDialects,
) -> Option<Option<&'static str>> {
    let with_choice = || known.dialects.iter().filter(|row| !row.signing_versions.is_empty());
    let own = dialect.and_then(|dialect| known.find(dialect));
    let has_choice = own.is_none_or(|own| !own.signing_versions.is_empty());
    if let Some(item) = fields.get("signing").filter(|_| !has_choice) {
        let names: Vec<String> = with_choice().map(|row| format!("\"{}\"", row.name)).collect();
        let message = format!("only dialect {} supports this key", names.join(" or "));
        item.place.reject(ValueError::new(message));
        return None;
    }
    // With an unknown dialect, the versions of every dialect are accepted, because the dialect is already reported.
    let words: Vec<_> = with_choice()
        .filter(|row| own.is_none_or(|own| own.name == row.name))
        .flat_map(|row| row.signing_versions.iter().map(|&word| (word, Some(word))))
        .collect();
    fields.read_word("signing", &words, words.first().and_then(|row| row.1))
}

/// Reads an optional key. A missing key is valid: it gives `Some(None)`.
fn read_optional<'a, T>(
    item: Option<Item<'a>>,
    read: impl FnOnce(Item<'a>) -> Option<T>,
) -> Option<Option<T>> {
    item.map_or(Some(None), |item| read(item).map(Some))
}

type Secret = secrecy::SecretString;

fn read_secrets(
    fields: &mut TableReader<'_>,
    sources: &dyn Sources,
) -> (Option<Secret>, Option<Option<Secret>>) {
    let key =
        fields.get_required("secret_key", "{ env = \"NAME\" }").and_then(|item| read_secret(&item, sources));
    let token = read_optional(fields.get("session_token"), |item| read_secret(&item, sources));
    (key, token)
}

fn read_dialect(item: &Item<'_>, known: &KnownDialects) -> Option<String> {
    item.record_known_words(known.list_names());
    item.parse(|word| parse_dialect(word, known))
}

fn parse_dialect(word: &str, known: &KnownDialects) -> Result<String, ValueError> {
    let names = known.list_names();
    if names.contains(&word) {
        return Ok(word.to_owned());
    }
    let unknown = ValueError::unknown("dialect", word, &names);
    match known.dialects.iter().find(|row| row.profiles.contains(&word)) {
        Some(owner) => Err(unknown.with_hint(format!("it is a profile of dialect \"{}\"", owner.name))),
        None => Err(unknown),
    }
}

/// With an unknown dialect, every profile is accepted, because the dialect is already reported.
fn parse_profile(word: &str, dialect: Option<&str>, known: &KnownDialects) -> Result<String, ValueError> {
    let profiles = dialect.and_then(|dialect| known.find(dialect)).map(|row| row.profiles.as_slice());
    match profiles {
        Some([]) => Err(ValueError::new("this dialect has no profiles").with_hint("remove this key")),
        Some(profiles) if !profiles.contains(&word) => Err(ValueError::unknown("profile", word, profiles)),
        _ => Ok(word.to_owned()),
    }
}

fn parse_region(text: &str) -> Result<String, ValueError> {
    let is_region =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let new_error =
        || ValueError::new("invalid region").with_hint("use letters, digits, hyphens, underscores and dots");
    is_region.then(|| text.to_owned()).ok_or_else(new_error)
}

/// An access key ID is part of headers and queries in every dialect, so it must not contain their separators.
fn parse_access_key_id(text: &str) -> Result<String, ValueError> {
    let key = parse_visible(text, "access key ID")?;
    if key.contains(['/', ',', ';', ':', '&', '=', '"', '\'', '\\']) {
        return Err(ValueError::new("an access key ID must not contain separators or quotes"));
    }
    Ok(key)
}

fn parse_visible(text: &str, noun: &str) -> Result<String, ValueError> {
    if text.is_empty() {
        return Err(ValueError::new(format!("the {noun} is empty")));
    }
    // Longer than any vendor's IDs; the limit keeps signed headers small.
    let is_visible = text.len() <= 512 && text.bytes().all(|b| b.is_ascii_graphic());
    let new_error =
        || ValueError::new(format!("invalid {noun}")).with_hint("use only visible ASCII characters");
    is_visible.then(|| text.to_owned()).ok_or_else(new_error)
}

/// The name of a section. It is used as a metric label and in logs.
fn read_name<'a>(fields: &mut TableReader<'a>, example: &str) -> LocatedName<'a> {
    let item = fields.get_required("name", example)?;
    let value = item.parse(|text| {
        let is_name = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let new_error = || {
            ValueError::new("invalid name")
                .with_hint("use 1 to 64 letters, digits, hyphens, underscores and dots")
        };
        (is_name && (1..=64).contains(&text.len())).then(|| text.to_owned()).ok_or_else(new_error)
    })?;
    Some(Located { value, place: item.place })
}

// --- Buckets ---

fn read_bucket<'a>(
    mut fields: TableReader<'a>,
    targets: &[LocatedName<'_>],
) -> (LocatedName<'a>, Option<BucketRule>) {
    let name_item = fields.get_required("name", "\"photos\"");
    let name = name_item.as_ref().and_then(|item| item.parse(Pattern::parse));
    let target = fields
        .get_required("target", "\"aliyun\"")
        .and_then(|item| item.parse(|word| find_target_index(word, targets)));
    // Fetched twice: the place is needed for a mistake that depends on `name`, and parsing consumes the item.
    let target_bucket_item = fields.get("target_bucket");
    let target_bucket = fields.get("target_bucket");
    let target_bucket = read_optional(target_bucket, |item| item.parse(parse_bucket_name));
    let unsupported = fields.read_word("unsupported", UNSUPPORTED, UnsupportedFields::Reject);
    let conditions = fields.read_word("conditions", CONDITIONS, Conditions::Auto);
    let relay = fields.read_flag("relay");
    let anonymous_read = fields.read_word("anonymous", ANONYMOUS, false);
    fields.finish();

    if let (Some(item), Some(name)) = (target_bucket_item, &name)
        && name.exact().is_none()
    {
        item.place.reject(
            ValueError::new("not allowed if name is a pattern")
                .with_hint("remove target_bucket, or name one bucket"),
        );
    }

    let located_name = name
        .as_ref()
        .zip(name_item)
        .map(|(name, item)| Located { value: name.to_string(), place: item.place });
    let build = || {
        Some(BucketRule {
            name: name?,
            target: target?,
            target_bucket: target_bucket?,
            unsupported: unsupported?,
            conditions: conditions?,
            relay: relay?,
            anonymous_read: anonymous_read?,
        })
    };
    (located_name, build())
}

fn find_target_index(word: &str, targets: &[LocatedName<'_>]) -> Result<usize, ValueError> {
    if targets.is_empty() {
        // The missing targets are already reported, and no configuration is built.
        return Ok(0);
    }
    let names: Vec<_> = targets.iter().flatten().map(|name| name.value.as_str()).collect();
    let position = targets.iter().position(|name| name.as_ref().is_some_and(|name| name.value == word));
    position.ok_or_else(|| ValueError::unknown("target", word, &names))
}

// --- Callers ---

/// The name and the access keys of a caller with their places, and the caller.
type ParsedCaller<'a> = ((LocatedName<'a>, Vec<LocatedName<'a>>), Option<Caller>);

fn read_caller<'a>(
    mut fields: TableReader<'a>,
    known: &KnownDialects,
    sources: &dyn Sources,
) -> ParsedCaller<'a> {
    let name = read_name(&mut fields, "\"photo-app\"");
    let (access_keys, keys) = read_caller_keys(&mut fields, sources);
    let grants = fields.read_tables("grants").into_iter().map(read_grant).collect::<Option<Vec<_>>>();
    let signatures = read_signatures(&mut fields, known);
    let strict_dialects = read_strict_dialects(&mut fields, known);
    let requests_per_second = fields.read_count("requests_per_second", 0..=REQUESTS_MAX, 0_u32);
    let concurrent_requests_max = fields.read_count("concurrent_requests_max", 0..=REQUESTS_MAX, 0_u32);
    fields.finish();

    let build = || {
        Some(Caller {
            name: name.as_ref()?.value.clone(),
            keys: keys?,
            requests_per_second: NonZeroU32::new(requests_per_second?),
            concurrent_requests_max: NonZeroU32::new(concurrent_requests_max?),
            grants: grants?,
            signatures: signatures?,
            strict_dialects: strict_dialects?,
        })
    };
    let caller = build();
    ((name, access_keys), caller)
}

/// The access key of the caller itself, and its list of further keys. One of the two is enough.
fn read_caller_keys<'a>(
    fields: &mut TableReader<'a>,
    sources: &dyn Sources,
) -> (Vec<LocatedName<'a>>, Option<Vec<CallerKey>>) {
    let more = fields.read_tables("keys");
    let has_own_keys = ["access_key", "secret_key", "session_token"].map(|key| fields.get(key).is_some());
    let mut keys = Vec::new();
    if more.is_empty() || has_own_keys.contains(&true) {
        keys.push(read_caller_key(fields, sources));
    }
    for mut fields in more {
        keys.push(read_caller_key(&mut fields, sources));
        fields.finish();
    }
    // The access key IDs are returned even if a secret is invalid, so that duplicates are reported in the same run.
    let (access_keys, keys): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
    (access_keys, keys.into_iter().collect())
}

fn read_caller_key<'a>(
    fields: &mut TableReader<'a>,
    sources: &dyn Sources,
) -> (LocatedName<'a>, Option<CallerKey>) {
    let access_key = fields.get_required("access_key", "\"AKID...\"").and_then(|item| {
        let value = item.parse(parse_access_key_id)?;
        Some(Located { value, place: item.place })
    });
    let (secret_key, session_token) = read_secrets(fields, sources);
    let build = || {
        let access_key = access_key.as_ref()?.value.clone();
        Some(CallerKey { access_key, secret_key: secret_key?, session_token: session_token? })
    };
    let key = build();
    (access_key, key)
}

fn read_grant(mut fields: TableReader<'_>) -> Option<Grant> {
    let item = fields.get_required("buckets", "[\"photos-*\"]");
    let buckets = fields.read_list("buckets", |item| item.parse(Pattern::parse));
    let access = fields.get_required("access", "\"read\"");
    let access = access.and_then(|item| item.parse_word("access", ACCESS));
    fields.finish();
    // An empty list is more likely a mistake than intended, and the grant would silently allow nothing.
    if let Some(item) = item.filter(Item::is_empty_list) {
        item.place.reject(ValueError::new("the grant names no bucket").with_hint("remove the grant"));
    }
    Some(Grant { buckets, access: access? })
}

/// The dialects in which a caller must sign every meaningful part of the request. Each has a key of its own.
fn read_strict_dialects(fields: &mut TableReader<'_>, known: &KnownDialects) -> Option<Vec<&'static str>> {
    let mut strict = Some(Vec::new());
    for dialect in &known.dialects {
        let Some(key) = dialect.strict_signing_config_key else { continue };
        match (fields.read_word(key, STRICT_SIGNING, false), &mut strict) {
            (Some(true), Some(strict)) => strict.push(dialect.name),
            (Some(false), _) | (_, None) => {}
            (None, _) => strict = None,
        }
    }
    strict
}

fn read_signatures(fields: &mut TableReader<'_>, known: &KnownDialects) -> Option<Vec<String>> {
    let signatures = known.list_signatures();
    let Some(item) = fields.get("signatures") else {
        return Some(signatures.iter().map(|&word| word.to_owned()).collect());
    };
    if item.is_empty_list() {
        item.place.reject(
            ValueError::new("no signature is allowed").with_hint("remove this key to allow all signatures"),
        );
    }
    let find_signature = |word: &str| signatures.contains(&word).then(|| word.to_owned());
    let read_word = |item: Item<'_>| {
        item.record_known_words(signatures.iter().copied());
        item.parse(|word| {
            find_signature(word).ok_or_else(|| ValueError::unknown("signature", word, &signatures))
        })
    };
    item.as_list()?.into_iter().map(read_word).collect()
}
