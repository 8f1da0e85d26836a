//! The headers and parameters of OSS, both ways.

use crate::engine::dialect::Name::{Header, Parameter};
use crate::engine::dialect::{Ignored, Name};
use crate::model::{Document, Fault, Field, Operation, Reply, Told};

/// What a request says (3.3, 3.5, 3.6, 4.2, 5).
pub fn name_of(field: Field) -> Option<Name> {
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
        | Field::Attributes => return None,
    })
}

/// 3.2: buckets have markers. 3.3: parts of an object are not read one by one.
pub const LACKS_IN: &[(Operation, Field)] = &[
    (Operation::ListBuckets, Field::ContinuationToken),
    (Operation::GetObject, Field::PartNumber),
    (Operation::HeadObject, Field::PartNumber),
];

/// 4.2 says it of a copy's source.
pub const NEVER_EMPTY: &[(Field, Fault, &str)] =
    &[(Field::VersionId, Fault::InvalidArgument, "Version id can not be the empty string.")];

/// 3.2, 3.6: what is larger is refused, not cut.
pub const BOUNDS: &[(Operation, Field, u64, u64)] = &[
    (Operation::ListBuckets, Field::MaxKeys, 1, 1000),
    (Operation::ListObjects, Field::MaxKeys, 0, 1000),
    (Operation::ListObjectsV2, Field::MaxKeys, 0, 1000),
    (Operation::ListObjectVersions, Field::MaxKeys, 0, 1000),
];

/// What makes a vendor call, fetch or write elsewhere is never asked of a target.
pub const LACKS: &[Field] = &[Field::Callback, Field::CallbackVariables, Field::Process];

/// Of the wire and of the signature (2.5, 2.8).
pub const WIRE: &[&str] = &["x-oss-date", "x-oss-content-sha256", "x-oss-security-token"];

/// What OSS takes no notice of.
pub const IGNORED: &[Ignored] = &[
    Ignored::always("x-oss-user-agent", "5.6: ali-oss in browsers"),
    // Of answers, which some clients send back.
    Ignored::always("x-oss-request-id", ECHO),
    Ignored::always("x-oss-server-time", ECHO),
    Ignored::always("x-oss-ec", ECHO),
    Ignored::always("x-oss-err", ECHO),
    Ignored::always("x-oss-bucket-version", ECHO),
    Ignored::always("x-oss-copy-source-version-id", ECHO),
    Ignored::always("x-oss-delete-marker", ECHO),
    Ignored::always("x-oss-expiration", ECHO),
    Ignored::always("x-oss-force-download", ECHO),
    Ignored::always("x-oss-last-access-time", ECHO),
    Ignored::always("x-oss-next-append-position", ECHO),
    Ignored::always("x-oss-object-type", ECHO),
    Ignored::always("x-oss-process-status", ECHO),
    Ignored::always("x-oss-qos-delay-time", ECHO),
    Ignored::always("x-oss-request-charged", ECHO),
    Ignored::always("x-oss-restore", ECHO),
    Ignored::always("x-oss-tagging-count", ECHO),
    Ignored::always("x-oss-transition-time", ECHO),
    Ignored::always("x-oss-version-id", ECHO),
    // 4.2: ali-oss repeats every header of its user under this prefix.
    Ignored::new("x-oss-copy-source-*", Operation::copies, "4.2: ali-oss copy()"),
    // Without a source these have no effect (4.2).
    Ignored::new("x-oss-metadata-directive", without_source, "ossfs"),
    Ignored::new("x-oss-tagging-directive", without_source, "ossfs"),
    Ignored::new("x-oss-copy-source-if-*", begins_without_source, "4.7"),
    // 3.5: of the beginning of an upload, or of its end. SDKs repeat a user's headers with every step.
    Ignored::new("x-oss-storage-class", Operation::continues_upload, "oss2 resumable_upload()"),
    Ignored::new("x-oss-tagging", Operation::continues_upload, "oss2 resumable_upload(), ali-oss"),
    Ignored::new("x-oss-object-acl", Operation::continues_upload, "oss2 resumable_upload(), ali-oss"),
    Ignored::new("x-oss-forbid-overwrite", Operation::continues_upload, "oss2 resumable_upload(), ali-oss"),
    Ignored::new("x-oss-server-side-encryption-key-id", Operation::continues_upload, "oss2, ali-oss"),
    Ignored::new("x-oss-callback", steps_before_the_end, "oss2 resumable_upload(), ali-oss"),
    Ignored::new("x-oss-callback-var", steps_before_the_end, "oss2 resumable_upload(), ali-oss"),
    Ignored::new("x-oss-object-worm-*", Operation::continues_upload, "oss2 resumable_upload(), ali-oss"),
    // 5.6: of the transfer of a body.
    Ignored::new("x-oss-traffic-limit", moves_no_body, "oss2 resumable_upload()"),
];

const ECHO: &str = "1.4, 5.8: of answers";

fn without_source(operation: Operation) -> bool {
    operation != Operation::CopyObject && (operation.places() || operation.continues_upload())
}

fn begins_without_source(operation: Operation) -> bool {
    operation != Operation::CopyObject && operation.places()
}

fn steps_before_the_end(operation: Operation) -> bool {
    operation.continues_upload() && operation != Operation::CompleteMultipartUpload
}

fn moves_no_body(operation: Operation) -> bool {
    !operation.streams() && !operation.copies()
}

/// What an answer says (1.4, 3.3, 4.9, 5.8).
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
        Told::ContentMd5 => "Content-MD5",
        Told::Crc64Ecma => "x-oss-hash-crc64ecma",
        Told::VersionId => "x-oss-version-id",
        Told::SourceVersionId => "x-oss-copy-source-version-id",
        Told::DeleteMarker => "x-oss-delete-marker",
        Told::StorageClass => "x-oss-storage-class",
        Told::Encryption => "x-oss-server-side-encryption",
        Told::EncryptionKeyId => "x-oss-server-side-encryption-key-id",
        Told::Expiration => "x-oss-expiration",
        Told::Restore => "x-oss-restore",
        Told::TaggingCount => "x-oss-tagging-count",
        Told::LockMode => "x-oss-object-worm-mode",
        Told::LockUntil => "x-oss-object-worm-retain-until-date",
        Told::LegalHold => "x-oss-object-worm-legal-hold",
        Told::Allow => "Allow",
        Told::Location => "Location",
        Told::NextAppendPosition => "x-oss-next-append-position",
        Told::ObjectType => "x-oss-object-type",
        Told::CustomerAlgorithm
        | Told::CustomerKeyMd5
        | Told::PartsCount
        | Told::ChecksumAlgorithm
        | Told::ChecksumType
        | Told::WebsiteRedirect
        | Told::BucketRegion
        | Told::ReplicationStatus
        | Told::Acl
        | Told::PieceMd5 => return None,
        Told::AllowOrigin
        | Told::AllowMethods
        | Told::AllowHeaders
        | Told::ExposeHeaders
        | Told::MaxAge
        | Told::AllowCredentials
        | Told::Vary => return field.http_name(),
    })
}

/// 5.1: the class is always told. 3.5, 4.9: SDKs read the ETag of a copy and of a completed upload from the head.
/// 3.3: a marker that says anything says yes.
pub fn complete_reply(operation: Operation, reply: &mut Reply) {
    let etag = match &reply.document {
        Some(Document::CopyObject(result) | Document::CopyPart(result)) => Some(result.etag.clone()),
        Some(Document::Completed { etag, .. }) => Some(etag.clone()),
        _ => None,
    };
    if let Some(etag) = etag {
        reply.set(Told::Etag, format!("\"{}\"", etag.to_ascii_uppercase()));
    }
    if reply.text(Told::DeleteMarker).is_some_and(|text| !text.eq_ignore_ascii_case("true")) {
        reply.remove(Told::DeleteMarker);
    }
    if matches!(operation, Operation::GetObject | Operation::HeadObject) && reply.status != 304 {
        complete_object(reply);
    }
}

fn complete_object(reply: &mut Reply) {
    if reply.text(Told::StorageClass).is_none() {
        reply.set(Told::StorageClass, "Standard");
    }
    if reply.text(Told::ObjectType).is_none() {
        let multipart = reply.text(Told::Etag).is_some_and(|etag| etag.contains('-'));
        reply.set(Told::ObjectType, if multipart { "Multipart" } else { "Normal" });
    }
    if reply.text(Told::AcceptRanges).is_none() {
        reply.set(Told::AcceptRanges, "bytes");
    }
}
