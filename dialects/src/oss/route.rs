//! The hosts and operations of OSS.

use crate::dialect::{HostForm, OperationRoute, ResourceLevel};
use crate::model::Operation as Op;

/// OSS, Regions and endpoints: public, internal, accelerated and dual-stack hosts. Hosts that do not serve the object
/// API are recognized so that their requests are rejected.
// The order matters, because the first form that matches decides. Dual-stack hosts have their labels in reverse order.
#[rustfmt::skip]
pub(crate) const HOSTS: &[HostForm] = &[
    HostForm::new_other(ALIYUN, &["oss-accesspoint"]),
    HostForm::new_other(ALIYUN, &["oss-cloudbox-control"]),
    HostForm::new_api(ALIYUN, &["oss-cloudbox", "*", "cb-*"]),
    HostForm::new_other(ALIYUN, &["oss-cloudbox"]),
    HostForm::new_api(ALIYUN, &["oss-*", "s3"]),
    HostForm::new_api(ALIYUN, &["oss-*"]),
    HostForm::new_api(ALIYUN, &["oss", "*"]),
    HostForm::new_api(ALIYUN, &["oss"]),
];

const ALIYUN: &[&str] = &["com", "aliyuncs"];

/// The operation of a request by its method, resource level and query parameters. The first row that matches decides.
pub(crate) const ROUTES: &[OperationRoute] = &[
    OperationRoute::new("GET", ResourceLevel::Service, Op::ListBuckets),
    OperationRoute::with_parameters("GET", ResourceLevel::Bucket, &["versions"], Op::ListObjectVersions),
    OperationRoute::with_parameters("GET", ResourceLevel::Bucket, &["uploads"], Op::ListMultipartUploads),
    OperationRoute::with_parameters("GET", ResourceLevel::Bucket, &["location"], Op::GetBucketLocation),
    OperationRoute::with_parameters("POST", ResourceLevel::Bucket, &["delete"], Op::DeleteObjects),
    OperationRoute::with_parameters("GET", ResourceLevel::Bucket, &["bucketInfo"], Op::GetBucketInfo),
    OperationRoute::with_parameters("POST", ResourceLevel::Object, &["restore"], Op::RestoreObject),
    OperationRoute::with_parameters("POST", ResourceLevel::Object, &["append", "position"], Op::AppendObject),
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
    // OSS, GetObjectMeta returns a part of the headers of HeadObject, so a HeadObject request is sufficient for it.
    OperationRoute::new("HEAD", ResourceLevel::Object, Op::HeadObject),
    OperationRoute::with_parameters("HEAD", ResourceLevel::Object, &["objectMeta"], Op::HeadObject),
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
    "accessmonitor",
    "acl",
    "append",
    "asyncFetch",
    "bucketArchiveDirectRead",
    "bucketInfo",
    "callback",
    "callback-var",
    "cleanRestoredObject",
    "cname",
    "comp",
    "cors",
    "delete",
    "encryption",
    "httpsConfig",
    "img",
    "inventory",
    "legalHold",
    "lifecycle",
    "live",
    "location",
    "logging",
    "metaQuery",
    "objectWorm",
    "overwriteConfig",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "qos",
    "redundancyTransition",
    "referer",
    "regions",
    "replication",
    "replicationLocation",
    "replicationProgress",
    "requestPayment",
    "resourceGroup",
    "restore",
    "retention",
    "rtc",
    "seal",
    "sequential",
    "stat",
    "style",
    "symlink",
    "tagging",
    "transferAcceleration",
    "uploadId",
    "uploads",
    "userDefinedLogFieldsConfig",
    "versioning",
    "versions",
    "vod",
    "website",
    "worm",
    "wormExtend",
    "wormId",
];
