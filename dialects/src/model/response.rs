//! The canonical answer.

use crate::encoding::date::Timestamp;
use crate::encoding::xml::Node;
use crate::model::access::AccessControlList;
use crate::model::error::ErrorKind;
use crate::model::field::Value;
use crate::model::request::{ChecksumAlgorithm, Checksums, Part};
use crate::model::setting::Setting;

/// Generates [`ResponseField`] and its tables from one row per field, in the order in which they are written: a name, and the
/// header where that is the same in every dialect because browsers read it. A new field is one row here and one in each
/// dialect's `response_field_name`, which is an exhaustive match.
macro_rules! response_fields {
    ($($(#[$doc:meta])* $name:ident $(= $header:literal)?;)*) => {
        /// One thing that a response head can contain.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the names are the vendors' own words")]
        pub enum ResponseField {
            $($(#[$doc])* $name,)*
        }

        impl ResponseField {
            /// Every field, in the order in which they are written.
            pub const ALL: [Self; [$(stringify!($name)),*].len()] = [$(Self::$name),*];

            /// Its header where that is the same in every dialect.
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
    /// The canned list of an object, where it is returned beside its grants.
    Acl;
    TaggingCount;
    PartsCount;
    /// Of an upload: which checksum it keeps.
    ChecksumAlgorithm;
    /// `FULL_OBJECT` or `COMPOSITE`.
    ChecksumType;
    WebsiteRedirect;
    BucketRegion;
    Location;
    Allow;
    NextAppendPosition;
    /// MD5 of an appended piece, lower-case hex.
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

/// An answer in no dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status, as the caller's dialect numbers it once translated.
    pub status: u16,
    /// What the head says. Values of classes, encryption and ETags are canonical words (S3's), quoted ETags.
    pub fields: Vec<(ResponseField, Vec<u8>)>,
    /// Checksums of the object or part, base64.
    pub checksums: Vec<(ChecksumAlgorithm, String)>,
    /// User metadata: lower-case names without prefix.
    pub metadata: Vec<(String, Vec<u8>)>,
    /// The document, where there is one.
    pub document: Option<Document>,
}

impl Response {
    /// An answer without anything but its status.
    pub fn with_status(status: u16) -> Self {
        Self { status, fields: Vec::new(), checksums: Vec::new(), metadata: Vec::new(), document: None }
    }

    /// The value of a field where it is text.
    pub fn text(&self, field: ResponseField) -> Option<&str> {
        self.fields.iter().find(|row| row.0 == field).and_then(|row| std::str::from_utf8(&row.1).ok())
    }

    /// The value of a field that is stored as it was sent, for a request.
    pub fn to_request_value(&self, field: ResponseField) -> Option<Value> {
        let value = self.fields.iter().find(|row| row.0 == field).map(|row| row.1.clone())?;
        Some(String::from_utf8(value).map_or_else(|raw| Value::Raw(raw.into_bytes()), Value::Text))
    }

    /// Sets a field, replacing what was there.
    pub fn set(&mut self, field: ResponseField, value: impl Into<Vec<u8>>) {
        self.fields.retain(|row| row.0 != field);
        self.fields.push((field, value.into()));
    }

    /// Takes a field away.
    pub fn remove(&mut self, field: ResponseField) {
        self.fields.retain(|row| row.0 != field);
    }
}

/// The documents of answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// CopyObjectResult.
    CopyObject(CopyResult),
    /// CopyPartResult.
    CopyPart(CopyResult),
    /// InitiateMultipartUploadResult.
    Initiated {
        /// Bucket as the caller says it.
        bucket: String,
        /// Key.
        key: String,
        /// Opaque id.
        upload_id: String,
        /// Whether the key is to be written percent-encoded.
        encoded: bool,
    },
    /// CompleteMultipartUploadResult.
    Completed {
        /// Bucket as the caller says it.
        bucket: String,
        /// Key.
        key: String,
        /// Without quotes.
        etag: String,
        /// Those of the object.
        checksums: Checksums,
        /// Whether the key is to be written percent-encoded.
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
        /// Line by line, as asked for.
        results: Vec<DeletedObject>,
        /// Whether only failures are told.
        quiet: bool,
        /// Whether keys are to be written percent-encoded.
        encoded: bool,
    },
    /// The document of a setting, in canonical words.
    Setting(Setting, Node),
    /// A document that is handed on as it is, with its content type.
    Verbatim(&'static str, Vec<u8>),
    /// AccessControlPolicy.
    AccessControlPolicy(AccessControlList),
    /// LocationConstraint: the region.
    Location(String),
    /// BucketInfo.
    BucketInfo(BucketInfo),
    /// PostResponse.
    PostResponse {
        /// Where the object is.
        location: String,
        /// Bucket as the caller says it.
        bucket: String,
        /// Key.
        key: String,
        /// With quotes.
        etag: String,
    },
    /// GetObjectAttributesResponse, in canonical words.
    Attributes(Node),
    /// Error.
    Error(ErrorDocument),
}

/// What a copy made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyResult {
    /// Without quotes.
    pub etag: String,
    /// When the copy was made.
    pub modified: Option<Timestamp>,
    /// CRC-64/XZ in decimal.
    pub crc64: Option<String>,
    /// Version made, where the document tells it.
    pub version: Option<String>,
    /// Those of what was made.
    pub checksums: Checksums,
}

/// The parts of an upload.
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
    /// Algorithm and type of the upload.
    pub checksums: Checksums,
    pub parts: Vec<(Part, Option<Timestamp>, u64)>,
}

/// A page of a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the vendors' own words")]
pub struct ObjectListing {
    pub bucket: String,
    /// Whether it is of the second version.
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
    /// Whether keys are to be written percent-encoded.
    pub encoded: bool,
    /// Whether owners are to be written.
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
    /// Canonical word.
    pub class: Option<String>,
    /// Whether an archived object is readable for a while; returned only to those who ask for it.
    pub restore: Option<RestoreStatus>,
}

/// The state of a restored object in a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreStatus {
    /// Whether the object is not readable yet.
    pub is_in_progress: bool,
    /// When the restored copy is removed.
    pub expires: Option<Timestamp>,
}

/// A page of versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the vendors' own words")]
pub struct VersionListing {
    pub bucket: String,
    pub prefix: String,
    pub delimiter: Option<String>,
    pub key_marker: String,
    pub version_marker: String,
    pub next_key_marker: Option<String>,
    pub next_version_marker: Option<String>,
    pub max_keys: u64,
    pub truncated: bool,
    pub encoded: bool,
    /// Versions and delete markers, in the order told.
    pub versions: Vec<ListedVersion>,
    pub prefixes: Vec<String>,
}

/// One version of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListedVersion {
    /// Key, date, ETag, size and class; a delete marker has the first two.
    pub object: ListedObject,
    /// Id; `null` for an object of a time without versions.
    pub id: String,
    /// Whether it is the one that a plain GET reads.
    pub latest: bool,
    /// Whether it stands for a deletion.
    pub delete_marker: bool,
}

/// A page of multipart uploads that are under way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the vendors' own words")]
pub struct UploadListing {
    pub bucket: String,
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
    /// Opaque id.
    pub id: String,
    /// Canonical word.
    pub class: Option<String>,
    /// When it was begun.
    pub initiated: Option<Timestamp>,
}

/// What became of one object of a deleting call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeletedObject {
    /// Key.
    pub key: String,
    /// Version that was named.
    pub version: Option<String>,
    /// Version of a delete marker that was made or removed.
    pub delete_marker: Option<String>,
    /// Whether a delete marker was made or removed.
    pub made_or_removed_marker: bool,
    /// What failed, where it failed.
    pub error: Option<ErrorKind>,
}

/// What a bucket's overview tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketInfo {
    /// Bucket as the caller says it.
    pub bucket: String,
    /// When it was made, where the target tells it.
    pub created: Option<Timestamp>,
    /// Region as the target's documents say it.
    pub region: String,
    /// `Enabled`, `Suspended`, or nothing where it was never set.
    pub versioning: Option<String>,
    /// Its access control list.
    pub access: AccessControlList,
    /// The canonical class of its objects, where the target tells it.
    pub class: Option<String>,
    /// `LRS` or `ZRS`, where the target tells it.
    pub redundancy: Option<String>,
    /// Whether all that can be known is there.
    pub is_complete: bool,
}

/// The buckets that a caller may see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketListing {
    /// Owner's id as shown.
    pub owner: String,
    /// Name, creation, region.
    pub buckets: Vec<(String, Timestamp, String)>,
    /// Host to name as each bucket's end point, where the dialect names one.
    pub host: String,
    /// The beginning of the names that was asked for.
    pub prefix: Option<String>,
    /// The name after which the page begins.
    pub marker: Option<String>,
    /// Buckets of a page.
    pub max_keys: u64,
    /// What a request for the next page has to say: a marker, or a token of the dialect. `None`: this is the last.
    pub next_page: Option<String>,
    /// Whether the caller asked for a part of its buckets.
    pub is_paged: bool,
}

/// What went wrong, ready to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorDocument {
    /// The canonical fault, where known.
    pub kind: Option<ErrorKind>,
    /// The vendor's code: of the caller's dialect once translated.
    pub code: String,
    /// Text.
    pub message: String,
    /// Further elements by name.
    pub details: Vec<(String, String)>,
}
