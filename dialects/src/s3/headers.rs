//! The headers and query parameters of S3, in requests and responses.

use crate::dialect::FieldName::{Header, Parameter};
use crate::dialect::{FieldName, IgnoreReason, IgnoredHeader};
use crate::model::{ErrorKind, Field, Operation, Rejection, Request, Response, ResponseField, Value};

/// The header or parameter of a field: Amazon S3, the request parameters and headers of each operation.
pub fn field_name(field: Field) -> Option<FieldName> {
    Some(match field {
        Field::IfMatch => Header("if-match"),
        Field::IfNoneMatch => Header("if-none-match"),
        Field::IfModifiedSince => Header("if-modified-since"),
        Field::IfUnmodifiedSince => Header("if-unmodified-since"),
        Field::Range => Header("range"),
        Field::IfRange => Header("if-range"),
        Field::Origin => Header("origin"),
        Field::SourceIfMatch => Header("x-amz-copy-source-if-match"),
        Field::SourceIfNoneMatch => Header("x-amz-copy-source-if-none-match"),
        Field::SourceIfModifiedSince => Header("x-amz-copy-source-if-modified-since"),
        Field::SourceIfUnmodifiedSince => Header("x-amz-copy-source-if-unmodified-since"),
        Field::SourceRange => Header("x-amz-copy-source-range"),
        Field::MetadataDirective => Header("x-amz-metadata-directive"),
        Field::TaggingDirective => Header("x-amz-tagging-directive"),
        Field::ContentType => Header("content-type"),
        Field::CacheControl => Header("cache-control"),
        Field::ContentDisposition => Header("content-disposition"),
        Field::ContentEncoding => Header("content-encoding"),
        Field::ContentLanguage => Header("content-language"),
        Field::Expires => Header("expires"),
        Field::ContentMd5 => Header("content-md5"),
        Field::StorageClass => Header("x-amz-storage-class"),
        Field::Acl | Field::BucketAcl => Header("x-amz-acl"),
        Field::BucketLock => Header("x-amz-bucket-object-lock-enabled"),
        Field::BucketOwnership => Header("x-amz-object-ownership"),
        Field::GrantRead => Header("x-amz-grant-read"),
        Field::GrantWrite => Header("x-amz-grant-write"),
        Field::GrantReadAcp => Header("x-amz-grant-read-acp"),
        Field::GrantWriteAcp => Header("x-amz-grant-write-acp"),
        Field::GrantFullControl => Header("x-amz-grant-full-control"),
        Field::Tagging => Header("x-amz-tagging"),
        Field::WebsiteRedirect => Header("x-amz-website-redirect-location"),
        Field::Encryption => Header("x-amz-server-side-encryption"),
        Field::EncryptionKeyId => Header("x-amz-server-side-encryption-aws-kms-key-id"),
        Field::EncryptionContext => Header("x-amz-server-side-encryption-context"),
        Field::EncryptionBucketKey => Header("x-amz-server-side-encryption-bucket-key-enabled"),
        Field::CustomerAlgorithm => Header("x-amz-server-side-encryption-customer-algorithm"),
        Field::CustomerKey => Header("x-amz-server-side-encryption-customer-key"),
        Field::CustomerKeyMd5 => Header("x-amz-server-side-encryption-customer-key-md5"),
        Field::SourceCustomerAlgorithm => {
            Header("x-amz-copy-source-server-side-encryption-customer-algorithm")
        }
        Field::SourceCustomerKey => Header("x-amz-copy-source-server-side-encryption-customer-key"),
        Field::SourceCustomerKeyMd5 => Header("x-amz-copy-source-server-side-encryption-customer-key-md5"),
        // On writes the two standard headers are conditions on the destination, so they are other fields than on reads.
        Field::ForbidOverwrite => Header("if-none-match"),
        Field::OverwriteIfMatch => Header("if-match"),
        Field::ExpectedOwner => Header("x-amz-expected-bucket-owner"),
        Field::SourceExpectedOwner => Header("x-amz-source-expected-bucket-owner"),
        Field::RequestPayer => Header("x-amz-request-payer"),
        Field::LockMode => Header("x-amz-object-lock-mode"),
        Field::LockUntil => Header("x-amz-object-lock-retain-until-date"),
        Field::LegalHold => Header("x-amz-object-lock-legal-hold"),
        Field::BypassLock => Header("x-amz-bypass-governance-retention"),
        Field::Mfa => Header("x-amz-mfa"),
        Field::ChecksumAlgorithm => Header("x-amz-checksum-algorithm"),
        Field::ChecksumType => Header("x-amz-checksum-type"),
        Field::ChecksumMode => Header("x-amz-checksum-mode"),
        Field::ObjectSize => Header("x-amz-mp-object-size"),
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
        Field::Attributes => Header("x-amz-object-attributes"),
        Field::ListedAttributes => Header("x-amz-optional-object-attributes"),
        Field::ConfirmPolicyLockout => Header("x-amz-confirm-remove-self-bucket-access"),
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
        Field::BucketRegion => Parameter("bucket-region"),
        Field::StandardRange
        | Field::CreatedTime
        | Field::CreatedRange
        | Field::BucketTagKey
        | Field::BucketTagValue
        | Field::EncryptionDataAlgorithm
        | Field::TrafficLimit
        | Field::Callback
        | Field::CallbackVariables
        | Field::Process
        | Field::CompleteAll
        | Field::Position => return None,
    })
}

/// Amazon S3, Signature calculations for the Authorization header, Transferring payload in multiple chunks: the stored
/// Content-Encoding does not contain `aws-chunked`.
pub(crate) fn strip_transport_text(field: Field, text: String) -> String {
    let is_aws_chunked = |coding: &str| coding.trim().eq_ignore_ascii_case("aws-chunked");
    if field != Field::ContentEncoding || !text.split(',').any(is_aws_chunked) {
        return text;
    }
    let codings: Vec<&str> = text.split(',').filter(|coding| !is_aws_chunked(coding)).collect();
    codings.join(",").trim().to_owned()
}

/// Amazon S3, ListBuckets and GetObjectAttributes: their paging parameters have other names than those of listings.
pub(crate) const FIELD_NAMES_BY_OPERATION: &[(Operation, Field, FieldName)] = &[
    (Operation::ListBuckets, Field::MaxKeys, Parameter("max-buckets")),
    (Operation::GetObjectAttributes, Field::MaxParts, Header("x-amz-max-parts")),
    (Operation::GetObjectAttributes, Field::PartNumberMarker, Header("x-amz-part-number-marker")),
];

/// Fields that these operations do not have.
pub(crate) const ABSENT_FIELDS_BY_OPERATION: &[(Operation, Field)] = &[
    // Amazon S3, CompleteMultipartUpload, If-None-Match: the condition is evaluated when the upload is completed.
    (Operation::CreateMultipartUpload, Field::ForbidOverwrite),
    // Only listings of a bucket encode keys.
    (Operation::CreateMultipartUpload, Field::EncodingType),
    (Operation::CompleteMultipartUpload, Field::EncodingType),
    (Operation::ListParts, Field::EncodingType),
    (Operation::DeleteObjects, Field::EncodingType),
    // ListBuckets has a continuation token instead of a marker.
    (Operation::ListBuckets, Field::Marker),
    // The ACL is set by CreateMultipartUpload.
    (Operation::CompleteMultipartUpload, Field::Acl),
];

/// Fields that a compatible server may ignore in these operations.
// SeaweedFS completes an upload although the stated size is wrong. Others may do so too, so none of them is trusted.
pub(crate) const UNSUPPORTED_FIELDS_BY_OPERATION: &[(Operation, Field)] = &[COMPLETED_OBJECT_SIZE];

/// The stated size of the object in CompleteMultipartUpload.
pub(crate) const COMPLETED_OBJECT_SIZE: (Operation, Field) =
    (Operation::CompleteMultipartUpload, Field::ObjectSize);

/// Fields that must not be empty, with the error.
pub(crate) const NON_EMPTY_FIELDS: &[(Field, ErrorKind, &str)] = &[
    (Field::ContinuationToken, ErrorKind::InvalidArgument, INVALID_TOKEN_MESSAGE),
    (Field::ConfigurationsAfter, ErrorKind::InvalidArgument, INVALID_TOKEN_MESSAGE),
    // An empty version ID is a mistake of the client, and a DELETE with it would delete the current version.
    (Field::VersionId, ErrorKind::InvalidArgument, "Version id cannot be the empty string"),
    (Field::Attributes, ErrorKind::InvalidRequest, MISSING_ATTRIBUTES_MESSAGE),
];

const INVALID_TOKEN_MESSAGE: &str = "The continuation token provided is incorrect";

const MISSING_ATTRIBUTES_MESSAGE: &str =
    "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty";

/// Amazon S3, ListObjectsV2, max-keys: a value above the maximum page size is valid and returns a page of that size.
pub(crate) const NUMBER_BOUNDS: &[(Operation, Field, u64, u64)] = &[
    (Operation::ListBuckets, Field::MaxKeys, 1, 10_000),
    (Operation::ListObjects, Field::MaxKeys, 0, NUMBER_MAX),
    (Operation::ListObjectsV2, Field::MaxKeys, 0, NUMBER_MAX),
    (Operation::ListObjectVersions, Field::MaxKeys, 0, NUMBER_MAX),
    (Operation::ListMultipartUploads, Field::MaxUploads, 0, NUMBER_MAX),
    (Operation::ListParts, Field::MaxParts, 0, NUMBER_MAX),
    (Operation::ListParts, Field::PartNumberMarker, 0, NUMBER_MAX),
    (Operation::GetObjectAttributes, Field::MaxParts, 0, NUMBER_MAX),
    (Operation::GetObjectAttributes, Field::PartNumberMarker, 0, NUMBER_MAX),
];

const NUMBER_MAX: u64 = 2_147_483_647;

/// Checks the combinations of fields that S3 rejects.
///
/// # Errors
/// The error that S3 returns for the first invalid field or combination.
pub(crate) fn check_request(request: &Request) -> Result<(), Rejection> {
    let fields = &request.fields;
    let is_read = matches!(request.operation, Operation::GetObject | Operation::HeadObject);
    if is_read && fields.has(Field::PartNumber) && fields.has(Field::Range) {
        return Err(Rejection::with_message(
            ErrorKind::InvalidRequest,
            "Cannot specify both Range header and partNumber query parameter",
        ));
    }
    if fields.has(Field::VersionIdMarker) && !fields.has(Field::KeyMarker) {
        return Err(Rejection::with_message(
            ErrorKind::InvalidArgument,
            "A version-id marker cannot be specified without a key marker.",
        )
        .with_detail("ArgumentName", "version-id-marker"));
    }
    if request.operation == Operation::GetObjectAttributes {
        check_attributes(fields.get(Field::Attributes))?;
    }
    if request.operation == Operation::CreateMultipartUpload {
        check_checksum_type(fields.text(Field::ChecksumAlgorithm), fields.text(Field::ChecksumType))?;
    }
    Ok(())
}

/// Amazon S3, Checking object integrity, Full object and composite checksum types.
// A target that does not store checksums would accept every combination, so they are checked here.
fn check_checksum_type(algorithm: Option<&str>, kind: Option<&str>) -> Result<(), Rejection> {
    let Some(kind) = kind else { return Ok(()) };
    let reject = |message: String| Err(Rejection::with_message(ErrorKind::InvalidRequest, message));
    let Some(algorithm) = algorithm.map(str::to_ascii_lowercase) else {
        return reject(
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
                .to_owned(),
        );
    };
    let is_impossible = match kind {
        "FULL_OBJECT" => matches!(algorithm.as_str(), "sha1" | "sha256"),
        "COMPOSITE" => algorithm == "crc64nvme",
        _ => return reject("Value for x-amz-checksum-type header is invalid.".to_owned()),
    };
    if is_impossible {
        return reject(format!(
            "The {kind} checksum type cannot be used with the {algorithm} checksum algorithm."
        ));
    }
    Ok(())
}

const ATTRIBUTE_NAMES: [&str; 5] = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];

fn check_attributes(wanted: Option<&Value>) -> Result<(), Rejection> {
    let Some(Value::Text(wanted)) = wanted else {
        return Err(Rejection::with_message(ErrorKind::InvalidRequest, MISSING_ATTRIBUTES_MESSAGE));
    };
    match wanted.split(',').map(str::trim).find(|name| !ATTRIBUTE_NAMES.contains(name)) {
        None => Ok(()),
        Some(name) => {
            Err(Rejection::with_message(ErrorKind::InvalidArgument, "Invalid attribute name specified.")
                .with_detail("ArgumentName", "x-amz-object-attributes")
                .with_detail("ArgumentValue", name))
        }
    }
}

/// The headers that are not read as fields.
pub(crate) const IGNORED_HEADERS: &[IgnoredHeader] = &[
    // They describe the framing of the body and its trailer, and are read with the body.
    IgnoredHeader::for_all_operations("x-amz-decoded-content-length", IgnoreReason::Transport, AWS_CHUNKED),
    IgnoredHeader::for_all_operations("x-amz-trailer", IgnoreReason::Transport, AWS_CHUNKED),
    IgnoredHeader::for_all_operations("x-amz-te", IgnoreReason::Transport, "aws-sdk-go v1: append-md5"),
    // It is compared with the checksum that is sent, see `checksum_algorithm_header`.
    IgnoredHeader::for_all_operations("x-amz-sdk-checksum-algorithm", IgnoreReason::Transport, "all SDKs"),
    IgnoredHeader::for_all_operations("x-amz-content-sha256", IgnoreReason::Signature, SIGNATURE),
    IgnoredHeader::for_all_operations("x-amz-date", IgnoreReason::Signature, SIGNATURE),
    IgnoredHeader::for_all_operations("x-amz-security-token", IgnoreReason::Signature, SIGNATURE),
    // In the operations that have these two fields they are read. In others SDKs repeat them, and no checksum depends
    // on them.
    IgnoredHeader::new("x-amz-checksum-algorithm", |_| true, "AWS SDKs, minio-go"),
    IgnoredHeader::new("x-amz-checksum-mode", |_| true, "AWS SDKs"),
    // Name and version of the client.
    IgnoredHeader::new("x-amz-user-agent", |_| true, "aws-sdk-js in browsers"),
    IgnoredHeader::new("x-amz-api-version", |_| true, "AWS SDK for C++: every call"),
    // S3 defines these for responses. Some clients repeat the headers of a response in their next request, where they
    // must not cause a rejection.
    IgnoredHeader::response_only("x-amz-request-id", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-amz-id-2", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-amz-abort-date", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-amz-abort-rule-id", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-amz-access-point-alias", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-amz-archive-status", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-amz-bucket-arn", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-amz-bucket-region", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-amz-copy-source-version-id", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-amz-delete-marker", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-amz-expiration", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-amz-missing-meta", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-amz-mp-parts-count", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-amz-object-size", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-amz-replication-status", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-amz-request-charged", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-amz-restore", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-amz-tagging-count", RESPONSE_HEADER),
    IgnoredHeader::response_only("x-amz-version-id", RESPONSE_HEADER),
    // Without a copy source these headers have no effect, because there is nothing to copy or to compare.
    IgnoredHeader::new("x-amz-metadata-directive", Operation::writes_without_source, "s3fs"),
    IgnoredHeader::new("x-amz-tagging-directive", Operation::writes_without_source, "s3fs"),
    IgnoredHeader::new("x-amz-copy-source-if-*", Operation::creates_without_source, "s3fs: copies in parts"),
    IgnoredHeader::new(
        "x-amz-copy-source-server-side-encryption-customer-*",
        Operation::creates_without_source,
        "s3fs: copies in parts",
    ),
    // CreateMultipartUpload defines the encryption, so that the headers have no effect here; minio-go repeats them.
    IgnoredHeader::new("x-amz-server-side-encryption", completes_upload, "minio-go"),
    IgnoredHeader::new("x-amz-server-side-encryption-aws-kms-key-id", completes_upload, "minio-go"),
    IgnoredHeader::new("x-amz-server-side-encryption-context", completes_upload, "minio-go"),
];

const AWS_CHUNKED: &str = "Amazon S3, Transferring payload in multiple chunks";

const SIGNATURE: &str = "Amazon S3, Authenticating requests (AWS Signature Version 4)";

const RESPONSE_HEADER: &str = "Amazon S3, Common response headers, and the operations' response headers";

fn completes_upload(operation: Operation) -> bool {
    operation == Operation::CompleteMultipartUpload
}

/// The header of a response field: Amazon S3, the response headers of each operation.
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
        ResponseField::VersionId => "x-amz-version-id",
        ResponseField::SourceVersionId => "x-amz-copy-source-version-id",
        ResponseField::DeleteMarker => "x-amz-delete-marker",
        ResponseField::StorageClass => "x-amz-storage-class",
        ResponseField::Encryption => "x-amz-server-side-encryption",
        ResponseField::EncryptionKeyId => "x-amz-server-side-encryption-aws-kms-key-id",
        ResponseField::CustomerAlgorithm => "x-amz-server-side-encryption-customer-algorithm",
        ResponseField::CustomerKeyMd5 => "x-amz-server-side-encryption-customer-key-md5",
        ResponseField::Expiration => "x-amz-expiration",
        ResponseField::Restore => "x-amz-restore",
        ResponseField::TaggingCount => "x-amz-tagging-count",
        ResponseField::PartsCount => "x-amz-mp-parts-count",
        ResponseField::ChecksumAlgorithm => "x-amz-checksum-algorithm",
        ResponseField::ChecksumType => "x-amz-checksum-type",
        ResponseField::WebsiteRedirect => "x-amz-website-redirect-location",
        ResponseField::BucketRegion => "x-amz-bucket-region",
        ResponseField::Location => "Location",
        ResponseField::Allow => "Allow",
        ResponseField::LockMode => "x-amz-object-lock-mode",
        ResponseField::LockUntil => "x-amz-object-lock-retain-until-date",
        ResponseField::LegalHold => "x-amz-object-lock-legal-hold",
        ResponseField::ReplicationStatus => "x-amz-replication-status",
        ResponseField::ContentMd5
        | ResponseField::Crc64Ecma
        | ResponseField::NextAppendPosition
        | ResponseField::ObjectType
        | ResponseField::Acl
        | ResponseField::PieceMd5 => {
            return None;
        }
        ResponseField::AllowOrigin
        | ResponseField::AllowMethods
        | ResponseField::AllowHeaders
        | ResponseField::ExposeHeaders
        | ResponseField::MaxAge
        | ResponseField::AllowCredentials
        | ResponseField::Vary => return field.http_name(),
    })
}

/// Adds and removes headers as S3 clients expect them.
pub(crate) fn complete_response(operation: Operation, response: &mut Response) {
    // Amazon S3, HeadObject, x-amz-storage-class: the header is returned for all classes except STANDARD.
    if response.text(ResponseField::StorageClass) == Some("STANDARD") {
        response.remove(ResponseField::StorageClass);
    }
    if matches!(operation, Operation::GetObject | Operation::HeadObject)
        && response.text(ResponseField::AcceptRanges).is_none()
    {
        response.set(ResponseField::AcceptRanges, "bytes");
    }
}
