//! The default values and the limits of OSS.

use crate::dialect::{Defaults, Limits};
use crate::model::CannedAcl;

/// Defaults of new objects and of listings.
pub(crate) const DEFAULTS: Defaults = Defaults {
    // A new object has the storage class of its bucket.
    class: None,
    class_always_explicit: false,
    acl: CannedAcl::Inherit,
    content_type: Some("application/octet-stream"),
    max_keys: 100,
    // OSS, ListBuckets (GetService), max-keys.
    max_buckets: Some(100),
    // OSS, GetObject, Range: an invalid range returns the whole object with 200 instead of an error.
    lenient_range: true,
};

/// Sizes in bytes.
pub(crate) const LIMITS: Limits = Limits {
    bucket_dots: false,
    key_bytes_max: 1023,
    key_first_bytes_forbidden: b"/\\",
    key_bytes_forbidden: &[],
    key_segments_forbidden: &[],
    metadata_bytes_max: 8192,
    metadata_any_name: false,
    upload_bytes_max: 5 * 1024 * 1024 * 1024,
    // OSS, CompleteMultipartUpload, error EntityTooSmall: 100 KB, without a minimum for the last part.
    part_bytes_min: 100 * 1024,
    buckets_page_max: Some(1000),
};
