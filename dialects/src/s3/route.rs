//! The hosts and operations of S3.

use crate::dialect::{HostForm, OperationRoute, ResourceLevel};
use crate::model::Operation as Op;

/// Amazon S3, Amazon S3 endpoints and quotas; Virtual hosting of buckets. Hosts that do not serve the object API, such
/// as access points and websites, are recognized so that their requests are rejected.
// The order matters, because the first form that matches a host decides, and the last form is the most general.
#[rustfmt::skip]
pub(crate) const HOSTS: &[HostForm] = &[
    HostForm::new_api(AWS, &["*", "dualstack", "s3"]),
    HostForm::new_api(AWS, &["*", "dualstack", "s3-fips"]),
    HostForm::new_api(AWS, &["*", "s3"]),
    HostForm::new_api(AWS, &["*", "s3-fips"]),
    HostForm::new_api(AWS, &["vpce", "*", "s3", "vpce-*", "bucket"]),
    HostForm::new_api(AWS_CHINA, &["*", "dualstack", "s3"]),
    HostForm::new_api(AWS_CHINA, &["*", "s3"]),
    HostForm::new_api(AWS_EUROPE, &["*", "dualstack", "s3"]),
    HostForm::new_api(AWS_EUROPE, &["*", "s3"]),
    HostForm::new_api(AWS, &["dualstack", "s3-accelerate"]),
    HostForm::new_api(AWS, &["s3-accelerate"]),
    HostForm::new_api(AWS, &["s3"]),
    HostForm::new_other(AWS, &["s3-website-*"]),
    HostForm::new_other(AWS, &["*", "s3-website"]),
    HostForm::new_other(AWS_CHINA, &["*", "s3-website"]),
    HostForm::new_other(AWS, &["*", "s3-accesspoint"]),
    HostForm::new_other(AWS, &["*", "dualstack", "s3-accesspoint"]),
    HostForm::new_other(AWS, &["s3-global"]),
    HostForm::new_other(AWS, &["*", "s3express-*"]),
    HostForm::new_other(AWS, &["*", "s3-control"]),
    HostForm::new_other(AWS, &["*", "s3-object-lambda"]),
    HostForm::new_other(AWS, &["*", "s3-outposts"]),
    HostForm::new_api(AWS, &["s3-*"]),
];

const AWS: &[&str] = &["com", "amazonaws"];
const AWS_CHINA: &[&str] = &["cn", "com", "amazonaws"];
const AWS_EUROPE: &[&str] = &["eu", "amazonaws"];

/// The endpoint of a region.
pub fn endpoint(region: &str) -> String {
    // The regions in China are a partition of their own with another domain, so the name cannot be built from the
    // region.
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("s3.{region}.amazonaws.com{china}")
}

/// The operation of a request by its method, resource level and query parameters. The first row that matches decides.
pub(crate) const ROUTES: &[OperationRoute] = &[
    OperationRoute::new("GET", ResourceLevel::Service, Op::ListBuckets),
    OperationRoute::with_parameters("GET", ResourceLevel::Bucket, &["versions"], Op::ListObjectVersions),
    OperationRoute::with_parameters("GET", ResourceLevel::Bucket, &["uploads"], Op::ListMultipartUploads),
    OperationRoute::with_parameters("GET", ResourceLevel::Bucket, &["location"], Op::GetBucketLocation),
    OperationRoute::with_parameters("POST", ResourceLevel::Bucket, &["delete"], Op::DeleteObjects),
    OperationRoute::with_parameters("POST", ResourceLevel::Object, &["restore"], Op::RestoreObject),
    OperationRoute::with_parameters("GET", ResourceLevel::Object, &["attributes"], Op::GetObjectAttributes),
    OperationRoute::with_parameters("GET", ResourceLevel::Bucket, &["list-type=2"], Op::ListObjectsV2),
    OperationRoute::new("GET", ResourceLevel::Bucket, Op::ListObjects),
    OperationRoute::new("HEAD", ResourceLevel::Bucket, Op::HeadBucket),
    OperationRoute::new("PUT", ResourceLevel::Bucket, Op::CreateBucket),
    OperationRoute::new("DELETE", ResourceLevel::Bucket, Op::DeleteBucket),
    OperationRoute::with_parameters(
        "PUT",
        ResourceLevel::Object,
        &["partNumber", "uploadId"],
        Op::UploadPartCopy,
    )
    .with_source(true),
    OperationRoute::with_parameters(
        "PUT",
        ResourceLevel::Object,
        &["partNumber", "uploadId"],
        Op::UploadPart,
    )
    .with_source(false),
    OperationRoute::new("PUT", ResourceLevel::Object, Op::CopyObject).with_source(true),
    OperationRoute::new("PUT", ResourceLevel::Object, Op::PutObject).with_source(false),
    OperationRoute::with_parameters("GET", ResourceLevel::Object, &["uploadId"], Op::ListParts),
    OperationRoute::new("GET", ResourceLevel::Object, Op::GetObject),
    OperationRoute::new("HEAD", ResourceLevel::Object, Op::HeadObject),
    OperationRoute::with_parameters("DELETE", ResourceLevel::Object, &["uploadId"], Op::AbortMultipartUpload),
    OperationRoute::new("DELETE", ResourceLevel::Object, Op::DeleteObject),
    OperationRoute::with_parameters("POST", ResourceLevel::Object, &["uploads"], Op::CreateMultipartUpload),
    OperationRoute::with_parameters(
        "POST",
        ResourceLevel::Object,
        &["uploadId"],
        Op::CompleteMultipartUpload,
    ),
];

/// Query parameters that select another operation.
// A request with a sub-resource that is not translated must be rejected; without it, it would be a PUT or DELETE of the
// object or bucket itself.
pub(crate) const SUB_RESOURCES: &[&str] = &[
    "abac",
    "accelerate",
    "acl",
    "analytics",
    "annotation",
    "append",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metadataAnnotationTable",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "session",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versioning",
    "versions",
    "website",
];
