//! The headers and query parameters of COS, in requests and responses.

use crate::dialect::FieldName::{Header, Parameter};
use crate::dialect::{FieldName, IgnoreReason, IgnoredHeader};
use crate::model::{ErrorKind, Field, Operation, Rejection, Request, Response, ResponseField};

/// The header or parameter of a field: COS, the request parameters and headers of each operation.
pub fn field_name(field: Field) -> Option<FieldName> {
    Some(match field {
        Field::IfMatch => Header("if-match"),
        Field::IfNoneMatch => Header("if-none-match"),
        Field::IfModifiedSince => Header("if-modified-since"),
        Field::IfUnmodifiedSince => Header("if-unmodified-since"),
        Field::Range => Header("range"),
        Field::IfRange => Header("if-range"),
        Field::Origin => Header("origin"),
        Field::SourceIfMatch => Header("x-cos-copy-source-if-match"),
        Field::SourceIfNoneMatch => Header("x-cos-copy-source-if-none-match"),
        Field::SourceIfModifiedSince => Header("x-cos-copy-source-if-modified-since"),
        Field::SourceIfUnmodifiedSince => Header("x-cos-copy-source-if-unmodified-since"),
        Field::SourceRange => Header("x-cos-copy-source-range"),
        Field::MetadataDirective => Header("x-cos-metadata-directive"),
        Field::TaggingDirective => Header("x-cos-tagging-directive"),
        Field::ContentType => Header("content-type"),
        Field::CacheControl => Header("cache-control"),
        Field::ContentDisposition => Header("content-disposition"),
        Field::ContentEncoding => Header("content-encoding"),
        Field::ContentLanguage => Header("content-language"),
        Field::Expires => Header("expires"),
        Field::ContentMd5 => Header("content-md5"),
        Field::StorageClass => Header("x-cos-storage-class"),
        Field::Acl | Field::BucketAcl => Header("x-cos-acl"),
        Field::GrantRead => Header("x-cos-grant-read"),
        Field::GrantWrite => Header("x-cos-grant-write"),
        Field::GrantReadAcp => Header("x-cos-grant-read-acp"),
        Field::GrantWriteAcp => Header("x-cos-grant-write-acp"),
        Field::GrantFullControl => Header("x-cos-grant-full-control"),
        Field::Tagging => Header("x-cos-tagging"),
        Field::WebsiteRedirect => Header("x-cos-website-redirect-location"),
        Field::Encryption => Header("x-cos-server-side-encryption"),
        Field::EncryptionKeyId => Header("x-cos-server-side-encryption-cos-kms-key-id"),
        Field::EncryptionContext => Header("x-cos-server-side-encryption-context"),
        Field::CustomerAlgorithm => Header("x-cos-server-side-encryption-customer-algorithm"),
        Field::CustomerKey => Header("x-cos-server-side-encryption-customer-key"),
        Field::CustomerKeyMd5 => Header("x-cos-server-side-encryption-customer-key-md5"),
        Field::SourceCustomerAlgorithm => {
            Header("x-cos-copy-source-server-side-encryption-customer-algorithm")
        }
        Field::SourceCustomerKey => Header("x-cos-copy-source-server-side-encryption-customer-key"),
        Field::SourceCustomerKeyMd5 => Header("x-cos-copy-source-server-side-encryption-customer-key-md5"),
        Field::ForbidOverwrite => Header("x-cos-forbid-overwrite"),
        Field::TrafficLimit => Header("x-cos-traffic-limit"),
        Field::Callback => Header("x-cos-callback"),
        Field::CallbackVariables => Header("x-cos-callback-var"),
        Field::Process => Header("pic-operations"),
        Field::VersionId => Parameter("versionId"),
        Field::UploadId => Parameter("uploadId"),
        Field::PartNumber => Parameter("partNumber"),
        Field::Prefix => Parameter("prefix"),
        Field::Delimiter => Parameter("delimiter"),
        Field::Marker => Parameter("marker"),
        Field::ConfigurationId => Parameter("id"),
        Field::ConfigurationsAfter => Parameter("continuation-token"),
        Field::KeyMarker => Parameter("key-marker"),
        Field::VersionIdMarker => Parameter("version-id-marker"),
        Field::UploadIdMarker => Parameter("upload-id-marker"),
        Field::MaxUploads => Parameter("max-uploads"),
        Field::Position => Parameter("position"),
        Field::MaxKeys => Parameter("max-keys"),
        Field::EncodingType => Parameter("encoding-type"),
        Field::MaxParts => Parameter("max-parts"),
        Field::PartNumberMarker => Parameter("part-number-marker"),
        Field::ResponseContentType => Parameter("response-content-type"),
        Field::ResponseContentLanguage => Parameter("response-content-language"),
        Field::ResponseExpires => Parameter("response-expires"),
        Field::ResponseCacheControl => Parameter("response-cache-control"),
        Field::ResponseContentDisposition => Parameter("response-content-disposition"),
        Field::ResponseContentEncoding => Parameter("response-content-encoding"),
        Field::BucketRegion => Parameter("region"),
        Field::CreatedTime => Parameter("create-time"),
        Field::CreatedRange => Parameter("range"),
        Field::BucketTagKey => Parameter("tagkey"),
        Field::BucketTagValue => Parameter("tagvalue"),
        // COS has no conditions on writes, no header for the expected bucket owner, and no legal hold of an object.
        Field::OverwriteIfMatch
        | Field::ExpectedOwner
        | Field::SourceExpectedOwner
        | Field::StandardRange
        | Field::EncryptionBucketKey
        | Field::EncryptionDataAlgorithm
        | Field::RequestPayer
        | Field::BucketLock
        | Field::BucketOwnership
        | Field::LockMode
        | Field::LockUntil
        | Field::LegalHold
        | Field::BypassLock
        | Field::Mfa
        | Field::ChecksumAlgorithm
        | Field::ChecksumType
        | Field::ChecksumMode
        | Field::ObjectSize
        | Field::CompleteAll
        | Field::StartAfter
        | Field::ContinuationToken
        | Field::FetchOwner
        | Field::Attributes
        | Field::ListedAttributes
        | Field::ConfirmPolicyLockout => return None,
    })
}

/// Fields that these operations do not have.
pub(crate) const ABSENT_FIELDS_BY_OPERATION: &[(Operation, Field)] = &[
    // COS cannot read a single part of an object.
    (Operation::GetObject, Field::PartNumber),
    (Operation::HeadObject, Field::PartNumber),
    // Only listings encode keys.
    (Operation::CreateMultipartUpload, Field::EncodingType),
    (Operation::CompleteMultipartUpload, Field::EncodingType),
    (Operation::DeleteObjects, Field::EncodingType),
    // The ACL is set by Initiate Multipart Upload.
    (Operation::CompleteMultipartUpload, Field::Acl),
    // COS, Server-side encryption headers, SSE-C: only requests that send or read data contain the key.
    (Operation::CompleteMultipartUpload, Field::CustomerAlgorithm),
    (Operation::CompleteMultipartUpload, Field::CustomerKey),
    (Operation::CompleteMultipartUpload, Field::CustomerKeyMd5),
    (Operation::ListParts, Field::CustomerAlgorithm),
    (Operation::ListParts, Field::CustomerKey),
    (Operation::ListParts, Field::CustomerKeyMd5),
];

/// COS, GET Service, create-time and range: both parameters must be present or absent.
///
/// # Errors
/// `InvalidArgument` if one is missing, or if the value of `range` is invalid.
pub(crate) fn check_request(request: &Request) -> Result<(), Rejection> {
    let range = request.fields.text(Field::CreatedRange);
    let is_paired = request.fields.has(Field::CreatedTime) == range.is_some();
    if is_paired && range.is_none_or(|range| ["lt", "lte", "gt", "gte"].contains(&range)) {
        return Ok(());
    }
    Err(Rejection::with_message(
        ErrorKind::InvalidArgument,
        "create-time and range must be used together; range must be lt, lte, gt or gte.",
    )
    .with_detail("ArgumentName", "range"))
}

/// Fields that are never sent to a target.
// They make the vendor call a URL or write further objects, which the grants of the caller do not cover.
pub(crate) const UNSUPPORTED_FIELDS: &[Field] = &[Field::Callback, Field::CallbackVariables, Field::Process];

/// The headers that are not read as fields.
pub(crate) const IGNORED_HEADERS: &[IgnoredHeader] = &[
    IgnoredHeader::for_all_operations(
        "x-cos-security-token",
        IgnoreReason::Signature,
        "COS, Request Signature",
    ),
    // It is compared with the body, see `digest_headers`.
    IgnoredHeader::for_all_operations("x-cos-content-sha1", IgnoreReason::Transport, "older COS SDKs"),
    // Name, version and retry count of the client.
    IgnoredHeader::new("x-cos-sdk-*", |_| true, "cos-java-sdk-v5: every call; others with a retry"),
    // COS defines these for responses. Some clients repeat the headers of a response in their next request, where they
    // must not cause a rejection.
    IgnoredHeader::response_only("x-cos-request-id", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-cos-trace-id", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-cos-bucket-region", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-cos-copy-source-version-id", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-cos-delete-marker", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-cos-expiration", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-cos-next-append-position", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-cos-object-type", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-cos-replication-status", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-cos-restore", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-cos-tagging-count", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-cos-version-id", RESPONSE_HEADER),
    // Without a copy source these headers have no effect, because there is nothing to copy or to compare.
    IgnoredHeader::new("x-cos-metadata-directive", Operation::writes_without_source, "cosfs"),
    IgnoredHeader::new("x-cos-tagging-directive", Operation::writes_without_source, "cosfs"),
    IgnoredHeader::new(
        "x-cos-copy-source-if-*",
        Operation::creates_without_source,
        "cos-python-sdk-v5: copy() in parts",
    ),
    IgnoredHeader::new(
        "x-cos-copy-source-server-side-encryption-customer-*",
        Operation::creates_without_source,
        "cos-python-sdk-v5: copy() in parts",
    ),
    // The header limits the bandwidth of a body, so it has no effect in operations without one.
    IgnoredHeader::new("x-cos-traffic-limit", Operation::has_no_payload, "cos-python-sdk-v5: upload_file()"),
    // Initiate Multipart Upload defines the encryption, so the headers have no effect here; cos-nodejs-sdk-v5 repeats
    // them with each part.
    IgnoredHeader::new("x-cos-server-side-encryption", Operation::is_multipart_step, "cos-nodejs-sdk-v5"),
    IgnoredHeader::new(
        "x-cos-server-side-encryption-context",
        Operation::is_multipart_step,
        "cos-nodejs-sdk-v5",
    ),
    IgnoredHeader::new(
        "x-cos-server-side-encryption-cos-kms-key-id",
        Operation::is_multipart_step,
        "cos-nodejs-sdk-v5",
    ),
];

const RESPONSE_HEADER: &str = "COS, Common response headers, and the operations' response headers";

/// Whether a header only describes the client, so that it need not be signed.
pub(crate) fn is_client_header(name: &str) -> bool {
    name.starts_with("x-cos-sdk-")
}

/// The header of a response field: COS, the response headers of each operation.
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
        ResponseField::Crc64Ecma => "x-cos-hash-crc64ecma",
        ResponseField::VersionId => "x-cos-version-id",
        ResponseField::SourceVersionId => "x-cos-copy-source-version-id",
        ResponseField::DeleteMarker => "x-cos-delete-marker",
        ResponseField::StorageClass => "x-cos-storage-class",
        ResponseField::Encryption => "x-cos-server-side-encryption",
        ResponseField::EncryptionKeyId => "x-cos-server-side-encryption-cos-kms-key-id",
        ResponseField::CustomerAlgorithm => "x-cos-server-side-encryption-customer-algorithm",
        ResponseField::CustomerKeyMd5 => "x-cos-server-side-encryption-customer-key-MD5",
        ResponseField::Expiration => "x-cos-expiration",
        ResponseField::Restore => "x-cos-restore",
        ResponseField::Acl => "x-cos-acl",
        ResponseField::TaggingCount => "x-cos-tagging-count",
        ResponseField::WebsiteRedirect => "x-cos-website-redirect-location",
        ResponseField::BucketRegion => "x-cos-bucket-region",
        ResponseField::Location => "Location",
        ResponseField::NextAppendPosition => "x-cos-next-append-position",
        // Despite the name of the header, cos-go-sdk-v5 expects an MD5 here and rejects a response with another value.
        ResponseField::PieceMd5 => "x-cos-content-sha1",
        ResponseField::ContentMd5
        | ResponseField::PartsCount
        | ResponseField::ChecksumAlgorithm
        | ResponseField::ChecksumType
        | ResponseField::Allow
        | ResponseField::ObjectType
        | ResponseField::LockMode
        | ResponseField::LockUntil
        | ResponseField::LegalHold
        | ResponseField::ReplicationStatus => return None,
        ResponseField::AllowOrigin
        | ResponseField::AllowMethods
        | ResponseField::AllowHeaders
        | ResponseField::ExposeHeaders
        | ResponseField::MaxAge
        | ResponseField::AllowCredentials
        | ResponseField::Vary => return field.http_name(),
    })
}

/// Adds and removes headers as COS clients expect them.
pub(crate) fn complete_response(operation: Operation, response: &mut Response) {
    // COS only returns Location after POST Object, so that of another vendor's response is removed.
    response.remove(ResponseField::Location);
    // COS, HEAD Object, x-cos-storage-class: the header is returned for all classes except STANDARD.
    if response.text(ResponseField::StorageClass) == Some("STANDARD") {
        response.remove(ResponseField::StorageClass);
    }
    if matches!(operation, Operation::GetObject | Operation::HeadObject)
        && response.text(ResponseField::AcceptRanges).is_none()
    {
        response.set(ResponseField::AcceptRanges, "bytes");
    }
}
