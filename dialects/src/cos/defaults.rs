//! The default values and the limits of COS.

use crate::dialect::{Defaults, Limits};
use crate::model::{CannedAcl, StorageClass};

/// Defaults of new objects and of listings.
pub(crate) const DEFAULTS: Defaults = Defaults {
    class: Some(StorageClass::Standard),
    class_always_explicit: false,
    acl: CannedAcl::Inherit,
    // COS derives the type from the extension of the key. This is its choice for a key without one.
    content_type: Some("application/octet-stream"),
    max_keys: 1000,
    // COS, GET Service, max-keys.
    max_buckets: Some(2000),
    lenient_range: false,
};

/// Sizes in bytes.
pub(crate) const LIMITS: Limits = Limits {
    bucket_dots: false,
    key_bytes_max: 850,
    key_first_bytes_forbidden: b"/\\",
    key_bytes_forbidden: &[0x18, 0x19, 0x1a, 0x1b],
    key_segments_forbidden: &[],
    metadata_bytes_max: 2048,
    metadata_any_name: false,
    upload_bytes_max: 5 * 1024 * 1024 * 1024,
    // COS, Upload Part, restrictions: 1 MB, without a minimum for the last part.
    part_bytes_min: 1024 * 1024,
    buckets_page_max: Some(2000),
};
