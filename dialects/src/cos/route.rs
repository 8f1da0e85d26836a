//! The hosts and operations of COS.

use crate::dialect::{HostForm, OperationRoute, ResourceLevel};
use crate::model::Operation as Op;

/// COS, Regions and access endpoints: the hosts of both domains. Hosts that do not serve the object API, such as
/// websites and data processing, are recognized so that their requests are rejected.
#[rustfmt::skip]
pub(crate) const HOSTS: &[HostForm] = &[
    HostForm::new_api(MYQCLOUD, &["*", "cos"]),
    HostForm::new_api(TENCENTCOS, &["*", "cos"]),
    HostForm::new_api(MYQCLOUD, &["*", "cos-internal"]),
    HostForm::new_api(TENCENTCOS, &["*", "cos-internal"]),
    HostForm::new_api(MYQCLOUD, &["*", "cos-cdc"]),
    HostForm::new_api(TENCENTCOS, &["*", "cos-cdc"]),
    HostForm::new_api(MYQCLOUD, &["*", "cosv6"]),
    HostForm::new_api(TENCENTCOS, &["*", "cosv6"]),
    HostForm::new_api(MYQCLOUD, &["cos", "service"]),
    HostForm::new_api(TENCENTCOS, &["cos", "service"]),
    HostForm::new_other(MYQCLOUD, &["*", "cos-website"]),
    HostForm::new_other(TENCENTCOS, &["*", "cos-website"]),
    HostForm::new_other(MYQCLOUD, &["*", "cos-control"]),
    HostForm::new_other(MYQCLOUD, &["*", "ci"]),
    HostForm::new_other(MYQCLOUD, &["*", "pic"]),
    // Hosts of the earlier API. They are only recognized, because older clients and copy sources still contain them.
    HostForm::new_api(MYQCLOUD, &["cn-north"]),
    HostForm::new_api(MYQCLOUD, &["cn-south"]),
    HostForm::new_api(MYQCLOUD, &["cn-south-2"]),
    HostForm::new_api(MYQCLOUD, &["cn-east"]),
    HostForm::new_api(MYQCLOUD, &["cn-southwest"]),
    HostForm::new_api(MYQCLOUD, &["sg"]),
];

const MYQCLOUD: &[&str] = &["com", "myqcloud"];
const TENCENTCOS: &[&str] = &["cn", "tencentcos"];

/// The operation of a request by its method, resource level and query parameters. The first row that matches decides.
pub(crate) const ROUTES: &[OperationRoute] = &[
    OperationRoute::new("GET", ResourceLevel::Service, Op::ListBuckets),
    OperationRoute::with_parameters("GET", ResourceLevel::Bucket, &["versions"], Op::ListObjectVersions),
    OperationRoute::with_parameters("GET", ResourceLevel::Bucket, &["uploads"], Op::ListMultipartUploads),
    OperationRoute::with_parameters("GET", ResourceLevel::Bucket, &["location"], Op::GetBucketLocation),
    OperationRoute::with_parameters("POST", ResourceLevel::Bucket, &["delete"], Op::DeleteObjects),
    OperationRoute::with_parameters("POST", ResourceLevel::Object, &["restore"], Op::RestoreObject),
    OperationRoute::with_parameters("POST", ResourceLevel::Object, &["append", "position"], Op::AppendObject),
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

/// The titles of the operations in the COS API documentation.
pub(crate) const TITLES: &[(Op, &str)] = &[
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

/// Query parameters that select another operation.
// A request with a sub-resource that is not translated must be rejected; without it, it would be a PUT or DELETE of the
// object or bucket itself. `list-type` is one of them, because COS has no second version of listings.
pub(crate) const SUB_RESOURCES: &[&str] = &[
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
