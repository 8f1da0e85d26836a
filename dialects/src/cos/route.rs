//! Hosts (1.1) and operations (3.2) of COS.

use crate::engine::dialect::{HostForm, Level, Route};
use crate::model::Operation as Op;

/// Old and new domain; default, internal, dedicated and accelerated hosts.
pub const HOSTS: &[HostForm] = &[
    HostForm { domain: OLD, service: &["*", "cos"] },
    HostForm { domain: NEW, service: &["*", "cos"] },
    HostForm { domain: OLD, service: &["*", "cos-internal"] },
    HostForm { domain: NEW, service: &["*", "cos-internal"] },
    HostForm { domain: OLD, service: &["*", "cos-cdc"] },
    HostForm { domain: OLD, service: &["*", "cosv6"] },
    HostForm { domain: OLD, service: &["cos", "service"] },
    HostForm { domain: NEW, service: &["cos", "service"] },
];

const OLD: &[&str] = &["com", "myqcloud"];
const NEW: &[&str] = &["cn", "tencentcos"];

/// What is asked for, by method, level and parameters.
pub const ROUTES: &[Route] = &[
    Route::plain("GET", Level::Service, Op::ListBuckets),
    Route::with("GET", Level::Bucket, &["versions"], Op::ListObjectVersions),
    Route::with("GET", Level::Bucket, &["uploads"], Op::ListMultipartUploads),
    Route::with("GET", Level::Bucket, &["location"], Op::GetBucketLocation),
    Route::with("POST", Level::Bucket, &["delete"], Op::DeleteObjects),
    Route::with("POST", Level::Object, &["restore"], Op::RestoreObject),
    Route::with("POST", Level::Object, &["append", "position"], Op::AppendObject),
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

/// 3.2: what its pages are called.
pub const TITLES: &[(Op, &str)] = &[
    (Op::ListBuckets, "GET Service"),
    (Op::CreateBucket, "PUT Bucket"),
    (Op::HeadBucket, "HEAD Bucket"),
    (Op::DeleteBucket, "DELETE Bucket"),
    (Op::ListObjects, "GET Bucket (List Objects)"),
    (Op::ListObjectVersions, "GET Bucket Object versions"),
    (Op::ListMultipartUploads, "List Multipart Uploads"),
    (Op::GetBucketLocation, "GET Bucket location"),
    (Op::DeleteObjects, "DELETE Multiple Objects"),
    (Op::PutObject, "PUT Object"),
    (Op::CopyObject, "PUT Object - Copy"),
    (Op::GetObject, "GET Object"),
    (Op::HeadObject, "HEAD Object"),
    (Op::DeleteObject, "DELETE Object"),
    (Op::AppendObject, "Append Object"),
    (Op::RestoreObject, "POST Object restore"),
    (Op::CreateMultipartUpload, "Initiate Multipart Upload"),
    (Op::UploadPart, "Upload Part"),
    (Op::UploadPartCopy, "Upload Part - Copy"),
    (Op::CompleteMultipartUpload, "Complete Multipart Upload"),
    (Op::AbortMultipartUpload, "Abort Multipart Upload"),
    (Op::ListParts, "List Parts"),
];

/// 3.2: each of these selects another operation. A second version of listings is not part of the dialect.
pub const SUB_RESOURCES: &[&str] = &[
    "accelerate",
    "acl",
    "append",
    "ci-process",
    "cors",
    "delete",
    "domain",
    "domaincertificate",
    "encryption",
    "exif",
    "imageAve",
    "imageInfo",
    "imageMogr2",
    "imageView2",
    "intelligent-tiering",
    "intelligenttiering",
    "inventory",
    "lifecycle",
    "list-type",
    "location",
    "logging",
    "notification",
    "object-lock",
    "origin",
    "policy",
    "preflight",
    "recursive",
    "referer",
    "rename",
    "replication",
    "restore",
    "retention",
    "select",
    "symlink",
    "tagging",
    "uploadId",
    "uploads",
    "versioning",
    "versions",
    "watermark",
    "website",
];
