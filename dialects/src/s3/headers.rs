//! The headers and parameters of S3, both ways.

use crate::dialect::FieldName::{Header, Parameter};
use crate::dialect::{FieldName, IgnoredHeader};
use crate::model::{
    ErrorKind, Field, Operation, Rejection, Request, Response, ResponseField, Setting, Value,
};

/// What a request says (3.3, 3.4, 3.6, 3.7, 4.1, 7).
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
        // 5.2: on writes the two standard headers speak of the destination.
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

/// 2.5: what is stored of the encoding is the header without the framing of chunks.
pub fn strip_transport_text(field: Field, text: String) -> String {
    let is_aws_chunked = |coding: &str| coding.trim().eq_ignore_ascii_case("aws-chunked");
    if field != Field::ContentEncoding || !text.split(',').any(is_aws_chunked) {
        return text;
    }
    let codings: Vec<&str> = text.split(',').filter(|coding| !is_aws_chunked(coding)).collect();
    codings.join(",").trim().to_owned()
}

/// 3.6, 3.8: pages of buckets and of an object's parts are asked for by names of their own.
pub const FIELD_NAMES_BY_OPERATION: &[(Operation, Field, FieldName)] = &[
    (Operation::ListBuckets, Field::MaxKeys, Parameter("max-buckets")),
    (Operation::GetObjectAttributes, Field::MaxParts, Header("x-amz-max-parts")),
    (Operation::GetObjectAttributes, Field::PartNumberMarker, Header("x-amz-part-number-marker")),
];

/// 5.2: an upload is not conditional where it begins, only where it is completed. 3.5, 3.7: keys are encoded in pages of a
/// bucket only. 3.6: buckets have tokens. 3.7: access is said where an upload
/// begins.
pub const ABSENT_FIELDS_BY_OPERATION: &[(Operation, Field)] = &[
    (Operation::CreateMultipartUpload, Field::ForbidOverwrite),
    (Operation::CreateMultipartUpload, Field::EncodingType),
    (Operation::CompleteMultipartUpload, Field::EncodingType),
    (Operation::ListParts, Field::EncodingType),
    (Operation::DeleteObjects, Field::EncodingType),
    (Operation::ListBuckets, Field::Marker),
    (Operation::CompleteMultipartUpload, Field::Acl),
];

/// SeaweedFS completes an upload of another size than is promised; of which servers that is true is not known.
pub const UNSUPPORTED_FIELDS_BY_OPERATION: &[(Operation, Field)] = &[COMPLETED_OBJECT_SIZE];

/// The size that a completing call promises.
pub const COMPLETED_OBJECT_SIZE: (Operation, Field) = (Operation::CompleteMultipartUpload, Field::ObjectSize);

/// 3.6, and what an empty version could only delete by mistake.
pub const NON_EMPTY_FIELDS: &[(Field, ErrorKind, &str)] = &[
    (Field::ContinuationToken, ErrorKind::InvalidArgument, INVALID_TOKEN_MESSAGE),
    (Field::ConfigurationsAfter, ErrorKind::InvalidArgument, INVALID_TOKEN_MESSAGE),
    (Field::VersionId, ErrorKind::InvalidArgument, "Version id cannot be the empty string"),
    (Field::Attributes, ErrorKind::InvalidRequest, MISSING_ATTRIBUTES_MESSAGE),
];

const INVALID_TOKEN_MESSAGE: &str = "The continuation token provided is incorrect";

const MISSING_ATTRIBUTES_MESSAGE: &str =
    "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty";

/// 3.6: larger pages of keys are as large as pages can be.
pub const NUMBER_BOUNDS: &[(Operation, Field, u64, u64)] = &[
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

/// 3.3, 3.6, 3.8.
///
/// # Errors
/// As those sections say.
pub fn check_request(request: &Request) -> Result<(), Rejection> {
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

/// Of the wire and of the signature (2.4, 2.5, 3.2).
pub const TRANSPORT_HEADERS: &[&str] = &[
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-decoded-content-length",
    "x-amz-trailer",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-te",
];

/// What AWS takes no notice of. Of those that stand in answers alone see the models of botocore 1.44.
pub const IGNORED_HEADERS: &[IgnoredHeader] = &[
    // A wish for something that is never sent (6.1).
    IgnoredHeader::for_all_operations("x-amz-checksum-algorithm", "6.1, all SDKs"),
    IgnoredHeader::for_all_operations("x-amz-checksum-mode", "6.1, all SDKs"),
    IgnoredHeader::for_all_operations("x-amz-checksum-type", "6.1, all SDKs"),
    IgnoredHeader::for_all_operations("x-amz-mp-object-size", "6.1, all SDKs"),
    IgnoredHeader::new("x-amz-optional-object-attributes", Operation::is_listing, "botocore"),
    IgnoredHeader::new("x-amz-object-ownership", |call| call == Operation::CreateBucket, "botocore"),
    IgnoredHeader::new("x-amz-confirm-remove-self-bucket-access", puts_policy, "3.10"),
    // Of the client.
    IgnoredHeader::for_all_operations("x-amz-user-agent", "aws-sdk-js in browsers"),
    IgnoredHeader::for_all_operations("x-amz-api-version", "AWS SDK for C++: every call"),
    // Of answers, which some clients send back.
    IgnoredHeader::for_all_operations("x-amz-request-id", ECHOED_RESPONSE_HEADER),
    IgnoredHeader::for_all_operations("x-amz-id-2", ECHOED_RESPONSE_HEADER),
    IgnoredHeader::for_all_operations("x-amz-abort-date", ECHOED_RESPONSE_HEADER),
    IgnoredHeader::for_all_operations("x-amz-abort-rule-id", ECHOED_RESPONSE_HEADER),
    IgnoredHeader::for_all_operations("x-amz-access-point-alias", ECHOED_RESPONSE_HEADER),
    IgnoredHeader::for_all_operations("x-amz-archive-status", ECHOED_RESPONSE_HEADER),
    IgnoredHeader::for_all_operations("x-amz-bucket-arn", ECHOED_RESPONSE_HEADER),
    IgnoredHeader::for_all_operations("x-amz-bucket-region", ECHOED_RESPONSE_HEADER),
    IgnoredHeader::for_all_operations("x-amz-copy-source-version-id", ECHOED_RESPONSE_HEADER),
    IgnoredHeader::for_all_operations("x-amz-delete-marker", ECHOED_RESPONSE_HEADER),
    IgnoredHeader::for_all_operations("x-amz-expiration", ECHOED_RESPONSE_HEADER),
    IgnoredHeader::for_all_operations("x-amz-missing-meta", ECHOED_RESPONSE_HEADER),
    IgnoredHeader::for_all_operations("x-amz-mp-parts-count", ECHOED_RESPONSE_HEADER),
    IgnoredHeader::for_all_operations("x-amz-object-size", ECHOED_RESPONSE_HEADER),
    IgnoredHeader::for_all_operations("x-amz-replication-status", ECHOED_RESPONSE_HEADER),
    IgnoredHeader::for_all_operations("x-amz-request-charged", ECHOED_RESPONSE_HEADER),
    IgnoredHeader::for_all_operations("x-amz-restore", ECHOED_RESPONSE_HEADER),
    IgnoredHeader::for_all_operations("x-amz-tagging-count", ECHOED_RESPONSE_HEADER),
    IgnoredHeader::for_all_operations("x-amz-version-id", ECHOED_RESPONSE_HEADER),
    // Without a source these have no effect (4.3, 4.4, 4.6).
    IgnoredHeader::new("x-amz-metadata-directive", writes_without_source, "s3fs"),
    IgnoredHeader::new("x-amz-tagging-directive", writes_without_source, "s3fs"),
    IgnoredHeader::new("x-amz-copy-source-if-*", creates_without_source, "4.6"),
    IgnoredHeader::new("x-amz-copy-source-server-side-encryption-customer-*", creates_without_source, "4.8"),
    // minio-go says the encryption again where it completes.
    IgnoredHeader::new("x-amz-server-side-encryption", completes_upload, "minio-go"),
    IgnoredHeader::new("x-amz-server-side-encryption-aws-kms-key-id", completes_upload, "minio-go"),
    IgnoredHeader::new("x-amz-server-side-encryption-context", completes_upload, "minio-go"),
];

const ECHOED_RESPONSE_HEADER: &str = "3.2, 3.3: of answers";

fn puts_policy(operation: Operation) -> bool {
    operation == Operation::Put(Setting::Policy)
}

fn completes_upload(operation: Operation) -> bool {
    operation == Operation::CompleteMultipartUpload
}

fn writes_without_source(operation: Operation) -> bool {
    operation != Operation::CopyObject && (operation.creates_object() || operation.is_multipart_step())
}

fn creates_without_source(operation: Operation) -> bool {
    operation != Operation::CopyObject && operation.creates_object()
}

/// What an answer says (3.3, 4.9).
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

/// 3.3: the standard class is not told.
pub fn complete_response(operation: Operation, response: &mut Response) {
    if response.text(ResponseField::StorageClass) == Some("STANDARD") {
        response.remove(ResponseField::StorageClass);
    }
    if matches!(operation, Operation::GetObject | Operation::HeadObject)
        && response.text(ResponseField::AcceptRanges).is_none()
    {
        response.set(ResponseField::AcceptRanges, "bytes");
    }
}
