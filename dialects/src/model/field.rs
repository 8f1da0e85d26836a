//! The fields of requests: the meaning of a header or parameter, independent of its name.

use zeroize::Zeroizing;

use crate::encoding::date::Timestamp;
use crate::model::operation::Operation;
use crate::model::setting::Setting;

/// How a field's value is read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// Text, unchanged.
    Text,
    /// An HTTP date.
    Time,
    /// One or more entity tags, or `*`.
    Etag,
    /// COPY or REPLACE, in the spelling of the metadata directive.
    // Two kinds, because OSS spells the values of its two directives differently.
    MetadataDirective,
    /// COPY or REPLACE, in the spelling of the tagging directive.
    TaggingDirective,
    /// A storage class.
    StorageClass,
    /// A canned ACL.
    Acl,
    /// A server-side encryption.
    Encryption,
    /// A flag that is present or absent; the dialect defines the value that stands for "yes".
    Flag,
    /// Decimal digits.
    Number,
    /// `bytes=first-last`.
    ByteRange,
    /// `k=v&k2=v2`, form-encoded.
    Tags,
    /// An encryption key that the customer provides.
    Secret,
}

/// Generates [`Field`] and its tables from one row per field, in the order in which fields are read, written and printed:
///
/// ```text
/// /// documentation
/// Name: value kind, protection, [properties], the operations in which a request may have it;
/// ```
///
/// The kind is one of [`ValueKind`]. `Guards` means that the loss of the field could overwrite, expose or copy data against
/// the caller's intention; `Harmless` means that it could not. The operations are a predicate on [`Operation`]. A new field
/// is one row here and one in each dialect's `field_name`, which is an exhaustive match.
macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident: $kind:ident, $protection:ident, [$($property:ident),*], $operations:expr;)*) => {
        /// A field of a request. Each dialect has a header or a query parameter for it, or does not support it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the names are the vendors' own")]
        pub enum Field {
            $($(#[$doc])* $name,)*
        }

        impl Field {
            /// Every field, in the order in which they are read, written and printed.
            pub const ALL: [Self; [$(stringify!($name)),*].len()] = [$(Self::$name),*];

            /// How the value is read and written.
            pub fn kind(self) -> ValueKind {
                match self {
                    $(Self::$name => ValueKind::$kind,)*
                }
            }

            /// Whether the field is valid in an operation. A request with a field that is not valid is rejected.
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

/// Whether the loss of a field can harm data.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FieldProtection {
    Guards,
    Harmless,
}

/// Properties that only some fields have.
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
    /// Return the range only if the object has this ETag or date, otherwise the whole object.
    IfRange: Text, Guards, [], Operation::is_object_read;
    /// Respond to an unsatisfiable range with 416, as HTTP defines, instead of the whole object.
    StandardRange: Flag, Harmless, [], Operation::is_object_read;
    /// The origin of the web page that sends the request.
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
    /// Whether object lock is enabled for a new bucket.
    BucketLock: Flag, Guards, [], |op| op == Op::CreateBucket;
    /// The object ownership setting of a new bucket.
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
    /// Overwrite the object only if it has this ETag.
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
    /// Whether a checksum covers the object (`FULL_OBJECT`) or the checksums of its parts (`COMPOSITE`).
    ChecksumType: Text, Harmless, [ChecksumOption], accepts_checksum_type;
    /// Whether a read returns the checksums.
    ChecksumMode: Text, Harmless, [ChecksumOption], Operation::is_object_read;
    /// The size of the object that CompleteMultipartUpload creates.
    ObjectSize: Number, Harmless, [ChecksumOption], |op| op == Op::CompleteMultipartUpload;
    CompleteAll: Flag, Guards, [], |op| op == Op::CompleteMultipartUpload;
    /// The offset at which data is appended.
    Position: Number, Guards, [], |op| op == Op::AppendObject;
    /// The ID of one of several settings documents of one kind.
    ConfigurationId: Text, Guards, [], accepts_configuration_id;
    ConfigurationsAfter: Text, Guards, [], |op| matches!(op, Op::Get(of) if of.is_list());
    /// The attributes of an object that are returned.
    Attributes: Text, Guards, [List], |op| op == Op::GetObjectAttributes;
    /// The optional attributes of objects that a listing returns.
    ListedAttributes: Text, Harmless, [List], |op| op.is_listing() && op != Op::ListMultipartUploads;
    /// Confirms a bucket policy that denies its own author the permission to change it.
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
    /// List only buckets of this region.
    BucketRegion: Text, Guards, [], |op| op == Op::ListBuckets;
    /// List only buckets created before or after this time, in Unix seconds.
    CreatedTime: Number, Guards, [], |op| op == Op::ListBuckets;
    /// How `CreatedTime` is compared: `lt`, `lte`, `gt` or `gte`.
    CreatedRange: Text, Guards, [], |op| op == Op::ListBuckets;
    /// List only buckets with a tag of this key.
    BucketTagKey: Text, Guards, [], |op| op == Op::ListBuckets;
    /// The value that the tag must have.
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

/// The AWS SDKs repeat the customer's key in ListParts and CompleteMultipartUpload.
fn repeats_upload_fields(operation: Operation) -> bool {
    matches!(operation, Op::CompleteMultipartUpload | Op::ListParts)
}

fn accepts_forbid_overwrite(operation: Operation) -> bool {
    // AppendObject changes an existing object by definition, so it must not be combined with overwrite protection.
    (operation.creates_object() && operation != Op::AppendObject) || operation == Op::CompleteMultipartUpload
}

fn accepts_overwrite_condition(operation: Operation) -> bool {
    matches!(operation, Op::PutObject | Op::CopyObject | Op::CompleteMultipartUpload | Op::DeleteObject)
}

/// Operations in which a vendor calls a URL or processes the object as the client requests.
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
    // ListMultipartUploads is excluded, because the size of its pages is `MaxUploads`.
    (operation.is_listing() && operation != Op::ListMultipartUploads) || operation == Op::ListBuckets
}

impl Field {
    /// Whether the loss of the field could overwrite, expose or copy data against the caller's intention. Such a
    /// request is rejected regardless of the route's loss policy.
    pub fn guards_data(self) -> bool {
        self.protection() == FieldProtection::Guards
    }

    /// Whether the field only selects which checksums a target stores, verifies and returns. It is not sent to a target
    /// that does not store checksums.
    pub fn is_checksum_option(self) -> bool {
        self.has_property(FieldProperty::ChecksumOption)
    }

    /// Whether the field only repeats the value of CreateMultipartUpload in this operation, so that nothing is lost if
    /// a target does not accept it there.
    pub fn is_repeated_in(self, operation: Operation) -> bool {
        self.has_property(FieldProperty::RepeatedInUpload) && repeats_upload_fields(operation)
    }

    /// Whether the field can be omitted for a target that does not support it, because it only widens what the target
    /// may do: without it a target computes no additional checksum, does not delete a locked object, and decides by
    /// itself about a policy that locks its author out.
    pub fn is_safe_to_omit(self) -> bool {
        self.has_property(FieldProperty::SafeToOmit)
    }

    /// Whether the header is a list of values, so that several header lines are one value (RFC 9110, 5.3, 8.4, 8.5 and
    /// 13.1; for grants and attributes the vendors' documents).
    pub fn is_list(self) -> bool {
        self.has_property(FieldProperty::List)
    }

    /// Whether the value contains account IDs, which differ from vendor to vendor.
    pub fn has_account_ids(self) -> bool {
        self.has_property(FieldProperty::AccountIds)
    }

    /// Whether the value is returned as a header of the response.
    pub fn is_response_header_override(self) -> bool {
        self.has_property(FieldProperty::ResponseHeaderOverride)
    }

    /// The content headers to which a metadata directive applies.
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

/// Whether a copy takes metadata or tags from its source or from the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directive {
    /// From the source.
    Copy,
    /// From the request.
    Replace,
}

/// The storage class of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the vendors' own")]
pub enum StorageClass {
    Standard,
    ReducedRedundancy,
    StandardIa,
    OneZoneIa,
    IntelligentTiering,
    /// Archive class that is readable without a restore.
    ArchiveInstant,
    /// Archive class that is restored within minutes or hours.
    Archive,
    /// Archive class that is restored within about a day.
    ColdArchive,
    /// Archive class that is restored within days.
    DeepArchive,
    MultiAzStandard,
    MultiAzStandardIa,
    MultiAzIntelligentTiering,
}

impl StorageClass {
    /// Every storage class, the most frequent first.
    pub(crate) const ALL: [Self; 12] = [
        Self::Standard,
        Self::ReducedRedundancy,
        Self::StandardIa,
        Self::OneZoneIa,
        Self::IntelligentTiering,
        Self::ArchiveInstant,
        Self::Archive,
        Self::ColdArchive,
        Self::DeepArchive,
        Self::MultiAzStandard,
        Self::MultiAzStandardIa,
        Self::MultiAzIntelligentTiering,
    ];

    /// The canonical name, which responses have between two dialects.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Standard => "Standard",
            Self::ReducedRedundancy => "ReducedRedundancy",
            Self::StandardIa => "StandardIa",
            Self::OneZoneIa => "OneZoneIa",
            Self::IntelligentTiering => "IntelligentTiering",
            Self::ArchiveInstant => "ArchiveInstant",
            Self::Archive => "Archive",
            Self::ColdArchive => "ColdArchive",
            Self::DeepArchive => "DeepArchive",
            Self::MultiAzStandard => "MultiAzStandard",
            Self::MultiAzStandardIa => "MultiAzStandardIa",
            Self::MultiAzIntelligentTiering => "MultiAzIntelligentTiering",
        }
    }
}

/// A canned access control list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the vendors' own")]
pub enum CannedAcl {
    /// The object inherits the ACL of its bucket.
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

/// Server-side encryption with keys that the target manages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the vendors' own")]
pub enum Encryption {
    Aes256,
    Sm4,
    Kms,
    KmsDualLayer,
}

/// A range of bytes; both ends are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `first-last`.
    Span(u64, u64),
    /// `first-`: to the end.
    From(u64),
    /// `-n`: the last n bytes.
    Last(u64),
}

/// The parsed value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the value of the kind of that name")]
pub enum Value {
    Text(String),
    /// A stored header value that is not UTF-8 text.
    // SDKs send metadata and content headers in Latin-1 too. The bytes are copied, since a conversion would change
    // them.
    Raw(Vec<u8>),
    Time(Timestamp),
    /// Entity tags without their quotes; `*` is the only element of its list.
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

/// A secret that is sent to a target but never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret, for the request to the target only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // `Request` derives `Debug`, so a derived implementation here would print the key wherever a request is
        // printed.
        f.write_str("(hidden)")
    }
}

/// The fields of a request, in the order of [`Field::ALL`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(std::collections::BTreeMap<Field, Value>);

impl Fields {
    /// The value of a field.
    pub fn get(&self, field: Field) -> Option<&Value> {
        self.0.get(&field)
    }

    /// Whether the request has the field.
    pub fn has(&self, field: Field) -> bool {
        self.0.contains_key(&field)
    }

    /// Sets a field.
    pub fn set(&mut self, field: Field, value: Value) {
        self.0.insert(field, value);
    }

    /// Removes a field and returns its value.
    pub fn remove(&mut self, field: Field) -> Option<Value> {
        self.0.remove(&field)
    }

    /// All fields with their values.
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
