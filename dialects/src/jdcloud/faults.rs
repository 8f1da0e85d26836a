//! Errors: those of S3.

use crate::engine::dialect::FaultRow;

/// As S3.
pub const FAULTS: &[FaultRow] = crate::s3::faults::FAULTS;
