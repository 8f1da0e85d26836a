//! Absence and limits: those of S3.

use crate::engine::dialect::{Absent, Limits};
use crate::s3;

/// As S3.
pub const ABSENT: Absent = s3::absent::ABSENT;

/// As S3.
pub const LIMITS: Limits = s3::absent::LIMITS;
