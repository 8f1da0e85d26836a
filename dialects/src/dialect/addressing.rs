//! Finds the bucket and the key of a request in its host and path.

use crate::dialect::definition::{Dialect, HostForm};
use crate::dialect::signature::ResourceAddress;
use crate::encoding::percent;
use crate::model::{ErrorKind, RawHead, Rejection, RequestScope};

/// A request's host, read without regard to how the request is signed.
#[derive(Debug, Clone)]
pub enum ParsedHost {
    /// An IP address or `localhost`. It belongs to no vendor, and the bucket is in the path.
    Address,
    /// A configured base name, or a name below `localhost`. Clients of every dialect may use it.
    Base {
        /// The bucket, if there is one before the base name.
        bucket: Option<String>,
    },
    /// A host of a vendor.
    Vendor {
        /// The vendor's dialect.
        dialect: &'static Dialect,
        /// The bucket, if the host contains one.
        bucket: Option<String>,
        /// Whether a base name replaces the vendor's domain.
        via_base_name: bool,
    },
}

/// The base name that every installation has. Like every base name, it can replace a vendor's domain.
const LOCALHOST: &str = "localhost";

const LOCALHOST_LABELS: &[&str] = &[LOCALHOST];

/// Matches a host without port with the hosts of every dialect and with the configured base names. `None` if it
/// matches none of them.
pub fn parse_host(host: &str, dialects: &[&'static Dialect], base_names: &[String]) -> Option<ParsedHost> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let is_address = host.parse::<std::net::IpAddr>().is_ok() || host.starts_with('[');
    if is_address || host == LOCALHOST {
        return Some(ParsedHost::Address);
    }
    let labels: Vec<&str> = host.rsplit('.').collect();
    if labels.iter().any(|label| label.is_empty()) {
        return None;
    }
    if let Some(reading) = parse_vendor_host(&labels, dialects, None) {
        return reading;
    }
    // The longest base name that matches is the most specific one: `b.example` may be configured beside `example`.
    let bases = base_names.iter().map(|base| base.to_ascii_lowercase()).chain([LOCALHOST.to_owned()]);
    let matching = bases.filter_map(|base| Some((strip_base_name(&host, &base)?, base)));
    let (bucket, base) = matching.max_by_key(|row| row.1.len())?;
    let stand_in: Vec<&str> = base.rsplit('.').collect();
    parse_vendor_host(&labels, dialects, Some(&stand_in)).unwrap_or(Some(ParsedHost::Base { bucket }))
}

/// Matches a host with the vendors' host forms, under the vendors' own domains or under a base name that replaces
/// them. `None` if it matches no form. `Some(None)` if the form is not one of an object API.
fn parse_vendor_host(
    labels: &[&str],
    dialects: &[&'static Dialect],
    stand_in: Option<&[&str]>,
) -> Option<Option<ParsedHost>> {
    let (dialect, form, bucket) = dialects.iter().find_map(|dialect| {
        let match_bucket = |form: &HostForm| match stand_in {
            None => match_host_form(form, form.domain, labels),
            // A bucket name may contain dots, so under a base name the labels could all be the bucket. A label that
            // looks like a region makes the vendor's host form more likely.
            Some(domain) => match_host_form(form, domain, labels).filter(|_| {
                domain == [LOCALHOST] && !form.has_region() || has_region_label(form, domain, labels)
            }),
        };
        dialect.hosts.iter().find_map(|form| Some((*dialect, form, match_bucket(form)?)))
    })?;
    let is_valid =
        form.is_api && bucket.as_deref().is_none_or(|bucket| dialect.allows_bucket_in_host(bucket));
    let via_base_name = stand_in.is_some();
    Some(is_valid.then_some(ParsedHost::Vendor { dialect, bucket, via_base_name }))
}

/// Whether a region, or `accelerate`, is where the form has one.
fn has_region_label(form: &HostForm, domain: &[&str], labels: &[&str]) -> bool {
    // Regions have no list, because vendors add new ones: `cn-hangzhou`, `ap-guangzhou`, `us-east-1` have this shape.
    let at = labels.iter().skip(domain.len()).zip(form.service);
    at.filter_map(|(label, want)| label.strip_prefix(want.strip_suffix('*')?)).any(|region| {
        let (continent, rest) = region.split_once('-').unwrap_or_default();
        let is_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
        let area = rest.split('-').next().unwrap_or_default();
        region.starts_with("accelerate")
            || ((2..=4).contains(&continent.len()) && is_word(continent) && is_word(area))
    })
}

/// The part of a host before a base name. `Some(None)` if the host is the base name.
fn strip_base_name(host: &str, base: &str) -> Option<Option<String>> {
    match host.strip_suffix(base)? {
        "" => Some(None),
        rest => rest.strip_suffix('.').map(|bucket| Some(bucket.to_owned())),
    }
}

/// Finds bucket and key of a request that a client of this dialect sent. This happens before the signature is
/// verified, because some schemes sign bucket and key. The bucket is in the host or, where the dialect has path style
/// and the host has no bucket, in the path. A request that could be read in two ways is rejected.
///
/// # Errors
/// `UnknownHost`, `PathStyleForbidden`, `UnsupportedSignature` for a client of a dialect that the vendor of the host
/// does not serve; a path that does not decode.
pub fn locate_resource(
    head: &RawHead,
    dialect: &Dialect,
    dialects: &[&'static Dialect],
    base_names: &[String],
) -> Result<ResourceAddress, Rejection> {
    let host = parse_host(strip_port(head.host()), dialects, base_names);
    locate_resource_at_host(head, host.as_ref(), dialect)
}

/// As [`locate_resource`], with the host parsed; `None`: the host is not known.
///
/// # Errors
/// As [`locate_resource`].
pub(crate) fn locate_resource_at_host(
    head: &RawHead,
    parsed_host: Option<&ParsedHost>,
    dialect: &Dialect,
) -> Result<ResourceAddress, Rejection> {
    let path = head.path.strip_prefix('/').ok_or(ErrorKind::InvalidUri)?;
    let host = strip_port(head.host());
    let (bucket, path_style) = match parsed_host.ok_or_else(|| unknown_host_error(host))? {
        // Without path style a bucket cannot be named at an IP address, and `/` could mean the account or a bucket.
        ParsedHost::Address if !dialect.path_style => return Err(unknown_host_error(host)),
        ParsedHost::Address => (None, true),
        ParsedHost::Base { bucket } => (bucket.as_deref(), dialect.path_style),
        ParsedHost::Vendor { dialect: vendor, bucket, .. } => {
            if !vendor.serves_clients_of(dialect) {
                return Err(ErrorKind::UnsupportedSignature.into());
            }
            (bucket.as_deref(), vendor.family == dialect.family && dialect.path_style)
        }
    };
    let decode = |text: &str| percent::decode(text).map_err(|_| Rejection::new(ErrorKind::InvalidUri));
    match bucket {
        Some(bucket) if !dialect.allows_bucket_in_host(bucket) => Err(unknown_host_error(host)),
        Some(bucket) => {
            let key = (!path.is_empty()).then(|| decode(path)).transpose()?;
            Ok(ResourceAddress { scope: build_scope(bucket.to_owned(), key), virtual_host: true })
        }
        None if path.is_empty() => Ok(ResourceAddress { scope: RequestScope::Service, virtual_host: false }),
        None if !path_style => Err(ErrorKind::PathStyleForbidden.into()),
        None => {
            let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
            let key = (!key.is_empty()).then(|| decode(key)).transpose()?;
            Ok(ResourceAddress { scope: build_scope(decode(bucket)?, key), virtual_host: false })
        }
    }
}

fn build_scope(bucket: String, key: Option<String>) -> RequestScope {
    match key {
        Some(key) => RequestScope::Object { bucket, key },
        None => RequestScope::Bucket(bucket),
    }
}

fn unknown_host_error(host: &str) -> Rejection {
    let printed: String = host.chars().take(HOST_CHARS_MAX).collect();
    Rejection::with_message(
        ErrorKind::UnknownHost,
        format!(
            "The host {printed} is not an endpoint of this service for this request. An operator can add it, or the \
             name behind its bucket, to [hosts] base in the configuration."
        ),
    )
}

/// The key with `+` decoded as a space, which some SDKs send in paths as in forms. `None` if the key has no `+`.
pub(crate) fn decode_key_plus_as_space(head: &RawHead, address: &ResourceAddress) -> Option<String> {
    let path = head.path.strip_prefix('/')?;
    let key = if address.virtual_host { path } else { path.split_once('/')?.1 };
    key.contains('+').then(|| percent::decode_form(key).ok()).flatten()
}

/// Characters of a host that an error message contains at most: the longest name that DNS allows.
const HOST_CHARS_MAX: usize = 253;

/// The bucket in the host of a copy source, if the host matches a form of this dialect, or such a form under
/// `localhost`.
pub(crate) fn find_bucket_in_host(host: &str, hosts: &[HostForm]) -> Option<String> {
    let host = strip_port(host).to_ascii_lowercase();
    let labels: Vec<&str> = host.rsplit('.').collect();
    let forms = hosts.iter();
    forms
        .filter(|form| form.is_api)
        .flat_map(|form| {
            [match_host_form(form, form.domain, &labels), match_host_form(form, LOCALHOST_LABELS, &labels)]
        })
        .flatten()
        .flatten()
        .next()
}

/// The region in a host. The host may contain a bucket.
pub fn find_region_in_host(host: &str, hosts: &[HostForm]) -> Option<String> {
    let host = strip_port(host).to_ascii_lowercase();
    let labels: Vec<&str> = host.rsplit('.').collect();
    let find_region = |form: &HostForm, domain: &[&str]| {
        match_host_form(form, domain, &labels)?;
        let wanted = domain.iter().chain(form.service);
        let region =
            wanted.zip(&labels).find_map(|(want, label)| label.strip_prefix(want.strip_suffix('*')?));
        // The endpoint for the vendor's internal network belongs to the same region.
        region.map(|region| region.strip_suffix("-internal").unwrap_or(region).to_owned())
    };
    hosts
        .iter()
        .find_map(|form| find_region(form, form.domain).or_else(|| find_region(form, LOCALHOST_LABELS)))
}

/// The host of an authority, without the port.
pub fn strip_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        // The digits after the last colon of `::1` are not a port.
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) && !host.ends_with(':') => {
            host
        }
        _ => authority,
    }
}

/// The other spellings of an authority with the default port of HTTP or HTTPS: without the port, or with it.
pub(crate) fn list_equivalent_authorities(authority: &str) -> Vec<String> {
    let host = strip_port(authority);
    match authority.strip_prefix(host) {
        Some("") => DEFAULT_PORTS.iter().map(|port| format!("{host}{port}")).collect(),
        Some(port) if DEFAULT_PORTS.contains(&port) => vec![host.to_owned()],
        _ => Vec::new(),
    }
}

/// The default ports, which clients may omit.
const DEFAULT_PORTS: [&str; 2] = [":80", ":443"];

/// `Some(bucket)` if domain and service match. The bucket consists of the labels to the left of them, if there are
/// any.
fn match_host_form(form: &HostForm, domain: &[&str], labels: &[&str]) -> Option<Option<String>> {
    let mut labels = labels.iter();
    let mut wanted = domain.iter().chain(form.service);
    if !wanted.all(|want| labels.next().is_some_and(|label| matches_label(want, label))) {
        return None;
    }
    let bucket: Vec<&str> = labels.rev().copied().collect();
    Some((!bucket.is_empty()).then(|| bucket.join(".")))
}

fn matches_label(want: &str, label: &str) -> bool {
    match want.strip_suffix('*') {
        Some(prefix) => label.starts_with(prefix) && label.len() > prefix.len(),
        None => want == label,
    }
}
