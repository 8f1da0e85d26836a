//! What OSS means when nothing is said (3.3, 4.3), and what it can hold (1.3, 5.4).

use crate::dialect::{Defaults, Limits};
use crate::model::CannedAcl;

/// Defaults of new objects and of listings.
pub const DEFAULTS: Defaults = Defaults {
    // The bucket's class.
    class: None,
    class_always_explicit: false,
    acl: CannedAcl::Inherit,
    content_type: Some("application/octet-stream"),
    max_keys: 100,
    // 3.2
    max_buckets: Some(100),
    lenient_range: true,
};

/// Sizes in bytes.
pub const LIMITS: Limits = Limits {
    bucket_dots: false,
    key_bytes_max: 1023,
    key_first_bytes_forbidden: b"/\\",
    key_bytes_forbidden: &[],
    key_segments_forbidden: &[],
    metadata_bytes_max: 8192,
    metadata_any_name: false,
    upload_bytes_max: 5 * 1024 * 1024 * 1024,
    // 3.5
    part_bytes_min: 100 * 1024,
    buckets_page_max: Some(1000),
};
