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
    SIGNATURES, Signing, SmallParts, SpoolLimits, Target, Traces, UnsupportedFields,
};
pub use endpoint::Endpoint;
pub use lookup::Route;
pub use mistake::{Mistake, ValueError};
pub use pattern::Pattern;
pub use reference::render_reference;
pub use schema::build_schema;
pub use secrets::{OsSources, Sources};

/// What names exist, given by the caller so that this crate knows no dialect.
#[derive(Debug, Clone, Copy)]
pub struct KnownDialects<'a> {
    /// Each dialect with the profiles it has.
    pub dialects: &'a [(&'a str, &'a [&'a str])],
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
pub fn load(text: &str, known: &KnownDialects<'_>, sources: &dyn Sources) -> Result<Config, Vec<Mistake>> {
    let diagnostics = read::Diagnostics::new(text);
    let config = read::read_document(text, &diagnostics, |root| rules::read_config(root, known, sources));
    diagnostics.into_result(config)
}
