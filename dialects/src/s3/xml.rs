//! The documents of S3 (3.6, 3.7, 4.9, 8.1).

use crate::dialect::XmlStyle;
use crate::encoding::percent;
use crate::encoding::xml::{Node, XmlWriter};

/// The namespace of every result root.
pub const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// The region that documents do not name.
const REGION_DEFAULT: &str = "us-east-1";

/// Orders as AWS writes them.
pub const STYLE: XmlStyle = XmlStyle {
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
    // 3.6: the region in calls that ask for a page or a part.
    bucket: &["Name", "CreationDate", "BucketRegion"],
    error: &["Code", "Message", "*", "additionalMessage", "RequestId", "HostId"],
    writes_empty_delimiter: false,
    encode_key: percent::encode_path,
    plus_is_space: true,
    bucket_milliseconds: true,
    format_location: |region| if region == REGION_DEFAULT { String::new() } else { region.to_owned() },
    // 3.10: the first region has no name there.
    parse_location: |text| if text.is_empty() { REGION_DEFAULT.to_owned() } else { text.to_owned() },
};

/// 3.10: outside the first region the body names the region.
pub fn write_create_bucket_body(region: &str, _settings: &Node) -> Vec<u8> {
    if region.is_empty() || region == REGION_DEFAULT {
        return Vec::new();
    }
    let mut out = XmlWriter::default();
    out.open_root("CreateBucketConfiguration", Some(NAMESPACE));
    out.write_text("LocationConstraint", region);
    out.close("CreateBucketConfiguration");
    out.finish()
}
