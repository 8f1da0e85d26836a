//! Absence and limits: those of S3, with the class said always: its pages do not promise the default of a copy.

use crate::dialect::{Defaults, Limits};
use crate::s3;

/// As S3, but for the class.
pub const DEFAULTS: Defaults = Defaults { class_always_explicit: true, ..s3::defaults::DEFAULTS };

/// As S3, but for dots in the names of buckets.
pub const LIMITS: Limits = Limits { bucket_dots: false, ..s3::defaults::LIMITS };
