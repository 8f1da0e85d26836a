//! The fields of requests: what a header or parameter means, whatever its name.

use zeroize::Zeroizing;

use crate::encoding::date::Timestamp;
use crate::model::operation::Operation;
use crate::model::setting::Setting;

/// How a field's value is read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// As it stands.
    Text,
    /// An HTTP date.
    Time,
    /// An entity tag, or several, or `*`.
    Etag,
    /// COPY or REPLACE, as the metadata directive spells it.
    MetadataDirective,
    /// COPY or REPLACE, as the tagging directive spells it.
    TaggingDirective,
    /// A storage class.
    StorageClass,
    /// A canned ACL.
    Acl,
    /// A server-side encryption.
    Encryption,
    /// A mark that is present or not, with the dialect's word for "yes".
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

/// Generates [`Field`] and its tables from one row per field, in the order in which fields are read, written and printed:
///
/// ```text
/// /// documentation
/// Name: value kind, protection, [properties], the operations in which a request may have it;
/// ```
///
/// The kind is one of [`ValueKind`]. `Guards` means that losing the field could overwrite, expose or copy what the caller
/// meant to keep; `Harmless` that it could not. The operations are a predicate on [`Operation`]. A new field is one row here
/// and one in each dialect's `field_name`, which is an exhaustive match.
macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident: $kind:ident, $protection:ident, [$($property:ident),*], $operations:expr;)*) => {
        /// One thing that a request can contain. Each dialect names its header or parameter for it, or has none.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the names are the vendors' own words")]
        pub enum Field {
            $($(#[$doc])* $name,)*
        }

        impl Field {
            /// Every field, in the order in which they are read, written and printed.
            pub const ALL: [Self; [$(stringify!($name)),*].len()] = [$(Self::$name),*];

            /// How its value is read and written.
            pub fn kind(self) -> ValueKind {
                match self {
                    $(Self::$name => ValueKind::$kind,)*
                }
            }

            /// Whether a request of this kind may have it. Where it does not apply, the request is rejected.
            pub fn applies_to(self, operation: Operation) -> bool {
                let is_allowed_in: fn(Operation) -> bool = match self {
                    $(Self::$name => $operations,)*
                };
                is_allowed_in(operation)
            }

            fn protection(self) -> FieldProtection {
                match self {
                    $(Self::$name => FieldProtection::$protection,)*
                }
            }

            fn has_property(self, property: FieldProperty) -> bool {
                let properties: &[FieldProperty] = match self {
                    $(Self::$name => &[$(FieldProperty::$property),*],)*
                };
                properties.contains(&property)
            }
        }
    };
}

/// What the loss of a field can do to data.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FieldProtection {
    Guards,
    Harmless,
}

/// What is true of a few fields only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FieldProperty {
    /// See [`Field::is_list`].
    List,
    /// See [`Field::has_account_ids`].
    AccountIds,
    /// See [`Field::is_checksum_option`].
    ChecksumOption,
    /// See [`Field::is_safe_to_omit`].
    SafeToOmit,
    /// See [`Field::is_response_header_override`].
    ResponseHeaderOverride,
    /// See [`Field::is_repeated_in`].
    RepeatedInUpload,
}

use Operation as Op;

fields! {
    IfMatch: Etag, Guards, [List], Operation::is_object_read;
    IfNoneMatch: Etag, Guards, [List], Operation::is_object_read;
    IfModifiedSince: Time, Guards, [], Operation::is_object_read;
    IfUnmodifiedSince: Time, Guards, [], Operation::is_object_read;
    Range: ByteRange, Guards, [], Operation::is_object_read;
    /// Return the range only of the object that has this ETag or date, else the whole object.
    IfRange: Text, Guards, [], Operation::is_object_read;
    /// Return 416 for an unsatisfiable range, as HTTP defines it, instead of the whole object.
    StandardRange: Flag, Harmless, [], Operation::is_object_read;
    /// The origin of the page from which a browser sends the request.
    Origin: Text, Harmless, [], |op| op.is_on_object() || op.is_listing();
    SourceIfMatch: Etag, Guards, [List], Operation::is_copy;
    SourceIfNoneMatch: Etag, Guards, [List], Operation::is_copy;
    SourceIfModifiedSince: Time, Guards, [], Operation::is_copy;
    SourceIfUnmodifiedSince: Time, Guards, [], Operation::is_copy;
    SourceRange: ByteRange, Guards, [], |op| op == Op::UploadPartCopy;
    MetadataDirective: MetadataDirective, Guards, [], |op| op == Op::CopyObject;
    TaggingDirective: TaggingDirective, Harmless, [], |op| op == Op::CopyObject;
    ContentType: Text, Harmless, [], Operation::creates_object;
    CacheControl: Text, Harmless, [List], Operation::creates_object;
    ContentDisposition: Text, Harmless, [], Operation::creates_object;
    ContentEncoding: Text, Harmless, [List], Operation::creates_object;
    ContentLanguage: Text, Harmless, [List], Operation::creates_object;
    Expires: Text, Harmless, [], Operation::creates_object;
    ContentMd5: Text, Guards, [], accepts_content_md5;
    StorageClass: StorageClass, Harmless, [], Operation::creates_object;
    Acl: Acl, Guards, [], accepts_acl;
    /// The canned ACL of a bucket.
    BucketAcl: Acl, Guards, [], |op| matches!(op, Op::CreateBucket | Op::Put(Setting::BucketAcl));
    /// Whether objects of a new bucket can be locked.
    BucketLock: Flag, Guards, [], |op| op == Op::CreateBucket;
    /// Which account owns the objects of a new bucket.
    BucketOwnership: Text, Guards, [], |op| op == Op::CreateBucket;
    GrantRead: Text, Guards, [List, AccountIds], accepts_grants;
    GrantWrite: Text, Guards, [List, AccountIds], |op| op == Op::CreateBucket || op.is_acl_write();
    GrantReadAcp: Text, Guards, [List, AccountIds], accepts_grants;
    GrantWriteAcp: Text, Guards, [List, AccountIds], accepts_grants;
    GrantFullControl: Text, Guards, [List, AccountIds], accepts_grants;
    Tagging: Tags, Harmless, [], Operation::creates_object;
    WebsiteRedirect: Text, Guards, [], Operation::creates_object;
    Encryption: Encryption, Guards, [], Operation::creates_object;
    EncryptionKeyId: Text, Guards, [], Operation::creates_object;
    EncryptionContext: Text, Guards, [], Operation::creates_object;
    EncryptionBucketKey: Text, Harmless, [], Operation::creates_object;
    EncryptionDataAlgorithm: Text, Guards, [], Operation::creates_object;
    CustomerAlgorithm: Text, Guards, [RepeatedInUpload], accepts_customer_key;
    CustomerKey: Secret, Guards, [RepeatedInUpload], accepts_customer_key;
    CustomerKeyMd5: Text, Guards, [RepeatedInUpload], accepts_customer_key;
    SourceCustomerAlgorithm: Text, Guards, [], Operation::is_copy;
    SourceCustomerKey: Secret, Guards, [], Operation::is_copy;
    SourceCustomerKeyMd5: Text, Guards, [], Operation::is_copy;
    ForbidOverwrite: Flag, Guards, [], accepts_forbid_overwrite;
    /// Write only over the object that has this ETag.
    OverwriteIfMatch: Etag, Guards, [List], accepts_overwrite_condition;
    ExpectedOwner: Text, Guards, [AccountIds], |op| op != Op::ListBuckets;
    SourceExpectedOwner: Text, Guards, [AccountIds], Operation::is_copy;
    RequestPayer: Text, Harmless, [], |op| op != Op::ListBuckets;
    TrafficLimit: Text, Harmless, [], |op| op.is_streamed() || op.is_copy();
    LockMode: Text, Guards, [], Operation::creates_object;
    LockUntil: Text, Guards, [], Operation::creates_object;
    LegalHold: Text, Guards, [], Operation::creates_object;
    BypassLock: Text, Guards, [SafeToOmit], |op| op.is_delete() || op == Op::Put(Setting::Retention);
    Mfa: Text, Guards, [], |op| op.is_delete() || op == Op::Put(Setting::Versioning);
    Callback: Text, Guards, [], accepts_processing;
    CallbackVariables: Text, Guards, [], accepts_processing;
    Process: Text, Guards, [], accepts_processing;
    ChecksumAlgorithm: Text, Harmless, [ChecksumOption, SafeToOmit], accepts_checksum_algorithm;
    /// Whether a checksum is computed over the object or over the checksums of its parts.
    ChecksumType: Text, Harmless, [ChecksumOption], accepts_checksum_type;
    /// Whether a read returns the checksums.
    ChecksumMode: Text, Harmless, [ChecksumOption], Operation::is_object_read;
    /// The bytes of all parts of a completing call.
    ObjectSize: Number, Harmless, [ChecksumOption], |op| op == Op::CompleteMultipartUpload;
    CompleteAll: Flag, Guards, [], |op| op == Op::CompleteMultipartUpload;
    /// The offset at which an appended piece begins.
    Position: Number, Guards, [], |op| op == Op::AppendObject;
    /// Which of several documents of one kind.
    ConfigurationId: Text, Guards, [], accepts_configuration_id;
    ConfigurationsAfter: Text, Guards, [], |op| matches!(op, Op::Get(of) if of.is_list());
    /// Which attributes of an object are returned.
    Attributes: Text, Guards, [List], |op| op == Op::GetObjectAttributes;
    /// Which attributes of objects a listing returns besides those that it always has.
    ListedAttributes: Text, Harmless, [List], |op| op.is_listing() && op != Op::ListMultipartUploads;
    /// Confirms that a bucket policy may take the right to change it away from its author.
    ConfirmPolicyLockout: Text, Harmless, [SafeToOmit], |op| op == Op::Put(Setting::Policy);
    VersionId: Text, Guards, [], accepts_version_id;
    UploadId: Text, Guards, [], Operation::is_multipart_step;
    PartNumber: Number, Guards, [], accepts_part_number;
    Prefix: Text, Guards, [], |op| op.is_listing() || op == Op::ListBuckets;
    Delimiter: Text, Guards, [], Operation::is_listing;
    Marker: Text, Guards, [], |op| matches!(op, Op::ListObjects | Op::ListBuckets);
    KeyMarker: Text, Guards, [], |op| matches!(op, Op::ListObjectVersions | Op::ListMultipartUploads);
    VersionIdMarker: Text, Guards, [], |op| op == Op::ListObjectVersions;
    UploadIdMarker: Text, Guards, [], |op| op == Op::ListMultipartUploads;
    MaxUploads: Number, Guards, [], |op| op == Op::ListMultipartUploads;
    StartAfter: Text, Guards, [], |op| op == Op::ListObjectsV2;
    ContinuationToken: Text, Guards, [], |op| matches!(op, Op::ListObjectsV2 | Op::ListBuckets);
    MaxKeys: Number, Guards, [], accepts_max_keys;
    EncodingType: Text, Harmless, [], |op| op.is_listing() || op.has_keys_in_response();
    FetchOwner: Flag, Harmless, [], |op| op == Op::ListObjectsV2;
    MaxParts: Number, Guards, [], lists_parts;
    PartNumberMarker: Number, Guards, [], lists_parts;
    /// Only buckets of this region.
    BucketRegion: Text, Guards, [], |op| op == Op::ListBuckets;
    /// Only buckets created before or after this time, Unix seconds.
    CreatedTime: Number, Guards, [], |op| op == Op::ListBuckets;
    /// How `CreatedTime` is compared: `lt`, `lte`, `gt` or `gte`.
    CreatedRange: Text, Guards, [], |op| op == Op::ListBuckets;
    /// Only buckets with this tag.
    BucketTagKey: Text, Guards, [], |op| op == Op::ListBuckets;
    /// The value of that tag.
    BucketTagValue: Text, Guards, [], |op| op == Op::ListBuckets;
    ResponseContentType: Text, Harmless, [ResponseHeaderOverride], Operation::is_object_read;
    ResponseContentLanguage: Text, Harmless, [ResponseHeaderOverride], Operation::is_object_read;
    ResponseExpires: Text, Harmless, [ResponseHeaderOverride], Operation::is_object_read;
    ResponseCacheControl: Text, Harmless, [ResponseHeaderOverride], Operation::is_object_read;
    ResponseContentDisposition: Text, Harmless, [ResponseHeaderOverride], Operation::is_object_read;
    ResponseContentEncoding: Text, Harmless, [ResponseHeaderOverride], Operation::is_object_read;
}

fn accepts_acl(operation: Operation) -> bool {
    operation.creates_object()
        || matches!(operation, Op::CompleteMultipartUpload | Op::Put(Setting::ObjectAcl))
}

fn accepts_grants(operation: Operation) -> bool {
    operation.creates_object() || operation == Op::CreateBucket || operation.is_acl_write()
}

fn accepts_content_md5(operation: Operation) -> bool {
    operation.is_upload()
        || operation.has_document()
        || matches!(operation, Op::CompleteMultipartUpload | Op::CreateBucket)
}

fn accepts_customer_key(operation: Operation) -> bool {
    operation.is_object_read()
        || operation.creates_object()
        || operation.is_upload()
        || matches!(operation, Op::UploadPartCopy | Op::GetObjectAttributes)
        || repeats_upload_fields(operation)
}

/// S3's SDKs send the customer's key again where the upload's parts are listed and completed.
fn repeats_upload_fields(operation: Operation) -> bool {
    matches!(operation, Op::CompleteMultipartUpload | Op::ListParts)
}

fn accepts_forbid_overwrite(operation: Operation) -> bool {
    // An appended piece always changes an object that exists.
    (operation.creates_object() && operation != Op::AppendObject) || operation == Op::CompleteMultipartUpload
}

fn accepts_overwrite_condition(operation: Operation) -> bool {
    matches!(operation, Op::PutObject | Op::CopyObject | Op::CompleteMultipartUpload | Op::DeleteObject)
}

/// A vendor that calls, fetches or transforms at the caller's request.
fn accepts_processing(operation: Operation) -> bool {
    matches!(operation, Op::PutObject | Op::CompleteMultipartUpload | Op::GetObject)
}

fn accepts_checksum_algorithm(operation: Operation) -> bool {
    matches!(operation, Op::CopyObject | Op::CreateMultipartUpload)
}

fn accepts_checksum_type(operation: Operation) -> bool {
    matches!(operation, Op::CreateMultipartUpload | Op::CompleteMultipartUpload)
}

fn accepts_configuration_id(operation: Operation) -> bool {
    matches!(operation, Op::Get(of) | Op::Put(of) | Op::Delete(of) if of.has_id())
}

fn accepts_part_number(operation: Operation) -> bool {
    operation.is_object_read() || matches!(operation, Op::UploadPart | Op::UploadPartCopy)
}

fn lists_parts(operation: Operation) -> bool {
    matches!(operation, Op::ListParts | Op::GetObjectAttributes)
}

fn accepts_version_id(operation: Operation) -> bool {
    operation.is_object_read()
        || matches!(operation, Op::DeleteObject | Op::RestoreObject | Op::GetObjectAttributes)
        || matches!(operation, Op::Get(of) | Op::Put(of) | Op::Delete(of) if of.is_on_object())
}

fn accepts_max_keys(operation: Operation) -> bool {
    // Pages of uploads have `MaxUploads`.
    (operation.is_listing() && operation != Op::ListMultipartUploads) || operation == Op::ListBuckets
}

impl Field {
    /// Whether losing it could overwrite, expose or copy what the caller meant to keep. Such a request is rejected whatever
    /// the route's setting is; the loss of a storage class only costs money.
    pub fn guards_data(self) -> bool {
        self.protection() == FieldProtection::Guards
    }

    /// Whether it only selects which checksums a target keeps, compares and returns. It is not sent to a target that keeps
    /// none.
    pub fn is_checksum_option(self) -> bool {
        self.has_property(FieldProperty::ChecksumOption)
    }

    /// Whether a request of this kind only repeats what the upload began with, so that nothing is lost where a target does
    /// not accept it there.
    pub fn is_repeated_in(self, operation: Operation) -> bool {
        self.has_property(FieldProperty::RepeatedInUpload) && repeats_upload_fields(operation)
    }

    /// Whether a target that does not know it does no more than it was allowed to: it makes no other checksum, it deletes
    /// nothing that is locked, and it accepts a policy that locks its author out or rejects it.
    pub fn is_safe_to_omit(self) -> bool {
        self.has_property(FieldProperty::SafeToOmit)
    }

    /// Whether its header is a list of values, so that several lines are one (RFC 9110, 5.3 and 8.4, 8.5, 13.1, the
    /// vendors' pages of grants and attributes).
    pub fn is_list(self) -> bool {
        self.has_property(FieldProperty::List)
    }

    /// Whether its value names accounts, which differ from vendor to vendor.
    pub fn has_account_ids(self) -> bool {
        self.has_property(FieldProperty::AccountIds)
    }

    /// Whether its value is returned as a header of the response.
    pub fn is_response_header_override(self) -> bool {
        self.has_property(FieldProperty::ResponseHeaderOverride)
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
