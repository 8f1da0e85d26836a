//! The access key of the new caller, and the source of its secret key.

use std::path::PathBuf;

use secrecy::SecretString;

/// The environment variable of the caller's secret key, with `--secrets env`.
pub(super) const CALLER_VARIABLE: &str = "BLOBFISH_APP_SECRET";

/// The generated access key of the caller.
pub(super) struct NewCallerKey {
    /// The access key ID.
    pub id: String,
    /// The source of the secret key.
    pub secret: CallerSecret,
}

/// The source of the caller's secret key.
pub(super) enum CallerSecret {
    /// This file, with this content.
    File(PathBuf, SecretString),
    /// The configuration itself.
    Literal(SecretString),
    /// An environment variable that the operator sets.
    Env,
}
