//! The default values and the limits of JD Cloud.

use crate::dialect::{Defaults, Limits};
use crate::s3;

/// The default values of S3.
// JD Cloud OSS, Put Object-Copy does not define the storage class of a copy without the header, so the header is always
// sent.
pub(crate) const DEFAULTS: Defaults = Defaults { class_always_explicit: true, ..s3::defaults::DEFAULTS };

/// The limits of S3, except that bucket names must not contain dots.
pub(crate) const LIMITS: Limits = Limits { bucket_dots: false, ..s3::defaults::LIMITS };
