//! The headers and query parameters of OSS, in requests and responses.

use crate::dialect::FieldName::{Header, Parameter};
use crate::dialect::{FieldName, IgnoreReason, IgnoredHeader};
use crate::model::{Document, ErrorKind, Field, Operation, Response, ResponseField};

/// The header or parameter of a field: OSS, the request parameters and headers of each operation.
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
        // The documentation does not list these headers of objects; the names are those of alibabacloud-oss-v2 1.4.1.
        Field::LockMode => Header("x-oss-object-worm-mode"),
        Field::LockUntil => Header("x-oss-object-worm-retain-until-date"),
        Field::LegalHold => Header("x-oss-object-worm-legal-hold"),
        Field::BypassLock => Header("x-oss-bypass-governance-retention"),
        // OSS has no conditions on writes and no grants to accounts, and no SDK of OSS sends a customer's key.
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

/// Fields that these operations do not have.
pub(crate) const ABSENT_FIELDS_BY_OPERATION: &[(Operation, Field)] = &[
    // ListBuckets has a marker instead of a continuation token.
    (Operation::ListBuckets, Field::ContinuationToken),
    // OSS cannot read a single part of an object.
    (Operation::GetObject, Field::PartNumber),
    (Operation::HeadObject, Field::PartNumber),
];

/// Fields that must not be empty, with the error.
// OSS, CopyObject documents the error for the version ID of a copy source. It applies to all operations here, because
// an empty version ID in a DELETE would otherwise delete the current version.
pub(crate) const NON_EMPTY_FIELDS: &[(Field, ErrorKind, &str)] =
    &[(Field::VersionId, ErrorKind::InvalidArgument, "Version id can not be the empty string.")];

/// OSS, ListBuckets (GetService) and ListObjects, max-keys: a larger value is rejected, not reduced.
pub(crate) const NUMBER_BOUNDS: &[(Operation, Field, u64, u64)] = &[
    (Operation::ListBuckets, Field::MaxKeys, 1, 1000),
    (Operation::ListObjects, Field::MaxKeys, 0, 1000),
    (Operation::ListObjectsV2, Field::MaxKeys, 0, 1000),
    (Operation::ListObjectVersions, Field::MaxKeys, 0, 1000),
];

/// Fields that are never sent to a target.
// They make the vendor call a URL or write further objects, which the grants of the caller do not cover.
pub(crate) const UNSUPPORTED_FIELDS: &[Field] = &[Field::Callback, Field::CallbackVariables, Field::Process];

/// The headers that are not read as fields.
pub(crate) const IGNORED_HEADERS: &[IgnoredHeader] = &[
    IgnoredHeader::for_all_operations("x-oss-date", IgnoreReason::Signature, SIGNATURE),
    IgnoredHeader::for_all_operations("x-oss-content-sha256", IgnoreReason::Signature, SIGNATURE),
    IgnoredHeader::for_all_operations("x-oss-security-token", IgnoreReason::Signature, SIGNATURE),
    // Name and version of the client.
    IgnoredHeader::new("x-oss-user-agent", |_| true, "ali-oss in browsers"),
    // OSS defines these for responses. Some clients repeat the headers of a response in their next request, where they
    // must not cause a rejection.
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
    // ali-oss repeats each header of the application with this prefix. The header without the prefix is in the request
    // and is read, so that nothing is lost; the conditions and the range that OSS defines with the prefix are fields.
    IgnoredHeader::new("x-oss-copy-source-*", Operation::is_copy, "ali-oss copy()"),
    // Without a copy source these headers have no effect, because there is nothing to copy or to compare.
    IgnoredHeader::new("x-oss-metadata-directive", Operation::writes_without_source, "ossfs"),
    IgnoredHeader::new("x-oss-tagging-directive", Operation::writes_without_source, "ossfs"),
    IgnoredHeader::new("x-oss-copy-source-if-*", Operation::creates_without_source, "ossfs: copies in parts"),
    // OSS reads these when an upload is created or completed, where they are fields. SDKs repeat them in every step,
    // where they have no effect.
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
    // The header limits the bandwidth of a body, so it has no effect in operations without one.
    IgnoredHeader::new("x-oss-traffic-limit", Operation::has_no_payload, "oss2 resumable_upload()"),
];

const SIGNATURE: &str = "OSS, Include signatures in the Authorization header (V1, V4)";

const RESPONSE_HEADER: &str = "OSS, Common response headers, and the operations' response headers";

fn precedes_completion(operation: Operation) -> bool {
    operation.is_multipart_step() && operation != Operation::CompleteMultipartUpload
}

/// The header of a response field: OSS, Common response headers, and the response headers of each operation.
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

/// Adds and removes headers as OSS clients expect them.
pub(crate) fn complete_response(operation: Operation, response: &mut Response) {
    // oss2 and ali-oss read the ETag of a copy and of a completed upload from the header, not from the body, so it is set.
    let etag = match &response.document {
        Some(Document::CopyObject(result) | Document::CopyPart(result)) => Some(result.etag.clone()),
        Some(Document::Completed { etag, .. }) => Some(etag.clone()),
        _ => None,
    };
    if let Some(etag) = etag {
        response.set(ResponseField::Etag, format!("\"{}\"", etag.to_ascii_uppercase()));
    }
    // oss2 takes any value of the header as true, so that `false` must be removed.
    if response.text(ResponseField::DeleteMarker).is_some_and(|text| !text.eq_ignore_ascii_case("true")) {
        response.remove(ResponseField::DeleteMarker);
    }
    if matches!(operation, Operation::GetObject | Operation::HeadObject) && response.status != 304 {
        complete_object(response);
    }
}

fn complete_object(response: &mut Response) {
    // Unlike S3 and COS, OSS returns the storage class of every object, so clients may require the header.
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
