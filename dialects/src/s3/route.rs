//! Hosts (1.1) and operations (3.1) of S3.

use crate::engine::dialect::{HostForm, Level, Route};
use crate::model::Operation as Op;

/// Virtual hosts and end points; access points and website hosts are not part of the object API.
#[rustfmt::skip]
pub const HOSTS: &[HostForm] = &[
    HostForm::api(AWS, &["*", "dualstack", "s3"]),
    HostForm::api(AWS, &["*", "dualstack", "s3-fips"]),
    HostForm::api(AWS, &["*", "s3"]),
    HostForm::api(AWS, &["*", "s3-fips"]),
    HostForm::api(AWS, &["vpce", "*", "s3", "vpce-*", "bucket"]),
    HostForm::api(AWS_CHINA, &["*", "dualstack", "s3"]),
    HostForm::api(AWS_CHINA, &["*", "s3"]),
    HostForm::api(AWS_EUROPE, &["*", "dualstack", "s3"]),
    HostForm::api(AWS_EUROPE, &["*", "s3"]),
    HostForm::api(AWS, &["dualstack", "s3-accelerate"]),
    HostForm::api(AWS, &["s3-accelerate"]),
    HostForm::api(AWS, &["s3"]),
    HostForm::other(AWS, &["s3-website-*"]),
    HostForm::other(AWS, &["*", "s3-website"]),
    HostForm::other(AWS_CHINA, &["*", "s3-website"]),
    HostForm::other(AWS, &["*", "s3-accesspoint"]),
    HostForm::other(AWS, &["*", "dualstack", "s3-accesspoint"]),
    HostForm::other(AWS, &["s3-global"]),
    HostForm::other(AWS, &["*", "s3express-*"]),
    HostForm::other(AWS, &["*", "s3-control"]),
    HostForm::other(AWS, &["*", "s3-object-lambda"]),
    HostForm::other(AWS, &["*", "s3-outposts"]),
    HostForm::api(AWS, &["s3-*"]),
];

const AWS: &[&str] = &["com", "amazonaws"];
const AWS_CHINA: &[&str] = &["cn", "com", "amazonaws"];
const AWS_EUROPE: &[&str] = &["eu", "amazonaws"];

/// The end point of a region; those in China have a domain of their own.
pub fn endpoint(region: &str) -> String {
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("s3.{region}.amazonaws.com{china}")
}

/// What is asked for, by method, level and parameters.
pub const ROUTES: &[Route] = &[
    Route::plain("GET", Level::Service, Op::ListBuckets),
    Route::with("GET", Level::Bucket, &["versions"], Op::ListObjectVersions),
    Route::with("GET", Level::Bucket, &["uploads"], Op::ListMultipartUploads),
    Route::with("GET", Level::Bucket, &["location"], Op::GetBucketLocation),
    Route::with("POST", Level::Bucket, &["delete"], Op::DeleteObjects),
    Route::with("POST", Level::Object, &["restore"], Op::RestoreObject),
    Route::with("GET", Level::Object, &["attributes"], Op::GetObjectAttributes),
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
    Route::plain("HEAD", Level::Object, Op::HeadObject),
    Route::with("DELETE", Level::Object, &["uploadId"], Op::AbortMultipartUpload),
    Route::plain("DELETE", Level::Object, Op::DeleteObject),
    Route::with("POST", Level::Object, &["uploads"], Op::CreateMultipartUpload),
    Route::with("POST", Level::Object, &["uploadId"], Op::CompleteMultipartUpload),
];

/// 3.1: each of these selects another operation.
pub const SUB_RESOURCES: &[&str] = &[
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
    "metadataConfiguration",
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
