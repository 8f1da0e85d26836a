//! The documents of COS (3.4, 3.5, 3.6, 4.7, 6.1): no namespace, but for one.

use crate::engine::dialect::XmlStyle;
use crate::wire::percent;

/// Orders as in the vendor's samples.
pub const STYLE: XmlStyle = XmlStyle {
    namespace: None,
    namespace_completed: Some("http://www.qcloud.com/document/product/436/7751"),
    copy: &["ETag", "CRC64", "LastModified", "VersionId"],
    copy_milliseconds: false,
    objects: &[
        "Name",
        "EncodingType",
        "Prefix",
        "Marker",
        "MaxKeys",
        "Delimiter",
        "IsTruncated",
        "NextMarker",
        "CommonPrefixes",
        "Contents",
    ],
    objects_second: &[],
    listed: &["Key", "LastModified", "ETag", "Size", "Owner", "StorageClass"],
    parts: &[
        "Bucket",
        "Encoding-type",
        "EncodingType",
        "Key",
        "UploadId",
        "Owner",
        "PartNumberMarker",
        "Initiator",
        "Part",
        "NextPartNumberMarker",
        "StorageClass",
        "MaxParts",
        "IsTruncated",
    ],
    bucket: &["Name", "Location", "CreationDate"],
    error: &["Code", "Message", "*", "Resource", "RequestId", "TraceId"],
    empty_delimiter: false,
    encode_key: percent::encode_path,
    plus_is_space: false,
    bucket_milliseconds: false,
    location: str::to_owned,
};
