//! The documents of OSS (3.0, 3.2, 3.5, 3.6, 4.9, 6.1): a namespace breaks its clients.

use crate::dialect::XmlStyle;
use crate::encoding::percent;
use crate::encoding::xml::{Node, XmlWriter};

/// Orders as the service sends them.
pub const STYLE: XmlStyle = XmlStyle {
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
    // 3.5
    omits_deleted_document: true,
    // 3.5
    multipart_initiated: &["EncodingType", "Bucket", "Key", "UploadId"],
    multipart_completed: &["EncodingType", "Location", "Bucket", "Key", "ETag"],
    encodes_continuation_token: true,
    // 3.2: the first five only where a page follows.
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
    encode_key: percent::encode,
    plus_is_space: false,
    bucket_milliseconds: true,
    format_location: |region| format!("oss-{region}"),
    parse_location: |text| text.strip_prefix("oss-").unwrap_or(text).to_owned(),
};

/// 3.7: what is said of a new bucket.
pub fn write_create_bucket_body(_region: &str, settings: &Node) -> Vec<u8> {
    if settings.children.is_empty() {
        return Vec::new();
    }
    let mut out = XmlWriter::default();
    out.write_root(&Node { name: "CreateBucketConfiguration".to_owned(), ..settings.clone() }, None);
    out.finish()
}
