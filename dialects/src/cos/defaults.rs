//! What COS means when nothing is said (4.5), and what it can hold (1.3).

use crate::dialect::{Defaults, Limits};
use crate::model::{CannedAcl, StorageClass};

/// Defaults of new objects and of listings.
pub const DEFAULTS: Defaults = Defaults {
    class: Some(StorageClass::Standard),
    class_always_explicit: false,
    acl: CannedAcl::Inherit,
    // 5.6: what its service chooses where a key says nothing.
    content_type: Some("application/octet-stream"),
    max_keys: 1000,
    // 3.4
    max_buckets: Some(2000),
    lenient_range: false,
};

/// Sizes in bytes.
pub const LIMITS: Limits = Limits {
    bucket_dots: false,
    key_bytes_max: 850,
    key_first_bytes_forbidden: b"/\\",
    key_bytes_forbidden: &[0x18, 0x19, 0x1a, 0x1b],
    key_segments_forbidden: &[],
    metadata_bytes_max: 2048,
    metadata_any_name: false,
    upload_bytes_max: 5 * 1024 * 1024 * 1024,
    // 1.3
    part_bytes_min: 1024 * 1024,
    buckets_page_max: Some(2000),
};
