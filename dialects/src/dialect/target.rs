//! A target as the operator configured it.

use secrecy::SecretString;

use crate::dialect::definition::Dialect;
use crate::dialect::signature::Auth;
use crate::model::{SharedCredentials, TargetClock};

/// A target as the operator configured it.
pub struct Target {
    /// Its name in configuration and metrics.
    pub name: String,
    /// What it speaks.
    pub dialect: &'static Dialect,
    /// How requests to it are signed, where not in the dialect's usual way.
    pub auth: &'static dyn Auth,
    /// Host, and port where it is not the scheme's own.
    pub authority: String,
    /// Signing region.
    pub region: String,
    /// Bucket in the path instead of the host.
    pub path_style: bool,
    /// Our key there.
    pub credentials: SharedCredentials,
    /// Its clock, which requests to it are dated by.
    pub clock: TargetClock,
    /// What our own marks are sealed with: the same at every replica, and after every start.
    pub seal_secret: SecretString,
    /// Key ids of its key management that callers may name.
    pub kms_keys: Vec<String>,
    /// What becomes of parts that are smaller than it takes.
    pub staging: SmallPartsConfig,
}

/// What the keys of small parts begin with unless the operator configures something else.
pub const PREFIX_DEFAULT: &str = ".blobfish-parts/";

/// What a target's operator said of small parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmallPartsConfig {
    /// Whether they are kept and combined; otherwise they are refused.
    pub is_combining: bool,
    /// What the keys of kept parts begin with. Ends with a slash.
    pub prefix: String,
    /// The target's bucket for them; absent: the upload's own.
    pub bucket: Option<String>,
    /// The smallest part that any caller's dialect allows, bytes. It comes from the list of dialects, which is above
    /// this folder.
    pub caller_part_bytes_min: u64,
}
