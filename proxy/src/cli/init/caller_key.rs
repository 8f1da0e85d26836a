//! The new caller's access key, and where its secret is kept.

use std::path::PathBuf;

use secrecy::SecretString;

/// The variable of the caller's secret, with `--secrets env`.
pub const CALLER_VARIABLE: &str = "BLOBFISH_APP_SECRET";

/// The caller's key, made here.
pub struct NewCallerKey {
    /// Its id.
    pub id: String,
    /// Where its secret comes from.
    pub secret: CallerSecret,
}

/// Where the caller's secret comes from.
pub enum CallerSecret {
    /// From this file, with this content.
    File(PathBuf, SecretString),
    /// Written into the configuration.
    Literal(SecretString),
    /// From a variable that the operator sets.
    Env,
}
