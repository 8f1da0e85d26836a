//! Errors: those of S3.

use crate::dialect::ErrorRow;

/// As S3.
pub const ERRORS: &[ErrorRow] = crate::s3::errors::ERRORS;
