//! The documents of OSS.

use crate::dialect::{BucketInfoDocument, BucketSettingLocation, DocumentRoots, RedundancySetting, XmlStyle};
use crate::encoding::percent;
use crate::encoding::xml::{Node, XmlWriter};

/// The elements of each document, in the order in which OSS sends them.
pub const STYLE: XmlStyle = XmlStyle {
    roots: DocumentRoots::COMMON,
    bucket_info: Some(&BUCKET_INFO),
    encoding_type_elements: &["EncodingType"],
    error_identity: &["Code", "Message", "RequestId", "HostId", "EC", "RecommendDoc", "ServerTime"],
    endpoint_elements: ENDPOINT_ELEMENTS,
    error_repeat_element: None,
    object_type: |etag| if etag.contains('-') { "Multipart" } else { "Normal" },
    // oss2 and the Java SDK find no elements in a document with a namespace.
    namespace: None,
    multipart_completed_namespace: None,
    copy: &["ETag", "LastModified"],
    copy_milliseconds: true,
    objects: &[
        "Name",
        "Prefix",
        "Marker",
        "MaxKeys",
        "Delimiter",
        "EncodingType",
        "IsTruncated",
        "NextMarker",
        "Contents",
        "CommonPrefixes",
    ],
    objects_v2: &[
        "Name",
        "Prefix",
        "StartAfter",
        "MaxKeys",
        "Delimiter",
        "EncodingType",
        "IsTruncated",
        "ContinuationToken",
        "NextContinuationToken",
        "Contents",
        "CommonPrefixes",
        "KeyCount",
    ],
    listed_object: &["Key", "LastModified", "ETag", "Type", "Size", "StorageClass", "Owner"],
    parts: &[
        "Bucket",
        "EncodingType",
        "Key",
        "UploadId",
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
        "Type",
        "Size",
        "StorageClass",
        "Owner",
    ],
    uploads: &[
        "EncodingType",
        "Bucket",
        "KeyMarker",
        "UploadIdMarker",
        "NextKeyMarker",
        "NextUploadIdMarker",
        "Delimiter",
        "Prefix",
        "MaxUploads",
        "IsTruncated",
        "Upload",
        "CommonPrefixes",
    ],
    restore_parameters: "JobParameters",
    restore_days: Some("1"),
    upload: &["Key", "UploadId", "StorageClass", "Initiated"],
    // OSS, DeleteMultipleObjects, Quiet: the response has no body.
    omits_deleted_document: true,
    // InitiateMultipartUpload and CompleteMultipartUpload also encode the key on request, unlike those of S3 and COS.
    multipart_initiated: &["EncodingType", "Bucket", "Key", "UploadId"],
    multipart_completed: &["EncodingType", "Location", "Bucket", "Key", "ETag"],
    encodes_continuation_token: true,
    // OSS, ListBuckets (GetService), response elements: the first five are only returned if another page follows.
    buckets: &["Prefix", "Marker", "MaxKeys", "IsTruncated", "NextMarker", "Owner", "Buckets"],
    buckets_paging_when_truncated: true,
    bucket: &[
        "CreationDate",
        "ExtranetEndpoint",
        "IntranetEndpoint",
        "Location",
        "Name",
        "Region",
        "StorageClass",
    ],
    error: &["Code", "Message", "RequestId", "HostId", "*"],
    writes_empty_delimiter: true,
    // oss2 and ali-oss decode keys with plain percent-decoding, so a space must be `%20`; OSS also encodes the `/`.
    encode_key: percent::encode,
    plus_is_space: false,
    bucket_milliseconds: true,
    format_location: |region| format!("oss-{region}"),
    parse_location: |text| text.strip_prefix("oss-").unwrap_or(text).to_owned(),
};

/// The public and the internal endpoint of a bucket.
const ENDPOINT_ELEMENTS: &[&str] = &["ExtranetEndpoint", "IntranetEndpoint"];

/// OSS, GetBucketInfo.
static BUCKET_INFO: BucketInfoDocument = BucketInfoDocument {
    root: "BucketInfo",
    bucket: "Bucket",
    children: &[
        "Name",
        "CreationDate",
        "Location",
        "ExtranetEndpoint",
        "IntranetEndpoint",
        "StorageClass",
        "DataRedundancyType",
        "Versioning",
        "Owner",
        "AccessControlList",
    ],
};

/// OSS, PutBucket, DataRedundancyType: redundancy within one zone (LRS) or across zones (ZRS).
pub(crate) const REDUNDANCY: RedundancySetting = RedundancySetting {
    element: "DataRedundancyType",
    words: &["LRS", "ZRS"],
    location: BucketSettingLocation::Document,
};

/// OSS, PutBucket, request elements.
pub(crate) fn write_create_bucket_body(_region: &str, settings: &Node) -> Vec<u8> {
    // The endpoint defines the region, so that the body is only needed for settings.
    if settings.children.is_empty() {
        return Vec::new();
    }
    let mut out = XmlWriter::default();
    out.write_root(&Node { name: "CreateBucketConfiguration".to_owned().into(), ..settings.clone() }, None);
    out.finish()
}
