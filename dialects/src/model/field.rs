//! The fields of requests: what a header or parameter means, whatever its name.

use zeroize::Zeroizing;

use crate::encoding::date::Timestamp;
use crate::model::operation::Operation;
use crate::model::setting::Setting;

/// One thing that a request can say. Each dialect names its header or parameter for it, or has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the vendors' own words")]
pub enum Field {
    IfMatch,
    IfNoneMatch,
    IfModifiedSince,
    IfUnmodifiedSince,
    Range,
    /// Answer the range only of the object that has this ETag or date, else the whole object.
    IfRange,
    /// Answer an unsatisfiable range as HTTP says instead of with the whole object.
    StandardRange,
    /// Whence a browser asks.
    Origin,
    SourceIfMatch,
    SourceIfNoneMatch,
    SourceIfModifiedSince,
    SourceIfUnmodifiedSince,
    SourceRange,
    MetadataDirective,
    TaggingDirective,
    ContentType,
    CacheControl,
    ContentDisposition,
    ContentEncoding,
    ContentLanguage,
    Expires,
    ContentMd5,
    StorageClass,
    Acl,
    /// Of a new bucket.
    BucketAcl,
    /// Locking of objects in a new bucket.
    BucketLock,
    /// Whose the objects in a new bucket are.
    BucketOwnership,
    GrantRead,
    GrantWrite,
    GrantReadAcp,
    GrantWriteAcp,
    GrantFullControl,
    Tagging,
    WebsiteRedirect,
    Encryption,
    EncryptionKeyId,
    EncryptionContext,
    EncryptionBucketKey,
    EncryptionDataAlgorithm,
    CustomerAlgorithm,
    CustomerKey,
    CustomerKeyMd5,
    SourceCustomerAlgorithm,
    SourceCustomerKey,
    SourceCustomerKeyMd5,
    ForbidOverwrite,
    /// Write only over the object that has this ETag.
    OverwriteIfMatch,
    ExpectedOwner,
    SourceExpectedOwner,
    RequestPayer,
    TrafficLimit,
    LockMode,
    LockUntil,
    LegalHold,
    BypassLock,
    Mfa,
    Callback,
    CallbackVariables,
    Process,
    ChecksumAlgorithm,
    /// Whether a checksum is of the whole or of its parts' checksums.
    ChecksumType,
    /// Whether a read wants to hear the checksums.
    ChecksumMode,
    /// What the parts of a completing call come to, bytes.
    ObjectSize,
    CompleteAll,
    /// Where an appended piece begins.
    Position,
    /// Which of several documents of one kind.
    ConfigurationId,
    ConfigurationsAfter,
    /// Which attributes of an object are asked for.
    Attributes,
    VersionId,
    UploadId,
    PartNumber,
    Prefix,
    Delimiter,
    Marker,
    KeyMarker,
    VersionIdMarker,
    UploadIdMarker,
    MaxUploads,
    StartAfter,
    ContinuationToken,
    MaxKeys,
    EncodingType,
    FetchOwner,
    MaxParts,
    PartNumberMarker,
    /// Only buckets of this region.
    BucketRegion,
    /// Only buckets made before or after this time, Unix seconds.
    CreatedTime,
    /// How `CreatedTime` is meant: `lt`, `lte`, `gt` or `gte`.
    CreatedRange,
    /// Only buckets with this tag.
    BucketTagKey,
    /// The value of that tag.
    BucketTagValue,
    ResponseContentType,
    ResponseContentLanguage,
    ResponseExpires,
    ResponseCacheControl,
    ResponseContentDisposition,
    ResponseContentEncoding,
}

/// How a field's value is read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// As it stands.
    Text,
    /// An HTTP date.
    Time,
    /// An entity tag, or several, or `*`.
    Etag,
    /// COPY or REPLACE in the words of metadata.
    MetadataDirective,
    /// The same in the words of tagging.
    TaggingDirective,
    /// A storage class.
    StorageClass,
    /// A canned ACL.
    Acl,
    /// A way of server-side encryption.
    Encryption,
    /// A mark that is there or not, in the dialect's word for "yes".
    Flag,
    /// Decimal digits.
    Number,
    /// `bytes=first-last`.
    ByteRange,
    /// `k=v&k2=v2`, form-encoded.
    Tags,
    /// A customer's own key.
    Secret,
}

impl Field {
    /// Every field, in the order they are read, written and printed.
    pub const ALL: [Self; 96] = [
        Self::IfMatch,
        Self::IfNoneMatch,
        Self::IfModifiedSince,
        Self::IfUnmodifiedSince,
        Self::Range,
        Self::IfRange,
        Self::StandardRange,
        Self::Origin,
        Self::SourceIfMatch,
        Self::SourceIfNoneMatch,
        Self::SourceIfModifiedSince,
        Self::SourceIfUnmodifiedSince,
        Self::SourceRange,
        Self::MetadataDirective,
        Self::TaggingDirective,
        Self::ContentType,
        Self::CacheControl,
        Self::ContentDisposition,
        Self::ContentEncoding,
        Self::ContentLanguage,
        Self::Expires,
        Self::ContentMd5,
        Self::StorageClass,
        Self::Acl,
        Self::BucketAcl,
        Self::BucketLock,
        Self::BucketOwnership,
        Self::GrantRead,
        Self::GrantWrite,
        Self::GrantReadAcp,
        Self::GrantWriteAcp,
        Self::GrantFullControl,
        Self::Tagging,
        Self::WebsiteRedirect,
        Self::Encryption,
        Self::EncryptionKeyId,
        Self::EncryptionContext,
        Self::EncryptionBucketKey,
        Self::EncryptionDataAlgorithm,
        Self::CustomerAlgorithm,
        Self::CustomerKey,
        Self::CustomerKeyMd5,
        Self::SourceCustomerAlgorithm,
        Self::SourceCustomerKey,
        Self::SourceCustomerKeyMd5,
        Self::ForbidOverwrite,
        Self::OverwriteIfMatch,
        Self::ExpectedOwner,
        Self::SourceExpectedOwner,
        Self::RequestPayer,
        Self::TrafficLimit,
        Self::LockMode,
        Self::LockUntil,
        Self::LegalHold,
        Self::BypassLock,
        Self::Mfa,
        Self::Callback,
        Self::CallbackVariables,
        Self::Process,
        Self::ChecksumAlgorithm,
        Self::ChecksumType,
        Self::ChecksumMode,
        Self::ObjectSize,
        Self::CompleteAll,
        Self::Position,
        Self::ConfigurationId,
        Self::ConfigurationsAfter,
        Self::Attributes,
        Self::VersionId,
        Self::UploadId,
        Self::PartNumber,
        Self::Prefix,
        Self::Delimiter,
        Self::Marker,
        Self::KeyMarker,
        Self::VersionIdMarker,
        Self::UploadIdMarker,
        Self::MaxUploads,
        Self::StartAfter,
        Self::ContinuationToken,
        Self::MaxKeys,
        Self::EncodingType,
        Self::FetchOwner,
        Self::MaxParts,
        Self::PartNumberMarker,
        Self::BucketRegion,
        Self::CreatedTime,
        Self::CreatedRange,
        Self::BucketTagKey,
        Self::BucketTagValue,
        Self::ResponseContentType,
        Self::ResponseContentLanguage,
        Self::ResponseExpires,
        Self::ResponseCacheControl,
        Self::ResponseContentDisposition,
        Self::ResponseContentEncoding,
    ];

    /// How its value is read and written.
    pub fn kind(self) -> ValueKind {
        match self {
            Self::IfModifiedSince
            | Self::IfUnmodifiedSince
            | Self::SourceIfModifiedSince
            | Self::SourceIfUnmodifiedSince => ValueKind::Time,
            Self::IfMatch
            | Self::IfNoneMatch
            | Self::SourceIfMatch
            | Self::SourceIfNoneMatch
            | Self::OverwriteIfMatch => ValueKind::Etag,
            Self::Range | Self::SourceRange => ValueKind::ByteRange,
            Self::MetadataDirective => ValueKind::MetadataDirective,
            Self::TaggingDirective => ValueKind::TaggingDirective,
            Self::StorageClass => ValueKind::StorageClass,
            Self::Acl | Self::BucketAcl => ValueKind::Acl,
            Self::Encryption => ValueKind::Encryption,
            Self::BucketLock
            | Self::ForbidOverwrite
            | Self::StandardRange
            | Self::FetchOwner
            | Self::CompleteAll => ValueKind::Flag,
            Self::MaxKeys
            | Self::MaxUploads
            | Self::MaxParts
            | Self::Position
            | Self::CreatedTime
            | Self::ObjectSize
            | Self::PartNumber
            | Self::PartNumberMarker => ValueKind::Number,
            Self::Tagging => ValueKind::Tags,
            Self::CustomerKey | Self::SourceCustomerKey => ValueKind::Secret,
            _ => ValueKind::Text,
        }
    }

    /// Whether a request of this kind may say it. A field that is said where it does not apply is refused.
    pub fn applies_to(self, operation: Operation) -> bool {
        use Operation as Op;
        let is_read = matches!(operation, Op::GetObject | Op::HeadObject);
        let is_listing = operation.is_listing();
        let is_put_of = |setting: Setting| operation == Op::Put(setting);
        match self {
            Self::IfMatch
            | Self::IfNoneMatch
            | Self::IfModifiedSince
            | Self::IfUnmodifiedSince
            | Self::Range
            | Self::IfRange
            | Self::StandardRange
            | Self::ResponseContentType
            | Self::ResponseContentLanguage
            | Self::ResponseExpires
            | Self::ResponseCacheControl
            | Self::ResponseContentDisposition
            | Self::ResponseContentEncoding => is_read,
            Self::SourceIfMatch
            | Self::SourceIfNoneMatch
            | Self::SourceIfModifiedSince
            | Self::SourceIfUnmodifiedSince
            | Self::SourceCustomerAlgorithm
            | Self::SourceCustomerKey
            | Self::SourceCustomerKeyMd5
            | Self::SourceExpectedOwner => operation.is_copy(),
            Self::SourceRange => operation == Op::UploadPartCopy,
            Self::MetadataDirective | Self::TaggingDirective => operation == Op::CopyObject,
            Self::ContentType
            | Self::CacheControl
            | Self::ContentDisposition
            | Self::ContentEncoding
            | Self::ContentLanguage
            | Self::Expires
            | Self::StorageClass
            | Self::Tagging
            | Self::WebsiteRedirect
            | Self::Encryption
            | Self::EncryptionKeyId
            | Self::EncryptionContext
            | Self::EncryptionBucketKey
            | Self::EncryptionDataAlgorithm
            | Self::LockMode
            | Self::LockUntil
            | Self::LegalHold => operation.creates_object(),
            Self::ChecksumAlgorithm => matches!(operation, Op::CopyObject | Op::CreateMultipartUpload),
            Self::ChecksumType => {
                matches!(operation, Op::CreateMultipartUpload | Op::CompleteMultipartUpload)
            }
            Self::ChecksumMode => is_read,
            Self::ObjectSize => operation == Op::CompleteMultipartUpload,
            Self::Acl => {
                operation.creates_object()
                    || operation == Op::CompleteMultipartUpload
                    || is_put_of(Setting::ObjectAcl)
            }
            Self::GrantRead | Self::GrantReadAcp | Self::GrantWriteAcp | Self::GrantFullControl => {
                operation.creates_object() || operation == Op::CreateBucket || operation.is_acl_write()
            }
            Self::BucketAcl => operation == Op::CreateBucket || is_put_of(Setting::BucketAcl),
            Self::GrantWrite => operation == Op::CreateBucket || operation.is_acl_write(),
            Self::BucketLock | Self::BucketOwnership => operation == Op::CreateBucket,
            Self::ContentMd5 => {
                operation.is_upload()
                    || operation.has_document()
                    || matches!(operation, Op::CompleteMultipartUpload | Op::CreateBucket)
            }
            Self::CustomerAlgorithm | Self::CustomerKey | Self::CustomerKeyMd5 => {
                is_read
                    || operation.creates_object()
                    || operation.is_upload()
                    || matches!(operation, Op::UploadPartCopy | Op::GetObjectAttributes)
                    || self.is_repeated_in(operation)
            }
            Self::ForbidOverwrite => {
                (operation.creates_object() && operation != Op::AppendObject)
                    || operation == Op::CompleteMultipartUpload
            }
            Self::OverwriteIfMatch => {
                matches!(
                    operation,
                    Op::PutObject | Op::CopyObject | Op::CompleteMultipartUpload | Op::DeleteObject
                )
            }
            Self::Origin => operation.is_on_object() || operation.is_listing(),
            Self::ExpectedOwner | Self::RequestPayer => operation != Op::ListBuckets,
            Self::TrafficLimit => operation.is_streamed() || operation.is_copy(),
            Self::BypassLock => {
                matches!(operation, Op::DeleteObject | Op::DeleteObjects | Op::Put(Setting::Retention))
            }
            Self::Mfa => {
                matches!(operation, Op::DeleteObject | Op::DeleteObjects | Op::Put(Setting::Versioning))
            }
            Self::Callback | Self::CallbackVariables | Self::Process => {
                matches!(operation, Op::PutObject | Op::CompleteMultipartUpload | Op::GetObject)
            }
            Self::CompleteAll => operation == Op::CompleteMultipartUpload,
            Self::VersionId => {
                is_read
                    || matches!(operation, Op::DeleteObject | Op::RestoreObject | Op::GetObjectAttributes)
                    || matches!(operation, Op::Get(of) | Op::Put(of) | Op::Delete(of) if of.is_on_object())
            }
            Self::Position => operation == Op::AppendObject,
            Self::Attributes => operation == Op::GetObjectAttributes,
            Self::ConfigurationId => matches!(
                operation,
                Op::Get(setting) | Op::Put(setting) | Op::Delete(setting) if setting.has_id()
            ),
            Self::ConfigurationsAfter => matches!(operation, Op::Get(setting) if setting.is_list()),
            Self::UploadId => matches!(
                operation,
                Op::UploadPart
                    | Op::UploadPartCopy
                    | Op::CompleteMultipartUpload
                    | Op::AbortMultipartUpload
                    | Op::ListParts
            ),
            Self::PartNumber => {
                matches!(operation, Op::UploadPart | Op::UploadPartCopy | Op::GetObject | Op::HeadObject)
            }
            Self::Prefix => is_listing || operation == Op::ListBuckets,
            Self::Delimiter => is_listing,
            Self::MaxKeys => {
                (is_listing && operation != Op::ListMultipartUploads) || operation == Op::ListBuckets
            }
            Self::MaxUploads | Self::UploadIdMarker => operation == Op::ListMultipartUploads,
            Self::KeyMarker => {
                matches!(operation, Op::ListObjectVersions | Op::ListMultipartUploads)
            }
            Self::VersionIdMarker => operation == Op::ListObjectVersions,
            Self::EncodingType => is_listing || operation.has_keys_in_response(),
            Self::Marker => matches!(operation, Op::ListObjects | Op::ListBuckets),
            Self::StartAfter | Self::FetchOwner => operation == Op::ListObjectsV2,
            Self::ContinuationToken => matches!(operation, Op::ListObjectsV2 | Op::ListBuckets),
            Self::MaxParts | Self::PartNumberMarker => {
                matches!(operation, Op::ListParts | Op::GetObjectAttributes)
            }
            Self::BucketRegion
            | Self::CreatedTime
            | Self::CreatedRange
            | Self::BucketTagKey
            | Self::BucketTagValue => operation == Op::ListBuckets,
        }
    }

    /// Whether losing it could overwrite, expose, or copy what the caller meant to keep. Refused whatever the
    /// route's setting says; losing a storage class only costs money.
    pub fn guards_data(self) -> bool {
        !matches!(
            self,
            Self::StandardRange
                | Self::ContentType
                | Self::CacheControl
                | Self::ContentDisposition
                | Self::ContentEncoding
                | Self::ContentLanguage
                | Self::Expires
                | Self::StorageClass
                | Self::Tagging
                | Self::TaggingDirective
                | Self::TrafficLimit
                | Self::RequestPayer
                | Self::ChecksumAlgorithm
                | Self::ChecksumType
                | Self::ChecksumMode
                | Self::ObjectSize
                | Self::EncryptionBucketKey
                | Self::FetchOwner
                | Self::Origin
                | Self::EncodingType
        ) && !self.is_response_header_override()
    }

    /// Whether it only says which checksums a target keeps, compares and tells. A target that has none is not asked.
    pub fn is_checksum_option(self) -> bool {
        matches!(self, Self::ChecksumAlgorithm | Self::ChecksumType | Self::ChecksumMode | Self::ObjectSize)
    }

    /// The wishes about checksums.
    pub const CHECKSUM_OPTIONS: [Self; 4] =
        [Self::ChecksumAlgorithm, Self::ChecksumType, Self::ChecksumMode, Self::ObjectSize];
    /// Whether a request of this kind only repeats what the upload began with, so that a target which does not want it
    /// there loses nothing by it.
    pub fn is_repeated_in(self, operation: Operation) -> bool {
        matches!(self, Self::CustomerAlgorithm | Self::CustomerKey | Self::CustomerKeyMd5)
            && matches!(operation, Operation::CompleteMultipartUpload | Operation::ListParts)
    }

    /// Whether a target that does not know it does no more than it was allowed to: it makes no other checksum, and it
    /// deletes nothing that is locked.
    pub fn is_safe_to_omit(self) -> bool {
        matches!(self, Self::ChecksumAlgorithm | Self::BypassLock)
    }

    /// Whether its header is a list of values, so that several lines are one (RFC 9110, 5.3 and 8.4, 8.5, 13.1, the
    /// vendors' pages of grants and attributes).
    pub fn is_list(self) -> bool {
        matches!(
            self,
            Self::IfMatch
                | Self::IfNoneMatch
                | Self::OverwriteIfMatch
                | Self::SourceIfMatch
                | Self::SourceIfNoneMatch
                | Self::CacheControl
                | Self::ContentEncoding
                | Self::ContentLanguage
                | Self::GrantRead
                | Self::GrantWrite
                | Self::GrantReadAcp
                | Self::GrantWriteAcp
                | Self::GrantFullControl
                | Self::Attributes
        )
    }

    /// Whether its value names accounts, which are one vendor's own.
    pub fn has_account_ids(self) -> bool {
        matches!(
            self,
            Self::GrantRead
                | Self::GrantWrite
                | Self::GrantReadAcp
                | Self::GrantWriteAcp
                | Self::GrantFullControl
                | Self::ExpectedOwner
                | Self::SourceExpectedOwner
        )
    }

    /// Whether its value is told back as a header of the answer.
    pub fn is_response_header_override(self) -> bool {
        matches!(
            self,
            Self::ResponseContentType
                | Self::ResponseContentLanguage
                | Self::ResponseExpires
                | Self::ResponseCacheControl
                | Self::ResponseContentDisposition
                | Self::ResponseContentEncoding
        )
    }

    /// The content headers that a metadata directive governs.
    pub const CONTENT_HEADERS: [Self; 6] = [
        Self::ContentType,
        Self::CacheControl,
        Self::ContentDisposition,
        Self::ContentEncoding,
        Self::ContentLanguage,
        Self::Expires,
    ];

    /// The conditions on the source of a copy.
    pub const SOURCE_CONDITIONS: [Self; 4] = [
        Self::SourceIfMatch,
        Self::SourceIfUnmodifiedSince,
        Self::SourceIfNoneMatch,
        Self::SourceIfModifiedSince,
    ];

    /// The name in messages, metrics and the loss matrix.
    pub fn name(self) -> String {
        format!("{self:?}")
    }
}

/// Take the source's, or the request's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directive {
    /// The source's.
    Copy,
    /// The request's.
    Replace,
}

/// Where and how dearly an object is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the vendors' own words")]
pub enum StorageClass {
    Standard,
    ReducedRedundancy,
    StandardIa,
    OneZoneIa,
    IntelligentTiering,
    /// Archived, read at once.
    ArchiveInstant,
    /// Restored within minutes to hours.
    Archive,
    /// Restored within a day or so.
    ColdArchive,
    /// Restored within days.
    DeepArchive,
    MultiAzStandard,
    MultiAzStandardIa,
    MultiAzIntelligentTiering,
}

/// A canned access control list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the vendors' own words")]
pub enum CannedAcl {
    /// As the bucket says.
    Inherit,
    Private,
    PublicRead,
    PublicReadWrite,
    AuthenticatedRead,
    BucketOwnerRead,
    BucketOwnerFullControl,
    ExecRead,
    LogDeliveryWrite,
}

/// Encryption with keys that the target keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the vendors' own words")]
pub enum Encryption {
    Aes256,
    Sm4,
    Kms,
    KmsDualLayer,
}

/// A range of bytes, both ends counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `first-last`.
    Span(u64, u64),
    /// `first-`: to the end.
    From(u64),
    /// `-n`: the last n bytes.
    Last(u64),
}

/// A field's value, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the value of the kind of that name")]
pub enum Value {
    Text(String),
    /// What is stored as it was sent, where that is no text: Latin-1.
    Raw(Vec<u8>),
    Time(Timestamp),
    /// Tags without quotes as sent; `*` stands alone.
    Etags(Vec<String>),
    Directive(Directive),
    StorageClass(StorageClass),
    Acl(CannedAcl),
    Encryption(Encryption),
    Flag,
    Number(u64),
    ByteRange(ByteRange),
    /// Decoded pairs.
    Tags(Vec<(String, String)>),
    Secret(SecretText),
}

/// A text that is carried but never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text, to be sent and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// What a request says, in the order of [`Field::ALL`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(std::collections::BTreeMap<Field, Value>);

impl Fields {
    /// The value of a field.
    pub fn get(&self, field: Field) -> Option<&Value> {
        self.0.get(&field)
    }

    /// Whether the field is said.
    pub fn has(&self, field: Field) -> bool {
        self.0.contains_key(&field)
    }

    /// Says it.
    pub fn set(&mut self, field: Field, value: Value) {
        self.0.insert(field, value);
    }

    /// Unsays it.
    pub fn remove(&mut self, field: Field) -> Option<Value> {
        self.0.remove(&field)
    }

    /// All that is said.
    pub fn iter(&self) -> impl Iterator<Item = (Field, &Value)> {
        self.0.iter().map(|(field, value)| (*field, value))
    }

    /// The text of a text field.
    pub fn text(&self, field: Field) -> Option<&str> {
        match self.get(field) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The number of a number field.
    pub fn number(&self, field: Field) -> Option<u64> {
        match self.get(field) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// The time of a time field.
    pub fn time(&self, field: Field) -> Option<Timestamp> {
        match self.get(field) {
            Some(Value::Time(time)) => Some(*time),
            _ => None,
        }
    }

    /// The tags of an entity-tag field.
    pub fn etags(&self, field: Field) -> Option<&[String]> {
        match self.get(field) {
            Some(Value::Etags(tags)) => Some(tags),
            _ => None,
        }
    }

    /// The directive of a directive field.
    pub fn directive(&self, field: Field) -> Option<Directive> {
        match self.get(field) {
            Some(Value::Directive(directive)) => Some(*directive),
            _ => None,
        }
    }
}
