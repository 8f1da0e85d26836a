//! The documents of S3.

use crate::dialect::{DocumentRoots, XmlStyle};
use crate::encoding::percent;
use crate::encoding::xml::{Node, XmlWriter};

/// The namespace of every result root.
pub(crate) const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// The region without a name in documents: Amazon S3, GetBucketLocation, LocationConstraint.
const REGION_DEFAULT: &str = "us-east-1";

/// The elements of each document, in the order of the samples in the Amazon S3 API Reference.
pub const STYLE: XmlStyle = XmlStyle {
    roots: DocumentRoots::COMMON,
    bucket_info: None,
    encoding_type_elements: &["EncodingType"],
    error_identity: &["Code", "Message", "RequestId", "HostId", "Resource"],
    endpoint_elements: &[],
    error_repeat_element: Some("additionalMessage"),
    object_type: |_| "",
    namespace: Some(NAMESPACE),
    multipart_completed_namespace: None,
    copy: &["LastModified", "ETag"],
    copy_milliseconds: true,
    objects: &[
        "Name",
        "Prefix",
        "Marker",
        "NextMarker",
        "MaxKeys",
        "Delimiter",
        "EncodingType",
        "IsTruncated",
        "Contents",
        "CommonPrefixes",
    ],
    objects_v2: &[
        "Name",
        "Prefix",
        "StartAfter",
        "ContinuationToken",
        "NextContinuationToken",
        "KeyCount",
        "MaxKeys",
        "Delimiter",
        "EncodingType",
        "IsTruncated",
        "Contents",
        "CommonPrefixes",
    ],
    listed_object: &["Key", "LastModified", "ETag", "Size", "Owner", "StorageClass", "RestoreStatus"],
    parts: &[
        "Bucket",
        "Key",
        "UploadId",
        "Initiator",
        "Owner",
        "StorageClass",
        "PartNumberMarker",
        "NextPartNumberMarker",
        "MaxParts",
        "IsTruncated",
        "Part",
    ],
    versions: &[
        "Name",
        "Prefix",
        "KeyMarker",
        "VersionIdMarker",
        "NextKeyMarker",
        "NextVersionIdMarker",
        "MaxKeys",
        "Delimiter",
        "EncodingType",
        "IsTruncated",
        "Version",
        "CommonPrefixes",
    ],
    version: &[
        "Key",
        "VersionId",
        "IsLatest",
        "LastModified",
        "ETag",
        "Size",
        "Owner",
        "StorageClass",
        "RestoreStatus",
    ],
    uploads: &[
        "Bucket",
        "KeyMarker",
        "UploadIdMarker",
        "NextKeyMarker",
        "NextUploadIdMarker",
        "Prefix",
        "Delimiter",
        "EncodingType",
        "MaxUploads",
        "IsTruncated",
        "Upload",
        "CommonPrefixes",
    ],
    restore_parameters: "GlacierJobParameters",
    restore_days: None,
    upload: &["Key", "UploadId", "Initiator", "Owner", "StorageClass", "Initiated"],
    omits_deleted_document: false,
    multipart_initiated: &["Bucket", "Key", "UploadId"],
    multipart_completed: &["Location", "Bucket", "Key", "ETag"],
    encodes_continuation_token: false,
    buckets: &["Owner", "Buckets", "ContinuationToken", "Prefix"],
    buckets_paging_when_truncated: false,
    // BucketRegion is only written if the request has a parameter, because older clients do not expect it.
    bucket: &["Name", "CreationDate", "BucketRegion"],
    error: &["Code", "Message", "*", "additionalMessage", "RequestId", "HostId"],
    writes_empty_delimiter: false,
    encode_key: percent::encode_path,
    // Amazon S3 encodes a space in a listed key as `+`, so a target's listing must be decoded that way.
    plus_is_space: true,
    bucket_milliseconds: true,
    format_location: |region| if region == REGION_DEFAULT { String::new() } else { region.to_owned() },
    // Amazon S3, GetBucketLocation: for us-east-1 the element is empty.
    parse_location: |text| if text.is_empty() { REGION_DEFAULT.to_owned() } else { text.to_owned() },
};

/// Amazon S3, CreateBucket, LocationConstraint.
pub(crate) fn write_create_bucket_body(region: &str, _settings: &Node) -> Vec<u8> {
    // us-east-1 is not a valid value of LocationConstraint, so that a bucket there is created without a body.
    if region.is_empty() || region == REGION_DEFAULT {
        return Vec::new();
    }
    let mut out = XmlWriter::default();
    out.open_root("CreateBucketConfiguration", Some(NAMESPACE));
    out.write_text("LocationConstraint", region);
    out.close("CreateBucketConfiguration");
    out.finish()
}
