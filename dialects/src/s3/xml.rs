//! The documents of S3 (3.6, 3.7, 4.9, 8.1).

use crate::engine::dialect::XmlStyle;
use crate::wire::percent;
use crate::wire::xml::Writer;

/// The namespace of every result root.
pub const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// Orders as AWS writes them.
pub const STYLE: XmlStyle = XmlStyle {
    namespace: Some(NAMESPACE),
    namespace_completed: None,
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
    objects_second: &[
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
    listed: &["Key", "LastModified", "ETag", "Size", "Owner", "StorageClass"],
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
    bucket: &["Name", "CreationDate"],
    error: &["Code", "Message", "*", "RequestId", "HostId"],
    empty_delimiter: false,
    encode_key: percent::encode_path,
    plus_is_space: true,
    bucket_milliseconds: true,
    location: str::to_owned,
};

/// 3.10: outside the first region the body names the region.
pub fn create_bucket_body(region: &str) -> Vec<u8> {
    if matches!(region, "us-east-1" | "") {
        return Vec::new();
    }
    let mut out = Writer::default();
    out.open_root("CreateBucketConfiguration", Some(NAMESPACE));
    out.text("LocationConstraint", region);
    out.close("CreateBucketConfiguration");
    out.finish()
}
