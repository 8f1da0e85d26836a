//! The hosts of JD Cloud. Its operations are those of S3.

use crate::dialect::HostForm;
use crate::model::{Operation, Setting};

/// The current domain, and the earlier one that JD Cloud OSS, Put Object-Copy still shows.
#[rustfmt::skip]
pub(crate) const HOSTS: &[HostForm] = &[
    HostForm::new_api(&["com", "jdcloud-oss"], &["*", "s3"]),
    HostForm::new_api(&["com", "jdcloud-oss"], &["*", "s3-internal"]),
    HostForm::new_api(&["com", "jcloudcs"], &["*", "s3"]),
    HostForm::new_api(&["com", "jcloudcs"], &["s3"]),
];

/// Operations that JD Cloud does not document.
pub(crate) const UNSUPPORTED_OPERATIONS: &[Operation] = &[Operation::GetObjectAttributes];

/// Settings that JD Cloud does not document.
// A server that ignores an unknown sub-resource would apply the request to the bucket itself, so none of them is sent.
pub(crate) const UNSUPPORTED_SETTINGS: &[Setting] = &[
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
