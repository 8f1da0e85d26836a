//! What a request asks for.

use crate::model::setting::Setting;

/// Generates [`Operation`] and its tables from one row per operation, in the order in which they are printed:
///
/// ```text
/// Name: access that the caller needs, what is addressed, [properties];
/// ```
///
/// The operations on settings have no rows here: three follow from each row of [`Setting`].
macro_rules! operations {
    ($($name:ident: $access:ident, $level:ident, [$($property:ident),*];)*) => {
        /// The operations that are translated between dialects, under S3's names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the names are the vendors' own words")]
        pub enum Operation {
            $($name,)*
            /// Reads a settings document of a bucket or an object.
            Get(Setting),
            /// Replaces it.
            Put(Setting),
            /// Removes it.
            Delete(Setting),
        }

        impl Operation {
            /// Every operation with a name of its own, in the order in which they are printed.
            pub const PLAIN: [Self; [$(stringify!($name)),*].len()] = [$(Self::$name),*];

            /// The name in metrics, logs and messages.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                    Self::Get(setting) => setting.operation_names()[0],
                    Self::Put(setting) => setting.operation_names()[1],
                    Self::Delete(setting) => setting.operation_names()[2],
                }
            }

            /// What the caller must be granted on the request's bucket. A copy needs [`RequiredAccess::Read`] on its
            /// source besides.
            pub fn required_access(self) -> RequiredAccess {
                match self {
                    $(Self::$name => RequiredAccess::$access,)*
                    Self::Get(_) => RequiredAccess::Read,
                    Self::Put(setting) | Self::Delete(setting) if setting.is_on_object() => RequiredAccess::Write,
                    Self::Put(_) | Self::Delete(_) => RequiredAccess::Admin,
                }
            }

            /// Whether it addresses an object, not a bucket or the account.
            pub fn is_on_object(self) -> bool {
                match self {
                    $(Self::$name => matches!(OperationLevel::$level, OperationLevel::Object),)*
                    Self::Get(setting) | Self::Put(setting) | Self::Delete(setting) => setting.is_on_object(),
                }
            }

            fn has_property(self, property: OperationProperty) -> bool {
                let properties: &[OperationProperty] = match self {
                    $(Self::$name => &[$(OperationProperty::$property),*],)*
                    Self::Put(_) => &[OperationProperty::Document],
                    Self::Get(_) | Self::Delete(_) => &[],
                };
                properties.contains(&property)
            }
        }
    };
}

/// What an operation addresses.
enum OperationLevel {
    Account,
    Bucket,
    Object,
}

/// What is true of some operations only; each has a method of [`Operation`] that explains it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OperationProperty {
    ObjectRead,
    Upload,
    Copy,
    Delete,
    CreatesObject,
    MultipartStep,
    Document,
    Listing,
    KeysInResponse,
}

operations! {
    PutObject: Write, Object, [Upload, CreatesObject];
    GetObject: Read, Object, [ObjectRead];
    HeadObject: Read, Object, [ObjectRead];
    DeleteObject: Write, Object, [Delete];
    DeleteObjects: Write, Bucket, [Delete, Document, KeysInResponse];
    CopyObject: Write, Object, [Copy, CreatesObject];
    AppendObject: Write, Object, [Upload, CreatesObject];
    RestoreObject: Write, Object, [Document];
    GetObjectAttributes: Read, Object, [];
    CreateMultipartUpload: Write, Object, [CreatesObject, KeysInResponse];
    UploadPart: Write, Object, [Upload, MultipartStep];
    UploadPartCopy: Write, Object, [Copy, MultipartStep];
    CompleteMultipartUpload: Write, Object, [MultipartStep, KeysInResponse];
    AbortMultipartUpload: Write, Object, [MultipartStep];
    ListParts: Read, Object, [MultipartStep, KeysInResponse];
    ListMultipartUploads: Read, Bucket, [Listing];
    CreateBucket: Admin, Bucket, [];
    HeadBucket: Read, Bucket, [];
    DeleteBucket: Admin, Bucket, [];
    GetBucketLocation: Read, Bucket, [];
    GetBucketInfo: Read, Bucket, [];
    ListBuckets: None, Account, [];
    ListObjects: Read, Bucket, [Listing];
    ListObjectsV2: Read, Bucket, [Listing];
    ListObjectVersions: Read, Bucket, [Listing];
}

/// The access that a caller needs on a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequiredAccess {
    /// Reading objects and listings.
    Read,
    /// Writing and deleting objects.
    Write,
    /// Creating and deleting buckets.
    Admin,
    /// None on a bucket: the response is filtered by the caller's grants.
    None,
}

impl Operation {
    /// Every operation there is: the plain ones, and the three of each setting.
    pub fn all() -> impl Iterator<Item = Self> {
        let settings = Setting::ALL.into_iter();
        let settings =
            settings.flat_map(|setting| [Self::Get(setting), Self::Put(setting), Self::Delete(setting)]);
        Self::PLAIN.into_iter().chain(settings)
    }

    /// Whether the operation changes something at the target, so that it must never be sent twice.
    pub fn is_write(self) -> bool {
        matches!(self.required_access(), RequiredAccess::Write | RequiredAccess::Admin)
    }

    /// Whether it reads an object or its head.
    pub fn is_object_read(self) -> bool {
        self.has_property(OperationProperty::ObjectRead)
    }

    /// Whether the object's bytes travel through the proxy: these are streamed, everything else is a small exchange.
    pub fn is_streamed(self) -> bool {
        self.is_upload() || self.is_object_read()
    }

    /// Whether the request carries the object's bytes.
    pub fn is_upload(self) -> bool {
        self.has_property(OperationProperty::Upload)
    }

    /// Whether it copies on the target's side.
    pub fn is_copy(self) -> bool {
        self.has_property(OperationProperty::Copy)
    }

    /// Whether it deletes objects.
    pub fn is_delete(self) -> bool {
        self.has_property(OperationProperty::Delete)
    }

    /// Whether the request's body is a document of the operation's own. CompleteMultipartUpload is not among them, because
    /// its checksums are those of the object, not of its document.
    pub fn has_document(self) -> bool {
        self.has_property(OperationProperty::Document)
    }

    /// Whether it sets an access control list.
    pub fn is_acl_write(self) -> bool {
        matches!(self, Self::Put(setting) if setting.is_acl())
    }

    /// Whether it is a step of a multipart upload after its beginning.
    pub fn is_multipart_step(self) -> bool {
        self.has_property(OperationProperty::MultipartStep)
    }

    /// Whether it returns a page of a bucket's keys.
    pub fn is_listing(self) -> bool {
        self.has_property(OperationProperty::Listing)
    }

    /// Whether its response has keys without being a page of a bucket.
    pub fn has_keys_in_response(self) -> bool {
        self.has_property(OperationProperty::KeysInResponse)
    }

    /// Whether the operation makes an object that did not exist, with its metadata, class and access.
    pub fn creates_object(self) -> bool {
        self.has_property(OperationProperty::CreatesObject)
    }

    /// Whether the operation creates an object, but not by a copy.
    pub fn creates_without_source(self) -> bool {
        self != Self::CopyObject && self.creates_object()
    }

    /// The same, and every step of a multipart upload.
    pub fn writes_without_source(self) -> bool {
        self != Self::CopyObject && (self.creates_object() || self.is_multipart_step())
    }

    /// Whether no bytes of an object pass, in either direction or by a copy.
    pub fn has_no_payload(self) -> bool {
        !self.is_streamed() && !self.is_copy()
    }
}
