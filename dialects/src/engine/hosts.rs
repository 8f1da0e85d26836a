//! Which bucket a host and a path name.

use crate::engine::auth::Place;
use crate::engine::dialect::{Dialect, HostForm};
use crate::model::{Fault, RawHead, Refusal};
use crate::wire::percent;

/// What a host alone says of a request, whatever the request is signed with.
#[derive(Debug, Clone)]
pub enum HostReading {
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
        local: bool,
    },
}

/// The base name that every installation has. It stands for a vendor's domain as well, as every base name does.
const LOCALHOST: &str = "localhost";

const LOCAL: &[&str] = &[LOCALHOST];

/// Reads a host, without port, against the hosts of every dialect and the configured base names. `None`: nobody knows it,
/// and nothing may be guessed from its path.
pub fn read_host(host: &str, dialects: &[&'static Dialect], base: &[String]) -> Option<HostReading> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let is_address = host.parse::<std::net::IpAddr>().is_ok() || host.starts_with('[');
    if is_address || host == LOCALHOST {
        return Some(HostReading::Address);
    }
    let labels: Vec<&str> = host.rsplit('.').collect();
    if labels.iter().any(|label| label.is_empty()) {
        return None;
    }
    if let Some(reading) = read_vendor_host(&labels, dialects, None) {
        return reading;
    }
    // Of several base names that fit the longest is meant.
    let bases = base.iter().map(|base| base.to_ascii_lowercase()).chain([LOCALHOST.to_owned()]);
    let fitting = bases.filter_map(|base| Some((before(&host, &base)?, base)));
    let (bucket, base) = fitting.max_by_key(|row| row.1.len())?;
    let stand_in: Vec<&str> = base.rsplit('.').collect();
    read_vendor_host(&labels, dialects, Some(&stand_in)).unwrap_or(Some(HostReading::Base { bucket }))
}

/// Reads a host by the vendors' forms, with their own domains or with a name that stands in for them. `None`: it has none
/// of the forms. `Some(None)`: it has one, of something that is no object API.
fn read_vendor_host(
    labels: &[&str],
    dialects: &[&'static Dialect],
    stand_in: Option<&[&str]>,
) -> Option<Option<HostReading>> {
    let (dialect, form, bucket) = dialects.iter().find_map(|dialect| {
        let read = |form: &HostForm| match stand_in {
            None => match_form(form, form.domain, labels),
            // A bucket's name may have dots; only where a region stands is it more likely to be a service.
            Some(domain) => match_form(form, domain, labels).filter(|_| {
                domain == [LOCALHOST] && !form.has_region() || names_region(form, domain, labels)
            }),
        };
        dialect.hosts.iter().find_map(|form| Some((*dialect, form, read(form)?)))
    })?;
    let fits = form.is_api && bucket.as_deref().is_none_or(|bucket| dialect.can_name_in_host(bucket));
    let local = stand_in.is_some();
    Some(fits.then_some(HostReading::Vendor { dialect, bucket, local }))
}

/// Whether a region, or acceleration, stands where the form has one.
fn names_region(form: &HostForm, domain: &[&str], labels: &[&str]) -> bool {
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
fn before(host: &str, base: &str) -> Option<Option<String>> {
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
pub fn place(
    head: &RawHead,
    dialect: &Dialect,
    dialects: &[&'static Dialect],
    base: &[String],
) -> Result<Place, Refusal> {
    let path = head.path.strip_prefix('/').ok_or(Fault::InvalidUri)?;
    let host = without_port(head.host());
    let reading = read_host(host, dialects, base).ok_or_else(|| unknown_host(host))?;
    let (bucket, path_style) = match reading {
        // A dialect without path style has nothing to say there: the root may mean the account or a bucket.
        HostReading::Address if !dialect.path_style => return Err(unknown_host(host)),
        HostReading::Address => (None, true),
        HostReading::Base { bucket } => (bucket, dialect.path_style),
        HostReading::Vendor { dialect: vendor, bucket, .. } => {
            if !vendor.serves(dialect) {
                return Err(Fault::UnsupportedSignature.into());
            }
            (bucket, vendor.family == dialect.family && dialect.path_style)
        }
    };
    let decode = |text: &str| percent::decode(text).map_err(|_| Refusal::new(Fault::InvalidUri));
    match bucket {
        Some(bucket) if !dialect.can_name_in_host(&bucket) => Err(unknown_host(host)),
        Some(bucket) => {
            let key = (!path.is_empty()).then(|| decode(path)).transpose()?;
            Ok(Place { bucket: Some(bucket), key, virtual_host: true })
        }
        None if path.is_empty() => Ok(Place { bucket: None, key: None, virtual_host: false }),
        None if !path_style => Err(Fault::PathStyleForbidden.into()),
        None => {
            let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
            let key = (!key.is_empty()).then(|| decode(key)).transpose()?;
            Ok(Place { bucket: Some(decode(bucket)?), key, virtual_host: false })
        }
    }
}

fn unknown_host(host: &str) -> Refusal {
    let shown: String = host.chars().take(HOST_CHARS_SHOWN).collect();
    Refusal::say(
        Fault::UnknownHost,
        format!(
            "The host {shown} is not an endpoint of this service for this request. An operator can add it, or the name \
             behind its bucket, to [hosts] base in the configuration."
        ),
    )
}

/// The other reading of a key: some SDKs send a space in a path as `+`, as forms do. `None`: there is only one.
pub fn key_with_spaces(head: &RawHead, place: &Place) -> Option<String> {
    let path = head.path.strip_prefix('/')?;
    let key = if place.virtual_host { path } else { path.split_once('/')?.1 };
    key.contains('+').then(|| percent::decode_form(key).ok()).flatten()
}

/// Characters of a host that an error shows: what DNS allows.
const HOST_CHARS_SHOWN: usize = 253;

/// The bucket of a copy source's host, if the host is of this dialect's forms or of a base name.
pub fn bucket_of_host(host: &str, hosts: &[HostForm]) -> Option<String> {
    let host = without_port(host).to_ascii_lowercase();
    let labels: Vec<&str> = host.rsplit('.').collect();
    let forms = hosts.iter();
    forms
        .filter(|form| form.is_api)
        .flat_map(|form| [match_form(form, form.domain, &labels), match_form(form, LOCAL, &labels)])
        .flatten()
        .flatten()
        .next()
}

/// The region that a host names, with or without a bucket before it.
pub fn region(host: &str, hosts: &[HostForm]) -> Option<String> {
    let host = without_port(host).to_ascii_lowercase();
    let labels: Vec<&str> = host.rsplit('.').collect();
    let named = |form: &HostForm, domain: &[&str]| {
        match_form(form, domain, &labels)?;
        let wanted = domain.iter().chain(form.service);
        let region =
            wanted.zip(&labels).find_map(|(want, label)| label.strip_prefix(want.strip_suffix('*')?));
        // An end point for the vendor's own network is of the same region.
        region.map(|region| region.strip_suffix("-internal").unwrap_or(region).to_owned())
    };
    hosts.iter().find_map(|form| named(form, form.domain).or_else(|| named(form, LOCAL)))
}

/// The host of an authority.
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) && !host.ends_with(':') => {
            host
        }
        _ => authority,
    }
}

/// The other ways to write an authority whose port is that of HTTP or HTTPS: without the port, or with it.
pub fn same_server(authority: &str) -> Vec<String> {
    let host = without_port(authority);
    match authority.strip_prefix(host) {
        Some("") => DEFAULT_PORTS.iter().map(|port| format!("{host}{port}")).collect(),
        Some(port) if DEFAULT_PORTS.contains(&port) => vec![host.to_owned()],
        _ => Vec::new(),
    }
}

/// The ports that clients leave out.
const DEFAULT_PORTS: [&str; 2] = [":80", ":443"];

/// `Some(bucket)` where domain and service fit; the bucket is what stands further left, if anything does.
fn match_form(form: &HostForm, domain: &[&str], labels: &[&str]) -> Option<Option<String>> {
    let wanted: Vec<&str> = domain.iter().chain(form.service).copied().collect();
    if labels.len() < wanted.len() || !wanted.iter().zip(labels).all(|(want, label)| fits(want, label)) {
        return None;
    }
    let bucket: Vec<&str> = labels.iter().skip(wanted.len()).rev().copied().collect();
    Some((!bucket.is_empty()).then(|| bucket.join(".")))
}

fn fits(want: &str, label: &str) -> bool {
    match want.strip_suffix('*') {
        Some(prefix) => label.starts_with(prefix) && label.len() > prefix.len(),
        None => want == label,
    }
}
