//! Translation between the APIs of object storage, without IO, clock, environment, threads or runtime.
//!
//! A request head comes in as bytes; what to send to the target and how to respond come out as values. The time and
//! all keys are arguments. `model` has the canonical types, `engine` the translation that is written once and names
//! no vendor, `encoding` helpers that know no vendor, and each folder of a dialect the tables of one vendor, with the
//! same file names.
//!
//! A copy that a COS client sends, as Alibaba OSS gets it:
//!
//! ```
//! use blobfish_dialects::find_dialect;
//! use blobfish_dialects::translator::explain::explain;
//!
//! let (cos, oss) = (find_dialect("cos", None).unwrap(), find_dialect("oss", None).unwrap());
//! let request = "PUT /copy.jpg HTTP/1.1\r\n\
//!     Host: photos-1250000000.cos.ap-guangzhou.myqcloud.com\r\n\
//!     x-cos-copy-source: photos-1250000000.cos.ap-guangzhou.myqcloud.com/original.jpg\r\n\
//!     x-cos-metadata-directive: Replaced\r\n\
//!     x-cos-meta-album: summer\r\n\r\n";
//! let explanation = explain(request, cos, oss).unwrap();
//! let header = |name: &str| {
//!     let row = explanation.outgoing.as_ref()?.headers.iter().find(|row| row.0 == name)?;
//!     Some(String::from_utf8_lossy(&row.1).into_owned())
//! };
//! assert_eq!(header("x-oss-copy-source").as_deref(), Some("/photos-1250000000/original.jpg"));
//! assert_eq!(header("x-oss-metadata-directive").as_deref(), Some("REPLACE"));
//! assert_eq!(header("x-oss-meta-album").as_deref(), Some("summer"));
//! ```

pub mod authentication;
pub mod dialect;
pub mod documents;
pub mod encoding;
pub mod engine;
pub mod model;
pub mod translator;

use std::sync::LazyLock;

use dialect::Dialect;

/// Declares the folder of each dialect and the list of them, so that a new dialect takes one line.
// The name and the syntax are those of the `cfg-if` crate, because rustfmt looks for modules in a macro of this name
// only.
macro_rules! cfg_if {
    (if #[cfg(all())] { $(pub mod $module:ident;)+ }) => {
        $(pub mod $module;)+

        /// Every dialect of callers and targets. This is the only list: everything else that depends on which
        /// dialects exist is derived from it. The first dialect of a family is the one that a configuration names.
        pub static DIALECTS: &[&Dialect] = &[$($module::DIALECT),+];
    };
}

// The order matters: the dialect that a configuration names precedes the other dialects of its family.
cfg_if! {
    if #[cfg(all())] {
        pub mod s3;
        pub mod jdcloud;
        pub mod cos;
        pub mod oss;
    }
}

/// Servers that can only be targets. Each differs from its dialect in the points that its profile states.
pub static PROFILES: LazyLock<Vec<&'static Dialect>> =
    LazyLock::new(|| DIALECTS.iter().flat_map(|dialect| dialect.profiles).copied().collect());

/// A dialect that a configuration may name, with everything that the configuration's keys depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurableDialect {
    /// The dialect's name.
    pub name: &'static str,
    /// Names of its profiles: the vendor itself, other dialects of its family, and servers that can only be targets.
    pub profiles: Vec<&'static str>,
    /// Signatures that a caller can be allowed to use.
    pub signatures: &'static [&'static str],
    /// Signature versions for requests to a target, the default first. Empty where the dialect has only one.
    pub signing_versions: Vec<&'static str>,
    /// The configuration key that requires a caller to sign everything that has a meaning.
    pub strict_signing_config_key: Option<&'static str>,
}

/// The dialects that a configuration may name: the first of each family, in the order of [`DIALECTS`].
pub fn list_configurable_dialects() -> Vec<ConfigurableDialect> {
    // A family has the name of its first dialect, so the other dialects of the family are reachable only as profiles.
    let is_first = |dialect: &&&Dialect| dialect.name == dialect.family;
    let describe = |dialect: &&'static Dialect| ConfigurableDialect {
        name: dialect.name,
        profiles: list_profile_names(dialect),
        signatures: dialect.signatures,
        signing_versions: dialect.signing_versions.iter().map(|row| row.0).collect(),
        strict_signing_config_key: dialect.strict_signing_config_key,
    };
    DIALECTS.iter().filter(is_first).map(describe).collect()
}

fn list_profile_names(dialect: &'static Dialect) -> Vec<&'static str> {
    let relatives = DIALECTS.iter().copied().filter(|other| other.family == dialect.family);
    let relatives = relatives.filter(|other| other.name != dialect.name).map(|other| other.name);
    let servers = dialect.profiles.iter().map(|profile| profile.name);
    dialect.vendor_profile.into_iter().chain(relatives).chain(servers).collect()
}

/// The dialect of a configured name and profile. Without a profile, the dialect of the name.
pub fn find_dialect(dialect: &str, profile: Option<&str>) -> Option<&'static Dialect> {
    let embedded = || DIALECTS.iter().filter_map(|dialect| dialect.embedded_store);
    let find_by_name = |name: &str| {
        let mut all = DIALECTS.iter().copied().chain(PROFILES.iter().copied()).chain(embedded());
        all.find(|dialect| dialect.name == name)
    };
    // The vendor's own profile has no entry of its own: it is the dialect itself.
    profile.and_then(find_by_name).or_else(|| find_by_name(dialect))
}

/// The smallest part, other than the last one of an upload, that any dialect allows its callers.
pub fn smallest_part_bytes() -> u64 {
    DIALECTS.iter().map(|dialect| dialect.limits.part_bytes_min).min().unwrap_or_default()
}
