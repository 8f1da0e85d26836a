//! Hosts of JD Cloud; its operations are those of S3.

use crate::engine::dialect::HostForm;

/// Today's domain, and the older one of the copy's page.
pub const HOSTS: &[HostForm] = &[
    HostForm { domain: &["com", "jdcloud-oss"], service: &["*", "s3"] },
    HostForm { domain: &["com", "jdcloud-oss"], service: &["*", "s3-internal"] },
    HostForm { domain: &["com", "jcloudcs"], service: &["*", "s3"] },
    HostForm { domain: &["com", "jcloudcs"], service: &["s3"] },
];
