//! Errors: those of S3.

use crate::engine::dialect::ErrorRow;

/// As S3.
pub const FAULTS: &[ErrorRow] = crate::s3::faults::FAULTS;
