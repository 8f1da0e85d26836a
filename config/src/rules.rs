//! What each section means. A function per section reads all its keys first and then builds the value, so that a
//! mistake in one key hides none in another.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use crate::endpoint::host_name;
use crate::pattern::bucket_name;
use crate::read::{At, Fields, Item};
use crate::secrets::{private_file, secret};
use crate::{
    Abandoned, Addressing, BucketRule, Caller, CallerKey, Certificate, ClientCert, Conditions, Config,
    CopyLimits, Endpoint, Grant, GrantAccess, Https, Known, Limits, Listen, Log, LogFormat, LogLevel,
    Pattern, Rejected, SIGNATURES, Signing, Sources, Target, Traces, Unsupported,
};

/// Where to listen if the file does not say.
const HTTP_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9000);
const ADMIN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9090);
const DIALECT_DEFAULT: &str = "s3";

/// The one dialect that has two signatures for us to send.
const SIGNING_DIALECT: &str = "oss";

const ADDRESSING: &[(&str, Addressing)] = &[("virtual", Addressing::Virtual), ("path", Addressing::Path)];
const SIGNING: &[(&str, Signing)] = &[("v4", Signing::V4), ("v1", Signing::V1)];
const UNSUPPORTED: &[(&str, Unsupported)] =
    &[("refuse", Unsupported::Refuse), ("report", Unsupported::Report)];
const CONDITIONS: &[(&str, Conditions)] = &[("native", Conditions::Native), ("check", Conditions::Check)];
const ABANDONED: &[(&str, Abandoned)] = &[("finish", Abandoned::Finish), ("abort", Abandoned::Abort)];
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
const ANONYMOUS: &[(&str, bool)] = &[("refuse", false), ("read", true)];
const COS_STRICT: &[(&str, bool)] = &[("accept", false), ("strict", true)];
const ACCESS: &[(&str, GrantAccess)] = &[
    ("read", GrantAccess::Read),
    ("write", GrantAccess::Write),
    ("read-write", GrantAccess::ReadWrite),
    ("admin", GrantAccess::Admin),
];

/// What no caller reaches.
const REQUESTS_MAX: u64 = 1_000_000;

/// An hour; a longer silence is a dead peer whatever the store.
const SECONDS_MAX: u64 = 3600;

/// `None` where something could not be built; a mistake was noted then.
pub(crate) fn config(mut root: Fields<'_>, known: &Known<'_>, sources: &dyn Sources) -> Option<Config> {
    let (listen, listen_places) = listen(root.get("listen"), known, sources);
    let (admin, control) = admin(root.get("admin"), &listen_places);
    let hosts_base = hosts(root.get("hosts"));
    let limits = limits(root.get("limits"));
    let log = log(root.get("log"));
    let traces = optional(root.get("traces"), |item| traces(&item, sources));

    need_a_target(&mut root);
    let (target_names, targets): (Vec<_>, Vec<_>) =
        root.tables("target").into_iter().map(|fields| target(fields, known, sources)).unzip();
    let (bucket_names, buckets): (Vec<_>, Vec<_>) =
        root.tables("bucket").into_iter().map(|fields| bucket(fields, &target_names)).unzip();
    let (caller_names, callers): (Vec<_>, Vec<_>) =
        root.tables("caller").into_iter().map(|fields| caller(fields, sources)).unzip();
    let (caller_names, caller_keys): (Vec<_>, Vec<_>) = caller_names.into_iter().unzip();
    let caller_keys: Vec<_> = caller_keys.into_iter().flatten().collect();
    root.finish();

    distinct("target", &target_names);
    distinct("bucket", &bucket_names);
    distinct("caller", &caller_names);
    distinct("caller", &caller_keys);

    Some(Config {
        listen: listen?,
        admin: admin?,
        control: control?,
        hosts_base,
        limits: limits?,
        log: log?,
        traces: traces?,
        targets: targets.into_iter().collect::<Option<_>>()?,
        buckets: buckets.into_iter().collect::<Option<_>>()?,
        callers: callers.into_iter().collect::<Option<_>>()?,
        secret_line: None,
    })
}

fn need_a_target(root: &mut Fields<'_>) {
    root.needs("target");
    let is_none = root.get("target").is_none_or(|item| item.is_empty_list());
    if is_none {
        let what = "no [[target]]: there is nothing to be a proxy of";
        root.place.wrong(Rejected::new(what).hint("blobfish init writes a configuration to begin with"));
    }
}

/// Notes every name that an earlier one has already.
fn distinct(noun: &str, names: &[Option<At<'_, String>>]) {
    let mut first_lines = std::collections::HashMap::new();
    for name in names.iter().flatten() {
        let line = name.place.line();
        if let Some(first) = first_lines.get(name.value.as_str()) {
            name.place.wrong(Rejected::new(format!("another {noun} has it, on line {first}")));
        } else {
            first_lines.insert(name.value.as_str(), line);
        }
    }
}

// --- Listeners ---

fn listen<'a>(
    item: Option<Item<'a>>,
    known: &Known<'_>,
    sources: &dyn Sources,
) -> (Option<Listen>, Vec<At<'a, SocketAddr>>) {
    let usual = || Listen {
        http: vec![HTTP_DEFAULT],
        https: Vec::new(),
        proxies: Vec::new(),
        proxy_protocol: false,
        default_dialect: DIALECT_DEFAULT.to_owned(),
    };
    let Some(item) = item else { return (Some(usual()), Vec::new()) };
    let Some(mut fields) = item.table() else { return (None, Vec::new()) };

    let dialect = match fields.get("dialect") {
        Some(item) => a_dialect(&item, known),
        None => Some(DIALECT_DEFAULT.to_owned()),
    };
    let written: Vec<_> = [fields.get("http"), fields.get("https")].into_iter().flatten().collect();
    let mut taken = Vec::new();
    let mut http = fields.list("http", |item| free_address(&item, &mut taken));
    let https =
        fields.tables("https").into_iter().filter_map(|fields| https(fields, &mut taken, sources)).collect();
    let (proxies, proxy_protocol) = proxies(&mut fields);
    let place = fields.place.clone();
    fields.finish();

    if written.is_empty() {
        http = usual().http;
    } else if written.iter().all(Item::is_empty_list) {
        place.wrong(Rejected::new("no address to listen on").hint("add http = [\"127.0.0.1:9000\"]"));
    }
    let built =
        || Some(Listen { http, https, proxies, proxy_protocol: proxy_protocol?, default_dialect: dialect? });
    (built(), taken)
}

fn proxies(fields: &mut Fields<'_>) -> (Vec<IpNet>, Option<bool>) {
    let proxies = fields.list("proxies", |item| item.parsed(network));
    let item = fields.get("proxy_protocol");
    let proxy_protocol = fields.flag("proxy_protocol");
    let nobody = fields.get("proxies").is_none_or(|item| item.is_empty_list());
    if let Some(item) = item.filter(|_| proxy_protocol == Some(true) && nobody) {
        let what = "nobody is believed, for no proxies are listed";
        item.place.wrong(Rejected::new(what).hint("add proxies = [\"10.0.0.0/8\"]"));
    }
    (proxies, proxy_protocol)
}

/// A network, or one address.
fn network(text: &str) -> Result<IpNet, Rejected> {
    let bad = || Rejected::new("not a network").hint("write \"10.0.0.0/8\", \"fd00::/8\" or an address");
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    let network = text.parse::<IpNet>().or_else(|_| address()).map_err(|_| bad())?;
    if network != network.trunc() {
        let whole = Rejected::new("an address within a network, not a network");
        return Err(whole.hint(format!("write \"{}\" or \"{}\"", network.trunc(), network.addr())));
    }
    Ok(network)
}

fn https<'a>(
    mut fields: Fields<'a>,
    taken: &mut Vec<At<'a, SocketAddr>>,
    sources: &dyn Sources,
) -> Option<Https> {
    let address = fields.need("address", "\"0.0.0.0:9443\"").and_then(|item| free_address(&item, taken));
    let named = fields.tables("certificates");
    let is_own = ["cert", "key"].map(|key| fields.get(key).is_some());
    let default = if named.is_empty() || is_own.contains(&true) {
        certificate(&mut fields, sources, false).map(Some)
    } else {
        Some(None)
    };
    let certificates = named.into_iter().map(|mut fields| {
        let certificate = certificate(&mut fields, sources, true);
        fields.finish();
        certificate
    });
    let certificates: Vec<_> = certificates.collect();
    fields.finish();
    let certificates = certificates.into_iter().collect::<Option<_>>();
    Some(Https { address: address?, default: default?, certificates: certificates? })
}

/// A certificate and its key. `named`: it is chosen by the names in it.
fn certificate(fields: &mut Fields<'_>, sources: &dyn Sources, named: bool) -> Option<Certificate> {
    let cert_item = fields.need("cert", "\"/etc/blobfish/tls.crt\"");
    let cert = cert_item.as_ref().and_then(|item| certificates(item, sources));
    let key = fields
        .need("key", "\"/etc/blobfish/tls.key\"")
        .and_then(|item| item.parsed(|path| private_key(path, sources)));
    let (cert, key) = (cert?, key?);
    match sources.certificate(&cert, &key, named) {
        Ok(()) => Some(Certificate { cert, key }),
        Err(what) => {
            cert_item?.place.wrong(Rejected::new(what));
            None
        }
    }
}

fn certificates(item: &Item<'_>, sources: &dyn Sources) -> Option<PathBuf> {
    item.parsed(|path| {
        let pem = sources.file(Path::new(path));
        let pem = pem.map_err(|error| Rejected::new(format!("the file cannot be read: {error}")))?;
        let holds_one = pem.contains("-----BEGIN CERTIFICATE-----");
        holds_one
            .then(|| PathBuf::from(path))
            .ok_or_else(|| Rejected::new("the file holds no PEM certificate"))
    })
}

fn admin(
    item: Option<Item<'_>>,
    taken: &[At<'_, SocketAddr>],
) -> (Option<SocketAddr>, Option<Option<PathBuf>>) {
    let Some(item) = item else {
        return (Some(ADMIN_DEFAULT).filter(|_| admin_default_is_free(taken)), Some(None));
    };
    let Some(mut fields) = item.table() else { return (None, None) };
    let admin = match fields.get("listen") {
        Some(item) => free_address(&item, &mut taken.to_vec()),
        None => Some(ADMIN_DEFAULT).filter(|_| admin_default_is_free(taken)),
    };
    let control = optional(fields.get("control"), |item| item.parsed(socket_path));
    fields.finish();
    (admin, control)
}

/// The system's limit is 108 bytes; while one socket replaces another, its name is longer.
fn socket_path(text: &str) -> Result<PathBuf, Rejected> {
    const PATH_BYTES_MAX: usize = 90;
    let path = Path::new(text);
    if !path.is_absolute() || path.file_name().is_none() {
        return Err(
            Rejected::new("not the whole path of a socket").hint("write \"/run/blobfish/control.sock\"")
        );
    }
    if text.len() > PATH_BYTES_MAX {
        return Err(Rejected::new(format!("longer than {PATH_BYTES_MAX} bytes")));
    }
    Ok(path.to_owned())
}

fn admin_default_is_free(taken: &[At<'_, SocketAddr>]) -> bool {
    let other = taken.iter().find(|other| overlap(other.value, ADMIN_DEFAULT));
    if let Some(other) = other {
        let what = format!("the admin port is at {ADMIN_DEFAULT} unless another is chosen");
        other.place.wrong(Rejected::new(what).hint("choose [admin] listen = \"127.0.0.1:9091\""));
    }
    other.is_none()
}

/// Reads an address that overlaps none in `taken`, and adds it there.
fn free_address<'a>(item: &Item<'a>, taken: &mut Vec<At<'a, SocketAddr>>) -> Option<SocketAddr> {
    let address = item.parsed(|text| {
        let bad = || Rejected::new("not an address").hint("write \"127.0.0.1:9000\" or \"[::1]:9000\"");
        text.parse::<SocketAddr>().map_err(|_| bad())
    })?;
    match taken.iter().find(|other| overlap(other.value, address)) {
        Some(other) => {
            let what = format!("already taken by {} on line {}", other.value, other.place.line());
            item.place.wrong(Rejected::new(what));
        }
        None => taken.push(At { value: address, place: item.place.clone() }),
    }
    Some(address)
}

/// Whether two listeners cannot both have their address. Port 0 is any free port. `[::]` takes IPv4 too.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let covers = |a: IpAddr, b: IpAddr| a.is_unspecified() && (a.is_ipv6() || b.is_ipv4());
    let (a_ip, b_ip) = (a.ip(), b.ip());
    a.port() == b.port() && a.port() != 0 && (a_ip == b_ip || covers(a_ip, b_ip) || covers(b_ip, a_ip))
}

fn hosts(item: Option<Item<'_>>) -> Vec<String> {
    let Some(mut fields) = item.and_then(|item| item.table()) else { return Vec::new() };
    let names: Vec<_> = fields.list("base", |item| {
        let value = item.parsed(host_name)?;
        Some(Some(At { value, place: item.place.clone() }))
    });
    fields.finish();
    distinct("name", &names);
    names.into_iter().flatten().map(|name| name.value).collect()
}

fn limits(item: Option<Item<'_>>) -> Option<Limits> {
    const MIB: usize = 1024 * 1024;
    const TIB: u64 = 1 << 40;
    // Defaults of the threat model, section 3.7.
    let usual = Limits {
        head_bytes_max: 16 * 1024,
        headers_max: 100,
        body_idle: Duration::from_secs(30),
        keepalive_idle: Duration::from_secs(60),
        connections_max: 10_000,
        connections_per_address_max: 1_000,
        buffer_bytes_max: 256 * MIB,
        buffer_bytes_per_caller_max: 64 * MIB,
        stop_delay: Duration::ZERO,
        drain: Duration::from_secs(30),
        upgrade_drain: Duration::from_secs(3600),
        copies: CopyLimits::default(),
    };
    let Some(item) = item else { return Some(usual) };
    let mut fields = item.table()?;
    let head_bytes_max = fields.count("head_bytes_max", 1024..=1024 * 1024, usual.head_bytes_max);
    let headers_max = fields.count("headers_max", 8..=10_000, usual.headers_max);
    let body_idle = seconds(&mut fields, "body_idle_seconds", usual.body_idle);
    let keepalive_idle = seconds(&mut fields, "keepalive_idle_seconds", usual.keepalive_idle);
    let connections_max = fields.count("connections_max", 1..=1_000_000, usual.connections_max);
    let connections_per_address_max =
        fields.count("connections_per_address_max", 1..=1_000_000, usual.connections_per_address_max);
    let buffers = fields.count("buffer_bytes_max", 1 << 24..=TIB, usual.buffer_bytes_max);
    let own = usual.buffer_bytes_per_caller_max;
    let own_buffers = fields.count("buffer_bytes_per_caller_max", 1 << 23..=TIB, own);
    let stop_delay = fields.count("stop_delay_seconds", 0..=SECONDS_MAX, usual.stop_delay.as_secs());
    let drain = seconds(&mut fields, "drain_seconds", usual.drain);
    let upgrade_drain =
        fields.count("upgrade_drain_seconds", 1..=24 * SECONDS_MAX, usual.upgrade_drain.as_secs());
    let copies = copy_limits(&mut fields, usual.copies);
    fields.finish();
    Some(Limits {
        head_bytes_max: head_bytes_max?,
        headers_max: headers_max?,
        body_idle: body_idle?,
        keepalive_idle: keepalive_idle?,
        connections_max: connections_max?,
        connections_per_address_max: connections_per_address_max?,
        buffer_bytes_max: buffers?,
        buffer_bytes_per_caller_max: own_buffers?,
        stop_delay: Duration::from_secs(stop_delay?),
        drain: drain?,
        upgrade_drain: Duration::from_secs(upgrade_drain?),
        copies: copies?,
    })
}

fn copy_limits(fields: &mut Fields<'_>, usual: CopyLimits) -> Option<CopyLimits> {
    const MIB: u64 = 1024 * 1024;
    let copies_max = fields.count("copies_max", 0..=10_000, usual.copies_max);
    let copies_per_caller_max =
        fields.count("copies_per_caller_max", 0..=10_000, usual.copies_per_caller_max);
    let single_bytes_max = fields.count("copy_single_bytes_max", 0..=5 * 1024 * MIB, usual.single_bytes_max);
    let part_bytes = fields.count("copy_part_bytes", 5 * MIB..=1024 * MIB, usual.part_bytes);
    let parts_at_once = fields.count("copy_parts_at_once", 1..=64, usual.parts_at_once);
    let speeds = 0..=u64::MAX >> 1;
    let speed = fields.count("copy_bytes_per_second", speeds.clone(), 0_u64);
    let own_speed = fields.count("copy_bytes_per_second_per_caller", speeds, 0_u64);
    let abandoned = fields.word("copies_abandoned", ABANDONED, Abandoned::Finish);
    Some(CopyLimits {
        copies_max: copies_max?,
        copies_per_caller_max: copies_per_caller_max?,
        single_bytes_max: single_bytes_max?,
        part_bytes: part_bytes?,
        parts_at_once: parts_at_once?,
        bytes_per_second: Some(speed?).filter(|speed| *speed > 0),
        bytes_per_second_per_caller: Some(own_speed?).filter(|speed| *speed > 0),
        abandoned: abandoned?,
    })
}

fn log(item: Option<Item<'_>>) -> Option<Log> {
    let usual = Log { format: LogFormat::Json, level: LogLevel::Info };
    let Some(item) = item else { return Some(usual) };
    let mut fields = item.table()?;
    let format = fields.word("format", FORMATS, usual.format);
    let level = fields.word("level", LEVELS, usual.level);
    fields.finish();
    Some(Log { format: format?, level: level? })
}

// --- Traces ---

/// Where collectors take traces over HTTP.
const TRACES_PATH: &str = "/v1/traces";

/// Headers that say how an export is framed and what it is.
const FRAMING_HEADERS: &[&str] =
    &["connection", "content-encoding", "content-length", "content-type", "host", "transfer-encoding"];

fn traces(item: &Item<'_>, sources: &dyn Sources) -> Option<Traces> {
    let mut fields = item.table()?;
    let endpoint = fields.need("endpoint", "\"http://127.0.0.1:4318\"");
    let collector = endpoint.as_ref().and_then(|item| item.parsed(collector));
    let (names, headers): (Vec<_>, Vec<_>) =
        fields.tables("headers").into_iter().map(|fields| trace_header(fields, sources)).unzip();
    let sample_ratio = fields.ratio("sample_ratio", 1.0);
    let trust_callers = fields.flag("trust_callers");
    let propagate = fields.flag("propagate");
    let insecure = fields.flag("insecure");
    let ca = optional(fields.get("ca"), |item| certificates(&item, sources));
    fields.finish();
    distinct("header", &names);

    let (endpoint_item, (endpoint, path)) = endpoint.zip(collector)?;
    if !endpoint.tls && !endpoint.is_loopback() && insecure == Some(false) {
        let what = "plain HTTP to another machine shows every trace to those between";
        let hint = "write https, or insecure = true if that is meant";
        endpoint_item.place.wrong(Rejected::new(what).hint(hint));
    }
    Some(Traces {
        endpoint,
        path,
        headers: headers.into_iter().collect::<Option<_>>()?,
        sample_ratio: sample_ratio?,
        trust_callers: trust_callers?,
        propagate: propagate?,
        ca: ca?,
    })
}

/// An end point, and the path behind it.
fn collector(url: &str) -> Result<(Endpoint, String), Rejected> {
    if url.contains('@') {
        return Err(Rejected::new("a URL must not hold a user").hint("use headers").secret());
    }
    if url.contains(['?', '#']) {
        return Err(Rejected::new("an endpoint has no query").hint("use headers").secret());
    }
    let authority_start = url.find("://").map_or(0, |at| at + 3);
    let path_start = url.get(authority_start..).and_then(|rest| rest.find('/'));
    let (start, path) = url.split_at(path_start.map_or(url.len(), |at| authority_start + at));
    if !path.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Rejected::new("not a path").hint("use visible ASCII characters, no spaces"));
    }
    let path = if path.len() > 1 { path } else { TRACES_PATH };
    Ok((Endpoint::parse(start)?, path.to_owned()))
}

fn trace_header<'a>(
    mut fields: Fields<'a>,
    sources: &dyn Sources,
) -> (Name<'a>, Option<(String, secrecy::SecretString)>) {
    let name = fields.need("name", "\"authorization\"").and_then(|item| {
        let value = item.parsed(header_name)?;
        Some(At { value, place: item.place })
    });
    let value = fields.need("value", "{ env = \"NAME\" }").and_then(|item| {
        let value = secret(&item, sources)?;
        let is_ascii = secrecy::ExposeSecret::expose_secret(&value).is_ascii();
        if !is_ascii {
            item.place.wrong(Rejected::new("a header holds only ASCII characters"));
        }
        Some(value).filter(|_| is_ascii)
    });
    fields.finish();
    let header = name.as_ref().map(|name| name.value.clone()).zip(value);
    (name, header)
}

fn header_name(text: &str) -> Result<String, Rejected> {
    let name = text.to_ascii_lowercase();
    let is_token = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !is_token {
        let hint = "use letters, digits, hyphens, underscores and dots";
        return Err(Rejected::new("not a header's name").hint(hint));
    }
    if FRAMING_HEADERS.contains(&name.as_str()) {
        return Err(Rejected::new("this header is written by Blobfish"));
    }
    Ok(name)
}

fn seconds(fields: &mut Fields<'_>, key: &'static str, absent: Duration) -> Option<Duration> {
    fields.count(key, 1..=SECONDS_MAX, absent.as_secs()).map(Duration::from_secs)
}

// --- Targets ---

type Name<'a> = Option<At<'a, String>>;

fn target<'a>(
    mut fields: Fields<'a>,
    known: &Known<'_>,
    sources: &dyn Sources,
) -> (Name<'a>, Option<Target>) {
    let name = name(&mut fields, "\"aliyun\"");
    let dialect = fields.need("dialect", "\"s3\"").and_then(|item| a_dialect(&item, known));
    let profile = optional(fields.get("profile"), |item| {
        item.known(known.dialects.iter().flat_map(|row| row.1).copied());
        item.parsed(|word| profile_name(word, dialect.as_deref(), known))
    });
    let endpoint = fields.need("endpoint", "\"https://...\"").and_then(|item| {
        let value = item.parsed(Endpoint::parse)?;
        Some(At { value, place: item.place })
    });
    let region = fields.need("region", "\"us-east-1\"").and_then(|item| item.parsed(region_name));
    let addressing = fields.word("addressing", ADDRESSING, Addressing::Virtual);
    let (credentials, metadata_endpoint) = provider(&mut fields);
    let (access_key, (secret_key, session_token)) = if fields.get("credentials").is_some() {
        no_own_key(&mut fields);
        (Some(String::new()), (Some(Secret::from(String::new())), Some(None)))
    } else {
        let access_key = fields.need("access_key", "\"AKID...\"");
        (access_key.and_then(|item| item.parsed(access_key_id)), secrets(&mut fields, sources))
    };
    let insecure = fields.flag("insecure");
    let ca = optional(fields.get("ca"), |item| certificates(&item, sources));
    let client_cert = client_cert(&mut fields, endpoint.as_ref().map(|at| &at.value), sources);
    let kms_keys = fields.list("kms_keys", |item| item.parsed(|id| visible(id, "key id")));
    let signing = signing(&mut fields, dialect.as_deref());
    let connect_timeout = seconds(&mut fields, "connect_timeout_seconds", Duration::from_secs(5));
    let response_timeout = seconds(&mut fields, "response_timeout_seconds", Duration::from_secs(15));
    let body_timeout = seconds(&mut fields, "body_timeout_seconds", Duration::from_secs(30));
    let resolve = seconds(&mut fields, "resolve_seconds", Duration::from_secs(30));
    let connections_max = target_connections(&mut fields);
    let failures_max = fields.count("failures_max", 0..=1_000_000, 10_u32);
    let failures_pause = seconds(&mut fields, "failures_pause_seconds", Duration::from_secs(5));
    fields.finish();

    if let Some(endpoint) = &endpoint {
        endpoint_suits(endpoint, addressing, insecure);
    }
    let built = || {
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
            resolve: resolve?,
            connections_max: connections_max?,
            failures_max: failures_max?,
            failures_pause: failures_pause?,
        })
    };
    let target = built();
    (name, target)
}

/// Who issues keys, and where the machine's metadata are.
fn provider(fields: &mut Fields<'_>) -> (Option<Option<&'static str>>, Option<Option<String>>) {
    let credentials = fields.word("credentials", CREDENTIALS, None);
    let metadata = optional(fields.get("metadata_endpoint"), |item| {
        item.parsed(|url| Endpoint::parse(url).map(|_| url.to_owned()))
    });
    if let (None, Some(item)) = (fields.get("credentials"), fields.get("metadata_endpoint")) {
        item.place.wrong(Rejected::new("nobody asks there").hint("add credentials, or leave it out"));
    }
    (credentials, metadata)
}

fn no_own_key(fields: &mut Fields<'_>) {
    for key in ["access_key", "secret_key", "session_token"] {
        if let Some(item) = fields.get(key) {
            let what = "the target's keys are issued";
            item.place.wrong(Rejected::new(what).hint("leave it out, or credentials").secret());
        }
    }
}

/// Both files or none. Over plain HTTP nobody would ask for them.
fn client_cert(
    fields: &mut Fields<'_>,
    endpoint: Option<&Endpoint>,
    sources: &dyn Sources,
) -> Option<Option<ClientCert>> {
    let written: Vec<_> =
        [fields.get("client_cert"), fields.get("client_key")].into_iter().flatten().collect();
    let Some(first) = written.first() else { return Some(None) };
    if endpoint.is_some_and(|endpoint| !endpoint.tls) {
        first.place.wrong(Rejected::new("the endpoint is not https, so nobody asks for a certificate"));
    }
    let cert = fields.need("client_cert", "\"/etc/blobfish/client.crt\"");
    let cert = cert.and_then(|item| certificates(&item, sources));
    let key = fields.need("client_key", "\"/etc/blobfish/client.key\"");
    let key = key.and_then(|item| item.parsed(|path| private_key(path, sources)));
    Some(Some(ClientCert { cert: cert?, key: key? }))
}

fn private_key(path: &str, sources: &dyn Sources) -> Result<PathBuf, Rejected> {
    let pem = secrecy::SecretString::from(private_file(path, path, sources)?);
    let holds_key = secrecy::ExposeSecret::expose_secret(&pem).contains("PRIVATE KEY-----");
    holds_key.then(|| PathBuf::from(path)).ok_or_else(|| Rejected::new("the file holds no PEM private key"))
}

/// A copy that is carried within one target reads and writes there.
fn target_connections(fields: &mut Fields<'_>) -> Option<u32> {
    let item = fields.get("connections_max");
    let count = fields.count("connections_max", 0..=1_000_000, 0_u32)?;
    if let Some(item) = item.filter(|_| count == 1) {
        let what = "a copy needs one connection to read and one to write";
        item.place.wrong(Rejected::new(what).hint("write 2 or more, or 0 for no limit"));
        return None;
    }
    Some(count)
}

/// Notes what an endpoint, well written by itself, does not allow. `None` where a key was not understood: nothing is
/// said of it then.
fn endpoint_suits(endpoint: &At<'_, Endpoint>, addressing: Option<Addressing>, insecure: Option<bool>) {
    let At { value, place } = endpoint;
    if !value.tls && !value.is_loopback() && insecure == Some(false) {
        let what = "plain HTTP to another machine shows every object to those between";
        place.wrong(Rejected::new(what).hint("write https, or insecure = true if that is meant"));
    }
    if value.ip().is_some() && addressing == Some(Addressing::Virtual) {
        let what = "a bucket cannot stand before an IP address";
        place.wrong(Rejected::new(what).hint("write addressing = \"path\""));
    }
}

fn signing(fields: &mut Fields<'_>, dialect: Option<&str>) -> Option<Signing> {
    if let Some(item) = fields.get("signing")
        && dialect.is_some_and(|dialect| dialect != SIGNING_DIALECT)
    {
        let what = format!("only dialect \"{SIGNING_DIALECT}\" has a choice of signatures");
        item.place.wrong(Rejected::new(what));
    }
    fields.word("signing", SIGNING, Signing::V4)
}

/// An absent key is understood: it means `None`.
fn optional<'a, T>(item: Option<Item<'a>>, read: impl FnOnce(Item<'a>) -> Option<T>) -> Option<Option<T>> {
    item.map_or(Some(None), |item| read(item).map(Some))
}

type Secret = secrecy::SecretString;

fn secrets(fields: &mut Fields<'_>, sources: &dyn Sources) -> (Option<Secret>, Option<Option<Secret>>) {
    let key = fields.need("secret_key", "{ env = \"NAME\" }").and_then(|item| secret(&item, sources));
    let token = optional(fields.get("session_token"), |item| secret(&item, sources));
    (key, token)
}

fn a_dialect(item: &Item<'_>, known: &Known<'_>) -> Option<String> {
    item.known(known.dialects.iter().map(|row| row.0));
    item.parsed(|word| dialect_name(word, known))
}

fn dialect_name(word: &str, known: &Known<'_>) -> Result<String, Rejected> {
    let names: Vec<_> = known.dialects.iter().map(|row| row.0).collect();
    if names.contains(&word) {
        return Ok(word.to_owned());
    }
    let unknown = Rejected::unknown("dialect", word, &names);
    match known.dialects.iter().find(|row| row.1.contains(&word)) {
        Some((dialect, _)) => Err(unknown.hint(format!("it is a profile of dialect \"{dialect}\""))),
        None => Err(unknown),
    }
}

/// Where the dialect was not understood nothing can be said of its profile.
fn profile_name(word: &str, dialect: Option<&str>, known: &Known<'_>) -> Result<String, Rejected> {
    let profiles = known.dialects.iter().find(|row| Some(row.0) == dialect).map(|row| row.1);
    match profiles {
        Some([]) => Err(Rejected::new("this dialect has no profiles").hint("leave the key out")),
        Some(profiles) if !profiles.contains(&word) => Err(Rejected::unknown("profile", word, profiles)),
        _ => Ok(word.to_owned()),
    }
}

fn region_name(text: &str) -> Result<String, Rejected> {
    let is_region =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let bad = || Rejected::new("not a region").hint("use letters, digits, hyphens, underscores and dots");
    is_region.then(|| text.to_owned()).ok_or_else(bad)
}

/// An access key stands in headers and queries of every dialect, between their separators.
fn access_key_id(text: &str) -> Result<String, Rejected> {
    let key = visible(text, "access key")?;
    if key.contains(['/', ',', ';', ':', '&', '=', '"', '\'', '\\']) {
        return Err(Rejected::new("an access key holds no separators or quotes"));
    }
    Ok(key)
}

fn visible(text: &str, noun: &str) -> Result<String, Rejected> {
    if text.is_empty() {
        return Err(Rejected::new(format!("the {noun} is empty")));
    }
    let is_visible = text.len() <= 512 && text.bytes().all(|b| b.is_ascii_graphic());
    let bad = || Rejected::new(format!("not a {noun}")).hint("use visible ASCII characters, no spaces");
    is_visible.then(|| text.to_owned()).ok_or_else(bad)
}

/// The name of a section. It becomes a metric's label and a word in logs.
fn name<'a>(fields: &mut Fields<'a>, example: &str) -> Name<'a> {
    let item = fields.need("name", example)?;
    let value = item.parsed(|text| {
        let is_name = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let bad =
            || Rejected::new("not a name").hint("use 1 to 64 letters, digits, hyphens, underscores and dots");
        (is_name && (1..=64).contains(&text.len())).then(|| text.to_owned()).ok_or_else(bad)
    })?;
    Some(At { value, place: item.place })
}

// --- Buckets ---

fn bucket<'a>(mut fields: Fields<'a>, targets: &[Name<'_>]) -> (Name<'a>, Option<BucketRule>) {
    let name_item = fields.need("name", "\"photos\"");
    let name = name_item.as_ref().and_then(|item| item.parsed(Pattern::parse));
    let target =
        fields.need("target", "\"aliyun\"").and_then(|item| item.parsed(|word| index(word, targets)));
    let target_bucket_item = fields.get("target_bucket");
    let target_bucket = fields.get("target_bucket");
    let target_bucket = optional(target_bucket, |item| item.parsed(bucket_name));
    let unsupported = fields.word("unsupported", UNSUPPORTED, Unsupported::Refuse);
    let conditions = fields.word("conditions", CONDITIONS, Conditions::ByTarget);
    let relay = fields.flag("relay");
    let anonymous_read = fields.word("anonymous", ANONYMOUS, false);
    fields.finish();

    if let (Some(item), Some(name)) = (target_bucket_item, &name)
        && name.exact().is_none()
    {
        item.place.wrong(
            Rejected::new("a pattern keeps names").hint("leave target_bucket out, or name one bucket"),
        );
    }

    let written =
        name.as_ref().zip(name_item).map(|(name, item)| At { value: name.to_string(), place: item.place });
    let built = || {
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
    (written, built())
}

fn index(word: &str, targets: &[Name<'_>]) -> Result<usize, Rejected> {
    if targets.is_empty() {
        return Ok(0); // Only the lack of targets is told; no configuration comes of this.
    }
    let names: Vec<_> = targets.iter().flatten().map(|name| name.value.as_str()).collect();
    let found = targets.iter().position(|name| name.as_ref().is_some_and(|name| name.value == word));
    found.ok_or_else(|| Rejected::unknown("target", word, &names))
}

// --- Callers ---

/// A caller's name and access keys, and the caller.
type Written<'a> = ((Name<'a>, Vec<Name<'a>>), Option<Caller>);

fn caller<'a>(mut fields: Fields<'a>, sources: &dyn Sources) -> Written<'a> {
    let name = name(&mut fields, "\"photo-app\"");
    let (access_keys, keys) = caller_keys(&mut fields, sources);
    let grants = fields.tables("grants").into_iter().map(grant).collect::<Option<Vec<_>>>();
    let signatures = signatures(&mut fields);
    let cos_strict = fields.word("cos_signing", COS_STRICT, false);
    let requests_per_second = fields.count("requests_per_second", 0..=REQUESTS_MAX, 0_u32);
    let requests_at_once = fields.count("requests_at_once", 0..=REQUESTS_MAX, 0_u32);
    fields.finish();

    let built = || {
        Some(Caller {
            name: name.as_ref()?.value.clone(),
            keys: keys?,
            requests_per_second: NonZeroU32::new(requests_per_second?),
            requests_at_once: NonZeroU32::new(requests_at_once?),
            grants: grants?,
            signatures: signatures?,
            cos_strict: cos_strict?,
        })
    };
    let caller = built();
    ((name, access_keys), caller)
}

/// The key that stands beside the name, and the list of others. Either may be left out where the other is there.
fn caller_keys<'a>(
    fields: &mut Fields<'a>,
    sources: &dyn Sources,
) -> (Vec<Name<'a>>, Option<Vec<CallerKey>>) {
    let more = fields.tables("keys");
    let is_own = ["access_key", "secret_key", "session_token"].map(|key| fields.get(key).is_some());
    let mut keys = Vec::new();
    if more.is_empty() || is_own.contains(&true) {
        keys.push(caller_key(fields, sources));
    }
    for mut fields in more {
        keys.push(caller_key(&mut fields, sources));
        fields.finish();
    }
    let (access_keys, keys): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
    (access_keys, keys.into_iter().collect())
}

fn caller_key<'a>(fields: &mut Fields<'a>, sources: &dyn Sources) -> (Name<'a>, Option<CallerKey>) {
    let access_key = fields.need("access_key", "\"AKID...\"").and_then(|item| {
        let value = item.parsed(access_key_id)?;
        Some(At { value, place: item.place })
    });
    let (secret_key, session_token) = secrets(fields, sources);
    let built = || {
        let access_key = access_key.as_ref()?.value.clone();
        Some(CallerKey { access_key, secret_key: secret_key?, session_token: session_token? })
    };
    let key = built();
    (access_key, key)
}

fn grant(mut fields: Fields<'_>) -> Option<Grant> {
    let item = fields.need("buckets", "[\"photos-*\"]");
    let buckets = fields.list("buckets", |item| item.parsed(Pattern::parse));
    let access = fields.need("access", "\"read\"");
    let access = access.and_then(|item| item.word("access", ACCESS));
    fields.finish();
    if let Some(item) = item.filter(Item::is_empty_list) {
        item.place.wrong(Rejected::new("a grant for no bucket").hint("leave the grant out"));
    }
    Some(Grant { buckets, access: access? })
}

fn signatures(fields: &mut Fields<'_>) -> Option<Vec<String>> {
    let Some(item) = fields.get("signatures") else {
        return Some(SIGNATURES.iter().map(|&word| word.to_owned()).collect());
    };
    if item.is_empty_list() {
        item.place
            .wrong(Rejected::new("the caller could not sign anything").hint("leave the key out for all"));
    }
    let known = |word: &str| SIGNATURES.contains(&word).then(|| word.to_owned());
    let read = |item: Item<'_>| {
        item.known(SIGNATURES.iter().copied());
        item.parsed(|word| known(word).ok_or_else(|| Rejected::unknown("signature", word, SIGNATURES)))
    };
    item.list()?.into_iter().map(read).collect()
}
