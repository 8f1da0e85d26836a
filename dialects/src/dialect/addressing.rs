//! Which bucket a host and a path name.

use crate::dialect::definition::{Dialect, HostForm};
use crate::dialect::signature::ResourceAddress;
use crate::encoding::percent;
use crate::model::{ErrorKind, RawHead, Rejection};

/// What a host alone says of a request, whatever the request is signed with.
#[derive(Debug, Clone)]
pub enum ParsedHost {
    /// An IP address, or `localhost`: no vendor, and the bucket in the path.
    Address,
    /// A configured base name, or a name below `localhost`, which clients of every dialect may use.
    Base {
        /// Bucket, where one stands before the base name.
        bucket: Option<String>,
    },
    /// A host of a vendor.
    Vendor {
        /// Whose.
        dialect: &'static Dialect,
        /// Bucket, where the host has one.
        bucket: Option<String>,
        /// Whether a base name stands for the vendor's domain.
        via_base_name: bool,
    },
}

/// The base name that every installation has. It stands for a vendor's domain as well, as every base name does.
const LOCALHOST: &str = "localhost";

const LOCALHOST_LABELS: &[&str] = &[LOCALHOST];

/// Reads a host, without port, against the hosts of every dialect and the configured base names. `None`: nobody knows it,
/// and nothing may be guessed from its path.
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
    // Of several base names that fit the longest is meant.
    let bases = base_names.iter().map(|base| base.to_ascii_lowercase()).chain([LOCALHOST.to_owned()]);
    let matching = bases.filter_map(|base| Some((strip_base_name(&host, &base)?, base)));
    let (bucket, base) = matching.max_by_key(|row| row.1.len())?;
    let stand_in: Vec<&str> = base.rsplit('.').collect();
    parse_vendor_host(&labels, dialects, Some(&stand_in)).unwrap_or(Some(ParsedHost::Base { bucket }))
}

/// Reads a host by the vendors' forms, with their own domains or with a name that stands in for them. `None`: it has none
/// of the forms. `Some(None)`: it has one, of something that is no object API.
fn parse_vendor_host(
    labels: &[&str],
    dialects: &[&'static Dialect],
    stand_in: Option<&[&str]>,
) -> Option<Option<ParsedHost>> {
    let (dialect, form, bucket) = dialects.iter().find_map(|dialect| {
        let match_bucket = |form: &HostForm| match stand_in {
            None => match_host_form(form, form.domain, labels),
            // A bucket's name may have dots; only where a region stands is it more likely to be a service.
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

/// Whether a region, or acceleration, stands where the form has one.
fn has_region_label(form: &HostForm, domain: &[&str], labels: &[&str]) -> bool {
    let at = labels.iter().skip(domain.len()).zip(form.service);
    at.filter_map(|(label, want)| label.strip_prefix(want.strip_suffix('*')?)).any(|region| {
        let (continent, rest) = region.split_once('-').unwrap_or_default();
        let is_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
        let place = rest.split('-').next().unwrap_or_default();
        region.starts_with("accelerate")
            || ((2..=4).contains(&continent.len()) && is_word(continent) && is_word(place))
    })
}

/// What stands before a base name; `Some(None)` where the host is the base name.
fn strip_base_name(host: &str, base: &str) -> Option<Option<String>> {
    match host.strip_suffix(base)? {
        "" => Some(None),
        rest => rest.strip_suffix('.').map(|bucket| Some(bucket.to_owned())),
    }
}

/// Finds bucket and key of a request that a client of this dialect sent, before its signature is verified: some schemes
/// sign them. The bucket is in the host or, where the dialect has path style and the host has no bucket, in the path.
/// Nothing else is tried: what cannot be read in one way only is refused.
///
/// # Errors
/// `UnknownHost`, `PathStyleForbidden`, `UnsupportedSignature` for a client of a dialect that the vendor of the host does
/// not serve; a path that does not decode.
pub fn locate_resource(
    head: &RawHead,
    dialect: &Dialect,
    dialects: &[&'static Dialect],
    base_names: &[String],
) -> Result<ResourceAddress, Rejection> {
    let path = head.path.strip_prefix('/').ok_or(ErrorKind::InvalidUri)?;
    let host = strip_port(head.host());
    let parsed = parse_host(host, dialects, base_names).ok_or_else(|| unknown_host_error(host))?;
    let (bucket, path_style) = match parsed {
        // A dialect without path style has nothing to say there: the root may mean the account or a bucket.
        ParsedHost::Address if !dialect.path_style => return Err(unknown_host_error(host)),
        ParsedHost::Address => (None, true),
        ParsedHost::Base { bucket } => (bucket, dialect.path_style),
        ParsedHost::Vendor { dialect: vendor, bucket, .. } => {
            if !vendor.serves_clients_of(dialect) {
                return Err(ErrorKind::UnsupportedSignature.into());
            }
            (bucket, vendor.family == dialect.family && dialect.path_style)
        }
    };
    let decode = |text: &str| percent::decode(text).map_err(|_| Rejection::new(ErrorKind::InvalidUri));
    match bucket {
        Some(bucket) if !dialect.allows_bucket_in_host(&bucket) => Err(unknown_host_error(host)),
        Some(bucket) => {
            let key = (!path.is_empty()).then(|| decode(path)).transpose()?;
            Ok(ResourceAddress { bucket: Some(bucket), key, virtual_host: true })
        }
        None if path.is_empty() => Ok(ResourceAddress { bucket: None, key: None, virtual_host: false }),
        None if !path_style => Err(ErrorKind::PathStyleForbidden.into()),
        None => {
            let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
            let key = (!key.is_empty()).then(|| decode(key)).transpose()?;
            Ok(ResourceAddress { bucket: Some(decode(bucket)?), key, virtual_host: false })
        }
    }
}

fn unknown_host_error(host: &str) -> Rejection {
    let shown: String = host.chars().take(HOST_CHARS_MAX).collect();
    Rejection::with_message(
        ErrorKind::UnknownHost,
        format!(
            "The host {shown} is not an endpoint of this service for this request. An operator can add it, or the name \
             behind its bucket, to [hosts] base in the configuration."
        ),
    )
}

/// The other reading of a key: some SDKs send a space in a path as `+`, as forms do. `None`: there is only one.
pub fn decode_key_plus_as_space(head: &RawHead, address: &ResourceAddress) -> Option<String> {
    let path = head.path.strip_prefix('/')?;
    let key = if address.virtual_host { path } else { path.split_once('/')?.1 };
    key.contains('+').then(|| percent::decode_form(key).ok()).flatten()
}

/// Characters of a host that an error shows: what DNS allows.
const HOST_CHARS_MAX: usize = 253;

/// The bucket of a copy source's host, if the host is of this dialect's forms or of a base name.
pub fn find_bucket_in_host(host: &str, hosts: &[HostForm]) -> Option<String> {
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

/// The region that a host names, with or without a bucket before it.
pub fn find_region_in_host(host: &str, hosts: &[HostForm]) -> Option<String> {
    let host = strip_port(host).to_ascii_lowercase();
    let labels: Vec<&str> = host.rsplit('.').collect();
    let find_region = |form: &HostForm, domain: &[&str]| {
        match_host_form(form, domain, &labels)?;
        let wanted = domain.iter().chain(form.service);
        let region =
            wanted.zip(&labels).find_map(|(want, label)| label.strip_prefix(want.strip_suffix('*')?));
        // An end point for the vendor's own network is of the same region.
        region.map(|region| region.strip_suffix("-internal").unwrap_or(region).to_owned())
    };
    hosts
        .iter()
        .find_map(|form| find_region(form, form.domain).or_else(|| find_region(form, LOCALHOST_LABELS)))
}

/// The host of an authority.
pub fn strip_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) && !host.ends_with(':') => {
            host
        }
        _ => authority,
    }
}

/// The other ways to write an authority whose port is that of HTTP or HTTPS: without the port, or with it.
pub fn list_equivalent_authorities(authority: &str) -> Vec<String> {
    let host = strip_port(authority);
    match authority.strip_prefix(host) {
        Some("") => DEFAULT_PORTS.iter().map(|port| format!("{host}{port}")).collect(),
        Some(port) if DEFAULT_PORTS.contains(&port) => vec![host.to_owned()],
        _ => Vec::new(),
    }
}

/// The ports that clients leave out.
const DEFAULT_PORTS: [&str; 2] = [":80", ":443"];

/// `Some(bucket)` where domain and service fit; the bucket is what stands further left, if anything does.
fn match_host_form(form: &HostForm, domain: &[&str], labels: &[&str]) -> Option<Option<String>> {
    let wanted: Vec<&str> = domain.iter().chain(form.service).copied().collect();
    if labels.len() < wanted.len()
        || !wanted.iter().zip(labels).all(|(want, label)| matches_label(want, label))
    {
        return None;
    }
    let bucket: Vec<&str> = labels.iter().skip(wanted.len()).rev().copied().collect();
    Some((!bucket.is_empty()).then(|| bucket.join(".")))
}

fn matches_label(want: &str, label: &str) -> bool {
    match want.strip_suffix('*') {
        Some(prefix) => label.starts_with(prefix) && label.len() > prefix.len(),
        None => want == label,
    }
}
