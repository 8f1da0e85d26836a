//! What an operator writes -> what it means (design, section 7).
//!
//! [`load`] reads a TOML file strictly and gives a [`Config`] in which every address is parsed, every name is
//! resolved and every secret is fetched, or every [`Mistake`] at once. Nothing downstream sees the written form.
//!
//! This crate opens no socket, resolves no name and reads neither files nor the environment except through the
//! [`Sources`] that it is handed. Which dialects exist is told by the caller too ([`Known`]).

#![forbid(unsafe_code)]

mod config;
mod endpoint;
mod lookup;
mod mistake;
mod pattern;
mod read;
mod reference;
mod rules;
mod schema;
mod secrets;

pub use config::{
    AbandonedCopies, Access, Addressing, BucketRule, Caller, CallerKey, Certificate, ClientCert, Conditions,
    Config, CopyLimits, Grant, GrantAccess, HttpsListener, Limits, Listeners, Log, LogFormat, LogLevel,
    SmallParts, SpoolLimits, Target, Traces, UnsupportedFields,
};
pub use endpoint::Endpoint;
pub use lookup::Route;
pub use mistake::{Mistake, ValueError};
pub use pattern::Pattern;
pub use reference::render_reference;
pub use schema::build_schema;
pub use secrets::{OsSources, Sources};

/// What names exist, given by the caller so that this crate knows no dialect.
#[derive(Debug, Clone)]
pub struct KnownDialects {
    /// Every dialect. The first is the default of a listener.
    pub dialects: Vec<KnownDialect>,
}

/// What keys depend on one dialect.
#[derive(Debug, Clone, Default)]
pub struct KnownDialect {
    /// Its name.
    pub name: &'static str,
    /// Its profiles.
    pub profiles: Vec<&'static str>,
    /// The signatures of its clients, which a caller may be allowed.
    pub signatures: Vec<&'static str>,
    /// The versions of the signature that a target may be sent, the usual one first; empty where there is no choice.
    pub signing_versions: Vec<&'static str>,
    /// The key of a caller that requires everything with a meaning to be signed.
    pub strict_signing_key: Option<&'static str>,
}

impl KnownDialects {
    pub(crate) fn find(&self, name: &str) -> Option<&KnownDialect> {
        self.dialects.iter().find(|dialect| dialect.name == name)
    }

    /// The default of a listener; every example uses it too.
    pub(crate) fn default_name(&self) -> &'static str {
        self.dialects.first().map_or("", |dialect| dialect.name)
    }

    pub(crate) fn list_names(&self) -> Vec<&'static str> {
        self.dialects.iter().map(|dialect| dialect.name).collect()
    }

    pub(crate) fn list_signatures(&self) -> Vec<&'static str> {
        self.dialects.iter().flat_map(|dialect| dialect.signatures.iter().copied()).collect()
    }
}

/// The control socket that a text names, whatever else is in it: asking a running process needs none of its secrets.
#[must_use]
pub fn find_control_socket(text: &str) -> Option<std::path::PathBuf> {
    read::find_text(text, "admin", "control_socket").map(Into::into)
}

/// Reads a configuration file's text.
///
/// Relative paths in it are handed to `sources` as written, which for [`OsSources`] means relative to the
/// working directory.
///
/// # Errors
/// Every mistake in the file, in the order of its lines; never an empty list. A text that is not TOML gives the
/// places where it is not, and nothing else.
pub fn load(text: &str, known: &KnownDialects, sources: &dyn Sources) -> Result<Config, Vec<Mistake>> {
    let diagnostics = read::Diagnostics::new(text);
    let config = read::read_document(text, &diagnostics, |root| rules::read_config(root, known, sources));
    diagnostics.into_result(config)
}
