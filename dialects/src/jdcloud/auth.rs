//! Signatures: those of S3, unchanged.

use crate::dialect::signature::Auth;

/// Signature version 4 out; 4 and 2 in.
pub const AUTH: &dyn Auth = &crate::s3::auth::AUTH;
