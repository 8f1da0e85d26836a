//! The configuration file: from TOML text to a validated configuration.
//!
//! [`load`] reads a TOML file strictly. It returns a [`Config`] in which every address is parsed, every name is
//! resolved and every secret is loaded, or a list of all [`Mistake`]s. The rest of the program never sees the written
//! form.
//!
//! This crate opens no socket and resolves no host name. It reads files and environment variables only through
//! [`Sources`]. [`KnownDialects`] names the dialects that exist, so this crate depends on none of them.

#![forbid(unsafe_code)]

mod config;
mod endpoint;
mod key_shapes;
mod known_dialects;
mod lookup;
mod mistake;
mod pattern;
mod read;
mod reference;
mod rules;
mod schema;
mod secrets;

pub use config::{
    Access, Addressing, BucketRule, Caller, CallerKey, Certificate, ClientCert, Conditions, Config,
    CopiesOnDisconnect, CopyLimits, Grant, GrantAccess, HttpsListener, Limits, Listeners, Log, LogFormat,
    LogLevel, SmallParts, SpoolLimits, Target, Traces, UnsupportedFields,
};
pub use endpoint::Endpoint;
pub use known_dialects::{KnownDialect, KnownDialects};
pub use lookup::Route;
pub use mistake::{Mistake, ValueError};
pub use pattern::Pattern;
pub use reference::render_reference;
pub use schema::build_schema;
pub use secrets::{OsSources, Sources};

/// The control socket in a configuration text. The rest of the text is not checked, because a command to a running
/// process must work without access to the secrets and with a file that is invalid by now.
#[must_use]
pub fn find_control_socket(text: &str) -> Option<std::path::PathBuf> {
    read::find_text(text, "admin", "control_socket").map(Into::into)
}

/// Reads a configuration file's text.
///
/// Relative paths are passed to `sources` as written. With [`OsSources`] they are relative to the working directory.
///
/// # Errors
/// Every mistake in the file, in the order of the lines; the list is never empty. For a text that is not TOML the list
/// contains only the syntax errors.
pub fn load(text: &str, known: &KnownDialects, sources: &dyn Sources) -> Result<Config, Vec<Mistake>> {
    let diagnostics = read::Diagnostics::new(text);
    let config = read::read_document(text, &diagnostics, |root| rules::read_config(root, known, sources));
    diagnostics.into_result(config)
}
