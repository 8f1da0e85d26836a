//! Which bucket a host and a path name.

use crate::engine::auth::Place;
use crate::engine::dialect::{Dialect, HostForm};
use crate::model::{Fault, RawHead, Refusal};
use crate::wire::percent;

/// What a host says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostMatch {
    /// Bucket, where the host has one.
    pub bucket: Option<String>,
    /// How it says it.
    pub form: Form,
}

/// The forms of hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The vendor's own, and no other's.
    Official,
    /// The same with `localhost` for the vendor's domain.
    Local,
    /// A configured base name, which any dialect may use.
    Base,
}

/// Finds bucket and key of a request, before its signature is verified: OSS-like schemes sign them.
///
/// # Errors
/// A path that does not decode.
pub fn place(head: &RawHead, dialect: &Dialect, base: &[String]) -> Result<Place, Refusal> {
    let path = head.path.strip_prefix('/').ok_or(Fault::InvalidUri)?;
    let host = without_port(head.host());
    let decoded = |text: &str| percent::decode(text).map_err(|_| Refusal::new(Fault::InvalidUri));
    match read_host(host, dialect, base).and_then(|found| found.bucket) {
        Some(bucket) => {
            let key = (!path.is_empty()).then(|| decoded(path)).transpose()?;
            Ok(Place { bucket: Some(bucket), key, virtual_host: true })
        }
        None if path.is_empty() => Ok(Place { bucket: None, key: None, virtual_host: false }),
        None => {
            let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
            let key = (!key.is_empty()).then(|| decoded(key)).transpose()?;
            Ok(Place { bucket: Some(decoded(bucket)?), key, virtual_host: false })
        }
    }
}

/// The other reading of a key: some SDKs send a space in a path as `+`, as forms do. `None`: there is only one.
pub fn key_with_spaces(head: &RawHead, place: &Place) -> Option<String> {
    let path = head.path.strip_prefix('/')?;
    let key = if place.virtual_host { path } else { path.split_once('/')?.1 };
    key.contains('+').then(|| percent::decode_form(key).ok()).flatten()
}

/// What a host without port says in this dialect. `None`: nothing, so the bucket is in the path.
pub fn read_host(host: &str, dialect: &Dialect, base: &[String]) -> Option<HostMatch> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if host.parse::<std::net::IpAddr>().is_ok() || host.starts_with('[') {
        return None;
    }
    let labels: Vec<&str> = host.rsplit('.').collect();
    if let Some(bucket) = dialect.hosts.iter().find_map(|form| matched(form, form.domain, &labels)) {
        return Some(HostMatch { bucket, form: Form::Official });
    }
    if let Some(bucket) = dialect.hosts.iter().find_map(|form| matched(form, &["localhost"], &labels)) {
        return Some(HostMatch { bucket, form: Form::Local });
    }
    let bases = base.iter().map(String::as_str).chain(["localhost"]);
    bases.into_iter().find_map(|base| {
        let bucket = host.strip_suffix(base)?.strip_suffix('.')?;
        Some(HostMatch { bucket: Some(bucket.to_owned()), form: Form::Base })
    })
}

/// The bucket of a copy source's host, if the host is of this dialect's forms or of a base name.
pub fn bucket_of_host(host: &str, hosts: &[HostForm]) -> Option<String> {
    let host = without_port(host).to_ascii_lowercase();
    let labels: Vec<&str> = host.rsplit('.').collect();
    let forms = hosts.iter();
    forms
        .flat_map(|form| [matched(form, form.domain, &labels), matched(form, &["localhost"], &labels)])
        .flatten()
        .flatten()
        .next()
}

/// The region that a host names, with or without a bucket before it.
pub fn region(host: &str, hosts: &[HostForm]) -> Option<String> {
    let host = without_port(host).to_ascii_lowercase();
    let labels: Vec<&str> = host.rsplit('.').collect();
    let named = |form: &HostForm, domain: &[&str]| {
        matched(form, domain, &labels)?;
        let wanted = domain.iter().chain(form.service);
        let region =
            wanted.zip(&labels).find_map(|(want, label)| label.strip_prefix(want.strip_suffix('*')?));
        // An end point for the vendor's own network is of the same region.
        region.map(|region| region.strip_suffix("-internal").unwrap_or(region).to_owned())
    };
    hosts.iter().find_map(|form| named(form, form.domain).or_else(|| named(form, &["localhost"])))
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

/// `Some(bucket)` where domain and service fit; the bucket is what stands further left, if anything does.
fn matched(form: &HostForm, domain: &[&str], labels: &[&str]) -> Option<Option<String>> {
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
