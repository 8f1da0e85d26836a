//! Hosts of JD Cloud; its operations are those of S3.

use crate::engine::dialect::HostForm;
use crate::model::{Operation, Setting};

/// Today's domain, and the older one of the copy's page.
pub const HOSTS: &[HostForm] = &[
    HostForm { domain: &["com", "jdcloud-oss"], service: &["*", "s3"] },
    HostForm { domain: &["com", "jdcloud-oss"], service: &["*", "s3-internal"] },
    HostForm { domain: &["com", "jcloudcs"], service: &["*", "s3"] },
    HostForm { domain: &["com", "jcloudcs"], service: &["s3"] },
];

/// Not documented by JD: never relied on.
pub const LACKS_CALLS: &[Operation] = &[Operation::GetObjectAttributes];

/// As [`LACKS_CALLS`].
pub const LACKS_SETTINGS: &[Setting] = &[
    Setting::Retention,
    Setting::LegalHold,
    Setting::ObjectLock,
    Setting::RequestPayment,
    Setting::Acceleration,
    Setting::Ownership,
    Setting::PolicyStatus,
    Setting::IntelligentTiering,
    Setting::IntelligentTierings,
    Setting::Metrics,
    Setting::AllMetrics,
];
