//! The dialects of object storage, and the translation between them.
//!
//! Pure: no IO, clock, environment, threads or runtime. A request head comes in as bytes, and what to send to a target or to
//! respond to a client comes out as values; time and keys are arguments. `model` contains the canonical types, `engine` the
//! translation that is written once and names no vendor, `encoding` vendor-free helpers, and each folder of a dialect the
//! tables of one vendor, with the same file names.

pub mod authentication;
pub mod documents;
pub mod encoding;
pub mod engine;
pub mod model;
pub mod translator;

use std::sync::LazyLock;

use engine::dialect::Dialect;

/// Declares the folder of each dialect and the list of them, so that adding a dialect takes one line. `cargo fmt` does not look
/// for modules in a macro: `make lint` names their files to it.
macro_rules! declare_dialects {
    ($($module:ident::$value:ident,)+) => {
        $(pub mod $module;)+

        /// Every dialect that callers may use and targets may have: the only list. Everything else that depends on which
        /// dialects exist is derived from it. The first dialect of a family is the one that a configuration names.
        pub static DIALECTS: &[&Dialect] = &[$(&$module::$value),+];
    };
}

declare_dialects! {
    s3::S3,
    jdcloud::JDCLOUD,
    cos::COS,
    oss::OSS,
}

/// Servers that are only targets: of every dialect, those that differ from it in stated points.
pub static PROFILES: LazyLock<Vec<&'static Dialect>> =
    LazyLock::new(|| DIALECTS.iter().flat_map(|dialect| dialect.profiles).copied().collect());

/// What a configuration may name as a dialect, with everything that its keys depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurableDialect {
    /// The dialect's name.
    pub name: &'static str,
    /// Names of its profiles: other dialects of its family, the vendor itself, and servers that are only targets.
    pub profiles: Vec<&'static str>,
    /// Signatures that a caller may be allowed.
    pub signatures: &'static [&'static str],
    /// Versions of the signature that a target may be sent, the usual one first; empty where there is no choice.
    pub signing_versions: Vec<&'static str>,
    /// The key with which a caller is held to signing everything that has a meaning.
    pub strict_signing_key: Option<&'static str>,
}

/// The dialects that a configuration may name: the first of each family, in the order of [`DIALECTS`].
pub fn list_configurable_dialects() -> Vec<ConfigurableDialect> {
    let is_first = |dialect: &&&Dialect| dialect.name == dialect.family;
    let describe = |dialect: &&'static Dialect| ConfigurableDialect {
        name: dialect.name,
        profiles: list_profile_names(dialect),
        signatures: dialect.signatures,
        signing_versions: dialect.signing_versions.iter().map(|row| row.0).collect(),
        strict_signing_key: dialect.strict_signing_key,
    };
    DIALECTS.iter().filter(is_first).map(describe).collect()
}

fn list_profile_names(dialect: &'static Dialect) -> Vec<&'static str> {
    let relatives = DIALECTS.iter().copied().filter(|other| other.family == dialect.family);
    let relatives = relatives.filter(|other| other.name != dialect.name).map(|other| other.name);
    let servers = dialect.profiles.iter().map(|profile| profile.name);
    dialect.vendor_profile.into_iter().chain(relatives).chain(servers).collect()
}

/// The dialect of a configured name and profile, or of its own name.
pub fn find_dialect(dialect: &str, profile: Option<&str>) -> Option<&'static Dialect> {
    let embedded = DIALECTS.iter().filter_map(|dialect| dialect.embedded_store);
    let all: Vec<&'static Dialect> =
        DIALECTS.iter().copied().chain(PROFILES.iter().copied()).chain(embedded).collect();
    let find_by_name = |name: &str| all.iter().copied().find(|dialect| dialect.name == name);
    profile.and_then(find_by_name).or_else(|| find_by_name(dialect))
}
