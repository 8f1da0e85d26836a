//! Hosts (1.1) and operations (3.1) of OSS.

use crate::dialect::{HostForm, OperationRoute, ResourceLevel};
use crate::model::Operation as Op;

/// Public, internal and accelerated hosts, and those of dual stacks with their inverted labels.
#[rustfmt::skip]
pub const HOSTS: &[HostForm] = &[
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

/// What is asked for, by method, level and parameters.
pub const ROUTES: &[OperationRoute] = &[
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
    // 3.3: the short form of HEAD is served by HEAD.
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

/// 2.2.1, 3.1: each of these selects another operation.
pub const SUB_RESOURCES: &[&str] = &[
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
