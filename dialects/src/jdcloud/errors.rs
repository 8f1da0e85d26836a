//! Errors of JD Cloud: those of S3.

use crate::dialect::ErrorRow;

/// The error table of S3.
pub(crate) const ERRORS: &[ErrorRow] = crate::s3::errors::ERRORS;
