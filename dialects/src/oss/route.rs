//! Hosts (1.1) and operations (3.1) of OSS.

use crate::engine::dialect::{HostForm, Level, Route};
use crate::model::Operation as Op;

/// Public, internal and accelerated hosts, and those of dual stacks with their inverted labels.
pub const HOSTS: &[HostForm] = &[
    HostForm { domain: ALIYUN, service: &["oss-*"] },
    HostForm { domain: ALIYUN, service: &["oss", "*"] },
    HostForm { domain: ALIYUN, service: &["oss"] },
];

const ALIYUN: &[&str] = &["com", "aliyuncs"];

/// What is asked for, by method, level and parameters.
pub const ROUTES: &[Route] = &[
    Route::plain("GET", Level::Service, Op::ListBuckets),
    Route::with("GET", Level::Bucket, &["list-type=2"], Op::ListObjectsV2),
    Route::plain("GET", Level::Bucket, Op::ListObjects),
    Route::plain("HEAD", Level::Bucket, Op::HeadBucket),
    Route::plain("PUT", Level::Bucket, Op::CreateBucket),
    Route::plain("DELETE", Level::Bucket, Op::DeleteBucket),
    Route::with("PUT", Level::Object, &["partNumber", "uploadId"], Op::UploadPartCopy).source(true),
    Route::with("PUT", Level::Object, &["partNumber", "uploadId"], Op::UploadPart).source(false),
    Route::plain("PUT", Level::Object, Op::CopyObject).source(true),
    Route::plain("PUT", Level::Object, Op::PutObject).source(false),
    Route::with("GET", Level::Object, &["uploadId"], Op::ListParts),
    Route::plain("GET", Level::Object, Op::GetObject),
    // 3.3: the short form of HEAD is served by HEAD.
    Route::plain("HEAD", Level::Object, Op::HeadObject),
    Route::with("HEAD", Level::Object, &["objectMeta"], Op::HeadObject),
    Route::with("DELETE", Level::Object, &["uploadId"], Op::AbortMultipartUpload),
    Route::plain("DELETE", Level::Object, Op::DeleteObject),
    Route::with("POST", Level::Object, &["uploads"], Op::CreateMultipartUpload),
    Route::with("POST", Level::Object, &["uploadId"], Op::CompleteMultipartUpload),
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
