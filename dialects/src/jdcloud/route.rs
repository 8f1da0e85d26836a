//! Hosts of JD Cloud; its operations are those of S3.

use crate::dialect::HostForm;
use crate::model::{Operation, Setting};

/// Today's domain, and the older one of the copy's page.
#[rustfmt::skip]
pub const HOSTS: &[HostForm] = &[
    HostForm::new_api(&["com", "jdcloud-oss"], &["*", "s3"]),
    HostForm::new_api(&["com", "jdcloud-oss"], &["*", "s3-internal"]),
    HostForm::new_api(&["com", "jcloudcs"], &["*", "s3"]),
    HostForm::new_api(&["com", "jcloudcs"], &["s3"]),
];

/// Not documented by JD: never relied on.
pub const UNSUPPORTED_OPERATIONS: &[Operation] = &[Operation::GetObjectAttributes];

/// As [`LACKS_CALLS`].
pub const UNSUPPORTED_SETTINGS: &[Setting] = &[
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
