//! The headers and parameters of OSS, both ways.

use crate::dialect::FieldName::{Header, Parameter};
use crate::dialect::{FieldName, IgnoreReason, IgnoredHeader};
use crate::model::{Document, ErrorKind, Field, Operation, Response, ResponseField};

/// What a request says (3.3, 3.5, 3.6, 4.2, 5).
pub fn field_name(field: Field) -> Option<FieldName> {
    Some(match field {
        Field::IfMatch => Header("if-match"),
        Field::IfNoneMatch => Header("if-none-match"),
        Field::IfModifiedSince => Header("if-modified-since"),
        Field::IfUnmodifiedSince => Header("if-unmodified-since"),
        Field::Range => Header("range"),
        Field::IfRange => Header("if-range"),
        Field::Origin => Header("origin"),
        Field::StandardRange => Header("x-oss-range-behavior"),
        Field::SourceIfMatch => Header("x-oss-copy-source-if-match"),
        Field::SourceIfNoneMatch => Header("x-oss-copy-source-if-none-match"),
        Field::SourceIfModifiedSince => Header("x-oss-copy-source-if-modified-since"),
        Field::SourceIfUnmodifiedSince => Header("x-oss-copy-source-if-unmodified-since"),
        Field::SourceRange => Header("x-oss-copy-source-range"),
        Field::MetadataDirective => Header("x-oss-metadata-directive"),
        Field::TaggingDirective => Header("x-oss-tagging-directive"),
        Field::ContentType => Header("content-type"),
        Field::CacheControl => Header("cache-control"),
        Field::ContentDisposition => Header("content-disposition"),
        Field::ContentEncoding => Header("content-encoding"),
        Field::ContentLanguage => Header("content-language"),
        Field::Expires => Header("expires"),
        Field::ContentMd5 => Header("content-md5"),
        Field::StorageClass => Header("x-oss-storage-class"),
        Field::Acl => Header("x-oss-object-acl"),
        Field::BucketAcl => Header("x-oss-acl"),
        Field::Tagging => Header("x-oss-tagging"),
        Field::Encryption => Header("x-oss-server-side-encryption"),
        Field::EncryptionKeyId => Header("x-oss-server-side-encryption-key-id"),
        Field::EncryptionDataAlgorithm => Header("x-oss-server-side-data-encryption"),
        Field::ForbidOverwrite => Header("x-oss-forbid-overwrite"),
        Field::RequestPayer => Header("x-oss-request-payer"),
        Field::TrafficLimit => Header("x-oss-traffic-limit"),
        Field::Callback => Header("x-oss-callback"),
        Field::CallbackVariables => Header("x-oss-callback-var"),
        Field::Process => Header("x-oss-process"),
        Field::CompleteAll => Header("x-oss-complete-all"),
        Field::VersionId => Parameter("versionId"),
        Field::UploadId => Parameter("uploadId"),
        Field::PartNumber => Parameter("partNumber"),
        Field::Prefix => Parameter("prefix"),
        Field::Delimiter => Parameter("delimiter"),
        Field::Marker => Parameter("marker"),
        Field::ConfigurationId => Parameter("inventoryId"),
        Field::ConfigurationsAfter => Parameter("continuation-token"),
        Field::KeyMarker => Parameter("key-marker"),
        Field::VersionIdMarker => Parameter("version-id-marker"),
        Field::UploadIdMarker => Parameter("upload-id-marker"),
        Field::MaxUploads => Parameter("max-uploads"),
        Field::Position => Parameter("position"),
        Field::StartAfter => Parameter("start-after"),
        Field::ContinuationToken => Parameter("continuation-token"),
        Field::MaxKeys => Parameter("max-keys"),
        Field::EncodingType => Parameter("encoding-type"),
        Field::FetchOwner => Parameter("fetch-owner"),
        Field::MaxParts => Parameter("max-parts"),
        Field::PartNumberMarker => Parameter("part-number-marker"),
        Field::ResponseContentType => Parameter("response-content-type"),
        Field::ResponseContentLanguage => Parameter("response-content-language"),
        Field::ResponseExpires => Parameter("response-expires"),
        Field::ResponseCacheControl => Parameter("response-cache-control"),
        Field::ResponseContentDisposition => Parameter("response-content-disposition"),
        Field::ResponseContentEncoding => Parameter("response-content-encoding"),
        Field::BucketTagKey => Parameter("tag-key"),
        Field::BucketTagValue => Parameter("tag-value"),
        // Those of objects are in the SDKs alone (alibabacloud-oss-v2 1.4.1).
        Field::LockMode => Header("x-oss-object-worm-mode"),
        Field::LockUntil => Header("x-oss-object-worm-retain-until-date"),
        Field::LegalHold => Header("x-oss-object-worm-legal-hold"),
        Field::BypassLock => Header("x-oss-bypass-governance-retention"),
        // 3.3: no conditions on writes; 5.2: one word of access; 5.3: customer keys in no SDK.
        Field::OverwriteIfMatch
        | Field::GrantRead
        | Field::GrantWrite
        | Field::GrantReadAcp
        | Field::GrantWriteAcp
        | Field::GrantFullControl
        | Field::WebsiteRedirect
        | Field::EncryptionContext
        | Field::EncryptionBucketKey
        | Field::CustomerAlgorithm
        | Field::CustomerKey
        | Field::CustomerKeyMd5
        | Field::SourceCustomerAlgorithm
        | Field::SourceCustomerKey
        | Field::SourceCustomerKeyMd5
        | Field::ExpectedOwner
        | Field::SourceExpectedOwner
        | Field::BucketLock
        | Field::BucketOwnership
        | Field::BucketRegion
        | Field::CreatedTime
        | Field::CreatedRange
        | Field::Mfa
        | Field::ChecksumAlgorithm
        | Field::ChecksumType
        | Field::ChecksumMode
        | Field::ObjectSize
        | Field::Attributes
        | Field::ListedAttributes
        | Field::ConfirmPolicyLockout => return None,
    })
}

/// 3.2: buckets have markers. 3.3: parts of an object are not read one by one.
pub const ABSENT_FIELDS_BY_OPERATION: &[(Operation, Field)] = &[
    (Operation::ListBuckets, Field::ContinuationToken),
    (Operation::GetObject, Field::PartNumber),
    (Operation::HeadObject, Field::PartNumber),
];

/// 4.2 says it of a copy's source.
pub const NON_EMPTY_FIELDS: &[(Field, ErrorKind, &str)] =
    &[(Field::VersionId, ErrorKind::InvalidArgument, "Version id can not be the empty string.")];

/// 3.2, 3.6: what is larger is refused, not cut.
pub const NUMBER_BOUNDS: &[(Operation, Field, u64, u64)] = &[
    (Operation::ListBuckets, Field::MaxKeys, 1, 1000),
    (Operation::ListObjects, Field::MaxKeys, 0, 1000),
    (Operation::ListObjectsV2, Field::MaxKeys, 0, 1000),
    (Operation::ListObjectVersions, Field::MaxKeys, 0, 1000),
];

/// What makes a vendor call, fetch or write elsewhere is never asked of a target.
pub const UNSUPPORTED_FIELDS: &[Field] = &[Field::Callback, Field::CallbackVariables, Field::Process];

/// The headers that no field is read from.
pub const IGNORED_HEADERS: &[IgnoredHeader] = &[
    IgnoredHeader::for_all_operations("x-oss-date", IgnoreReason::Signature, SIGNATURE),
    IgnoredHeader::for_all_operations("x-oss-content-sha256", IgnoreReason::Signature, SIGNATURE),
    IgnoredHeader::for_all_operations("x-oss-security-token", IgnoreReason::Signature, SIGNATURE),
    // The client's name and version.
    IgnoredHeader::new("x-oss-user-agent", |_| true, "ali-oss in browsers"),
    // Clients send headers of a response with their next request.
    IgnoredHeader::response_only("x-oss-request-id", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-oss-server-time", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-oss-ec", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-oss-err", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-oss-bucket-version", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-oss-copy-source-version-id", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-oss-delete-marker", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-oss-expiration", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-oss-force-download", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-oss-last-access-time", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-oss-next-append-position", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-oss-object-type", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-oss-process-status", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-oss-qos-delay-time", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-oss-request-charged", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-oss-restore", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-oss-tagging-count", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-oss-transition-time", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-oss-version-id", RESPONSE_HEADER),
    // ali-oss sends each header of its user a second time under this prefix. The header itself is in the request, too, and is
    // read; OSS defines conditions and a range under the prefix, which are fields.
    IgnoredHeader::new("x-oss-copy-source-*", Operation::is_copy, "ali-oss copy()"),
    // A request without a copy source has nothing to take over or to compare.
    IgnoredHeader::new("x-oss-metadata-directive", Operation::writes_without_source, "ossfs"),
    IgnoredHeader::new("x-oss-tagging-directive", Operation::writes_without_source, "ossfs"),
    IgnoredHeader::new("x-oss-copy-source-if-*", Operation::creates_without_source, "ossfs: copies in parts"),
    // OSS reads these where an upload begins or is completed, where they are fields. SDKs repeat them with every step.
    IgnoredHeader::new("x-oss-storage-class", Operation::is_multipart_step, "oss2 resumable_upload()"),
    IgnoredHeader::new("x-oss-tagging", Operation::is_multipart_step, "oss2 resumable_upload(), ali-oss"),
    IgnoredHeader::new("x-oss-object-acl", Operation::is_multipart_step, "oss2 resumable_upload(), ali-oss"),
    IgnoredHeader::new(
        "x-oss-forbid-overwrite",
        Operation::is_multipart_step,
        "oss2 resumable_upload(), ali-oss",
    ),
    IgnoredHeader::new("x-oss-server-side-encryption-key-id", Operation::is_multipart_step, "oss2, ali-oss"),
    IgnoredHeader::new("x-oss-callback", precedes_completion, "oss2 resumable_upload(), ali-oss"),
    IgnoredHeader::new("x-oss-callback-var", precedes_completion, "oss2 resumable_upload(), ali-oss"),
    IgnoredHeader::new(
        "x-oss-object-worm-*",
        Operation::is_multipart_step,
        "oss2 resumable_upload(), ali-oss",
    ),
    // It limits the transfer of a body, and these operations have none.
    IgnoredHeader::new("x-oss-traffic-limit", Operation::has_no_payload, "oss2 resumable_upload()"),
];

const SIGNATURE: &str = "OSS, Include signatures in the Authorization header (V1, V4)";

const RESPONSE_HEADER: &str = "OSS, Common response headers, and the operations' response headers";

fn precedes_completion(operation: Operation) -> bool {
    operation.is_multipart_step() && operation != Operation::CompleteMultipartUpload
}

/// What an answer says (1.4, 3.3, 4.9, 5.8).
pub fn response_field_name(field: ResponseField) -> Option<&'static str> {
    Some(match field {
        ResponseField::ContentType => "Content-Type",
        ResponseField::ContentLength => "Content-Length",
        ResponseField::ContentRange => "Content-Range",
        ResponseField::AcceptRanges => "Accept-Ranges",
        ResponseField::CacheControl => "Cache-Control",
        ResponseField::ContentDisposition => "Content-Disposition",
        ResponseField::ContentEncoding => "Content-Encoding",
        ResponseField::ContentLanguage => "Content-Language",
        ResponseField::Expires => "Expires",
        ResponseField::LastModified => "Last-Modified",
        ResponseField::Etag => "ETag",
        ResponseField::ContentMd5 => "Content-MD5",
        ResponseField::Crc64Ecma => "x-oss-hash-crc64ecma",
        ResponseField::VersionId => "x-oss-version-id",
        ResponseField::SourceVersionId => "x-oss-copy-source-version-id",
        ResponseField::DeleteMarker => "x-oss-delete-marker",
        ResponseField::StorageClass => "x-oss-storage-class",
        ResponseField::Encryption => "x-oss-server-side-encryption",
        ResponseField::EncryptionKeyId => "x-oss-server-side-encryption-key-id",
        ResponseField::Expiration => "x-oss-expiration",
        ResponseField::Restore => "x-oss-restore",
        ResponseField::TaggingCount => "x-oss-tagging-count",
        ResponseField::LockMode => "x-oss-object-worm-mode",
        ResponseField::LockUntil => "x-oss-object-worm-retain-until-date",
        ResponseField::LegalHold => "x-oss-object-worm-legal-hold",
        ResponseField::Allow => "Allow",
        ResponseField::Location => "Location",
        ResponseField::NextAppendPosition => "x-oss-next-append-position",
        ResponseField::ObjectType => "x-oss-object-type",
        ResponseField::CustomerAlgorithm
        | ResponseField::CustomerKeyMd5
        | ResponseField::PartsCount
        | ResponseField::ChecksumAlgorithm
        | ResponseField::ChecksumType
        | ResponseField::WebsiteRedirect
        | ResponseField::BucketRegion
        | ResponseField::ReplicationStatus
        | ResponseField::Acl
        | ResponseField::PieceMd5 => return None,
        ResponseField::AllowOrigin
        | ResponseField::AllowMethods
        | ResponseField::AllowHeaders
        | ResponseField::ExposeHeaders
        | ResponseField::MaxAge
        | ResponseField::AllowCredentials
        | ResponseField::Vary => return field.http_name(),
    })
}

/// 5.1: the class is always told. 3.5, 4.9: SDKs read the ETag of a copy and of a completed upload from the head.
/// 3.3: a marker that says anything says yes.
pub fn complete_response(operation: Operation, response: &mut Response) {
    let etag = match &response.document {
        Some(Document::CopyObject(result) | Document::CopyPart(result)) => Some(result.etag.clone()),
        Some(Document::Completed { etag, .. }) => Some(etag.clone()),
        _ => None,
    };
    if let Some(etag) = etag {
        response.set(ResponseField::Etag, format!("\"{}\"", etag.to_ascii_uppercase()));
    }
    if response.text(ResponseField::DeleteMarker).is_some_and(|text| !text.eq_ignore_ascii_case("true")) {
        response.remove(ResponseField::DeleteMarker);
    }
    if matches!(operation, Operation::GetObject | Operation::HeadObject) && response.status != 304 {
        complete_object(response);
    }
}

fn complete_object(response: &mut Response) {
    if response.text(ResponseField::StorageClass).is_none() {
        response.set(ResponseField::StorageClass, "Standard");
    }
    if response.text(ResponseField::ObjectType).is_none() {
        let multipart = response.text(ResponseField::Etag).is_some_and(|etag| etag.contains('-'));
        response.set(ResponseField::ObjectType, if multipart { "Multipart" } else { "Normal" });
    }
    if response.text(ResponseField::AcceptRanges).is_none() {
        response.set(ResponseField::AcceptRanges, "bytes");
    }
}
