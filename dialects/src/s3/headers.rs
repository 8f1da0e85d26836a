//! The headers and parameters of S3, both ways.

use crate::engine::dialect::Name::{Header, Parameter};
use crate::engine::dialect::{Ignored, Name};
use crate::model::{Fault, Field, Operation, Refusal, Reply, Request, Setting, Told, Value};

/// What a request says (3.3, 3.4, 3.6, 3.7, 4.1, 7).
pub fn name_of(field: Field) -> Option<Name> {
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
pub fn own_text(field: Field, text: String) -> String {
    if field != Field::ContentEncoding {
        return text;
    }
    let codings = text.split(',').map(str::trim).filter(|coding| !coding.eq_ignore_ascii_case("aws-chunked"));
    codings.collect::<Vec<_>>().join(",")
}

/// 3.6, 3.8: pages of buckets and of an object's parts are asked for by names of their own.
pub const NAMES_IN: &[(Operation, Field, Name)] = &[
    (Operation::ListBuckets, Field::MaxKeys, Parameter("max-buckets")),
    (Operation::GetObjectAttributes, Field::MaxParts, Header("x-amz-max-parts")),
    (Operation::GetObjectAttributes, Field::PartNumberMarker, Header("x-amz-part-number-marker")),
];

/// 5.2: an upload is not conditional where it begins, only where it is completed. 3.5, 3.7: keys are encoded in pages of a
/// bucket only. 3.6: buckets have tokens. 3.7: access is said where an upload
/// begins.
pub const LACKS_IN: &[(Operation, Field)] = &[
    (Operation::CreateMultipartUpload, Field::ForbidOverwrite),
    (Operation::CreateMultipartUpload, Field::EncodingType),
    (Operation::CompleteMultipartUpload, Field::EncodingType),
    (Operation::ListParts, Field::EncodingType),
    (Operation::DeleteObjects, Field::EncodingType),
    (Operation::ListBuckets, Field::Marker),
    (Operation::CompleteMultipartUpload, Field::Acl),
];

/// 3.6, and what an empty version could only delete by mistake.
pub const NEVER_EMPTY: &[(Field, Fault, &str)] = &[
    (Field::ContinuationToken, Fault::InvalidArgument, BAD_TOKEN),
    (Field::ConfigurationsAfter, Fault::InvalidArgument, BAD_TOKEN),
    (Field::VersionId, Fault::InvalidArgument, "Version id cannot be the empty string"),
    (Field::Attributes, Fault::InvalidRequest, NO_ATTRIBUTES),
];

const BAD_TOKEN: &str = "The continuation token provided is incorrect";

const NO_ATTRIBUTES: &str =
    "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty";

/// 3.6: larger pages of keys are as large as pages can be.
pub const BOUNDS: &[(Operation, Field, u64, u64)] = &[
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
pub fn check(request: &Request) -> Result<(), Refusal> {
    let fields = &request.fields;
    let reads = matches!(request.operation, Operation::GetObject | Operation::HeadObject);
    if reads && fields.has(Field::PartNumber) && fields.has(Field::Range) {
        return Err(Refusal::say(
            Fault::InvalidRequest,
            "Cannot specify both Range header and partNumber query parameter",
        ));
    }
    if fields.has(Field::VersionIdMarker) && !fields.has(Field::KeyMarker) {
        return Err(Refusal::say(
            Fault::InvalidArgument,
            "A version-id marker cannot be specified without a key marker.",
        )
        .with("ArgumentName", "version-id-marker"));
    }
    if request.operation == Operation::GetObjectAttributes {
        check_attributes(fields.get(Field::Attributes))?;
    }
    Ok(())
}

const ATTRIBUTES: [&str; 5] = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];

fn check_attributes(wanted: Option<&Value>) -> Result<(), Refusal> {
    let Some(Value::Text(wanted)) = wanted else {
        return Err(Refusal::say(Fault::InvalidRequest, NO_ATTRIBUTES));
    };
    match wanted.split(',').map(str::trim).find(|name| !ATTRIBUTES.contains(name)) {
        None => Ok(()),
        Some(name) => Err(Refusal::say(Fault::InvalidArgument, "Invalid attribute name specified.")
            .with("ArgumentName", "x-amz-object-attributes")
            .with("ArgumentValue", name)),
    }
}

/// Of the wire and of the signature (2.4, 2.5, 3.2).
pub const WIRE: &[&str] = &[
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-decoded-content-length",
    "x-amz-trailer",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-te",
];

/// What AWS takes no notice of. Of those that stand in answers alone see the models of botocore 1.44.
pub const IGNORED: &[Ignored] = &[
    // A wish for something that is never sent (6.1).
    Ignored::always("x-amz-checksum-algorithm", "6.1, all SDKs"),
    Ignored::always("x-amz-checksum-mode", "6.1, all SDKs"),
    Ignored::always("x-amz-checksum-type", "6.1, all SDKs"),
    Ignored::always("x-amz-mp-object-size", "6.1, all SDKs"),
    Ignored::new("x-amz-optional-object-attributes", Operation::lists, "botocore"),
    Ignored::new("x-amz-object-ownership", |call| call == Operation::CreateBucket, "botocore"),
    Ignored::new("x-amz-confirm-remove-self-bucket-access", puts_policy, "3.10"),
    // Of the client.
    Ignored::always("x-amz-user-agent", "aws-sdk-js in browsers"),
    Ignored::always("x-amz-api-version", "AWS SDK for C++: every call"),
    // Of answers, which some clients send back.
    Ignored::always("x-amz-request-id", ECHO),
    Ignored::always("x-amz-id-2", ECHO),
    Ignored::always("x-amz-abort-date", ECHO),
    Ignored::always("x-amz-abort-rule-id", ECHO),
    Ignored::always("x-amz-access-point-alias", ECHO),
    Ignored::always("x-amz-archive-status", ECHO),
    Ignored::always("x-amz-bucket-arn", ECHO),
    Ignored::always("x-amz-bucket-region", ECHO),
    Ignored::always("x-amz-copy-source-version-id", ECHO),
    Ignored::always("x-amz-delete-marker", ECHO),
    Ignored::always("x-amz-expiration", ECHO),
    Ignored::always("x-amz-missing-meta", ECHO),
    Ignored::always("x-amz-mp-parts-count", ECHO),
    Ignored::always("x-amz-object-size", ECHO),
    Ignored::always("x-amz-replication-status", ECHO),
    Ignored::always("x-amz-request-charged", ECHO),
    Ignored::always("x-amz-restore", ECHO),
    Ignored::always("x-amz-tagging-count", ECHO),
    Ignored::always("x-amz-version-id", ECHO),
    // Without a source these have no effect (4.3, 4.4, 4.6).
    Ignored::new("x-amz-metadata-directive", without_source, "s3fs"),
    Ignored::new("x-amz-tagging-directive", without_source, "s3fs"),
    Ignored::new("x-amz-copy-source-if-*", begins_without_source, "4.6"),
    Ignored::new("x-amz-copy-source-server-side-encryption-customer-*", begins_without_source, "4.8"),
    // minio-go says the encryption again where it completes.
    Ignored::new("x-amz-server-side-encryption", completes, "minio-go"),
    Ignored::new("x-amz-server-side-encryption-aws-kms-key-id", completes, "minio-go"),
    Ignored::new("x-amz-server-side-encryption-context", completes, "minio-go"),
];

const ECHO: &str = "3.2, 3.3: of answers";

fn puts_policy(operation: Operation) -> bool {
    operation == Operation::Put(Setting::Policy)
}

fn completes(operation: Operation) -> bool {
    operation == Operation::CompleteMultipartUpload
}

fn without_source(operation: Operation) -> bool {
    operation != Operation::CopyObject && (operation.places() || operation.continues_upload())
}

fn begins_without_source(operation: Operation) -> bool {
    operation != Operation::CopyObject && operation.places()
}

/// What an answer says (3.3, 4.9).
pub fn told(field: Told) -> Option<&'static str> {
    Some(match field {
        Told::ContentType => "Content-Type",
        Told::ContentLength => "Content-Length",
        Told::ContentRange => "Content-Range",
        Told::AcceptRanges => "Accept-Ranges",
        Told::CacheControl => "Cache-Control",
        Told::ContentDisposition => "Content-Disposition",
        Told::ContentEncoding => "Content-Encoding",
        Told::ContentLanguage => "Content-Language",
        Told::Expires => "Expires",
        Told::LastModified => "Last-Modified",
        Told::Etag => "ETag",
        Told::VersionId => "x-amz-version-id",
        Told::SourceVersionId => "x-amz-copy-source-version-id",
        Told::DeleteMarker => "x-amz-delete-marker",
        Told::StorageClass => "x-amz-storage-class",
        Told::Encryption => "x-amz-server-side-encryption",
        Told::EncryptionKeyId => "x-amz-server-side-encryption-aws-kms-key-id",
        Told::CustomerAlgorithm => "x-amz-server-side-encryption-customer-algorithm",
        Told::CustomerKeyMd5 => "x-amz-server-side-encryption-customer-key-md5",
        Told::Expiration => "x-amz-expiration",
        Told::Restore => "x-amz-restore",
        Told::TaggingCount => "x-amz-tagging-count",
        Told::PartsCount => "x-amz-mp-parts-count",
        Told::ChecksumAlgorithm => "x-amz-checksum-algorithm",
        Told::ChecksumType => "x-amz-checksum-type",
        Told::WebsiteRedirect => "x-amz-website-redirect-location",
        Told::BucketRegion => "x-amz-bucket-region",
        Told::Location => "Location",
        Told::Allow => "Allow",
        Told::LockMode => "x-amz-object-lock-mode",
        Told::LockUntil => "x-amz-object-lock-retain-until-date",
        Told::LegalHold => "x-amz-object-lock-legal-hold",
        Told::ReplicationStatus => "x-amz-replication-status",
        Told::ContentMd5
        | Told::Crc64Ecma
        | Told::NextAppendPosition
        | Told::ObjectType
        | Told::Acl
        | Told::PieceMd5 => {
            return None;
        }
        Told::AllowOrigin
        | Told::AllowMethods
        | Told::AllowHeaders
        | Told::ExposeHeaders
        | Told::MaxAge
        | Told::AllowCredentials
        | Told::Vary => return field.http_name(),
    })
}

/// 3.3: the standard class is not told.
pub fn complete_reply(operation: Operation, reply: &mut Reply) {
    if reply.text(Told::StorageClass) == Some("STANDARD") {
        reply.remove(Told::StorageClass);
    }
    if matches!(operation, Operation::GetObject | Operation::HeadObject)
        && reply.text(Told::AcceptRanges).is_none()
    {
        reply.set(Told::AcceptRanges, "bytes");
    }
}
