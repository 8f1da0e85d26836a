//! The canonical response.

use crate::encoding::date::Timestamp;
use crate::encoding::xml::Node;
use crate::model::access::AccessControlList;
use crate::model::error::ErrorKind;
use crate::model::field::Value;
use crate::model::request::{ChecksumAlgorithm, Checksums, Part};
use crate::model::setting::Setting;

/// Generates [`ResponseField`] and its tables from one row per field, in the order in which they are written: a name,
/// and the header if it is the same in every dialect, because browsers read it. A new field is one row here and one in
/// each dialect's `response_field_name`, which is an exhaustive match.
macro_rules! response_fields {
    ($($(#[$doc:meta])* $name:ident $(= $header:literal)?;)*) => {
        /// A field of a response head.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the names are the vendors' own")]
        pub enum ResponseField {
            $($(#[$doc])* $name,)*
        }

        impl ResponseField {
            /// Every field, in the order in which they are written.
            pub const ALL: [Self; [$(stringify!($name)),*].len()] = [$(Self::$name),*];

            /// The header, if it is the same in every dialect.
            pub fn http_name(self) -> Option<&'static str> {
                let header: &[&'static str] = match self {
                    $(Self::$name => &[$($header)?],)*
                };
                header.first().copied()
            }
        }
    };
}

response_fields! {
    ContentType;
    ContentLength;
    ContentRange;
    AcceptRanges;
    CacheControl;
    ContentDisposition;
    ContentEncoding;
    ContentLanguage;
    Expires;
    LastModified;
    Etag;
    ContentMd5;
    Crc64Ecma;
    VersionId;
    SourceVersionId;
    DeleteMarker;
    StorageClass;
    Encryption;
    EncryptionKeyId;
    CustomerAlgorithm;
    CustomerKeyMd5;
    Expiration;
    Restore;
    /// The canned ACL of an object, if it is returned besides its grants.
    Acl;
    TaggingCount;
    PartsCount;
    /// The checksum algorithm of a multipart upload.
    ChecksumAlgorithm;
    /// `FULL_OBJECT` or `COMPOSITE`.
    ChecksumType;
    WebsiteRedirect;
    BucketRegion;
    Location;
    Allow;
    NextAppendPosition;
    /// MD5 of the appended data in lower-case hex.
    PieceMd5;
    ObjectType;
    LockMode;
    LockUntil;
    LegalHold;
    ReplicationStatus;
    AllowOrigin = "Access-Control-Allow-Origin";
    AllowMethods = "Access-Control-Allow-Methods";
    AllowHeaders = "Access-Control-Allow-Headers";
    ExposeHeaders = "Access-Control-Expose-Headers";
    MaxAge = "Access-Control-Max-Age";
    AllowCredentials = "Access-Control-Allow-Credentials";
    Vary = "Vary";
}

/// A response, independent of any dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status; after the translation that of the caller dialect.
    pub status: u16,
    /// The fields of the head. Storage classes and encryption have their values in S3; ETags are quoted.
    pub fields: Vec<(ResponseField, Vec<u8>)>,
    /// Checksums of the object or part, base64.
    pub checksums: Vec<(ChecksumAlgorithm, String)>,
    /// User metadata: lower-case names without prefix.
    pub metadata: Vec<(String, Vec<u8>)>,
    /// The document in the body, if there is one.
    pub document: Option<Document>,
}

impl Response {
    /// A response with a status only.
    pub fn with_status(status: u16) -> Self {
        Self { status, fields: Vec::new(), checksums: Vec::new(), metadata: Vec::new(), document: None }
    }

    /// The value of a field, if it is UTF-8 text.
    pub fn text(&self, field: ResponseField) -> Option<&str> {
        self.fields.iter().find(|row| row.0 == field).and_then(|row| std::str::from_utf8(&row.1).ok())
    }

    /// The stored value of a field, for a request that stores it again.
    pub fn to_request_value(&self, field: ResponseField) -> Option<Value> {
        let value = self.fields.iter().find(|row| row.0 == field).map(|row| row.1.clone())?;
        Some(String::from_utf8(value).map_or_else(|raw| Value::Raw(raw.into_bytes()), Value::Text))
    }

    /// Sets a field and replaces its previous value.
    pub fn set(&mut self, field: ResponseField, value: impl Into<Vec<u8>>) {
        self.fields.retain(|row| row.0 != field);
        self.fields.push((field, value.into()));
    }

    /// Removes a field.
    pub fn remove(&mut self, field: ResponseField) {
        self.fields.retain(|row| row.0 != field);
    }
}

/// The documents in the bodies of responses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// CopyObjectResult.
    CopyObject(CopyResult),
    /// CopyPartResult.
    CopyPart(CopyResult),
    /// InitiateMultipartUploadResult.
    Initiated {
        /// Bucket as the client sent it.
        bucket: String,
        /// Key.
        key: String,
        /// Opaque upload ID.
        upload_id: String,
        /// Whether the key is percent-encoded in the document.
        encoded: bool,
    },
    /// CompleteMultipartUploadResult.
    Completed {
        /// Bucket as the client sent it.
        bucket: String,
        /// Key.
        key: String,
        /// ETag without quotes.
        etag: String,
        /// Checksums of the object.
        checksums: Checksums,
        /// Whether the key is percent-encoded in the document.
        encoded: bool,
    },
    /// ListPartsResult.
    Parts(PartListing),
    /// ListBucketResult, of either version.
    Objects(ObjectListing),
    /// ListAllMyBucketsResult.
    Buckets(BucketListing),
    /// ListVersionsResult.
    Versions(VersionListing),
    /// ListMultipartUploadsResult.
    Uploads(UploadListing),
    /// DeleteResult.
    Deleted {
        /// One result per object, in the order of the request.
        results: Vec<DeletedObject>,
        /// Whether the document contains failures only.
        quiet: bool,
        /// Whether keys are percent-encoded in the document.
        encoded: bool,
    },
    /// The document of a setting, in canonical form.
    Setting(Setting, Node),
    /// A document that is not translated, with its content type.
    Verbatim(&'static str, Vec<u8>),
    /// AccessControlPolicy.
    AccessControlPolicy(AccessControlList),
    /// LocationConstraint: the region.
    Location(String),
    /// BucketInfo.
    BucketInfo(BucketInfo),
    /// PostResponse.
    PostResponse {
        /// URL of the object.
        location: String,
        /// Bucket as the client sent it.
        bucket: String,
        /// Key.
        key: String,
        /// ETag with quotes.
        etag: String,
    },
    /// GetObjectAttributesResponse, in canonical form.
    Attributes(Node),
    /// Error.
    Error(ErrorDocument),
}

/// The result of a copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyResult {
    /// ETag without quotes.
    pub etag: String,
    /// Time of the copy.
    pub modified: Option<Timestamp>,
    /// CRC-64/XZ in decimal.
    pub crc64: Option<String>,
    /// Version ID of the new object, if the document contains it.
    pub version: Option<String>,
    /// Checksums of the new object or part.
    pub checksums: Checksums,
}

/// A page of the parts of a multipart upload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the vendors' own words")]
pub struct PartListing {
    pub bucket: String,
    pub key: String,
    pub upload_id: String,
    pub marker: u64,
    pub next_marker: u64,
    pub max_parts: u64,
    pub truncated: bool,
    pub class: Option<String>,
    pub encoded: bool,
    /// Checksum algorithm and type of the upload.
    pub checksums: Checksums,
    pub parts: Vec<(Part, Option<Timestamp>, u64)>,
}

/// A page of the objects of a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the vendors' own words")]
pub struct ObjectListing {
    pub bucket: String,
    /// Whether it is the response to ListObjectsV2.
    pub is_v2: bool,
    pub prefix: String,
    pub delimiter: Option<String>,
    pub marker: Option<String>,
    pub next_marker: Option<String>,
    pub start_after: Option<String>,
    pub continuation_token: Option<String>,
    pub next_continuation_token: Option<String>,
    pub max_keys: u64,
    pub truncated: bool,
    /// Whether keys are percent-encoded in the document.
    pub encoded: bool,
    /// Whether the document contains owners.
    pub include_owners: bool,
    pub objects: Vec<ListedObject>,
    pub prefixes: Vec<String>,
}

/// One object of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the vendors' own words")]
pub struct ListedObject {
    pub key: String,
    pub modified: Option<Timestamp>,
    pub etag: String,
    pub size: u64,
    /// Storage class, as S3 writes it.
    pub class: Option<String>,
    /// The restore status of an archived object, if the request selects this attribute.
    pub restore: Option<RestoreStatus>,
}

/// The state of a restored object in a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreStatus {
    /// Whether the restore is still in progress, so that the object is not readable.
    pub is_in_progress: bool,
    /// When the restored copy expires.
    pub expires: Option<Timestamp>,
}

/// A page of object versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the vendors' own words")]
pub struct VersionListing {
    pub bucket: Option<String>,
    pub prefix: String,
    pub delimiter: Option<String>,
    pub key_marker: String,
    pub version_marker: String,
    pub next_key_marker: Option<String>,
    pub next_version_marker: Option<String>,
    pub max_keys: u64,
    pub truncated: bool,
    pub encoded: bool,
    /// Versions and delete markers, in the order of the target.
    // One list, because the dialects interleave both in key order and a page must not be sorted again.
    pub versions: Vec<ListedVersion>,
    pub prefixes: Vec<String>,
}

/// One version or delete marker of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListedVersion {
    /// Key, date, ETag, size and class; a delete marker has key and date only.
    pub object: ListedObject,
    /// Version ID; `null` for an object that was written without versioning.
    pub id: String,
    /// Whether it is the current version.
    pub latest: bool,
    /// Whether it is a delete marker.
    pub delete_marker: bool,
}

/// A page of multipart uploads in progress.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the vendors' own words")]
pub struct UploadListing {
    pub bucket: Option<String>,
    pub prefix: String,
    pub delimiter: Option<String>,
    pub key_marker: String,
    pub upload_marker: String,
    pub next_key_marker: Option<String>,
    pub next_upload_marker: Option<String>,
    pub max_uploads: u64,
    pub truncated: bool,
    pub encoded: bool,
    pub uploads: Vec<ListedUpload>,
    pub prefixes: Vec<String>,
}

/// One upload of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListedUpload {
    /// Key.
    pub key: String,
    /// Opaque upload ID.
    pub id: String,
    /// Storage class, as S3 writes it.
    pub class: Option<String>,
    /// When the upload was created.
    pub initiated: Option<Timestamp>,
}

/// The result of one object of DeleteObjects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeletedObject {
    /// Key.
    pub key: String,
    /// Version ID of the request.
    pub version: Option<String>,
    /// Version ID of a delete marker that was created or removed.
    pub delete_marker: Option<String>,
    /// Whether a delete marker was created or removed.
    // A field of its own, since a target may return the flag without the version ID of the marker.
    pub made_or_removed_marker: bool,
    /// The error, if the deletion failed.
    pub error: Option<ErrorKind>,
}

/// The response to GetBucketInfo.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketInfo {
    /// Bucket as the client sent it.
    pub bucket: String,
    /// Creation time, if the target returns it.
    pub created: Option<Timestamp>,
    /// Region, as the target writes it in documents.
    pub region: String,
    /// `Enabled` or `Suspended`; `None` if versioning was never configured.
    pub versioning: Option<String>,
    /// The access control list of the bucket.
    pub access: AccessControlList,
    /// The default storage class of the bucket as S3 writes it, if the target returns it.
    pub class: Option<String>,
    /// `LRS` or `ZRS`, if the target returns it.
    pub redundancy: Option<String>,
    /// Whether no further request to the target is needed.
    // Only OSS has this operation. For other targets it is emulated by several requests, each of which adds one field.
    pub is_complete: bool,
}

/// The buckets for which a caller has a grant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketListing {
    /// Owner ID in the document.
    pub owner: String,
    /// Name, creation time and region.
    pub buckets: Vec<(String, Timestamp, String)>,
    /// The endpoint of the buckets, if the dialect's document contains one.
    pub host: String,
    /// The prefix of bucket names in the request.
    pub prefix: Option<String>,
    /// The name after which the page starts.
    pub marker: Option<String>,
    /// The maximum number of buckets in a page.
    pub max_keys: u64,
    /// The marker or continuation token for the next page. `None` on the last page.
    pub next_page: Option<String>,
    /// Whether the request contains a filter or a page size.
    // S3 and COS only return the elements for paging then, because older clients do not expect them.
    pub is_paged: bool,
}

/// An error document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorDocument {
    /// The canonical error, if the code is known.
    pub kind: Option<ErrorKind>,
    /// The vendor's code; after the translation that of the caller dialect.
    pub code: String,
    /// Message.
    pub message: String,
    /// Further elements by name.
    pub details: Vec<(String, String)>,
}
