//! The default values and the limits of S3.

use crate::dialect::{Defaults, Limits};
use crate::model::{CannedAcl, StorageClass};

/// Defaults of new objects and of listings.
pub(crate) const DEFAULTS: Defaults = Defaults {
    // Amazon S3, CopyObject, x-amz-storage-class: a copy does not inherit the class of its source.
    class: Some(StorageClass::Standard),
    class_always_explicit: false,
    acl: CannedAcl::Private,
    content_type: Some("binary/octet-stream"),
    max_keys: 1000,
    max_buckets: None,
    lenient_range: false,
};

/// Sizes in bytes.
pub(crate) const LIMITS: Limits = Limits {
    bucket_dots: true,
    key_bytes_max: 1024,
    key_first_bytes_forbidden: &[],
    key_bytes_forbidden: &[],
    key_segments_forbidden: &[],
    metadata_bytes_max: 2048,
    metadata_any_name: true,
    upload_bytes_max: 5 * 1024 * 1024 * 1024,
    // Amazon S3, Multipart upload limits: 5 MiB, without a minimum for the last part.
    part_bytes_min: 5 * 1024 * 1024,
    buckets_page_max: None,
};
