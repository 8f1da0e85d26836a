//! A configured target.

use secrecy::SecretString;

use crate::dialect::definition::Dialect;
use crate::dialect::signature::Auth;
use crate::model::{SharedCredentials, TargetClock};

/// A configured target.
pub struct Target {
    /// Its name in configuration and metrics.
    pub name: String,
    /// Its dialect.
    pub dialect: &'static Dialect,
    /// Signs requests to it: the dialect's own signature, or the configured version.
    pub auth: &'static dyn Auth,
    /// Host, and port if it is not the default port of the scheme.
    pub authority: String,
    /// Signing region.
    pub region: String,
    /// Whether the bucket is in the path instead of the host.
    pub path_style: bool,
    /// The credentials that requests to it are signed with.
    pub credentials: SharedCredentials,
    /// Its clock, which provides the time of requests to it.
    // A target rejects requests that differ by more than 15 minutes from its own clock.
    pub clock: TargetClock,
    /// The secret that authenticates this proxy's own tokens. It is the same in every replica and after every
    /// restart.
    pub token_signing_secret: SecretString,
    /// Key IDs of its key management service that callers may use.
    pub kms_keys: Vec<String>,
    /// What to do with parts below its minimum size.
    pub staging: SmallPartsConfig,
}

/// The default prefix of the keys of small parts.
pub(crate) const PREFIX_DEFAULT: &str = ".blobfish-parts/";

/// The configuration of small parts for one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmallPartsConfig {
    /// Whether small parts are stored and combined. Otherwise they are rejected.
    pub is_combining: bool,
    /// Prefix of the keys of stored parts. Ends with a slash.
    pub prefix: String,
    /// The target's bucket for stored parts. `None`: the bucket of the upload.
    pub bucket: Option<String>,
    /// The smallest part that any caller dialect allows, bytes.
    // A field and not a call, because this folder must not depend on the list of dialects.
    pub caller_part_bytes_min: u64,
}
