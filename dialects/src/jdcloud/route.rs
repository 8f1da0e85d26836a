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
pub const LACKS_CALLS: &[Operation] = &[
    Operation::GetObjectAttributes,
    Operation::Get(Setting::Retention),
    Operation::Put(Setting::Retention),
    Operation::Get(Setting::LegalHold),
    Operation::Put(Setting::LegalHold),
    Operation::Get(Setting::ObjectLock),
    Operation::Put(Setting::ObjectLock),
    Operation::Get(Setting::RequestPayment),
    Operation::Put(Setting::RequestPayment),
    Operation::Get(Setting::Acceleration),
    Operation::Put(Setting::Acceleration),
    Operation::Get(Setting::Ownership),
    Operation::Put(Setting::Ownership),
    Operation::Delete(Setting::Ownership),
    Operation::Get(Setting::PolicyStatus),
    Operation::Get(Setting::IntelligentTiering),
    Operation::Get(Setting::IntelligentTierings),
    Operation::Put(Setting::IntelligentTiering),
    Operation::Delete(Setting::IntelligentTiering),
    Operation::Get(Setting::Metrics),
    Operation::Get(Setting::AllMetrics),
    Operation::Put(Setting::Metrics),
    Operation::Delete(Setting::Metrics),
];
